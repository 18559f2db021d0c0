"""Forecasts of a trained station model: of one sequence, of many days, after gaps, and with their running error."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.forecast.calibration import LOGISTIC, SeasonalErrors
from models.forecast.distribution import MEDIAN
from models.forecast.features import UNSEEN_DAYS
from models.forecast.missing import SOURCES
from models.forecast.networks import parameters_of
from models.forecast.setup import Setup
from models.forecast.station import RUNNING_ERROR_PRIOR_DAYS, RUNNING_FACTOR_PRIOR_DAYS
from models.record.columns import COLUMNS, RAIN, TMAX, TMIN
from models.record.days import ONE_DAY, StationDays
from models.record.sequence import SequenceError, issue_rows
from models.verification.trial import Trial
from tests.models.forecast.gaps import changed, width, with_gaps
from tests.stations import QUICK, surrounded_days, synthetic_days

NAN = np.nan


@pytest.fixture(scope="module")
def model(trained):
    return trained.model


@pytest.fixture
def recent(days):
    return StationDays(days.dates[-14], days.values[-14:].copy())


def with_even_errors(model):
    """Return the model with symmetric errors and no widening: its median is its location."""
    errors = SeasonalErrors(np.tile(LOGISTIC, (12, 1)), model.calibration.errors.n)
    return replace(model, calibration=replace(model.calibration, errors=errors, widening=np.zeros((len(SOURCES), 2))))


def assert_predict_agrees_with_quantiles(model, days, rows):
    """One forecast, as served, and forecasts from many days, as scored, are the same."""
    table = model.quantiles(days, rows)
    assert (np.diff(table, axis=1) >= 0).all()
    for row, quantiles in zip(rows, table, strict=True):
        found = model.predict(days.part(0, row + 1)).distribution.quantiles
        np.testing.assert_allclose(found, quantiles, atol=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.15, 0.5])
def test_one_forecast_agrees_with_those_from_many_days(model, days, share):
    gappy = with_gaps(days, share)
    rows = issue_rows(gappy, QUICK)
    assert len(rows) == len(days) - 6 if not share else 300 < len(rows) < 0.9 * len(days)
    assert_predict_agrees_with_quantiles(model, gappy, np.append(rows[:20], rows[20::20]))


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_they_agree_with_further_columns_and_neighbours(surrounded, share):
    rng, days = np.random.default_rng(0), surrounded_days()
    further = {name: np.where(rng.random(len(days)) < share, NAN, of) for name, of in days.further.items()}
    assert_predict_agrees_with_quantiles(surrounded.model, replace(days, further=further), np.arange(20, 1200, 20))


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["", *COLUMNS, "day"]), min_size=10, max_size=50))
def test_they_agree_whatever_is_missing(model, days, missing):
    cells = [
        (row, slice(None) if name == "day" else COLUMNS.index(name), NAN) for row, name in enumerate(missing) if name
    ]
    gappy = changed(days.part(0, len(missing)), *cells)
    assert_predict_agrees_with_quantiles(model, gappy, issue_rows(gappy, QUICK))


def test_a_forecast_depends_on_its_sequence_only(model, days, recent):
    forecast = model.predict(recent)
    assert (forecast.issued, forecast.valid) == (days.last, days.last + ONE_DAY)
    assert (forecast.days, forecast.filled, forecast.notes) == (14, (), ())
    assert forecast.distribution.quantiles.tobytes() == model.predict(days).distribution.quantiles.tobytes()
    assert forecast.distribution.highest_level == pytest.approx(178 / 180)  # 15 % of 1193 usable days are 179
    rows = np.arange(600, 701)
    other = changed(days, (slice(600 - model.recommended_days + 1), slice(None), 3.0), (slice(701, None), ..., 3.0))
    np.testing.assert_array_equal(model.quantiles(other, rows), model.quantiles(days, rows))
    np.testing.assert_allclose(model.quantiles(days, rows)[40:43], model.quantiles(days, rows[40:43]), atol=1e-4)


def test_missing_values_are_named_and_move_the_forecast_little(model, recent):
    gappy = changed(recent, (3, TMAX, NAN), (5, TMIN, NAN), (13, RAIN, NAN))
    forecast, dates = model.predict(gappy), recent.dates
    assert forecast.filled == ((dates[3], "tmax"), (dates[5], "tmin"), (dates[13], "rain"))
    assert forecast.tmax == pytest.approx(model.predict(recent).tmax, abs=2.0)
    with pytest.raises(SequenceError, match=f"tmax is missing on the last day, {recent.last}"):
        model.predict(changed(recent, (-1, TMAX, NAN)))


def test_the_forecast_is_the_mean_of_its_members(model, days):
    """Without running error: that of two members is made of forecasts that neither has made."""
    model = with_even_errors(replace(model, recipe=msgspec.structs.replace(QUICK, memory=0)))
    recipe, rows = msgspec.structs.replace(model.recipe, members=1), issue_rows(days, QUICK)[::100]
    one, two = (
        replace(model, recipe=recipe, weights={f"member0.{k}": v for k, v in member.items()}).quantiles(days, rows)
        for member in (parameters_of(model.weights, f"member{m}.") for m in range(2))
    )
    np.testing.assert_allclose(model.quantiles(days, rows), (one + two) / 2, atol=1e-5)
    assert not np.allclose(one, two)


def test_a_time_of_year_absent_from_the_record_is_forecast_as_today():
    """The record has the days 6 to 178 of the year; 30 days from them and more, the normal is unknown."""
    days = synthetic_days(900)
    model = with_even_errors(Trial.run("hill", days.part(0, 180), Setup(QUICK)).final())
    rows = np.arange(10, 370)
    like_today = np.isclose(model.quantiles(days, rows)[:, MEDIAN], days.tmax[rows], atol=1e-9)
    np.testing.assert_array_equal(rows[like_today], np.arange(178 + UNSEEN_DAYS - 1, 366 + 6 - UNSEEN_DAYS))


def medians_without(model, days, rows):
    """Return the medians without running error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.forecast.station.running_error", lambda errors, *_: np.zeros(len(errors)))
        return model.quantiles(days, np.asarray(rows))[:, MEDIAN]


