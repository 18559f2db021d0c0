"""From the rows of one station, perhaps of several files, to its days."""

import dataclasses
import datetime
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from app.readers.names import column_of
from app.readers.record import Record, RecordError
from app.readers.series import Series, counted, place
from app.text import printable
from models.nn import Array
from models.record.columns import COLUMNS, Units
from models.record.days import StationDays
from models.record.quality import SetAside

MIN_HOURS = 20  # of a day with rows within the day; with fewer, its extremes may be missing
CONFLICT_SHARE = 0.01  # more repeated days with other values than this, and the rows are not of one station
SAME = 0.051  # values that differ by less are the same, rounded
SAME_MOMENT = 1.0  # the same within a day: a clock without seconds repeats its minutes
# A running total stays where it is or rises; of real hourly amounts above 0, fewer than half are followed by as much.
COUNTER_SHARE, MIN_COUNTED = 0.95, 24
MIN_MONTHS = 3  # rows a month apart, to be called monthly
MOST_DAYS = 0.5  # share of days with several rows
MAX_FUTURE_DAYS = 366  # beyond today; forecasts of weather models reach some weeks
MAX_LISTED = 20  # stations in a message
MAX_SPAN_DAYS = 366 * 400

SUMS, HIGHEST, LOWEST = {"rain", "sunshine"}, {"tmax", "wind_gust", "rain_today", "snow_depth"}, {"tmin"}
ROLLING = re.compile(r"(?i)\b24 ?h")
RENAMED = {"temperature": "tmean"}  # in daily rows
DIRECTIONS = {"wind_direction", "wind_gust_direction"}


# What to do about a source's file that has no tmax.
OTHER_FILE = {
    "open-meteo": "request daily=temperature_2m_max,temperature_2m_min,precipitation_sum",
    "ecad": "put the file TX_STAID... of the same station beside it",
    "bom": "put the station's file of maximum temperatures, IDCJAC0010_..., beside it",
    "smhi": "give the station's file of the daily max (parameter 20) with it",
}


class Once(NamedTuple):
    """The values of one quantity, by day or by time."""

    times: Array  # (n,) datetime64, ascending, each once
    found: Array  # (n,)


def days_of(name: str, station: str, series: Sequence[Series], record_format: str) -> Record:
    """Make the record of a station. Raises RecordError where days are repeated with other values, or none has tmax."""
    notes: list[str] = [note for part in series for note in part.notes]
    columns: dict[str, list[tuple[Array, Array, Array]]] = {}
    named: dict[str, list[tuple[Array, Array, Array]]] = {}
    for part in series:
        daily = part
        if _within_days(part.times):
            daily, note = _aggregated(name, part)
            notes.append(note)
        elif "temperature" in part.columns and "tmean" not in part.columns:
            daily = dataclasses.replace(part, columns={RENAMED.get(q, q): of for q, of in part.columns.items()})
        dates = daily.times.astype("M8[D]")
        for kind, of_kind in ((columns, daily.columns), (named, daily.named)):
            for quantity, values in of_kind.items():
                kind.setdefault("rain" if quantity == "rain_today" else quantity, []).append(
                    (dates, values, daily.places)
                )
    if "tmax" not in columns:
        means = " (a temperature in daily rows is taken for the mean)" if "tmean" in columns else ""
        held = ", ".join(part.names.get(quantity, quantity) for part in series for quantity in part.columns)
        if record_format in OTHER_FILE:
            held += f": {OTHER_FILE[record_format]}"
        raise RecordError(f"{name}: no column holds the highest temperature of the day, tmax{means}; found: {held}")
    joined, set_aside = {}, []
    for quantity, parts in columns.items():
        joined[quantity], conflicts = _one_a_time(name, quantity, parts)
        set_aside += conflicts
    known = {quantity: _one_a_time(name, quantity, parts)[0] for quantity, parts in named.items()}
    return _record(name, station, joined, known, set_aside, series, record_format, notes)


