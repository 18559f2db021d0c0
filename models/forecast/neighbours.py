"""Neighbours: stations whose columns of today tell something of a station's tomorrow."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from models.forecast.climatology import Climatology
from models.nn import Array
from models.record.columns import COLUMNS, TMAX, neighbour_of, of_neighbour, quantity
from models.record.days import ONE_DAY, StationDays

# The columns of a neighbour that are looked at, also at hours of the day: temperatures, and pressure, for its
# differences are tomorrow's wind. Its wind gains no more.
QUANTITIES = (COLUMNS[TMAX], "tmin", "tmean", "temperature", "pressure")

# A station is a neighbour if its tmax is known on this share of the days to train on.
MIN_SHARED = 0.5

# The most that "auto" tries.
MOST = 8


def tmax_anomalies(days: StationDays) -> StationDays:
    """Return the standardised anomalies of tmax, in its place."""
    known = ~np.isnan(days.tmax)
    anomaly = Climatology.fit(days.dates[known], days.tmax[known]).anomaly(days.dates, days.tmax)
    return StationDays(days.first, anomaly[:, None])


def nearest(anomalies: StationDays, rows: Array, others: Mapping[str, StationDays], n: int) -> list[str]:
    """Return up to ``n`` stations, the best first, whose tmax tells most of the next day's tmax.

    Parameters
    ----------
    anomalies : of the station, see `tmax_anomalies`
    rows : the training rows; others are not looked at
    others : station -> its anomalies
    """
    target = anomalies.next_tmax[rows]
    found = []
    for name, other in others.items():
        today = on_days(other.tmax, other, anomalies)[rows]
        both = ~np.isnan(today) & ~np.isnan(target)
        if both.sum() >= MIN_SHARED * len(rows) and both.any():
            x, y = today[both], target[both]
            slope = (x * y).mean() - x.mean() * y.mean()
            found.append((float(slope / max(x.std() * y.std(), 1e-12)), name))
    return [name for _, name in sorted(found, key=lambda one: (-one[0], one[1]))[:n]]


def with_neighbours(days: StationDays, others: Mapping[str, StationDays]) -> StationDays:
    """Return the days with the columns of ``others``, station -> its days, that may be looked at."""
    joined = {}
    for name, other in others.items():
        columns = dict(zip(COLUMNS, other.values.T, strict=True)) | other.further
        for column, values in columns.items():
            known = quantity(column)
            if known and known.name in QUANTITIES:
                joined[of_neighbour(name, column)] = on_days(values, other, days)
    return replace(days, further=days.further | joined)


def with_only(days: StationDays, neighbours: Iterable[str]) -> StationDays:
    """Return the days with the columns of these neighbours only."""
    kept = {"", *neighbours}
    return replace(days, further={name: of for name, of in days.further.items() if neighbour_of(name) in kept})


def on_days(values: Array, of: StationDays, days: StationDays) -> Array:
    """Return a column (n,) of one station on the days (N,) of another; ``nan`` where it has none."""
    out = np.full(len(days), np.nan)
    offset = int((of.first - days.first) / ONE_DAY)
    start, stop = max(0, offset), min(len(days), offset + len(of))
    if stop > start:
        out[start:stop] = values[start - offset : stop - offset]
    return out
