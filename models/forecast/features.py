"""From station-days to the input of the networks: the features of each day, and windows of them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from models.forecast.climatology import DAYS_OF_YEAR, Climatology, day_of_year, season
from models.forecast.filling import filled
from models.forecast.further import FurtherColumn, FurtherFeatures
from models.forecast.relations import Relations
from models.nn import Array
from models.record.columns import COLUMNS, MEASURED, TMAX, Column, is_guidance, is_spread, neighbour_of, of_neighbour
from models.record.days import ONE_DAY, StationDays

# A column is used if this fraction of the training rows has it, and this many values differ from the most frequent. A
# further column must also be known on this fraction of the last year: one that has ended tells nothing of the future.
USED_SHARE, MIN_VARIED, LAST_ROWS = 0.3, 20, 365

SEASON_WAVES = 2

# The first features of a day: one per measured column, used or not, and the season. Those of further columns follow.
N_FIRST = len(MEASURED) + 2 * SEASON_WAVES

# Groups of further columns, of which all may be missing at once; as ``without`` in `Features.windows`.
OWN, NEIGHBOURS = "further", "neighbours"
GROUPS = (OWN, NEIGHBOURS)

# Upper limit of the persistence.
MAX_PERSISTENCE = 0.98

# Distance, in days, from the nearest day of the year in the training rows at which the normals no longer count.
UNSEEN_DAYS = 30


@dataclass(frozen=True, eq=False)
class FittedColumn:
    """What was fitted to one measured column."""

    normal: Climatology | None  # None if the feature is not an anomaly
    fill: float  # for gaps: the persistence (autoregression), the slope on the tmax anomaly (regression), or the mean

    def feature(self, dates: Array, values: Array, day: Array | None = None) -> Array:
        """Return the feature (n,) of the column's values (n,); ``day`` is the day of the year, if known."""
        return np.log1p(values) if self.normal is None else self.normal.anomaly(dates, values, day)


@dataclass(frozen=True, eq=False)
class DailyFeatures:
    """The features of every day of a record, from which windows are cut; ``nan`` where missing."""

    days: StationDays
    table: Array  # (N, F), zero in a measured column that is not used
    valid: Array  # (N,) int, the day of the year of the next day
    guess: Array  # (N,) degC, first guess of the next day's tmax
    spread: Array  # (N,) degC, around the normal of the next day
    values: Array  # (N, columns), the further columns in use
    difference: Array  # (N, neighbours), of the neighbours' tmax anomalies from the station's own

    @cached_property
    def target(self) -> Array:
        """(N,), the next day's tmax minus the first guess, in spreads."""
        return np.asarray((self.days.next_tmax - self.guess) / self.spread)


