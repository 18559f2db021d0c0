"""From station-days to the input of the networks: windows of features, with gaps filled."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.forecast.climatology import DAYS_OF_YEAR, Climatology, day_of_year, season
from models.nn import Array
from models.record.columns import COLUMNS, MEASURED, TMAX, Column
from models.record.days import ONE_DAY, StationDays

# A column is used if this fraction of the training rows has it, and this many values differ from the most frequent.
USED_SHARE, MIN_VARIED = 0.3, 20

SEASON_WAVES = 2

# Features of a day, F: one per measured column, used or not, and the season.
N_FEATURES = len(MEASURED) + 2 * SEASON_WAVES

# Upper limit of the persistence.
MAX_PERSISTENCE = 0.98

# Distance, in days, from the nearest day of the year in the training rows at which the normals no longer count.
UNSEEN_DAYS = 30


@dataclass(frozen=True, eq=False)
class FittedColumn:
    """What was fitted to one measured column."""

    normal: Climatology | None  # None if the feature is not an anomaly
    fill: float  # for gaps: the persistence (autoregression), the slope on the tmax anomaly (regression), or the mean

    def feature(self, dates: Array, values: Array) -> Array:
        """Return the feature (n,) of the column's values (n,)."""
        return np.log1p(values) if self.normal is None else self.normal.anomaly(dates, values)


@dataclass(frozen=True, eq=False)
class Features:
    """The transformation of station-days into features, fitted to the training rows."""

    columns: tuple[str, ...]  # measured columns in use, tmax first
    fitted: tuple[FittedColumn, ...]  # one per measured column, used or not
    seen: Array  # (n,) int, days of the year in the training rows

    @classmethod
    def fit(cls, days: StationDays, rows: Array, columns: tuple[str, ...] | None = None) -> "Features":
        """Fit to the training ``rows`` of ``days``; select the ``columns`` unless given."""
        dates, values = days.dates[rows], days.values[rows]
        normal = Climatology.fit(dates, values[:, TMAX])
        anomaly = normal.anomaly(dates, values[:, TMAX])
        persistence = _slope(anomaly, normal.anomaly(dates + ONE_DAY, days.next_tmax[rows]))
        fitted = [FittedColumn(normal, float(np.clip(persistence, 0.0, MAX_PERSISTENCE)))]
        fitted += [_fit_column(column, dates, values[:, i], anomaly) for i, column in enumerate(MEASURED) if i != TMAX]
        used = _used_columns(values) if columns is None else columns
        return cls(used, tuple(fitted), np.unique(day_of_year(dates)))

    def check(self) -> None:
        """Raise ValueError where the features do not match the table of columns or the calendar."""
        anomalies = [column.transform == "anomaly" for column in MEASURED]
        known = self.columns[:1] == COLUMNS[:1] and {*self.columns} <= {*COLUMNS}
        if [fitted.normal is not None for fitted in self.fitted] != anomalies or not known:
            raise ValueError("the model's features do not match the table of columns")
        if self.seen.ndim != 1 or not np.isin(self.seen, DAYS_OF_YEAR).all() or not self.seen.size:
            raise ValueError("the model's days of the year are invalid")

    @property
    def normal(self) -> Climatology:
        """The climatology of tmax."""
        normal = self.fitted[TMAX].normal
        assert normal is not None  # noqa: S101  # the feature of tmax is its anomaly
        return normal

    @property
    def persistence(self) -> float:
        """The fraction of today's tmax anomaly that remains tomorrow."""
        return self.fitted[TMAX].fill

    @cached_property
    def _season(self) -> Array:
        """(366, 2 * SEASON_WAVES), by day of the year, relative to the warmest: the same in both hemispheres."""
        return season(DAYS_OF_YEAR, SEASON_WAVES, self.normal.warmest)

    @cached_property
    def _unseen(self) -> Array:
        """(366,), by day of the year: from 0 in the training rows to 1 at `UNSEEN_DAYS` from them."""
        away = np.abs(DAYS_OF_YEAR[:, None] - self.seen)
        return np.asarray(np.minimum(np.minimum(away, len(DAYS_OF_YEAR) - away).min(axis=1) / UNSEEN_DAYS, 1.0))

    def windows(
        self, days: StationDays, ends: Array, first: Array, length: int, without: tuple[str, int] = ("", 0)
    ) -> Array:
        """Return the unscaled features (B, T, F) of the ``length`` days up to each of the rows ``ends``.

        Gaps are filled from within their window only.

        Parameters
        ----------
        first : (B,), rows before which all values count as missing
        without : a column, and how many of its latest values to treat as missing (of tmax, without the very latest,
            which every forecast needs)
        """
        rows, dates = ends[:, None] + np.arange(1 - length, 1), days.dates
        before, index = rows < first[:, None], np.maximum(rows, 0)
        parts: list[Array] = []
        for i, column in enumerate(MEASURED):
            if column.name not in self.columns:
                parts.append(np.zeros(rows.shape))
                continue
            feature = self.fitted[i].feature(dates, days.values[:, i])
            window = np.where(before, np.nan, feature[index])
            if without[0] == column.name:
                last = length - 1 if i == TMAX else length
                window[:, max(0, last - without[1]) : last] = np.nan
            parts.append(_filled(column, window, self.fitted[i].fill, parts))
        valid = day_of_year(days.first + (np.arange(1 - length, len(days)) + 1) * ONE_DAY)
        return np.concatenate([np.stack(parts, axis=2), self._season[valid[rows + length - 1]]], axis=2)

    def first_guess(self, days: StationDays) -> tuple[Array, Array]:
        """Return the first guess of the next day's tmax and the spread around its normal, (N,) degC each.

        The first guess is the normal of the next day plus the persistent fraction of today's anomaly.
        """
        mean, spread = self.normal.on(days.first + np.arange(len(days) + 1) * ONE_DAY)
        anomaly = (days.tmax - mean[:-1]) / spread[:-1]
        return mean[1:] + self.persistence * spread[1:] * anomaly, spread[1:]

    def unseen(self, dates: Array) -> Array:
        """Return how far the time of year of each date is from the training rows (n,): 0 to 1, at `UNSEEN_DAYS`."""
        return np.asarray(self._unseen[day_of_year(dates)])


