"""The station's own model: a seasonal first guess, recurrent networks that correct it, and their calibration."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from models.forecast.calibration import LOGISTIC, Calibration, SeasonalErrors
from models.forecast.distribution import Distribution, Forecast, missing_values
from models.forecast.features import GROUPS, NEIGHBOURS, DailyFeatures, Features
from models.forecast.missing import SOURCES, MissingValues
from models.forecast.networks import (
    N_OUTPUTS,
    Scaler,
    TrainingSet,
    check_shapes,
    parameters_of,
    scaled,
    station_network,
    train_members,
)
from models.forecast.running import running_error, running_factor
from models.forecast.setup import Setup
from models.nn import Array, Ensemble, Parameters
from models.recipe import Recipe
from models.record.columns import neighbour_of, own_name
from models.record.days import ONE_DAY, StationDays
from models.record.sequence import first_rows, sequence

# Smallest relative increase of the scale if all values of a column are missing, whatever the calibration rows show.
MIN_WIDENING = 0.05

# Rows, spread over the calibration rows, from which the widening is fitted: it takes two forecasts of each per source.
WIDENING_ROWS = 600

# Prior weight, in days, of keeping the whole correction of the networks.
CORRECTION_PRIOR_DAYS = 1000

# Prior weights, in days, of no running error, and of a scale that needs no correction.
RUNNING_ERROR_PRIOR_DAYS, RUNNING_FACTOR_PRIOR_DAYS = 120.0, 60.0


@dataclass(frozen=True, eq=False)
class StationForecaster:
    """A trained model that uses only the station's own days.

    ::

        tmax of tomorrow ~ first guess + spread * (v * m + b + w * f * s * e)

    with the first guess and the spread of `models.forecast.features.Features`, m and s the mean location and scale of
    the networks, v the shrinkage weight, b the running error, w the widening for missing values, f the running factor
    of the scale, and e the seasonal error distribution. At a time of year absent from
    the record the normal is unknown: the location is today's tmax.
    """

    recipe: Recipe
    features: Features
    scaler: Scaler
    weights: Parameters  # of all networks: "member0.layer0.W", ...
    calibration: Calibration | None  # None until `calibrated`
    trained_through: np.datetime64  # the last day whose tmax was used in training

    @classmethod
    def fit(
        cls, days: StationDays, rows: Array, setup: Setup, columns: tuple[str, ...] | None = None
    ) -> "StationForecaster":
        """Train on ascending ``rows``; days beyond the one after the last row are not used.

        The ``columns`` are selected unless given.
        """
        recipe = setup.recipe
        training_set, features, scaler = TrainingSet.of(days, rows, recipe, columns)
        weights = train_members(training_set, recipe, setup.seed, setup.on_epoch, setup.initial, setup.stage)
        return cls(recipe, features, scaler, weights, None, days.dates[rows[-1]] + ONE_DAY)

    def calibrated(self, days: StationDays, rows: Array) -> "StationForecaster":
        """Return the model calibrated on ``rows``, none of which may be a training row."""
        daily, first = self.features.of(days), first_rows(days, self.recipe)[rows]
        target = daily.target[rows]
        m, s = self._outputs(daily, rows, first)
        # Regression through the origin, with `CORRECTION_PRIOR_DAYS` more days on which the whole correction holds.
        now = m[:, -1]
        prior = CORRECTION_PRIOR_DAYS * float((now * now).mean())
        share = ((now * target).sum() + prior) / max(float((now * now).sum()) + prior, 1e-12)
        weight = float(np.clip(share, 0.0, 1.0))
        some = np.linspace(0, len(rows) - 1, min(len(rows), WIDENING_ROWS)).astype(int)
        widening = self._fit_widening(daily, rows[some], first[some], target[some], weight, m[some], s[some])
        # Missing values widen the scale of these rows too, and must not count twice; nor must the last errors.
        location, recent = self._location(daily, rows, first, weight * m, s)
        scale = s[:, -1] * self.missing.factor(daily, rows, first, widening)
        typical = float(np.abs((target - location) / scale).mean()) or 1.0
        error = (target - location) / (scale * running_factor(recent, s, typical, RUNNING_FACTOR_PRIOR_DAYS))
        errors = SeasonalErrors.fit(error, days.dates[rows] + ONE_DAY, LOGISTIC)
        return replace(self, calibration=Calibration(errors, weight, widening, typical))

    def _fit_widening(
        self, daily: DailyFeatures, rows: Array, first: Array, target: Array, weight: float, m: Array, s: Array
    ) -> Array:
        """Return the `Calibration.widening`.

        With gaps filled, the errors are larger, but the scales of the networks are often smaller.
        """
        typical = float(np.abs(target - weight * m[:, -1]).mean())

        def widening(source: str, n: int, share: float) -> float:
            blind, s_blind = self._outputs(daily, rows, first, (source, n))
            larger = np.abs(target - weight * blind[:, -1]).mean() / typical if typical else 1.0
            return float(max(larger, 1 + MIN_WIDENING * share) * s[:, -1].mean() / s_blind[:, -1].mean() - 1)

        table = np.zeros((len(SOURCES), 2))
        for index, source in enumerate(SOURCES):
            if source in self.missing.sources:
                latest_share, all_share = self.missing.known_fractions[:, index]
                latest, of_all = widening(source, 1, latest_share), widening(source, self.recommended_days, all_share)
                # The networks know of no missing values of a measured column, but have learned to do without a group.
                table[index] = latest, of_all if source in GROUPS else max(latest, of_all)
        return np.maximum(table, 0.0)

    def quantiles(self, days: StationDays, rows: Array) -> Array:
        """Return the quantiles (n, 199), degC, of tmax on the day after each of ``rows``.

        A forecast must be possible from each row: see `models.record.sequence`.
        """
        return self._quantiles(self.features.of(days), rows, first_rows(days, self.recipe)[rows])

    def _quantiles(self, daily: DailyFeatures, rows: Array, first: Array) -> Array:
        calibration = self._calibration
        m, s = self._outputs(daily, rows, first)
        location, recent = self._location(daily, rows, first, calibration.shrinkage_weight * m, s)
        scale = s[:, -1] * self.missing.factor(daily, rows, first, calibration.widening)
        scale *= running_factor(recent, s, calibration.typical_error, RUNNING_FACTOR_PRIOR_DAYS)
        errors = calibration.errors.on(daily.days.first + (rows + 1) * ONE_DAY)
        guess, spread = daily.guess[rows, None], daily.spread[rows, None]
        return np.asarray(guess + spread * (location[:, None] + scale[:, None] * errors))

    def predict(self, days: StationDays) -> Forecast:
        """Forecast the day after the last of ``days``.

        Raises SequenceError where there are too few days: see `models.record.sequence.sequence`.
        """
        recent = sequence(days, self.recipe)
        daily = self.features.of(recent)
        quantiles = self._quantiles(daily, np.array([len(recent) - 1]), np.zeros(1, int))[0]
        distribution = Distribution(quantiles, self._calibration.errors.n)
        filled, notes = missing_values(recent, self.columns), tuple(self.missing.notes(daily))
        return Forecast(recent.last, distribution, len(recent), filled, notes)

    def _outputs(
        self, daily: DailyFeatures, rows: Array, first: Array, without: tuple[str, int] = ("", 0)
    ) -> tuple[Array, Array]:
        """Return the networks' mean locations and mean scales on every day of the windows, (n, T) each.

        A window begins with the ``first`` row (n,) of its sequence, but is at least as long as in training. For
        ``without``, see `Features.windows`.
        """
        longest = self.recommended_days
        lengths = np.minimum(np.maximum(rows - first + 1, self.recipe.window), longest)
        found = np.zeros((len(rows), longest, N_OUTPUTS))
        found[..., 1] = 1.0
        for length in sorted(set(lengths.tolist())):
            alike = lengths == length
            windows = self.features.windows(daily, rows[alike], first[alike], length, without)
            outputs = self._ensemble.predict(scaled(windows, self.scaler))
            outputs[..., 1] = np.exp(outputs[..., 1])
            found[alike, longest - length :] = outputs.mean(axis=0)
        return found[..., 0], found[..., 1]

    def _location(
        self, daily: DailyFeatures, rows: Array, first: Array, corrections: Array, scales: Array
    ) -> tuple[Array, Array]:
        """Return the location of the forecasts (n,), in spreads from the first guess, and the last errors (n, T).

        The ``corrections`` (n, T) are the networks' locations times the shrinkage weight; the last errors are those of
        the forecasts from the days before each row, ``nan`` where there was none, less the running error.
        """
        errors = self._last_errors(daily.target, rows, first, corrections)
        running = running_error(errors, scales, 1.0, RUNNING_ERROR_PRIOR_DAYS)
        location = corrections[:, -1] + running
        like_today = (daily.days.tmax[rows] - daily.guess[rows]) / daily.spread[rows]
        unseen = self.features.unseen(daily.valid[rows])
        return location + unseen * (like_today - location), errors - running[:, None]

    def _last_errors(self, targets: Array, rows: Array, first: Array, corrections: Array) -> Array:
        """Return the errors (n, T), in spreads, of the forecasts from the days before each row; ``nan`` where none.

        The ``targets`` (N,) are the errors of the first guess, the ``corrections`` (n, T) their forecasts.
        """
        T, memory = corrections.shape[1], self.recipe.memory
        before = rows[:, None] + np.arange(1 - T, 1)
        known = before >= (first + self.recipe.min_days - 1)[:, None]
        known[:, T - 1] = False
        known[:, : max(0, T - 1 - memory)] = False
        return np.where(known, targets[np.maximum(before, 0)] - corrections, np.nan)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The station's own columns in use."""
        return tuple(name for name in self.features.columns if not neighbour_of(name))

    @cached_property
    def neighbours(self) -> dict[str, tuple[str, ...]]:
        """Neighbour -> its columns in use."""
        names = self.features.names_of(NEIGHBOURS)
        stations = dict.fromkeys(map(neighbour_of, names))
        return {station: tuple(own_name(n) for n in names if neighbour_of(n) == station) for station in stations}

    @cached_property
    def missing(self) -> MissingValues:
        """What is missing in a sequence of what the model looks at."""
        return MissingValues(self.features, self.recipe)

    @property
    def recommended_days(self) -> int:
        """Number of days used; more make no difference."""
        return self.recipe.recommended_days

    @property
    def station_only(self) -> "StationForecaster":
        """The model itself; of a guided model, the part that works without guidance."""
        return self

    @property
    def _calibration(self) -> Calibration:
        if self.calibration is None:
            raise ValueError("the model is not calibrated: call calibrated() before forecasting")
        return self.calibration

    @cached_property
    def _ensemble(self) -> Ensemble:
        network = station_network(self.recipe, len(self.features))
        return Ensemble(replace(network, output="every"), self.members)

    @cached_property
    def members(self) -> Sequence[Parameters]:
        """The parameters of each network."""
        return [parameters_of(self.weights, f"member{member}.") for member in range(self.recipe.members)]

    def check(self) -> None:
        """Raise ValueError where the parts of the model are inconsistent."""
        self.features.check()
        check_shapes(station_network(self.recipe, len(self.features)), self.members, self.recipe.members)
        if len(self.weights) != sum(map(len, self.members)):
            raise ValueError("the model's weights do not match its recipe")
        if not self.scaler.mean_.shape == self.scaler.scale_.shape == (len(self.features),):
            raise ValueError("the model's scaler does not match its features")
        if self._calibration.widening.shape != (len(SOURCES), 2):
            raise ValueError("the model's calibration does not match the table of columns")
