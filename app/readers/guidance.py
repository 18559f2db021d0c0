"""Files of somebody's past forecasts of tmax, joined to a record: plain CSV, and Open-Meteo's JSON and CSV."""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pandas as pd

from app.readers.plain_csv import PREDICTOR_NAME, iso_dates, numbers, read_cells, read_text
from app.readers.record import IMPOSSIBLE_SHARE, Record, RecordError
from models.nn import Array
from models.predictors import (
    GUIDANCE,
    in_order,
    is_guidance,
    predictor_to_metric,
    set_aside_impossible_predictors,
)
from models.station_days import ONE_DAY, SetAside, Units

# What the day that a forecast is for may be called, and the time at which it was made.
VALID = ("date", "valid", "valid_date", "valid_time", "time", "target_date")
ISSUED = ("issued", "issue", "issue_time", "run", "init", "reference_time")

# What a forecast of tmax may be called, besides guidance_<name>.
FORECAST = {GUIDANCE, "tmax", "value", "forecast"}

# Open-Meteo's names of a day's highest temperature and of those of the hours: of the run of the day before or of the
# latest one, and by which model. The members of an ensemble are not guidance each.
OF_DAYS = re.compile(r"temperature_2m_max(?!.*_member|_previous_day[^1])(_previous_day1)?(?:_(\w+))?")
OF_HOURS = re.compile(r"temperature_2m_previous_day1(?!.*_member)(?:_(\w+))?")
LATEST_RUN = re.compile(r"temperature_2m(?!_m|_previous)(?:_(\w+))?")
ASK = "ask Open-Meteo's Previous Runs API for hourly=temperature_2m_previous_day1"

# The first line of Open-Meteo's CSV, which is about the place.
ABOUT_PLACES = ("latitude,", "location_id,")
WITH_UNIT = re.compile(r"(temperature_2m\w*)\s*\((.*)\)")
UNIT: dict[str, Units] = {"c": "metric", "f": "us"}

# Of fewer hours of a day nobody knows how warm it became.
FEWEST_HOURS = 4

MIDNIGHT = r"[T ]00:00(?::00(?:\.0+)?)?$"
HOUR = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?"
INSTANT = (
    r"(?i)^([0-9]{4}([-/])[0-9]{2}\2[0-9]{2})(?:[t ]([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:\.[0-9]+)?)?)?)?"
    r" ?(?:z|utc|gmt|[+-][0-9]{2}:?[0-9]{2})?$"
)


class Forecasts(NamedTuple):
    """What a file says.

    Attributes
    ----------
    valid : (n,) datetime64[D], ascending, the days that the forecasts are for
    columns : by name, (n,) degC; ``nan`` is no forecast
    late : of each column the first forecast that was not made before its day, where there is one; it says how many
    says_unit : whether the file itself says what its unit is
    """

    valid: Array
    columns: dict[str, Array]
    late: tuple[SetAside, ...]
    says_unit: bool


class _Cells(NamedTuple):
    """The cells of a file, as text, by name; the index says where a row is. ``units`` are those that it says itself."""

    table: pd.DataFrame
    units: dict[str, Units]


def with_guidance(record: Record, path: Path, units: Units) -> Record:
    """Put the forecasts that a file holds beside the days of a record.

    The forecast for a day comes into the row of the day before, on which it was known, in the place of what the record
    itself has there under its name. What no temperature can be is set aside.

    Parameters
    ----------
    units : of a file that does not say its own

    Raises
    ------
    RecordError : names the place in the file and the remedy
    """
    said, days = read_forecasts(path, units), record.days
    rows = (said.valid - days.first).astype(int) - 1
    inside = (rows >= 0) & (rows < len(days))
    columns, joined = dict(days.predictors), 0
    for name, values in said.columns.items():
        there = inside & np.isfinite(values)
        if there.any():
            columns[name] = columns.get(name, np.full(len(days), np.nan)).copy()
            columns[name][rows[there]] = values[there]
            joined += int(there.sum())
    if not joined:
        raise RecordError(f"{path}: {_why_none(record, said)}")
    known = dataclasses.replace(days, predictors={name: columns[name] for name in in_order(columns)})
    known, impossible = set_aside_impossible_predictors(known)
    beyond = [dropped for dropped in impossible if is_guidance(dropped.column)]
    if len(beyond) > IMPOSSIBLE_SHARE * joined:
        first = beyond[0]
        in_degf = first.value > 0 and not said.says_unit
        remedy = "is the file in degF? Then say --units us" if in_degf else "leave unknown values empty"
        raise RecordError(
            f"{path}: {len(beyond)} of {joined} forecasts are impossible in degC "
            f"({first.column} for {first.date + ONE_DAY} is {first.value:.1f}); {remedy}"
        )
    return dataclasses.replace(record, days=known, set_aside=(*record.set_aside, *said.late, *impossible))


