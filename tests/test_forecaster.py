"""The forecaster: what it promises of one sequence, of many days, and of the odds; and what it keeps."""

import copy
import io
from dataclasses import replace

import joblib
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.readers import read_record
from app.starts import start_for
from models.backtest import Split, learn
from models.features import FAR, used_columns
from models.forecast import SequenceError
from models.forecaster import LOGISTIC, MEMORY_PRIOR, TRUST_PRIOR, Examples, Forecaster
from models.intervals import SeasonalErrors
from models.recipe import Recipe
from models.sequence import first_rows, issue_rows, usable_rows
from models.station_days import COLUMNS, ONE_DAY, RAIN, TMAX, TMIN, StationDays
from tests.conftest import QUICK, ROOT, synthetic_days

NAN = np.nan
MEDIAN = 99
NO_REFIT = msgspec.structs.replace(QUICK, refit=False)


@pytest.fixture(scope="module")
def model(trained):
    return trained.learned.forecaster


@pytest.fixture
def recent(days):
    return StationDays(days.dates[-14], days.values[-14:].copy())


def copied(days):
    return StationDays(days.first, days.values.copy())


def with_holes(days, share, seed=0, columns=(TMAX, TMIN, RAIN)):
    holed = copied(days)
    for column in columns:
        holed.values[np.random.default_rng([seed, column]).random(len(days)) < share, column] = NAN
    return holed


def points(model, days, rows):
    return model.quantiles(days, rows)[:, MEDIAN]


def width(quantiles):
    """Of the interval that holds 80 %."""
    return quantiles[..., 179] - quantiles[..., 19]


def dumped(model):
    buffer = io.BytesIO()
    joblib.dump(model.to_state(), buffer)
    return buffer.getvalue()


def test_the_valid_day_is_the_next_calendar_day(model, recent):
    forecast = model.predict(recent)
    assert forecast.issued == recent.last
    assert forecast.valid - forecast.issued == ONE_DAY
    assert str(model.predict(StationDays(np.datetime64("2024-02-16", "D"), recent.values[:13])).valid) == "2024-02-29"


class TestOneSequenceAndManyDays:
    """A forecast by the service and the scores of the backtest are of the same forecaster."""

    def assert_alike(self, model, days, rows):
        many = model.quantiles(days, rows)
        for row, quantiles in zip(rows, many, strict=True):
            forecast = model.predict(days.part(0, row + 1))
            np.testing.assert_allclose(forecast.odds.quantiles, quantiles, atol=1e-4)

    def test_they_agree(self, model, days):
        self.assert_alike(model, days, issue_rows(days, model.recipe)[-50:])

    def test_they_agree_from_the_first_day_on(self, model, days):
        rows = issue_rows(days, model.recipe)[:30]
        assert rows[0] == model.recipe.min_days - 1
        self.assert_alike(model, days, rows)

    @pytest.mark.parametrize("share", [0.15, 0.5])
    def test_they_agree_where_days_are_missing_too(self, model, days, share):
        gappy = with_holes(days, share)
        rows = issue_rows(gappy, model.recipe)
        assert 300 < len(rows) < 0.9 * len(gappy)
        self.assert_alike(model, gappy, rows[::5])

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.sampled_from(["", "tmax", "tmin", "rain", "day"]), min_size=10, max_size=50))
    def test_they_agree_whatever_is_missing(self, model, days, missing):
        gappy = copied(days.part(0, len(missing)))
        for row, column in enumerate(missing):
            if column:
                gappy.values[row, slice(None) if column == "day" else COLUMNS.index(column)] = NAN
        self.assert_alike(model, gappy, issue_rows(gappy, model.recipe))

    def test_the_same_in_whatever_company(self, model, days):
        rows = issue_rows(days, model.recipe)
        together, alone = model.quantiles(days, rows)[400:403], model.quantiles(days, rows[400:403])
        np.testing.assert_allclose(together, alone, atol=1e-4)


