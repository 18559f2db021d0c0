"""Dates and times in the forms that people and programs write, as the station's own clock."""

import datetime
import re

import numpy as np
import pandas as pd

from app.readers.clock import NAT, Times, from_epochs, local, of_instants, of_utc, offset, span
from app.readers.names import plain
from app.readers.record import RecordError
from app.readers.vocabulary import MONTH_OF
from app.text import printable
from models.nn import Array

DAYS_OF_LEAP_YEAR, MONTHS_OF_YEAR, LONGEST_MONTH = 366, 12, 31
MOST = 0.5  # share of steps of one day that shows the order of day and month
SLICE = 50_000  # rows that are read at once, as their parts take much memory
FIRST_YEAR, LAST_YEAR = 1600, 2200

_TIME = (
    r"(?:(?:[T ,_:]|, )\s*(?P<H>[0-9]{1,2})(?:[:.hH](?P<M>[0-9]{2}))(?::(?P<S>[0-9]{2})(?:[.,][0-9]+)?)?"
    r"\s*(?:(?P<half>[AaPp])(?:\.?[Mm]\.?)?)?)?\s*(?P<zone>Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2})?"
)
_WEEKDAY = r"(?:[^\W\d]{2,9}\.?,? )?"
_MONTH = r"(?P<name>[^\W\d_]{3,12})\.?"

# One form fits a whole column. ``a`` and ``b`` are day and month in an order that the column must show.
FORMS = tuple(
    re.compile(form)
    for form in (
        _WEEKDAY + r"(?P<y>[0-9]{4})[-/.年](?P<m>[0-9]{1,2})[-/.月](?P<d>[0-9]{1,2})[日.]?(?: (?:周|星期)\w)?" + _TIME,
        r"(?P<y>[0-9]{4})(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12][0-9]|3[01])"
        r"(?:[T :-]?(?P<H>[01][0-9]|2[0-4]):?(?P<M>[0-5][0-9])?(?P<S>[0-5][0-9])?)?(?P<zone>Z)?",
        _WEEKDAY + r"(?P<a>[0-9]{1,2})(?P<mark>[-/.])(?P<b>[0-9]{1,2})(?P=mark)(?P<y>[0-9]{4}|[0-9]{2})" + _TIME,
        _WEEKDAY + r"(?P<d>[0-9]{1,2})\.?[-/. ]?" + _MONTH + r"[-/., ]*(?P<y>[0-9]{4}|[0-9]{2})" + _TIME,
        _WEEKDAY + _MONTH + r" (?P<d>[0-9]{1,2}),? (?P<y>[0-9]{4})" + _TIME,
        r"(?P<epoch>[0-9]{10}(?:\.[0-9]+)?|[0-9]{13})",
    )
)
MONTHLY = re.compile(
    r"[0-9]{4}[-/](0[1-9]|1[0-2])|(0[1-9]|1[0-2])[./][0-9]{4}|[0-9]{4}(0[1-9]|1[0-2])|[^\W\d]{3,9}[- ][0-9]{4}"
)
ISO = {
    r"\d{4}-\d{2}-\d{2}": "%Y-%m-%d",
    r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}": "%Y-%m-%d %H:%M",
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}": "%Y-%m-%dT%H:%M",
    r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}": "%Y-%m-%d %H:%M:%S",
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}": "%Y-%m-%dT%H:%M:%S",
}
SPREADSHEET_DAY = re.compile(r"[2-6][0-9]{4}(\.[0-9]+)?")


def is_date(text: str) -> bool:
    """Whether a cell reads as a date."""
    return any(form.fullmatch(text) for form in FORMS)


def is_day(text: str) -> bool:
    """Whether a cell is the date of a day that exists."""
    try:
        return not np.isnat(read_times("", "", pd.Series([text]), None).times).any()
    except RecordError:
        return False


def is_monthly(text: str) -> bool:
    """Whether a cell names a month rather than a day."""
    return bool(MONTHLY.fullmatch(text)) and not is_date(text)


