"""Files of past tmax forecasts: plain CSV, and Open-Meteo's JSON and CSV."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from app.readers import open_meteo
from app.readers.clock import local, offset
from app.readers.columns import NAMED_COLUMN
from app.readers.dates import read_times
from app.readers.open_meteo import FORECAST, VALID
from app.readers.record import RecordError
from app.readers.values import numbers as read_numbers
from app.text import printable
from models.nn import Array
from models.record.columns import GUIDANCE, Units, column
from models.record.quality import SetAside

# Accepted names of the issue time.
ISSUED = ("issued", "issue", "issue_time", "run", "init", "reference_time")
MIN_HOURS = 4  # per day, for a daily maximum
MIDNIGHT = r"[T ]00:00(?::00(?:\.0+)?)?$"
HOUR = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?"
INSTANT = (
    r"(?i)^([0-9]{4}([-/])[0-9]{2}\2[0-9]{2})(?:[t ]([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:\.[0-9]+)?)?)?)?"
    r" ?(z|utc|gmt|[+-][0-9]{2}:?[0-9]{2})?$"
)


class Forecasts(NamedTuple):
    """The forecasts of a file."""

    valid: Array  # (n,) datetime64[D], ascending, the valid dates
    columns: dict[str, Array]  # guidance column -> (n,) degC; ``nan`` for no forecast
    late: tuple[SetAside, ...]  # per column, the first not issued before its valid date; the reason counts the others
    says_unit: bool  # whether the file states its units


def read_forecasts(path: Path, units: Units, timezone: str | None = None) -> Forecasts:
    """Read a file of forecasts; ``units`` apply where the file does not state its own.

    Issue times with an offset are turned into the clock of the station's ``timezone``.

    Raises RecordError, which names the place in the file and the remedy.
    """
    table, own_units = open_meteo.read_table(path)
    names = _guidance_names(path, [str(name) for name in table.columns])
    valid, issued = _one_of(path, table, VALID), _one_of(path, table, ISSUED)
    if valid is None:
        raise RecordError(f"{path}: no column holds the valid date: name it one of {', '.join(VALID)}")
    if table.empty:
        raise RecordError(f"{path}: the file holds no forecasts")
    columns = pd.DataFrame(
        {
            guidance: column(guidance).to_metric(_numbers(path, table[name]), own_units.get(name, units))
            for name, guidance in names.items()
        },
        index=table.index,
    )
    late: tuple[SetAside, ...] = ()
    if open_meteo.are_hours(names):
        by_day = _highest_by_day(path, columns, _hours(path, table[valid]))
    else:
        days = _dates(path, table[valid].str.replace(MIDNIGHT, "", regex=True))
        if issued is None:
            by_day = _one_by_day(path, columns, days)
        else:
            by_day, late = _last_issued_before(path, columns, days, _instants(path, table[issued], timezone))
    values = {str(name): series.to_numpy() for name, series in by_day.items()}
    return Forecasts(by_day.index.to_numpy().astype("M8[D]"), values, late, set(names) <= set(own_units))


def _guidance_names(path: Path, columns: list[str]) -> dict[str, str]:
    """Return the guidance column of each column of forecasts issued the day before."""
    names = open_meteo.guidance_names(columns)
    if not open_meteo.are_hours(names) and not open_meteo.are_previous_runs(names):
        names |= {name: GUIDANCE for name in columns if name in FORECAST}
        names |= {name: name for name in columns if name.startswith(f"{GUIDANCE}_")}
    if not names:
        hint = open_meteo.hint(columns) or f"the columns are: {', '.join(columns)[:200]}"
        raise RecordError(f"{path}: no column holds tmax forecasts (guidance, guidance_NAME, tmax, ...); {hint}")
    for name, guidance in names.items():
        same = [other for other in columns if names.get(other) == guidance]
        if len(same) > 1:
            raise RecordError(f"{path}: {' and '.join(same)} would both be {guidance}: rename one to guidance_NAME")
        if not NAMED_COLUMN.fullmatch(guidance):
            raise RecordError(f"{path}: rename the column {name!r} to guidance_ plus letters, digits and '_'")
    return names


def _one_of(path: Path, table: pd.DataFrame, names: Sequence[str]) -> str | None:
    found = [str(name) for name in table.columns if name in names]
    if len(found) > 1:
        raise RecordError(f"{path}: the columns {' and '.join(found)} have the same meaning: keep only one of them")
    return found[0] if found else None


def _dates(path: Path, text: "pd.Series[str]") -> Array:
    times = read_times(str(path), str(text.name), text, None).times
    wrong = np.isnat(times) | (times != times.astype("M8[D]")) | text.str.fullmatch(r"[0-9]{9,}").to_numpy(dtype=bool)
    if wrong.any():
        at = text.index[wrong][0]
        raise RecordError(f"{path}: {at}: {text.name} {printable(text[at])!r} is not a date such as 2012-01-31")
    return times.astype("M8[D]")


def _numbers(path: Path, text: "pd.Series[str]") -> Array:
    values, wrong = read_numbers(text)
    if wrong.any():
        at = text.index[wrong][0]
        raise RecordError(
            f"{path}: {at}: {text.name} {printable(text[at])!r} is not a number (leave it empty if unknown)"
        )
    return values


def _instants(path: Path, text: "pd.Series[str]", timezone: str | None) -> Array:
    """Read ISO 8601 dates and times, (n,) datetime64[s]; those with an offset by the clock of the time zone."""
    found = text.str.extract(INSTANT)
    date, hour, minute, second = found[0].str.replace("/", "-"), *(found[part].fillna("00") for part in (2, 3, 4))
    instants = pd.to_datetime(date + "T" + hour + ":" + minute + ":" + second, format="ISO8601", errors="coerce")
    if instants.isna().any():
        at = text.index[instants.isna().to_numpy()][0]
        raise RecordError(
            f"{path}: {at}: {text.name} {printable(text[at])!r} is not a time such as 2012-01-31 or 2012-01-31T18:00"
        )
    times = np.array(instants.to_numpy().astype("M8[s]"))
    zoned = found[5].notna().to_numpy()
    if zoned.any():
        if timezone is None:
            at = text.index[zoned][0]
            raise RecordError(
                f"{path}: {at}: {text.name} {printable(text[at])!r} has an offset: name the station's own time "
                "zone, such as --timezone Europe/Berlin, or give the times by the station's own clock"
            )
        offsets = found[5][zoned].map(offset).to_numpy().astype("m8[s]")
        times[zoned] = local(times[zoned] - offsets, timezone)
    return times


def _hours(path: Path, text: "pd.Series[str]") -> pd.DatetimeIndex:
    hours = pd.to_datetime(text.where(text.str.fullmatch(HOUR)), format="ISO8601", errors="coerce")
    if hours.isna().any():
        place = text.index[hours.isna().to_numpy()][0]
        remedy = "; download the file without timeformat=unixtime" if text[place].isdigit() else ""
        raise RecordError(
            f"{path}: {place}: {text.name} {text[place]!r} is not an hour such as 2012-01-31T18:00{remedy}"
        )
    if hours.duplicated().any():
        place = text.index[hours.duplicated().to_numpy()][0]
        raise RecordError(f"{path}: {place}: {text.name} {text[place]} appears twice: keep only one")
    return pd.DatetimeIndex(hours)


def _highest_by_day(path: Path, columns: pd.DataFrame, hours: pd.DatetimeIndex) -> pd.DataFrame:
    """Return the daily maxima, ``nan`` unless all values of a day are known; the median spacing gives their number."""
    step = np.median(np.diff(np.sort(hours.to_numpy()))) if len(hours) > 1 else np.timedelta64(1, "h")
    per_day = round(np.timedelta64(24, "h") / step)
    if per_day < MIN_HOURS:
        raise RecordError(f"{path}: {per_day} values per day are too few for a daily maximum: download hourly values")
    by_day = columns.groupby(hours.normalize())
    highest = by_day.max().where(by_day.count() >= per_day)
    if not np.isfinite(highest.to_numpy()).any():
        raise RecordError(f"{path}: no day has all {per_day} hours: download whole days")
    return highest


def _one_by_day(path: Path, columns: pd.DataFrame, days: Array) -> pd.DataFrame:
    """Return the forecasts by valid date, one for each date."""
    again = pd.Index(days).duplicated()
    if again.any():
        row = int(np.flatnonzero(again)[0])
        before = columns.index[np.flatnonzero(days == days[row])[0]]
        raise RecordError(
            f"{path}: {columns.index[row]}: {before} also holds a forecast for {days[row]}: keep only one, or add a "
            "column 'issued' with the issue times"
        )
    return columns.set_axis(pd.Index(days)).sort_index()


def _last_issued_before(
    path: Path, columns: pd.DataFrame, days: Array, issued: Array
) -> tuple[pd.DataFrame, tuple[SetAside, ...]]:
    """Return the last forecast issued before each valid date, and the forecasts issued too late."""
    order = np.lexsort((issued, days))
    columns, days, issued = columns.iloc[order], days[order], issued[order]
    issues = pd.DataFrame({"valid": days, "issued": issued})
    twice = issues.duplicated() & ~columns.reset_index(drop=True).join(issues).duplicated()
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise RecordError(
            f"{path}: {columns.index[row]}: another forecast for {days[row]} was issued at the same time, "
            f"{issued[row]}: keep only one"
        )
    too_late = issued.astype("M8[D]") >= days
    late = []
    for name, values in columns.items():
        rows = np.flatnonzero(too_late & np.isfinite(values.to_numpy()))
        if len(rows):
            more = f" ({len(rows) - 1} more in the file)" if len(rows) > 1 else ""
            reason = f"issued on its valid date or later{more}"
            late.append(SetAside(days[rows[0]], str(name), float(values.iloc[rows[0]]), reason))
    return columns[~too_late].groupby(days[~too_late]).last(), tuple(late)