def bridged(anomalies: Array, persistence: float) -> Array:
    """Fill the gaps in windows (B, T) of anomalies with the expectation of a first-order autoregression.

    ::

        E[a_t | a_(t-i), a_(t+j)] = (r^i (1 - r^2j) a_(t-i) + r^j (1 - r^2i) a_(t+j)) / (1 - r^2(i+j))

    with r the persistence: near an observed day close to its value, in a long gap close to zero, the normal. A side
    without an observed day counts as infinitely far away.
    """
    missing = np.isnan(anomalies)
    if not missing.any():
        return anomalies
    T = anomalies.shape[1]
    steps = np.broadcast_to(np.arange(T), anomalies.shape)
    before = np.maximum.accumulate(np.where(missing, -1, steps), axis=1)[missing]
    after = np.minimum.accumulate(np.where(missing, T, steps)[:, ::-1], axis=1)[:, ::-1][missing]
    window, step = np.nonzero(missing)
    left = np.where(before < 0, 0.0, persistence ** (step - before))
    right = np.where(after == T, 0.0, persistence ** (after - step))
    a_left, a_right = anomalies[window, np.maximum(before, 0)], anomalies[window, np.minimum(after, T - 1)]
    a_left, a_right = (np.where(np.isnan(side), 0.0, side) for side in (a_left, a_right))
    filled = anomalies.copy()
    filled[missing] = (left * (1 - right**2) * a_left + right * (1 - left**2) * a_right) / (1 - (left * right) ** 2)
    return filled


def _used_columns(values: Array) -> tuple[str, ...]:
    """Return tmax and the columns with enough values, and enough variation, in the training rows (n, columns)."""
    used = [COLUMNS[TMAX]]
    for index, column in enumerate(COLUMNS):
        observed = values[~np.isnan(values[:, index]), index]
        _, counts = np.unique(observed, return_counts=True)
        varied = counts.sum() - counts.max(initial=0) >= MIN_VARIED
        if index != TMAX and len(observed) >= USED_SHARE * len(values) and varied:
            used.append(column)
    return tuple(used)


def _fit_column(column: Column, dates: Array, values: Array, tmax_anomaly: Array) -> FittedColumn:
    normal = Climatology.fit(dates, values) if column.transform == "anomaly" else None
    feature = FittedColumn(normal, 0.0).feature(dates, values)
    if column.fill == "regression":
        return FittedColumn(normal, _slope(tmax_anomaly, feature))
    return FittedColumn(normal, float(np.nanmean(feature)) if (~np.isnan(feature)).any() else 0.0)


def _filled(column: Column, window: Array, fill: float, before: list[Array]) -> Array:
    """Fill the windows (B, T) of a column; ``before`` holds the filled windows of the previous columns, tmax first."""
    if column.fill == "autoregression":
        return bridged(window, fill)
    return np.where(np.isnan(window), fill * before[TMAX] if column.fill == "regression" else fill, window)


def _slope(x: Array, y: Array) -> float:
    """Return the regression slope of ``y`` on ``x`` through the origin, over rows with both; 0 without any."""
    both = ~(np.isnan(x) | np.isnan(y))
    variation = float((x[both] ** 2).sum())
    return float((x[both] * y[both]).sum()) / variation if variation else 0.0
