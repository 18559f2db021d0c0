"""What is normal for the time of year at a station, and how far off it the days are."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from models.nn import Array

# Waves a year in the mean and in the spread.
MEAN_WAVES, SPREAD_WAVES = 3, 2

# The spread is never less than this share of its mean over the year, nor than a tenth of a degree.
LEAST_SPREAD_SHARE, LEAST_SPREAD = 0.3, 0.1

# The waves are shrunk as if so many days came without any: a part of a year does not determine them.
WAVE_PRIOR_DAYS = 10.0

# The prior that there is no trend: half of one is left of 23 years, a thirteenth of ten, next to nothing of four.
TREND_PRIOR = 3650.0
DAYS_A_DECADE = 3652.5


@dataclass(frozen=True, eq=False)
class Climatology:
    """The seasonal mean of a temperature and its spread, each a constant and a few waves a year; and a trend.

    Attributes
    ----------
    mean : (1 + 2 * MEAN_WAVES,) degC, coefficients of the mean
    spread : (1 + 2 * SPREAD_WAVES,) degC, coefficients of the standard deviation around it
    trend : degC a decade
    origin : the day on which the trend is zero
    """

    mean: Array
    spread: Array
    trend: float
    origin: np.datetime64

    @classmethod
    def fit(cls, dates: Array, values: Array) -> "Climatology":
        """Fit to what was observed, by least squares.

        The trend is shrunk towards zero, by `TREND_PRIOR`: a few years do not tell it from the weather.

        Parameters
        ----------
        dates, values : (n,) datetime64[D] and degC; ``nan`` is not observed
        """
        observed = ~np.isnan(values)
        dates, values = dates[observed], values[observed]
        if not len(values):
            return cls(
                np.zeros(1 + 2 * MEAN_WAVES), np.ones(1 + 2 * SPREAD_WAVES), 0.0, np.datetime64("2000-01-01", "D")
            )
        origin = dates[0] + (dates[-1] - dates[0]) // 2
        decades = (dates - origin).astype(float) / DAYS_A_DECADE
        day = day_of_year(dates)
        design = np.column_stack([_waves(day, MEAN_WAVES), decades])
        prior = np.diag([1e-6, *np.full(2 * MEAN_WAVES, WAVE_PRIOR_DAYS), TREND_PRIOR])
        coefficients = np.linalg.solve(design.T @ design + prior, design.T @ values)
        off = np.abs(values - design @ coefficients)
        # The mean absolute value of a normal variable is sqrt(2 / pi) of its standard deviation.
        spread = _shrunk(_waves(day, SPREAD_WAVES), off * np.sqrt(np.pi / 2))
        return cls(coefficients[:-1], spread, float(coefficients[-1]), origin)

    def to_state(self) -> dict[str, Any]:
        """Return arrays and plain values."""
        return {"mean": self.mean, "spread": self.spread, "trend": self.trend, "origin": str(self.origin)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Climatology":
        """Build what `to_state` described."""
        return cls(state["mean"], state["spread"], state["trend"], np.datetime64(state["origin"], "D"))

    @property
    def warmest(self) -> float:
        """Angle of the year, radians, at which the first wave of the mean is highest."""
        return float(np.arctan2(self.mean[1], self.mean[2]))

    def on(self, dates: Array) -> tuple[Array, Array]:
        """Return the normal and the standard deviation around it, (n,) degC each, of each date."""
        day, (mean, spread) = day_of_year(dates), self._of_year
        decades = (dates - self.origin).astype(float) / DAYS_A_DECADE
        return mean[day] + self.trend * decades, spread[day]

    @cached_property
    def _of_year(self) -> tuple[Array, Array]:
        """Mean, without the trend, and spread of every day of the year: a forecast looks them up."""
        least = max(LEAST_SPREAD, LEAST_SPREAD_SHARE * float(self.spread[0]))
        return _waves(YEAR, MEAN_WAVES) @ self.mean, np.maximum(_waves(YEAR, SPREAD_WAVES) @ self.spread, least)

    def anomaly(self, dates: Array, values: Array) -> Array:
        """Return how many standard deviations each value (n,) is off the normal of its date."""
        mean, spread = self.on(dates)
        return np.asarray((values - mean) / spread)


def day_of_year(dates: Array) -> Array:
    """Return the place (n,) of each date in its year, int: 0 is 1 January, 365 is 31 December of a leap year."""
    return np.asarray((dates - dates.astype("M8[Y]").astype("M8[D]")).astype(int))


# Every day of a leap year.
YEAR = np.arange(366)


def season(day: Array, waves: int = 1, since: float = 0.0) -> Array:
    """Describe the time of year by sines and cosines, which have no jump at the new year.

    Parameters
    ----------
    day : (n,) of the year, see `day_of_year`
    waves : how many: one a year, two a year, ...
    since : the angle of the year, radians, from which they are counted

    Returns
    -------
    (n, 2 * waves)
    """
    angle = 2 * np.pi * day / 365.25 - since
    return np.column_stack([f(k * angle) for k in range(1, waves + 1) for f in (np.sin, np.cos)])


def _waves(day: Array, waves: int) -> Array:
    return np.column_stack([np.ones(len(day)), season(day, waves)])


def _shrunk(design: Array, values: Array) -> Array:
    prior = np.diag([1e-6, *np.full(design.shape[1] - 1, WAVE_PRIOR_DAYS)])
    return np.asarray(np.linalg.solve(design.T @ design + prior, design.T @ values))
