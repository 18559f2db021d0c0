"""Plain CSV: ``date,tmax,tmin,rain`` in any order, the date's column named ``date`` or not at all."""

import io
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
    table = _named(path, read_cells(path, read_text(path)))
    dates = iso_dates(path, table["date"])
    values = np.column_stack([_numbers(path, table, column) for column in COLUMNS])
    order = np.argsort(dates, kind="stable")
    dates, values = dates[order], to_metric(values[order], units)
    more = {
        name: predictor_to_metric(name, numbers(path, table[name])[order], units)
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


def column_names(path: Path) -> tuple[str, ...]:
    """Return the names in the first line of a CSV file, as they are told apart.

    Raises
    ------
    RecordError : where there is none
    """
    return tuple(read_cells(path, read_text(path), rows=1).columns)


def read_text(path: Path) -> str:
    """Read a whole file of UTF-8."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: not UTF-8 text: {error}") from None


def read_cells(path: Path, text: str, first: int = 0, rows: int | None = None) -> pd.DataFrame:
    """Read the cells of a CSV file as text, without the spaces around them, by the lower-case names in its first line.

    Parameters
    ----------
    text : of the whole file
    first : lines before the one with the names
    rows : how many are read, that one included; None for all

    Returns
    -------
    table : without blank rows; its index says where each row is, such as "line 7"
    """
    try:
        cells = pd.read_csv(
            io.StringIO(text),
            header=None,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            skiprows=first,
            nrows=rows,
        )
    except pd.errors.EmptyDataError:
        raise RecordError(f"{path}: the file, or its first line, is empty") from None
    except pd.errors.ParserError as error:
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise RecordError(f"{path}: not valid CSV: {reason}") from None
    table = pd.DataFrame({position: column.fillna("").str.strip() for position, column in cells.items()})
    names = [" ".join(str(name).lower().split()) for name in table.iloc[0]]
    table.index = pd.Index([f"line {first + 1 + row}" for row in range(len(table))])
    table = table.iloc[1:].set_axis(names, axis="columns")
    return table.loc[~(table == "").all(axis=1)]


def iso_dates(path: Path, text: "pd.Series[str]") -> Array:
    """Read ISO dates, (n,) datetime64[D].

    Raises
    ------
    RecordError : names the place and the column of the first cell that is none
    """
    iso = text.str.replace("/", "-").where(text.str.fullmatch(r"[0-9]{4}([-/])[0-9]{2}\1[0-9]{2}"))
    dates = pd.to_datetime(iso, format="%Y-%m-%d", errors="coerce")
    if dates.isna().any():
        place = dates.index[dates.isna()][0]
        raise RecordError(f"{path}: {place}: {text.name} {text[place]!r} is not a date such as 2012-01-31")
    return np.asarray(dates.to_numpy().astype("M8[D]"))


def numbers(path: Path, text: "pd.Series[str]") -> Array:
    """Read numbers (n,); ``nan`` is what is not known.

    Raises
    ------
    RecordError : names the place and the column of the first cell that is neither
    """
    absent = text.str.lower().isin(NOT_OBSERVED)
    found: Array = pd.to_numeric(text.mask(absent, "nan"), errors="coerce").to_numpy(dtype=float)
    wrong = text[~np.isfinite(found) & ~absent]
    if len(wrong):
        raise RecordError(
            f"{path}: {wrong.index[0]}: {text.name} {wrong.iloc[0]!r} is not a number (leave it empty if unknown)"
        )
    return found


def station_name(path: Path) -> str:
    """Return the name that a file's own suggests for its station."""
    name = re.sub(r"[^a-z0-9_.-]+", "_", path.stem.lower()).lstrip("_.-")
    return name[:64] or "station"


def _named(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with a column ``date``; raise where there is no date, no tmax, or one of the columns twice."""
    names = list(table.columns)
    if "date" not in names:
        names[0] = names[0] or "date"
    for column in ("date", *COLUMNS):
        if names.count(column) > 1 or (column in {"date", "tmax"} and column not in names):
            raise RecordError(f"{path}: line 1 must name one column {column!r}; it names: {', '.join(names)[:200]}")
    if table.empty:
        raise RecordError(f"{path}: there is no row below the header")
    return table.set_axis(names, axis="columns")


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


def _numbers(path: Path, table: pd.DataFrame, column: str) -> Array:
    return numbers(path, table[column]) if column in table else np.full(len(table), np.nan)