def running_error(model, days, row=-1):
    """Return how far the running error moves the median of the forecast from a row, degC."""
    rows = [row % len(days)]
    return float((model.quantiles(days, np.array(rows))[:, MEDIAN] - medians_without(model, days, rows))[0])


class TestRunningError:
    """Where recent forecasts were all too low or too high, the next one is corrected by part of that."""

    def test_it_is_the_shrunk_mean_error_of_the_previous_forecasts(self, model, recent):
        """Of the seven from the days before the last, each made without running error."""
        model, rows = with_even_errors(model), np.arange(6, 13)
        spread = model.features.of(recent).spread
        errors = (recent.next_tmax[rows] - medians_without(model, recent, rows)) / spread[rows]
        expected = errors.sum() / (7 + RUNNING_ERROR_PRIOR_DAYS)
        # On the way to a later day, the networks begin up to eight days earlier than in these forecasts.
        assert running_error(model, recent) / spread[13] == pytest.approx(expected, abs=0.01)

    def test_it_follows_forecasts_that_were_all_too_low_or_too_high(self, model):
        warmer, colder = (
            StationDays(np.datetime64("2018-04-01"), np.column_stack([t, t - 8, np.zeros(14)]))
            for t in (np.linspace(-25, 40, 14), np.linspace(40, -25, 14))
        )
        assert running_error(model, warmer) > 0.1
        assert running_error(model, colder) < -0.1

    def test_it_is_zero_where_no_error_is_known(self, model, days, recent):
        assert running_error(model, days.part(100, 100 + QUICK.min_days)) == 0
        assert running_error(model, days.part(100, 101 + QUICK.min_days)) != 0
        # The day before a gap has no next day, those in it have no first guess.
        bridging = replace(model, recipe=msgspec.structs.replace(QUICK, max_gap=10))
        assert running_error(bridging, recent) != 0
        assert running_error(bridging, changed(recent, (slice(-8, -1), TMAX, NAN))) == 0
        # A recipe may do without.
        without = replace(model, recipe=msgspec.structs.replace(QUICK, memory=0))
        assert without.predict(recent).days == QUICK.window
        assert running_error(without, recent) == 0


class TestRunningFactor:
    """Where recent forecasts were worse than they said, the next one says that it is less certain."""

    @staticmethod
    def factor(model, days):
        """Return how many times wider the running factor makes a forecast."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("models.forecast.station.running_factor", lambda errors, *_: np.ones(len(errors)))
            without = width(model.predict(days).distribution.quantiles)
        return width(model.predict(days).distribution.quantiles) / without

    def test_it_is_that_of_the_errors_beside_the_running_error(self, model):
        tmax = model.features.normal.on(np.datetime64("2018-04-01") + np.arange(14))[0]
        calm, wild = (
            StationDays(np.datetime64("2018-04-01"), np.column_stack([t, t - 8, np.zeros(14)]))
            for t in (tmax, tmax + 12.0 * (-1.0) ** np.arange(14))
        )
        assert (7 * 0.1 + RUNNING_FACTOR_PRIOR_DAYS) / (7 + RUNNING_FACTOR_PRIOR_DAYS) < self.factor(model, calm) < 0.97
        assert self.factor(model, wild) > 1.2

    def test_it_is_one_where_no_error_is_known(self, model, days):
        assert self.factor(model, days.part(100, 100 + QUICK.min_days)) == 1
        without = replace(model, recipe=msgspec.structs.replace(QUICK, memory=0))
        assert self.factor(without, days) == 1
        assert self.factor(model, days) != 1
