"""Honest odds: how far off forecasts were on days that trained nothing says how far off the next may be."""

from dataclasses import dataclass

import numpy as np

from models.climatology import day_of_year
from models.nn import Array

# Where distributions are kept: 0.005, 0.010, ..., 0.995, enough for any level from 0.05 to 0.99.
PROBABILITIES = np.arange(1, 200) / 200
MEDIAN = 99

# The errors of a month are those of the days up to so many days from its middle.
HALF_WIDTH = 60
MONTHS, YEAR = 12, 365.25

# So many errors of a season count as much as those of the whole year.
SEASON_PRIOR = 1000

# So many errors count as much as the distribution that was assumed before any were seen.
ASSUMED_PRIOR = 400


@dataclass(frozen=True, eq=False)
class Distribution:
    """The distribution of what is forecast.

    Attributes
    ----------
    quantiles : (199,) degC, at `PROBABILITIES`
    n : how many errors its width was learned from
    """

    quantiles: Array
    n: int

    @property
    def highest_level(self) -> float:
        """The widest interval that can be vouched for: from the smallest of the errors to the largest."""
        return (self.n - 1) / (self.n + 1)

    def quantile(self, probability: float) -> float:
        """Return the temperature, degC, that is not exceeded with ``probability`` (0.005 to 0.995)."""
        return float(np.interp(probability, PROBABILITIES, self.quantiles))

    def exceedance(self, threshold: float) -> float:
        """Return the probability of more than ``threshold``, degC; beyond the outermost quantiles 0 or 1.

        Consistent with `quantile`: the probability of exceeding the quantile of p is 1 - p.
        """
        return 1.0 - float(np.interp(threshold, self.quantiles, PROBABILITIES, left=0.0, right=1.0))


@dataclass(frozen=True, eq=False)
class SeasonalErrors:
    """The distribution of errors, observed minus forecast, in units of the width that the network gave.

    Attributes
    ----------
    quantiles : (12, 199), at `PROBABILITIES`, in the middle of each twelfth of the year
    n : how many errors they were learned from
    """

    quantiles: Array
    n: int

    @classmethod
    def fit(cls, errors: Array, dates: Array, assumed: Array | None = None) -> "SeasonalErrors":
        """Learn from errors of rows that trained nothing (split conformal prediction).

        The k-th smallest of n errors has probability k / (n + 1): a new error, exchangeable with these, is as likely
        to fall into any of the n + 1 spaces between them. The quantiles of a season are drawn towards those of the
        year, the more so the fewer errors it has: `SEASON_PRIOR`. Those of the year are drawn likewise towards what
        was assumed, where anything was: `ASSUMED_PRIOR`.

        Parameters
        ----------
        errors : (n,), no unit
        dates : (n,) datetime64[D], of the days that were forecast
        assumed : (199,), no unit

        References
        ----------
        Vovk, Gammerman and Shafer (2005), Algorithmic learning in a random world;
        Vovk et al. (2017), Nonparametric predictive distributions based on conformal prediction.
        """
        year = _conformal(errors)
        if assumed is not None:
            weight = len(errors) / (len(errors) + ASSUMED_PRIOR)
            year = weight * year + (1 - weight) * assumed
        place = day_of_year(dates)
        table = np.empty((MONTHS, len(PROBABILITIES)))
        for month in range(MONTHS):
            distance = np.abs((place - (month + 0.5) * YEAR / MONTHS + YEAR / 2) % YEAR - YEAR / 2)
            near = errors[distance <= HALF_WIDTH]
            weight = len(near) / (len(near) + SEASON_PRIOR)
            table[month] = weight * _conformal(near) + (1 - weight) * year if len(near) else year
        return cls(table, len(errors))

    def check(self) -> None:
        """Raise a ValueError where these cannot have come from errors."""
        if self.quantiles.shape != (MONTHS, len(PROBABILITIES)) or (np.diff(self.quantiles) < 0).any():
            raise ValueError("the model's error quantiles do not ascend")

    def on(self, dates: Array) -> Array:
        """Return the quantiles (n, 199) of each date (n,), between those of the two twelfths of the year around it."""
        position = day_of_year(dates) / YEAR * MONTHS - 0.5
        first = np.floor(position).astype(int)
        share = (position - first)[:, None]
        return np.asarray((1 - share) * self.quantiles[first % MONTHS] + share * self.quantiles[(first + 1) % MONTHS])


def _conformal(errors: Array) -> Array:
    return np.asarray(np.quantile(errors, PROBABILITIES, method="weibull"))