@dataclass(frozen=True, eq=False)
class Features:
    """The transformation of station-days into features, fitted to the training rows."""

    measured: tuple[str, ...]  # measured columns in use, tmax first
    fitted: tuple[FittedColumn, ...]  # one per measured column, used or not
    seen: Array  # (n,) int, days of the year in the training rows
    further: FurtherFeatures  # of the further columns in use
    relations: Relations  # of the neighbours in use
    ignored: tuple[str, ...]  # further columns of the station's record that too few training rows have, or no longer

    @classmethod
    def fit(cls, days: StationDays, rows: Array, columns: tuple[str, ...] | None = None) -> "Features":
        """Fit to the training ``rows`` of ``days``; select the ``columns``, measured and further, unless given."""
        dates, values = days.dates[rows], days.values[rows]
        normal = Climatology.fit(dates, values[:, TMAX])
        anomaly = normal.anomaly(dates, values[:, TMAX])
        persistence = _slope(anomaly, normal.anomaly(dates + ONE_DAY, days.next_tmax[rows]))
        fitted = [FittedColumn(normal, float(np.clip(persistence, 0.0, MAX_PERSISTENCE)))]
        fitted += [_fit_column(column, dates, values[:, i], anomaly) for i, column in enumerate(MEASURED) if i != TMAX]
        if columns is None:
            used = [n for n in (*COLUMNS, *_in_order(days.further)) if _is_used(n, days.column(n)[rows])]
            # Of a neighbour, tmax at least: it tells whether the neighbour has moved.
            columns = tuple(n for n in used if not (other := neighbour_of(n)) or of_neighbour(other, "tmax") in used)
        further = [FurtherColumn.fit(n, dates, days.column(n)[rows]) for n in columns if n not in COLUMNS]
        measured = tuple(name for name in columns if name in COLUMNS)
        ignored = tuple(n for n in _in_order(days.further) if not (n in columns or neighbour_of(n)))
        seen, of_further = np.unique(day_of_year(dates)), FurtherFeatures(tuple(further))
        found = cls(measured, tuple(fitted), seen, of_further, Relations(np.zeros(0), np.zeros(0)), ignored)
        if not of_further.neighbours:
            return found
        return replace(found, relations=Relations.fit(found.of(days).difference[rows]))

    def of(self, days: StationDays) -> DailyFeatures:
        """Return the features of every day.

        The first guess is the normal of the next day plus the persistent fraction of today's anomaly.
        """
        dates = days.first + np.arange(len(days) + 1) * ONE_DAY
        day = day_of_year(dates)
        today, of_year, valid = dates[:-1], day[:-1], day[1:]
        mean, spread = self.normal.on(dates, day)
        anomaly = (days.tmax - mean[:-1]) / spread[:-1]
        table = np.zeros((len(days), len(self)))
        for i, name in enumerate(COLUMNS):
            if name in self.measured:
                table[:, i] = anomaly if i == TMAX else self.fitted[i].feature(today, days.values[:, i], of_year)
        table[:, len(COLUMNS) : N_FIRST] = self._season[valid]
        values = self.further.values(days)
        table[:, N_FIRST:] = self.further(today, values, table[:, len(COLUMNS) + 1], of_year)
        difference = table[:, N_FIRST + self.further.tmax_of_neighbours] - anomaly[:, None]
        guess = mean[1:] + self.persistence * spread[1:] * anomaly
        return DailyFeatures(days, table, valid, guess, spread[1:], values, difference)

    def moved(self, daily: DailyFeatures, rows: Array, known: Array) -> Array:
        """Return which neighbours (B, neighbours) have moved, by the days of windows; see `further_windows`."""
        return self.relations.moved(np.where(known[:, :, None], daily.difference[np.maximum(rows, 0)], np.nan))

    def further_windows(self, daily: DailyFeatures, rows: Array, known: Array) -> Array:
        """Return windows (B, T, F) of further features, ``nan`` where missing; neighbours that moved are missing.

        Parameters
        ----------
        rows : (B, T), the days of each window
        known : (B, T) bool, false for the days that count as missing
        """
        return self._forget(daily.table[np.maximum(rows, 0), N_FIRST:], daily, rows, known)

    def _forget(self, further: Array, daily: DailyFeatures, rows: Array, known: Array) -> Array:
        """Make the features (B, T, F) of unknown days and of neighbours that moved ``nan``, in place."""
        further[~known] = np.nan
        # A change since a day that is unknown, or before the window, is unknown.
        since_known = np.concatenate([np.zeros((len(known), 1), bool), known[:, :-1]], axis=1)
        further[..., self.further.changes][~since_known] = np.nan
        if self.further.neighbours:
            for window, neighbour in np.argwhere(self.moved(daily, rows, known)):
                further[window, :, self.further.of_neighbours[neighbour]] = np.nan
        return further

    def check(self) -> None:
        """Raise ValueError where the features do not match the table of columns or the calendar."""
        anomalies = [column.transform == "anomaly" for column in MEASURED]
        known = self.measured[:1] == COLUMNS[:1] and {*self.measured} <= {*COLUMNS}
        if [fitted.normal is not None for fitted in self.fitted] != anomalies or not known:
            raise ValueError("the model's features do not match the table of columns")
        if self.seen.ndim != 1 or not np.isin(self.seen, DAYS_OF_YEAR).all() or not self.seen.size:
            raise ValueError("the model's days of the year are invalid")
        self.further.check()
        relations = np.stack([self.relations.usual, self.relations.deviation])
        if relations.shape != (2, len(self.further.neighbours)) or relations.dtype.kind != "f":
            raise ValueError("the model's relations do not match its neighbours")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in use, measured first."""
        return self.measured + self.further.names

    @cached_property
    def groups(self) -> dict[str, Array]:
        """The features (n,) of each group of further columns in use."""
        of_neighbour = self.further.of_neighbours.any(axis=0)
        found = {OWN: np.flatnonzero(~of_neighbour), NEIGHBOURS: np.flatnonzero(of_neighbour)}
        return {group: N_FIRST + features for group, features in found.items() if len(features)}

    def names_of(self, group: str) -> list[str]:
        """Return the further columns in use of a group."""
        return [name for name in self.further.names if bool(neighbour_of(name)) == (group == NEIGHBOURS)]

    def __len__(self) -> int:
        return N_FIRST + len(self.further)

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
        self, daily: DailyFeatures, ends: Array, first: Array, length: int, without: tuple[str, int] = ("", 0)
    ) -> Array:
        """Return the unscaled features (B, T, F) of the ``length`` days up to each of the rows ``ends``.

        Gaps are filled from within their window only.

        Parameters
        ----------
        first : (B,), rows before which all values count as missing
        without : a measured column or a group of `GROUPS`, and how many of its latest values to treat as missing (of
            tmax, without the very latest, which every forecast needs)
        """
        rows = ends[:, None] + np.arange(1 - length, 1)
        found, before = daily.table[np.maximum(rows, 0)], list[Array]()
        known = rows >= first[:, None]
        if not known.all():
            valid = day_of_year(daily.days.first + (rows[~known] + 1) * ONE_DAY)
            found[~known, : len(COLUMNS)] = np.where([name in self.measured for name in COLUMNS], np.nan, 0.0)
            found[~known, len(COLUMNS) : N_FIRST] = self._season[valid]
        for i, column in enumerate(MEASURED):
            if column.name in self.measured:
                window = found[:, :, i]
                if without[0] == column.name:
                    last = length - 1 if i == TMAX else length
                    window[:, max(0, last - without[1]) : last] = np.nan
                before.append(filled(column, window, self.fitted[i].fill, before))
                found[:, :, i] = before[-1]
        if self.further.columns:
            further = self._forget(found[:, :, N_FIRST:], daily, rows, known)
            further[np.isnan(further)] = 0.0
            if without[0] in self.groups:
                found[:, max(0, length - without[1]) :, self.groups[without[0]]] = 0.0
        return found

    def unseen(self, day: Array) -> Array:
        """Return how far each day of the year (n,) is from the training rows: 0 to 1, at `UNSEEN_DAYS`."""
        return np.asarray(self._unseen[day])


def _in_order(names: Iterable[str]) -> list[str]:
    """Return the further columns that are no forecasts, the station's own first, in an order that no file changes."""
    own = [name for name in names if not (is_guidance(name) or is_spread(name))]
    return sorted(own, key=lambda name: (neighbour_of(name), name))


