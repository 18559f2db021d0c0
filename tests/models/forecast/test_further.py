"""Further columns as features: anomalies, directions, changes, and values that are not believed."""

from dataclasses import replace

import numpy as np
import pytest

from models.forecast.features import N_FIRST, Features
from models.forecast.further import MAX_DEVIATIONS, FurtherColumn, FurtherFeatures
from models.record.days import StationDays
from tests.stations import surrounded_days, synthetic_days

NAN = np.nan
N = 900
DAYS = surrounded_days(N)
ROWS = np.arange(800)
FEATURES = Features.fit(DAYS, ROWS)
NAMES = ("hail", "pressure", "dale/pressure", "dale/tmax")


def fitted(**columns):
    """Return features of columns (N,), and days with these columns."""
    days = replace(synthetic_days(N), further=columns)
    return FurtherFeatures(tuple(FurtherColumn.fit(name, days.dates, of) for name, of in columns.items())), days


SUMMER = np.cos(2 * np.pi * np.arange(N) / 365.25)


def of(features, days):
    return features(days.dates, features.values(days), SUMMER)


def changed(name, rows, value, days=DAYS):
    series = days.further[name].copy()
    series[rows] = value
    return replace(days, further=days.further | {name: series})


def windows(days, row, length, without=("", 0), first=0, features=FEATURES):
    return features.windows(features.of(days), np.array([row]), np.array([first]), length, without)[0]


def test_features_are_anomalies_and_for_some_quantities_their_changes():
    rng = np.random.default_rng(0)
    features, days = fitted(pressure_9=1013 + rng.normal(0, 8, N), sunshine=rng.uniform(0, 12, N))
    found = of(features, days)
    for i, one in enumerate(features.columns):
        np.testing.assert_allclose(found[:, i], one.normals[0].anomaly(days.dates, days.column(one.name)))
    np.testing.assert_allclose(found[1:, 2], np.diff(found[:, 0]))
    assert features.changes == slice(2, 3)
    assert np.isnan(found[0, 2])
    assert found.shape == (N, len(features)) == (N, 3)


def test_a_direction_is_the_anomalies_of_its_sine_and_cosine_and_both_by_season():
    """So 359 and 1 degrees are alike."""
    features, days = fitted(wind_direction=np.random.default_rng(1).normal(0, 60, N) % 360)
    assert len(features) == 4
    other = replace(days, further={"wind_direction": (days.further["wind_direction"] + 2) % 360})
    assert np.abs(of(features, other) - of(features, days)).max() < 0.1
    angle, normals = np.deg2rad(days.column("wind_direction")), features.columns[0].normals
    expected = [of.anomaly(days.dates, part) for of, part in zip(normals, (np.sin(angle), np.cos(angle)), strict=True)]
    anomalies = np.column_stack(expected)
    np.testing.assert_allclose(of(features, days), np.hstack([anomalies, anomalies * SUMMER[:, None]]))


def test_directions_and_temperatures_at_an_hour_count_by_season_those_of_neighbours_do_not():
    rng = np.random.default_rng(4)
    names = ("temperature_15", "tmean", "wind_direction_9", "dale/temperature_15", "dale/tmax")
    features, days = fitted(**{name: rng.uniform(10, 30, N) for name in names})
    assert features.kinds == (
        *("tmean", "tmean", "wind_direction sine", "wind_direction cosine", "neighbour tmean", "neighbour tmax"),
        *("tmean by season", "wind_direction sine by season", "wind_direction cosine by season"),
        *("tmean change", "tmean change", "neighbour tmean change"),
    )
    found = of(features, days)
    np.testing.assert_allclose(found[:, 6:9], found[:, [0, 2, 3]] * SUMMER[:, None])
    np.testing.assert_array_equal(features.of_neighbours[0].nonzero()[0], [4, 5, 11])


