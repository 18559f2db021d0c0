"""Plain CSV: a date and the measured columns, in any order; an unnamed first column is the date."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from app.readers.cells import iso_dates, numbers, read_cells, read_text, station_name
from app.readers.record import Record, RecordError
from models.record.columns import COLUMNS, TMAX, PredictorError, Units, chosen_predictors, column, measured_to_metric
from models.record.days import StationDays
from models.record.quality import SetAside

PREDICTOR_NAME = re.compile(r"[a-z0-9_]{1,64}")


def read_plain_csv(path: Path, units: Units, predictors: Sequence[str] = ()) -> Record:
    """Read the date, the measured columns, guidance and the ``predictors``; ignore other columns.

    Only the columns of date and tmax are required; values and days may be missing. Dates are ISO (2012-01-31 or
    2012/01/31), in any order; of a repeated date the first row is kept and the others are set aside.
    """
    table = _with_date(path, read_cells(path, read_text(path)))
    dates = iso_dates(path, table["date"])
    order = np.argsort(dates, kind="stable")
    dates = dates[order]
    measured = [numbers(path, table[name]) if name in table else np.full(len(table), np.nan) for name in COLUMNS]
    values = measured_to_metric(np.column_stack(measured)[order], units)
    repeated = np.append(False, dates[1:] == dates[:-1])
    known = {
        name: column(name).to_metric(numbers(path, table[name])[order], units)[~repeated]
        for name in _predictors(path, table, predictors)
    }
    set_aside = tuple(
        SetAside(date, name, float(value), "date repeated")
        for date, row in zip(dates[repeated], values[repeated], strict=True)
        for name, value in zip(COLUMNS, row, strict=True)
        if np.isfinite(value)
    )
    days = StationDays.on_calendar(dates[~repeated], values[~repeated], known)
    return Record(station_name(path), days, set_aside)


def column_names(path: Path) -> tuple[str, ...]:
    """Return the column names of a CSV file. Raises RecordError where the first line is empty."""
    return tuple(read_cells(path, read_text(path), rows=1).columns)


def _with_date(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the date column named ``date``.

    Raises RecordError where there is no date or tmax, a measured column appears twice, or there are no rows.
    """
    names = list(table.columns)
    if "date" not in names:
        names[0] = names[0] or "date"
    for name in ("date", *COLUMNS):
        if names.count(name) > 1 or (name in {"date", COLUMNS[TMAX]} and name not in names):
            raise RecordError(f"{path}: line 1 must name one column {name!r}; it names: {', '.join(names)[:200]}")
    if table.empty:
        raise RecordError(f"{path}: no rows below the header")
    return table.set_axis(names, axis="columns")


def _predictors(path: Path, table: pd.DataFrame, named: Sequence[str]) -> tuple[str, ...]:
    try:
        names = chosen_predictors(filter(None, table.columns), named)
    except PredictorError as error:
        raise RecordError(f"{path}: {error}") from None
    for name in names:
        if not PREDICTOR_NAME.fullmatch(name) or list(table.columns).count(name) > 1:
            raise RecordError(
                f"{path}: line 1: rename the column {name!r}: predictor names are unique, of letters, digits and '_'"
            )
    return names
