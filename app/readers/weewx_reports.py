"""weewx's monthly text reports (NOAA-2018-01.txt and so on), one or more in one file.

The layout is that of weewx's template NOAA-%Y-%m.txt.tmpl: a head with the month, the station's name and the units, two
rows of labels, and a row for each day between two dashed lines. Cells are aligned with the right ends of their labels.
"""

import re
import unicodedata
from calendar import monthrange
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from app.readers.lines import numbered_lines
from app.readers.record import RecordError
from app.readers.series import Options, Series
from app.readers.units import Unit, unit_of
from app.readers.vocabulary import MONTH_OF
from models.record.columns import DEGREES
from models.record.columns import QUANTITIES as COLUMN_OF

TITLE = re.compile(r"(?P<monthly>MONTHLY )?CLIMATOLOGICAL SUMMARY for\b(?P<period>.*)", re.I)
TITLE_BYTES = re.compile(rb"CLIMATOLOGICAL SUMMARY for\b", re.I)
STATION = re.compile(r"\s*NAME:(.*)")
UNITS = re.compile(r"TEMPERATURE\s+\(([^)]*)\), RAIN\s+\(([^)]*)\), WIND SPEED\s+\(([^)]*)\)", re.I)
LABELS = re.compile(r"\s*DAY(\s+[A-Z]+)+\s*", re.I)
DASHES = re.compile(r"\s*-{20,}\s*")
CELL = re.compile(r"[0-9]{1,2}:[0-9]{2}(?:\s?[AP]M|[AP])?|-?[0-9]+(?:[.,][0-9]+)?|N/A|[A-Z]+|-+", re.I)
COMPLETE = re.compile(r"-?[0-9]+[.,][0-9]+|[0-9]{1,2}:[0-9]{2}")  # a cell that the next may touch
NUMBER = re.compile(r"-?[0-9]{1,6}(?:[.,][0-9]{1,6})?")
MISSING = re.compile(r"(?:N/A|-*)", re.I)

MAX_REPORTS = 3000  # 250 years; each takes some 20 kB in memory
MAX_LINES = 200  # without blank ones, from title to title; a report has fewer than 80
MAX_LINE = 250  # characters; a row has 87

# The quantity of each label; HIGH comes twice. Without an entry a column is not read.
QUANTITIES = {
    "TEMP": ("tmean",),
    "HIGH": ("tmax", "wind_gust"),
    "LOW": ("tmin",),
    "RAIN": ("rain",),
    "SPEED": ("wind_speed",),
    "DIR": ("wind_direction",),
}
# Whose unit each quantity has: that of temperature, rain or wind.
KIND = {"tmean": 0, "tmax": 0, "tmin": 0, "rain": 1, "wind_speed": 2, "wind_gust": 2}

POINTS = "N NNE NE ENE E ESE SE SSE S SSW SW WSW W WNW NW NNW"  # whence the wind blows
COMPASS = {point: 22.5 * n for n, point in enumerate(POINTS.split())}


class Label(NamedTuple):
    """A column of the report: its quantity, empty if it is not read, and where it ends in a row."""

    quantity: str
    end: int


class Report(NamedTuple):
    """A month of a station."""

    station: str
    month: date  # its first day
    days: dict[int, tuple[int, dict[str, float]]]  # day of the month -> its line, and its metric values
    notes: list[str]


Lines = list[tuple[int, str]]  # the number of a line, from 1, and its text


def recognises(head: bytes) -> bool:
    """Whether a source that begins with ``head`` has the title of a weewx report, in UTF-8, UTF-16 or the like."""
    return TITLE_BYTES.search(head.replace(b"\0", b"")) is not None


def read(text: str, name: str, options: Options) -> list[Series]:  # noqa: ARG001 - a report states its units and days
    """Read monthly reports; ``name`` is what messages call the source.

    Raises RecordError, which names the line, where a month, a unit or a row is not as weewx writes it, or where there
    are only yearly reports: they hold no days.
    """
    reports: list[Report] = []
    n_yearly = 0
    try:
        for title, lines in _parts(text):
            if title["monthly"]:
                reports.append(_report(title["period"], lines))
            else:
                n_yearly += 1
            if len(reports) + n_yearly > MAX_REPORTS:
                raise RecordError(f"more than {MAX_REPORTS} reports; give each station its own file")
        if not reports:
            found = "a yearly report, which holds no days" if n_yearly else "no monthly report of weewx"
            raise RecordError(f"{found}; give the monthly ones (NOAA-2018-01.txt and so on), one after another")
    except RecordError as error:
        raise RecordError(f"{name}: {error}") from None
    notes = [f"{n_yearly} yearly reports hold no days and are not read"] if n_yearly else []
    stations = dict.fromkeys(report.station for report in reports)
    return [_series([report for report in reports if report.station == station], notes) for station in stations]


def _parts(text: str) -> Iterator[tuple[re.Match[str], Lines]]:
    """Yield the title of each report, and its lines without blank ones."""
    title: re.Match[str] | None = None
    part: Lines = []
    for number, line in numbered_lines(text, MAX_LINE):
        if found := TITLE.search(line):
            if title:
                yield title, part
            title, part = found, []
        if title:
            part.append((number, line))
        if len(line) > MAX_LINE or len(part) > MAX_LINES:
            raise RecordError(f"line {number}: too long for a report of weewx; give the reports alone")
    if title:
        yield title, part


