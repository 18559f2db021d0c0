"""From station-days to what the network sees: windows of anomalies, with what was not observed filled."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from models.climatology import YEAR, Climatology, day_of_year, season
from models.nn import Array
from models.station_days import COLUMNS, ONE_DAY, RAIN, TMAX, TMIN, StationDays

# A column is used where at least this share of the training rows has it, and not all of them the same.
USED_SHARE = 0.3

SEASON_WAVES = 2

# A day of the year that is so many days away from any in the record is one of which it knows nothing.
FAR = 30


# A column of which fewer values than this are other than the commonest says too little to learn from.
FEW = 20


def used_columns(values: Array) -> tuple[str, ...]:
    """Name tmax, and the columns that the training rows (n, 3) have often enough, and with enough variation."""
    used = ["tmax"]
    for index, column in enumerate(COLUMNS[1:], start=1):
        seen = values[~np.isnan(values[:, index]), index]
        _, counts = np.unique(seen, return_counts=True)
        if len(seen) >= USED_SHARE * len(values) and counts.sum() - counts.max(initial=0) >= FEW:
            used.append(column)
    return tuple(used)


@dataclass(frozen=True, eq=False)
class Features:
    """How days become features, learned from the training days.

    Attributes
    ----------
    columns : those of the station-days that are looked at, tmax first
    tmax, tmin : what is normal
    seen : (n,) int, the days of the year that there are training days of
    persistence : how much of today's anomaly of tmax tomorrow keeps
    tmin_slope : how far off tmin is, where tmax is one standard deviation off; fills a missing tmin
    rain : mean of log(1 + mm); fills a missing rain
    """

    columns: tuple[str, ...]
    tmax: Climatology
    tmin: Climatology
    seen: Array
    persistence: float
    tmin_slope: float
    rain: float

    @classmethod
    def fit(cls, days: StationDays, rows: Array, columns: tuple[str, ...] | None = None) -> "Features":
        """Learn from the training ``rows`` of ``days``; which ``columns`` to look at too, unless they are given."""
        dates, values = days.dates[rows], days.values[rows]
        tmax, tmin = (Climatology.fit(dates, values[:, column]) for column in (TMAX, TMIN))
        off = tmax.anomaly(dates, values[:, TMAX])
        next_off = tmax.anomaly(dates + ONE_DAY, days.next_tmax[rows])
        rain = np.log1p(values[:, RAIN])
        return cls(
            used_columns(values) if columns is None else columns,
            tmax,
            tmin,
            np.unique(day_of_year(dates)),
            float(np.clip(_slope(off, next_off), 0.0, 0.98)),
            _slope(off, tmin.anomaly(dates, values[:, TMIN])),
            float(np.nanmean(rain)) if (~np.isnan(rain)).any() else 0.0,
        )

    @property
    def n(self) -> int:
        """How many features a day has."""
        return len(COLUMNS) + 2 * SEASON_WAVES

    @cached_property
    def _season(self) -> Array:
        """(366, 2 * SEASON_WAVES), of every day of the year, counted from the warmest: the same in both hemispheres."""
        return season(YEAR, SEASON_WAVES, self.tmax.warmest)

    @cached_property
    def _strange(self) -> Array:
        """(366,) by day of the year, from 0 where the record has seen it to 1 where it is `FAR` from any that was."""
        away = np.abs(YEAR[:, None] - self.seen)
        return np.asarray(np.minimum(np.minimum(away, len(YEAR) - away).min(axis=1) / FAR, 1.0))

    def windows(
        self, days: StationDays, ends: Array, first: Array, length: int, without: tuple[str, int] = ("", 0)
    ) -> Array:
        """Return the ``length`` days that end on each row of ``ends`` as features, unscaled.

        Before the rows ``first`` (B,) nothing was observed. What fills a gap comes from within its window alone.
        ``without`` a column, on so many days: as if it had not been observed on the last of them, or of tmax on those
        before the last, without which there is no forecast.

        Returns
        -------
        (B, T, F), with F = `n`
        """
        dates, values = days.dates, days.values
        rows = ends[:, None] + np.arange(1 - length, 1)
        off = _windowed(self.tmax.anomaly(dates, values[:, TMAX]), rows, first)
        if without[0] == "tmax":
            off[:, -1 - without[1] : -1] = np.nan
        parts = [bridged(off, self.persistence)]
        if "tmin" not in self.columns:
            parts.append(np.zeros_like(parts[0]))
        else:
            tmin = _windowed(self.tmin.anomaly(dates, values[:, TMIN]), rows, first)
            if without[0] == "tmin":
                tmin[:, -without[1] :] = np.nan
            parts.append(np.where(np.isnan(tmin), self.tmin_slope * parts[0], tmin))
        if "rain" not in self.columns:
            parts.append(np.zeros_like(parts[0]))
        else:
            rain = _windowed(np.log1p(values[:, RAIN]), rows, first)
            if without[0] == "rain":
                rain[:, -without[1] :] = np.nan
            parts.append(np.where(np.isnan(rain), self.rain, rain))
        valid = day_of_year(days.first + (np.arange(1 - length, len(days)) + 1) * ONE_DAY)
        return np.concatenate([np.stack(parts, axis=2), self._season[valid[rows + length - 1]]], axis=2)

    def first_guess(self, days: StationDays) -> tuple[Array, Array]:
        """Return what the networks' answers are added to, and their unit: (N,) degC each.

        The guess is the normal of the next day, and of the day's own anomaly what usually persists.
        """
        mean, spread = self.tmax.on(days.first + np.arange(len(days) + 1) * ONE_DAY)
        off = (days.tmax - mean[:-1]) / spread[:-1]
        return mean[1:] + self.persistence * spread[1:] * off, spread[1:]

    def strange(self, dates: Array) -> Array:
        """Return how strange the time of year of each date (n,) is to the record, from 0 to 1: see `FAR`."""
        return np.asarray(self._strange[day_of_year(dates)])

    def to_state(self) -> dict[str, Any]:
        """Return arrays and plain values."""
        return {
            "columns": list(self.columns),
            "seen": self.seen,
            "persistence": self.persistence,
            "tmin_slope": self.tmin_slope,
            "rain": self.rain,
            "tmax": self.tmax.to_state(),
            "tmin": self.tmin.to_state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Features":
        """Build what `to_state` described."""
        return cls(
            tuple(state["columns"]),
            Climatology.from_state(state["tmax"]),
            Climatology.from_state(state["tmin"]),
            state["seen"],
            state["persistence"],
            state["tmin_slope"],
            state["rain"],
        )


def bridged(off: Array, persistence: float) -> Array:
    """Fill what is missing in windows (B, T) of anomalies as a first-order autoregression expects it.

    ::

        E[a_t | a_(t-i), a_(t+j)] = (r^i (1 - r^2j) a_(t-i) + r^j (1 - r^2i) a_(t+j)) / (1 - r^2(i+j))

    with r the persistence: near an observed day its value, in a long gap the normal, which is zero. Without an
    observed day on one side that side counts as infinitely far.
    """
    missing = np.isnan(off)
    if not missing.any():
        return off
    T = off.shape[1]
    steps = np.broadcast_to(np.arange(T), off.shape)
    before = np.maximum.accumulate(np.where(missing, -1, steps), axis=1)[missing]
    after = np.minimum.accumulate(np.where(missing, T, steps)[:, ::-1], axis=1)[:, ::-1][missing]
    window, step = np.nonzero(missing)
    left = np.where(before < 0, 0.0, persistence ** (step - before))
    right = np.where(after == T, 0.0, persistence ** (after - step))
    a_left, a_right = off[window, np.maximum(before, 0)], off[window, np.minimum(after, T - 1)]
    a_left, a_right = (np.where(np.isnan(side), 0.0, side) for side in (a_left, a_right))
    filled = off.copy()
    filled[missing] = (left * (1 - right**2) * a_left + right * (1 - left**2) * a_right) / (1 - (left * right) ** 2)
    return filled


def _windowed(series: Array, rows: Array, first: Array) -> Array:
    """Cut windows (B, T) out of a series (N,); rows before the ``first`` (B,) of a window count as not observed."""
    return np.where(rows < first[:, None], np.nan, series[np.maximum(rows, 0)])


def _slope(x: Array, y: Array) -> float:
    """Return the regression of ``y`` on ``x`` through the origin, over what both have; 0 without anything."""
    both = ~(np.isnan(x) | np.isnan(y))
    variation = float((x[both] ** 2).sum())
    return float((x[both] * y[both]).sum()) / variation if variation else 0.0
