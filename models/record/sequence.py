"""The sequence of days that a forecast uses."""

import numpy as np

from models.nn import Array
from models.recipe import Recipe
from models.record.days import StationDays


class SequenceError(ValueError):
    """The sequence does not suffice for a forecast; ``date`` is the day at which it falls short."""

    def __init__(self, message: str, date: np.datetime64) -> None:
        super().__init__(message)
        self.date = date


def sequence(days: StationDays, recipe: Recipe) -> StationDays:
    """Return the days that a forecast from the last of ``days`` uses: at most ``recipe.recommended_days``.

    They begin with the first tmax after the last gap of more than ``recipe.max_gap`` days.

    Raises SequenceError where tmax is missing on the last day, or fewer than ``recipe.min_days`` days remain.
    """
    if np.isnan(days.tmax[-1]):
        raise SequenceError(f"tmax is missing on the last day, {days.last}; a forecast needs it", days.last)
    recent = days.part(max(0, len(days) - recipe.recommended_days), len(days))
    if len(recent) >= recipe.min_days and not np.isnan(recent.tmax).any():
        return recent
    observed = np.flatnonzero(~np.isnan(recent.tmax))
    long_gaps = np.flatnonzero(np.diff(observed) > recipe.max_gap + 1)
    start = observed[long_gaps[-1] + 1] if len(long_gaps) else observed[0]
    usable = recent.part(int(start), len(recent))
    if len(usable) >= recipe.min_days:
        return usable
    if len(long_gaps):
        gap = recent.dates[observed[long_gaps[-1]] + 1]
        raise SequenceError(
            f"tmax is missing on more than {recipe.max_gap} consecutive days from {gap}; at least {recipe.min_days} "
            f"days after that gap, up to {days.last}, are needed",
            gap,
        )
    raise SequenceError(
        f"too few days: at least {recipe.min_days} consecutive days up to {days.last} are needed, the first with tmax "
        f"({recipe.recommended_days} are recommended); these begin on {usable.first}",
        usable.first,
    )


def first_rows(days: StationDays, recipe: Recipe) -> Array:
    """Return the first row (N,) of the `sequence` that ends on each row."""
    rows = np.arange(len(days))
    observed = ~np.isnan(days.tmax)
    # A long gap ends on an observed day with the previous one too far back; the first observed day also ends one.
    before = np.append(-np.inf, np.maximum.accumulate(np.where(observed, rows, -np.inf))[:-1])
    after_long_gap = observed & (rows - before > recipe.max_gap + 1)
    since_gap = np.maximum.accumulate(np.where(after_long_gap, rows, -1))
    next_observed = np.minimum.accumulate(np.where(observed, rows, len(days))[::-1])[::-1]
    return np.asarray(np.maximum(since_gap, next_observed[np.maximum(rows - recipe.recommended_days + 1, 0)]))


def issue_rows(days: StationDays, recipe: Recipe) -> Array:
    """Return the rows (n,) whose `sequence` has enough days."""
    enough = np.arange(len(days)) - first_rows(days, recipe) + 1 >= recipe.min_days
    return np.flatnonzero(~np.isnan(days.tmax) & enough)
