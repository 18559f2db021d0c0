"""Seasonal normals of a station, and standardised anomalies."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.nn import Array

# Number of harmonics of the annual cycle in the mean and in the spread.
MEAN_WAVES, SPREAD_WAVES = 3, 2

# Lower limits of the spread: as a fraction of its annual mean, and in degC.
MIN_SPREAD_SHARE, MIN_SPREAD = 0.3, 0.1

# Ridge penalty of the harmonics, in days: part of a year does not determine them.
WAVE_PRIOR_DAYS = 10.0

# Ridge penalty of the trend, which is halved for 23 years of data, divided by 13 for ten, almost zero for four.
TREND_PRIOR = 3650.0
DAYS_PER_YEAR = 365.25
DAYS_PER_DECADE = 10 * DAYS_PER_YEAR

DAYS_OF_YEAR = np.arange(366)


@dataclass(frozen=True, eq=False)
class Climatology:
    """Seasonal mean and spread of a quantity, each a constant and harmonics of the annual cycle, and a linear trend."""

    mean: Array  # (1 + 2 * MEAN_WAVES,) coefficients of the mean
    spread: Array  # (1 + 2 * SPREAD_WAVES,) coefficients of the standard deviation around it
    trend: float  # change per decade
    origin: np.datetime64  # the day on which the trend is zero

    def __post_init__(self) -> None:
        if self.mean.shape != (1 + 2 * MEAN_WAVES,) or self.spread.shape != (1 + 2 * SPREAD_WAVES,):
            raise ValueError("the model's climatology has the wrong number of harmonics")

    @classmethod
    def fit(cls, dates: Array, values: Array) -> "Climatology":
        """Fit to the ``values`` (n,) on ``dates``, ``nan`` where missing, by least squares with ridge penalties."""
        observed = ~np.isnan(values)
        dates, values = dates[observed], values[observed]
        if not len(values):
            origin = np.datetime64("2000-01-01", "D")
            return cls(np.zeros(1 + 2 * MEAN_WAVES), np.ones(1 + 2 * SPREAD_WAVES), 0.0, origin)
        origin = dates[0] + (dates[-1] - dates[0]) // 2
        decades = (dates - origin).astype(float) / DAYS_PER_DECADE
        day = day_of_year(dates)
        design = np.column_stack([_waves(day, MEAN_WAVES), decades])
        prior = np.diag([1e-6, *np.full(2 * MEAN_WAVES, WAVE_PRIOR_DAYS), TREND_PRIOR])
        coefficients = np.linalg.solve(design.T @ design + prior, design.T @ values)
        departure = np.abs(values - design @ coefficients)
        # The mean absolute value of a normal variable is sqrt(2 / pi) of its standard deviation.
        spread = _shrunk_fit(_waves(day, SPREAD_WAVES), departure * np.sqrt(np.pi / 2))
        return cls(coefficients[:-1], spread, float(coefficients[-1]), origin)

    @property
    def warmest(self) -> float:
        """Phase of the annual cycle, radians, at which the first harmonic of the mean peaks."""
        return float(np.arctan2(self.mean[1], self.mean[2]))

    def on(self, dates: Array, day: Array | None = None) -> tuple[Array, Array]:
        """Return the normal of each date, whose `day_of_year` is ``day``, and the spread around it, (n,) each."""
        mean, spread = self.by_day
        day = day_of_year(dates) if day is None else day
        decades = (dates - self.origin).astype(float) / DAYS_PER_DECADE
        return mean[day] + self.trend * decades, spread[day]

    @cached_property
    def by_day(self) -> tuple[Array, Array]:
        """Mean, without the trend, and spread by day of the year, (366,) each."""
        least = max(MIN_SPREAD, MIN_SPREAD_SHARE * float(self.spread[0]))
        mean, spread = _waves(DAYS_OF_YEAR, MEAN_WAVES) @ self.mean, _waves(DAYS_OF_YEAR, SPREAD_WAVES) @ self.spread
        return mean, np.maximum(spread, least)

    def anomaly(self, dates: Array, values: Array, day: Array | None = None) -> Array:
        """Return the standardised anomalies (n,), in spreads from the normal; ``day`` as in `on`."""
        mean, spread = self.on(dates, day)
        return np.asarray((values - mean) / spread)


def day_of_year(dates: Array) -> Array:
    """Return the day of the year (n,), int, from zero: 0 is 1 January, 365 is 31 December of a leap year."""
    return np.asarray((dates - dates.astype("M8[Y]").astype("M8[D]")).astype(int))


def season(day: Array, waves: int = 1, since: float = 0.0) -> Array:
    """Return the time of year as sines and cosines (n, 2 * waves), which have no jump at New Year.

    Parameters
    ----------
    day : (n,), see `day_of_year`
    waves : number of harmonics
    since : phase of the annual cycle, radians, that counts as zero
    """
    angle = 2 * np.pi * day / DAYS_PER_YEAR - since
    return np.column_stack([f(k * angle) for k in range(1, waves + 1) for f in (np.sin, np.cos)])


def _waves(day: Array, waves: int) -> Array:
    return np.column_stack([np.ones(len(day)), season(day, waves)])


def _shrunk_fit(design: Array, values: Array) -> Array:
    prior = np.diag([1e-6, *np.full(design.shape[1] - 1, WAVE_PRIOR_DAYS)])
    return np.asarray(np.linalg.solve(design.T @ design + prior, design.T @ values))