def _is_used(name: str, values: Array) -> bool:
    """Whether a column has enough values, and enough variation, in the training rows (n,); tmax always."""
    observed = ~np.isnan(values)
    _, counts = np.unique(values[observed], return_counts=True)
    varied = counts.sum() - counts.max(initial=0) >= MIN_VARIED
    shares = [observed.mean()] if name in COLUMNS else [observed.mean(), observed[-LAST_ROWS:].mean()]
    return name == COLUMNS[TMAX] or bool(varied and min(shares) >= USED_SHARE)


def _fit_column(column: Column, dates: Array, values: Array, tmax_anomaly: Array) -> FittedColumn:
    normal = Climatology.fit(dates, values) if column.transform == "anomaly" else None
    feature = FittedColumn(normal, 0.0).feature(dates, values)
    if column.fill == "regression":
        return FittedColumn(normal, _slope(tmax_anomaly, feature))
    return FittedColumn(normal, float(np.nanmean(feature)) if (~np.isnan(feature)).any() else 0.0)


def _slope(x: Array, y: Array) -> float:
    """Return the regression slope of ``y`` on ``x`` through the origin, over rows with both; 0 without any."""
    both = ~(np.isnan(x) | np.isnan(y))
    variation = float((x[both] ** 2).sum())
    return float((x[both] * y[both]).sum()) / variation if variation else 0.0
