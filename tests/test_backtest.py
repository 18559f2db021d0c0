import numpy as np
import pytest

from models.backtest import Split, score_table
from models.baselines import Climatology, Persistence
from models.forecaster import usable_rows
from models.recipe import Recipe
from models.station_days import StationDays
from tests.conftest import synthetic_days


def test_the_parts_follow_each_other_in_time_and_lose_no_row():
    rows = np.arange(100, 1100)
    split = Split.chronological(rows)
    np.testing.assert_array_equal(np.concatenate([split.training, split.stopping, split.held_out]), rows)
    assert (len(split.training), len(split.stopping), len(split.held_out)) == (750, 100, 150)


def test_too_short_a_record_says_what_is_missing():
    with pytest.raises(ValueError, match="364 usable days are too few"):
        Split.chronological(np.arange(364))


def test_usable_rows_have_a_whole_window_and_both_days_of_tmax():
    days = synthetic_days(400)
    days.values[100, 0] = (
        np.nan
    )  # one day: interpolated inside windows, but neither issued from, nor forecast, nor their first day
    days.values[200:210, 0] = np.nan  # ten days: no window bridges them
    usable = set(usable_rows(days, Recipe(window=14, max_gap=5)).tolist())
    assert min(usable) == 13
    assert max(usable) == 398
    assert set(range(13, 399)) - usable == {99, 100, 113, *range(199, 223)}


def test_the_climatology_finds_a_season_that_is_there():
    dates = np.arange("2001-01-01", "2005-01-01", dtype="M8[D]")
    season = 12 + 9 * np.sin(2 * np.pi * ((dates - dates.astype("M8[Y]")).astype(int)) / 365.25)
    days = StationDays(dates[0], np.column_stack([season, season - 5, np.zeros(len(dates))]))
    split = Split.chronological(np.arange(len(days) - 1))
    climatology = Climatology.fit(days, split)
    np.testing.assert_allclose(climatology.points(days, split.held_out), days.next_tmax[split.held_out], atol=1e-9)


def test_the_climatology_knows_nothing_of_the_held_out_days():
    days = synthetic_days(1500)
    split = Split.chronological(np.arange(1499))
    warmer = StationDays(days.first, days.values.copy())
    warmer.values[split.held_out[0] + 1 :] += 50
    colder = StationDays(days.first, days.values.copy())
    colder.values[split.stopping[0] + 1 : split.held_out[0]] -= 50
    fitted, same, other = (Climatology.fit(d, split).coefficients for d in (days, warmer, colder))
    np.testing.assert_array_equal(fitted, same)
    assert not np.allclose(fitted, other)


def test_persistence_is_today():
    days = synthetic_days(50)
    np.testing.assert_array_equal(Persistence().points(days, np.array([3, 7])), days.tmax[[3, 7]])


def test_the_score_table_of_a_known_error():
    """A forecaster that is always 1 degC too warm: MAE 1, bias 1, and odds that know it."""
    days = synthetic_days(600)

    class TooWarm:
        def points(self, days, issues):
            return days.next_tmax[issues] + 1.0

    rows = np.arange(400, 590)
    table = score_table({"warm": TooWarm(), "persistence": Persistence()}, days, rows)
    warm, persistence = table["warm"], table["persistence"]
    assert warm.n == 190
    assert (warm.mae, warm.rmse, warm.bias) == pytest.approx((1.0, 1.0, 1.0))
    assert warm.crps == pytest.approx(0.0, abs=1e-9)
    # Changes of a station whose weather keeps 0.7 of itself are normal with this standard deviation, whose CRPS is
    # sigma / sqrt(pi) on average (Gneiting and Raftery 2007, eq. 21, over the observations).
    sigma = 2.5 * np.sqrt(2 / 1.7)
    assert persistence.crps == pytest.approx(sigma / np.sqrt(np.pi), rel=0.15)
    assert persistence.skill == 0.0
    assert warm.skill == pytest.approx(1 - 1 / persistence.mae)
    assert persistence.mae == pytest.approx(np.abs(days.tmax[rows] - days.next_tmax[rows]).mean())
    assert 0.7 < persistence.coverage_80 < 0.9
    assert persistence.coverage_80 <= persistence.coverage_90


def test_no_half_of_the_held_out_days_vouches_for_itself():
    """Errors of 0 to 1 in the first half, 10 to 11 in the second: judged by the other half, nothing is covered."""
    n = 200
    observed = np.zeros(n + 1)
    days = StationDays(np.datetime64("2024-01-01", "D"), np.column_stack([observed] * 3))
    errors = np.concatenate([np.linspace(0, 1, n // 2), np.linspace(10, 11, n // 2)])

    class Wrong:
        def points(self, days, issues):
            return days.next_tmax[issues] - errors

    scores = score_table({"persistence": Wrong()}, days, np.arange(n))["persistence"]
    assert (scores.coverage_80, scores.coverage_90) == (0.0, 0.0)