def test_days_before_those_that_are_looked_at_do_not_matter(model, days, recent):
    assert model.predict(days).odds.quantiles.tobytes() == model.predict(recent).odds.quantiles.tobytes()
    changed = copied(days)
    changed.values[: -model.recipe.recommended_days] = 3.0
    rows = np.array([len(days) - 1])
    np.testing.assert_array_equal(model.quantiles(changed, rows), model.quantiles(days, rows))


def test_days_to_come_do_not_matter(model, days):
    changed = copied(days)
    changed.values[701:] = 3.0
    rows = np.arange(600, 701)
    np.testing.assert_array_equal(model.quantiles(changed, rows), model.quantiles(days, rows))


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


def test_the_odds_ascend_on_every_day(model, days):
    gappy = with_holes(days, 0.3)
    quantiles = model.quantiles(gappy, issue_rows(gappy, model.recipe))
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert np.isfinite(quantiles).all()


@pytest.mark.parametrize("pooled", [False, True], ids=["random", "pooled"])
def test_it_learns_what_can_be_learned(pooled):
    """The weather keeps 0.7 of itself from day to day: what nobody can know is 2.5 degC, normally distributed."""
    days = synthetic_days(2500, seed=5)
    recipe = Recipe(members=2) if pooled else Recipe(hidden=16, members=2, epochs=20, start="random")
    split = Split.chronological(usable_rows(days, recipe))
    model = Forecaster.fit(days, split.training, recipe, start=start_for(recipe))
    quantiles = model.calibrated(days, split.held_out).quantiles(days, split.held_out)
    observed = days.next_tmax[split.held_out]
    error = np.abs(quantiles[:, MEDIAN] - observed).mean()
    normal = 15 - 10 * np.cos(2 * np.pi * np.arange(len(days)) / 365.25)
    perfect = np.abs((days.tmax[1:] - normal[1:]) - 0.7 * (days.tmax[:-1] - normal[:-1]))[split.held_out].mean()
    assert error < 0.98 * np.abs(days.tmax[split.held_out] - observed).mean()  # of persistence
    assert error < 1.03 * perfect
    assert width(quantiles).mean() == pytest.approx(2 * 1.2816 * 2.5, rel=0.12)


