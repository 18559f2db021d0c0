"""A table without names: which column is which, where its numbers leave no doubt."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from app.readers.cells import Table
from app.readers.dates import is_date
from app.readers.record import RecordError
from app.readers.values import numbers

MIN_ROWS = 5
WITHOUT_RAIN, WITH_RAIN = 3, 4  # columns
MOST = 0.95  # share of rows on which one column is not below the other


def names_of(rows: Sequence[Sequence[str]]) -> tuple[str, ...] | None:
    """Return the names of the columns of rows such as ``2012-01-31,5.6,-1.0,0``; None where they are in doubt.

    The first column is the date. Of the next two, the one that is nowhere below the other is tmax. A fourth, which is
    never negative, is rain.
    """
    width = len(rows[0])
    if (
        not WITHOUT_RAIN <= width <= WITH_RAIN
        or len(rows) < MIN_ROWS
        or any(len(row) != width for row in rows[:MIN_ROWS])
    ):
        return None
    rows = [row for row in rows if len(row) == width]
    if not all(is_date(row[0]) for row in rows[:MIN_ROWS]):
        return None
    columns = [numbers(pd.Series([row[at] for row in rows])) for at in range(1, width)]
    if any(wrong.any() or not np.isfinite(values).any() for values, wrong in columns):
        return None
    a, b = columns[0][0], columns[1][0]
    both = np.isfinite(a) & np.isfinite(b)
    if not both.any() or np.all(a[both] == b[both]):
        return None
    high = ("tmax", "tmin") if np.mean(a[both] >= b[both]) >= MOST else None
    low = ("tmin", "tmax") if np.mean(a[both] <= b[both]) >= MOST else None
    order = high or low
    if order is None or (width == WITH_RAIN and np.nanmin(columns[2][0]) < 0):
        return None
    return ("date", *order, *(["rain"] if width == WITH_RAIN else []))


def named(table: Table) -> Table:
    """Return a table with the names that its numbers show. Raises RecordError where they are in doubt."""
    found = names_of(table.sample)
    if found is None:
        raise RecordError(f"{table.name}: the columns have no names: add a line such as date,tmax,tmin,rain above them")
    return dataclasses.replace(table, names=found)
