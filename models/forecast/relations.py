"""How the tmax of neighbours stands to the station's own, to notice where a neighbour has moved."""

from dataclasses import dataclass

import numpy as np

from models.nn import Array

# Days of the means whose standard deviation is fitted, and the fewest that tell anything.
MEAN_DAYS, MIN_DAYS = 45, 14

# A neighbour has moved where the mean difference of the anomalies is this many standard deviations from the usual: in
# 25 records no neighbour ever was. The deviation is at least so many spreads.
MOVED, MIN_DEVIATION = 5.0, 0.02


@dataclass(frozen=True, eq=False)
class Relations:
    """The differences of the tmax anomalies of neighbours from the station's own, in spreads."""

    usual: Array  # (neighbours,), mean
    deviation: Array  # (neighbours,), standard deviation of means of `MEAN_DAYS`

    @classmethod
    def fit(cls, difference: Array) -> "Relations":
        """Fit to the differences (n, neighbours) of the training rows, ``nan`` where missing."""
        found = [_mean(part) for part in np.array_split(difference, max(len(difference) // MEAN_DAYS, 1))]
        means = np.array([np.where(n >= MIN_DAYS, mean, np.nan) for mean, n in found])
        known = [column[~np.isnan(column)] for column in means.T]
        usual, deviation = (np.array([f(of) if len(of) else 0.0 for of in known]) for f in (np.mean, np.std))
        return cls(usual, deviation)

    def moved(self, difference: Array) -> Array:
        """Return which neighbours have moved (B, neighbours), by the differences (B, T, neighbours) of windows."""
        mean, n = _mean(difference.swapaxes(0, 1))
        # The fewer days, the more a mean varies.
        deviation = np.maximum(self.deviation, MIN_DEVIATION) * np.sqrt(np.maximum(MEAN_DAYS / np.maximum(n, 1), 1))
        return np.asarray((n >= MIN_DAYS) & (np.abs(mean - self.usual) > MOVED * deviation))


def _mean(values: Array) -> tuple[Array, Array]:
    """Return the mean over the first axis of the known values, zero where there are none, and their number."""
    known = ~np.isnan(values)
    n = known.sum(axis=0)
    return np.where(known, values, 0.0).sum(axis=0) / np.maximum(n, 1), n