class TestWhatTrains:
    def test_nothing_of_the_days_after_the_training_days_is_seen(self, days):
        rows = Split.chronological(usable_rows(days, QUICK)).training
        other_days = copied(days)
        other_days.values[rows[-1] + 2 :] = [60.0, NAN, 7.0]
        other_days.values[rows[-1] + 1, 1:] = NAN  # of the day after the last, tmax alone is known
        one, other = (Forecaster.fit(d, rows, QUICK) for d in (days, other_days))
        np.testing.assert_equal(one.features.to_state(), other.features.to_state())
        np.testing.assert_array_equal(one.scaler.mean_, other.scaler.mean_)
        np.testing.assert_array_equal(one.scaler.scale_, other.scaler.scale_)
        for name, weights in one.weights.items():
            np.testing.assert_array_equal(weights, other.weights[name])
        # Learned from all days, they would differ:
        everything = usable_rows(other_days, QUICK)
        assert Forecaster.fit(other_days, everything, QUICK).features.rain != one.features.rain

    def test_whether_a_column_is_used_is_seen_on_the_training_days_alone(self, days):
        gauge_came_late = copied(days)
        rows = Split.chronological(usable_rows(days, QUICK)).training
        gauge_came_late.values[: int(0.72 * rows[-1]), RAIN] = NAN
        assert used_columns(gauge_came_late.values) == ("tmax", "tmin", "rain")
        assert Forecaster.fit(gauge_came_late, rows, QUICK).columns == ("tmax", "tmin")

    def test_the_held_out_days_train_nothing_but_calibrate_the_odds(self, days):
        held_out = learn("hill", days, NO_REFIT).split.held_out
        shuffled = copied(days)
        rows = np.arange(held_out[0] + 1, len(days))
        shuffled.values[rows] = shuffled.values[np.random.default_rng(0).permutation(rows)]
        one, other = (learn("hill", d, NO_REFIT).forecaster for d in (days, shuffled))
        for name, weights in one.weights.items():
            np.testing.assert_array_equal(weights, other.weights[name])
        np.testing.assert_equal(one.features.to_state(), other.features.to_state())
        assert not np.array_equal(one.odds.errors.quantiles, other.odds.errors.quantiles)
        assert str(one.trained_through) == str(days.dates[held_out[0]])

    def test_at_last_all_days_train_and_the_odds_stay(self, days, model):
        rows = usable_rows(days, QUICK)
        assert model.recipe.refit
        assert model.trained_through == days.last == days.dates[rows[-1]] + ONE_DAY
        on_all_days = Forecaster.fit(days, rows, QUICK, seed=0)
        for name, weights in on_all_days.weights.items():
            np.testing.assert_array_equal(model.weights[name], weights)
        before = learn("hill", days, NO_REFIT).forecaster
        assert not np.array_equal(before.weights["member0.head.W"], model.weights["member0.head.W"])
        np.testing.assert_array_equal(before.odds.errors.quantiles, model.odds.errors.quantiles)
        np.testing.assert_array_equal(before.odds.widening, model.odds.widening)
        assert before.odds.trust == model.odds.trust

    def test_without_calibrated_odds_there_is_no_forecast(self, days, recent):
        model = Forecaster.fit(days, usable_rows(days, QUICK), QUICK)
        for ask in (lambda: model.predict(recent), lambda: model.quantiles(days, np.array([20])), model.to_state):
            with pytest.raises(ValueError, match="without calibrated odds"):
                ask()

    def test_the_examples_are_scaled_and_right(self, days):
        rows = usable_rows(days, QUICK)
        examples = Examples.of(days, rows, QUICK)
        assert examples.x.shape == (len(rows), QUICK.window, examples.features.n)
        np.testing.assert_allclose(examples.x[:, -1].mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(examples.x[:, -1].std(axis=0), 1, atol=1e-4)
        guess, spread = examples.features.first_guess(days)
        np.testing.assert_allclose(guess[rows] + spread[rows] * examples.target[:, 0], days.tmax[rows + 1], atol=1e-4)


class TestCalibration:
    @pytest.fixture
    def fitted(self, days):
        split = Split.chronological(usable_rows(days, QUICK))
        return Forecaster.fit(days, split.training, QUICK), split.held_out

    def test_a_correction_that_pays_is_trusted_and_one_that_harms_is_not(self, days, fitted):
        """The same networks with their answers turned round: what one gains of the trust the other loses."""
        model, rows = fitted
        turned = {
            name: value * np.array([-1, 1], value.dtype) if ".head." in name else value
            for name, value in model.weights.items()
        }
        pays = model.calibrated(days, rows).odds.trust
        harms = replace(model, weights=turned).calibrated(days, rows).odds.trust
        unknown = TRUST_PRIOR / (TRUST_PRIOR + len(rows))  # of what has nothing to do with what came
        assert 0 < harms < 1
        assert 0 < pays < 1
        assert pays + harms == pytest.approx(2 * unknown, abs=1e-6)
        assert pays != pytest.approx(unknown, abs=1e-3)

    def test_its_forecasts_look_at_no_more_days_than_others(self, days, fitted):
        """What lies before a gap that is not bridged has no part in the odds."""
        model, _ = fitted
        holed = copied(days)
        holed.values[1000 : 1001 + QUICK.max_gap, TMAX] = NAN
        rows = np.arange(1000 + QUICK.max_gap + QUICK.min_days, 1000 + QUICK.max_gap + QUICK.min_days + 5)
        other = copied(holed)
        other.values[990:1000] = [40.0, 30.0, 80.0]
        one, two = (model.calibrated(d, rows).odds for d in (holed, other))
        np.testing.assert_array_equal(one.errors.quantiles, two.errors.quantiles)
        np.testing.assert_array_equal(one.widening, two.widening)
        assert one.trust == two.trust

    def test_a_column_that_tells_something_of_tomorrow_widens_by_what_it_is_worth(self):
        """After rain the next day is 4 degC colder; tmin, drawn at random, tells nothing."""
        days = synthetic_days(1500, seed=8)
        wet = days.values[:, RAIN] > 0
        days.values[1:, TMAX] -= 4.0 * wet[:-1]
        days.values[:, TMIN] = days.values[:, TMAX] - 20 + np.random.default_rng(0).normal(0, 3, len(days))
        recipe = Recipe(hidden=8, members=1, window=8, memory=0, epochs=12, start="random", learning_rate=1e-2)
        widening = learn("hill", days, recipe).forecaster.odds.widening
        assert (widening[RAIN] > 0.06).all()
        assert (widening[TMIN] < 0.05).all()


class TestReproducibility:
    def test_the_same_seed_gives_the_same_bytes(self, days, trained):
        again = learn("hill", days, QUICK, seed=0).forecaster
        assert dumped(again) == dumped(trained.learned.forecaster)

    def test_another_seed_does_not(self, trained, retrained):
        assert dumped(retrained.learned.forecaster) != dumped(trained.learned.forecaster)

    def test_a_member_does_not_depend_on_how_many_there_are(self, days):
        rows = usable_rows(days, QUICK)[:300]
        three = Forecaster.fit(days, rows, msgspec.structs.replace(QUICK, members=3))
        one = Forecaster.fit(days, rows, msgspec.structs.replace(QUICK, members=1))
        np.testing.assert_array_equal(one.weights["member0.layer0.W"], three.weights["member0.layer0.W"])
        assert len(three.weights) == 3 * len(one.weights)


def test_the_forecast_is_the_mean_of_its_members(days, model):
    rows = issue_rows(days, model.recipe)[::100]
    first = first_rows(days, model.recipe)[rows]
    alone = []
    for member in range(2):
        weights = {
            name.replace(f"member{member}.", "member0."): value
            for name, value in model.weights.items()
            if name.startswith(f"member{member}.")
        }
        recipe = msgspec.structs.replace(QUICK, members=1)
        alone.append(replace(model, recipe=recipe, weights=weights)._answers(days, rows, first))
    m, s = model._answers(days, rows, first)
    np.testing.assert_allclose(m, (alone[0][0] + alone[1][0]) / 2, atol=1e-6)
    np.testing.assert_allclose(s, (alone[0][1] + alone[1][1]) / 2, atol=1e-6)
    assert not np.allclose(alone[0][0], alone[1][0])


def test_a_level_is_vouched_for_by_enough_errors(model, recent):
    n = model.odds.errors.n
    assert n == 179  # 15 % of 1193 usable days
    assert model.predict(recent).odds.highest_level == pytest.approx(178 / 180)


class TestState:
    def test_round_trip(self, model, recent):
        again = Forecaster.from_state(copy.deepcopy(model.to_state()))
        assert again.predict(recent).interval(0.9) == model.predict(recent).interval(0.9)
        assert again.trained_through == model.trained_through
        assert again.recipe == model.recipe
        assert dumped(again) == dumped(model)

    def test_another_format_is_refused(self, model):
        for other in (1, 3, None):
            with pytest.raises(ValueError, match=f"format {other} of the model is not known here: 2 is"):
                Forecaster.from_state(model.to_state() | {"format": other})

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda s: s.pop("weights"), "malformed"),
            (lambda s: s.pop("odds"), "malformed"),
            (lambda s: s.pop("trained_through"), "malformed"),
            (lambda s: s["odds"].pop("trust"), "malformed"),
            (lambda s: s["features"].pop("tmin"), "malformed"),
            (lambda s: s["features"]["tmax"].pop("trend"), "malformed"),
            (lambda s: s.update(scaler=None), "malformed"),
            (lambda s: s.update(odds=None), "malformed"),
            (lambda s: s["recipe"].update(cell="none"), "malformed"),
            (lambda s: s["recipe"].update(patience=8), "malformed"),
            (lambda s: s["recipe"].update(min_days=300), "malformed"),
            (lambda s: s["recipe"].update(hidden=9), "not those of its recipe"),
            (lambda s: s["recipe"].update(members=3), "not those of its recipe"),
            (lambda s: s["weights"].pop("member1.head.b"), "not those of its recipe"),
            (lambda s: s["weights"].update({"member2.head.b": np.zeros(2)}), "not those of its recipe"),
            (lambda s: s["weights"].update({"member1.head.b": np.zeros(1)}), "not those of its recipe"),
            (lambda s: s["weights"].update({"member0.head.b": np.array([0.0, NAN])}), "not finite"),
            (lambda s: s["odds"].update(quantiles=s["odds"]["quantiles"][:, ::-1]), "do not ascend"),
            (lambda s: s["odds"].update(quantiles=np.zeros(3)), "do not ascend"),
            (lambda s: s["odds"].update(quantiles=np.zeros((12, 3))), "do not ascend"),
            (lambda s: s["odds"].update(quantiles=np.full((12, 199), NAN)), "not finite"),
            (lambda s: s["odds"].update(trust=np.inf), "not finite"),
            (lambda s: s["odds"].update(widening=np.full((3, 2), NAN)), "not finite"),
            (lambda s: s["odds"].update(widening=np.zeros(3)), "not those of a training"),
            (lambda s: s["features"].update(seen=np.array([366])), "not those of a training"),
            (lambda s: s["features"].update(seen=np.array([], int)), "not those of a training"),
            (lambda s: s["features"].update(persistence=NAN), "not finite"),
            (lambda s: s["features"].update(rain=np.inf), "not finite"),
            (lambda s: s["features"]["tmax"].update(mean=np.full(7, NAN)), "not finite"),
            (lambda s: s["features"]["tmin"].update(trend=NAN), "not finite"),
            (lambda s: setattr(s["scaler"], "scale_", np.ones(5)), "not that of its features"),
            (lambda s: setattr(s["scaler"], "mean_", np.ones(5)), "not that of its features"),
            (lambda s: setattr(s["scaler"], "mean_", np.full(7, NAN)), "not finite"),
        ],
    )
    def test_what_no_training_made_is_refused(self, model, change, message):
        state = copy.deepcopy(model.to_state())
        change(state)
        with pytest.raises(ValueError, match=message):
            Forecaster.from_state(state)


