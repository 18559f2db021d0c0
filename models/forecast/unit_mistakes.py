"""Stretches of days in degF that are taken for degC, or the reverse."""

import numpy as np

from models.nn import Array

# A stretch of days is in the other units if its mean departure exceeds `MISFIT` standard deviations of such means, and
# after the conversion neither `FITS` of them nor this share of what it was. Measured: docs/decisions/0019.
MISFIT, FITS, SHARE = 4.0, 3.0, 0.5
MIN_STRETCH = 2  # days
WHOLE = 0.9  # of the best gain: then it is the whole sequence, although a day at its ends would do in both units
LONG_VARIANCE = 0.25**2  # of the mean departure of long stretches: months and years differ
CLIPPED = 12.0  # standard deviations, so that one typing error does not decide about a stretch


def misfitting_stretch(given: Array, converted: Array, persistence: float) -> Array:
    """Return the rows (k,) of the consecutive days that fit the station after a conversion only; none as a rule.

    The mean of standardised departures over n days has the variance of a first-order autoregression with the
    persistence r, (1 + r) / (1 - r) / n but at most 1, and that of months and years (`LONG_VARIANCE`).

    Parameters
    ----------
    given, converted : (n, columns), standardised departures from the seasonal normal before and after a conversion,
        ``nan`` where missing
    persistence : of tmax from one day to the next
    """
    known = ~np.isnan(given)
    days, n = (_by_stretch(np.asarray(of)) for of in (known.any(axis=1), known.sum(axis=1)))
    variance = np.minimum((1 + persistence) / (1 - persistence) / np.maximum(days, 1), 1.0) + LONG_VARIANCE
    before = np.where(known, np.clip(given, -CLIPPED, CLIPPED), 0.0)
    square = (_by_stretch(before.sum(axis=1)) / np.maximum(n, 1)) ** 2
    found = (days >= MIN_STRETCH) & (square > MISFIT**2 * variance)
    if not found.any():
        return np.arange(0)
    after = np.where(known, np.clip(converted, -CLIPPED, CLIPPED), 0.0)
    fit = (_by_stretch(after.sum(axis=1)) / np.maximum(n, 1)) ** 2
    found &= fit < np.minimum(FITS**2 * variance, SHARE**2 * square)
    gains = (np.abs(before) - np.abs(after)).sum(axis=1)
    gain, better = _by_stretch(gains), gains > 0
    ends = np.logical_and.outer(np.append(better, False), np.append(False, better))  # its first and its last day
    best = np.where(found & ends, gain, 0.0)
    if found[0, -1] and gain[0, -1] > WHOLE * best.max():
        return np.arange(len(given))
    return np.arange(*np.unravel_index(np.argmax(best), best.shape)) if best.any() else np.arange(0)


def _by_stretch(values: Array) -> Array:
    """Return the sums (n + 1, n + 1) of the values (n,) from row i to row j, exclusive; meaningless where j <= i."""
    total = np.append(0, np.cumsum(values))
    return np.asarray(total - total[:, None])
