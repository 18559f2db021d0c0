import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.features import Filling, feature_table, season, used_columns, windows, windows_without_gap
from models.station_days import StationDays

NAN = np.nan


def station_days(tmax, tmin=None, rain=None):
    n = len(tmax)
    columns = [tmax, tmin or [NAN] * n, rain or [NAN] * n]
    return StationDays(np.datetime64("2024-01-01", "D"), np.array(columns, dtype=float).T)


def test_a_short_gap_is_interpolated_and_a_long_one_is_not():
    days = station_days([1, NAN, NAN, 4, NAN, NAN, NAN, 8])
    filled = Filling(diurnal_range=6.0, rain=0.5).fill(days, max_gap=2)
    np.testing.assert_allclose(filled[:, 0], [1, 2, 3, 4, NAN, NAN, NAN, 8])
    np.testing.assert_allclose(filled[:, 1], filled[:, 0] - 6.0)
    assert (filled[:, 2] == 0.5).all()


def test_the_ends_are_never_invented():
    filled = Filling(5.0, 0.0).fill(station_days([NAN, 2, 3, NAN]), max_gap=9)
    np.testing.assert_array_equal(np.isnan(filled[:, 0]), [True, False, False, True])


def test_what_fills_is_learned():
    filling = Filling.fit(station_days([10, 12, NAN], [4, NAN, 3], [0, np.e - 1, NAN]))
    assert filling.diurnal_range == 6.0
    assert np.log1p(filling.rain) == pytest.approx(0.5)
    assert Filling.fit(station_days([10, 12])) == Filling(0.0, 0.0)


def test_columns_that_say_nothing_are_not_used():
    assert used_columns(station_days([1, 2, 3, 4], [0, 1, NAN, NAN], [0, 0, 0, 0]).values) == ("tmax", "tmin")
    assert used_columns(station_days([1, 2, 3, 4], [0, NAN, NAN, NAN]).values) == ("tmax",)


def test_the_season_has_no_jump_and_is_of_the_day_it_is_asked_for():
    dates = np.arange("2023-01-01", "2026-01-01", dtype="M8[D]")
    waves = season(dates, harmonics=2)
    assert waves.shape == (len(dates), 4)
    assert np.abs(np.diff(waves, axis=0)).max() < 0.06
    np.testing.assert_allclose(waves[0], [0, 1, 0, 1], atol=1e-12)
    table = feature_table(dates, np.ones((len(dates), 3)), ("tmax", "rain"))
    np.testing.assert_allclose(table[:-1, 2:], season(dates[1:]))  # each row bears the season of the next day
    np.testing.assert_allclose(table[:, 1], np.log(2))


def test_windows_end_on_their_day():
    table = np.arange(10.0)[:, None]
    np.testing.assert_array_equal(windows(table, np.array([2, 9]), 3)[:, :, 0], [[0, 1, 2], [7, 8, 9]])


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 8))
def test_no_window_bridges_a_gap(missing, length):
    series = np.where(missing, NAN, 1.0) if missing else np.zeros(0)
    expected = [
        end + 1 >= length and not np.isnan(series[end + 1 - length : end + 1]).any() for end in range(len(series))
    ]
    assert windows_without_gap(series, length).tolist() == expected


@given(st.lists(st.one_of(st.none(), st.floats(-40, 50)), min_size=1, max_size=40), st.integers(0, 6))
def test_filling_changes_no_observation_and_fills_no_more_than_it_may(tmax, max_gap):
    series = np.array([NAN if v is None else v for v in tmax])
    filled = Filling(0.0, 0.0).fill(station_days(series.tolist()), max_gap)[:, 0]
    seen = ~np.isnan(series)
    np.testing.assert_array_equal(filled[seen], series[seen])
    run = 0
    for index, is_seen in enumerate(seen):
        run = 0 if is_seen else run + 1
        if run > max_gap:
            assert np.isnan(filled[index - run + 1 : index + 1]).all()
    inside = filled[~np.isnan(filled)]
    if seen.any():
        assert inside.min() >= series[seen].min() - 1e-9
        assert inside.max() <= series[seen].max() + 1e-9
