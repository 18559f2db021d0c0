"""What the errors of the last days tell: the running error of the location, and the running factor of the scale."""

import numpy as np

from models.nn import Array

# Square of the t statistic beyond which a mean error is significant: t = 3.
SIGNIFICANT_T2 = 9.0

# Variance of the mean of the autocorrelated daily errors, relative to that of independent errors.
AUTOCORRELATION_FACTOR = 1.5

# Variance of the logistic distribution of scale 1.
LOGISTIC_VARIANCE = np.pi**2 / 3


def running_error(errors: Array, scales: Array, decay: float, prior_days: float) -> Array:
    """Return the running error (n,) in the unit of the ``errors`` (n, T), ``nan`` where missing.

    The weighted mean of the errors is shrunk by ``prior_days`` of no error or, where it is significant, less: by the
    factor 1 - `SIGNIFICANT_T2` / t^2, with t the mean in units of its standard deviation (James and Stein, 1961). So a
    lasting step is followed within weeks.

    Parameters
    ----------
    scales : (n, T), of the logistic distributions forecast for the errors
    decay : weight of a day relative to the day after
    """
    known = ~np.isnan(errors)
    weights = known * decay ** np.arange(errors.shape[1])[::-1]
    total = np.maximum(weights.sum(axis=1), 1e-9)
    mean = (weights * np.where(known, errors, 0.0)).sum(axis=1) / total
    squares = (weights**2 * np.where(known, scales, 0.0) ** 2).sum(axis=1)
    variance = AUTOCORRELATION_FACTOR * LOGISTIC_VARIANCE * squares / total**2
    if_significant = 1 - SIGNIFICANT_T2 * variance / np.maximum(mean**2, 1e-12)
    return np.asarray(mean * np.maximum(total / (total + prior_days), if_significant))


def running_factor(errors: Array, scales: Array, typical: float, prior_days: float) -> Array:
    """Return the factor (n,) by which the last errors (n, T) exceeded their forecast ``scales`` (n, T), on the mean.

    It is shrunk towards 1 by ``prior_days``; ``typical`` is the mean absolute error, in scales, of the calibration.
    """
    known = ~np.isnan(errors)
    relative = np.where(known, np.abs(errors) / scales, 0.0).sum(axis=1) / typical
    return np.asarray((relative + prior_days) / (known.sum(axis=1) + prior_days))
