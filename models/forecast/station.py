"""The station's own model: a seasonal first guess, recurrent networks that correct it, and their calibration."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from models.forecast.calibration import LOGISTIC, Calibration, SeasonalErrors
from models.forecast.distribution import Distribution, Forecast, missing_values
from models.forecast.features import N_FEATURES, Features
from models.forecast.networks import (
    Scaler,
    TrainingSet,
    check_shapes,
    parameters_of,
    scaled,
    station_network,
    train_members,
)
from models.forecast.setup import Setup
from models.nn import Array, Parameters, RecurrentNetwork, predict_rows
from models.recipe import Recipe
from models.record.columns import COLUMNS, TMAX
from models.record.days import ONE_DAY, StationDays
from models.record.sequence import first_rows, sequence

# A missing value counts less by this factor for each day of its age.
MISSING_DECAY = 0.7

# Smallest relative increase of the scale if all values of a column are missing, whatever the calibration rows show.
MIN_WIDENING = 0.05

# Prior weight, in days, of keeping the whole correction of the networks.
CORRECTION_PRIOR_DAYS = 1000

# Prior weight, in days, of no running error.
RUNNING_ERROR_PRIOR_DAYS = 120


@dataclass(frozen=True, eq=False)
class StationForecaster:
    """A trained model that uses only the station's own days.

    ::

        tmax of tomorrow ~ first guess + spread * (v * m + b + w * s * e)

    with the first guess and the spread of `models.forecast.features.Features`, m and s the mean location and scale of
    the networks, v the shrinkage weight, b the running error, w the widening for missing values, and e the seasonal
    error distribution. At a time of year absent from the record the normal is unknown: the location is today's tmax.
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
        recipe, training_set = setup.recipe, TrainingSet.of(days, rows, setup.recipe, columns)
        weights = train_members(
            training_set.x, training_set.target, recipe, setup.seed, setup.on_epoch, setup.initial_weights, setup.warm
        )
        through = days.dates[rows[-1]] + ONE_DAY
        return cls(recipe, training_set.features, training_set.scaler, weights, None, through)

    def calibrated(self, days: StationDays, rows: Array) -> "StationForecaster":
        """Return the model calibrated on ``rows``, none of which may be a training row."""
        guess, spread = self.features.first_guess(days)
        target = ((days.next_tmax - guess) / spread)[rows]
        first = first_rows(days, self.recipe)[rows]
        m, s = self._outputs(days, rows, first)
        # Regression through the origin, with `CORRECTION_PRIOR_DAYS` more days on which the whole correction holds.
        now = m[:, -1]
        prior = CORRECTION_PRIOR_DAYS * float((now * now).mean())
        share = ((now * target).sum() + prior) / max(float((now * now).sum()) + prior, 1e-12)
        weight = float(np.clip(share, 0.0, 1.0))
        widening = self._fit_widening(days, rows, first, target, weight, m, s)
        # Missing values widen the scale of these rows too, and must not count twice.
        scale = s * self._widening_factor(self._missing(days, rows, first), widening)
        error = (target - self._location(days, rows, first, guess, spread, weight * m)) / scale
        errors = SeasonalErrors.fit(error, days.dates[rows] + ONE_DAY, LOGISTIC)
        return replace(self, calibration=Calibration(errors, weight, widening))

    def _fit_widening(
        self, days: StationDays, rows: Array, first: Array, target: Array, weight: float, m: Array, s: Array
    ) -> Array:
        """Return the `Calibration.widening`.

        With gaps filled, the errors are larger, but the scales of the networks are often smaller.
        """
        typical = float(np.abs(target - weight * m[:, -1]).mean())

        def widening(column: str, n: int, share: float) -> float:
            blind, s_blind = self._outputs(days, rows, first, (column, n))
            larger = np.abs(target - weight * blind[:, -1]).mean() / typical if typical else 1.0
            return float(max(larger, 1 + MIN_WIDENING * share) * s.mean() / s_blind.mean() - 1)

        table = np.zeros((len(COLUMNS), 2))
        for index, column in enumerate(COLUMNS):
            if column in self.columns:
                latest_share, all_share = self._missing_shares[:, index]
                latest = max(0.0, widening(column, 1, latest_share))
                table[index] = latest, max(latest, widening(column, self.recommended_days, all_share))
        return table

    def quantiles(self, days: StationDays, rows: Array) -> Array:
        """Return the quantiles (n, 199), degC, of tmax on the day after each of ``rows``.

        A forecast must be possible from each row: see `models.record.sequence`.
        """
        return self._quantiles(days, rows, first_rows(days, self.recipe)[rows])

    def _quantiles(self, days: StationDays, rows: Array, first: Array) -> Array:
        calibration = self._calibration
        guess, spread = self.features.first_guess(days)
        m, s = self._outputs(days, rows, first)
        location = self._location(days, rows, first, guess, spread, calibration.shrinkage_weight * m)
        scale = s * self._widening_factor(self._missing(days, rows, first), calibration.widening)
        errors = calibration.errors.on(days.first + (rows + 1) * ONE_DAY)
        return np.asarray(guess[rows, None] + spread[rows, None] * (location[:, None] + scale[:, None] * errors))

    def predict(self, days: StationDays) -> Forecast:
        """Forecast the day after the last of ``days``.

        Raises SequenceError where there are too few days: see `models.record.sequence.sequence`.
        """
        recent = sequence(days, self.recipe)
        quantiles = self._quantiles(recent, np.array([len(recent) - 1]), np.zeros(1, int))[0]
        distribution = Distribution(quantiles, self._calibration.errors.n)
        return Forecast(recent.last, distribution, len(recent), missing_values(recent, self.columns))

    def _outputs(
        self, days: StationDays, rows: Array, first: Array, without: tuple[str, int] = ("", 0)
    ) -> tuple[Array, Array]:
        """Return the networks' mean locations on every day of the windows (n, T), and mean scales on the last (n,).

        A window begins with the ``first`` row (n,) of its sequence, but is at least as long as in training. For
        ``without``, see `Features.windows`.
        """
        longest = self.recommended_days
        network = self._network_of_every_day
        lengths = np.clip(rows - first + 1, self.recipe.window, longest)
        m, s = np.zeros((len(rows), longest)), np.empty(len(rows))
        for length in sorted(set(lengths.tolist())):
            alike = lengths == length
            windows = self.features.windows(days, rows[alike], first[alike], length, without)
            x = scaled(windows, self.scaler)
            outputs = np.stack([predict_rows(network, member, x) for member in self.members])
            m[alike, longest - length :] = outputs[..., 0].mean(axis=0)
            s[alike] = np.exp(outputs[:, :, -1, 1]).mean(axis=0)
        return m, s

    def _location(
        self, days: StationDays, rows: Array, first: Array, guess: Array, spread: Array, corrections: Array
    ) -> Array:
        """Return the location of the forecasts (n,), in spreads from the first guess.

        The ``corrections`` (n, T) are the networks' locations times the shrinkage weight.
        """
        location = corrections[:, -1] + self._running_error((days.next_tmax - guess) / spread, rows, first, corrections)
        like_today = ((days.tmax - guess) / spread)[rows]
        unseen = self.features.unseen(days.first + (rows + 1) * ONE_DAY)
        return np.asarray(location + unseen * (like_today - location))

    def _running_error(self, targets: Array, rows: Array, first: Array, corrections: Array) -> Array:
        """Return the mean error (n,), in spreads, of the forecasts from the days before each row.

        It is shrunk by `RUNNING_ERROR_PRIOR_DAYS`. The ``targets`` (N,) are the errors of the first guess, the
        ``corrections`` (n, T) their forecasts on each day of the windows.
        """
        memory = self.recipe.memory
        if not memory:
            return np.zeros(len(rows))
        before = rows[:, None] + np.arange(-memory, 0)
        known = before >= (first + self.recipe.min_days - 1)[:, None]
        error = np.where(known, targets[np.maximum(before, 0)] - corrections[:, -1 - memory : -1], np.nan)
        observed = ~np.isnan(error)
        total = np.where(observed, error, 0.0).sum(axis=1)
        return np.asarray(total / (observed.sum(axis=1) + RUNNING_ERROR_PRIOR_DAYS))

    def _missing(self, days: StationDays, rows: Array, first: Array) -> Array:
        """Return the missing fraction (n, columns) of each column in the windows, weighted by `MISSING_DECAY`."""
        missing = np.isnan(days.values)
        index = rows[:, None] - np.arange(self.recipe.window)
        absent = np.where((index < first[:, None])[:, :, None], True, missing[np.maximum(index, 0)])
        return np.asarray(np.einsum("btc,t->bc", absent, self._lag_weights))

    def _widening_factor(self, missing: Array, widening: Array) -> Array:
        """Return the factor (n,) on the scale at ``missing`` fractions (n, columns), see `Calibration.widening`."""
        factor = np.ones(len(missing))
        if missing.any():
            for index in range(len(COLUMNS)):
                known = [0.0, *self._missing_shares[:, index]], [0.0, *widening[index]]
                factor += np.interp(missing[:, index], *known)
        return factor

    @cached_property
    def _lag_weights(self) -> Array:
        weights = MISSING_DECAY ** np.arange(self.recipe.window)
        return np.asarray(weights / weights.sum())

    @cached_property
    def _missing_shares(self) -> Array:
        """(2, columns): the missing fraction of each column if its latest value is missing, and if all are."""
        last, before = self._lag_weights[:2]
        shares = np.array([[last, 1.0]] * len(COLUMNS)).T
        shares[:, TMAX] = before, 1 - last  # the latest tmax is never missing
        return shares

    @property
    def columns(self) -> tuple[str, ...]:
        """The measured columns in use."""
        return self.features.columns

    @property
    def predictors(self) -> tuple[str, ...]:
        """Empty: no predictors are used."""
        return ()

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
    def _network_of_every_day(self) -> RecurrentNetwork:
        return replace(station_network(self.recipe, N_FEATURES), output="every")

    @cached_property
    def members(self) -> Sequence[Parameters]:
        """The parameters of each network."""
        return [parameters_of(self.weights, f"member{member}.") for member in range(self.recipe.members)]

    def check(self) -> None:
        """Raise ValueError where the parts of the model are inconsistent."""
        self.features.check()
        check_shapes(station_network(self.recipe, N_FEATURES), self.members, self.recipe.members)
        if len(self.weights) != sum(map(len, self.members)):
            raise ValueError("the model's weights do not match its recipe")
        if not self.scaler.mean_.shape == self.scaler.scale_.shape == (N_FEATURES,):
            raise ValueError("the model's scaler does not match its features")
        if self._calibration.widening.shape != (len(COLUMNS), 2):
            raise ValueError("the model's calibration does not match the table of columns")