def test_a_day_of_another_century_changes_little(days):
    """One mistyped year makes a century of missing days: they are no reason to look at nothing."""
    far = StationDays.on_calendar(
        np.append(days.first - 40_000 * ONE_DAY, days.dates), np.vstack([days.values[:1], days.values])
    )
    model = learn("hill", far, QUICK).forecaster
    assert model.columns == ("tmax", "tmin", "rain")
    near = learn("hill", days, QUICK).forecaster
    assert model.predict(far).tmax == pytest.approx(near.predict(days).tmax, abs=0.1)


def test_a_station_where_nothing_changes_is_forecast_to_stay(days):
    still = StationDays(days.first, np.full_like(days.values, 10.0))
    split = Split.chronological(usable_rows(still, QUICK))
    model = Forecaster.fit(still, split.training, QUICK).calibrated(still, split.held_out)
    assert model.columns == ("tmax",)
    assert model.predict(still).tmax == pytest.approx(10.0, abs=0.05)


def test_where_the_record_has_seen_nothing_of_the_season_tomorrow_is_as_today():
    """The days 6 to 178 of the year were: from thirty days after them to thirty before them nothing is known."""
    days = synthetic_days(900, first="2015-01-01")
    model = learn("hill", days.part(0, 180), QUICK).forecaster
    even = replace(model.odds, errors=SeasonalErrors(np.tile(LOGISTIC, (12, 1)), model.odds.errors.n))
    rows = np.arange(10, 370)
    medians = replace(model, odds=even).quantiles(days, rows)[:, MEDIAN]
    as_today = np.isclose(medians, days.tmax[rows], atol=1e-9)
    np.testing.assert_array_equal(rows[as_today], np.arange(178 + FAR - 1, 366 + 6 - FAR))


