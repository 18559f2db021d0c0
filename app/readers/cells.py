"""The cells of a CSV file, and the dates and numbers in them."""

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd

from app.readers.record import RecordError
from models.nn import Array

NOT_OBSERVED = {"", "na", "nan", "null", "none"}


def read_text(path: Path) -> str:
    """Read a text file. Raises RecordError where it is not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: not UTF-8 text: {error}") from None


def read_cells(path: Path, text: str, first: int = 0, rows: int | None = None) -> pd.DataFrame:
    """Read the cells of a CSV file as stripped text, under the lower-case names of its header.

    Parameters
    ----------
    text : of the whole file
    first : number of lines before the header
    rows : number of lines to read, including the header; None for all

    Returns
    -------
    table : without blank rows; the index gives the place of each row, such as "line 7"

    Raises RecordError where the file is empty or not CSV.
    """
    file = io.StringIO(text)
    try:
        cells = pd.read_csv(
            file, header=None, dtype=str, keep_default_na=False, skip_blank_lines=False, skiprows=first, nrows=rows
        )
    except pd.errors.EmptyDataError:
        raise RecordError(f"{path}: the file or its first line is empty") from None
    except pd.errors.ParserError as error:
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise RecordError(f"{path}: not valid CSV: {reason}") from None
    table = pd.DataFrame({position: column.fillna("").str.strip() for position, column in cells.items()})
    names = [" ".join(str(name).lower().split()) for name in table.iloc[0]]
    table.index = pd.Index([f"line {first + 1 + row}" for row in range(len(table))])
    table = table.iloc[1:].set_axis(names, axis="columns")
    return table.loc[~(table == "").all(axis=1)]


def iso_dates(path: Path, text: "pd.Series[str]") -> Array:
    """Read ISO dates, (n,) datetime64[D]. Raises RecordError with the place and column of the first invalid cell."""
    iso = text.str.replace("/", "-").where(text.str.fullmatch(r"[0-9]{4}([-/])[0-9]{2}\1[0-9]{2}"))
    dates = pd.to_datetime(iso, format="%Y-%m-%d", errors="coerce")
    if dates.isna().any():
        place = dates.index[dates.isna()][0]
        raise RecordError(f"{path}: {place}: {text.name} {text[place]!r} is not a date such as 2012-01-31")
    return np.asarray(dates.to_numpy().astype("M8[D]"))


def numbers(path: Path, text: "pd.Series[str]") -> Array:
    """Read numbers (n,), ``nan`` if unknown. Raises RecordError with the place and column of the first invalid cell."""
    absent = text.str.lower().isin(NOT_OBSERVED)
    found: Array = pd.to_numeric(text.mask(absent, "nan"), errors="coerce").to_numpy(dtype=float)
    wrong = text[~np.isfinite(found) & ~absent]
    if len(wrong):
        raise RecordError(
            f"{path}: {wrong.index[0]}: {text.name} {wrong.iloc[0]!r} is not a number (leave it empty if unknown)"
        )
    return found


def station_name(path: Path) -> str:
    """Return a valid station name made from the name of a file."""
    name = re.sub(r"[^a-z0-9_.-]+", "_", path.stem.lower()).lstrip("_.-")
    return name[:64] or "station"