def test_values_that_are_impossible_or_far_outside_the_season_are_named_once_and_are_no_features():
    rng = np.random.default_rng(2)
    columns = {"pressure": 1013 + rng.normal(0, 4, N), "wind_direction": 90 + rng.normal(0, 1, N)}
    features, days = fitted(**columns)
    assert list(features.unbelievable(days)) == []
    # From the south-west, at a station where the wind always blows from the east: both sine and cosine are far.
    for name, row, value in (("pressure", 3, 940.0), ("pressure", 7, 99.0), ("wind_direction", 5, 225.0)):
        days.further[name][row] = value
    found = sorted(features.unbelievable(days))
    assert found == [(3, "pressure", True), (5, "wind_direction", True), (7, "pressure", False)]
    missing = of(features, days)
    assert np.nanmax(np.abs(missing[:, :3])) <= MAX_DEVIATIONS
    expected = np.array([[row in {3, 7}, *[row == 5] * 4, row in {0, 3, 4, 7, 8}] for row in range(N)])
    np.testing.assert_array_equal(np.isnan(missing), expected)


def test_further_columns_follow_the_first_features_and_are_zero_where_missing():
    assert FEATURES.columns == ("tmax", "tmin", "rain", *NAMES)
    further = of(FEATURES.further, DAYS)
    assert len(FEATURES) == N_FIRST + further.shape[1] == N_FIRST + 6  # pressure has changes, too
    window = windows(DAYS, 700, 10)
    expected = further[691:701].copy()
    expected[0, FEATURES.further.changes] = 0.0  # since a day before the window
    np.testing.assert_array_equal(window[:, N_FIRST:], expected)
    plain = Features.fit(replace(DAYS, further={}), ROWS)
    np.testing.assert_array_equal(window[:, :N_FIRST], windows(DAYS, 700, 10, features=plain))
    gone = windows(replace(DAYS, further={}), 700, 10)
    assert not gone[:, N_FIRST:].any()
    one = windows(changed("pressure", 698, NAN), 700, 10)[:, N_FIRST:]
    changes = FEATURES.further.changes
    zero = np.zeros_like(expected, dtype=bool)
    zero[[7, 7, 8], [1, changes.start, changes.start]] = True
    np.testing.assert_array_equal(one, np.where(zero, 0.0, expected))
    # The change on the first day of a sequence is since a day that is not known.
    late = windows(DAYS, 700, 10, first=694)[:, N_FIRST:]
    expected[:3], expected[3, changes] = 0.0, 0.0
    np.testing.assert_array_equal(late, expected)


@pytest.mark.parametrize(("group", "names"), [("further", NAMES[:2]), ("neighbours", NAMES[2:])])
def test_without_a_group_its_latest_values_are_missing(group, names):
    days = DAYS
    for name in names:
        days = changed(name, slice(698, None), NAN, days)
    np.testing.assert_array_equal(windows(DAYS, 700, 10, (group, 3)), windows(days, 700, 10))
    assert FEATURES.names_of(group) == [*names]


def test_a_column_is_used_where_it_is_known_often_varied_and_has_not_ended():
    """Of a neighbour also tmax must be."""
    whole = np.random.default_rng(3).normal(1013, 5, N)
    for name, series, is_used in (
        ("pressure", np.where(np.arange(N) % 3 == 0, whole, NAN), True),
        ("pressure", np.where(np.arange(N) % 4 == 0, whole, NAN), False),
        ("pressure", np.where(np.arange(N) < 560, whole, NAN), True),  # 125 of the last 365 training rows
        ("pressure", np.where(np.arange(N) < 530, whole, NAN), False),
        ("pressure", np.full(N, 1013.0), False),
        ("guidance", whole - 1000, False),  # corrected by the guided model
        ("guidance_spread", whole / 1000, False),
        ("dale/pressure", whole, False),
    ):
        days = replace(synthetic_days(N), further={name: series})
        assert Features.fit(days, ROWS).further.names == ((name,) if is_used else ()), (name, is_used)
    near = {"dale/pressure": whole, "dale/tmax": DAYS.tmax + whole - 1013}
    assert Features.fit(replace(DAYS, further=near), ROWS).further.names == ("dale/pressure", "dale/tmax")
    fewer = Features.fit(StationDays(DAYS.first, DAYS.values, near), ROWS, ("tmax", "dale/tmax"))
    assert fewer.columns == ("tmax", "dale/tmax")
