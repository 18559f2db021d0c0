"""Codes for missing values in a column as it is written, before its units are converted."""

import numpy as np

from models.nn import Array
from models.record.columns import UNITS, Column

# Nines of any length, with and without decimals, and the limits of 16-bit integers (MeteoSwiss has 32767).
NINES = (99, 99.9, 99.99, 999, 999.9, 999.99, 9999, 9999.9, 9999.99, 99999, 99999.9, 999999)
CODES = np.array([*NINES, *(-nines for nines in NINES), 32767, -32767, -32768])
ALONE = 10.0  # a code is at least this far from the nearest measurement, in the unit of the column


def codes(values: Array, column: Column) -> Array:
    """Return which values (n,) are codes for a missing value, not measurements: (n,) bool.

    ``values`` are in the unit of their source, which need not be known; ``nan`` is no code. A value is a code if it is
    one of `CODES`, and either impossible for the column in each of its units, or far from all other values: by 10 and
    by the interquartile range of these, or, where the feature is a logarithm (rain), by the largest of them. So 99 degF
    in a hot summer and 99 mm in a wet one are measurements.
    """
    candidate = np.isin(values, CODES)
    if not candidate.any():
        return candidate
    rest = np.sort(values[np.isfinite(values) & ~candidate])
    low, high = _possible(column)
    found = candidate & ((values < low) | (values > high))
    if len(rest):
        least = rest[-1] if column.transform == "log1p" else np.subtract(*np.quantile(rest, (0.75, 0.25)))
        outside = np.maximum(rest[0] - values, values - rest[-1])
        found |= candidate & (outside >= max(ALONE, float(least)))
    return np.asarray(found)


def _possible(column: Column) -> tuple[float, float]:
    """Return the lowest and the highest value of a column that is possible in one of its units."""
    limits = []
    for units in UNITS:
        zero = column.to_metric(0.0, units)
        limits.append((np.array(column.limits) - zero) / (column.to_metric(1.0, units) - zero))
    return float(np.min(limits)), float(np.max(limits))
