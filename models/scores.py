"""Verification: how good forecasts were, by the measures weather services use.

The error is forecast - observed, as the services have it, in degC; so are the scores, unless they say otherwise. An
empty input, or one of another shape than its partner, is a ValueError. NaN is not expected and not looked for: what
was not observed must be left out first, or it makes a mean NaN and counts as a miss in a share.

References
----------
WWRP/WGNE Joint Working Group on Forecast Verification Research, Forecast verification: issues, methods and FAQ,
https://www.cawcr.gov.au/projects/verification/;
Wilks (2019), Statistical methods in the atmospheric sciences, 4th edition, chapter 9;
Jolliffe and Stephenson (2012), Forecast verification, 2nd edition.
"""

from collections.abc import Sequence

import numpy as np

from models.nn import Array

# Temperatures nearer to each other than this, degC, are equal. Stations report tenths, and binary fractions do not hold
# them: 10.3 - 5.3 comes out above 5. Without it an error of exactly the limit would fall on either side by chance.
ROUNDING = 1e-9


def mean_absolute_error(forecast: Array, observed: Array) -> float:
    """Mean absolute error: mean of |forecast - observed|; the median of the odds makes it smallest.

    Parameters
    ----------
    forecast, observed : (n,) degC

    Returns
    -------
    float, degC; 0 is perfect

    References
    ----------
    Willmott and Matsuura (2005), Advantages of the mean absolute error over the root mean square error.
    """
    return float(np.abs(_error(forecast, observed)).mean())


def root_mean_squared_error(forecast: Array, observed: Array) -> float:
    """Root mean squared error: square root of the mean of (forecast - observed)^2, which large errors dominate.

    Parameters
    ----------
    forecast, observed : (n,) degC

    Returns
    -------
    float, degC; 0 is perfect

    References
    ----------
    Wilks (2019), section 9.3.
    """
    return float(np.sqrt((_error(forecast, observed) ** 2).mean()))


def bias(forecast: Array, observed: Array) -> float:
    """Additive bias, or mean error: mean of forecast - observed.

    Parameters
    ----------
    forecast, observed : (n,) degC

    Returns
    -------
    float, degC; above 0 where forecasts are too warm, and 0 also where errors cancel

    References
    ----------
    Murphy (1988), Skill scores based on the mean square error and their relationships to the correlation coefficient.
    """
    return float(_error(forecast, observed).mean())


def error_standard_deviation(forecast: Array, observed: Array) -> float:
    """Error standard deviation: what is left of forecast - observed where the bias is taken off.

    ::

        RMSE^2 = bias^2 + standard deviation^2

    which is exact because the variance is divided by n, not n - 1.

    Parameters
    ----------
    forecast, observed : (n,) degC

    Returns
    -------
    float, degC; 0 where all errors are the same

    References
    ----------
    Murphy (1988), Skill scores based on the mean square error and their relationships to the correlation coefficient.
    """
    return float(_error(forecast, observed).std())


def error_percentiles(forecast: Array, observed: Array, percentages: Sequence[float] = (5, 25, 50, 75, 95)) -> Array:
    """Percentiles of the error forecast - observed, interpolated linearly between the sorted errors.

    Parameters
    ----------
    forecast, observed : (n,) degC
    percentages : P numbers from 0 (the smallest error) to 100 (the largest)

    Returns
    -------
    (P,) degC

    References
    ----------
    Hyndman and Fan (1996), Sample quantiles in statistical packages, definition 7.
    """
    return np.asarray(np.percentile(_error(forecast, observed), percentages))


def share_within(forecast: Array, observed: Array, limit: float) -> float:
    """Share of forecasts with |forecast - observed| <= limit.

    Services state it for 1, 2 and 3 degC. It is easy to understand but can be hedged, so it stands beside a proper
    score and does not replace one.

    Parameters
    ----------
    forecast, observed : (n,) degC
    limit : degC, itself within

    Returns
    -------
    float, no unit; 1 is perfect

    References
    ----------
    Leeuwenburg et al. (2024), scores: A Python package for verifying and evaluating models and predictions with xarray,
    where it is ``percent_within_x``.
    """
    return float((np.abs(_error(forecast, observed)) <= limit + ROUNDING).mean())


def share_missed_by(forecast: Array, observed: Array, limit: float) -> float:
    """Share of forecasts with |forecast - observed| >= limit: the large misses, at 5 degC for example.

    With `share_within` of the same limit it sums to 1, but for errors of exactly the limit, which are in both.

    Parameters
    ----------
    forecast, observed : (n,) degC
    limit : degC, itself missed

    Returns
    -------
    float, no unit; 0 is perfect

    References
    ----------
    As of `share_within`.
    """
    return float((np.abs(_error(forecast, observed)) >= limit - ROUNDING).mean())


