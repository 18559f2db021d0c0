"""The numbers in the cells of a column: decimal commas, words for missing and for traces, units behind a number."""

import re

import numpy as np
import pandas as pd

from models.nn import Array

MISSING = {
    "", "na", "n/a", "nan", "null", "none", "nil", "m", "-", "--", "---", "----", "x", "*", "#", "?", ".", "..", "...",
    "/", "//", "///", "nd", "n.d.", "s/d", "n/d", "missing", "mis", "no data", "nodata", "void", "\\n", "]",
    "#n/a", "#value!", "#div/0!", "fehlt", "unknown", "unavailable", "undefined", "err", "error", "mq",
    "***", "nulo", "°",
}  # fmt: skip
TRACE = {"nil", "t", "tr", "trace", "tr.", "trazas", "spur", "traces", "t*", "0.0t", "0.00t", "ip"}
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
# A number with its unit, or with a mark of the observer, behind it.
WITH_MORE = (
    r"([+-]?[0-9]+(?:[.,][0-9]+)?|[+-]?[.,][0-9]+)\s*(?:°|º|deg)?\s*"
    r"(?:[CFcf]|mm|in|inch|inches|hPa|mb|mbar|%|mph|km/h|m/s|cm|\"|[*)\]#sSEAgG])?"
)


def numbers(text: "pd.Series[str]", trace: bool = False) -> tuple[Array, Array]:
    """Read a column of stripped cells.

    Parameters
    ----------
    trace : whether a word for a trace is zero, as for rain; else it is no number

    Returns
    -------
    values : (n,), ``nan`` where missing or not a number
    wrong : (n,) bool, cells that are neither a number nor missing
    """
    try:
        values = pd.to_numeric(text, errors="coerce").to_numpy(dtype=float, copy=True)
    except OverflowError:  # a whole number beyond any float
        values = np.full(len(text), np.nan)
    wrong = np.zeros(len(text), bool)
    odd = np.flatnonzero(~np.isfinite(values) & (text != "").to_numpy())
    if len(odd):
        values[odd], wrong[odd] = _odd(text.iloc[odd], trace)
    return values, wrong


def _odd(text: "pd.Series[str]", trace: bool) -> tuple[Array, Array]:
    """Read the cells that are no plain numbers; few of them differ."""
    codes, cells = pd.factorize(text)
    values, wrong = np.full(len(cells), np.nan), np.zeros(len(cells), bool)
    for i, cell in enumerate(cells):
        values[i], wrong[i] = _cell(str(cell), trace)
    return values[codes], wrong[codes]


def _cell(cell: str, trace: bool) -> tuple[float, bool]:
    cell = re.sub(r"<br ?/?>", "", cell).strip().strip("\"'").strip()
    lower = re.sub(r"(?<=-)\s*(°?[cf]|mm|in)$", "", cell.lower())  # "-- °F"
    if trace and lower in TRACE:
        return 0.0, False
    if lower in MISSING:
        return np.nan, False
    plain = cell.replace("\u2212", "-").replace("\u2013", "-").replace("\xa0", "").replace(" ", " ")
    if re.fullmatch(r"-?[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+", plain):  # points between the thousands
        return float(plain.replace(".", "").replace(",", ".")), False
    if re.fullmatch(r"-?[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]+", plain):  # or commas
        plain = plain.replace(",", "")
    if re.fullmatch(NUMBER, plain):
        return (float(plain), False) if np.isfinite(float(plain)) else (np.nan, True)
    if match := re.fullmatch(WITH_MORE, plain):
        return float(match[1].replace(",", ".")), False
    return np.nan, True
