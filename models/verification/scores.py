"""Verification scores, as used by weather services.

Unless stated otherwise, ``forecast`` and ``observed`` are (n,) degC, the error is forecast - observed, and the score is
in degC and 0 where perfect. Quantiles are (n, K) degC at K ``probabilities`` between 0 and 1.

Empty or mismatched input raises ValueError. Missing observations must be removed first: a ``nan`` makes a mean ``nan``
and is neither within a range nor beyond a limit in a share.

References: WWRP/WGNE Joint Working Group on Forecast Verification Research, Forecast verification: issues, methods and
FAQ, https://www.cawcr.gov.au/projects/verification/; Wilks (2019), Statistical methods in the atmospheric sciences, 4th
edition, chapter 9; Jolliffe and Stephenson (2012), Forecast verification, 2nd edition.
"""

from collections.abc import Sequence

import numpy as np

from models.nn import Array

# Temperatures closer than this, degC, are equal. Tenths are inexact in binary: 10.3 - 5.3 is above 5, and an error of
# exactly the limit would fall on either side by chance.
ROUNDING = 1e-9


def mean_absolute_error(forecast: Array, observed: Array) -> float:
    """Mean of |forecast - observed|; the median of the predictive distribution minimises it.

    Reference: Willmott and Matsuura (2005), Advantages of the mean absolute error over the root mean square error.
    """
    return float(np.abs(_error(forecast, observed)).mean())


def root_mean_squared_error(forecast: Array, observed: Array) -> float:
    """Square root of the mean of (forecast - observed)^2; dominated by large errors.

    Reference: Wilks (2019), section 9.3.
    """
    return float(np.sqrt((_error(forecast, observed) ** 2).mean()))


def bias(forecast: Array, observed: Array) -> float:
    """Mean of forecast - observed: positive where forecasts are too warm; 0 also where errors cancel.

    Reference: Murphy (1988), Skill scores based on the mean square error and their relationships to the correlation
    coefficient.
    """
    return float(_error(forecast, observed).mean())


def error_standard_deviation(forecast: Array, observed: Array) -> float:
    """Spread (standard deviation) of forecast - observed: the RMSE without the bias.

    RMSE^2 = bias^2 + standard deviation^2, exactly, because the variance is divided by n, not n - 1.

    Reference: Murphy (1988), see `bias`.
    """
    return float(_error(forecast, observed).std())


def error_percentiles(forecast: Array, observed: Array, percentages: Sequence[float] = (5, 25, 50, 75, 95)) -> Array:
    """Percentiles (P,) of forecast - observed, interpolated linearly.

    Reference: Hyndman and Fan (1996), Sample quantiles in statistical packages, definition 7.
    """
    return np.asarray(np.percentile(_error(forecast, observed), percentages))


def share_within(forecast: Array, observed: Array, limit: float) -> float:
    """Share of forecasts with |forecast - observed| <= limit, degC; 1 is perfect.

    Weather services report it for 1, 2 and 3 degC. It is easy to understand but can be hedged, so it complements a
    proper score and does not replace one.

    Reference: Leeuwenburg et al. (2024), scores: A Python package for verifying and evaluating models and predictions
    with xarray, where it is ``percent_within_x``.
    """
    return float((np.abs(_error(forecast, observed)) <= limit + ROUNDING).mean())


def share_missed_by(forecast: Array, observed: Array, limit: float) -> float:
    """Share of forecasts with |forecast - observed| >= limit, degC: the large errors, for example of 5 degC or more.

    Reference: see `share_within`; errors of exactly the limit count in both.
    """
    return float((np.abs(_error(forecast, observed)) >= limit - ROUNDING).mean())


def skill(score: float, reference_score: float) -> float:
    """Skill score 1 - score / reference: 1 is perfect, 0 equals the reference, below 0 is worse.

    Both are the same score, in the same unit, 0 where perfect. The skill against a perfect reference is 0.

    Reference: Murphy (1988), see `bias`.
    """
    return 1.0 - score / reference_score if reference_score else 0.0


def coverage(low: Array, high: Array, observed: Array) -> float:
    """Share of observations within their interval, ends included; ideally the level of the intervals.

    Reference: Gneiting, Balabdaoui and Raftery (2007), Probabilistic forecasts, calibration and sharpness.
    """
    _check_same_shape(low=low, high=high, observed=observed)
    return float(((low - ROUNDING <= observed) & (observed <= high + ROUNDING)).mean())


def interval_score(low: Array, high: Array, observed: Array, level: float) -> float:
    """Interval (Winkler) score: the width of the interval plus a penalty for each observation outside.

    ::

        mean of (high - low) + 2 / (1 - level) (low - observed)    where observed < low
                (high - low) + 2 / (1 - level) (observed - high)   where observed > high
                (high - low)                                       between

    It is proper for the central interval of ``level``, from quantile (1 - level) / 2 to (1 + level) / 2.

    References: Winkler (1972), A decision-theoretic approach to interval estimation; Gneiting and Raftery (2007),
    Strictly proper scoring rules, prediction, and estimation, eq. 43.
    """
    _check_same_shape(low=low, high=high, observed=observed)
    if not 0 < level < 1:
        raise ValueError(f"level={level} must be between 0 and 1")
    if (low > high).any():
        raise ValueError("an interval has its low end above its high end")
    outside = np.maximum(low - observed, 0) + np.maximum(observed - high, 0)
    return float((high - low + 2 / (1 - level) * outside).mean())


