"""From station-days to what the network sees: filled values, the season, windows (B, T, F)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.nn import Array
from models.station_days import COLUMNS, ONE_DAY, RAIN, TMAX, TMIN, StationDays

# A column is used where at least this share of the training rows has it, and not all of them the same.
USED_SHARE = 0.5


@dataclass(frozen=True)
class Filling:
    """What stands in for a value that was not observed, learned from the training days.

    Attributes
    ----------
    diurnal_range : mean of tmax - tmin, degC; a missing tmin is that much below tmax
    rain : mm; its feature is the mean of the feature
    """

    diurnal_range: float
    rain: float

    @classmethod
    def fit(cls, days: StationDays) -> "Filling":
        """Learn from the training days; what was never observed is zero."""
        ranges = days.values[:, TMAX] - days.values[:, TMIN]
        return cls(_mean(ranges), float(np.expm1(_mean(np.log1p(days.values[:, RAIN])))))

    def fill(self, days: StationDays, max_gap: int) -> Array:
        """Fill what is missing.

        A missing tmax is interpolated between the observed days on either side of a gap of at most ``max_gap`` days;
        a longer gap, and one without an observed day on both sides, stays ``nan``, so that no window bridges it.

        Returns
        -------
        (N, 3) degC, degC, mm; the only ``nan`` are where tmax could not be filled
        """
        values = days.values.copy()
        values[:, TMAX] = _interpolated(values[:, TMAX], max_gap)
        tmin, rain = values[:, TMIN], values[:, RAIN]
        values[:, TMIN] = np.where(np.isnan(tmin), values[:, TMAX] - self.diurnal_range, tmin)
        values[:, RAIN] = np.where(np.isnan(rain), self.rain, rain)
        return values


def used_columns(values: Array) -> tuple[str, ...]:
    """Name the columns that the training rows (n, 3) have often enough, and with any variation, to learn from."""
    used = []
    for index, column in enumerate(COLUMNS):
        seen = values[~np.isnan(values[:, index]), index]
        if len(seen) >= USED_SHARE * len(values) and np.ptp(seen) > 0:
            used.append(column)
    return tuple(used)


def season(dates: Array, harmonics: int = 1) -> Array:
    """Describe the time of year by sines and cosines, which have no jump at the new year.

    Parameters
    ----------
    dates : (N,) datetime64[D]
    harmonics : how many waves: one a year, two a year, ...

    Returns
    -------
    (N, 2 * harmonics)
    """
    day_of_year = (dates - dates.astype("M8[Y]").astype("M8[D]")).astype(float)
    angle = 2 * np.pi * day_of_year / 365.25
    return np.column_stack([f(k * angle) for k in range(1, harmonics + 1) for f in (np.sin, np.cos)])


def feature_table(dates: Array, filled: Array, columns: Sequence[str]) -> Array:
    """Return one row of features a day: the used columns (rain as log(1 + mm)) and the season of the next day.

    Parameters
    ----------
    dates : (N,) datetime64[D]
    filled : (N, 3) from `Filling.fill`
    columns : the used ones

    Returns
    -------
    (N, F)
    """
    features = filled.copy()
    features[:, RAIN] = np.log1p(features[:, RAIN])
    return np.hstack([features[:, [COLUMNS.index(c) for c in columns]], season(dates + ONE_DAY)])


def windows(table: Array, ends: Array, length: int) -> Array:
    """Cut the ``length`` rows that end on each row of ``ends``: (N, F) and (B,) to (B, T, F)."""
    return table[ends[:, None] + np.arange(1 - length, 1)]


def windows_without_gap(filled_tmax: Array, length: int) -> Array:
    """Tell for each day (N,) whether the ``length`` days that end on it are all there and none is ``nan``."""
    missing_so_far = np.concatenate([[0], np.cumsum(np.isnan(filled_tmax))])
    whole = np.zeros(len(filled_tmax), dtype=bool)
    whole[length - 1 :] = missing_so_far[length:] == missing_so_far[:-length]
    return whole


def _interpolated(series: Array, max_gap: int) -> Array:
    missing = np.isnan(series)
    if not missing.any() or missing.all():
        return series
    rows = np.arange(len(series))
    observed = rows[~missing]
    after = np.searchsorted(observed, rows)
    inside = missing & (after > 0) & (after < len(observed))
    gap = np.zeros(len(series), dtype=int)
    gap[inside] = observed[after[inside]] - observed[after[inside] - 1] - 1
    fillable = inside & (gap <= max_gap)
    return np.where(fillable, np.interp(rows, observed, series[observed]), series)


def _mean(values: Array) -> float:
    observed = values[~np.isnan(values)]
    return float(observed.mean()) if len(observed) else 0.0