def skill(score: float, reference_score: float) -> float:
    """Skill score: the share of the reference's error that is saved, 1 - score / reference.

    Parameters
    ----------
    score, reference_score : of one kind, in one unit, and 0 where perfect

    Returns
    -------
    float, no unit; 1 is perfect, 0 no better than the reference, below 0 worse. Where the reference is perfect there is
    nothing to save, and the skill is 0.

    References
    ----------
    Murphy (1988), Skill scores based on the mean square error and their relationships to the correlation coefficient.
    """
    return 1.0 - score / reference_score if reference_score else 0.0


def coverage(low: Array, high: Array, observed: Array) -> float:
    """Share of observations within their interval, ends included.

    Parameters
    ----------
    low, high, observed : (n,) degC

    Returns
    -------
    float, no unit; best where it is the level of the intervals

    References
    ----------
    Gneiting, Balabdaoui and Raftery (2007), Probabilistic forecasts, calibration and sharpness.
    """
    _check_same_shape(low=low, high=high, observed=observed)
    return float(((low - ROUNDING <= observed) & (observed <= high + ROUNDING)).mean())


def interval_score(low: Array, high: Array, observed: Array, level: float) -> float:
    """Interval score, or Winkler score: the width of the interval, and a penalty for each observation outside.

    ::

        mean of (high - low) + 2 / (1 - level) (low - observed)    where observed < low
                (high - low) + 2 / (1 - level) (observed - high)   where observed > high
                (high - low)                                       between

    Narrow intervals that hold what they promise make it smallest: it is proper for the central interval.

    Parameters
    ----------
    low, high : (n,) degC, the quantiles of (1 - level) / 2 and (1 + level) / 2
    observed : (n,) degC
    level : what share the interval promises to cover, between 0 and 1

    Returns
    -------
    float, degC; smaller is better

    References
    ----------
    Winkler (1972), A decision-theoretic approach to interval estimation;
    Gneiting and Raftery (2007), Strictly proper scoring rules, prediction, and estimation, eq. 43.
    """
    _check_same_shape(low=low, high=high, observed=observed)
    if not 0 < level < 1:
        raise ValueError(f"level={level} is not possible: it must be between 0 and 1")
    if (low > high).any():
        raise ValueError("an interval has its low end above its high end")
    outside = np.maximum(low - observed, 0) + np.maximum(observed - high, 0)
    return float((high - low + 2 / (1 - level) * outside).mean())


def pinball_loss(quantiles: Array, probabilities: Array, observed: Array) -> Array:
    """Pinball loss, or quantile score, of each probability p; the quantile of p makes it smallest.

    ::

        mean of p (observed - quantile)        where the quantile is too low
                (1 - p) (quantile - observed)  where it is too high

    Parameters
    ----------
    quantiles : (n, K) degC
    probabilities : (K,) between 0 and 1
    observed : (n,) degC

    Returns
    -------
    (K,) degC; smaller is better, and half of the mean absolute error at p = 0.5

    References
    ----------
    Koenker and Bassett (1978), Regression quantiles;
    Gneiting (2011), Quantiles as optimal point forecasts.
    """
    _check_quantiles(quantiles, probabilities, observed)
    difference = observed[:, None] - quantiles
    return np.asarray(np.maximum(probabilities * difference, (probabilities - 1) * difference).mean(axis=0))


def crps_of_days(quantiles: Array, probabilities: Array, observed: Array) -> Array:
    """Continuous ranked probability score of each forecast, (n,) degC; `crps_from_quantiles` is their mean."""
    _check_quantiles(quantiles, probabilities, observed)
    difference = observed[:, None] - quantiles
    return np.asarray(2 * np.maximum(probabilities * difference, (probabilities - 1) * difference).mean(axis=1))


def crps_from_quantiles(quantiles: Array, probabilities: Array, observed: Array) -> float:
    """Continuous ranked probability score, as twice the mean pinball loss over evenly spaced quantiles.

    ::

        mean of the integral of (F(x) - [x >= observed])^2 dx,  which is the integral of 2 pinball(p) dp from 0 to 1

    where F is the cumulative distribution; the mean over K probabilities approaches it as K grows.

    Parameters
    ----------
    quantiles : (n, K) degC
    probabilities : (K,) between 0 and 1, evenly spaced and symmetric about 0.5
    observed : (n,) degC

    Returns
    -------
    float, degC; 0 is perfect, and it is the mean absolute error where all quantiles are the same number

    References
    ----------
    Matheson and Winkler (1976), Scoring rules for continuous probability distributions;
    Gneiting and Ranjan (2011), Comparing density forecasts using threshold- and quantile-weighted scoring rules.
    """
    return float(crps_of_days(quantiles, probabilities, observed).mean())


