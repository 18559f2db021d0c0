"""The trial of a model: what trains, calibrates and scores it; and the final model."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from models.forecast.setup import Setup
from models.forecast.station import StationForecaster
from models.recipe import GuidanceRecipe, Recipe
from models.record.days import StationDays
from models.verification.trial import Trial, n_networks
from tests.models.verification.states import assert_same_model
from tests.stations import guided_days, synthetic_days

DAYS = synthetic_days(600, seed=4)
GUIDED = guided_days(250, wind=False)
GUIDANCE = GuidanceRecipe(days=7, hidden=2, folds=2, members=1, epochs=1)
REFIT = Recipe(hidden=2, members=1, window=8, memory=7, epochs=1, initial_weights="random", guidance=GUIDANCE)
FAST = msgspec.structs.replace(REFIT, refit=False)


def trial(days=DAYS, recipe=FAST, **more):
    return Trial.run("hill", days, Setup(recipe, **more))


class TestTrial:
    @pytest.mark.parametrize("days", [DAYS, GUIDED], ids=["plain", "guided"])
    def test_each_half_of_the_held_out_days_is_scored_as_calibrated_on_the_other(self, days):
        found = trial(days)
        rows = found.split.held_out
        comparison = found.comparison
        assert (comparison.station, comparison.model) == ("hill", "gru")
        baselines = (
            ["persistence", "climatology"] if days is DAYS else ["persistence", "climatology", "guidance", "emos"]
        )
        assert list(comparison.quantiles) == ["gru", *baselines]
        np.testing.assert_array_equal(comparison.issued, days.dates[rows])
        np.testing.assert_array_equal(comparison.observed, days.tmax[rows + 1])
        halves = np.array_split(rows, 2)
        for name, model in {"gru": found.model, **found.baselines}.items():
            expected = [
                model.calibrated(days, other).quantiles(days, half)
                for half, other in zip(halves, halves[::-1], strict=True)
            ]
            np.testing.assert_array_equal(comparison.quantiles[name], np.concatenate(expected))

    @pytest.mark.parametrize("days", [DAYS, GUIDED], ids=["plain", "guided"])
    def test_held_out_days_train_nothing(self, days):
        """Other days after the first of them change only the calibration of the station's own model."""
        one = trial(days)
        other_days = StationDays(days.first, days.values.copy(), dict(days.further))
        other_days.values[one.split.held_out[0] + 1 :] = synthetic_days(600, seed=9).values[-len(one.split.held_out) :]
        other = trial(other_days)
        own = replace(other.model.station_only, calibration=one.model.station_only.calibration)
        assert_same_model(one.model, own if days is DAYS else replace(other.model, station_only=own))
        assert not np.array_equal(one.comparison.quantiles["gru"], other.comparison.quantiles["gru"])
        for name, baseline in one.baselines.items():  # before their calibration
            points = [b.forecast.points(days, one.split.training) for b in (baseline, other.baselines[name])]
            np.testing.assert_array_equal(*points)

    def test_the_model_is_trained_on_the_training_rows_and_calibrated_on_the_others(self):
        found = trial()
        model = StationForecaster.fit(DAYS, found.split.training, Setup(FAST))
        assert_same_model(found.model, model.calibrated(DAYS, found.split.calibration))

    def test_suspect_values_are_listed_and_train_nothing(self):
        """50 degC in winter."""
        suspect, missing = (StationDays(DAYS.first, DAYS.values.copy()) for _ in range(2))
        suspect.values[20] = [50.0, np.nan, np.nan]
        missing.values[20] = np.nan
        one, other = trial(suspect), trial(missing)
        assert [(s.date, s.column, s.value) for s in one.set_aside] == [(DAYS.dates[20], "tmax", 50.0)]
        assert not other.set_aside
        assert_same_model(one.model, other.model)

    def test_unsuitable_records_and_recipes_are_refused(self):
        assert len(trial(synthetic_days(120)).split.training) == 96  # four months
        with pytest.raises(
            ValueError, match="usable days to train on: 112 of the 119 with tmax, at least 113 are needed"
        ):
            trial(synthetic_days(119))
        with pytest.raises(ValueError, match="tmax is 20 degC on all 1200 days: the value never changes"):
            trial(StationDays(DAYS.first, np.full((1200, 3), 20.0)))
        diverging = {"learning_rate": 1.0, "clip_norm": 1e9, "weight_decay": 0.0, "epochs": 20}
        with pytest.raises(FloatingPointError, match="lower the learning rate"):
            trial(recipe=Recipe(hidden=64, members=1, window=8, initial_weights="random", **diverging))
        with pytest.raises(ValueError, match="guidance equals the next day's tmax"):
            trial(replace(DAYS, further={"guidance": DAYS.next_tmax}))


class TestFinal:
    @pytest.mark.parametrize("days", [DAYS, GUIDED], ids=["plain", "guided"])
    def test_with_refit_all_days_train_it_and_the_trial_calibrates_it(self, days):
        epochs = []
        found = trial(days, REFIT, on_epoch=epochs.append)
        model = found.final()
        assert model.trained_through == days.last > found.model.trained_through
        assert model.columns == found.model.columns
        assert model.station_only.calibration is found.model.station_only.calibration
        assert sum(epoch.number == 1 for epoch in epochs) == n_networks(days, REFIT) == 2 * n_networks(days, FAST)
        np.testing.assert_equal(found.comparison.quantiles, trial(days).comparison.quantiles)

    def test_the_number_of_networks(self):
        recipe = Recipe(members=3, guidance=GuidanceRecipe(folds=4, members=2))
        assert (n_networks(DAYS, recipe), n_networks(GUIDED, recipe)) == (3 * 2, (3 + 4 * 2) * 2)
        # Where there are neighbours, "auto" takes a trial with them and one without.
        auto = msgspec.structs.replace(recipe, neighbours="auto")
        near = replace(DAYS, further={"dale/tmax": DAYS.tmax})
        assert (n_networks(DAYS, auto), n_networks(near, auto), n_networks(near, recipe)) == (3 * 2, 3 * 3, 3 * 2)

    def test_without_refit_it_is_the_scored_model(self):
        found = trial()
        assert found.final() is found.model
