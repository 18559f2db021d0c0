"""The input of the networks: anomalies in windows, gaps filled from within the window, and the season."""

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.forecast.climatology import day_of_year, season
from models.forecast.features import MIN_VARIED, N_FIRST, Features
from models.forecast.filling import bridged
from models.record.columns import COLUMNS, RAIN, TMAX, TMIN
from models.record.days import ONE_DAY, StationDays
from tests.stations import synthetic_days

NAN = np.nan
DAYS = synthetic_days(1500, seed=3)
ROWS = np.arange(1400)
FEATURES = Features.fit(DAYS, ROWS)


def windows(days, rows, length, without=("", 0), first=0, features=FEATURES):
    rows = np.atleast_1d(rows)
    return features.windows(features.of(days), rows, np.full(len(rows), first), length, without)


def changed(*cells, days=DAYS):
    """Return the days with each (rows, columns, value) written in."""
    values = days.values.copy()
    for rows, columns, value in cells:
        values[rows, columns] = value
    return StationDays(days.first, values)


def test_columns_with_too_few_or_too_similar_values_are_not_used():
    counting = np.arange(100.0)
    often, rarely = (np.where(counting < n, counting, NAN) for n in (30, 29))
    varied, constant = (np.where(counting < n, counting, 0.0) for n in (MIN_VARIED + 1, MIN_VARIED))
    for tmin, rain, used in (
        (often, rarely, ("tmax", "tmin")),
        (rarely, often, ("tmax", "rain")),
        (varied, constant, ("tmax", "tmin")),
        (constant, np.full(100, NAN), ("tmax",)),
    ):
        days = StationDays(DAYS.first, np.column_stack([counting, tmin, rain]))
        assert Features.fit(days, np.arange(100)).columns == used
        assert Features.fit(days, np.arange(100), ("tmax", "rain")).columns == ("tmax", "rain")


def test_persistence_slope_and_means_are_recovered():
    """The synthetic weather keeps 0.7 of its anomaly; tmin departs as tmax does, but for a range of 4 to 12 degC."""
    assert FEATURES.columns == COLUMNS
    assert FEATURES.persistence == pytest.approx(0.7, abs=0.05)
    anomaly = FEATURES.normal.anomaly(DAYS.dates, DAYS.tmax)
    np.testing.assert_allclose((anomaly.mean(), anomaly.std()), (0, 1), atol=0.05)
    assert FEATURES.fitted[TMIN].fill == pytest.approx(3.5 / np.hypot(3.5, 8 / np.sqrt(12)), abs=0.05)
    assert FEATURES.fitted[RAIN].fill == pytest.approx(np.log1p(DAYS.values[ROWS, RAIN]).mean())


def test_only_the_training_rows_and_the_next_tmax_of_each_are_used():
    rows, others = np.arange(100, 600), np.r_[:100, 601:1500]
    other = changed((others, slice(None), 99.0), (600, [TMIN, RAIN], 99.0))
    one, two = (Features.fit(days, rows) for days in (DAYS, other))
    assert joblib.hash(one) == joblib.hash(two) != joblib.hash(FEATURES)


def test_a_window_holds_anomalies_rain_and_the_season_of_the_next_day():
    window, part = windows(DAYS, 700, 10)[0], DAYS.part(691, 701)
    assert window.shape == (10, N_FIRST)
    for column in (TMAX, TMIN):
        anomaly = FEATURES.fitted[column].normal.anomaly(part.dates, part.values[:, column])
        np.testing.assert_allclose(window[:, column], anomaly)
    np.testing.assert_allclose(window[:, RAIN], np.log1p(part.values[:, RAIN]))
    waves = season(day_of_year(part.dates + ONE_DAY), 2, FEATURES.normal.warmest)
    np.testing.assert_allclose(window[:, 3:], waves)


def test_days_before_the_record_or_the_first_row_count_as_missing():
    early = windows(DAYS, 3, 10)[0]
    padded = StationDays(DAYS.first - 20 * ONE_DAY, np.vstack([np.full((20, 3), NAN), DAYS.values]))
    np.testing.assert_array_equal(windows(padded, 23, 10)[0], early)
    np.testing.assert_allclose(early[0, TMAX], FEATURES.persistence**6 * early[6, TMAX])
    blank = changed((slice(695), slice(None), NAN))
    of_each = FEATURES.windows(FEATURES.of(DAYS), np.array([700, 700]), np.array([695, 0]), 10)
    np.testing.assert_array_equal(of_each, [windows(blank, 700, 10)[0], windows(DAYS, 700, 10)[0]])


def test_missing_values_are_filled_as_the_table_of_columns_says():
    days = changed((698, [TMIN, RAIN], NAN), (695, TMAX, NAN))
    window, whole = windows(days, 700, 10)[0], windows(DAYS, 700, 10)[0]
    assert window[-3, TMIN] == pytest.approx(FEATURES.fitted[TMIN].fill * window[-3, TMAX])
    assert window[-3, RAIN] == FEATURES.fitted[RAIN].fill
    np.testing.assert_array_equal(window[:, TMAX], bridged(window[None, :, TMAX], FEATURES.persistence)[0])
    tmax = np.where(np.arange(10) == 4, NAN, whole[:, TMAX])
    np.testing.assert_array_equal(window[:, TMAX], bridged(tmax[None], FEATURES.persistence)[0])
    kept = np.ones_like(whole, dtype=bool)
    kept[[-3, -3, -6], [TMIN, RAIN, TMAX]] = False
    np.testing.assert_array_equal(window[kept], whole[kept])


def test_a_column_that_is_not_used_is_zero_whatever_its_values():
    dry = changed((slice(None), [TMIN, RAIN], NAN))
    features = Features.fit(dry, ROWS)
    assert features.columns == ("tmax",)
    given, absent = (windows(days, 700, 10, features=features) for days in (DAYS, dry))
    np.testing.assert_array_equal(given, absent)
    assert not given[..., [TMIN, RAIN]].any()


@pytest.mark.parametrize("column", COLUMNS)
def test_without_a_column_is_as_if_it_were_missing(column):
    """Except for the latest tmax, which every forecast needs."""
    days = changed((slice(700 if column == "tmax" else 701), COLUMNS.index(column), NAN))
    np.testing.assert_array_equal(windows(days, 700, 10), windows(DAYS, 700, 10, (column, 10)))


@settings(max_examples=50)
@given(st.integers(0, 1400), st.integers(1, 20), st.tuples(st.sampled_from(["", *COLUMNS]), st.integers(1, 20)))
def test_a_window_depends_on_its_own_days_only(row, length, without):
    missing = np.random.default_rng(0).random(DAYS.values.shape) < 0.2
    days = StationDays(DAYS.first, np.where(missing, NAN, DAYS.values))
    other = changed((slice(max(0, row - length + 1)), slice(None), 44.0), (slice(row + 1, None), ..., 33.0), days=days)
    one, two = (windows(d, row, length, without) for d in (days, other))
    np.testing.assert_array_equal(one, two)
    assert np.isfinite(one).all()


def test_the_first_guess_is_the_normal_and_the_persistent_part_of_the_anomaly():
    part = DAYS.part(300, 310)
    daily = FEATURES.of(part)
    guess, spread = daily.guess, daily.spread
    valid = part.dates + ONE_DAY
    np.testing.assert_allclose(spread, FEATURES.normal.on(valid)[1])
    anomaly = FEATURES.normal.anomaly(part.dates, part.tmax)
    np.testing.assert_allclose(FEATURES.normal.anomaly(valid, guess), FEATURES.persistence * anomaly)
