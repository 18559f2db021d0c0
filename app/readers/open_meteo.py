"""Open-Meteo's forecast files: the forecasts known the day before, their names and their units."""

import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import pandas as pd

from app.readers.cells import read_cells, read_text
from app.readers.record import RecordError
from models.record.columns import GUIDANCE, Units

# Names of daily maxima and hourly temperatures, with the run (the day before's or the latest) and the model. Ensemble
# members are not guidance.
DAILY = re.compile(r"temperature_2m_max(?!.*_member|_previous_day[^1])(_previous_day1)?(?:_(\w+))?")
HOURLY = re.compile(r"temperature_2m_previous_day1(?!.*_member)(?:_(\w+))?")
LATEST_RUN = re.compile(r"temperature_2m(?!_m|_previous)(?:_(\w+))?")
REQUEST = "request hourly=temperature_2m_previous_day1 from Open-Meteo's Previous Runs API"

# The beginning of Open-Meteo's CSV, a description of the location.
PLACE_LINES = ("latitude,", "location_id,")
WITH_UNIT = re.compile(r"(temperature_2m\w*)\s*\((.*)\)")
UNIT: dict[str, Units] = {"c": "metric", "f": "us"}


class Table(NamedTuple):
    """The cells of a file as text, with the place of each row as index, and the units that the file states."""

    cells: pd.DataFrame
    units: dict[str, Units]


def read_table(path: Path) -> Table:
    """Read a file of forecasts: Open-Meteo's, or plain CSV."""
    text = read_text(path)
    return (_of_json if text.lstrip()[:1] in {"{", "["} else _of_csv)(path, text)


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


def _of_json(path: Path, text: str) -> Table:
    """Read the JSON of one of Open-Meteo's APIs."""
    try:
        answer = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RecordError(f"{path}: not valid JSON: {error}") from None
    if isinstance(answer, list):
        raise RecordError(f"{path}: the file holds {len(answer)} locations: download one file for each")
    if "reason" in answer:
        raise RecordError(f"{path}: the file holds an error message instead of forecasts: {answer['reason']}")
    parts = {part: answer[part] for part in ("hourly", "daily") if isinstance(answer.get(part), dict)}
    if not parts:
        raise RecordError(f"{path}: the file has no Open-Meteo object 'hourly' or 'daily': {REQUEST}")
    part, columns = next((p for p in parts.items() if are_hours(p[1])), list(parts.items())[-1])
    lengths = {name: len(column) for name, column in columns.items() if isinstance(column, list)}
    if len(lengths) < len(columns) or len(set(lengths.values())) > 1:
        raise RecordError(f"{path}: the columns of {part!r} must be lists of the same length: download the file again")
    n = next(iter(lengths.values()), 0)
    table = pd.DataFrame(
        {name: ["" if value is None else str(value) for value in column] for name, column in columns.items()},
        index=pd.Index([f"{part}[{row}]" for row in range(n)]),
        dtype=str,
    )
    stated = answer.get(f"{part}_units")
    units = {name: str(stated.get(name, "")) if isinstance(stated, dict) else "" for name in columns}
    return Table(table, _units_of(path, units))


def _of_csv(path: Path, text: str) -> Table:
    """Read plain CSV, or the part of Open-Meteo's CSV that was known the day before."""
    first, end = 0, None
    if text.lower().startswith(PLACE_LINES):
        first, end = _part_of_csv(path, text)
    table = read_cells(path, text, first, end)
    split = {name: (match[1], match[2]) for name in table.columns if (match := WITH_UNIT.fullmatch(str(name)))}
    table = table.rename(columns={name: bare for name, (bare, _) in split.items()})
    return Table(table, _units_of(path, dict(split.values())))


def _part_of_csv(path: Path, text: str) -> tuple[int, int]:
    """Return the number of lines before the part of Open-Meteo's CSV with the forecasts, and of the part itself."""
    lines = text.splitlines()
    blank = [-1, *(row for row, line in enumerate(lines) if not line.strip(', \t;"')), len(lines)]
    about, *parts = [(before + 1, after) for before, after in pairwise(blank) if after - before > 1]
    n_places = about[1] - about[0] - 1  # below the header
    if n_places > 1:
        raise RecordError(f"{path}: the file holds {n_places} locations: download one file for each")
    if not parts:
        raise RecordError(f"{path}: the file describes a location but holds no forecasts")
    names = {part: [name.split("(")[0].strip() for name in lines[part[0]].lower().split(",")] for part in parts}
    first, end = next((part for part in parts if are_hours(names[part])), parts[-1])
    return first, end - first


def _units_of(path: Path, stated: dict[str, str]) -> dict[str, Units]:
    """Return the units of the temperature columns."""
    units = {}
    for name, unit in stated.items():
        if DAILY.fullmatch(name) or HOURLY.fullmatch(name):
            if unit[-1:].lower() not in UNIT:
                found = f"the unit {unit!r}" if unit else "no unit"
                raise RecordError(f"{path}: {name} has {found}: download it in °C or °F")
            units[name] = UNIT[unit[-1].lower()]
    return units
