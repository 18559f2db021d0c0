import copy
import io

import joblib
import numpy as np
import pytest

from models.backtest import Split
from models.features import Filling, used_columns
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


def test_they_agree_where_days_are_missing_too(model, days):
    gappy = StationDays(days.first, days.values.copy())
    gappy.values[np.random.default_rng(0).random(gappy.values.shape) < 0.15] = NAN
    rows = usable_rows(gappy, model.recipe)
    assert 300 < len(rows) < 0.8 * len(gappy)
    one_by_one = [model.predict(gappy.part(row - 13, row + 1)).point for row in rows]
    np.testing.assert_allclose(one_by_one, model.points(gappy, rows), atol=1e-4)


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


def test_what_precedes_the_network_knows_only_the_training_days(days):
    split = Split.chronological(usable_rows(days, QUICK))
    other_days = StationDays(days.first, days.values.copy())
    later = slice(split.training[-1] + 2, None)
    other_days.values[later, 0] += 30.0  # another diurnal range
    other_days.values[later, 2] = NAN  # and a rain gauge that is gone; still enough days of it in the training rows
    one, other = (Forecaster.fit(d, split, QUICK) for d in (days, other_days))
    np.testing.assert_array_equal(one.scaler.mean_, other.scaler.mean_)
    assert one.filling == other.filling
    assert one.columns == other.columns
    assert one.change_mean == other.change_mean
    # Learned from all days, they would differ:
    assert Filling.fit(days) != Filling.fit(other_days)


def test_whether_a_column_is_used_is_seen_on_the_training_days_alone(days):
    split = Split.chronological(usable_rows(days, QUICK))
    gauge_came_late = StationDays(days.first, days.values.copy())
    gauge_came_late.values[: int(0.52 * split.training[-1]), 2] = NAN
    assert used_columns(gauge_came_late.values) == ("tmax", "tmin", "rain")
    assert Forecaster.fit(gauge_came_late, split, QUICK).columns == ("tmax", "tmin")


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


def test_a_level_is_vouched_for_by_enough_errors(model):
    n = model.errors.n
    assert n == 178
    assert model.errors.highest_level == pytest.approx(177 / 179)


def test_state_round_trip(model, recent):
    again = Forecaster.from_state(model.to_state())
    assert again.predict(recent).interval(0.9) == model.predict(recent).interval(0.9)
    assert again.trained_through == model.trained_through


def test_a_state_of_another_format_is_refused(model):
    with pytest.raises(ValueError, match="format 2"):
        Forecaster.from_state(model.to_state() | {"format": 2})


def test_a_day_of_another_century_changes_little(days):
    """One mistyped year makes a century of missing days: they are no reason to look at nothing."""
    far = StationDays.on_calendar(
        np.append(days.first - 40_000 * ONE_DAY, days.dates), np.vstack([days.values[:1], days.values])
    )
    split = Split.chronological(usable_rows(far, QUICK))
    model = Forecaster.fit(far, split, QUICK)
    assert model.columns == ("tmax", "tmin", "rain")


def test_a_station_where_nothing_changes_is_forecast_to_stay(days):
    still = StationDays(days.first, np.full_like(days.values, 10.0))
    model = Forecaster.fit(still, Split.chronological(usable_rows(still, QUICK)), QUICK)
    assert model.columns == ()
    assert model.predict(still).tmax == pytest.approx(10.0, abs=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("weights"), "malformed"),
        (lambda s: s["recipe"].update(hidden=9), "not those of its recipe"),
        (lambda s: s["recipe"].update(cell="none"), "malformed"),
        (lambda s: s["weights"].update({"head.b": np.array([np.nan])}), "not finite"),
        (lambda s: s["errors"].update(quantiles=s["errors"]["quantiles"][::-1]), "do not ascend"),
        (lambda s: s["errors"].update(quantiles=np.zeros(3)), "do not ascend"),
        (lambda s: s["change"].update(scale=np.inf), "not finite"),
    ],
)
def test_a_state_that_no_training_made_is_refused(model, change, message):
    state = copy.deepcopy(model.to_state())
    change(state)
    with pytest.raises(ValueError, match=message):
        Forecaster.from_state(state)


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
        assert model.predict(recent) == shorter

    def test_a_column_that_was_never_observed_is_not_used(self, days):
        dry = StationDays(days.first, days.values.copy())
        dry.values[:, 2] = NAN
        split = Split.chronological(usable_rows(dry, QUICK))
        model = Forecaster.fit(dry, split, QUICK)
        assert model.columns == ("tmax", "tmin")
        assert model.predict(days).point == model.predict(dry).point  # rain now, but the model cannot know it