def _record(
    name: str, station: str, joined: dict[str, Once], named: dict[str, Once], set_aside: list[SetAside],
    series: Sequence[Series], record_format: str, notes: Iterable[str],
) -> Record:  # fmt: skip
    dates = np.unique(np.concatenate([of.times for of in (*joined.values(), *named.values())]))
    if not len(dates):
        raise RecordError(f"{name}: no day has a tmax")
    given = np.concatenate([part.times.astype("M8[D]") for part in series])
    if empty := len(np.unique(given[given > dates[-1]])):
        notes = [*notes, f"{counted(empty, 'empty day')} after {dates[-1]} left out"]
    months = dates.astype("M8[M]")
    if len(dates) >= MIN_MONTHS and len(np.unique(months)) == len(dates) and len(np.unique(dates - months)) == 1:
        raise RecordError(
            f"{name}: one row a month, on the same day: monthly values hold no days; download daily values"
        )
    latest = np.datetime64(datetime.datetime.now(datetime.UTC).date()) + MAX_FUTURE_DAYS
    if dates[-1] > latest:
        raise RecordError(f"{name}: {dates[-1]} lies in the future: check the years")
    if (dates[-1] - dates[0]).astype(int) > MAX_SPAN_DAYS:
        raise RecordError(f"{name}: the days reach from {dates[0]} to {dates[-1]}: check the years")

    def laid(of: Once) -> Array:
        out = np.full(len(dates), np.nan)
        out[np.searchsorted(dates, of.times)] = of.found
        return out

    table = np.full((len(dates), len(COLUMNS)), np.nan)
    for i, quantity in enumerate(COLUMNS):
        if quantity in joined:
            table[:, i] = laid(joined[quantity])

    further = {}
    for quantity, of in joined.items():
        if quantity not in COLUMNS and len(of.times):
            low, high = column_of(quantity).limits
            values = laid(of)
            beyond = (values < low) | (values > high)
            if beyond.any():
                notes = [*notes, f"{quantity}: {counted(int(beyond.sum()), 'impossible value')} set aside"]
            further[quantity] = np.where(beyond, np.nan, values)
    further |= {name: laid(of) for name, of in named.items()}
    days = StationDays.on_calendar(dates, table, further)
    units: Units = "us" if any(part.units == "us" for part in series) else "metric"
    return Record(station, days, tuple(set_aside), record_format, units, tuple(dict.fromkeys(notes)))


def _within_days(times: Array) -> bool:
    """Whether most days have rows at several times."""
    _, distinct = np.unique(np.unique(times).astype("M8[D]"), return_counts=True)
    return bool(len(times)) and bool((distinct > 1).mean() > MOST_DAYS)


def _aggregated(name: str, part: Series) -> tuple[Series, str]:
    """Return the days of rows within them: highest, lowest, sum or mean where `MIN_HOURS` hours are there."""
    days = part.times.astype("M8[D]")
    hours = part.times.astype("M8[h]")
    columns = dict(part.columns)
    if "temperature" in columns:
        moment = columns.pop("temperature")
        columns = {"tmax": moment, "tmin": moment, "tmean": moment} | columns
    if ROLLING.search(part.names.get("rain", "")):  # of the last 24 hours, at any time
        columns.pop("rain", None)
    found: dict[str, Array] = {}
    all_days = np.unique(days)
    complete = np.zeros(len(all_days), bool)
    for quantity, each in columns.items():
        once, _ = _one_a_time(name, quantity, [(part.times, each, part.places)], SAME_MOMENT)
        if quantity == "rain" and _counts_on(once.found):
            once = once._replace(found=_increments(once.found))
        n_hours = _hours_of_day(once.times.astype("M8[h]"), all_days)
        of_day = _of_day(quantity, once.found, once.times.astype("M8[D]")).reindex(all_days).to_numpy(dtype=float)
        enough = n_hours >= MIN_HOURS
        if quantity == "tmax" or "tmax" not in columns:
            complete |= enough
        found[quantity] = np.where(enough, of_day, np.nan)
    named = {
        n: pd.Series(of).groupby(days).max().reindex(all_days).to_numpy(dtype=float) for n, of in part.named.items()
    }
    n = int(complete.sum())
    if not n:
        most = int(_hours_of_day(hours, all_days).max())
        raise RecordError(
            f"{name}: the rows lie within the days, and no day has {MIN_HOURS} hours of temperature (at most {most}): "
            "give hourly values, or the daily extremes"
        )
    note = (
        f"{len(days)} rows within the days were made into {counted(n, 'day')} of at least {MIN_HOURS} hours; "
        f"{counted(len(all_days) - n, 'day')} with fewer hours left out"
    )
    places = np.asarray(pd.Series(part.places).groupby(days).first().reindex(all_days).to_numpy())
    times = all_days.astype("M8[s]")
    return dataclasses.replace(part, times=times, columns=found, places=places, named=named), note


