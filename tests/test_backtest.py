"""Which days train, which are held out, and that nothing is judged by what it learned from."""

import numpy as np
import pytest

from models.backtest import MIN_ROWS, Split, backtest, cross_calibrated, folds, learn
from models.baselines import Baseline, Persistence
from models.forecaster import Forecaster
from models.recipe import Recipe
from models.sequence import usable_rows
from models.station_days import ONE_DAY, RAIN, StationDays
from tests.conftest import QUICK, synthetic_days

NAN = np.nan
DAYS = synthetic_days(600, seed=4)
FAST = Recipe(hidden=2, members=1, window=8, memory=7, epochs=1, start="random", refit=False)


def changed(days, rows, values=(44.0, 40.0, 3.0)):
    other = StationDays(days.first, days.values.copy())
    other.values[rows] = values
    return other


class TestSplit:
    def test_the_parts_follow_each_other_in_time_and_lose_no_row(self):
        rows = np.arange(100, 1100)
        split = Split.chronological(rows)
        np.testing.assert_array_equal(np.concatenate([split.training, split.held_out]), rows)
        assert (len(split.training), len(split.held_out)) == (850, 150)

    def test_too_short_a_record_says_what_is_missing(self):
        with pytest.raises(ValueError, match="119 usable days are too few to train on: at least 120 are needed"):
            Split.chronological(np.arange(119))
        assert len(Split.chronological(np.arange(120)).training) == 102


class TestLearn:
    def test_the_shortest_record_makes_a_forecaster(self):
        learned = learn("hill", synthetic_days(MIN_ROWS + 7), FAST)
        assert np.isfinite(learned.forecaster.predict(DAYS).tmax)
        with pytest.raises(ValueError, match="119 usable days"):
            learn("hill", synthetic_days(MIN_ROWS + 6), FAST)

    def test_it_is_judged_on_the_held_out_days_beside_the_baselines(self):
        learned = learn("hill", DAYS, FAST)
        verification = learned.verification
        assert verification.station == "hill"
        assert list(verification.quantiles) == ["gru", "persistence", "climatology"]
        held_out = learned.split.held_out
        np.testing.assert_array_equal(verification.issued, DAYS.dates[held_out])
        np.testing.assert_array_equal(verification.observed, DAYS.tmax[held_out + 1])
        expected = cross_calibrated("hill", {"gru": Forecaster.fit(DAYS, learned.split.training, FAST)}, DAYS, held_out)
        np.testing.assert_array_equal(verification.quantiles["gru"], expected.quantiles["gru"])

    def test_the_last_training_on_all_days_changes_no_score(self):
        """What is served has seen the held-out days; what is judged has not."""
        refit = Recipe(hidden=2, members=1, window=8, memory=7, epochs=1, start="random")
        one, other = (learn("hill", DAYS, recipe).verification for recipe in (FAST, refit))
        np.testing.assert_array_equal(one.quantiles["gru"], other.quantiles["gru"])

    def test_each_epoch_of_each_network_is_told(self):
        told = []
        learn("hill", DAYS, Recipe(hidden=2, members=3, window=8, epochs=2, start="random"), on_epoch=told.append)
        assert [epoch.number for epoch in told] == [1, 2] * 3 * 2  # once without the held-out days, once with them

    def test_what_is_doubted_is_listed_and_not_learned_from(self):
        """A day of 50 degC in winter."""
        doubtful = StationDays(DAYS.first, DAYS.values.copy())
        doubtful.values[20] = [50.0, NAN, NAN]
        missing = StationDays(DAYS.first, DAYS.values.copy())
        missing.values[20] = NAN
        one, other = (learn("hill", days, FAST) for days in (doubtful, missing))
        assert [(s.date, s.column, s.value) for s in one.set_aside] == [(DAYS.dates[20], "tmax", 50.0)]
        assert not other.set_aside
        for name, weights in one.forecaster.weights.items():
            np.testing.assert_array_equal(weights, other.forecaster.weights[name])

    def test_a_learning_rate_that_is_too_high_is_an_error_with_a_remedy(self):
        recipe = Recipe(hidden=64, members=1, window=8, start="random", learning_rate=1.0, clip_norm=1e9, epochs=20)
        with pytest.raises(FloatingPointError, match="lower the learning rate"):
            learn("hill", DAYS, recipe)


