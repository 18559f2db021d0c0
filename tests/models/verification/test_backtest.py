"""Backtests: the folds, and that each forecast comes from the days before it."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from models.forecast.setup import Setup
from models.recipe import GuidanceRecipe, Recipe
from models.record.columns import RAIN, TMAX
from models.record.days import ONE_DAY, StationDays
from models.record.split import MIN_ROWS, usable_rows
from models.verification.backtest import backtest, backtest_folds
from models.verification.trial import Trial
from tests.stations import guided_days, synthetic_days

DAYS = synthetic_days(600, seed=4)
GUIDANCE = GuidanceRecipe(days=7, hidden=2, folds=2, members=1, epochs=1)
REFIT = Recipe(hidden=2, members=1, window=8, memory=7, epochs=1, initial_weights="random", guidance=GUIDANCE)
FAST = msgspec.structs.replace(REFIT, refit=False)


def changed(days, rows, values=np.nan):
    other = StationDays(days.first, days.values.copy())
    other.values[rows] = values
    return other


class TestFolds:
    def test_each_fold_begins_where_the_one_before_ends(self):
        folds = list(backtest_folds(DAYS, FAST, 3, 50))
        assert [end for end, _ in folds] == [450, 500, 550]
        for end, rows in folds:
            # The first forecast is for the first day after training, issued on the last day of it.
            np.testing.assert_array_equal(rows, np.arange(end - 1, end + 49))

    def test_only_usable_days_and_days_with_guidance_are_forecast(self):
        incomplete = changed(DAYS, slice(540, 563))
        ((_, rows),) = backtest_folds(incomplete, FAST, 1, 100)
        assert set(range(499, 599)) - set(rows) == {*range(539, 569)}
        guidance = replace(incomplete, further={"guidance": DAYS.tmax})
        ((_, rows),) = backtest_folds(guidance, FAST, 1, 100)
        assert set(range(499, 599)) - set(rows) == {*range(539, 563)}

    def test_too_few_days_before_the_first_fold_are_refused(self):
        n_days = len(DAYS) - (MIN_ROWS + 7)
        ((end, _),) = backtest_folds(DAYS, FAST, 1, n_days)
        assert len(usable_rows(DAYS.part(0, end), FAST)) == MIN_ROWS
        for n_folds, of in ((1, n_days + 1), (5, 365), (1, 600), (100, 10)):
            with pytest.raises(ValueError, match=f"600 days are too few for {n_folds} folds of {of} days: use fewer"):
                next(backtest_folds(DAYS, FAST, n_folds, of))
        # Suspect values do not count.
        stuck = changed(DAYS, (slice(40, 80), TMAX), 20.0)
        with pytest.raises(ValueError, match="600 days are too few"):
            next(backtest_folds(stuck, FAST, 1, n_days))


class TestBacktest:
    @pytest.mark.parametrize("days", [DAYS, guided_days(400, wind=False)], ids=["plain", "guided"])
    def test_each_fold_is_forecast_by_the_final_model_of_the_days_before(self, days):
        setup, told = Setup(REFIT, seed=3), []
        comparison = backtest("hill", days, setup, 2, 60, shared=told.append)
        assert (comparison.station, comparison.model) == ("hill", "gru")
        rows = np.arange(len(days) - 121, len(days) - 1)
        np.testing.assert_array_equal(comparison.issued, days.dates[rows])
        np.testing.assert_array_equal(comparison.observed, days.tmax[rows + 1])
        # The shared corrector is asked for up to the last training day of each fold.
        assert told == [days.dates[rows[0]], days.dates[rows[60]]]
        end = len(days) - 120
        trial = Trial.run("hill", days.part(0, end), setup)
        expected = {"gru": trial.final(), **trial.baselines}
        assert list(comparison.quantiles) == list(expected)
        assert len(expected) == (5 if days.further else 3)
        for name, forecaster in expected.items():
            quantiles = forecaster.quantiles(days, rows[:60])
            np.testing.assert_allclose(comparison.quantiles[name][:60], quantiles, atol=1e-4)

    def test_suspect_values_are_found_without_later_days(self):
        """Years without rain are suspect only beside the rain that is reported at last."""
        days = synthetic_days(1300, seed=6)
        days.values[:700, RAIN] = 0.0
        later = changed(days, slice(710, None), (10.0, 5.0, 0.0))
        trial = Trial.run("hill", days, Setup(FAST))
        assert trial.model.columns == ("tmax", "tmin", "rain")
        assert trial.set_aside[0].column == "rain"
        one, two = (backtest("hill", d, Setup(FAST), 2, 300) for d in (days, later))
        before = one.issued < days.dates[710]
        assert before.sum() == 11
        np.testing.assert_array_equal(one.quantiles["gru"][before], two.quantiles["gru"][before])

    def test_folds_without_a_day_to_forecast_are_left_out(self):
        comparison = backtest("hill", changed(DAYS, slice(480, 540)), Setup(FAST), 2, 59)
        assert comparison.issued[0] > DAYS.dates[539]
        assert (np.diff(comparison.issued) == ONE_DAY).all()
        with pytest.raises(ValueError, match="nothing to compare"):
            backtest("hill", changed(DAYS, slice(481, None)), Setup(FAST), 2, 59)

    def test_the_seed_determines_the_scores(self):
        one, two, other = (backtest("hill", DAYS, Setup(FAST, seed), 1, 60).scores()["gru"] for seed in (1, 1, 2))
        assert one == two != other
