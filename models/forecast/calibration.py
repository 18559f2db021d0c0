"""Calibration: the error distribution of forecasts from rows not used in training."""

from dataclasses import dataclass

import numpy as np

from models.forecast.climatology import DAYS_PER_YEAR, day_of_year
from models.forecast.distribution import PROBABILITIES
from models.nn import Array

# Quantiles of the standard logistic distribution, which the loss assumes.
LOGISTIC = np.log(PROBABILITIES / (1 - PROBABILITIES))

# Errors within this many days of the middle of a month count for the month.
NEAR_DAYS = 60
MONTHS = 12

# Prior weight, in errors, of the whole year in the quantiles of a month.
SEASON_PRIOR = 1000

# Prior weight, in errors, of the assumed distribution in the quantiles of the year.
ASSUMED_PRIOR = 400


@dataclass(frozen=True, eq=False)
class SeasonalErrors:
    """The seasonal distribution of forecast errors (observed minus forecast), in units of the forecast scale.

    Raises ValueError where the quantiles do not ascend or are not (12, 199).
    """

    quantiles: Array  # (12, 199), at `PROBABILITIES`, in the middle of each twelfth of the year
    n: int  # number of errors

    def __post_init__(self) -> None:
        if self.quantiles.shape != (MONTHS, len(PROBABILITIES)) or (np.diff(self.quantiles) < 0).any():
            raise ValueError("the model's error quantiles do not ascend, or are not (12, 199)")

    @classmethod
    def fit(cls, errors: Array, dates: Array, assumed: Array | None = None) -> "SeasonalErrors":
        """Estimate from the errors of rows not used in training (split conformal prediction).

        The k-th smallest of n errors has probability k / (n + 1): a new, exchangeable error is equally likely to fall
        into each of the n + 1 spaces between them. The quantiles of a month are shrunk towards those of the year, by
        `SEASON_PRIOR`, and those of the year towards the assumed ones, if any, by `ASSUMED_PRIOR`.

        Parameters
        ----------
        errors : (n,), no unit
        dates : (n,) datetime64[D], the valid dates
        assumed : (199,), no unit

        References: Vovk, Gammerman and Shafer (2005), Algorithmic learning in a random world; Vovk et al. (2017),
        Nonparametric predictive distributions based on conformal prediction.
        """
        year = _conformal(errors)
        if assumed is not None:
            weight = len(errors) / (len(errors) + ASSUMED_PRIOR)
            year = weight * year + (1 - weight) * assumed
        day, half_year = day_of_year(dates), DAYS_PER_YEAR / 2
        table = np.empty((MONTHS, len(PROBABILITIES)))
        for month in range(MONTHS):
            middle = (month + 0.5) * DAYS_PER_YEAR / MONTHS
            distance = np.abs((day - middle + half_year) % DAYS_PER_YEAR - half_year)
            near = errors[distance <= NEAR_DAYS]
            weight = len(near) / (len(near) + SEASON_PRIOR)
            table[month] = weight * _conformal(near) + (1 - weight) * year if len(near) else year
        return cls(table, len(errors))

    def on(self, dates: Array) -> Array:
        """Return the quantiles (n, 199) on each date (n,), interpolated between the months."""
        position = day_of_year(dates) / DAYS_PER_YEAR * MONTHS - 0.5
        first = np.floor(position).astype(int)
        share = (position - first)[:, None]
        return np.asarray((1 - share) * self.quantiles[first % MONTHS] + share * self.quantiles[(first + 1) % MONTHS])


@dataclass(frozen=True, eq=False)
class Calibration:
    """What was fitted to the calibration rows, which are not used in training."""

    errors: SeasonalErrors
    shrinkage_weight: float  # fraction (0 to 1) of the networks' correction of the first guess that is kept
    # (sources, 2), relative increase of the scale if the latest value of a source is missing, and if all are; for tmax,
    # whose latest value is required, the value before it counts as the latest
    widening: Array
    typical_error: float  # mean absolute error, in scales


def _conformal(errors: Array) -> Array:
    return np.asarray(np.quantile(errors, PROBABILITIES, method="weibull"))
