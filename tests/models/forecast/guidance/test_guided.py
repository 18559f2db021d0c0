"""The guided model: skill, the station's own model where guidance is missing, and wider forecasts of missing inputs."""

from dataclasses import replace

import joblib
import numpy as np
import pytest

from models.forecast.distribution import MEDIAN
from models.forecast.guidance.guided import GuidedForecaster
from models.forecast.saved import to_state
from models.forecast.setup import Setup
from models.forecast.station import StationForecaster
from models.record.days import ONE_DAY, StationDays
from models.record.sequence import SequenceError
from models.record.split import Split, guidance_rows
from models.verification.trial import Trial
from tests.models.forecast.gaps import width
from tests.stations import QUICK, synthetic_days

NAN = np.nan
QUICKLY = Setup(QUICK)


@pytest.fixture(scope="module")
def days(days_with_guidance):
    return days_with_guidance


@pytest.fixture(scope="module")
def model(guided):
    return guided.model


@pytest.fixture(scope="module")
def fitted(days):
    """A model of the first 600 rows, and the station's own model within it."""
    rows = guidance_rows(days)[:600]
    part = days.part(0, int(rows[-1]) + 2)
    split = Split.of(part, QUICK)
    own = StationForecaster.fit(part, split.training, QUICKLY).calibrated(part, split.calibration)
    return GuidedForecaster.fit(days, rows, own, QUICKLY)


def without(days, rows, names=("guidance",)):
    """Return the days without further columns on some rows."""
    further = {name: series.copy() for name, series in days.further.items()}
    for name in names:
        further[name][rows] = NAN
    return replace(days, further=further)


def quantiles_of(model, days):
    return model.predict(days).distribution.quantiles


def test_it_beats_guidance_with_and_without_its_mean_bias_and_the_baselines(guided, days):
    comparison = guided.trial.comparison
    scores = comparison.scores()
    rows = np.searchsorted(days.dates, comparison.issued)
    unbiased = days.further["guidance"][rows] + 2.8 - comparison.observed
    assert set(scores) == {"gru", "persistence", "climatology", "guidance", "emos"}
    assert scores["gru"].mae < 0.95 * np.abs(unbiased).mean()
    assert scores["gru"].mae < 0.5 * scores["persistence"].mae
    assert scores["gru"].skill_guidance > 0.5
    assert scores["gru"].crps < scores["emos"].crps
    assert scores["gru"].coverage_80 == pytest.approx(0.8, abs=0.1)


def test_without_guidance_it_is_the_stations_own_model(model, days):
    """It looks at all columns that are no forecasts."""
    plain = replace(days, further={"next_wind": days.further["next_wind"]})
    own = Trial.run("hill", plain, QUICKLY).final()
    rows = np.arange(1000, 1100)
    assert isinstance(own, StationForecaster)
    assert own.columns == model.station_only.columns == ("tmax", "tmin", "rain", "next_wind")
    assert model.columns == (*own.columns, "guidance", "guidance_spread")
    np.testing.assert_array_equal(model.station_only.quantiles(days, rows), own.quantiles(plain, rows))
    blank = model.predict(without(days, -1))
    assert blank.distribution.quantiles.tobytes() == quantiles_of(own, days).tobytes()
    assert blank.notes == (f"no guidance for {days.last + ONE_DAY}: forecast from the station's own days only",)
    assert model.predict(plain).notes == blank.notes
    assert width(blank.distribution.quantiles) > 2 * width(quantiles_of(model, days))
    assert model.predict(days).notes == ()


def test_one_forecast_agrees_with_those_from_many_days(model, days):
    gappy, rows = without(days, [1100, 1103]), np.arange(1095, 1110)
    for row, quantiles in zip(rows, model.quantiles(gappy, rows), strict=True):
        np.testing.assert_allclose(quantiles_of(model, gappy.part(0, row + 1)), quantiles, atol=1e-4)


def test_days_after_the_training_rows_have_no_influence(days, fitted):
    rows = guidance_rows(days)[:600]
    later = StationDays(days.first, days.values.copy(), {name: s.copy() for name, s in days.further.items()})
    for table in (later.values, *later.further.values()):
        table[int(rows[-1]) + 2 :] = 33.0
    other = GuidedForecaster.fit(later, rows, fitted.station_only, QUICKLY)
    assert joblib.hash(to_state(other)) == joblib.hash(to_state(fitted))
    assert fitted.corrected_through == days.dates[rows[-1]] + ONE_DAY


def test_missing_inputs_are_named_and_widen_the_forecast(model, days):
    assert model.predict(days).filled == ()
    no_wind = model.predict(without(days, -1, ("next_wind",)))
    assert "next_wind" in str((no_wind.filled, no_wind.notes))
    no_past = model.predict(without(days, slice(0, -1)))
    assert no_past.notes == ("guidance is known for 0 of the previous 13 days: its recent errors are uncertain",)
    rows = np.arange(900, 1000)
    usual = width(model.quantiles(days, rows)).mean()
    assert model.widening[0] > 0.05
    assert width(model.quantiles(without(days, rows, ("next_wind",)), rows)).mean() > 1.03 * usual
    no_wider = replace(model, widening=np.zeros(2))
    ratio = width(quantiles_of(model, without(days, slice(0, -1)))) / width(
        quantiles_of(no_wider, without(days, slice(0, -1)))
    )
    assert ratio == pytest.approx(1 + model.widening[1])


def test_a_shift_of_the_guidance_is_mostly_recovered_within_30_days(days, fitted):
    shifted = without(days, [])
    shifted.further["guidance"][1000:] += 3.0
    rows = np.array([1000, *range(1028, 1033)])
    difference = (fitted.quantiles(shifted, rows) - fitted.quantiles(days, rows))[:, MEDIAN]
    assert difference[0] > 2.0
    assert np.abs(difference[1:]).max() < 1.5


def test_guidance_that_needs_no_correction_gets_none():
    """Random errors and a constant bias."""
    rng = np.random.default_rng(5)
    days = synthetic_days(301)
    guidance = days.next_tmax - 1.5 + rng.normal(0, 1.5, 301)
    days = replace(days, further={"guidance": guidance}).part(0, 300)
    model = Trial.run("hill", days, QUICKLY).model
    rows = np.arange(200, 299)
    difference = model.quantiles(days, rows)[:, MEDIAN] - (days.further["guidance"][rows] + 1.5)
    assert np.abs(difference).mean() < 0.6
    assert model.shrinkage_weights.networks < 0.3


def test_one_day_is_enough_with_guidance_but_needs_tmax(model, days):
    last = days.part(len(days) - 1, len(days))
    assert model.predict(last).tmax == pytest.approx(model.predict(days).tmax, abs=3)
    with pytest.raises(SequenceError, match=r"too few days.*; with guidance for 2018-04-15 these days would suffice"):
        model.predict(without(last, -1))
    blank = replace(days, values=days.values.copy())
    blank.values[-1] = NAN
    with pytest.raises(SequenceError, match=r"tmax is missing on the last day, 2018-04-14; a forecast needs it$"):
        model.predict(blank)


def test_columns_unknown_to_the_model_have_no_influence(model, days):
    """A provider that is added later, or that replaces another under a new name."""
    added = replace(days, further=days.further | {"guidance_new": days.next_tmax + 9})
    assert model.predict(added).tmax == model.predict(days).tmax
    renamed = replace(days, further={"guidance_new": days.further["guidance"]})
    assert model.predict(renamed).notes[0].startswith("no guidance for")
