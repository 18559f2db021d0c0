"""Which columns of a table are used: the quantities with their units, the dates, the station."""

import dataclasses
import re
from collections.abc import Sequence
from typing import NamedTuple

from app.readers import names, vocabulary
from app.readers.cells import Table
from app.readers.dates import is_date as reads_as_date
from app.readers.format import Format
from app.readers.names import plain
from app.readers.record import RecordError
from app.readers.units import Unit, unit_of
from app.readers.values import MISSING, TRACE
from app.text import printable
from models.record.columns import COLUMNS, UNITLESS, Column, ColumnError, chosen_columns, is_guidance, is_spread

NAMED_COLUMN = re.compile(r"[a-z0-9_]{1,64}")
# Columns that nobody expects to be used: flags, times, places, and the parts of a date.
NO_WEATHER = re.compile(
    r"attributes|flag|^q_?\w{2,6}$|quality|\btime|time$|date|^(year|month|day|hour|lat|lon|alt|elev|id\b|name|index|unnamed)"
    r"|latitude|longitude|elevation|_source$|souid|utc"
)
NUMBER_LIKE = re.compile(r"[-+]?[0-9]*[.,]?[0-9]+")
WITH_UNIT = re.compile(r"[-+]?[0-9]*[.,]?[0-9]+\s*([^\s0-9].*)")
MIN_KNOWN_SHARE = 0.6


class Used(NamedTuple):
    """A column that is read."""

    position: int
    name: str  # as in the file
    quantity: str
    units: tuple[Unit, ...] = ()  # as the format says, one per system or one for all; none: the user says
    flag: int | None = None  # position of the column of its flags
    bad: str = ""
    trace: float | None = None
    missing: float | None = None

    @property
    def as_written(self) -> Column:
        """The definition of the quantity, in the unit of the file where the file has one."""
        column = names.column_of(self.quantity)
        if len(self.units) != 1:
            return column
        low, high = (limit * self.units[0].per / self.units[0].times + self.units[0].zero for limit in column.limits)
        return dataclasses.replace(column, dimension=UNITLESS, limits=(low, high))


class Clock(NamedTuple):
    """The positions of the columns with the date: one, two (date and time; year and day), three or four."""

    positions: tuple[int, ...]
    kind: str  # "date", "date and time", "year, month and day" (and time) or "year and day"
    name: str
    utc: bool = False
    names: tuple[str, ...] = ()  # of several columns


def recognised(cells: Sequence[str], blanks: bool = False) -> int:
    """Return how well the names of a plain CSV are known: the number of quantities beside a date, 0 without a date.

    ``blanks`` says that they are separated by blanks, as the words of a sentence are.
    """
    if any(map(reads_as_date, cells)) or sum(bool(NUMBER_LIKE.fullmatch(cell)) for cell in cells) > len(cells) / 2:
        return 0
    clock = _clock_of(cells)
    if not clock:
        return 0
    known = sum(names.meaning(cell) is not None for cell in cells) + sum(is_forecast(cell) for cell in cells)
    # In a sentence, a word or two may be known.
    return known if known + len(clock.positions) >= MIN_KNOWN_SHARE * len(cells) or not blanks else 0


def is_forecast(name: str) -> bool:
    """Whether a column is guidance or the spread of guidance."""
    return is_guidance(plain(name)) or is_spread(plain(name))


def clock_of(table: Table, known: Format) -> Clock:
    """Return the columns of the date. Raises RecordError where there are none."""
    have = [plain(name) for name in known.unnamed or table.names]
    if known.date:
        return Clock((have.index(known.date),), "date", known.date)
    found = _clock_of(known.unnamed or table.names)
    if found is None:
        raise RecordError(f"{table.name}: {table.names_place} names no date: {_listed(table.names)}")
    if found.kind == "date and time" and any(
        re.search(r"\d\d?:\d\d", row[found.positions[0]]) for row in table.sample if len(row) > found.positions[0]
    ):
        return found._replace(positions=found.positions[:1], kind="date")
    return found._replace(utc=found.utc or known.utc)