def _report(period: str, lines: Lines) -> Report:
    """Read a monthly report. Raises RecordError where a part is missing or cannot be read."""
    first = lines[0][0]
    dashed = [row for row, (_, line) in enumerate(lines) if DASHES.fullmatch(line)]
    if not dashed:
        raise RecordError(f"line {first}: no dashed line in the report that begins here; weewx has one above the days")
    head = [line for _, line in lines[: dashed[0]]]
    rows = lines[dashed[0] + 1 : dashed[1] if len(dashed) > 1 else None]
    month = _month(period, first)
    units, notes = _units(head, first)
    labels = _labels(head, first)
    n_days = monthrange(month.year, month.month)[1]
    days = {}
    for number, row in rows:
        day, *cells = _cells(row, labels, number)
        if not day.isdecimal() or not 1 <= int(day) <= n_days or int(day) in days:
            raise RecordError(f"line {number}: {day!r} is not a further day of {month:%Y-%m}")
        read = {label.quantity: cell for label, cell in zip(labels[1:], cells, strict=True) if label.quantity in units}
        values = {q: np.array(_number(cell, q, number)) for q, cell in read.items()}
        days[int(day)] = number, {q: float(units[q].to_metric(value)) for q, value in values.items()}
    station = next((match[1].strip() for line in head if (match := STATION.match(line))), "")
    return Report(station, month, days, notes)


def _month(period: str, number: int) -> date:
    """Return the first day of the month in a title such as "Jan 2018"."""
    words = unicodedata.normalize("NFKD", period.lower()).encode("ascii", "ignore").decode().replace(".", " ").split()
    if len(words) == 2 and re.fullmatch("(?:19|20)[0-9]{2}", words[1]):  # noqa: PLR2004 - month and year
        fitting = [letters for letters in MONTH_OF if words[0].startswith(letters)]
        if fitting:
            return date(int(words[1]), MONTH_OF[max(fitting, key=len)], 1)
    raise RecordError(f"line {number}: {period.strip()!r} is not a month such as Jan 2018")


def _units(head: list[str], number: int) -> tuple[dict[str, Unit], list[str]]:
    """Return the unit of each quantity, without the wind where it is unknown, and notes."""
    stated = next((match for line in head if (match := UNITS.search(line))), None)
    if not stated:
        raise RecordError(
            f"line {number}: the report that begins here has no TEMPERATURE (°C), RAIN (mm), WIND SPEED (km/h)"
        )
    labels = [stated[1].strip()[-1:], *stated.groups()[1:]]  # the degree sign before C or F may be damaged
    units = [
        unit_of(label, COLUMN_OF[kind]) for kind, label in zip(("tmax", "rain", "wind_speed"), labels, strict=True)
    ]
    if units[0] is None or units[0].kelvin or units[1] is None:
        raise RecordError(f"line {number}: {stated[0]!r}: temperature must be in C or F, rain in mm, cm or in")
    notes = [] if units[2] else [f"wind in {stated[3].strip()!r} is not read"]
    known = {quantity: unit for quantity, kind in KIND.items() if (unit := units[kind])}
    return known | {"wind_direction": Unit(DEGREES)}, notes


def _labels(head: list[str], number: int) -> list[Label]:
    row = next((line for line in reversed(head) if LABELS.fullmatch(line)), None)
    if row is None:
        raise RecordError(f"line {number}: the report that begins here has no row of labels DAY TEMP HIGH TIME LOW …")
    quantities = {label: iter(names) for label, names in QUANTITIES.items()}
    words = re.finditer(r"\S+", row.upper())
    return [Label(next(quantities.get(word[0], iter(())), ""), word.end()) for word in words]


def _cells(row: str, labels: list[Label], number: int) -> list[str]:
    """Return the cell of each label: by their order if all are there, else by where the labels end."""
    cells = CELL.findall(row)
    if len(cells) == len(labels) and "".join("".join(cells).split()) == "".join(row.split()):
        return cells
    ends = [label.end for label in labels]
    cells = [row[start:end].strip() for start, end in pairwise([0, *ends])]
    fit = not row[ends[-1] :].strip() and all(not cell or CELL.fullmatch(cell) for cell in cells)
    touching = (cell for cell, end in zip(cells, ends, strict=True) if re.fullmatch(r"\S\S", row[end - 1 : end + 1]))
    if not fit or not all(COMPLETE.fullmatch(cell) for cell in touching):
        raise RecordError(f"line {number}: {row.strip()[:100]!r} does not fit the labels above; restore the columns")
    return cells


def _number(cell: str, quantity: str, number: int) -> float:
    if MISSING.fullmatch(cell):
        return np.nan
    if quantity == "wind_direction" and cell.upper() in COMPASS:
        return COMPASS[cell.upper()]
    if not NUMBER.fullmatch(cell):
        raise RecordError(f"line {number}: {quantity} {cell!r} is not a number (weewx writes N/A if unknown)")
    return float(cell.replace(",", "."))


def _series(reports: list[Report], notes: list[str]) -> Series:
    """Join the reports of a station.

    The last day is missing where its month goes on: weewx wrote the report before the day was over.
    """
    last = max(reports, key=lambda report: report.month)
    observed = [day for day, (_, values) in last.days.items() if not all(map(np.isnan, values.values()))]
    notes = [*notes, *dict.fromkeys(note for report in reports for note in report.notes)]
    if observed and (day := max(observed)) < monthrange(last.month.year, last.month.month)[1]:
        notes.append(f"{last.month.replace(day=day)} was not over when its report was written, and is missing")
        last.days[day] = last.days[day][0], {}
    rows = [(report.month.replace(day=day), *row) for report in reports for day, row in report.days.items()]
    quantities = dict.fromkeys(quantity for row in rows for quantity in row[2])
    columns = {quantity: np.array([values.get(quantity, np.nan) for _, _, values in rows]) for quantity in quantities}
    places = np.array([f"line {number}" for _, number, _ in rows], dtype=str)
    return Series(
        last.station, np.array([row[0] for row in rows], "M8[D]").astype("M8[s]"), columns, places, tuple(notes)
    )
