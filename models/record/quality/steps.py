"""A lasting step in tmax, as where a station has moved or a screen was replaced. It is told, never acted upon."""

from typing import NamedTuple

import numpy as np

from models.nn import Array
from models.record.days import StationDays
from models.record.quality.series import month_index

MIN_OBSERVED = 15  # days of a month, for its mean
SIDE, MIN_SIDE = 60, 12  # months compared on either side of a step, at most and at least
# Both must be reached. At 22 stations they are by one step, 3.1 degC at Sharjah in 1978; in 364 parts of 6, 12 or 30
# years of 41 stations, by one. Of steps of 3, 2 and 1 degC two years before the end of these they find 79, 55 and 13 %.
MIN_SIZE = 1.5  # degC
MIN_STATISTIC = 6.0  # the months are not independent: more than the 3 or so of independent ones
LEAST_DEVIATION = 0.1  # degC, of monthly anomalies


class Step(NamedTuple):
    """A lasting step of tmax."""

    date: np.datetime64  # first day of the first month after it
    size: float  # degC, positive where it became warmer

    def __str__(self) -> str:
        side, month = "higher" if self.size > 0 else "lower", self.date.astype("M8[M]")
        return f"tmax has been {abs(self.size):.1f} degC {side} since {month}: has the station moved?"


def lasting_step(days: StationDays) -> Step | None:
    """Return the most significant lasting step of tmax, if any.

    ::

        statistic = |m2 - m1| / (s sqrt(1 / n1 + 1 / n2))

    with m1 and m2 the means of the n1 and n2 monthly anomalies on either side and s their standard deviation within the
    sides. In a window of n months this is the standard normal homogeneity test, T = n statistic^2 / (n - 2 +
    statistic^2); windows of ten years leave a changing climate out.

    Reference: Alexandersson (1986), A homogeneity test applied to precipitation data.
    """
    months, anomalies = _monthly_anomalies(days)
    n = len(anomalies)
    if n < 2 * MIN_SIDE:
        return None
    at = np.arange(MIN_SIDE, n - MIN_SIDE + 1)  # the first month after a step
    first, last = np.maximum(at - SIDE, 0), np.minimum(at + SIDE, n)
    (m1, v1), (m2, v2) = _moments(anomalies, first, at), _moments(anomalies, at, last)
    n1, n2 = at - first, last - at
    deviation = np.maximum(np.sqrt((n1 * v1 + n2 * v2) / (n1 + n2)), LEAST_DEVIATION)
    size = m2 - m1
    statistic = np.abs(size) / (deviation * np.sqrt(1 / n1 + 1 / n2))
    statistic[np.abs(size) < MIN_SIZE] = 0.0
    best = int(np.argmax(statistic))
    if statistic[best] < MIN_STATISTIC:
        return None
    return Step(months[at[best]].astype("M8[D]"), float(size[best]))


def _monthly_anomalies(days: StationDays) -> tuple[Array, Array]:
    """Return the months (n,) with enough days, and how far their mean tmax is from the median of that month."""
    months = days.dates.astype("M8[M]")
    index, observed = (months - months[0]).astype(int), np.isfinite(days.tmax)
    count = np.bincount(index, observed)
    enough = np.flatnonzero(count >= MIN_OBSERVED)
    means = np.bincount(index, np.nan_to_num(days.tmax))[enough] / count[enough]
    of_year = month_index(months[0] + enough)
    usual = np.array([np.median(means[of_year == month]) if (of_year == month).any() else 0.0 for month in range(12)])
    return months[0] + enough, means - usual[of_year]


def _moments(values: Array, first: Array, last: Array) -> tuple[Array, Array]:
    """Return the mean and the variance of the values from ``first`` to ``last``, exclusive, (k,) each."""
    sums, squares = (np.append(0.0, np.cumsum(of)) for of in (values, values**2))
    mean, n = (sums[last] - sums[first]) / (last - first), last - first
    return mean, np.maximum((squares[last] - squares[first]) / n - mean**2, 0.0)
