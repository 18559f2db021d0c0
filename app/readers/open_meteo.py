"""Open-Meteo: its answers as records, and its forecasts known the day before, with their names and units."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd

from app.readers.cells import Table as CellTable
from app.readers.cells import find_table
from app.readers.formats import PLAIN
from app.readers.record import RecordError
from app.readers.rows import series_of
from app.readers.series import Options, Series, place
from app.readers.source import Source, text_of
from app.text import printable
from models.record.columns import GUIDANCE, Units

# Accepted names of the valid date, and of the forecasts (also guidance_<name>), in a plain CSV.
VALID = ("date", "valid", "valid_date", "valid_time", "time", "target_date")
FORECAST = {GUIDANCE, "tmax", "value", "forecast"}
IN_BRACKETS = {
    "°C",
    "°F",
    "mm",
    "inch",
    "cm",
    "m",
    "km/h",
    "mph",
    "mp/h",
    "m/s",
    "kn",
    "hPa",
    "%",
    "°",
    "s",
    "W/m²",
    "MJ/m²",
}

# Names of daily maxima and hourly temperatures, with the run (the day before's or the latest) and the model. Ensemble
# members are not guidance.
DAILY = re.compile(r"temperature_2m_max(?!.*_member|_previous_day[^1])(_previous_day1)?(?:_(\w+))?")
HOURLY = re.compile(r"temperature_2m_previous_day1(?!.*_member)(?:_(\w+))?")
LATEST_RUN = re.compile(r"temperature_2m(?!_m|_previous)(?:_(\w+))?")
REQUEST = "request hourly=temperature_2m_previous_day1 from Open-Meteo's Previous Runs API"

WITH_UNIT = re.compile(r"(temperature_2m\w*)\s*\((.*)\)")
PLACE_LINES = ("latitude,", "location_id,")  # the beginning of its CSV
UNIT: dict[str, Units] = {"c": "metric", "f": "us"}


class Table(NamedTuple):
    """The cells of a file as text, with the place of each row as index, and the units that the file states."""

    cells: pd.DataFrame
    units: dict[str, Units]


def read_table(path: Path) -> Table:
    """Read a file of forecasts: Open-Meteo's, or plain CSV."""
    source = Source(str(path), path)
    if is_json(source.head):
        answers = _answers(source)
        if len(answers) > 1:
            raise RecordError(f"{source.name}: the file holds {len(answers)} locations: download one file for each")
        part, columns, units = _part_of(source.name, answers[0], lambda hourly, _: are_hours(hourly))
        if not next(iter(columns.values()), []):
            raise RecordError(f"{source.name}: the file holds no forecasts")
        return Table(_cells(source.name, part, columns), _units_of(source.name, units))
    found = find_table(source, _names_forecasts, lambda _: 0)
    split = {name: match for name in found.names if (match := WITH_UNIT.fullmatch(name.lower()))}
    names = [split[name][1] if name in split else " ".join(name.lower().split()) for name in found.names]
    names_of_places, *places = [line for line in found.above.splitlines() if line.strip(', \t;"')] or [""]
    if names_of_places.lower().startswith(PLACE_LINES) and len(places) > 1:
        raise RecordError(f"{source.name}: the file holds {len(places)} locations: download one file for each")
    table = found.whole().set_axis(names, axis="columns")
    again = np.flatnonzero(table.iloc[:, 0].str.lower() == names[0])
    table = table.iloc[: again[0]] if len(again) else table  # another table begins
    table.index = pd.Index([place(row) for row in table.index])
    units = {match[1]: match[2] for match in split.values()}
    return Table(table[(table != "").any(axis=1)], _units_of(source.name, units))


def is_json(head: bytes) -> bool:
    """Whether a source is JSON."""
    return text_of(head[:64]).lstrip()[:1] in {"{", "["}


def read(source: Source, options: Options) -> list[Series]:
    """Read an answer of one of Open-Meteo's APIs, or an array of them, one for each location.

    Raises RecordError, which says what to request, where it holds no daily or hourly temperatures.
    """
    answers = _answers(source)
    found = []
    for i, answer in enumerate(answers):
        part, columns, units = _part_of(
            source.name,
            answer,
            lambda hourly, daily: "temperature_2m" in hourly and not any(map(DAILY.fullmatch, daily)),
            "give an answer of Open-Meteo, an array of objects, or CSV",
        )
        cells = _cells(source.name, part, columns)
        named = tuple(f"{name} ({units[name]})" if units.get(name) in IN_BRACKETS else name for name in columns)
        table = _as_table(source.name, part, cells, named)
        own_zone = str(answer.get("timezone", "")) if units.get("time") == "unixtime" else None
        series = series_of(table, PLAIN, options._replace(timezone=options.timezone or own_zone or None))
        place_of = f"{answer.get('latitude', i)}_{answer.get('longitude', i)}"
        station = printable(place_of) if len(answers) > 1 else ""
        found += [dataclasses.replace(of_one, station=station) for of_one in series]
    return found


