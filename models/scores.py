"""Verification: how good forecasts were, by the measures weather services use.

Every score takes forecasts and observations of the same shape, in degC, and returns degC unless it says otherwise.
"""

import numpy as np

from models.nn import Array


def mean_absolute_error(forecast: Array, observed: Array) -> float:
    """Mean of abs(forecast - observed)."""
    return float(np.abs(forecast - observed).mean())


def root_mean_squared_error(forecast: Array, observed: Array) -> float:
    """Square root of the mean of (forecast - observed)^2."""
    return float(np.sqrt(((forecast - observed) ** 2).mean()))


def bias(forecast: Array, observed: Array) -> float:
    """Mean of forecast - observed: above zero where forecasts are too warm."""
    return float((forecast - observed).mean())


def skill(score: float, reference_score: float) -> float:
    """Share of the reference's error that is saved: 1 - score / reference; 0 is no better, 1 is perfect (no unit).

    Where the reference is perfect there is nothing to save, and the skill is 0.
    """
    return 1.0 - score / reference_score if reference_score else 0.0


def coverage(low: Array, high: Array, observed: Array) -> float:
    """Share of observations within their interval, ends included (no unit)."""
    return float(((low <= observed) & (observed <= high)).mean())


def crps_from_quantiles(quantiles: Array, probabilities: Array, observed: Array) -> float:
    """Continuous ranked probability score, as twice the mean pinball loss over evenly spaced quantiles.

    Parameters
    ----------
    quantiles : (n, K)
    probabilities : (K,)
    observed : (n,)

    References
    ----------
    Gneiting and Ranjan (2011), Comparing density forecasts using threshold- and quantile-weighted scoring rules.
    """
    difference = observed[:, None] - quantiles
    return float(2 * np.maximum(probabilities * difference, (probabilities - 1) * difference).mean())
