"""Baselines: the reference forecasts that a useful model beats."""

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from models.forecast.calibration import SeasonalErrors
from models.forecast.climatology import Climatology
from models.forecast.distribution import MEDIAN
from models.forecast.guidance.features import MIN_KNOWN_DAYS, raw_point
from models.nn import Array
from models.record.days import ONE_DAY, StationDays
from models.verification.emos import Emos

# Guidance is a baseline if `MIN_KNOWN_DAYS` of this many last rows have it, and half of those since the first with it.
RECENT_DAYS = 365


class PointForecast(Protocol):
    """A point forecast."""

    def points(self, days: StationDays, rows: Array) -> Array:
        """Return tmax (n,), degC, on the day after each issue date."""


class Persistence:
    """Tomorrow's tmax is today's."""

    def points(self, days: StationDays, rows: Array) -> Array:
        """Return tmax (n,), degC, on each issue date."""
        return days.tmax[rows]


@dataclass(frozen=True, eq=False)
class SeasonalNormal:
    """Tomorrow's tmax is the seasonal normal."""

    climatology: Climatology

    @classmethod
    def fit(cls, days: StationDays, rows: Array) -> "SeasonalNormal":
        """Fit to tmax on the day after each of ``rows``."""
        return cls(Climatology.fit(days.dates[rows] + ONE_DAY, days.next_tmax[rows]))

    def points(self, days: StationDays, rows: Array) -> Array:
        """Return the normal (n,), degC, of the day after each issue date."""
        return self.climatology.on(days.dates[rows] + ONE_DAY)[0]


@dataclass(frozen=True, eq=False)
class RawGuidance:
    """Tomorrow's tmax is the uncorrected guidance, or the ``otherwise`` forecast where guidance is missing."""

    otherwise: PointForecast

    def points(self, days: StationDays, rows: Array) -> Array:
        """Return the guidance (n,), degC, for the day after each issue date."""
        guidance = raw_point(days)[rows]
        return np.where(np.isfinite(guidance), guidance, self.otherwise.points(days, rows))


@dataclass(frozen=True, eq=False)
class Baseline:
    """A point forecast, with a distribution from its own errors; ``errors`` is None until `calibrated`."""

    forecast: PointForecast
    errors: SeasonalErrors | None = None

    def calibrated(self, days: StationDays, rows: Array) -> "Baseline":
        """Return the baseline calibrated by its errors on ``rows``."""
        errors = days.next_tmax[rows] - self.forecast.points(days, rows)
        return replace(self, errors=SeasonalErrors.fit(errors, days.dates[rows] + ONE_DAY))

    def quantiles(self, days: StationDays, rows: Array) -> Array:
        """Return the quantiles (n, 199), degC, of tmax on the day after each issue date."""
        if self.errors is None:
            raise ValueError("the baseline is not calibrated; call calibrated() before quantiles()")
        errors = self.errors.on(days.dates[rows] + ONE_DAY)
        return np.asarray(self.forecast.points(days, rows)[:, None] + errors - errors[:, [MEDIAN]])


@dataclass(frozen=True, eq=False)
class EmosBaseline(Baseline):
    """The EMOS distribution, or that of ``forecast`` where guidance is missing."""

    regression: Emos = field(kw_only=True)

    def quantiles(self, days: StationDays, rows: Array) -> Array:
        """Return the quantiles (n, 199), degC, of tmax on the day after each issue date."""
        otherwise, quantiles = super().quantiles(days, rows), self.regression.quantiles(days, rows)
        return np.where(np.isfinite(quantiles), quantiles, otherwise)


def baselines(days: StationDays, rows: Array) -> dict[str, Baseline]:
    """Fit uncalibrated "persistence", "climatology" and, with guidance, "guidance" and "emos" to ascending ``rows``."""
    normal = SeasonalNormal.fit(days, rows)
    found = {"persistence": Baseline(Persistence()), "climatology": Baseline(normal)}
    known = np.isfinite(raw_point(days)[rows[-RECENT_DAYS:]])
    since = known[known.argmax() :]
    if known.sum() >= max(MIN_KNOWN_DAYS, len(since) / 2):
        found["guidance"] = Baseline(RawGuidance(normal))
        found["emos"] = EmosBaseline(normal, regression=Emos.fit(days, rows))
    return found