def read_forecasts(path: Path, units: Units) -> Forecasts:
    """Read a file of forecasts, whatever its format; for the parameters see `with_guidance`.

    Raises
    ------
    RecordError : names the place in the file and the remedy
    """
    text = read_text(path)
    table, own = (_of_json if text.lstrip()[:1] in {"{", "["} else _of_csv)(path, text)
    names = _guidance_names(path, [str(name) for name in table.columns])
    valid, issued = _one_of(path, table, VALID), _one_of(path, table, ISSUED)
    if valid is None:
        raise RecordError(f"{path}: no column says which day a forecast is for: name it {', '.join(VALID)}")
    if table.empty:
        raise RecordError(f"{path}: there is no forecast in it")
    columns = pd.DataFrame(
        {
            guidance: predictor_to_metric(guidance, numbers(path, table[name]), own.get(name, units))
            for name, guidance in names.items()
        },
        index=table.index,
    )
    late: tuple[SetAside, ...] = ()
    if any(OF_HOURS.fullmatch(name) for name in names):
        of_days = _highest(path, columns, _hours(path, table[valid]))
    else:
        days = iso_dates(path, table[valid].str.replace(MIDNIGHT, "", regex=True))
        if issued is None:
            of_days = _only(path, columns, days)
        else:
            of_days, late = _latest(path, columns, days, _instants(path, table[issued]))
    values = {str(name): column.to_numpy() for name, column in of_days.items()}
    return Forecasts(of_days.index.to_numpy().astype("M8[D]"), values, late, set(names) <= set(own))


def _of_json(path: Path, text: str) -> _Cells:
    """Read the answer of one of Open-Meteo's interfaces."""
    try:
        answer = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RecordError(f"{path}: not valid JSON: {error}") from None
    if isinstance(answer, list):
        raise RecordError(f"{path}: it holds {len(answer)} places: download a file for each of them")
    if "reason" in answer:
        raise RecordError(f"{path}: it holds no forecasts, but an error: {answer['reason']}")
    parts = {part: answer[part] for part in ("hourly", "daily") if isinstance(answer.get(part), dict)}
    if not parts:
        raise RecordError(f"{path}: it has neither of Open-Meteo's parts hourly and daily: {ASK}")
    part, columns = next((p for p in parts.items() if _are_hours(p[1])), list(parts.items())[-1])
    lengths = {name: len(column) for name, column in columns.items() if isinstance(column, list)}
    if len(lengths) < len(columns) or len(set(lengths.values())) > 1:
        raise RecordError(f"{path}: {part} is not made of lists of one length: download it again")
    n = next(iter(lengths.values()), 0)
    table = pd.DataFrame(
        {name: ["" if value is None else str(value) for value in column] for name, column in columns.items()},
        index=pd.Index([f"{part}[{row}]" for row in range(n)]),
        dtype=str,
    )
    said = answer.get(f"{part}_units")
    units = {name: str(said.get(name, "")) if isinstance(said, dict) else "" for name in columns}
    return _Cells(table, _units_of(path, units))


def _of_csv(path: Path, text: str) -> _Cells:
    """Read plain CSV or Open-Meteo's, of which that part counts which says what was known the day before."""
    first, end = 0, None
    if text.lower().startswith(ABOUT_PLACES):
        first, end = _part_of_csv(path, text)
    table = read_cells(path, text, first, end)
    split = {name: (match[1], match[2]) for name in table.columns if (match := WITH_UNIT.fullmatch(str(name)))}
    table = table.rename(columns={name: bare for name, (bare, _) in split.items()})
    return _Cells(table, _units_of(path, dict(split.values())))


