"""From a table and its format to the rows of each station, in metric units."""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from app.readers import names
from app.readers.cells import Table
from app.readers.columns import Used, clock_of, named_columns, station_column, unused, used_columns
from app.readers.format import Format
from app.readers.moments import moments
from app.readers.pieces import Cells, read_cells
from app.readers.plausible import System, chosen_system, temperature_units
from app.readers.record import RecordError
from app.readers.series import Options, Series, counted, place
from app.text import printable
from models.nn import Array
from models.record.columns import COLUMNS, TEMPERATURE, Units, column
from models.record.quality.codes import codes

MUST_BE_NUMBERS = {*COLUMNS, "temperature", "rain_today"}  # in other columns such a cell is missing
SHOWN = 20  # names of unused columns that are told


def series_of(table: Table, known: Format, options: Options) -> list[Series]:
    """Read the rows of each station. Raises RecordError, which names the place and the remedy."""
    used, clock, station = used_columns(table, known), clock_of(table, known), station_column(table, known)
    named = named_columns(table, options.columns, used) if table.names else {}
    cells = read_cells(table, known, used, clock, station, named)
    times, keep, notes = moments(table, known, clock, cells, options)
    if not known.fields:
        _check_length(table, cells, keep)
    for used_column in used:
        _check_numbers(table, used_column, cells, keep)
        _check_names_again(table, used_column, cells, keep)
    _check_named(table, cells, keep)
    raw = {quantity: of[keep] for quantity, of in cells.columns.items()}
    notes += _coded(raw, used, known)
    system = chosen_system(known, table, raw, used, options)
    values, units, told = _to_metric(table, raw, used, system, options)
    notes += [*told, *_failed(cells), *_no_numbers(cells)]
    if extra := unused(table, used, clock, (station, *named.values())):
        notes.append(f"not used: {', '.join(extra[:SHOWN])}{', ...' if len(extra) > SHOWN else ''}")
    whole = Series(
        station_above(table, known),
        times.times[keep],
        values,
        cells.places[keep],
        tuple(notes),
        units,
        {u.quantity: printable(u.name) for u in used},
        {n: column(n).to_metric(of[keep], options.units or "metric") for n, of in cells.named.items()},
    )
    if times.utc and (whole.times != whole.times.astype("M8[D]")).any():
        note = "the times are UTC, and so are the days: --timezone gives the station's own days"
        whole = dataclasses.replace(whole, notes=(*whole.notes, note))
    return _by_station(whole, cells.station[keep] if cells.station is not None else None)


def _check_length(table: Table, cells: Cells, keep: Array) -> None:
    """Refuse rows that are longer than the line of names: whose cells belong to which name is in doubt."""
    rows = np.flatnonzero(cells.longer & keep)
    if len(rows):
        raise RecordError(
            f"{table.name}: {place(cells.places[rows[0]])} has more cells than {table.names_place} has names "
            f"({counted(len(rows), 'such row')}): decimal commas need quotes, or another delimiter such as ;"
        )


def _check_names_again(table: Table, used: Used, cells: Cells, keep: Array) -> None:
    """Refuse a line of names among the rows that gives a column another name."""
    for row, at, cell in cells.wrong[used.quantity]:
        below = row > int(np.argmax(keep)) and not keep[row]  # and no second line of names
        if below and names.meaning(cell) and names.plain(cell) != names.plain(used.name):
            raise RecordError(
                f"{table.name}: {place(at)} names the column {printable(used.name)!r} anew, {printable(cell)!r}: give "
                "each table as a file of its own"
            )


def _check_numbers(table: Table, used: Used, cells: Cells, keep: Array) -> None:
    if used.quantity in MUST_BE_NUMBERS:
        for row, at, cell in cells.wrong[used.quantity]:
            if keep[row]:
                raise RecordError(
                    f"{table.name}: {place(at)}: {printable(used.name)} {printable(cell)!r} is not a number (leave it "
                    "empty if unknown)"
                )


def _check_named(table: Table, cells: Cells, keep: Array) -> None:
    for name, of in cells.named.items():
        rows = np.flatnonzero(np.isinf(of) & keep)
        if len(rows):
            at = place(cells.places[rows[0]])
            raise RecordError(f"{table.name}: {at}: {name} is not a number (leave it empty if unknown)")


def _coded(raw: dict[str, Array], used: Sequence[Used], known: Format) -> list[str]:
    """Set codes for missing to ``nan``, and return notes of those that the format does not list."""
    notes = []
    for u in used:
        quantity, of = u.quantity, raw[u.quantity]
        of[np.isin(of, known.missing)] = np.nan
        coded = codes(of, u.as_written)
        if coded.any():
            what = ", ".join(f"{value:g}" for value in np.unique(of[coded]))
            notes.append(f"{quantity}: a code for missing ({what}) stands in {counted(int(coded.sum()), 'row')}")
            of[coded] = np.nan
    return notes


def _failed(cells: Cells) -> list[str]:
    failed = ", ".join(f"{n} of {quantity}" for quantity, n in cells.failed.items() if n)
    return [f"values of the file that failed the source's own quality control are missing: {failed}"] if failed else []


def _no_numbers(cells: Cells) -> list[str]:
    counts = {q: len(of) for q, of in cells.wrong.items() if of and q not in MUST_BE_NUMBERS}
    return [f"{quantity}: {counted(n, 'cell')} not a number" for quantity, n in counts.items()]


def _to_metric(
    table: Table, raw: dict[str, Array], used: Sequence[Used], system: System, options: Options
) -> tuple[dict[str, Array], Units, list[str]]:
    """Convert the values, once; return them, the units of the temperatures, and notes."""
    unstated = {
        u.quantity: raw[u.quantity]
        for u in used
        if not u.units and names.column_of(u.quantity).dimension is TEMPERATURE
    }
    default, notes = temperature_units(table.name, unstated, raw, options)
    metric: dict[str, Array] = {}
    seen: Units = "metric"
    for u in used:
        unit = u.units[min(system.chosen, len(u.units) - 1)] if u.units else default(u.quantity)
        if unit.kelvin:
            raise RecordError(f"{table.name}: {printable(u.name)} is in Kelvin: convert it to degC")
        if unit.zero and u.quantity in {"tmax", "temperature"}:
            seen = "us"
        metric[u.quantity] = unit.to_metric(raw[u.quantity])
    return metric, seen, [*notes, *system.notes]


def station_above(table: Table, known: Format) -> str:
    """Return the id of the station in the text above a table, "" where there is none."""
    found = re.search(known.station_above, table.above) if known.station_above else None
    return found[1] if found else ""


def _by_station(whole: Series, stations: "pd.Series[str] | None") -> list[Series]:
    if stations is None:
        return [whole]
    codes_of, found = pd.factorize(stations)
    return [
        dataclasses.replace(
            whole,
            station=str(station) or whole.station,
            times=whole.times[codes_of == i],
            columns={q: of[codes_of == i] for q, of in whole.columns.items()},
            places=whole.places[codes_of == i],
            named={n: of[codes_of == i] for n, of in whole.named.items()},
        )
        for i, station in enumerate(found)
    ]
