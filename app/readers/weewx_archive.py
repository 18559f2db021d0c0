"""weewx's SQLite archive: days from its daily summaries or, where it has none, its records as moments.

The format is described in weewx's own manual and code (manager.py, accum.py, units.py). A daily summary is one table
for each observation, with a row for each local day: ``dateTime`` is the day's first instant, ``min`` and ``max`` are
its extremes, ``sum``, ``count``, ``wsum`` and ``sumtime`` give its sum and mean, ``xsum`` and ``ysum`` the wind vector
(x to the east). The file may come from anyone: it is opened for reading only, and nothing in it is trusted.
"""

import dataclasses
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from app.readers.clock import local
from app.readers.record import RecordError
from app.readers.series import Options, Series
from app.readers.sqlite_tables import LARGEST, Table, columns_of, opened, read_table
from app.readers.units import UNITS
from models.nn import Array

MAX_DAYS = 100_000
MAX_MOMENTS = 1_000_000  # 9 years at the usual 5 minutes; reading them takes some 300 MB
MIN_HOURS = 20.0  # with fewer hours of outTemp the extremes of a day may be missed
LAST_INSTANT = 4_102_444_800  # 2100-01-01
MAX_WRONG_MIDNIGHTS = 0.01  # a few days come from a computer whose clock was not yet set; more mean a wrong time zone
DAY, HOUR, QUARTER = 86_400, 3_600, 900  # seconds

Convert = Callable[[Array], Array]

# usUnits -> the unit of each kind of quantity, where it is not the metric one.
SYSTEMS = {
    1: {"temperature": "degf", "pressure": "inhg", "depth": "inch", "speed": "mph", "duration": "s"},  # US
    16: {"depth": "cm", "speed": "km/h", "duration": "s"},  # METRIC
    17: {"duration": "s"},  # METRICWX
}


class Source(NamedTuple):
    """Where a quantity is found."""

    observation: str
    statistic: str = ""  # of its daily summary
    kind: str = ""  # of its unit; empty: the same in all unit systems


DAILY = {
    "tmax": Source("outTemp", "max", "temperature"),
    "tmin": Source("outTemp", "min", "temperature"),
    "rain": Source("rain", "sum", "depth"),
    "tmean": Source("outTemp", "mean", "temperature"),
    "pressure": Source("barometer", "mean", "pressure"),
    "humidity": Source("outHumidity", "mean"),
    "dew_point": Source("dewpoint", "mean", "temperature"),
    "wind_speed": Source("wind", "mean", "speed"),
    "wind_direction": Source("wind", "direction"),
    "wind_gust": Source("wind", "max", "speed"),  # weewx adds windGust to the summary of wind
    "wind_gust_direction": Source("wind", "max_dir"),
    "radiation": Source("radiation", "mean"),
    "sunshine": Source("sunshineDur", "sum", "duration"),
}
MOMENTS = {
    "temperature": Source("outTemp", kind="temperature"),
    "rain": Source("rain", kind="depth"),
    "pressure": Source("barometer", kind="pressure"),
    "humidity": Source("outHumidity"),
    "dew_point": Source("dewpoint", kind="temperature"),
    "wind_speed": Source("windSpeed", kind="speed"),
    "wind_direction": Source("windDir"),
    "wind_gust": Source("windGust", kind="speed"),
    "radiation": Source("radiation"),
    "sunshine": Source("sunshineDur", kind="duration"),
}
# All columns of the versions 1 to 4 of the summaries that are of use; version 1 calls max_dir gustdir.
SUMMARY = ("min", "max", "sum", "count", "wsum", "sumtime", "xsum", "ysum", "max_dir", "gustdir")


def read(path: Path, name: str, options: Options) -> list[Series]:
    """Read weewx's archive; ``name`` is what messages call it.

    Days are those of ``options.timezone`` or, without it, of the offset that the summaries' midnights show.

    Raises RecordError where the file is damaged, locked or not weewx's, or where its units or its days are in doubt.
    """
    try:
        with opened(path) as database:
            to_metric = _unit_system(database)
            extremes = {"dateTime", "max", "min"} <= columns_of(database, "archive_day_outTemp")
            days = _summary(database, "outTemp") if extremes else {}
            found = _days(database, days, options) if len(days.get("dateTime", ())) else _moments(database, options)
    except RecordError as error:
        raise RecordError(f"{name}: {error}") from None
    conversions = {quantity: to_metric.get(source.kind, np.asarray) for quantity, source in (DAILY | MOMENTS).items()}
    metric = {quantity: conversions[quantity](values) for quantity, values in found.columns.items()}
    return [dataclasses.replace(found, columns=metric)]


