"""From guidance to what its correction looks at: how it has done lately, and where it stands beside the station."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from models.climatology import Climatology, day_of_year, season
from models.nn import Array
from models.predictors import ENOUGH, GUIDANCE, is_guidance, is_spread, predictor
from models.station_days import ONE_DAY, RAIN, TMIN, StationDays

SEASON_WAVES = 2

# Running means of the guidance's errors: of so long a memory (the share that a day keeps of the one before), shrunk as
# if so many days without an error had come before; and of their sizes, shrunk towards the usual one.
ERRORS = ((0.9, 3.0), (0.97, 8.0))
SIZE = (0.9, 5.0)

# The smallest size of an error, and of a spread, degC, of which a logarithm is taken.
SMALLEST = 0.05


@dataclass(frozen=True, eq=False)
class GuidanceFeatures:
    """How days with guidance become features, learned from the training rows.

    Attributes
    ----------
    predictors : those of the station-days that are looked at: they are known on `ENOUGH` days
    columns : those of tmax, tmin and rain that are
    normal : of tmax
    bias : by column of guidance, how much warmer the next day was than it said, degC, on the mean
    typical : mean absolute error of the guidance without its bias, degC
    """

    predictors: tuple[str, ...]
    columns: tuple[str, ...]
    normal: Climatology
    bias: dict[str, float]
    typical: float

    @property
    def further(self) -> tuple[str, ...]:
        """The predictors that are no guidance."""
        return tuple(name for name in self.predictors if not is_guidance(name))

    @classmethod
    def fit(cls, days: StationDays, rows: Array, columns: tuple[str, ...], normal: Climatology) -> "GuidanceFeatures":
        """Learn from training ``rows``, on which there is guidance."""
        known = {name: int((~np.isnan(column[rows])).sum()) for name, column in days.predictors.items()}
        said = {name: n for name, n in known.items() if is_guidance(name)}
        least = min(ENOUGH, max(said.values()))
        predictors = tuple(name for name, n in known.items() if n >= least)
        bias = {n: _mean((days.next_tmax - days.predictors[n])[rows]) for n in predictors if is_guidance(n)}
        features = cls(predictors, columns, normal, bias, 1.0)
        typical = _mean(np.abs(days.next_tmax - features.point(days))[rows])
        return cls(features.predictors, columns, normal, bias, max(typical, SMALLEST))

    def point(self, days: StationDays) -> Array:
        """Return what guidance says of the next day (N,), degC: the mean of all there is, each without its bias."""
        said = [predictor(days, name) + bias for name, bias in self.bias.items()]
        return mean_of_those_there(said, len(days))

    def there(self, days: StationDays) -> Array:
        """Return on which days (N,) there is any of the guidance that is looked at."""
        return ~np.isnan(self.point(days))

    def windows(self, days: StationDays, rows: Array, length: int, without: str = "") -> tuple[Array, Array]:
        """Return the ``length`` days that end on each of ``rows`` as features, unscaled, and what guidance said.

        Nothing outside of its window has a part in a feature. ``nan`` is what is not known.

        Parameters
        ----------
        without : as if something had not been known: "past", the guidance of the days before the last; or "further",
            the further predictors of the last day

        Returns
        -------
        x : (B, T, F)
        point : (B, T) degC, of the day after each
        """
        index = rows[:, None] + np.arange(1 - length, 1)

        def windowed(series: Array) -> Array:
            return np.where(index < 0, np.nan, series[np.maximum(index, 0)])

        dates = days.first + np.arange(len(days) + 1) * ONE_DAY
        point, tmax = windowed(self.point(days)), windowed(days.tmax)
        if without == "past":
            point[:, :-1] = np.nan
        error = tmax - _day_before(point)
        parts = [point - windowed(self.normal.on(dates[1:])[0]), tmax - point]
        parts += [tmax - _day_before(tmax), point - _day_before(point)]
        parts += [_day_before(error), _day_before(_day_before(error))]
        parts += [running_mean(error, *memory) for memory in ERRORS]
        size = self.typical + running_mean(np.abs(error) - self.typical, *SIZE)
        parts.append(np.log(np.maximum(size, SMALLEST)))
        unknown = np.full(point.shape, np.nan)
        parts.append(windowed(days.values[:, TMIN]) - point if "tmin" in self.columns else unknown)
        parts.append(np.log1p(windowed(days.values[:, RAIN])) if "rain" in self.columns else unknown)
        for name in self.predictors:
            column = windowed(predictor(days, name))
            if without == "further" and not is_guidance(name):
                column[:, -1] = np.nan
            if is_spread(name):
                parts += [np.log(np.maximum(column, SMALLEST)), column - _day_before(column)]
            if not is_guidance(name):
                parts.append(column)
            elif len(self.bias) > 1:
                parts.append(column + self.bias[name] - point)
        valid = season(day_of_year(dates[1:]), SEASON_WAVES, self.normal.warmest)
        parts += [windowed(wave) for wave in valid.T]
        return np.stack(parts, axis=2), point

    def to_state(self) -> dict[str, Any]:
        """Return arrays and plain values."""
        return {
            "predictors": list(self.predictors),
            "columns": list(self.columns),
            "normal": self.normal.to_state(),
            "bias": dict(self.bias),
            "typical": self.typical,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "GuidanceFeatures":
        """Build what `to_state` described."""
        normal = Climatology.from_state(state["normal"])
        return cls(tuple(state["predictors"]), tuple(state["columns"]), normal, dict(state["bias"]), state["typical"])


def raw_point(days: StationDays) -> Array:
    """Return guidance as it is (N,), degC: ``guidance`` where that says something, else the mean of all others."""
    said = [column for name, column in days.predictors.items() if is_guidance(name)]
    first = predictor(days, GUIDANCE)
    return np.where(np.isnan(first), mean_of_those_there(said, len(days)), first)


def running_mean(series: Array, keeps: float, prior: float) -> Array:
    """Return the running mean (B, T) of a series (B, T) up to each day, over what is known of it.

    ::

        sum_i keeps^i x_(t-i) / (sum_i keeps^i + prior)
    """
    known = ~np.isnan(series)
    weights = _weights(keeps, series.shape[1])
    return np.asarray((np.where(known, series, 0.0) @ weights) / (known @ weights + (prior + 1e-9)))


@cache
def _weights(keeps: float, T: int) -> Array:
    """Return how much each day counts on each day (T, T): nothing before it has come."""
    ago = np.arange(T) - np.arange(T)[:, None]
    return np.where(ago >= 0, keeps ** np.maximum(ago, 0), 0.0)


def mean_of_those_there(columns: list[Array], n: int) -> Array:
    """Return the mean (n,) of the columns that have a value on a day; ``nan`` where none has."""
    if not columns:
        return np.full(n, np.nan)
    table = np.stack(columns)
    there = ~np.isnan(table)
    return np.asarray(np.where(there, table, 0.0).sum(axis=0) / np.where(there.any(axis=0), there.sum(axis=0), np.nan))


def _day_before(series: Array) -> Array:
    return np.concatenate([np.full((len(series), 1), np.nan), series[:, :-1]], axis=1)


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0