def read_times(name: str, column: str, text: "pd.Series[str]", timezone: str | None, utc: bool = False) -> Times:
    """Read the dates and times of a column; a cell in another form than most is NaT.

    Parameters
    ----------
    name, column : of the source and the column, for errors
    text : (n,) stripped, or datetime64 read by `iso_times`; its index gives the places
    timezone : of the station; turns instants (UTC, or seconds since 1970) into its own clock
    utc : whether the source says that the times are UTC

    Raises RecordError where no form fits, or the order of day and month is not shown.
    """
    times = text.to_numpy().astype("M8[s]") if text.dtype.kind == "M" else iso_times(text)
    if times is not None:
        return of_utc(times, timezone) if utc else Times(times, False)
    form = _form_of(name, column, text)
    slices = [_parts(text.iloc[at : at + SLICE], form) for at in range(0, len(text), SLICE)]
    parts = {key: np.concatenate([each[key] for each in slices]) for key in slices[0]}
    if "epoch" in parts:
        return of_instants(from_epochs(parts["epoch"]), timezone)
    order = ""
    if "a" in parts:
        if _year_first(parts):
            parts["y"], parts["m"], parts["d"] = parts["a"] + 2000, parts["b"], parts["y"] % 100
            order = "the year comes first"
        else:
            day_first, order = _day_first(name, column, text, parts)
            parts["d"], parts["m"] = (parts["a"], parts["b"]) if day_first else (parts["b"], parts["a"])
    times = from_parts(parts["y"], parts["m"], parts["d"]) + span(parts["seconds"])
    offsets = parts["offset"]
    if timezone and (offsets != 0).any() and np.isfinite(offsets).all():  # instants, by clocks that may differ
        return Times(local(times - span(offsets), timezone), False, order)
    if utc or (np.isfinite(offsets).any() and (offsets[np.isfinite(offsets)] == 0).all()):
        return of_utc(times, timezone)._replace(order=order)
    return Times(times, False, order)


def iso_times(text: "pd.Series[str]") -> Array | None:
    """Read the usual form in a tenth of the time; None where a cell has another."""
    first = str(text.iloc[0]) if len(text) else ""
    form = next((form for pattern, form in ISO.items() if re.fullmatch(pattern, first)), None)
    if form is None:
        return None
    times = pd.to_datetime(text, format=form, errors="coerce").to_numpy().astype("M8[s]")
    years = times.astype("M8[Y]").astype(int) + 1970
    return None if np.isnat(times).any() or years.min() < FIRST_YEAR or years.max() > LAST_YEAR else times


def from_day_of_year(year: Array, day: Array) -> Array:
    """Return the dates (n,) datetime64[s] of years and days of the year; NaT where there is no such day."""
    first = from_parts(year, np.ones(len(year)), np.ones(len(year)))
    valid = (day >= 1) & (day <= DAYS_OF_LEAP_YEAR) & ~np.isnat(first)
    times = np.where(valid, first + (np.where(valid, day, 1) - 1).astype("m8[D]").astype("m8[s]"), NAT)
    same = times.astype("M8[Y]") == first.astype("M8[Y]")
    return np.asarray(np.where(same, times, NAT))


def _form_of(name: str, column: str, text: "pd.Series[str]") -> re.Pattern[str]:
    """Return the form that fits most of the first cells, at least half of them."""
    filled = text[text != ""]
    sample = filled.iloc[np.unique(np.linspace(0, len(filled) - 1, 200).astype(int))] if len(filled) else filled
    fits = [sum(bool(form.fullmatch(cell)) for cell in sample) for form in FORMS]
    best = int(np.argmax(fits)) if fits else 0
    if len(sample) and fits[best] >= len(sample) / 2:
        return FORMS[best]
    place, cell = (filled.index[0], filled.iloc[0]) if len(filled) else (text.index[0], "")
    where = f"{name}: {_place(place)}: {printable(column)} {printable(cell)!r}"
    if len(sample) and sum(is_monthly(cell) for cell in sample) >= len(sample) / 2:
        raise RecordError(f"{where} is a month: the file holds monthly values and no days; download daily values")
    if SPREADSHEET_DAY.fullmatch(cell):
        raise RecordError(
            f"{where} is a spreadsheet's number of a day: format the column as a date, such as 2012-01-31"
        )
    raise RecordError(f"{where} is not a date such as 2012-01-31")


def _place(place: object) -> str:
    return f"line {place}" if isinstance(place, int | np.integer) else str(place)


def _whole(text: "pd.Series[str]") -> Array:
    return np.asarray(pd.to_numeric(text, errors="coerce").to_numpy(dtype=float))


def _parts(text: "pd.Series[str]", form: re.Pattern[str]) -> dict[str, Array]:
    """Read the parts of the dates as numbers, ``nan`` where a cell has another form."""
    found = text.str.extract(f"^(?:{form.pattern})$")
    if "epoch" in found:
        return {"epoch": _whole(found["epoch"])}
    parts = {key: _whole(found[key]) for key in ("a", "b", "d", "m") if key in found}
    parts["y"] = _years(found["y"], found["y"].notna().to_numpy())
    if "name" in found:
        parts["m"] = _named_months(found["name"])
    if "mark" in found:
        parts["points"] = (found["mark"] == ".").to_numpy(dtype=float)
    parts["seconds"] = _seconds(found)
    zones = found["zone"] if "zone" in found else pd.Series([np.nan] * len(found))
    parts["offset"] = zones.map({text: offset(text) for text in zones.dropna().unique()}).to_numpy(dtype=float)
    return parts