def _unit_system(database: sqlite3.Connection) -> dict[str, Convert]:
    """Return the conversions of the unit system of all records."""
    if not {"dateTime", "usUnits"} <= columns_of(database, "archive"):
        raise RecordError(
            "the SQLite database has no table 'archive' with dateTime and usUnits, so it is not weewx's: "
            "export its days as CSV with the columns date, tmax, tmin, rain"
        )
    lowest, highest = database.execute("SELECT min(usUnits), max(usUnits) FROM archive").fetchone()
    if lowest is None:
        raise RecordError("the table 'archive' is empty; weewx fills it as it runs")
    if lowest != highest:
        raise RecordError(
            f"the records are in several unit systems (usUnits from {lowest!r:.20} to {highest!r:.20}); "
            "make them one with: weectl database transfer"
        )
    if lowest not in SYSTEMS:
        raise RecordError(f"usUnits is {lowest!r:.20}; weewx knows 1 (US), 16 (METRIC) and 17 (METRICWX)")
    return {kind: UNITS[unit].to_metric for kind, unit in SYSTEMS[lowest].items()}


def _sorted(name: str, table: Table) -> Table:
    """Return a table by dateTime. Raises RecordError where one is missing or far from now."""
    instants = table.get("dateTime", np.array([]))
    wrong = ~((instants >= 0) & (instants < LAST_INSTANT))
    if wrong.any():
        raise RecordError(f"{name}: dateTime {instants[wrong][0]:g} is not an instant from 1970 to 2099")
    order = np.argsort(instants, kind="stable")
    return table if (np.diff(order) == 1).all() else {column: values[order] for column, values in table.items()}


def _summary(database: sqlite3.Connection, observation: str) -> Table:
    """Return the daily summary of an observation, empty where it has no days."""
    name = f"archive_day_{observation}"
    return _sorted(name, read_table(database, name, ("dateTime", *SUMMARY), MAX_DAYS))


def _days(database: sqlite3.Connection, days: Table, options: Options) -> Series:
    instants = days["dateTime"].astype(np.int64)
    dates, known, notes = _dates(instants, options.timezone)
    whole = ~(_hours(database, days) < MIN_HOURS)
    if partial := int((np.isfinite(days["max"]) & ~whole).sum()):
        notes += (f"{partial} of {len(dates)} days have fewer than {MIN_HOURS:g} hours of outTemp and are missing",)
    summaries = {"outTemp": days}
    columns = {}
    for quantity, (observation, statistic, _) in DAILY.items():
        if observation not in summaries:
            summaries[observation] = _on(instants, _summary(database, observation))
        with np.errstate(all="ignore"):
            values = np.where(whole, _statistic(summaries[observation], statistic, len(instants)), np.nan)[known]
        if (possible := np.abs(values) < LARGEST).any():
            columns[quantity] = np.where(possible, values, np.nan)
    places = np.char.add("archive_day_outTemp dateTime ", instants.astype("U10"))
    return Series("", dates[known].astype("M8[s]"), columns, places[known], notes)


def _on(instants: Array, table: Table) -> Table:
    """Return the rows of a table at ``instants``, ``nan`` where it has none."""
    if not len(table.get("dateTime", ())):
        return {}
    rows = np.searchsorted(table["dateTime"], instants).clip(max=len(table["dateTime"]) - 1)
    there = table["dateTime"][rows] == instants
    return {column: np.where(there, values[rows], np.nan) for column, values in table.items()}


def _statistic(table: Table, statistic: str, n: int) -> Array:
    """Return a statistic of each day; a sum or mean of no values is ``nan``."""
    missing = np.full(n, np.nan)

    def of(*names: str) -> Array:
        return next((table[name] for name in names if name in table), missing)

    observed = of("count") > 0
    if statistic == "sum":
        return np.where(observed, of("sum"), np.nan)
    if statistic == "mean":
        weighted = of("wsum") / of("sumtime")
        return np.where(observed, np.where(np.isfinite(weighted), weighted, of("sum") / of("count")), np.nan)
    if statistic == "direction":
        x, y = of("xsum"), of("ysum")
        direction: Array = (90.0 - np.degrees(np.arctan2(y, x))) % 360.0
        return np.where((x != 0) | (y != 0), direction, np.nan)
    return of("max_dir", "gustdir") if statistic == "max_dir" else of(statistic)


