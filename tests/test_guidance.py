"""Guidance as a column: which are chosen, what they say together, and what the correction sees of them."""

from dataclasses import replace

import numpy as np
import pytest

from models.climatology import Climatology
from models.guidance import GuidanceFeatures, raw_point, running_mean
from models.predictors import (
    PredictorError,
    check_not_the_answer,
    chosen,
    guided,
    predictor_to_metric,
    set_aside_impossible_predictors,
    unit,
)
from models.station_days import StationDays
from tests.conftest import guided_days

NAN = np.nan
DAYS = guided_days(200)


def features_of(days, rows):
    return GuidanceFeatures.fit(days, rows, ("tmax", "tmin", "rain"), Climatology.fit(days.dates, days.tmax))


def test_guidance_is_chosen_by_itself_and_others_only_by_name():
    there = ["date", "tmax", "tmin", "rain", "tmax_tomorrow", "wind", "guidance_spread", "guidance_gfs", "guidance"]
    assert chosen(there, ()) == ("guidance", "guidance_gfs", "guidance_spread")
    assert chosen(there, ("wind",)) == ("guidance", "guidance_gfs", "guidance_spread", "wind")
    assert chosen(there, ("all",)) == ("guidance", "guidance_gfs", "guidance_spread", "tmax_tomorrow", "wind")
    with pytest.raises(PredictorError, match=r"no column 'hail' .* there are: guidance, guidance_gfs"):
        chosen(there, ("wind", "hail"))


def test_a_predictor_that_is_the_next_days_tmax_is_refused():
    answer = replace(DAYS, predictors={"guidance": DAYS.predictors["guidance"], "leak": DAYS.next_tmax})
    with pytest.raises(PredictorError, match=r"leak is the next day's tmax itself on 100 %"):
        check_not_the_answer(answer)
    check_not_the_answer(DAYS)
    # One forecast that was right says nothing yet.
    lucky = np.full(len(DAYS), NAN)
    lucky[7] = DAYS.next_tmax[7]
    check_not_the_answer(replace(DAYS, predictors={"guidance": lucky}))


def test_a_spread_is_no_forecast():
    assert chosen(["guidance", "guidance_gfs_spread"], ()) == ("guidance", "guidance_gfs_spread")
    spread = replace(DAYS, predictors={"guidance_gfs_spread": np.ones(len(DAYS))})
    assert not guided(spread).any()
    assert unit("guidance_gfs_spread", "us") == "degF"
    np.testing.assert_allclose(predictor_to_metric("guidance_gfs_spread", np.array([1.8]), "us"), [1])


def test_units_apply_to_temperatures():
    assert unit("guidance", "us") == unit("guidance_spread", "us") == unit("next_tmin_guidance", "us") == "degF"
    assert unit("next_wind", "us") == ""
    fahrenheit = np.array([32.0, 50.0])
    np.testing.assert_allclose(predictor_to_metric("guidance_gfs", fahrenheit, "us"), [0, 10])
    np.testing.assert_allclose(predictor_to_metric("guidance_spread", np.array([1.8]), "us"), [1])
    np.testing.assert_array_equal(predictor_to_metric("wind", fahrenheit, "us"), fahrenheit)
    np.testing.assert_array_equal(predictor_to_metric("guidance", fahrenheit, "metric"), fahrenheit)


def test_impossible_guidance_is_set_aside():
    days = replace(DAYS, predictors={name: column.copy() for name, column in DAYS.predictors.items()})
    days.predictors["guidance"][3], days.predictors["guidance_spread"][5] = -9999.0, -1.0
    kept, dropped = set_aside_impossible_predictors(days)
    assert [(str(d.date), d.column, d.value) for d in dropped] == [
        ("2015-01-04", "guidance", -9999.0),
        ("2015-01-06", "guidance_spread", -1.0),
    ]
    assert np.isnan(kept.predictors["guidance"][3])
    assert not guided(kept)[3]


def test_several_forecasts_are_averaged_each_without_its_bias():
    truth = DAYS.next_tmax
    days = replace(DAYS, predictors={"guidance_a": truth + 3, "guidance_b": truth - 1})
    days.predictors["guidance_a"][7], days.predictors["guidance_b"][[7, 8]] = NAN, NAN
    rows = np.arange(20, 150)
    np.testing.assert_allclose(features_of(days, rows).point(days)[rows], truth[rows], atol=1e-9)
    assert np.isnan(features_of(days, rows).point(days)[7])
    assert features_of(days, rows).point(days)[8] == pytest.approx(truth[8])
    assert raw_point(days)[9] == pytest.approx(truth[9] + 1)
    half = np.where(np.arange(len(truth)) < 10, truth, NAN)
    both = replace(days, predictors={"guidance": half, "guidance_b": truth + 5})
    np.testing.assert_allclose(raw_point(both)[[9, 10]], truth[[9, 10]] + [0, 5])


def test_a_running_mean_is_that_of_a_loop():
    series = np.random.default_rng(0).normal(size=(3, 12))
    series[0, 4:7], series[1, 0] = NAN, NAN
    expected = np.empty_like(series)
    for b, row in enumerate(series):
        for t in range(len(row)):
            known = [(0.8**i, row[t - i]) for i in range(t + 1) if not np.isnan(row[t - i])]
            expected[b, t] = sum(w * x for w, x in known) / (sum(w for w, _ in known) + 2.0)
    np.testing.assert_allclose(running_mean(series, 0.8, 2.0), expected, atol=1e-8)


def test_nothing_outside_of_its_window_has_a_part_in_a_feature():
    features = features_of(DAYS, np.arange(20, 150))
    x, point = features.windows(DAYS, np.array([120]), 15)
    other = StationDays(DAYS.first, DAYS.values.copy(), {name: c.copy() for name, c in DAYS.predictors.items()})
    for table in (other.values, *other.predictors.values()):
        table[:106], table[121:] = 77.0, 77.0
    x_of_other, point_of_other = features.windows(other, np.array([120]), 15)
    np.testing.assert_array_equal(x, x_of_other)
    np.testing.assert_array_equal(point, point_of_other)
    alone = features.windows(DAYS.part(106, 121), np.array([14]), 15)[0]
    np.testing.assert_allclose(x, alone, atol=1e-12)


def test_what_is_taken_away_is_not_seen():
    features = features_of(DAYS, np.arange(20, 150))
    _, point = features.windows(DAYS, np.array([120]), 15, "past")
    assert np.isnan(point[0, :-1]).all()
    assert not np.isnan(point[0, -1])
    whole, _ = features.windows(DAYS, np.array([120]), 15)
    less, _ = features.windows(DAYS, np.array([120]), 15, "further")
    assert np.isnan(less[0, -1]).sum() > np.isnan(whole[0, -1]).sum() == 0
    np.testing.assert_array_equal(whole[0, :-1], less[0, :-1])


def test_the_features_are_as_many_whatever_a_station_observes():
    """Networks that are learned from many stations must fit each."""
    only_tmax = replace(DAYS, values=DAYS.values * [1, NAN, NAN])
    rows = np.arange(20, 150)
    normal = Climatology.fit(DAYS.dates, DAYS.tmax)
    one, other = (
        GuidanceFeatures.fit(days, rows, columns, normal).windows(days, rows, 9)[0]
        for days, columns in ((DAYS, ("tmax", "tmin", "rain")), (only_tmax, ("tmax",)))
    )
    assert one.shape == other.shape
