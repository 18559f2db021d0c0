"""Plain CSV: ``date,tmax,tmin,rain`` in any order, the date's column named ``date`` or not at all."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from app.readers.record import Record, RecordError
from models.nn import Array
from models.predictors import PredictorError, chosen, predictor_to_metric
from models.station_days import COLUMNS, SetAside, StationDays, Units, to_metric

NOT_OBSERVED = {"", "na", "nan", "null", "none"}


# What a column that is a predictor may be called.
PREDICTOR_NAME = re.compile(r"[a-z0-9_]{1,64}")


def read_plain_csv(path: Path, units: Units, predictors: Sequence[str] = ()) -> Record:
    """Read the columns date, tmax, tmin and rain, guidance and the ``predictors``; others are not looked at.

    tmin and rain may be missing, as a cell or altogether; so may days. Dates are ISO (2012-01-31 or 2012/01/31), in
    any order; of a repeated date the first row counts, and the others are set aside.
    """
    table = _read_cells(path)
    dates = _dates(path, table)
    values = np.column_stack([_numbers(path, table, column) for column in COLUMNS])
    order = np.argsort(dates, kind="stable")
    dates, values = dates[order], to_metric(values[order], units)
    more = {
        name: predictor_to_metric(name, _numbers(path, table, name)[order], units)
        for name in _predictors(path, table, predictors)
    }
    repeated = np.append(False, dates[1:] == dates[:-1])
    set_aside = tuple(
        SetAside(date, column, float(value), "date repeated")
        for date, row in zip(dates[repeated], values[repeated], strict=True)
        for column, value in zip(COLUMNS, row, strict=True)
        if np.isfinite(value)
    )
    more = {name: column[~repeated] for name, column in more.items()}
    return Record(station_name(path), StationDays.on_calendar(dates[~repeated], values[~repeated], more), set_aside)


def _read_cells(path: Path) -> pd.DataFrame:
    """Read every cell as text, named by the first line; row i of the table is line i + 1 of the file."""
    try:
        cells = pd.read_csv(
            path, header=None, dtype=str, keep_default_na=False, skip_blank_lines=False, encoding="utf-8-sig"
        )
    except pd.errors.EmptyDataError:
        raise RecordError(f"{path}: the file, or its first line, is empty") from None
    except pd.errors.ParserError as error:
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise RecordError(f"{path}: not valid CSV: {reason}") from None
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: not UTF-8 text: {error}") from None
    table = pd.DataFrame({position: column.fillna("").str.strip() for position, column in cells.items()})
    names = [str(name).lower() for name in table.iloc[0]]
    if "date" not in names:
        names[0] = names[0] or "date"
    for column in ("date", *COLUMNS):
        if names.count(column) > 1 or (column in {"date", "tmax"} and column not in names):
            raise RecordError(f"{path}: line 1 must name one column {column!r}; it names: {', '.join(names)[:200]}")
    table = table.iloc[1:].set_axis(names, axis="columns")
    blank = (table == "").all(axis=1)
    if blank.all():
        raise RecordError(f"{path}: there is no row below the header")
    return table.loc[~blank]


def _predictors(path: Path, table: pd.DataFrame, named: Sequence[str]) -> tuple[str, ...]:
    try:
        names = chosen(filter(None, table.columns), named)
    except PredictorError as error:
        raise RecordError(f"{path}: {error}") from None
    for name in names:
        if not PREDICTOR_NAME.fullmatch(name) or list(table.columns).count(name) > 1:
            raise RecordError(
                f"{path}: line 1: a predictor is named once, by letters, digits and '_': {name!r} is to be renamed"
            )
    return names


def _dates(path: Path, table: pd.DataFrame) -> Array:
    text = table["date"]
    iso = text.str.replace("/", "-").where(text.str.fullmatch(r"[0-9]{4}([-/])[0-9]{2}\1[0-9]{2}"))
    dates = pd.to_datetime(iso, format="%Y-%m-%d", errors="coerce")
    if dates.isna().any():
        row = dates.index[dates.isna()][0]
        raise RecordError(f"{path}: line {row + 1}: date {text[row]!r} is not a date such as 2012-01-31")
    return np.asarray(dates.to_numpy().astype("M8[D]"))


def _numbers(path: Path, table: pd.DataFrame, column: str) -> Array:
    if column not in table:
        return np.full(len(table), np.nan)
    text = table[column]
    absent = text.str.lower().isin(NOT_OBSERVED)
    numbers: Array = pd.to_numeric(text.mask(absent, "nan"), errors="coerce").to_numpy(dtype=float)
    wrong = text[~np.isfinite(numbers) & ~absent]
    if len(wrong):
        row, cell = wrong.index[0], wrong.iloc[0]
        raise RecordError(f"{path}: line {row + 1}: {column} {cell!r} is not a number (leave it empty if unknown)")
    return numbers


def station_name(path: Path) -> str:
    """Return the name that a file's own suggests for its station."""
    name = re.sub(r"[^a-z0-9_.-]+", "_", path.stem.lower()).lstrip("_.-")
    return name[:64] or "station"
