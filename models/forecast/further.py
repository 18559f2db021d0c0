"""Further columns as features: what else a station measured, and what its neighbours did."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.forecast.climatology import DAYS_PER_DECADE, Climatology, day_of_year
from models.nn import Array
from models.record.columns import COLUMNS, TMAX, column, neighbour_of, of_neighbour
from models.record.days import StationDays

# A value further from the normal than this many standard deviations is not believed: of a million values at 25
# stations, 60 are, some of them errors.
MAX_DEVIATIONS = 6.0


@dataclass(frozen=True, eq=False)
class FurtherColumn:
    """What was fitted to one further column."""

    name: str
    normals: tuple[Climatology, ...]  # one; of a direction two, of its sine and its cosine

    @classmethod
    def fit(cls, name: str, dates: Array, values: Array) -> "FurtherColumn":
        """Fit to the ``values`` (n,) on ``dates``, ``nan`` where missing."""
        return cls(name, tuple(Climatology.fit(dates, part) for part in _parts(name, values)))


@dataclass(frozen=True, eq=False)
class FurtherFeatures:
    """The transformation of further columns into features.

    The features of a column are its anomalies from the normal, in standard deviations of the season; of a direction,
    those of its sine and its cosine. Some of the station's own columns have these by season as well, times 1 in the
    middle of summer to -1 in the middle of winter: the same wind cools in one and warms in the other. Some columns have
    the change since the day before (`models.record.columns.Column`). A missing feature is zero, the normal: no column
    is required.
    """

    columns: tuple[FurtherColumn, ...]

    def __len__(self) -> int:
        return len(self._anomalies) + len(self._derived)

    def __call__(self, dates: Array, values: Array, summer: Array, day: Array | None = None) -> Array:
        """Return the features of all days (N, F), ``nan`` where missing: anomalies, some of them by season, changes.

        Parameters
        ----------
        dates : (N,), without gaps
        values : (N, columns), see `values`
        summer : (N,), from 1 in the middle of summer to -1 in the middle of winter
        day : (N,), the day of the year, if known
        """
        if not self.columns:
            return np.zeros((len(dates), 0))
        found = np.full((len(dates), len(self)), np.nan)
        n, changes = len(self._anomalies), found[:, self.changes]
        anomalies = found[:, :n]
        anomalies[:] = self._all_anomalies(dates, values, day)
        anomalies[np.abs(anomalies) > MAX_DEVIATIONS] = np.nan
        found[:, n : self.changes.start] = anomalies[:, self._by_season] * summer[:, None]
        changes[1:] = anomalies[1:, self._changing] - anomalies[:-1, self._changing]
        return found

    def unbelievable(self, days: StationDays) -> Iterator[tuple[int, str, bool]]:
        """Yield (row, column, whether it is possible) of each value that is impossible, or far from its normal."""
        if not self.columns:
            return
        values = self.values(days)
        impossible = (values < self._limits[0]) | (values > self._limits[1])
        far = np.abs(self._all_anomalies(days.dates, values)) > MAX_DEVIATIONS
        if far.any() or impossible.any():
            found = {(int(row), self._anomalies[i]): True for row, i in np.argwhere(far)}
            found |= {(int(row), self.names[i]): False for row, i in np.argwhere(impossible)}
            for (row, name), is_possible in found.items():
                yield row, name, is_possible

    def values(self, days: StationDays) -> Array:
        """Return the values of the columns (N, columns), all ``nan`` where the days lack one."""
        found = np.full((len(days), len(self.columns)), np.nan)
        for i, name in enumerate(self.names):
            if name in days.further:
                found[:, i] = days.further[name]
        return found

    def _all_anomalies(self, dates: Array, values: Array, day: Array | None = None) -> Array:
        parts = values
        if len(self._anomalies) > len(self.columns):  # there are directions
            of_each = zip(self.names, values.T, strict=True)
            parts = np.stack([part for name, of in of_each for part in _parts(name, of)], axis=1)
        mean, spread, trend, origin = self._normals
        day = day_of_year(dates) if day is None else day
        decades = (dates.astype(int)[:, None] - origin) / DAYS_PER_DECADE
        return np.asarray((parts - mean[day] - trend * decades) / spread[day])

    def check(self) -> None:
        """Raise ValueError where a column has too few normals, or too many."""
        for one in self.columns:
            if len(one.normals) != len([*_parts(one.name, np.zeros(1))]):
                raise ValueError(f"the model's normals do not match its column {one.name}")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(one.name for one in self.columns)

    @cached_property
    def _limits(self) -> Array:
        """(2, columns), the lowest and the highest possible values."""
        return np.array([column(name).limits for name in self.names]).T

    @property
    def changes(self) -> slice:
        """The features that are changes since the day before."""
        return slice(len(self._anomalies) + len(self._by_season), len(self))

    @cached_property
    def neighbours(self) -> tuple[str, ...]:
        """The neighbours whose columns are looked at."""
        return tuple(dict.fromkeys(filter(None, map(neighbour_of, self.names))))

    @cached_property
    def of_neighbours(self) -> Array:
        """(neighbours, F) bool, whether a feature is that of a neighbour."""
        of_anomaly = np.array(
            [[neighbour_of(name) == one for name in self._anomalies] for one in self.neighbours], bool
        )
        of_anomaly = of_anomaly.reshape(len(self.neighbours), len(self._anomalies))
        return np.concatenate([of_anomaly, of_anomaly[:, self._derived]], axis=1)

    @cached_property
    def tmax_of_neighbours(self) -> Array:
        """(neighbours,), the features that are a neighbour's tmax."""
        return np.array([self._anomalies.index(of_neighbour(one, COLUMNS[TMAX])) for one in self.neighbours], int)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """What each feature is, at any hour and at any neighbour: "pressure", "pressure change", "neighbour tmax"."""
        kinds = [kind for one in self.columns for kind in _kinds(one.name)]
        by_season = [f"{kinds[i]} by season" for i in self._by_season]
        return (*kinds, *by_season, *(f"{kinds[i]} change" for i in self._changing))

    @cached_property
    def _anomalies(self) -> list[str]:
        """The column of each anomaly."""
        return [one.name for one in self.columns for _ in one.normals]

    @cached_property
    def _by_season(self) -> Array:
        """The anomalies that are features by season as well."""
        return np.flatnonzero([column(name).by_season and not neighbour_of(name) for name in self._anomalies])

    @cached_property
    def _derived(self) -> Array:
        """The anomalies from which the features after them are derived."""
        return np.concatenate([self._by_season, self._changing])

    @cached_property
    def _changing(self) -> Array:
        """The anomalies whose changes are features."""
        return np.flatnonzero([column(name).changes for name in self._anomalies])

    @cached_property
    def _normals(self) -> tuple[Array, Array, Array, Array]:
        """Mean, without the trend, and spread by day of the year (366, A); trend and origin, as a day, (A,)."""
        normals = [normal for one in self.columns for normal in one.normals]
        mean, spread = (np.stack(of, axis=1) for of in zip(*(normal.by_day for normal in normals), strict=True))
        return mean, spread, *np.array([(normal.trend, int(normal.origin.astype(int))) for normal in normals]).T


def _kinds(name: str) -> list[str]:
    of = column(name)
    kind = "tmean" if of.name == "temperature" else of.name
    parts = [f"{kind} sine", f"{kind} cosine"] if of.transform == "direction" else [kind]
    return [f"neighbour {part}" for part in parts] if neighbour_of(name) else parts


def _parts(name: str, values: Array) -> Iterator[Array]:
    """Yield the series (n,) whose anomalies are features of a column."""
    if column(name).transform == "direction":
        angle = np.deg2rad(values)
        yield np.sin(angle)
        yield np.cos(angle)
    else:
        yield values
