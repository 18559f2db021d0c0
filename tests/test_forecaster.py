import dataclasses
import io

import joblib
import numpy as np
import pytest

from models.backtest import Split
from models.forecaster import Forecaster, SequenceError, usable_rows
from models.recipe import Recipe
from models.station_days import ONE_DAY, StationDays
from tests.conftest import QUICK, synthetic_days

NAN = np.nan


@pytest.fixture(scope="module")
def model(trained):
    return trained.forecaster


@pytest.fixture
def recent(days):
    return StationDays(days.dates[-14], days.values[-14:].copy())


def test_the_valid_day_is_the_next_calendar_day(model, recent):
    forecast = model.predict(recent)
    assert forecast.issued == recent.last
    assert forecast.valid - forecast.issued == ONE_DAY
    assert str(model.predict(StationDays(np.datetime64("2024-02-16", "D"), recent.values[:13])).valid) == "2024-02-29"


def test_one_sequence_and_many_days_agree(model, days):
    rows = usable_rows(days, model.recipe)[-50:]
    many = model.points(days, rows)
    one_by_one = [model.predict(days.part(0, row + 1)).point for row in rows]
    np.testing.assert_allclose(one_by_one, many, atol=1e-4)


def test_days_before_the_window_do_not_matter(model, days, recent):
    assert model.predict(days).point == model.predict(recent).point


def test_the_odds_are_one_distribution(model, recent):
    forecast = model.predict(recent)
    levels = np.linspace(0.05, 0.99, 40)
    intervals = [forecast.interval(level) for level in levels]
    lows, highs = np.array(intervals).T
    assert (np.diff(lows) <= 0).all()
    assert (np.diff(highs) >= 0).all()
    assert (lows <= forecast.tmax).all()
    assert (highs >= forecast.tmax).all()
    assert forecast.exceedance(forecast.tmax) == pytest.approx(0.5)
    low, high = forecast.interval(0.8)
    assert forecast.exceedance(low) == pytest.approx(0.9)
    assert forecast.exceedance(high) == pytest.approx(0.1)


def test_it_learns_what_can_be_learned():
    """The weather keeps 0.7 of itself from day to day: persistence is wrong by more than the network is."""
    days = synthetic_days(2500, seed=5)
    recipe = Recipe(hidden=16, epochs=25)
    split = Split.chronological(usable_rows(days, recipe))
    model = Forecaster.fit(days, split, recipe)
    error = np.abs(model.points(days, split.held_out) - days.next_tmax[split.held_out]).mean()
    persistence = np.abs(days.tmax[split.held_out] - days.next_tmax[split.held_out]).mean()
    perfect = np.sqrt(2 / np.pi) * 2.5
    assert error < 0.97 * persistence
    assert error < 1.10 * perfect


def test_the_scaler_and_the_filling_know_only_the_training_days(days):
    split = Split.chronological(usable_rows(days, QUICK))
    warmer = StationDays(days.first, days.values.copy())
    warmer.values[split.training[-1] + 2 :, :2] += 100.0
    one, other = (Forecaster.fit(d, split, QUICK) for d in (days, warmer))
    np.testing.assert_array_equal(one.scaler.mean_, other.scaler.mean_)
    assert one.filling == other.filling
    assert one.change_mean == other.change_mean


def test_the_held_out_days_train_nothing(days):
    split = Split.chronological(usable_rows(days, QUICK))
    shuffled = StationDays(days.first, days.values.copy())
    rows = np.arange(split.held_out[0] + 1, len(days))
    shuffled.values[rows] = shuffled.values[np.random.default_rng(0).permutation(rows)]
    one, other = (Forecaster.fit(d, split, QUICK) for d in (days, shuffled))
    for name, weights in one.weights.items():
        np.testing.assert_array_equal(weights, other.weights[name])
    assert not np.array_equal(one.errors.errors, other.errors.errors)  # but they do calibrate the odds
    assert str(one.trained_through) == str(days.dates[split.held_out[0]])


def test_the_same_seed_gives_the_same_bytes(days, trained):
    again = Forecaster.fit(days, Split.chronological(usable_rows(days, QUICK)), QUICK, seed=0)
    blobs = []
    for model in (trained.forecaster, again):
        buffer = io.BytesIO()
        joblib.dump(model.to_state(), buffer)
        blobs.append(buffer.getvalue())
    assert blobs[0] == blobs[1]


def test_state_round_trip(model, recent):
    again = Forecaster.from_state(model.to_state())
    assert again.predict(recent).interval(0.9) == model.predict(recent).interval(0.9)
    assert again.trained_through == model.trained_through


def test_a_state_of_another_format_is_refused(model):
    with pytest.raises(ValueError, match="format 2"):
        Forecaster.from_state(model.to_state() | {"format": 2})


class TestMissingValues:
    def test_filled_values_are_named(self, model, recent):
        recent.values[3, 0] = recent.values[5, 1] = recent.values[13, 2] = NAN
        filled = [(str(day), column) for day, column in model.predict(recent).filled]
        assert filled == [
            (str(recent.dates[3]), "tmax"),
            (str(recent.dates[5]), "tmin"),
            (str(recent.dates[13]), "rain"),
        ]

    def test_filling_moves_the_forecast_little(self, model, recent):
        before = model.predict(recent).point
        recent.values[4, :] = NAN
        assert model.predict(recent).point == pytest.approx(before, abs=2.0)

    def test_the_last_tmax_is_needed(self, model, recent):
        recent.values[-1, 0] = NAN
        with pytest.raises(SequenceError, match="tmax of the last day") as caught:
            model.predict(recent)
        assert caught.value.date == recent.last

    def test_too_long_a_gap(self, model, recent):
        recent.values[4:10, 0] = NAN  # six days, one more than the recipe fills
        with pytest.raises(SequenceError, match="more than 5 days in a row") as caught:
            model.predict(recent)
        assert caught.value.date == recent.dates[4]
        recent.values[4, 0] = 10.0
        model.predict(recent)

    def test_too_few_days(self, model, recent):
        model.predict(recent.part(7, 14))
        with pytest.raises(SequenceError, match="at least 7"):
            model.predict(recent.part(8, 14))

    def test_the_sequence_begins_with_the_first_tmax(self, model, recent):
        shorter = model.predict(recent.part(5, 14))
        recent.values[:5, 0] = NAN
        assert model.predict(recent) == dataclasses.replace(shorter)

    def test_a_column_that_was_never_observed_is_not_used(self, days):
        dry = StationDays(days.first, days.values.copy())
        dry.values[:, 2] = NAN
        split = Split.chronological(usable_rows(dry, QUICK))
        model = Forecaster.fit(dry, split, QUICK)
        assert model.columns == ("tmax", "tmin")
        assert model.predict(days).point == model.predict(dry).point  # rain now, but the model cannot know it