def _counts_on(values: Array) -> bool:
    """Whether amounts of rain are those of a counter that goes on: it rises, and is hardly ever lower than before."""
    before, after = values[:-1][values[:-1] > 0], values[1:][values[:-1] > 0]
    return len(after) >= MIN_COUNTED and bool((after >= before).mean() >= COUNTER_SHARE and (after > before).any())


def _increments(counter: Array) -> Array:
    """Return what a counter counted since the row before; it may begin anew at 0."""
    steps = np.diff(counter, prepend=counter[:1])
    return np.where(steps < 0, counter, steps)


def _hours_of_day(hours: Array, days: Array) -> Array:
    """Return how many different hours of each day there are."""
    found, n = np.unique(np.unique(hours).astype("M8[D]"), return_counts=True)
    counts = np.zeros(len(days), int)
    counts[np.searchsorted(days, found)] = n
    return counts


def _of_day(quantity: str, values: Array, days: Array) -> "pd.Series[float]":
    by_day = pd.Series(values).groupby(days)
    if quantity in SUMS:
        return by_day.sum(min_count=1)
    if quantity in HIGHEST:
        return by_day.max()
    if quantity in LOWEST:
        return by_day.min()
    if quantity in DIRECTIONS:
        angle = np.deg2rad(values)
        east, north = (pd.Series(f(angle)).groupby(days).mean() for f in (np.sin, np.cos))
        return pd.Series(np.rad2deg(np.arctan2(east, north)) % 360, index=east.index)
    return by_day.mean()


def _one_a_time(
    name: str, quantity: str, parts: list[tuple[Array, Array, Array]], same: float = SAME
) -> tuple[Once, list[SetAside]]:
    """Return one value a time, the first of several; refuse too many that differ by more than ``same``.

    ``parts`` are (times, values, places) of several sources.
    """
    dates = np.concatenate([part[0] for part in parts])
    values = np.concatenate([part[1] for part in parts])
    places = np.concatenate([part[2].astype(object) for part in parts])
    seen = np.isfinite(values)
    dates, values, places = dates[seen], values[seen], places[seen]
    order = np.argsort(dates, kind="stable")
    dates, values, places = dates[order], values[order], places[order]
    first = np.append(True, dates[1:] != dates[:-1]) if len(dates) else np.zeros(0, bool)
    of_first = values[np.maximum.accumulate(np.where(first, np.arange(len(dates)), 0))] if len(dates) else values
    other = np.abs(values - of_first) > same
    if other.sum() > CONFLICT_SHARE * first.sum() and other.sum() > 1:
        row, what = int(np.flatnonzero(other)[0]), "days" if dates.dtype == np.dtype("M8[D]") else "times"
        raise RecordError(
            f"{name}: {place(places[row])}: {quantity} of {dates[row]} is {values[row]:.6g}, and {of_first[row]:.6g} "
            f"before; {int(other.sum())} of {int(first.sum())} {what} are repeated with other values: are these "
            "several stations, or two versions of one record? Give one"
        )
    conflicts = [SetAside(dates[row], quantity, float(values[row]), "date repeated") for row in np.flatnonzero(other)]
    return Once(dates[first], values[first]), conflicts


def listed(stations: Iterable[str]) -> str:
    """Return the names of stations for a message."""
    shown = [printable(station, 40) for station in stations]
    return ", ".join(shown[:MAX_LISTED]) + (f", ... ({len(shown)} in all)" if len(shown) > MAX_LISTED else "")