def _hours(database: sqlite3.Connection, days: Table) -> Array:
    """Return the hours of data in each day, (n,), ``nan`` where unknown.

    ``sumtime`` is in seconds since version 2 of the summaries; before, the archive tells the minutes of each record.
    """
    count: Array = days.get("count", np.full(len(days["dateTime"]), np.nan))
    if "sumtime" in days and not (days["sumtime"] < 60 * count).any():
        return days["sumtime"] / HOUR
    if "interval" not in columns_of(database, "archive"):
        return np.full(len(count), np.nan)
    query = "SELECT interval FROM archive WHERE dateTime > ? ORDER BY dateTime LIMIT 1"
    found = (database.execute(query, (int(instant),)).fetchone() for instant in days["dateTime"])
    minutes = [row[0] if row and isinstance(row[0], int | float) else np.nan for row in found]
    hours: Array = count * np.array(minutes, dtype=float) / 60
    return hours


def _dates(instants: Array, timezone: str | None) -> tuple[Array, Array, tuple[str, ...]]:
    """Return the date of each first instant of a day, whether it is one, and notes."""
    seconds = instants if timezone is None else local(instants.astype("M8[s]"), timezone).astype(np.int64)
    dates = (seconds + DAY // 2) // DAY
    after = seconds - dates * DAY  # seconds from the nearest midnight
    if timezone is None:
        notes: tuple[str, ...] = (_assumed(-after),)
        right = after % QUARTER == 0
    else:
        notes = ()
        right = abs(after) <= HOUR  # where the clock is put forward at midnight the day begins at 1 o'clock
    if (~right).sum() > MAX_WRONG_MIDNIGHTS * len(right):
        place = f"the first instant of a day, dateTime {instants[~right][0]}, is not a midnight"
        remedy = "say the station's --timezone" if timezone is None else "say another --timezone, or none"
        raise RecordError(f"{place} in {timezone or 'any time zone'}; {remedy}")
    if not right.all():
        notes += (f"{(~right).sum()} days do not begin at midnight and are not read",)
    return dates.astype("M8[D]"), right, notes


def _assumed(offsets: Array) -> str:
    """Return a note on the offsets (seconds east) that the midnights show. Raises RecordError where they may be two.

    At 11 h UTC the day begins in UTC+13 and in UTC-11. Hawaii (-10) and UTC+12 are the last beyond doubt.
    """
    if (offsets < -10 * HOUR).any():
        raise RecordError("midnight is UTC+13 or UTC-11; say which, for example --timezone Pacific/Auckland")
    first, last = (f"UTC{o / HOUR:+.4g}" for o in (offsets.min(), offsets.max()))
    span = first if first == last else f"{first} to {last}"
    return f"the days are those of {span}, by the midnights of the summaries; if that is wrong, say --timezone"


def _moments(database: sqlite3.Connection, options: Options) -> Series:
    """Read the records, each at the beginning of its interval: weewx counts that of midnight to the day that ends."""
    if options.timezone is None:
        raise RecordError(
            "the database has no daily summaries of outTemp, and its records do not say their time zone: "
            "say it, for example --timezone Europe/Berlin"
        )
    names = dict.fromkeys(source.observation for source in MOMENTS.values())
    try:
        table = _sorted("archive", read_table(database, "archive", ("dateTime", "interval", *names), MAX_MOMENTS))
    except RecordError as error:
        raise RecordError(f"{error}; to have daily summaries instead: weectl database rebuild-daily") from None
    instants = table["dateTime"].astype(np.int64)
    minutes = np.nan_to_num(table.get("interval", np.zeros(len(instants)))).clip(0, DAY // 60)
    found = {quantity: table[source.observation] for quantity, source in MOMENTS.items() if source.observation in table}
    columns = {quantity: values for quantity, values in found.items() if np.isfinite(values).any()}
    began = instants - (60 * minutes).astype(np.int64)
    return Series(
        "",
        local(began.astype("M8[s]"), options.timezone),
        columns,
        np.char.add("dateTime ", instants.astype("U10")),
        (),
    )
