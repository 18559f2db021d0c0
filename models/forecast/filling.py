"""Gaps in windows of measured columns, filled as the table of columns says."""

import numpy as np

from models.nn import Array
from models.record.columns import TMAX, Column


def filled(column: Column, window: Array, fill: float, before: list[Array]) -> Array:
    """Fill the windows (B, T) of a column; ``before`` holds the filled windows of the previous columns, tmax first."""
    if column.fill == "autoregression":
        return bridged(window, fill)
    return np.where(np.isnan(window), fill * before[TMAX] if column.fill == "regression" else fill, window)


def bridged(anomalies: Array, persistence: float) -> Array:
    """Fill the gaps in windows (B, T) of anomalies with the expectation of a first-order autoregression.

    ::

        E[a_t | a_(t-i), a_(t+j)] = (r^i (1 - r^2j) a_(t-i) + r^j (1 - r^2i) a_(t+j)) / (1 - r^2(i+j))

    with r the persistence: near an observed day close to its value, in a long gap close to zero, the normal. A side
    without an observed day counts as infinitely far away.
    """
    missing = np.isnan(anomalies)
    if not missing.any():
        return anomalies
    T = anomalies.shape[1]
    steps = np.broadcast_to(np.arange(T), anomalies.shape)
    before = np.maximum.accumulate(np.where(missing, -1, steps), axis=1)[missing]
    after = np.minimum.accumulate(np.where(missing, T, steps)[:, ::-1], axis=1)[:, ::-1][missing]
    window, step = np.nonzero(missing)
    left = np.where(before < 0, 0.0, persistence ** (step - before))
    right = np.where(after == T, 0.0, persistence ** (after - step))
    a_left, a_right = anomalies[window, np.maximum(before, 0)], anomalies[window, np.minimum(after, T - 1)]
    a_left, a_right = (np.where(np.isnan(side), 0.0, side) for side in (a_left, a_right))
    out = anomalies.copy()
    out[missing] = (left * (1 - right**2) * a_left + right * (1 - left**2) * a_right) / (1 - (left * right) ** 2)
    return out
