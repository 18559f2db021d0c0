"""Guidance and predictors as features: point forecasts, recent errors, and what a window depends on."""

from dataclasses import replace

import numpy as np
import pytest

from models.forecast.climatology import Climatology
from models.forecast.guidance.features import MIN_KNOWN_DAYS, GuidanceFeatures, raw_point, running_mean
from models.record.columns import COLUMNS
from models.record.days import StationDays
from tests.stations import guided_days

NAN = np.nan
DAYS = guided_days(200)
ROWS = np.arange(20, 150)
NORMAL = Climatology.fit(DAYS.dates, DAYS.tmax)


def fitted(days, columns=COLUMNS):
    return GuidanceFeatures.fit(days, ROWS, columns, NORMAL)


FEATURES = fitted(DAYS)


def test_the_point_forecast_is_the_mean_of_unbiased_guidance():
    target = DAYS.next_tmax
    days = replace(DAYS, predictors={"guidance_a": target + 3, "guidance_b": target - 1})
    days.predictors["guidance_a"][[7, 8]], days.predictors["guidance_b"][7] = NAN, NAN
    features = fitted(days)
    assert features.bias == pytest.approx({"guidance_a": -3, "guidance_b": 1})
    known = np.delete(np.arange(199), 7)
    np.testing.assert_allclose(features.point(days)[known], target[known])
    assert not features.known(days)[7]
    assert features.known(days)[8]


def test_raw_guidance_is_the_column_guidance_or_the_mean_of_the_others():
    target = DAYS.next_tmax
    two = replace(DAYS, predictors={"guidance_a": target + 3, "guidance_b": target - 1})
    np.testing.assert_allclose(raw_point(two), target + 1)
    half = np.where(np.arange(200) < 10, target, NAN)
    both = replace(DAYS, predictors={"guidance": half, "guidance_b": target + 5})
    np.testing.assert_allclose(raw_point(both)[[9, 10]], target[[9, 10]] + [0, 5])
    assert np.isnan(raw_point(replace(DAYS, predictors={}))).all()


def test_a_predictor_of_too_few_days_is_not_used():
    few = np.full(200, NAN)
    few[50 : 50 + MIN_KNOWN_DAYS - 1] = 1.0
    enough = few.copy()
    enough[100] = 1.0
    assert fitted(replace(DAYS, predictors=DAYS.predictors | {"guidance_new": few, "hail": few})).predictors == (
        "guidance",
        "guidance_spread",
        "wind",
    )
    assert "guidance_new" in fitted(replace(DAYS, predictors=DAYS.predictors | {"guidance_new": enough})).predictors
    assert FEATURES.further == ("guidance_spread", "wind")


def test_a_running_mean_equals_that_of_a_loop():
    series = np.random.default_rng(0).normal(size=(3, 12))
    series[0, 4:7], series[1, 0] = NAN, NAN
    expected = np.empty_like(series)
    for b, row in enumerate(series):
        for t in range(len(row)):
            known = [(0.8**i, row[t - i]) for i in range(t + 1) if not np.isnan(row[t - i])]
            expected[b, t] = sum(w * x for w, x in known) / (sum(w for w, _ in known) + 2.0)
    np.testing.assert_allclose(running_mean(series, 0.8, 2.0), expected, atol=1e-8)


def test_a_window_depends_on_its_own_days_only():
    x, point = FEATURES.windows(DAYS, np.array([120]), 15)
    other = StationDays(DAYS.first, DAYS.values.copy(), {name: s.copy() for name, s in DAYS.predictors.items()})
    for table in (other.values, *other.predictors.values()):
        table[:106], table[121:] = 77.0, 77.0
    for found, expected in zip(FEATURES.windows(other, np.array([120]), 15), (x, point), strict=True):
        np.testing.assert_array_equal(found, expected)
    alone = FEATURES.windows(DAYS.part(106, 121), np.array([14]), 15)[0]
    np.testing.assert_allclose(alone, x, atol=1e-12)
    beyond = FEATURES.windows(DAYS, np.array([5]), 15)[1]  # days before the record are missing
    np.testing.assert_array_equal(np.isnan(beyond[0]), np.arange(15) < 9)


def test_inputs_can_be_treated_as_missing():
    whole, _ = FEATURES.windows(DAYS, np.array([120]), 15)
    _, point = FEATURES.windows(DAYS, np.array([120]), 15, "past")
    np.testing.assert_array_equal(np.isnan(point[0]), np.arange(15) < 14)
    without, _ = FEATURES.windows(DAYS, np.array([120]), 15, "further")
    assert not np.isnan(whole[0, -1]).any()
    assert np.isnan(without[0, -1]).sum() == 4  # wind; the spread, its logarithm and its change
    np.testing.assert_array_equal(whole[0, :-1], without[0, :-1])


def test_the_number_of_features_does_not_depend_on_the_columns_of_a_station():
    """The networks of a shared corrector must fit each station."""
    only_tmax = replace(DAYS, values=DAYS.values * [1, NAN, NAN])
    one, other = (
        fitted(days, columns).windows(days, ROWS, 9)[0] for days, columns in ((DAYS, COLUMNS), (only_tmax, ("tmax",)))
    )
    assert one.shape == other.shape
