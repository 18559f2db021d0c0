"""Honest odds: how far off the forecasts were on days that trained nothing says how far off the next may be."""

from dataclasses import dataclass

import numpy as np

from models.nn import Array

# Where the distribution is kept: 0.005, 0.010, ..., 0.995, enough for any level from 0.05 to 0.99.
PROBABILITIES = np.arange(1, 200) / 200


@dataclass(frozen=True, eq=False)
class ErrorDistribution:
    """The distribution of observed minus forecast.

    Attributes
    ----------
    errors : (199,) degC, its quantiles at `PROBABILITIES`
    n : how many errors it was learned from
    """

    errors: Array
    n: int

    @classmethod
    def fit(cls, errors: Array) -> "ErrorDistribution":
        """Learn from errors of rows that trained nothing (split conformal prediction).

        The k-th smallest of n errors has probability k / (n + 1): a new error, exchangeable with these, is as likely
        to fall into any of the n + 1 spaces between them.

        Parameters
        ----------
        errors : (n,) observed minus forecast, degC

        References
        ----------
        Vovk, Gammerman and Shafer (2005), Algorithmic learning in a random world;
        Vovk et al. (2017), Nonparametric predictive distributions based on conformal prediction.
        """
        return cls(np.quantile(errors, PROBABILITIES, method="weibull"), len(errors))

    @property
    def highest_level(self) -> float:
        """The widest interval that can be vouched for: from the smallest of the errors to the largest."""
        return (self.n - 1) / (self.n + 1)

    def quantile(self, probability: Array | float) -> Array:
        """Return the error, degC, that is not exceeded with ``probability`` (0.005 to 0.995)."""
        return np.asarray(np.interp(probability, PROBABILITIES, self.errors))

    def exceedance(self, error: float) -> float:
        """Return the probability that the error is larger than ``error``, degC; beyond the outermost quantiles 0 or 1.

        Consistent with `quantile`: the probability of exceeding the quantile of p is 1 - p.
        """
        return 1.0 - float(np.interp(error, self.errors, PROBABILITIES, left=0.0, right=1.0))
