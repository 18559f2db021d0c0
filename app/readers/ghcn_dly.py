"""NOAA's GHCN-Daily station files (.dly): fixed width, a line for each month and element.

The layout is section III of NOAA's readme.txt: station 1-11, year 12-15, month 16-17, element 18-21, then for each of
31 days a value (5 characters, -9999 if missing) and the flags of measurement, quality and source (1 character each).
"""

import re
from itertools import groupby
from typing import NamedTuple

import numpy as np

from app.readers.lines import numbered_lines
from app.readers.record import RecordError
from app.readers.series import Options, Series
from models.nn import Array

STATION = re.compile(r"(\S{11})")  # at the beginning of each line
HEAD = re.compile(r"([A-Z]{2}[A-Z0-9_-]{9})((?:1[6-9]|20)[0-9]{2})(0[1-9]|1[0-2])([A-Z][A-Z0-9*]{3})")
FIRST_LINE = re.compile(HEAD.pattern + r"[ 0-9-]{4}[0-9]...[ 0-9-]{4}[0-9]")
START, WIDTH, DAYS = 21, 8, 31  # of the days in a line
SHORTEST = START + 27 * WIDTH + 5  # of February, where spaces at the end are cut off
LONGEST = START + DAYS * WIDTH
MAX_READ = 60_000  # lines of elements that are read; the longest station has some 25,000
MAX_STATIONS = 1000
MAX_NAMED = 50  # elements named in a note; NOAA has some 100, of which a station measures a few
ABSENT = -9999


class Element(NamedTuple):
    """What an element measures."""

    quantity: str
    scale: float  # units of the element in one metric unit


ELEMENTS = {
    "TMAX": Element("tmax", 10),
    "TMIN": Element("tmin", 10),
    "PRCP": Element("rain", 10),
    "TAVG": Element("tmean", 10),
    "ASLP": Element("pressure", 10),
    "RHAV": Element("humidity", 1),
    "ADPT": Element("dew_point", 10),
    "AWND": Element("wind_speed", 10),
    "AWDR": Element("wind_direction", 1),
    "WSFG": Element("wind_gust", 10),
    "WSF5": Element("wind_gust", 10),
    "WSF2": Element("wind_gust", 10),
    "WDFG": Element("wind_gust_direction", 1),
    "WDF5": Element("wind_gust_direction", 1),
    "WDF2": Element("wind_gust_direction", 1),
    "TSUN": Element("sunshine", 60),  # minutes -> hours
    "SNWD": Element("snow_depth", 10),  # mm -> cm
}


class Line(NamedTuple):
    """The beginning of a line: its number in the source, from 1, and what it is of."""

    number: int
    station: str
    year: str
    month: str
    element: str


def recognises(head: bytes) -> bool:
    """Whether a source that begins with ``head`` begins with a line of a .dly file."""
    return FIRST_LINE.match(head[: 2 * LONGEST].decode("latin-1").removeprefix("ï»¿").lstrip()) is not None


def read(text: str, name: str, options: Options) -> list[Series]:  # noqa: ARG001 - the format fixes units and days
    """Read the stations of a .dly file; ``name`` is what messages call it.

    A value that failed NOAA's quality control is missing; a trace is 0. Where several elements measure a quantity, the
    one with most values is read.

    Raises RecordError, which names the line, where a line is not as NOAA writes it.
    """
    try:
        lines, cells, others = _scan(text)
        values, failed = _values(lines, cells)
        by_station: dict[str, list[int]] = {}
        for row, line in enumerate(lines):
            by_station.setdefault(line.station, []).append(row)
        if len(by_station) > MAX_STATIONS:
            raise RecordError(f"{len(by_station)} stations; give at most {MAX_STATIONS} in one file")
    except RecordError as error:
        raise RecordError(f"{name}: {error}") from None
    return [_series([lines[r] for r in rows], values[rows], failed[rows], others) for rows in by_station.values()]


def _scan(text: str) -> tuple[list[Line], Array, set[str]]:
    """Return the lines of known elements, the characters of their days (lines, 31, 8), and the other elements."""
    found: dict[tuple[str, ...], tuple[Line, str]] = {}
    others: set[str] = set()
    for number, line in numbered_lines(text, LONGEST):
        match = HEAD.match(line)
        if not match or not SHORTEST <= len(line) <= LONGEST:
            what = f"a .dly line of {SHORTEST} to {LONGEST} characters"
            raise RecordError(f"line {number}: {line[:START]!r} does not begin {what}; download the file again")
        station, year, month, element = match.groups()
        if element not in ELEMENTS:
            if len(others) < MAX_NAMED:
                others.add(element)
            continue
        first, same = found.setdefault(
            (station, year, month, element), (Line(number, station, year, month, element), line)
        )
        if same != line:
            there = f"{element} of {station} in {year}-{month} is in line {first.number} with other values"
            raise RecordError(f"line {number}: {there}; keep one of them")
        if len(found) > MAX_READ:
            raise RecordError(f"line {number}: more than {MAX_READ} lines; give each station its own file")
    if not found:
        raise RecordError(f"no line has an element that is read: {', '.join(ELEMENTS)}")
    days = "".join(line[START:].ljust(LONGEST - START) for _, line in found.values()).encode("ascii", "replace")
    return [line for line, _ in found.values()], np.frombuffer(days, np.uint8).reshape(-1, DAYS, WIDTH), others