def _clock_of(cells: Sequence[str]) -> Clock | None:
    have = [plain(cell) for cell in cells]

    def first(of: frozenset[str]) -> int | None:
        return next((i for i, name in enumerate(have) if name in of), None)

    year, month, day, day_of_year = map(
        first, (vocabulary.YEAR, vocabulary.MONTH, vocabulary.DAY, vocabulary.DAY_OF_YEAR)
    )
    parted = None not in {year, month, day} and year != day
    taken = {year, month, day} if parted else {year}
    dates = [i for i, name in enumerate(have) if (names.is_date(name) and i not in taken) or name in {"date", "datum"}]
    time = next((i for i, name in enumerate(have) if _is_time(name) and i not in taken), None)
    # "Date" before "Time", "Representativt dygn" before the instants from and to.
    whole = first(frozenset({"representativt dygn"}))
    if whole is None and dates:
        whole = min(dates, key=lambda i: (_is_time(have[i]), have[i] not in vocabulary.DATE, i))
    if whole is None and have and have[0] == "" and len(have) > 1:
        whole = 0
    if parted and (whole is None or have[whole] == "" or whole == time):
        positions = (year, month, day) if time is None else (year, month, day, time)
        return Clock(positions, "year, month and day", "date", names=_at_each(cells, (year, month, day)))  # type: ignore[arg-type]
    if whole is None and year is not None and day_of_year is not None:
        return Clock((year, day_of_year), "year and day", "date", names=_at_each(cells, (year, day_of_year)))
    if whole is None:
        return None
    utc = "utc" in have[whole] or "gmt" in have[whole]
    time = next((i for i, name in enumerate(have) if _is_time(name) and i != whole), None)
    if time is not None:
        return Clock((whole, time), "date and time", cells[whole] or "date", utc or "utc" in have[time])
    return Clock((whole,), "date", cells[whole] or "date", utc)


def _at_each(cells: Sequence[str], positions: Sequence[int | None]) -> tuple[str, ...]:
    return tuple(cells[at] for at in positions if at is not None)


def _is_time(name: str) -> bool:
    return name in vocabulary.TIME or names.without_zone(name) in vocabulary.TIME


def station_column(table: Table, known: Format) -> int | None:
    """Return the column that names the station, if any."""
    have = [plain(name) for name in known.unnamed or table.names]
    if known.station:
        return have.index(known.station) if known.station in have else None
    if known.fields and known.name != "csv":
        return next(
            (i for i, name in enumerate(have) if name in {"stn", "station", "station_abbr", "station/location"}), None
        )
    return next((i for i, name in enumerate(have) if name in vocabulary.STATION), None)


def used_columns(table: Table, known: Format) -> list[Used]:
    """Return the columns that are read. Raises RecordError where two hold the same quantity, or none holds tmax."""
    found = _of_format(table, known) if known.fields else _of_names(table)
    if not found:
        raise RecordError(
            f"{table.name}: {table.names_place} names no tmax (such as tmax, TX, Max Temp): {_listed(table.names)}"
        )
    return found


def _of_format(table: Table, known: Format) -> list[Used]:
    have = [plain(name).replace("℃", "°c") for name in known.unnamed or table.names]
    shown = list(known.unnamed or table.names)
    found: dict[str, Used] = {}
    if known.element:
        value = have.index(known.value)
        return [
            Used(value, name, field.quantity, _units(field.unit, field.quantity), _at(have, field.flag), field.bad)
            for name, field in known.fields.items()
        ]
    for name, field in known.fields.items():
        if name in have and field.quantity not in found:
            at = have.index(name)
            units = _above(table, shown[at], field.quantity) or _units(field.unit, field.quantity) or _stated(table, at)
            flag = _at(have, field.flag)
            found[field.quantity] = Used(
                at, shown[at], field.quantity, units, flag, field.bad, field.trace, field.missing
            )
    return list(found.values())


def _units(text: str, quantity: str) -> tuple[Unit, ...]:
    units = tuple(unit_of(part, names.column_of(quantity)) for part in text.split("|")) if text else ()
    assert all(units), text  # noqa: S101  # the table of formats names known units
    return units  # type: ignore[return-value]


def _stated(table: Table, at: int) -> tuple[Unit, ...]:
    """Return the unit in the name of a column, or below it."""
    meaning = names.meaning(table.names[at]) if at < len(table.names) else None
    if meaning and not meaning.unit:
        column = names.column_of(meaning.quantity)
        below = unit_of(table.units[at].strip("()[]"), column) if at < len(table.units) else None
        unit = below or _in_cells(table, at, column)
        return (unit,) if unit else ()
    return (meaning.unit,) if meaning and meaning.unit else ()