def are_hours(names: Iterable[str]) -> bool:
    """Whether any column holds hourly temperatures."""
    return any(HOURLY.fullmatch(name) for name in names)


def are_previous_runs(names: Iterable[str]) -> bool:
    """Whether any column holds daily maxima of the previous day's run."""
    return any(match[1] for name in names if (match := DAILY.fullmatch(name)))


def guidance_names(columns: list[str]) -> dict[str, str]:
    """Return the guidance column of each column known the day before, or if there is none, of the latest run."""
    if hourly := {name: match[1] for name in columns if (match := HOURLY.fullmatch(name))}:
        return {name: _guidance(model) for name, model in hourly.items()}
    daily = {name: match.groups() for name in columns if (match := DAILY.fullmatch(name))}
    previous = are_previous_runs(columns)
    return {name: _guidance(model) for name, (before, model) in daily.items() if before or not previous}


def hint(columns: list[str]) -> str:
    """Return what to request instead of these columns, empty unless they are Open-Meteo's."""
    if any(LATEST_RUN.fullmatch(name) for name in columns):
        return f"temperature_2m is of the latest run, which may be from the valid date itself: {REQUEST}"
    return ""


def _guidance(model: str | None) -> str:
    return f"{GUIDANCE}_{model}" if model else GUIDANCE


def _answers(source: Source) -> list[dict[str, Any]]:
    try:
        decoded = msgspec.json.decode(text_of(source.content()))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(f"{source.name}: not valid JSON: {printable(error)}") from None
    answers = decoded if isinstance(decoded, list) else [decoded]
    if not answers or not all(isinstance(answer, dict) for answer in answers):
        raise RecordError(f"{source.name}: not an answer of Open-Meteo: an object with 'daily' or 'hourly' is needed")
    for answer in answers:
        if "reason" in answer:
            reason = printable(answer["reason"], 100)
            raise RecordError(f"{source.name}: the file holds an error message instead of data: {reason}")
    return answers


def _part_of(
    name: str,
    answer: dict[str, Any],
    is_hourly: Callable[[Iterable[str], Iterable[str]], bool],
    request: str = REQUEST,
) -> tuple[str, dict[str, list[Any]], dict[str, str]]:
    """Return the name of the part with the temperatures, its columns, and their units as text."""
    parts = {part: answer[part] for part in ("hourly", "daily") if isinstance(answer.get(part), dict)}
    if not parts:
        raise RecordError(f"{name}: the file has no Open-Meteo object 'hourly' or 'daily': {request}")
    hourly = is_hourly(parts.get("hourly", {}), parts.get("daily", {}))
    part = "hourly" if hourly or "daily" not in parts else "daily"
    columns = parts[part]
    lengths = {key: len(column) for key, column in columns.items() if isinstance(column, list)}
    if len(lengths) < len(columns) or len(set(lengths.values())) > 1:
        listed = printable(", ".join(f"{key} has {n}" for key, n in lengths.items()), 200)
        raise RecordError(
            f"{name}: the columns of {part!r} must be lists of the same length, and {listed}: download it again"
        )
    stated = answer.get(f"{part}_units")
    units = {key: str(stated.get(key, "")) if isinstance(stated, dict) else "" for key in columns}
    return part, columns, units


def _cells(name: str, part: str, columns: dict[str, list[Any]]) -> pd.DataFrame:
    n = len(next(iter(columns.values()), []))
    if not n:
        raise RecordError(f"{name}: {part!r} holds no days")
    return pd.DataFrame(
        {key: ["" if value is None else str(value) for value in column] for key, column in columns.items()},
        index=pd.Index([f"{part}[{row}]" for row in range(n)]),
        dtype=str,
    )


def _as_table(name: str, part: str, cells: pd.DataFrame, names: tuple[str, ...]) -> CellTable:
    by_position = cells.set_axis(range(len(names)), axis="columns")

    def chunks(positions: Sequence[int]) -> Iterator[pd.DataFrame]:
        yield by_position.reindex(columns=sorted(set(positions)), fill_value="")

    sample = [list(row) for row in cells.iloc[:60].itertuples(index=False)]
    return CellTable(name, names, "latitude,", sample, repr(part), (), chunks, len(names))


def _names_forecasts(cells: Sequence[str], _blanks: bool) -> int:
    """Return how many columns of a line of names may be forecasts, 0 where none holds the valid date."""
    names = [" ".join(cell.lower().split("(")[0].split()) for cell in cells]
    if not set(names) & set(VALID):
        return 0
    return 1 + sum(name.startswith((GUIDANCE, "temperature_2m")) or name in FORECAST for name in names)


def _units_of(name: str, stated: dict[str, str]) -> dict[str, Units]:
    """Return the units of the temperature columns."""
    units = {}
    for column, unit in stated.items():
        if DAILY.fullmatch(column) or HOURLY.fullmatch(column):
            if unit[-1:].lower() not in UNIT:
                found = f"the unit {printable(unit)!r}" if unit else "no unit"
                raise RecordError(f"{name}: {column} has {found}: download it in °C or °F")
            units[column] = UNIT[unit[-1].lower()]
    return units