def _years(text: "pd.Series[str]", matched: Array) -> Array:
    """Return the years; of two digits, the last one that is not after next year."""
    year = _whole(text)
    short = matched & (text.str.len() == len("17")).to_numpy()
    this = datetime.datetime.now(datetime.UTC).year
    century = np.where(year + 2000 > this + 1, 1900, 2000)
    return np.asarray(np.where(short, year + century, year))


def _named_months(text: "pd.Series[str]") -> Array:
    found = {name: _month(name) for name in text.dropna().unique()}
    return np.asarray(text.map(found).to_numpy(dtype=float))


def _month(name: str) -> float:
    """Return the month of a name, by the longest beginning that is known."""
    key = plain(name)
    known = (key[:n] for n in range(len(key), 2, -1) if key[:n] in MONTH_OF)
    return next((float(MONTH_OF[beginning]) for beginning in known), np.nan)


def from_parts(year: Array, month: Array, day: Array) -> Array:
    """Return the dates (n,) datetime64[s] of years, months and days; NaT where there is no such day."""
    valid = (
        (year >= FIRST_YEAR)
        & (year <= LAST_YEAR)
        & (month >= 1)
        & (month <= MONTHS_OF_YEAR)
        & (day >= 1)
        & (day <= LONGEST_MONTH)
    )
    y, m, d = (np.where(valid, part, 1).astype(int) for part in (year, month, day))
    months = ((np.where(valid, y, 1970) - 1970) * 12 + m - 1).astype("M8[M]")
    dates = months.astype("M8[D]") + (d - 1)
    valid &= dates.astype("M8[M]") == months
    return np.asarray(np.where(valid, dates.astype("M8[s]"), NAT))


def _seconds(parts: pd.DataFrame) -> Array:
    hour, minute, second = (
        np.nan_to_num(_whole(parts[key])) if key in parts else np.zeros(len(parts)) for key in ("H", "M", "S")
    )
    if "half" in parts:
        half = parts["half"].str.lower()
        hour = np.where(half.notna(), hour % 12 + 12 * (half == "p"), hour)
    wrong = (hour > 24) | (minute > 59) | (second > 60)  # noqa: PLR2004  # 24:00 ends a day, 60 is a leap second
    return np.asarray(np.where(wrong, np.nan, hour * 3600 + minute * 60 + second))


def _year_first(parts: dict[str, Array]) -> bool:
    """Whether dates such as 23-01-31 begin with the year: only then do the days follow each other."""
    known = np.isfinite(parts["a"]) & np.isfinite(parts["y"])
    year, month, day = (parts[key][known] for key in ("a", "b", "y"))
    readings = [(year + 2000, month, day % 100), (day, month, year), (day, year, month)]
    shares = []
    for reading in readings:
        steps = np.diff(np.unique(from_parts(*reading).astype("M8[D]"))).astype(float)
        shares.append(float(np.mean(steps == 1)) if len(steps) else 0.0)
    return shares[0] > MOST and max(shares[1:]) < 1 - MOST


def _day_first(name: str, column: str, text: "pd.Series[str]", parts: dict[str, Array]) -> tuple[bool, str]:
    """Return whether the day comes first: by a number above 12, by points, or by days that follow each other."""
    year, a, b = parts["y"], parts["a"], parts["b"]
    a_day, b_day = np.flatnonzero(a > MONTHS_OF_YEAR), np.flatnonzero(b > MONTHS_OF_YEAR)
    if len(a_day) and len(b_day):
        rows = [f"{_place(text.index[row])} {printable(text.iloc[row])!r}" for row in (a_day[0], b_day[0])]
        raise RecordError(
            f"{name}: {printable(column)}: {rows[0]} has the day first, {rows[1]} the month: write dates as 2012-01-31"
        )
    if len(a_day) or len(b_day):
        row = (a_day if len(a_day) else b_day)[0]
        return bool(len(a_day)), f"{printable(text.iloc[row])} shows it"
    known = np.flatnonzero(np.isfinite(a))
    if parts["points"][known].all():
        return True, "as usual with points"
    both = [from_parts(year, month, day)[known] for day, month in ((a, b), (b, a))]
    consecutive = []
    for times in both:
        days = np.unique(times.astype("M8[D]"))
        steps = np.diff(days).astype(float)
        consecutive.append(len(steps) > 0 and float(np.mean(steps == 1)) > MOST)
    if consecutive[0] != consecutive[1]:
        return consecutive[0], "so that the days follow each other"
    if (a[known] == b[known]).all():
        return True, ""
    row = int(known[np.flatnonzero(a[known] != b[known])[0]])
    raise RecordError(
        f"{name}: {_place(text.index[row])}: {printable(column)} {printable(text.iloc[row])!r} can be read two ways "
        "(day or month first), and no row decides: write dates as 2012-01-31"
    )