class TestRunningError:
    """Where the last forecasts were all off to one side, part of that is taken off the next one."""

    @pytest.fixture
    def shift(self, monkeypatch):
        """By how much the errors of the last days move the median."""

        def of(model, days):
            moved = model.predict(days).tmax
            with monkeypatch.context() as forgetful:
                forgetful.setattr("models.forecaster.MEMORY_PRIOR", 1e12)
                return moved - model.predict(days).tmax

        return of

    def test_it_follows_what_the_last_forecasts_lacked(self, model, shift):
        """Days that grow warmer by 5 degC each, and colder: every forecast of them was too low, and too high."""
        warmer, colder = (
            StationDays(np.datetime64("2018-04-01"), np.column_stack([t, t - 8, np.zeros(14)]))
            for t in (np.linspace(-25, 40, 14), np.linspace(40, -25, 14))
        )
        assert shift(model, warmer) > 0.1
        assert shift(model, colder) < -0.1

    def test_it_is_the_mean_error_shrunk_by_days_that_showed_none(self, model, recent):
        """Of the seven days before the last, each forecast made by hand from the days up to it."""
        guess, spread = model.features.first_guess(recent)
        rows, nought = np.arange(6, 13), np.zeros(1, int)
        answers = [model._answers(recent, np.array([row]), nought)[0][0, -1] for row in rows]
        lacked = (recent.next_tmax[rows] - guess[rows]) / spread[rows] - model.odds.trust * np.array(answers)
        expected = lacked.sum() / (7 + MEMORY_PRIOR)
        wanted = (recent.next_tmax - guess) / spread
        m, _ = model._answers(recent, np.array([13]), nought)
        actual = model._running_error(wanted, np.array([13]), nought, model.odds.trust * m)
        # The networks' answers on the way begin up to eight days earlier than a window that ends there.
        assert actual == pytest.approx(expected, abs=0.01)

    def test_a_first_forecast_has_none(self, model, days, shift):
        assert shift(model, days.part(100, 100 + QUICK.min_days)) == 0
        assert shift(model, days.part(100, 101 + QUICK.min_days)) != 0

    def test_days_that_were_not_observed_say_nothing(self, model, recent, shift):
        model = replace(model, recipe=msgspec.structs.replace(QUICK, max_gap=10))
        assert shift(model, recent) != 0
        # The day before the gap has no next day, those in it have no first guess.
        recent.values[-8:-1, TMAX] = NAN
        assert shift(model, recent) == 0

    def test_a_recipe_may_do_without(self, days, recent, shift):
        model = learn("hill", days, msgspec.structs.replace(QUICK, memory=0)).forecaster
        assert model.predict(recent).days == QUICK.window
        assert shift(model, recent) == 0


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
        before = model.predict(recent).tmax
        recent.values[4, :] = NAN
        assert model.predict(recent).tmax == pytest.approx(before, abs=2.0)

    def test_the_last_tmax_is_needed(self, model, recent):
        recent.values[-1, 0] = NAN
        with pytest.raises(SequenceError, match="tmax of the last day") as caught:
            model.predict(recent)
        assert caught.value.date == recent.last

    def test_too_long_a_gap_with_too_few_days_after_it(self, model, recent):
        recent.values[4:10, 0] = NAN  # six days, one more than the recipe bridges
        with pytest.raises(SequenceError, match="more than 5 days in a row") as caught:
            model.predict(recent)
        assert caught.value.date == recent.dates[4]
        recent.values[4, 0] = 10.0
        model.predict(recent)

    def test_days_before_too_long_a_gap_are_not_looked_at(self, model, recent):
        recent.values[1:7, 0] = NAN
        after = model.predict(recent.part(7, 14))
        forecast = model.predict(recent)
        assert forecast.days == after.days == 7
        assert forecast.filled == ()
        np.testing.assert_array_equal(forecast.odds.quantiles, after.odds.quantiles)

    def test_too_few_days(self, model, recent):
        model.predict(recent.part(7, 14))
        with pytest.raises(SequenceError, match="at least 7"):
            model.predict(recent.part(8, 14))

    def test_the_sequence_begins_with_the_first_tmax(self, model, recent):
        shorter = model.predict(recent.part(5, 14))
        recent.values[:5, 0] = NAN
        forecast = model.predict(recent)
        assert (forecast.days, forecast.filled) == (shorter.days, shorter.filled)
        np.testing.assert_array_equal(forecast.odds.quantiles, shorter.odds.quantiles)

    @pytest.mark.parametrize("column", ["tmin", "rain"])
    def test_a_column_that_was_never_observed_is_not_used(self, days, column):
        dry = copied(days)
        dry.values[:, COLUMNS.index(column)] = NAN
        model = learn("hill", dry, QUICK).forecaster
        assert model.columns == tuple(c for c in COLUMNS if c != column)
        # It is there now, but the model cannot know it; and when it is not, nothing is missing.
        np.testing.assert_array_equal(model.predict(days).odds.quantiles, model.predict(dry).odds.quantiles)
        assert model.predict(dry).filled == ()


