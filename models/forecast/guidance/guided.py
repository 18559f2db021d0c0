"""The guided model: guidance corrected for the station or, where it is missing, the station's own forecast."""

from dataclasses import dataclass, replace

import numpy as np

from models.forecast.calibration import LOGISTIC, SeasonalErrors
from models.forecast.distribution import PROBABILITIES, Distribution, Forecast, missing_values
from models.forecast.features import DailyFeatures, Features
from models.forecast.guidance.correctors import Corrections, Corrector, check_correctors, fold_boundaries
from models.forecast.guidance.features import GuidanceFeatures
from models.forecast.guidance.training_set import GuidanceTrainingSet, scaled_and_clipped
from models.forecast.networks import Scaler
from models.forecast.running import running_error
from models.forecast.setup import Setup
from models.forecast.station import StationForecaster
from models.nn import Array
from models.recipe import Recipe
from models.record.columns import is_spread
from models.record.days import ONE_DAY, StationDays
from models.record.sequence import SequenceError
from models.record.split import usable_rows

# Prior weight, in days, of no gain from the networks over the regression.
NETWORK_PRIOR_DAYS = 300

# Of the running error: the weight of a day relative to the day after, and the prior weight, in days, of no error.
ERROR_DECAY, ERROR_PRIOR_DAYS = 0.95, 20.0

# The errors of a year to come vary more than those of a short record, by 1 + this number / n days of it: at 13 stations
# with 200 days, 80 % intervals held 78.7 % without. A widening of so much is told.
SHORT_RECORD_DAYS, TOLD_WIDENING = 16, 0.02

# Inputs, other than the guidance of the last day, that may be missing: see `GuidanceFeatures.windows`. Missing past
# guidance counts less by this factor for each day of its age.
OPTIONAL_INPUTS = ("further", "past")
MISSING_GUIDANCE_DECAY = 0.9


@dataclass(frozen=True, eq=False)
class ShrinkageWeights:
    """The fractions (0 to 1) of the regression's and of the networks' corrections that are kept."""

    regression: float
    networks: float

    @classmethod
    def fit(cls, out_of_fold: Corrections, target: Array) -> "ShrinkageWeights":
        """Fit to corrections of rows not used to train them, and the ``target`` (n,) of the location.

        Both are regressions through the origin, the second shrunk by `NETWORK_PRIOR_DAYS`.
        """
        location, location_correction = out_of_fold.location[:, -1], out_of_fold.location_correction[:, -1]
        regression = _share(location, target)
        left = (target - regression * location) / np.exp(out_of_fold.log_scale[:, -1])
        networks = _share(location_correction, left) * len(target) / (len(target) + NETWORK_PRIOR_DAYS)
        return cls(regression, networks)