def _part_of_csv(path: Path, text: str) -> tuple[int, int]:
    """Return how many lines of Open-Meteo's CSV are before the part with the forecasts, and how many it has."""
    lines = text.splitlines()
    blank = [-1, *(row for row, line in enumerate(lines) if not line.strip(', \t;"')), len(lines)]
    about, *parts = [(before + 1, after) for before, after in pairwise(blank) if after - before > 1]
    if about[1] - about[0] > 2:  # noqa: PLR2004  # names, and one place
        raise RecordError(f"{path}: it holds {about[1] - about[0] - 1} places: download a file for each of them")
    if not parts:
        raise RecordError(f"{path}: there is no forecast in it, only the place")
    names = {part: [name.split("(")[0].strip() for name in lines[part[0]].lower().split(",")] for part in parts}
    first, end = next((part for part in parts if _are_hours(names[part])), parts[-1])
    return first, end - first


def _are_hours(names: Iterable[str]) -> bool:
    return any(OF_HOURS.fullmatch(name) for name in names)


def _units_of(path: Path, said: dict[str, str]) -> dict[str, Units]:
    """Return the units of the temperatures among the columns."""
    units = {}
    for name, unit in said.items():
        if OF_DAYS.fullmatch(name) or OF_HOURS.fullmatch(name):
            if unit[-1:].lower() not in UNIT:
                raise RecordError(f"{path}: {name} must be in °C or °F, but its unit is {unit!r}")
            units[name] = UNIT[unit[-1].lower()]
    return units


def _guidance_names(path: Path, columns: list[str]) -> dict[str, str]:
    """Choose the columns with forecasts that were made the day before, and return what each is called as guidance."""
    of_hours = {name: match[1] for name in columns if (match := OF_HOURS.fullmatch(name))}
    of_days = {name: match.groups() for name in columns if (match := OF_DAYS.fullmatch(name))}
    if of_hours:
        names = {name: _guidance(model) for name, model in of_hours.items()}
    elif any(before for before, _ in of_days.values()):
        names = {name: _guidance(model) for name, (before, model) in of_days.items() if before}
    else:
        names = {name: _guidance(model) for name, (_, model) in of_days.items()}
        names |= {name: GUIDANCE for name in columns if name in FORECAST}
        names |= {name: name for name in columns if name.startswith(f"{GUIDANCE}_")}
    if not names:
        hint = f"it has: {', '.join(columns)[:200]}"
        if any(LATEST_RUN.fullmatch(name) for name in columns):
            hint = f"temperature_2m is what the latest run says, the day's own at the end: {ASK}"
        raise RecordError(f"{path}: no column is a forecast of tmax (guidance, guidance_NAME, tmax, ...); {hint}")
    for name, guidance in names.items():
        same = [other for other in columns if names.get(other) == guidance]
        if len(same) > 1:
            raise RecordError(f"{path}: {' and '.join(same)} would both be {guidance}: rename one to guidance_NAME")
        if not PREDICTOR_NAME.fullmatch(guidance):
            raise RecordError(f"{path}: {name!r} is to be renamed: guidance_ and letters, digits and '_'")
    return names


def _guidance(model: str | None) -> str:
    return f"{GUIDANCE}_{model}" if model else GUIDANCE


def _one_of(path: Path, table: pd.DataFrame, names: Sequence[str]) -> str | None:
    found = [str(name) for name in table.columns if name in names]
    if len(found) > 1:
        raise RecordError(f"{path}: the columns {' and '.join(found)} may mean the same: leave one of them")
    return found[0] if found else None


def _instants(path: Path, text: "pd.Series[str]") -> Array:
    """Read dates and times of ISO 8601 as they are written, wherever that is: (n,) datetime64[s]."""
    found = text.str.extract(INSTANT)
    date, hour, minute, second = found[0].str.replace("/", "-"), *(found[part].fillna("00") for part in (2, 3, 4))
    instants = pd.to_datetime(date + "T" + hour + ":" + minute + ":" + second, format="ISO8601", errors="coerce")
    if instants.isna().any():
        place = text.index[instants.isna().to_numpy()][0]
        raise RecordError(
            f"{path}: {place}: {text.name} {text[place]!r} is not a time such as 2012-01-31 or 2012-01-31T18:00"
        )
    return np.asarray(instants.to_numpy().astype("M8[s]"))


