"""Forecasts: predictive distributions of tomorrow's tmax."""

from dataclasses import dataclass, field

import numpy as np

from models.nn import Array
from models.record.columns import COLUMNS
from models.record.days import ONE_DAY, StationDays

# Probabilities of the stored quantiles: 0.005, 0.010, ..., 0.995, enough for any interval from 5 to 99 %.
PROBABILITIES = np.arange(1, 200) / 200
MEDIAN = 99

# The tails beyond the outermost quantiles decay as from this position (0.025) to the outermost quantile.
TAIL_START = 4

# Smallest decay scale of the tails, degC.
MIN_TAIL_SCALE = 0.01


@dataclass(frozen=True, eq=False)
class Distribution:
    """A predictive distribution."""

    quantiles: Array  # (199,) degC, at `PROBABILITIES`
    n: int  # number of errors in its calibration

    @property
    def highest_level(self) -> float:
        """The level of the widest interval that the calibration supports: from the smallest error to the largest."""
        return (self.n - 1) / (self.n + 1)

    def quantile(self, probability: float) -> float:
        """Return the quantile, degC, at ``probability`` (0.005 to 0.995)."""
        return float(np.interp(probability, PROBABILITIES, self.quantiles))

    def exceedance(self, threshold: float) -> float:
        """Return the probability of exceeding ``threshold``, degC.

        Consistent with `quantile`: the probability of exceeding the quantile at p is 1 - p. Beyond the outermost
        quantiles it does not jump to 0 or 1: the tails are exponential, as those of the logistic distribution::

            P(T > q_K + y) = (1 - p_K) exp(-y / d),    d = (q_K - q_k) / log((1 - p_k) / (1 - p_K))

        with p_K = 0.995, p_k = 0.975; below the lowest quantile likewise.
        """
        q, p = self.quantiles, PROBABILITIES[0]
        if threshold > q[-1]:
            return float(p * np.exp((q[-1] - threshold) / _tail_scale(q[-1] - q[-1 - TAIL_START])))
        if threshold < q[0]:
            return 1.0 - float(p * np.exp((threshold - q[0]) / _tail_scale(q[TAIL_START] - q[0])))
        return 1.0 - float(np.interp(threshold, q, PROBABILITIES))


def _tail_scale(distance: float) -> float:
    return max(distance / float(np.log(PROBABILITIES[TAIL_START] / PROBABILITIES[0])), MIN_TAIL_SCALE)


@dataclass(frozen=True)
class Forecast:
    """Tomorrow's tmax, degC."""

    issued: np.datetime64  # the issue date: the last day of the sequence
    distribution: Distribution = field(repr=False)
    days: int  # number of days used
    filled: tuple[tuple[np.datetime64, str], ...] = ()  # (date, column) of each missing value in the model's columns
    notes: tuple[str, ...] = ()  # for the reader, one sentence each

    @property
    def valid(self) -> np.datetime64:
        """The valid date: the calendar day after the issue date."""
        return self.issued + ONE_DAY

    @property
    def tmax(self) -> float:
        """The median."""
        return self.distribution.quantile(0.5)

    def interval(self, level: float) -> tuple[float, float]:
        """Return the central interval, degC, of probability ``level`` (0.05 to 0.99)."""
        return self.distribution.quantile((1 - level) / 2), self.distribution.quantile((1 + level) / 2)

    def exceedance(self, threshold: float) -> float:
        """Return the probability of exceeding ``threshold``, degC."""
        return self.distribution.exceedance(threshold)


def missing_values(days: StationDays, columns: tuple[str, ...]) -> tuple[tuple[np.datetime64, str], ...]:
    """Return (date, column) of each missing value of the measured ``columns``."""
    if not (absent := np.isnan(days.values)).any():
        return ()
    dates = days.dates
    missing = ((dates[row], COLUMNS[column]) for row, column in np.argwhere(absent))
    return tuple((date, column) for date, column in missing if column in columns)