def _values(lines: list[Line], cells: Array) -> tuple[Array, Array]:
    """Return the metric values (lines, 31), ``nan`` where missing, and which of them failed quality control."""
    numbers, valid = _whole_numbers(cells[:, :, :5])
    blank = (cells[:, :, :5] == ord(" ")).all(axis=2)
    if not (valid | blank).all():
        row, day = np.argwhere(~(valid | blank))[0]
        written = bytes(cells[row, day, :5]).decode()
        raise RecordError(f"{_place(lines[row], day)} is {written!r}, not a whole number (-9999 if missing)")
    there = ~blank & (numbers != ABSENT)
    months = _months(lines)
    n_days = ((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(int)
    beyond = there & (np.arange(DAYS) >= n_days[:, None])
    if beyond.any():
        row, day = np.argwhere(beyond)[0]
        raise RecordError(f"{_place(lines[row], day)} is {numbers[row, day]}, but the month has {n_days[row]} days")
    failed = there & (cells[:, :, 6] != ord(" "))
    trace = cells[:, :, 5] == ord("T")
    scale = np.array([ELEMENTS[line.element].scale for line in lines], dtype=float)
    return np.where(there & ~failed, np.where(trace, 0, numbers) / scale[:, None], np.nan), failed


def _place(line: Line, day: int) -> str:
    return f"line {line.number}: {line.element} of {line.year}-{line.month}-{day + 1:02}"


def _months(lines: list[Line]) -> Array:
    return np.array([f"{line.year}-{line.month}" for line in lines], dtype="M8[M]")


def _whole_numbers(text: Array) -> tuple[Array, Array]:
    """Return the numbers in right-aligned ASCII text (…, n), and where they are valid: spaces, a minus sign, digits."""
    digit = (text >= ord("0")) & (text <= ord("9"))
    minus = text == ord("-")
    order = 2 * digit.astype(np.int8) + minus - ~(digit | minus | (text == ord(" ")))
    rising = (np.diff(order, axis=-1) >= 0).all(axis=-1) & (order[..., 0] >= 0)
    valid = rising & digit[..., -1] & (minus.sum(axis=-1) <= 1)
    tens = 10 ** np.arange(text.shape[-1] - 1, -1, -1, dtype=np.int32)
    size = np.where(digit, text.astype(np.int32) - ord("0"), 0) @ tens
    return np.where(minus.any(axis=-1), -size, size), valid


def _series(lines: list[Line], values: Array, failed: Array, others: set[str]) -> Series:
    """Arrange the lines of one station by days; days without any value are left out."""
    months, month_of = np.unique(_months(lines), return_inverse=True)
    element_of = np.array([line.element for line in lines])
    number_of = np.array([line.number for line in lines])
    present = sorted(set(element_of), key=list(ELEMENTS).index)
    n_values = {element: int(np.isfinite(values[element_of == element]).sum()) for element in present}
    columns, lost, places = {}, {}, np.zeros(len(months), dtype=int)
    read = set()
    for quantity, elements in groupby(present, key=lambda element: ELEMENTS[element].quantity):
        element = max(elements, key=n_values.__getitem__)
        read.add(element)
        rows = element_of == element
        columns[quantity] = np.full((len(months), DAYS), np.nan)
        columns[quantity][month_of[rows]] = values[rows]
        lost[quantity] = int(failed[rows].sum())
        places[month_of[rows]] = np.where(places[month_of[rows]], places[month_of[rows]], number_of[rows])
    notes = []
    if any(lost.values()):
        which = ", ".join(f"{quantity} {n}" for quantity, n in lost.items() if n)
        notes.append(f"{sum(lost.values())} values failed NOAA's quality control and are missing: {which}")
    if unread := sorted({*others, *present} - read):
        notes.append(f"elements that are not read: {', '.join(unread[:MAX_NAMED])}")
    known = np.isfinite(list(columns.values())).any(axis=0)
    days = months[:, None].astype("M8[D]") + np.arange(DAYS)
    named = np.char.add("line ", np.broadcast_to(places[:, None], days.shape)[known].astype(str))
    return Series(
        lines[0].station,
        days[known].astype("M8[s]"),
        {quantity: grid[known] for quantity, grid in columns.items() if np.isfinite(grid).any()},
        named,
        tuple(notes),
    )