def _hours(path: Path, text: "pd.Series[str]") -> pd.DatetimeIndex:
    hours = pd.to_datetime(text.where(text.str.fullmatch(HOUR)), format="ISO8601", errors="coerce")
    if hours.isna().any():
        place = text.index[hours.isna().to_numpy()][0]
        remedy = "; download it without timeformat=unixtime" if text[place].isdigit() else ""
        raise RecordError(
            f"{path}: {place}: {text.name} {text[place]!r} is not an hour such as 2012-01-31T18:00{remedy}"
        )
    if hours.duplicated().any():
        place = text.index[hours.duplicated().to_numpy()][0]
        raise RecordError(f"{path}: {place}: {text.name} {text[place]} comes twice: leave one of them")
    return pd.DatetimeIndex(hours)


def _highest(path: Path, columns: pd.DataFrame, hours: pd.DatetimeIndex) -> pd.DataFrame:
    """Return the highest temperature of each day of which all hours are known, be they one hour apart or more."""
    step = np.median(np.diff(np.sort(hours.to_numpy()))) if len(hours) > 1 else np.timedelta64(1, "h")
    in_a_day = round(np.timedelta64(24, "h") / step)
    if in_a_day < FEWEST_HOURS:
        raise RecordError(f"{path}: {in_a_day} hours of a day do not tell its highest temperature: download all")
    by_day = columns.groupby(hours.normalize())
    highest = by_day.max().where(by_day.count() >= in_a_day)
    if not np.isfinite(highest.to_numpy()).any():
        raise RecordError(f"{path}: of no day all {in_a_day} hours are there: leave no hour of a day away")
    return highest


def _only(path: Path, columns: pd.DataFrame, days: Array) -> pd.DataFrame:
    """Return the forecasts by day, of which each has one."""
    again = pd.Index(days).duplicated()
    if again.any():
        row = int(np.flatnonzero(again)[0])
        before = columns.index[np.flatnonzero(days == days[row])[0]]
        raise RecordError(
            f"{path}: {columns.index[row]}: there is a forecast for {days[row]} in {before} too: say when each was "
            "made in a column named issued, or leave one of them"
        )
    return columns.set_axis(pd.Index(days)).sort_index()


def _latest(path: Path, columns: pd.DataFrame, days: Array, issued: Array) -> tuple[pd.DataFrame, tuple[SetAside, ...]]:
    """Return for each day the forecast that was made last of those before the day, and what was made later."""
    order = np.lexsort((issued, days))
    columns, days, issued = columns.iloc[order], days[order], issued[order]
    made = pd.DataFrame({"valid": days, "issued": issued})
    twice = made.duplicated() & ~columns.reset_index(drop=True).join(made).duplicated()
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise RecordError(
            f"{path}: {columns.index[row]}: there is another forecast for {days[row]} that was made at the same time, "
            f"{issued[row]}: leave one of them"
        )
    too_late = issued.astype("M8[D]") >= days
    late = []
    for name, values in columns.items():
        rows = np.flatnonzero(too_late & np.isfinite(values.to_numpy()))
        if len(rows):
            more = f", as {len(rows) - 1} more of the file were" if len(rows) > 1 else ""
            reason = f"a forecast that was made on its day, or later{more}"
            late.append(SetAside(days[rows[0]], str(name), float(values.iloc[rows[0]]), reason))
    in_time = columns[~too_late]
    return in_time.groupby(days[~too_late]).last(), tuple(late)


def _why_none(record: Record, said: Forecasts) -> str:
    known = said.valid[np.any([np.isfinite(values) for values in said.columns.values()], axis=0)]
    if not len(known):
        if said.late:
            return "each of its forecasts was made on its day, or later: those of the day before are needed"
        return "there is no forecast in it"
    first, last = record.days.first + ONE_DAY, record.days.last + ONE_DAY
    return (
        f"it has forecasts for {known[0]} to {known[-1]}, and none for {first} to {last}, the days after those of the "
        "record: is it of another station, or of other years?"
    )
