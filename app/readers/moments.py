"""The times of the rows, and which rows hold no day: names again, units, footers."""

import numpy as np
import pandas as pd

from app.readers import dates
from app.readers.cells import Table
from app.readers.clock import Times
from app.readers.columns import Clock
from app.readers.format import Format
from app.readers.names import plain
from app.readers.pieces import Cells
from app.readers.record import RecordError
from app.readers.series import Options, counted, place
from app.readers.values import numbers
from app.text import printable
from models.nn import Array

DATE_LIKE = r"[0-9][-/. :T0-9]{5,}"  # in a cell that is meant for a date
MAX_FOOTER = 40  # lines below the last day that may hold no day
LAST_HOUR = 24
MAX_HEADER = 3  # lines of units and the like between the names and the first day


def moments(
    table: Table, known_format: Format, clock: Clock, cells: Cells, options: Options
) -> tuple[Times, Array, list[str]]:
    """Return the times of all rows, which of them hold a day (n,) bool, and notes.

    Raises RecordError where a row among the days has no date.
    """
    times, shown = _times(table, clock, cells, options)
    known = ~np.isnat(times.times)
    if known.all():
        return times, known, _notes(times)
    if not known.any():
        raise RecordError(f"{table.name}: no row holds a date")
    notes = _notes(times)
    names = {clock.name.lower(), plain(clock.name), "-".join(plain(name) for name in clock.names)}
    names_again = shown.str.lower().isin(names - {""}).to_numpy(dtype=bool, copy=True)
    if known_format.name == "open-meteo" and names_again.any():  # another table begins
        at = np.flatnonzero(names_again)[0]
        names_again[at:], known[at:] = True, False
        if not known.any():
            raise RecordError(f"{table.name}: no row holds a date")
    days, rows = np.flatnonzero(known), np.arange(len(known))
    has_values = np.any([np.isfinite(of) for of in cells.columns.values()], axis=0)
    no_date = ~shown.str.contains(DATE_LIKE).to_numpy(dtype=bool)
    footer = ~known & no_date & (rows > days[-1]) & (len(known) - days[-1] <= MAX_FOOTER + 1)
    header = ~has_values & (rows < days[0]) & (days[0] <= MAX_HEADER)
    empty = ~has_values & (shown == "").to_numpy(dtype=bool)
    footer &= ~(has_values & (shown == "").to_numpy(dtype=bool))  # a day whose date was left out
    wrong = np.flatnonzero(~(known | names_again | footer | header | empty))
    if len(wrong):
        at, cell = place(shown.index[int(wrong[0])]), printable(shown.iloc[int(wrong[0])])
        what = "has another form than most: write all dates as" if dates.is_day(cell) else "is not a date such as"
        raise RecordError(f"{table.name}: {at}: {printable(clock.name)} {cell!r} {what} 2012-01-31")
    if footer.any():
        at = place(shown.index[int(np.flatnonzero(footer)[0])])
        notes.append(f"{counted(int(footer.sum()), 'line')} below the days, from {at} on, left out: no day")
    return times, known, notes


def _notes(times: Times) -> list[str]:
    return [f"day and month: {times.order}"] if times.order and not times.order.startswith("as usual") else []


def _times(table: Table, clock: Clock, cells: Cells, options: Options) -> "tuple[Times, pd.Series[str]]":
    """Return the times, and the text that they were read from."""
    text = [cells.clock[at] for at in clock.positions]
    if clock.kind == "date":
        shown = text[0]
    elif clock.kind == "date and time":
        shown = (text[0] + " " + _hours(text[1])).str.strip()
    else:
        shown = text[0].str.cat(pd.concat(text[1:3], axis=1), sep="-")
        if len(text) == len(("year", "month", "day", "time")):
            shown = (shown + " " + _hours(text[3])).str.strip()
            return dates.read_times(table.name, clock.name, shown, options.timezone, clock.utc), shown
        parts = [numbers(part)[0] for part in text]
        of = dates.from_parts if clock.kind == "year, month and day" else dates.from_day_of_year
        return Times(of(*parts), False), shown
    return dates.read_times(table.name, clock.name, shown, options.timezone, clock.utc), shown


def _hours(text: "pd.Series[str]") -> "pd.Series[str]":
    """Return times of digits alone, such as 1, 13 or 0130 UTC, as 01:00, 13:00 and 01:30 UTC.

    Hours from 1 to 24 are the ends of their hours; the beginning has the day.
    """
    hours = pd.to_numeric(text, errors="coerce")
    if (hours == LAST_HOUR).any() and not (hours == 0).any() and hours.max() == LAST_HOUR:
        text = (hours - 1).map("{:.0f}".format).where(hours.notna(), text)
    for digits, time in ((r"^(\d{1,2})$", r"\1:00"), (r"^(\d{1,2})(\d\d)(?=$| )", r"\1:\2"), (r"^(\d):", r"0\1:")):
        text = text.str.replace(digits, time, regex=True)
    return text