@dataclass(frozen=True, eq=False)
class GuidedForecaster:
    """The station's own model, and the correctors for days with guidance.

    ::

        tmax of tomorrow ~ point + typical * (v * location + u * scale * location_correction) + b
                           + typical * scale * exp(u * log_scale_correction) * w * e

    with point the bias-corrected guidance, location and scale those of the regression, both corrections those of the
    networks, v and u the shrinkage weights of regression and networks, b the running error, w the widening for missing
    inputs, and e the seasonal error distribution. Each fold of the record has a corrector trained without it, so that
    every day has an out-of-fold correction for the calibration; a forecast uses the mean of all correctors.

    References: Vovk (2015), Cross-conformal predictors; Barber, Candes, Ramdas and Tibshirani (2021), Predictive
    inference with the jackknife+.
    """

    station_only: StationForecaster
    features: GuidanceFeatures
    scaler: Scaler
    correctors: list[Corrector]
    shrinkage_weights: ShrinkageWeights
    widening: Array  # (2,), relative increase of the scale without each of `OPTIONAL_INPUTS`
    errors: SeasonalErrors
    corrected_through: np.datetime64  # the last day whose tmax was used to train the correctors
    used_shared: bool  # whether their training continued the shared corrector

    @classmethod
    def fit(
        cls,
        days: StationDays,
        rows: Array,
        station_only: StationForecaster,
        setup: Setup,
        held_out_from: np.datetime64 | None = None,
    ) -> "GuidedForecaster":
        """Train on ascending ``rows`` with guidance (`models.record.split.guidance_rows`).

        Days beyond the one after the last row are not used, nor is a shared corrector trained on days after
        ``held_out_from``, the first issue date of the held-out rows, if any.
        """
        days = days.part(0, int(rows[-1]) + 2)
        station = station_only.features
        training_set = GuidanceTrainingSet.of(days, rows, setup.recipe, station)
        rows, features = training_set.rows, training_set.features
        correctors, fold, used_shared = _fit_folds(training_set, setup, held_out_from)

        def out_of_fold(windows: Array) -> Corrections:
            """Correct each fold by the corrector trained without it."""
            masks = [fold == k for k in range(len(correctors))]
            parts = [c.corrections(windows[mask], setup.recipe) for c, mask in zip(correctors, masks, strict=True)]
            return Corrections.joined(parts, masks)

        corrections = out_of_fold(training_set.x)
        weights = ShrinkageWeights.fit(corrections, training_set.target)
        observed = days.next_tmax[rows]
        location, scale = _location_and_scale(days, rows, training_set.point, corrections, weights, features.typical)
        typical, widening = np.abs(observed - location).mean() / scale.mean(), np.zeros(len(OPTIONAL_INPUTS))
        daily = station.of(days)
        for i, what in enumerate(OPTIONAL_INPUTS):
            raw, point = features.windows(daily, rows, setup.recipe.guidance.days, station, what)
            without = out_of_fold(scaled_and_clipped(raw, training_set.scaler))
            blind, its_scale = _location_and_scale(days, rows, point, without, weights, features.typical)
            widening[i] = max(0.0, np.abs(observed - blind).mean() / its_scale.mean() / typical - 1)
        scale = scale * _widening_factor(days, rows, features, station, setup.recipe, widening)
        error = (1 + _short_record(len(rows))) * (observed - location) / scale
        errors = SeasonalErrors.fit(error, days.dates[rows] + ONE_DAY, LOGISTIC)
        scaler, through = training_set.scaler, days.last
        return cls(station_only, features, scaler, correctors, weights, widening, errors, through, used_shared)

    @property
    def recipe(self) -> Recipe:
        """The recipe of the model."""
        return self.station_only.recipe

    @property
    def columns(self) -> tuple[str, ...]:
        """The station's own columns in use."""
        own = self.station_only.columns
        return own + tuple(name for name in self.features.forecasts if name not in own)

    @property
    def neighbours(self) -> dict[str, tuple[str, ...]]:
        """Neighbour -> its columns in use."""
        return self.station_only.neighbours

    @property
    def recommended_days(self) -> int:
        """Number of days used where there is guidance; more make no difference."""
        return self.recipe.guidance.days

    @property
    def trained_through(self) -> np.datetime64:
        """The last day whose tmax was used in training."""
        return max(self.station_only.trained_through, self.corrected_through)

    def calibrated(self, days: StationDays, rows: Array) -> "GuidedForecaster":
        """Return the model with its station-only part calibrated on ``rows``; training calibrates the correctors."""
        rows = np.intersect1d(rows, usable_rows(days, self.recipe))
        return replace(self, station_only=self.station_only.calibrated(days, rows)) if len(rows) else self

    def quantiles(self, days: StationDays, rows: Array) -> Array:
        """Return the quantiles (n, 199), degC, of tmax on the day after each of ``rows``.

        A station-only forecast must be possible from each row without guidance.
        """
        known = self.features.known(days)[rows]
        out = np.empty((len(rows), len(PROBABILITIES)))
        if known.any():
            out[known] = self._corrected_quantiles(self.station_only.features.of(days), rows[known])
        if not known.all():
            out[~known] = self.station_only.quantiles(days, rows[~known])
        return out

    def predict(self, days: StationDays) -> Forecast:
        """Forecast the day after the last of ``days``, from its guidance or, without any, from the station's own days.

        Raises SequenceError where tmax is missing on the last day, or where there is no guidance and too few days: see
        `models.record.sequence.sequence`.
        """
        recent = days.part(max(0, len(days) - self.recommended_days), len(days))
        known = self.features.known(recent)
        if not known[-1] or np.isnan(recent.tmax[-1]):
            return self._without_guidance(days)
        recent = recent.part(int(np.argmax(~np.isnan(recent.tmax) | known)), len(recent))
        daily = self.station_only.features.of(recent)
        quantiles = self._corrected_quantiles(daily, np.array([len(recent) - 1]))[0]
        absent = [name for name in self.features.forecasts if np.isnan(recent.column(name)[-1])]
        before = int(self.features.known(recent)[:-1].sum())
        few = f"guidance is known for {before} of the previous {len(recent) - 1} days: its recent errors are uncertain"
        filled = (*missing_values(recent, self.columns), *((recent.last, name) for name in absent))
        notes = [few] if before < len(recent) // 2 else []
        if (wider := _short_record(self.errors.n)) >= TOLD_WIDENING:
            notes.append(f"calibrated on {self.errors.n} days only: the range is {100 * wider:.0f} % wider")
        notes += self.station_only.missing.notes(daily)
        return Forecast(recent.last, Distribution(quantiles, self.errors.n), len(recent), filled, tuple(notes))

    def _without_guidance(self, days: StationDays) -> Forecast:
        valid = days.last + ONE_DAY
        try:
            forecast = self.station_only.predict(days)
        except SequenceError as error:
            hint = "" if np.isnan(days.tmax[-1]) else f"; with guidance for {valid} these days would suffice"
            raise SequenceError(f"{error}{hint}", error.date) from None
        note = f"no guidance for {valid}: forecast from the station's own days only"
        return replace(forecast, notes=(note, *forecast.notes))

    def check(self) -> None:
        """Raise ValueError where the parts of the model are inconsistent."""
        self.station_only.check()
        check_correctors(self.correctors, self.recipe)
        n, shapes = self.correctors[0].n_features, (self.scaler.mean_.shape, self.scaler.scale_.shape)
        if shapes != ((n,), (n,)) or self.widening.shape != (len(OPTIONAL_INPUTS),) or not self.features.bias:
            raise ValueError("the model's correction of guidance is invalid")

    def _corrected_quantiles(self, daily: DailyFeatures, rows: Array) -> Array:
        """Return the quantiles (n, 199), degC, of corrected guidance."""
        features, station, recipe, days = self.features, self.station_only.features, self.recipe, daily.days
        raw, point = features.windows(daily, rows, recipe.guidance.days, station)
        x = scaled_and_clipped(raw, self.scaler)
        corrections = Corrections.mean([corrector.corrections(x, recipe) for corrector in self.correctors])
        location, scale = _location_and_scale(days, rows, point, corrections, self.shrinkage_weights, features.typical)
        scale = scale * _widening_factor(days, rows, features, station, recipe, self.widening)
        errors = self.errors.on(days.first + (rows + 1) * ONE_DAY)
        return np.asarray(location[:, None] + scale[:, None] * errors)


