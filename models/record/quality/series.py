"""Shared by the checks: findings, and the runs, neighbours and calendar positions of a daily series."""

from typing import NamedTuple

import numpy as np

from models.nn import Array

DAYS_OF_LEAP_YEAR = 366
_BEFORE_MONTH = np.array([0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335])


class Finding(NamedTuple):
    """Suspect values of one column, found together."""

    rows: Array  # (k,) int, ascending
    column: int  # index in `models.record.columns.COLUMNS`
    reason: str  # gives the limit and the number that exceeds it


def runs(values: Array) -> tuple[Array, Array]:
    """Return the first index and the length of each run of equal values."""
    if not len(values):
        return np.zeros(0, int), np.zeros(0, int)
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    return starts, np.diff(np.append(starts, len(values)))


def neighbours(values: Array) -> tuple[Array, Array]:
    """Return the nearest observed values before and after each row; ``nan`` where there is none."""
    return _latest_before(values), _latest_before(values[::-1])[::-1]


def _latest_before(values: Array) -> Array:
    """Return the latest observed value before each row of (N, ...); ``nan`` where there is none."""
    rows = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
    latest = np.maximum.accumulate(np.where(np.isfinite(values), rows, 0), axis=0)
    carried = np.take_along_axis(values, latest, axis=0)  # nan before the first observed value
    return np.concatenate([np.full_like(values[:1], np.nan), carried[:-1]])


def month_index(dates: Array) -> Array:
    """Return the months, 0 to 11."""
    return dates.astype("M8[M]").astype(int) % 12


def leap_day_of_year(dates: Array) -> Array:
    """Return the day of a leap year, 0 to 365: each calendar date has the same index in every year."""
    day = (dates - dates.astype("M8[M]").astype("M8[D]")).astype(int)
    return np.asarray(_BEFORE_MONTH[month_index(dates)] + day)


def span(dates: Array) -> str:
    """Return the first and the last date as text."""
    return f"from {dates[0]} to {dates[-1]}"