class TestCrossCalibrated:
    def test_no_half_vouches_for_itself(self):
        """Errors of -1 to 1 in the first half, -10 to 10 in the second: each is judged by the odds of the other."""
        n = 200
        days = StationDays(np.datetime64("2024-01-01", "D"), np.zeros((n + 1, 3)))
        errors = np.concatenate([np.linspace(-1, 1, n // 2), np.linspace(-10, 10, n // 2)])

        class Wrong:
            def points(self, days, rows):
                return days.next_tmax[rows] - errors[rows]

        verification = cross_calibrated("hill", {"wrong": Baseline(Wrong())}, days, np.arange(n))
        low, high = verification.interval("wrong", 0.8)
        inside = (low <= verification.observed) & (verification.observed <= high)
        assert inside[: n // 2].all()
        assert inside[n // 2 :].mean() == pytest.approx(0.08, abs=0.02)

    def test_what_a_day_brings_changes_only_the_odds_of_the_other_half(self):
        rows = np.arange(300, 400)
        other = changed(DAYS, 400)  # what comes after the last issue day
        one, two = (
            cross_calibrated("hill", {"persistence": Baseline(Persistence())}, days, rows).quantiles["persistence"]
            for days in (DAYS, other)
        )
        np.testing.assert_array_equal(one[50:], two[50:])
        assert not np.array_equal(one[:50], two[:50])


class TestFolds:
    def test_each_begins_where_the_one_before_ends_and_is_no_longer_than_it_may_be(self):
        cut = list(folds(DAYS, FAST, 3, 50))
        ends = [end for end, _ in cut]
        assert np.diff(ends).tolist() == [50, 50]
        for end, rows in cut:
            # What is forecast first is the first day that the training has not seen, from the last that it has.
            np.testing.assert_array_equal(rows, np.arange(end - 1, end + 49))
        assert cut[-1][1][-1] == len(DAYS) - 2  # the newest day is forecast, too

    def test_only_days_that_can_be_forecast_are(self):
        holed = changed(DAYS, slice(560, 563), NAN)
        ((_, rows),) = folds(holed, FAST, 1, 100)
        assert set(range(rows[0], rows[-1] + 1)) - set(rows.tolist()) == {559, 560, 561, 562}

    @pytest.mark.parametrize(("n_folds", "n_days"), [(5, 365), (1, 600), (100, 10), (1, 480)])
    def test_too_little_to_train_on_before_the_first(self, n_folds, n_days):
        with pytest.raises(ValueError, match=f"600 days are too few for {n_folds} folds of {n_days} days"):
            next(folds(DAYS, FAST, n_folds, n_days))

    def test_just_enough_to_train_on(self):
        n_days = len(DAYS) - (MIN_ROWS + 7)
        ((end, _),) = folds(DAYS, FAST, 1, n_days)
        assert len(usable_rows(DAYS.part(0, end), FAST)) == MIN_ROWS
        with pytest.raises(ValueError, match="too few"):
            next(folds(DAYS, FAST, 1, n_days + 1))


class TestBacktest:
    def test_every_day_of_the_folds_is_forecast_once_beside_the_baselines(self):
        verification = backtest("hill", DAYS, FAST, n_folds=3, n_days=60)
        assert len(verification.issued) == 180
        assert (np.diff(verification.issued) == ONE_DAY).all()
        assert list(verification.quantiles) == ["gru", "persistence", "climatology"]
        at = (verification.issued - DAYS.first).astype(int)
        np.testing.assert_array_equal(verification.observed, DAYS.tmax[at + 1])
        assert np.abs(verification.points["persistence"] - DAYS.tmax[at]).max() < 1

    def test_a_fold_is_what_learning_before_it_would_have_forecast(self):
        verification = backtest("hill", DAYS, FAST, seed=3, n_folds=2, n_days=60)
        (end, rows), _ = folds(DAYS, FAST, 2, 60)
        learned = learn("hill", DAYS.part(0, end), FAST, seed=3)
        for name, forecaster in {"gru": learned.forecaster, **learned.baselines}.items():
            np.testing.assert_allclose(verification.quantiles[name][:60], forecaster.quantiles(DAYS, rows), atol=1e-4)

    def test_no_forecast_knows_a_later_day(self):
        """Whatever comes after the fifth day of the second fold, all forecasts up to then are the same."""
        other = changed(DAYS, slice(545, None), (-80.0, -85.0, 500.0))
        one, two = (backtest("hill", days, FAST, n_folds=2, n_days=60) for days in (DAYS, other))
        before = one.issued < DAYS.dates[545]
        assert 60 < before.sum() < 120
        for name in one.quantiles:
            np.testing.assert_array_equal(one.quantiles[name][before], two.quantiles[name][before])
        assert not np.array_equal(one.quantiles["gru"][~before], two.quantiles["gru"][~before])

    def test_a_later_day_has_no_part_in_the_doubts(self):
        """Rain that is reported at last makes years without any doubtful, but only for who has seen it."""
        days = synthetic_days(1300, seed=6)
        days.values[:700, RAIN] = 0.0
        later = changed(days, slice(710, None), (10.0, 5.0, 0.0))
        assert learn("hill", days, FAST).forecaster.columns == ("tmax", "tmin", "rain")
        assert learn("hill", days, FAST).set_aside[0].column == "rain"
        one, two = (backtest("hill", d, FAST, n_folds=2, n_days=300) for d in (days, later))
        at = one.issued < days.dates[710]
        assert at.sum() == 11
        np.testing.assert_array_equal(one.quantiles["gru"][at], two.quantiles["gru"][at])

    def test_a_fold_without_a_day_to_forecast_is_left_out(self):
        holed = changed(DAYS, slice(480, 540), NAN)
        verification = backtest("hill", holed, FAST, n_folds=2, n_days=59)
        assert verification.issued[0] > holed.dates[539]

    def test_nothing_to_forecast_at_all(self):
        holed = changed(DAYS, slice(481, None), NAN)
        with pytest.raises(ValueError, match="no day on which a forecast could be made"):
            backtest("hill", holed, FAST, n_folds=2, n_days=59)

    def test_the_same_seed_gives_the_same_scores(self):
        one, two, other = (backtest("hill", DAYS, QUICK, seed, 1, 60).scores()["gru"] for seed in (1, 1, 2))
        assert one == two != other