@pytest.fixture(scope="module")
def seattle():
    """The embedded record, and one network of the default kind."""
    days = read_record(ROOT / "data" / "seattle.csv", "auto", "metric").days
    recipe = Recipe(members=1)
    return learn("seattle", days, recipe, start=start_for(recipe)).forecaster, days


class TestTheRangeGrowsWithWhatIsMissing:
    ROWS = np.arange(100, 1100)

    def shares(self, model, days, rows=ROWS):
        return model._missing(days, np.asarray(rows), first_rows(days, model.recipe)[rows])

    def test_nothing_missing_changes_nothing(self, model, days):
        assert not self.shares(model, days).any()

    @pytest.mark.parametrize("column", [TMAX, TMIN, RAIN])
    def test_the_share_counts_each_column_on_its_own_and_the_last_days_most(self, model, days, column):
        shares = []
        for row in range(505, 493, -1):
            holed = copied(days)
            holed.values[row, column] = NAN
            share = self.shares(model, holed, [505])[0]
            assert not np.delete(share, column).any()
            shares.append(share[column])
        window = model.recipe.window
        assert (np.diff(shares[:window]) < 0).all()
        assert min(shares[:window]) > 0
        assert sum(shares[:window]) == pytest.approx(1)
        assert not any(shares[window:])

    @given(st.sets(st.tuples(st.integers(490, 505), st.integers(0, 2))), st.integers(490, 504), st.integers(0, 2))
    def test_more_missing_is_never_a_smaller_share(self, model, days, cells, row, column):
        holed, more = copied(days), copied(days)
        for r, c in cells:
            if (r, c) != (505, TMAX):
                holed.values[r, c] = more.values[r, c] = NAN
        more.values[row, column] = NAN
        few, many = (self.shares(model, d, [505])[0] for d in (holed, more))
        assert (many >= few - 1e-12).all()
        assert (many <= 1).all()

    def test_every_used_column_widens_and_no_other(self, model, days):
        latest, everything = model.odds.widening.T
        assert (latest >= 0).all()
        assert (everything >= latest).all()
        dry = copied(days)
        dry.values[:, RAIN] = NAN
        without = learn("hill", dry, QUICK).forecaster
        assert (without._wider(self.shares(without, dry), without.odds.widening) == 1).all()

    def test_by_the_share_and_by_nothing_else(self, model, days):
        """The same networks and days with other widenings: the median stays, the width is as they say."""
        gappy = with_holes(days, 0.2)
        rows = issue_rows(gappy, model.recipe)[:200]
        none, much = (
            replace(model, odds=replace(model.odds, widening=w)).quantiles(gappy, rows)
            for w in (np.zeros((3, 2)), np.array([[0.2, 0.5], [0.2, 0.2], [0.0, 0.1]]))
        )
        shares, first = self.shares(model, gappy, rows), model._weights_of_lags[0]
        factor = 1 + np.interp(shares[:, RAIN], [first, 1], [0, 0.1]) + 0.2 * np.minimum(shares[:, TMIN] / first, 1)
        factor += np.interp(shares[:, TMAX], [0, model._weights_of_lags[1], 1 - first], [0, 0.2, 0.5])
        np.testing.assert_allclose(width(much) / width(none), factor)
        assert (width(much) >= width(none)).all()
        assert factor.max() > 1.1

    @pytest.mark.parametrize("column", [TMAX, TMIN, RAIN])
    def test_on_average_over_many_days_a_range_is_wider_where_days_are_missing(self, seattle, column):
        """End to end, at the embedded station: what fills a gap must not make the networks the surer of themselves."""
        model, days = seattle
        last = 1 if column == TMAX else 0  # without the last tmax there is no forecast
        mean_width = {}
        for gone in (0, 1, 3, 8):
            widths = []
            for row in range(200, len(days), 12):
                part = copied(days.part(row - 100, row + 1))
                end = len(part) - last
                part.values[end - gone : end, column] = NAN
                widths.append(width(model.predict(part).odds.quantiles))
            mean_width[gone] = np.mean(widths)
        assert all(mean_width[gone] > mean_width[0] for gone in (1, 3, 8)), mean_width

    def test_a_short_sequence_counts_as_one_with_days_missing(self, model, days):
        """Seven days of the window's eight: the eighth, and whatever was before, is not known."""
        short = days.part(200, 207)
        share = model._missing(short, np.array([6]), np.array([0]))[0]
        assert (share > 0).all()
        assert share[0] == share[1] == share[2] < 0.05