def _in_cells(table: Table, at: int, column: Column) -> Unit | None:
    """Return the unit behind the numbers of a column, as in ``57.4 °F``, if it is one."""
    behind = {match[1] for row in table.sample if len(row) > at if (match := WITH_UNIT.fullmatch(row[at]))}
    units = {unit for text in behind if (unit := unit_of(text, column))}
    if len(units) > 1:
        both = " and ".join(sorted(printable(text, 10) for text in behind))
        raise RecordError(f"{table.name}: {printable(table.names[at])} is partly in {both}: give it in one unit")
    return units.pop() if units else None


def _above(table: Table, name: str, quantity: str) -> tuple[Unit, ...]:
    """Return the unit that a line above the table gives for a column: ``T2M_MAX   Maximum temperature (C)``."""
    line = re.search(rf"(?m)^{re.escape(name)}\s.*\(([^()]+)\)\s*$", table.above) if len(name) > 1 else None
    unit = unit_of(line[1], names.column_of(quantity)) if line else None
    return (unit,) if unit else ()


def _at(have: Sequence[str], name: str) -> int | None:
    return have.index(name) if name and name in have else None


def _of_names(table: Table) -> list[Used]:
    ranked: dict[str, list[tuple[int, int]]] = {}
    counts_on = any(vocabulary.LONGER & names.words_of(name) for name in table.names if names.is_rain(name))
    for position, name in enumerate(table.names):
        found = names.meaning(name)
        if found and not _of_words_only(table, position) and not (counts_on and names.is_total_rain(name)):
            ranked.setdefault(found.quantity, []).append((found.rank, position))
    if "rain" in ranked:  # precipitation is more than rain
        ranked["rain"] = [c for c in ranked["rain"] if not names.is_only_rain(table.names[c[1]])] or ranked["rain"]
    chosen = []
    for quantity, candidates in ranked.items():
        rank, position = min(candidates)
        same = [at for other, at in candidates if other == rank]
        if len(same) > 1 and quantity in COLUMNS:
            both = " and ".join(f"column {at + 1} {printable(table.names[at])!r}" for at in same[:2])
            raise RecordError(
                f"{table.name}: {table.names_place}: {both} both look like {quantity}: rename one of them"
            )
        chosen.append(Used(position, table.names[position], quantity, _stated(table, position)))
    if {"rain", "rain_today"} <= ranked.keys():  # the sum since midnight needs no interval
        chosen = [used for used in chosen if used.quantity != "rain"]
    return sorted(chosen)


def _of_words_only(table: Table, at: int) -> bool:
    """Whether a column holds words such as Yes and No, and no number."""
    filled = [row[at] for row in table.sample if len(row) > at and row[at].lower() not in MISSING]
    return len(filled) > 1 and all(cell[:1].isalpha() and cell.lower() not in TRACE for cell in filled)


def named_columns(table: Table, named: Sequence[str], used: Sequence[Used]) -> dict[str, int]:
    """Return the columns of guidance, and those ``named`` that are not ``used`` as quantities of the table, by name.

    Raises RecordError where a named one is missing, or a name is not allowed.
    """
    have = [" ".join(name.lower().split()) for name in table.names]
    clock = _clock_of(table.names)
    skipped = set(clock.positions if clock else ())
    skipped |= {column.position for column in used}
    named = [
        name
        for name in named
        if name not in COLUMNS
        and name not in {own for column in used for own in (column.quantity, column.name.lower())}
    ]
    available = [name for i, name in enumerate(have) if name and i not in skipped]
    try:
        chosen = chosen_columns(available, named)
    except ColumnError as error:
        raise RecordError(f"{table.name}: {error}") from None
    for name in chosen:
        if not NAMED_COLUMN.fullmatch(name) or have.count(name) > 1:
            raise RecordError(
                f"{table.name}: {table.names_place}: rename the column {printable(name)!r}: the names of named columns "
                "are unique, of letters, digits and '_'"
            )
    return {name: have.index(name) for name in chosen}


def unused(table: Table, used: Sequence[Used], clock: Clock, others: Sequence[int | None]) -> list[str]:
    """Return the names of the columns that hold numbers and are not used."""
    taken = {u.position for u in used} | {u.flag for u in used} | set(clock.positions) | set(others)
    return [
        printable(name, 40)
        for at, name in enumerate(table.names)
        if name
        and at not in taken
        and not NO_WEATHER.search(plain(name))
        and not is_forecast(name)
        and any(at < len(row) and NUMBER_LIKE.fullmatch(row[at]) for row in table.sample)
    ]


def _listed(found: Sequence[str]) -> str:
    return printable(", ".join(name or "(no name)" for name in found), 200)
