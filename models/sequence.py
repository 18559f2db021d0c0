"""Which days are enough for an honest forecast."""

import numpy as np

from models.forecast import SequenceError
from models.nn import Array
from models.recipe import Recipe
from models.station_days import StationDays


def sequence(days: StationDays, recipe: Recipe) -> StationDays:
    """Return the days that a forecast from the last of ``days`` looks at.

    These are at most ``recipe.recommended_days``. They begin with the first tmax after the last gap that is too long to
    be bridged.

    Raises
    ------
    SequenceError : tmax is missing on the last day, or there are fewer than ``recipe.min_days`` such days
    """
    if np.isnan(days.tmax[-1]):
        raise SequenceError(f"tmax of the last day, {days.last}, is needed", days.last)
    recent = days.part(max(0, len(days) - recipe.recommended_days), len(days))
    observed = np.flatnonzero(~np.isnan(recent.tmax))
    long_gaps = np.flatnonzero(np.diff(observed) > recipe.max_gap + 1)
    start = observed[long_gaps[-1] + 1] if len(long_gaps) else observed[0]
    usable = recent.part(int(start), len(recent))
    if len(usable) >= recipe.min_days:
        return usable
    if len(long_gaps):
        gap = recent.dates[observed[long_gaps[-1]] + 1]
        raise SequenceError(
            f"tmax is missing on more than {recipe.max_gap} days in a row from {gap}, and after them there are too few "
            f"days: at least {recipe.min_days} up to {days.last} are needed",
            gap,
        )
    raise SequenceError(
        f"too few days: at least {recipe.min_days} in a row up to {days.last} are needed "
        f"({recipe.recommended_days} are recommended), the first with tmax; these begin on {usable.first}",
        usable.first,
    )


def first_rows(days: StationDays, recipe: Recipe) -> Array:
    """Return for each row (N,) the first of the days that `sequence` returns for it."""
    rows = np.arange(len(days))
    observed = ~np.isnan(days.tmax)
    # A long gap ends on a day whose last observed day before it is far: one before the record begins always is.
    before = np.append(-np.inf, np.maximum.accumulate(np.where(observed, rows, -np.inf))[:-1])
    after_long_gap = observed & (rows - before > recipe.max_gap + 1)
    stretch = np.maximum.accumulate(np.where(after_long_gap, rows, -1))
    next_observed = np.minimum.accumulate(np.where(observed, rows, len(days))[::-1])[::-1]
    return np.asarray(np.maximum(stretch, next_observed[np.maximum(rows - recipe.recommended_days + 1, 0)]))


def issue_rows(days: StationDays, recipe: Recipe) -> Array:
    """Return the rows (n,) from which `sequence` would find enough days."""
    enough = np.arange(len(days)) - first_rows(days, recipe) + 1 >= recipe.min_days
    return np.flatnonzero(~np.isnan(days.tmax) & enough)


def usable_rows(days: StationDays, recipe: Recipe) -> Array:
    """Return the rows (n,) of `issue_rows` on whose next day tmax was observed: what can train or be scored."""
    rows = issue_rows(days, recipe)
    return rows[~np.isnan(days.next_tmax[rows])]