class TestLittleIsEnough:
    """Records as short and as poor as they come: a sane forecast, not worse than persistence by more than noise."""

    @staticmethod
    def ratio(quantiles, days, rows):
        """Return the mean absolute error, and that of persistence as 1."""
        observed = days.next_tmax[rows]
        return np.abs(quantiles[:, MEDIAN] - observed).mean() / np.abs(days.tmax[rows] - observed).mean()

    @staticmethod
    def inside(quantiles, observed):
        """Return the share within the interval of 80 %."""
        return ((quantiles[:, 19] <= observed) & (observed <= quantiles[:, 179])).mean()

    @pytest.mark.parametrize("start", ["random", "pooled"])
    def test_200_days(self, start):
        """On the held-out thirty, and in the season after, which the record has not seen; mean of five stations."""
        recipe, held_out, later, inside = Recipe(members=1, start=start), [], [], []
        for station in range(5):
            days = synthetic_days(700, seed=station).part(73 * station, 73 * station + 320)
            learned = learn("hill", days.part(0, 207), recipe, start=start_for(recipe))
            assert len(learned.split.training) + len(learned.split.held_out) == 200
            scores = learned.verification.scores()
            held_out.append(scores["gru"].mae / scores["persistence"].mae)
            rows = np.arange(207, 299)
            quantiles = learned.forecaster.quantiles(days, rows)
            assert np.isfinite(quantiles).all()
            later.append(self.ratio(quantiles, days, rows))
            inside.append(self.inside(quantiles, days.next_tmax[rows]))
        assert np.mean(held_out) < 1.1
        assert np.mean(later) < 1.1, later
        assert np.mean(inside) > 0.6, inside

    @pytest.mark.parametrize("start", ["random", "pooled"])
    def test_40_percent_of_the_days_missing_and_neither_tmin_nor_rain(self, start):
        """Five such years, judged on three whole ones of the same weather."""
        days = synthetic_days(3000, seed=11)
        record = with_holes(days.part(0, 1800), 0.4)
        record.values[:, [TMIN, RAIN]] = NAN
        recipe = Recipe(members=1, start=start)
        model = learn("hill", record, recipe, start=start_for(recipe)).forecaster
        assert model.columns == ("tmax",)
        rows = np.arange(1850, 2950)
        quantiles = model.quantiles(days, rows)
        assert self.ratio(quantiles, days, rows) < 1.03
        assert self.inside(quantiles, days.next_tmax[rows]) == pytest.approx(0.8, abs=0.06)
