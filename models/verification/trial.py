"""Training of a station: a trial on the earlier days, scored on the later ones; then the final model on all days."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from models.forecast.guidance.guided import GuidedForecaster
from models.forecast.neighbours import with_only
from models.forecast.networks import InitialWeights
from models.forecast.saved import Forecaster
from models.forecast.setup import Setup
from models.forecast.station import StationForecaster
from models.nn import Array
from models.recipe import Recipe
from models.record.columns import neighbour_of
from models.record.days import StationDays, check_columns
from models.record.quality import SetAside, set_aside_suspect
from models.record.split import Split, final_rows, guidance_rows, usable_rows
from models.verification.baselines import Baseline, baselines
from models.verification.comparison import Comparison


class Probabilistic(Protocol):
    """A probabilistic forecaster that can be calibrated: a model or a baseline."""

    def calibrated(self, days: StationDays, rows: Array) -> "Probabilistic":
        """Return the forecaster calibrated by its errors on ``rows``."""

    def quantiles(self, days: StationDays, rows: Array) -> Array:
        """Return quantiles (n, 199), degC, at `models.forecast.distribution.PROBABILITIES`, from each issue date."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A model trained on the training rows of a record, and its scores on the held-out rows."""

    setup: Setup
    days: StationDays  # without suspect values
    split: Split
    model: Forecaster  # calibrated on days that did not train it
    comparison: Comparison  # with the baselines, on the held-out rows, with two-fold cross-calibration
    baselines: dict[str, Baseline]  # calibrated on the held-out rows
    set_aside: list[SetAside]  # suspect values of the whole record

    @classmethod
    def run(cls, station: str, days: StationDays, setup: Setup) -> "Trial":
        """Train on the training rows and score on the held-out rows.

        Where the recipe's ``neighbours`` are "auto", train with those of the setup and without any, and keep the model
        with the lower CRPS.

        Raises ValueError where the record is too short or cannot be believed, or a column is the next day's tmax;
        FloatingPointError where the recipe makes the training diverge.
        """
        check_columns(days)
        clean, set_aside = set_aside_suspect(days)
        found = cls._run(station, with_only(clean, setup.neighbours), setup, set_aside)
        if setup.recipe.neighbours != "auto" or not found.model.neighbours:
            return found
        alone = cls._run(station, with_only(clean, ()), setup, set_aside)
        return min(alone, found, key=lambda trial: trial.crps)

    @classmethod
    def _run(cls, station: str, days: StationDays, setup: Setup, set_aside: list[SetAside]) -> "Trial":
        split = Split.of(days, setup.recipe)
        station_only = StationForecaster.fit(days, split.training, setup).calibrated(days, split.calibration)
        model: Forecaster = station_only
        if len(split.guidance_training):
            held_out_from = days.dates[split.held_out[0]]
            model = GuidedForecaster.fit(days, split.guidance_training, station_only, setup, held_out_from)
        rows = usable_rows(days, setup.recipe)
        references = baselines(days, rows[rows < split.held_out[0]])
        compared = _cross_calibrated({setup.recipe.cell: model, **references}, days, split.held_out)
        comparison = Comparison(
            station, setup.recipe.cell, days.dates[split.held_out], days.next_tmax[split.held_out], compared
        )
        calibrated = {name: baseline.calibrated(days, split.held_out) for name, baseline in references.items()}
        return cls(setup, days, split, model, comparison, calibrated, set_aside)

    @property
    def crps(self) -> float:
        """The CRPS of the model on the held-out days, degC."""
        return self.comparison.scores()[self.comparison.model].crps

    def final(self) -> Forecaster:
        """Return the model to serve: with ``refit`` trained on all days, and calibrated by the trial."""
        return retrained(self.model, self.days, self.setup) if self.setup.recipe.refit else self.model


def retrained(model: Forecaster, days: StationDays, setup: Setup) -> Forecaster:
    """Continue the training of a model on the `final_rows` of other days, without suspect values.

    It keeps the columns and the calibration of the station's own part; the folds of a guided model calibrate it again.
    """
    rows, guidance = final_rows(days, setup.recipe)
    own = model.station_only
    initial = InitialWeights(own.members, own.features.further.kinds)
    setup = replace(setup, initial=initial, stage="warm" if setup.stage == "warm" else "refit")
    station_only = replace(StationForecaster.fit(days, rows, setup, own.features.columns), calibration=own.calibration)
    if isinstance(model, GuidedForecaster):
        return GuidedForecaster.fit(days, guidance, station_only, setup)
    return station_only


def n_networks(days: StationDays, recipe: Recipe) -> int:
    """Return the number of networks trained for a trial and the final model."""
    correctors = recipe.guidance.folds * recipe.guidance.members if len(guidance_rows(days)) else 0
    trials = 2 if recipe.neighbours == "auto" and any(map(neighbour_of, days.further)) else 1
    return (recipe.members + correctors) * (trials + recipe.refit)


def _cross_calibrated(models: dict[str, Probabilistic], days: StationDays, rows: Array) -> dict[str, Array]:
    """Return the quantiles of forecasts from ``rows``, each half calibrated on the other half, never on itself."""
    first, second = np.array_split(rows, 2)

    def quantiles(model: Probabilistic) -> Array:
        of_first = model.calibrated(days, second).quantiles(days, first)
        return np.concatenate([of_first, model.calibrated(days, first).quantiles(days, second)])

    return {name: quantiles(model) for name, model in models.items()}
