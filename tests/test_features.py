"""What the network sees: anomalies in windows, with what was not observed filled as an autoregression expects it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.climatology import day_of_year, season
from models.features import FEW, Features, bridged, used_columns
from models.station_days import COLUMNS, ONE_DAY, StationDays
from tests.conftest import synthetic_days

NAN = np.nan
DAYS = synthetic_days(1500, seed=3)
ROWS = np.arange(1400)
FEATURES = Features.fit(DAYS, ROWS)


def station_days(tmax, tmin=None, rain=None):
    n = len(tmax)
    columns = [tmax, tmin or [NAN] * n, rain or [NAN] * n]
    return StationDays(np.datetime64("2024-01-01", "D"), np.array(columns, dtype=float).T)


def windows(days, rows, length, without=("", 0), first=0, features=FEATURES):
    rows = np.atleast_1d(rows)
    return features.windows(days, rows, np.full(len(rows), first), length, without)


def with_holes(days=DAYS, share=0.2, seed=0):
    values = days.values.copy()
    values[np.random.default_rng(seed).random(values.shape) < share] = NAN
    return StationDays(days.first, values)


def expected_by_hand(off, r):
    """The conditional expectation of each missing step given all that are seen: a first-order autoregression."""
    steps = np.arange(len(off))
    covariance = r ** np.abs(steps[:, None] - steps)
    seen = ~np.isnan(off)
    return covariance[:, seen] @ np.linalg.solve(covariance[np.ix_(seen, seen)], off[seen]) if seen.any() else 0 * steps


def test_columns_that_say_nothing_are_not_used():
    """Too rarely observed, or too rarely another value than usual."""
    counting, n = np.arange(100.0), 100
    often, rarely = (np.where(counting < seen, counting, NAN) for seen in (30, 29))
    assert used_columns(np.column_stack([counting, often, rarely])) == ("tmax", "tmin")
    assert used_columns(np.column_stack([counting, rarely, often])) == ("tmax", "rain")
    enough, few = (np.where(counting < other, counting, 0.0) for other in (FEW + 1, FEW))
    assert used_columns(np.column_stack([counting, enough, few])) == ("tmax", "tmin")
    assert used_columns(np.column_stack([counting, few, np.full(n, NAN)])) == ("tmax",)


def test_what_is_learned_is_what_is_there():
    """The synthetic weather keeps 0.7 of itself; its tmin is as far off as its tmax, but for a range of 4 to 12."""
    assert FEATURES.columns == COLUMNS
    assert FEATURES.persistence == pytest.approx(0.7, abs=0.05)
    off = FEATURES.tmax.anomaly(DAYS.dates, DAYS.tmax)
    np.testing.assert_allclose((off.mean(), off.std()), (0, 1), atol=0.05)
    assert FEATURES.tmin_slope == pytest.approx(3.5 / np.hypot(3.5, 8 / np.sqrt(12)), abs=0.05)
    assert FEATURES.rain == pytest.approx(np.log1p(DAYS.values[ROWS, 2]).mean())


def test_only_its_rows_and_the_day_after_each_are_learned_from():
    rows = np.arange(100, 600)
    other = StationDays(DAYS.first, DAYS.values.copy())
    other.values[:100] = 99.0
    other.values[601:] = 99.0
    other.values[600, 1:] = 99.0  # of the last day after, tmax alone
    one, two = (Features.fit(days, rows).to_state() for days in (DAYS, other))
    np.testing.assert_equal(one, two)


def test_a_window_is_anomalies_rain_and_the_season_of_the_next_day():
    window = windows(DAYS, 700, 10)[0]
    part = DAYS.part(691, 701)
    assert window.shape == (10, FEATURES.n)
    np.testing.assert_allclose(window[:, 0], FEATURES.tmax.anomaly(part.dates, part.tmax))
    np.testing.assert_allclose(window[:, 1], FEATURES.tmin.anomaly(part.dates, part.values[:, 1]))
    np.testing.assert_allclose(window[:, 2], np.log1p(part.values[:, 2]))
    waves = season(day_of_year(part.dates + ONE_DAY), 2, FEATURES.tmax.warmest)
    np.testing.assert_allclose(window[:, 3:], waves)


def test_the_season_is_counted_from_the_warmest_day_in_both_hemispheres():
    """The same station half a year later, as in the other hemisphere: its networks see the same."""
    half_a_year = np.timedelta64(183, "D")
    south = StationDays(DAYS.first + half_a_year, DAYS.values)
    seen = [windows(days, 900, 14, features=Features.fit(days, ROWS)) for days in (DAYS, south)]
    np.testing.assert_allclose(seen[0][..., :3], seen[1][..., :3], atol=0.1)
    np.testing.assert_allclose(seen[0][..., 3:], seen[1][..., 3:], atol=0.05)


def test_before_the_record_begins_nothing_was_observed():
    early = windows(DAYS, 3, 10)[0]
    absent = StationDays(DAYS.first - 20 * ONE_DAY, np.vstack([np.full((20, 3), NAN), DAYS.values]))
    np.testing.assert_array_equal(windows(absent, 23, 10)[0], early)
    np.testing.assert_allclose(early[0, 0], FEATURES.persistence**6 * early[6, 0])


def test_days_before_the_first_count_as_not_observed():
    blank = StationDays(DAYS.first, DAYS.values.copy())
    blank.values[:695] = NAN
    np.testing.assert_array_equal(windows(DAYS, 700, 10, first=695), windows(blank, 700, 10))
    each = FEATURES.windows(DAYS, np.array([700, 700]), np.array([695, 0]), 10)
    np.testing.assert_array_equal(each, [windows(blank, 700, 10)[0], windows(DAYS, 700, 10)[0]])


def test_what_was_not_observed_is_filled_from_what_is_known_of_the_day():
    days = StationDays(DAYS.first, DAYS.values.copy())
    days.values[698, 1:] = NAN
    window = windows(days, 700, 10)[0]
    assert window[-3, 1] == pytest.approx(FEATURES.tmin_slope * window[-3, 0])
    assert window[-3, 2] == FEATURES.rain
    seen = windows(DAYS, 700, 10)[0]
    kept = np.ones_like(seen, dtype=bool)
    kept[-3, 1:3] = False
    np.testing.assert_array_equal(window[kept], seen[kept])


def test_a_column_that_is_not_used_is_nothing_whatever_a_request_brings():
    dry = StationDays(DAYS.first, DAYS.values * [1, NAN, NAN])
    features = Features.fit(dry, ROWS)
    assert features.columns == ("tmax",)
    seen, nothing = (windows(days, 700, 10, features=features) for days in (DAYS, dry))
    np.testing.assert_array_equal(seen, nothing)
    assert not seen[..., 1:3].any()


@pytest.mark.parametrize("column", COLUMNS)
def test_without_a_column_is_as_if_it_had_not_been_observed(column):
    """But for the tmax of the last day, without which there is no forecast."""
    index = COLUMNS.index(column)
    days = StationDays(DAYS.first, DAYS.values.copy())
    days.values[: 700 if column == "tmax" else 701, index] = NAN
    np.testing.assert_array_equal(windows(days, 700, 10), windows(DAYS, 700, 10, (column, 10)))


@given(st.integers(0, 1400), st.integers(1, 20), st.tuples(st.sampled_from(["", *COLUMNS]), st.integers(1, 20)))
def test_a_window_depends_on_its_days_alone(row, length, without):
    days = with_holes()
    other = StationDays(days.first, days.values.copy())
    other.values[: max(0, row - length + 1)] = 44.0
    other.values[row + 1 :] = 33.0
    one, two = (windows(d, row, length, without) for d in (days, other))
    np.testing.assert_array_equal(one, two)
    assert np.isfinite(one).all()


def test_the_first_guess_is_the_normal_and_what_persists_of_today():
    part = DAYS.part(300, 310)
    guess, spread = FEATURES.first_guess(part)
    tomorrow = part.dates + ONE_DAY
    np.testing.assert_allclose(spread, FEATURES.tmax.on(tomorrow)[1])
    today_off = FEATURES.tmax.anomaly(part.dates, part.tmax)
    np.testing.assert_allclose(FEATURES.tmax.anomaly(tomorrow, guess), FEATURES.persistence * today_off)


def test_state_round_trip():
    again = Features.from_state(FEATURES.to_state())
    np.testing.assert_equal(again.to_state(), FEATURES.to_state())
    np.testing.assert_array_equal(windows(DAYS, 700, 14, features=again), windows(DAYS, 700, 14))


class TestBridged:
    @settings(max_examples=300)
    @given(
        st.lists(st.none() | st.floats(-4, 4), min_size=1, max_size=16),
        st.sampled_from([0.0, 0.2, 0.7, 0.95, 0.98]),
    )
    def test_it_is_what_an_autoregression_expects(self, values, persistence):
        off = np.array([NAN if v is None else v for v in values])
        filled = bridged(off[None], persistence)[0]
        np.testing.assert_allclose(filled, expected_by_hand(off, persistence), atol=1e-8)
        np.testing.assert_array_equal(filled[~np.isnan(off)], off[~np.isnan(off)])

    def test_each_window_is_on_its_own(self):
        rng = np.random.default_rng(0)
        off = np.where(rng.random((50, 12)) < 0.5, NAN, rng.normal(size=(50, 12)))
        alone = np.concatenate([bridged(window[None], 0.7) for window in off])
        np.testing.assert_array_equal(bridged(off, 0.7), alone)

    def test_worked_by_hand(self):
        """Halfway between 1 and 1, with r = 0.5: (0.5 * 0.75 * 2) / (1 - 1/16) = 0.8."""
        np.testing.assert_allclose(bridged(np.array([[1, NAN, 1.0]]), 0.5), [[1, 0.8, 1]])
        np.testing.assert_allclose(bridged(np.array([[NAN, NAN, 2.0, NAN]]), 0.5), [[0.5, 1, 2, 1]])

    def test_far_from_what_was_seen_it_is_the_normal(self):
        off = np.full((1, 101), NAN)
        off[0, [0, -1]] = 3.0
        assert abs(bridged(off, 0.7)[0, 50]) < 1e-6

    def test_nothing_is_filled_with_more_than_the_days_beside_it(self):
        rng = np.random.default_rng(1)
        off = np.where(rng.random((200, 20)) < 0.6, NAN, rng.normal(size=(200, 20)))
        assert np.abs(bridged(off, 0.9)).max() <= np.nanmax(np.abs(off))

    def test_what_is_given_is_not_modified(self):
        off = np.array([[1.0, NAN]])
        bridged(off, 0.5)
        assert np.isnan(off[0, 1])
