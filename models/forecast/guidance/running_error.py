"""The running error of corrected guidance: quick to adapt when a provider changes its model, slow otherwise."""

import numpy as np

from models.nn import Array

# Weight of a day relative to the day after.
DAILY_DECAY = 0.95

# Prior weight, in days, of no error.
PRIOR_DAYS = 20.0

# Square of the t statistic beyond which the mean is significant: t = 3.
SIGNIFICANT_T2 = 9.0

# Variance of the mean of the autocorrelated daily errors, relative to that of independent errors.
AUTOCORRELATION_FACTOR = 1.5

# Variance of the logistic distribution of scale 1.
LOGISTIC_VARIANCE = np.pi**2 / 3


def running_error(errors: Array, scales: Array) -> Array:
    """Return the running error (n,) in the unit of the ``errors`` (n, T), ``nan`` where missing.

    The weighted mean of the errors is shrunk by `PRIOR_DAYS` or, where significant, less: by the factor
    1 - `SIGNIFICANT_T2` / t^2, with t the mean in units of its standard deviation (James and Stein, 1961). The
    ``scales`` (n, T) are those of the logistic distributions forecast for the errors.
    """
    known = ~np.isnan(errors)
    weights = known * DAILY_DECAY ** np.arange(errors.shape[1])[::-1]
    total = np.maximum(weights.sum(axis=1), 1e-9)
    mean = (weights * np.where(known, errors, 0.0)).sum(axis=1) / total
    squares = (weights**2 * np.where(known, scales, 0.0) ** 2).sum(axis=1)
    variance = AUTOCORRELATION_FACTOR * LOGISTIC_VARIANCE * squares / total**2
    if_significant = 1 - SIGNIFICANT_T2 * variance / np.maximum(mean**2, 1e-12)
    return np.asarray(mean * np.maximum(total / (total + PRIOR_DAYS), if_significant))