def pinball_loss(quantiles: Array, probabilities: Array, observed: Array) -> Array:
    """Pinball loss, or quantile score, (K,) for each probability p; minimised by the p-quantile.

    ::

        mean of p (observed - quantile)        where the quantile is too low
                (1 - p) (quantile - observed)  where it is too high

    References: Koenker and Bassett (1978), Regression quantiles; Gneiting (2011), Quantiles as optimal point forecasts.
    """
    return np.asarray(_pinball(quantiles, probabilities, observed).mean(axis=0))


def crps_by_day(quantiles: Array, probabilities: Array, observed: Array) -> Array:
    """Continuous ranked probability score (n,) of each forecast; `crps_from_quantiles` is their mean."""
    return np.asarray(2 * _pinball(quantiles, probabilities, observed).mean(axis=1))


def crps_from_quantiles(quantiles: Array, probabilities: Array, observed: Array) -> float:
    """Continuous ranked probability score, as twice the mean pinball loss over evenly spaced quantiles.

    ::

        mean of the integral of (F(x) - [x >= observed])^2 dx,  which is the integral of 2 pinball(p) dp from 0 to 1

    with F the cumulative distribution. The mean over K probabilities, evenly spaced and symmetric about 0.5, approaches
    it as K grows. It equals the mean absolute error where all quantiles are equal.

    References: Matheson and Winkler (1976), Scoring rules for continuous probability distributions; Gneiting and Ranjan
    (2011), Comparing density forecasts using threshold- and quantile-weighted scoring rules.
    """
    return float(crps_by_day(quantiles, probabilities, observed).mean())


def probability_integral_transform(quantiles: Array, probabilities: Array, observed: Array) -> Array:
    """Probability integral transform (PIT) (n,): F(observed), uniform if calibrated.

    The cumulative distribution F is linear between the quantiles, which ascend. An observation beyond them gets the
    middle of the tail probability: p_1 / 2 below the lowest, (1 + p_K) / 2 above the highest. Where quantiles are equal
    F jumps, and an observation there gets the middle of the jump (not a random point of it), to be reproducible.

    References: Dawid (1984), Statistical theory: the prequential approach; Gneiting, Balabdaoui and Raftery (2007),
    Probabilistic forecasts, calibration and sharpness; Parzen (2004), Quantile probability and statistical data
    modeling, for the middle of a jump.
    """
    _check_quantiles(quantiles, probabilities, observed)
    if (np.diff(probabilities) <= 0).any() or (np.diff(quantiles) < -ROUNDING).any():
        raise ValueError("probabilities must ascend, and so must the quantiles of each row")
    below, above = probabilities[0] / 2, (1 + probabilities[-1]) / 2
    rows = zip(quantiles, observed, strict=True)
    pit = np.array([np.interp(y, row, probabilities, left=below, right=above) for row, y in rows])
    first = (quantiles < observed[:, None] - ROUNDING).sum(axis=1)
    end = (quantiles <= observed[:, None] + ROUNDING).sum(axis=1)
    at_quantile = first < end
    pit[at_quantile] = (probabilities[first[at_quantile]] + probabilities[end[at_quantile] - 1]) / 2
    return pit


def pit_histogram(pit: Array, n_bins: int = 10) -> Array:
    """Histogram (n_bins,) of PIT values (n,): shares in equal bins from 0 to 1.

    It is flat for calibrated forecasts, U-shaped for too narrow, hump-shaped for too wide, and sloped for biased ones.
    Each bin includes its lower edge, the last one also its upper edge.

    Reference: Gneiting, Balabdaoui and Raftery (2007), Probabilistic forecasts, calibration and sharpness.
    """
    _check_same_shape(pit=pit)
    if not ((pit >= 0) & (pit <= 1)).all():
        raise ValueError("PIT values must be from 0 to 1")
    counts, _ = np.histogram(pit, bins=n_bins, range=(0, 1))
    return np.asarray(counts / pit.size)


def _pinball(quantiles: Array, probabilities: Array, observed: Array) -> Array:
    """Return the loss (n, K) of each quantile of each forecast."""
    _check_quantiles(quantiles, probabilities, observed)
    difference = observed[:, None] - quantiles
    return np.asarray(np.maximum(probabilities * difference, (probabilities - 1) * difference))


def _error(forecast: Array, observed: Array) -> Array:
    _check_same_shape(forecast=forecast, observed=observed)
    return forecast - observed


def _check_same_shape(**arrays: Array) -> None:
    """Raise ValueError for empty arrays, and for shapes that would broadcast each forecast to every observation."""
    shapes = [array.shape for array in arrays.values()]
    if len(set(shapes)) > 1:
        named = ", ".join(f"{name} {shape}" for name, shape in zip(arrays, shapes, strict=True))
        raise ValueError(f"the shapes must be the same: {named}")
    if 0 in shapes[0]:
        raise ValueError(f"nothing to score: {' and '.join(arrays)} are empty")


def _check_quantiles(quantiles: Array, probabilities: Array, observed: Array) -> None:
    if observed.ndim != 1 or probabilities.ndim != 1 or quantiles.shape != (len(observed), len(probabilities)):
        raise ValueError(
            f"quantiles must be (n, K) for observed (n,) and probabilities (K,), "
            f"not {quantiles.shape} for {observed.shape} and {probabilities.shape}"
        )
    if not quantiles.size:
        raise ValueError(f"nothing to score: quantiles are empty, {quantiles.shape}")
    if not ((probabilities > 0) & (probabilities < 1)).all():
        raise ValueError(f"probabilities={probabilities}: each must be between 0 and 1")
