"""What a forecast must beat to be worth anything: the same face as the forecaster."""

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from models.climatology import Climatology
from models.emos import Emos
from models.guidance import raw_point
from models.intervals import MEDIAN, SeasonalErrors
from models.nn import Array
from models.predictors import ENOUGH
from models.station_days import ONE_DAY, StationDays

# Guidance is a baseline where `ENOUGH` of so many last days have it, and half of those since it began.
LATEST = 365


class Points(Protocol):
    """Whatever gives a number for each day."""

    def points(self, days: StationDays, rows: Array) -> Array:
        """Return tmax (n,), degC, of the day after each issue day."""


class Persistence:
    """Tomorrow will be like today."""

    def points(self, days: StationDays, rows: Array) -> Array:
        """Return tmax of each issue day, degC."""
        return days.tmax[rows]


@dataclass(frozen=True, eq=False)
class Normal:
    """Tomorrow will be like that day of the year."""

    climatology: Climatology

    @classmethod
    def fit(cls, days: StationDays, rows: Array) -> "Normal":
        """Fit to the next day's tmax of each of ``rows``."""
        return cls(Climatology.fit(days.dates[rows] + ONE_DAY, days.next_tmax[rows]))

    def points(self, days: StationDays, rows: Array) -> Array:
        """Return the seasonal normal of the day after each issue day, degC."""
        return self.climatology.on(days.dates[rows] + ONE_DAY)[0]


@dataclass(frozen=True, eq=False)
class RawGuidance:
    """Tomorrow will be like the guidance says, whatever it is worth; where it is missing, as ``otherwise`` says."""

    otherwise: Points

    def points(self, days: StationDays, rows: Array) -> Array:
        """Return the guidance for the day after each issue day, degC."""
        said = raw_point(days)[rows]
        return np.where(np.isfinite(said), said, self.otherwise.points(days, rows))


@dataclass(frozen=True, eq=False)
class Baseline:
    """A number for each day, which is the median, with the odds that its own errors show; None until `calibrated`."""

    forecast: Points
    errors: SeasonalErrors | None = None

    def calibrated(self, days: StationDays, rows: Array) -> "Baseline":
        """Return the same with the odds that its errors on ``rows`` show."""
        errors = days.next_tmax[rows] - self.forecast.points(days, rows)
        return replace(self, errors=SeasonalErrors.fit(errors, days.dates[rows] + ONE_DAY))

    def quantiles(self, days: StationDays, rows: Array) -> Array:
        """Forecast from many issue days at once: the quantiles (n, 199), degC, of tmax on the day after each."""
        if self.errors is None:
            raise ValueError("a baseline without calibrated odds makes no forecast")
        off = self.errors.on(days.dates[rows] + ONE_DAY)
        return np.asarray(self.forecast.points(days, rows)[:, None] + off - off[:, [MEDIAN]])


@dataclass(frozen=True, eq=False)
class GaussianBaseline(Baseline):
    """What a regression on guidance says, odds and all; where guidance is missing, what `forecast` says."""

    regression: Emos = field(kw_only=True)

    def quantiles(self, days: StationDays, rows: Array) -> Array:
        """Forecast from many issue days at once: the quantiles (n, 199), degC, of tmax on the day after each."""
        otherwise, said = super().quantiles(days, rows), self.regression.quantiles(days, rows)
        return np.where(np.isfinite(said), said, otherwise)


def baselines(days: StationDays, rows: Array) -> dict[str, Baseline]:
    """Return persistence and the climatology of ``rows``, not yet calibrated; and where there is guidance, that.

    Guidance is "guidance", as it is, and "emos", the regression on it that is fitted to ``rows``, which ascend.
    """
    normal = Normal.fit(days, rows)
    found = {"persistence": Baseline(Persistence()), "climatology": Baseline(normal)}
    there = np.isfinite(raw_point(days)[rows[-LATEST:]])
    since = there[there.argmax() :]
    if there.sum() >= max(ENOUGH, len(since) / 2):
        found["guidance"] = Baseline(RawGuidance(normal))
        found["emos"] = GaussianBaseline(normal, regression=Emos.fit(days, rows))
    return found