def probability_integral_transform(quantiles: Array, probabilities: Array, observed: Array) -> Array:
    """Probability integral transform (PIT): F(observed), the probability that the forecast gave to at most this.

    The cumulative distribution F is linear between the quantiles. Quantiles say nothing of what is beyond them: an
    observation below the lowest gets half of the probability there, p_1 / 2, one above the highest p_K + (1 - p_K) / 2.
    Where quantiles are equal F jumps, and an observation there gets the middle of the jump, for which other authors
    draw a random number: the same forecasts always give the same values.

    Parameters
    ----------
    quantiles : (n, K) degC, ascending along K
    probabilities : (K,) between 0 and 1, ascending
    observed : (n,) degC

    Returns
    -------
    (n,) no unit, between 0 and 1; evenly spread where the odds are honest

    References
    ----------
    Dawid (1984), Statistical theory: the prequential approach;
    Gneiting, Balabdaoui and Raftery (2007), Probabilistic forecasts, calibration and sharpness;
    Parzen (2004), Quantile probability and statistical data modeling, for the middle of a jump.
    """
    _check_quantiles(quantiles, probabilities, observed)
    if (np.diff(probabilities) <= 0).any() or (np.diff(quantiles) < -ROUNDING).any():
        raise ValueError("probabilities must ascend, and the quantiles of each row with them")
    below, above = probabilities[0] / 2, (1 + probabilities[-1]) / 2
    rows = zip(quantiles, observed, strict=True)
    pit = np.array([np.interp(y, row, probabilities, left=below, right=above) for row, y in rows])
    first = (quantiles < observed[:, None] - ROUNDING).sum(axis=1)
    end = (quantiles <= observed[:, None] + ROUNDING).sum(axis=1)
    at_quantile = first < end
    pit[at_quantile] = (probabilities[first[at_quantile]] + probabilities[end[at_quantile] - 1]) / 2
    return pit


def pit_histogram(pit: Array, n_bins: int = 10) -> Array:
    """Shares of the PIT values in bins of equal width from 0 to 1.

    Flat where the odds are honest; a valley where they are too narrow, a hill where too wide, a slope where biased.

    Parameters
    ----------
    pit : (n,) between 0 and 1, of `probability_integral_transform`
    n_bins : each holds its lower edge, the last one its upper edge too

    Returns
    -------
    (n_bins,) no unit, summing to 1

    References
    ----------
    Gneiting, Balabdaoui and Raftery (2007), Probabilistic forecasts, calibration and sharpness.
    """
    _check_same_shape(pit=pit)
    if not ((pit >= 0) & (pit <= 1)).all():
        raise ValueError("PIT values must be from 0 to 1")
    counts, _ = np.histogram(pit, bins=n_bins, range=(0, 1))
    return np.asarray(counts / pit.size)


def _error(forecast: Array, observed: Array) -> Array:
    _check_same_shape(forecast=forecast, observed=observed)
    return forecast - observed


def _check_same_shape(**arrays: Array) -> None:
    """Refuse to score nothing, or to broadcast, which would compare each forecast with every observation."""
    shapes = [array.shape for array in arrays.values()]
    if len(set(shapes)) > 1:
        named = ", ".join(f"{name} {shape}" for name, shape in zip(arrays, shapes, strict=True))
        raise ValueError(f"the shapes must be the same: {named}")
    if 0 in shapes[0]:
        raise ValueError(f"there is nothing to score: {' and '.join(arrays)} are empty")


def _check_quantiles(quantiles: Array, probabilities: Array, observed: Array) -> None:
    if observed.ndim != 1 or probabilities.ndim != 1 or quantiles.shape != (len(observed), len(probabilities)):
        raise ValueError(
            f"quantiles must be (n, K) for observed (n,) and probabilities (K,), "
            f"not {quantiles.shape} for {observed.shape} and {probabilities.shape}"
        )
    if not quantiles.size:
        raise ValueError(f"there is nothing to score: quantiles are empty, {quantiles.shape}")
    if not ((probabilities > 0) & (probabilities < 1)).all():
        raise ValueError(f"probabilities={probabilities} are not possible: each must be between 0 and 1")