def _short_record(n: int) -> float:
    """Return the relative increase of the scale where ``n`` days calibrate it."""
    return SHORT_RECORD_DAYS / n


def _location_and_scale(
    days: StationDays, rows: Array, point: Array, corrections: Corrections, weights: ShrinkageWeights, typical: float
) -> tuple[Array, Array]:
    """Return the location and the scale (n,) of the forecasts, degC; ``point`` is (n, T), ``typical`` in degC."""
    scale = np.exp(corrections.log_scale)
    correction = weights.regression * corrections.location + weights.networks * scale * corrections.location_correction
    location = point + typical * correction
    scale = typical * scale * np.exp(weights.networks * corrections.log_scale_correction)
    # The errors of the previous forecasts are known.
    index = rows[:, None] + np.arange(2 - point.shape[1], 1)
    observed = np.where(index < 0, np.nan, days.tmax[np.maximum(index, 0)])
    error = running_error(observed - location[:, :-1], scale[:, :-1], ERROR_DECAY, ERROR_PRIOR_DAYS)
    return location[:, -1] + error, scale[:, -1]


def _widening_factor(
    days: StationDays, rows: Array, features: GuidanceFeatures, station: Features, recipe: Recipe, widening: Array
) -> Array:
    """Return the factor (n,) on the scale for missing inputs; see `OPTIONAL_INPUTS`."""
    names = (*(name for name in features.forecasts if is_spread(name)), *station.further.names)
    further = [np.isnan(days.column(name)[rows]) for name in names]
    before = rows[:, None] - np.arange(1, recipe.guidance.days)
    unknown = (before < 0) | ~features.known(days)[np.maximum(before, 0)]
    weights = MISSING_GUIDANCE_DECAY ** np.arange(unknown.shape[1])
    shares = np.mean(further, axis=0) if further else 0.0, unknown @ (weights / weights.sum())
    return np.asarray(1 + widening[0] * shares[0] + widening[1] * shares[1])


def _fit_folds(
    training_set: GuidanceTrainingSet, setup: Setup, held_out_from: np.datetime64 | None
) -> tuple[list[Corrector], Array, bool]:
    """Return correctors trained without each fold, the fold of each row (n,), and whether a shared one was used."""
    recipe, dates = setup.recipe, training_set.dates
    shared = setup.shared.correctors_for(training_set.names, recipe, held_out_from) if setup.shared else None
    boundaries = shared.boundaries if shared else fold_boundaries(dates, recipe.guidance.folds)
    fold = np.searchsorted(boundaries, dates, side="right")
    correctors = []
    for k in range(recipe.guidance.folds):
        x, target = training_set.x[fold != k], training_set.target[fold != k]
        initial = shared.correctors[k] if shared else None
        correctors.append(Corrector.fit(x, target, recipe, [setup.seed, k], setup.on_epoch, initial))
    return correctors, fold, shared is not None


def _share(x: Array, y: Array) -> float:
    """Return the regression slope of ``y`` on ``x`` through the origin, clipped to 0 to 1."""
    variation = float((x * x).sum())
    return float(np.clip((x * y).sum() / variation, 0.0, 1.0)) if variation else 0.0
