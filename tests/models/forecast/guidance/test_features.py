"""Guidance as features: point forecasts, recent errors, and what a window depends on."""

from dataclasses import replace

import numpy as np
import pytest

from models.forecast.features import N_FIRST, Features
from models.forecast.guidance.features import MIN_KNOWN_DAYS, GuidanceFeatures, raw_point, running_mean
from models.record.days import StationDays
from tests.stations import guided_days

NAN = np.nan
DAYS = guided_days(200)
ROWS = np.arange(20, 150)
STATION = Features.fit(DAYS, ROWS)


def fitted(days):
    return GuidanceFeatures.fit(days, ROWS)


FEATURES = fitted(DAYS)


def windows(days, rows, length, without="", station=STATION):
    """Return the windows and the point forecasts of each row."""
    return FEATURES.windows(station.of(days), np.atleast_1d(rows), length, station, without)


def test_the_point_forecast_is_the_mean_of_unbiased_guidance():
    target = DAYS.next_tmax
    days = replace(DAYS, further={"guidance_a": target + 3, "guidance_b": target - 1})
    days.further["guidance_a"][[7, 8]], days.further["guidance_b"][7] = NAN, NAN
    features = fitted(days)
    assert features.bias == pytest.approx({"guidance_a": -3, "guidance_b": 1})
    known = np.delete(np.arange(199), 7)
    np.testing.assert_allclose(features.point(days)[known], target[known])
    assert not features.known(days)[7]
    assert features.known(days)[8]


def test_raw_guidance_is_the_column_guidance_or_the_mean_of_the_others():
    target = DAYS.next_tmax
    two = replace(DAYS, further={"guidance_a": target + 3, "guidance_b": target - 1})
    np.testing.assert_allclose(raw_point(two), target + 1)
    half = np.where(np.arange(200) < 10, target, NAN)
    both = replace(DAYS, further={"guidance": half, "guidance_b": target + 5})
    np.testing.assert_allclose(raw_point(both)[[9, 10]], target[[9, 10]] + [0, 5])
    assert np.isnan(raw_point(replace(DAYS, further={}))).all()


def test_a_forecast_of_too_few_days_is_not_used():
    """Nor is a column that is no forecast: it is one of the station's own."""
    few = np.full(200, NAN)
    few[50 : 50 + MIN_KNOWN_DAYS - 1] = 1.0
    enough = few.copy()
    enough[100] = 1.0
    for new, used in ((few, ()), (enough, ("guidance_new", "guidance_new_spread"))):
        days = replace(DAYS, further=DAYS.further | {"guidance_new": new, "guidance_new_spread": new, "hail": enough})
        assert fitted(days).forecasts == ("guidance", "guidance_spread", *used)
        assert {*fitted(days).bias} == {"guidance", *used[:1]}


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
    x, point = windows(DAYS, 120, 15)
    other = StationDays(DAYS.first, DAYS.values.copy(), {name: s.copy() for name, s in DAYS.further.items()})
    for table in (other.values, *other.further.values()):
        table[:106], table[121:] = 77.0, 77.0
    for found, expected in zip(windows(other, 120, 15), (x, point), strict=True):
        np.testing.assert_array_equal(found, expected)
    alone = windows(DAYS.part(106, 121), 14, 15)[0]
    np.testing.assert_allclose(alone, x, atol=1e-12)
    beyond = windows(DAYS, 5, 15)[1]  # days before the record are missing
    np.testing.assert_array_equal(np.isnan(beyond[0]), np.arange(15) < 9)


def test_inputs_can_be_treated_as_missing():
    whole, _ = windows(DAYS, 120, 15)
    _, point = windows(DAYS, 120, 15, "past")
    np.testing.assert_array_equal(np.isnan(point[0]), np.arange(15) < 14)
    without, _ = windows(DAYS, 120, 15, "further")
    assert not np.isnan(whole[0, -1]).any()
    assert np.isnan(without[0, -1]).sum() == 4  # wind; the spread, its logarithm and its change
    np.testing.assert_array_equal(whole[0, :-1], without[0, :-1])


def test_the_number_of_features_does_not_depend_on_the_measured_columns_of_a_station():
    """The networks of a shared corrector must fit each station."""
    only_tmax = replace(DAYS, values=DAYS.values * [1, NAN, NAN])
    station = Features.fit(only_tmax, ROWS)
    assert station.measured == ("tmax",)
    one, other = (windows(days, ROWS, 9, station=of)[0] for days, of in ((DAYS, STATION), (only_tmax, station)))
    assert one.shape == other.shape
    # A column that the station's model does not use is missing, whatever its values.
    np.testing.assert_array_equal(windows(DAYS, ROWS, 9, station=station)[0], other)


def test_further_columns_are_those_of_the_stations_model():
    """Also their changes, of which the first would be since a day before the window."""
    rng = np.random.default_rng(1)
    more = {"pressure": 1013 + rng.normal(0, 5, 200), "dale/tmax": DAYS.tmax + rng.normal(0, 1, 200)}
    days = replace(DAYS, further=DAYS.further | more)
    station = Features.fit(days, ROWS)
    assert station.further.names == ("next_wind", "pressure", "dale/tmax")
    (found,), (plain,) = (windows(days, 120, 15, station=of)[0] for of in (station, STATION))
    expected = station.of(days).table[106:121, N_FIRST:]
    assert expected.shape[1] == 4  # a change of pressure
    expected[0, 3] = NAN
    np.testing.assert_array_equal(found[:, -4:], expected)
    np.testing.assert_array_equal(found[:, :-4], plain[:, :-1])
