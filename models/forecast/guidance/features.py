"""Features for correcting guidance: its recent errors, and its differences from the station's observations."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from models.forecast.climatology import day_of_year, season
from models.forecast.features import DailyFeatures, Features
from models.nn import Array
from models.record.columns import GUIDANCE, MEASURED, TEMPERATURE, TMAX, is_guidance, is_spread
from models.record.days import ONE_DAY, StationDays

SEASON_WAVES = 2

# A forecast is used if this many training rows have it.
MIN_KNOWN_DAYS = 30

# (weight of a day relative to the day after, prior weight in days) of the running means of the guidance's errors,
# shrunk towards zero, and of their absolute values, shrunk towards the typical one.
ERROR_MEMORIES = ((0.9, 3.0), (0.97, 8.0))
SIZE_MEMORY = (0.9, 5.0)

# Lower limit of errors and spreads, degC, before their logarithm is taken.
SMALLEST = 0.05


@dataclass(frozen=True, eq=False)
class GuidanceFeatures:
    """The transformation of days with guidance into features, fitted to the training rows.

    What the station's own model looks at is taken from its features, ``station`` below: the normal of tmax, and the
    further columns, those of neighbours among them.
    """

    forecasts: tuple[str, ...]  # guidance and spreads in use
    bias: dict[str, float]  # guidance column -> mean of the next day's tmax minus guidance, degC
    typical: float  # mean absolute error of the bias-corrected guidance, degC

    @classmethod
    def fit(cls, days: StationDays, rows: Array) -> "GuidanceFeatures":
        """Fit to training ``rows`` with guidance."""
        named = [name for name in days.further if is_guidance(name) or is_spread(name)]
        known = {name: int((~np.isnan(days.further[name][rows])).sum()) for name in named}
        least = min(MIN_KNOWN_DAYS, max(n for name, n in known.items() if is_guidance(name)))
        forecasts = tuple(name for name, n in known.items() if n >= least)
        bias = {n: _mean((days.next_tmax - days.further[n])[rows]) for n in forecasts if is_guidance(n)}
        features = cls(forecasts, bias, 1.0)
        typical = _mean(np.abs(days.next_tmax - features.point(days))[rows])
        return cls(forecasts, bias, max(typical, SMALLEST))

    def point(self, days: StationDays) -> Array:
        """Return the point forecast of the guidance (N,), degC: the mean of its bias-corrected columns."""
        return mean_of_known([days.column(name) + bias for name, bias in self.bias.items()], len(days))

    def known(self, days: StationDays) -> Array:
        """Return which days (N,) have a point forecast."""
        return ~np.isnan(self.point(days))

    def windows(
        self, daily: DailyFeatures, rows: Array, length: int, station: Features, without: str = ""
    ) -> tuple[Array, Array]:
        """Return the features and point forecasts of the ``length`` days up to each of ``rows``, from these days only.

        Parameters
        ----------
        daily, station : the features of the days, and those of the station's own model
        without : what to treat as missing: "past", the guidance of all days but the last; or "further", the ensemble
            spread and the further columns of the last day

        Returns
        -------
        x : (B, T, F), unscaled, ``nan`` where missing
        point : (B, T) degC, for the day after each
        """
        days, index = daily.days, rows[:, None] + np.arange(1 - length, 1)

        def windowed(series: Array) -> Array:
            """Return windows (B, T, ...) of a series (N, ...)."""
            window = series[np.maximum(index, 0)]
            window[index < 0] = np.nan
            return np.asarray(window)

        dates = days.first + np.arange(len(days) + 1) * ONE_DAY
        point, tmax = windowed(self.point(days)), windowed(days.tmax)
        if without == "past":
            point[:, :-1] = np.nan
        parts = [point - windowed(station.normal.on(dates[1:])[0]), tmax - point]
        parts += [tmax - _day_before(tmax), point - _day_before(point)]
        parts += self._recent_errors(tmax - _day_before(point))
        for i, column in enumerate(MEASURED):
            if i != TMAX:
                known = column.name in station.measured
                values = windowed(days.values[:, i]) if known else np.full(point.shape, np.nan)
                beside = values - point if column.dimension is TEMPERATURE else values
                parts.append(np.log1p(values) if column.transform == "log1p" else beside)
        for name in self.forecasts:
            series = windowed(days.column(name))
            if is_spread(name):
                if without == "further":
                    series[:, -1] = np.nan
                parts += [np.log(np.maximum(series, SMALLEST)), series - _day_before(series), series]
            elif len(self.bias) > 1:
                parts.append(series + self.bias[name] - point)
        valid = season(day_of_year(dates[1:]), SEASON_WAVES, station.normal.warmest)
        further = station.further_windows(daily, index, index >= 0)
        if without == "further":
            further[:, -1] = np.nan
        return np.concatenate([np.stack(parts, axis=2), windowed(valid), further], axis=2), point

    def _recent_errors(self, error: Array) -> list[Array]:
        """Return features of the errors (B, T) up to each day: previous errors, running means, log absolute value."""
        parts = [_day_before(error), _day_before(_day_before(error))]
        parts += [running_mean(error, *memory) for memory in ERROR_MEMORIES]
        size = self.typical + running_mean(np.abs(error) - self.typical, *SIZE_MEMORY)
        return [*parts, np.log(np.maximum(size, SMALLEST))]


def raw_point(days: StationDays) -> Array:
    """Return uncorrected guidance (N,), degC: the column ``guidance``, else the mean of the others."""
    series = [series for name, series in days.further.items() if is_guidance(name)]
    first = days.column(GUIDANCE)
    return np.where(np.isnan(first), mean_of_known(series, len(days)), first)


def running_mean(series: Array, decay: float, prior: float) -> Array:
    """Return the running mean (B, T) of a series (B, T) up to each day, over its known values.

    ::

        sum_i decay^i x_(t-i) / (sum_i decay^i + prior)
    """
    known = ~np.isnan(series)
    weights = _weights(decay, series.shape[1])
    return np.asarray((np.where(known, series, 0.0) @ weights) / (known @ weights + (prior + 1e-9)))


@cache
def _weights(decay: float, T: int) -> Array:
    """Return the weight of each day in the running mean of each day (T, T): zero for later days."""
    ago = np.arange(T) - np.arange(T)[:, None]
    return np.where(ago >= 0, decay ** np.maximum(ago, 0), 0.0)


def mean_of_known(columns: list[Array], n: int) -> Array:
    """Return the mean (n,) of the columns with a value on each day; ``nan`` where there is none."""
    if not columns:
        return np.full(n, np.nan)
    table = np.stack(columns)
    known = ~np.isnan(table)
    return np.asarray(np.where(known, table, 0.0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan))


def _day_before(series: Array) -> Array:
    return np.concatenate([np.full((len(series), 1), np.nan), series[:, :-1]], axis=1)


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0
