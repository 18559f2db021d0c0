"""Extreme temperatures: gaps in a month, seasonal outliers, spikes, and ranges of three days."""

import numpy as np
import pytest

from models.record.columns import TMAX, TMIN
from models.record.quality import find_suspect
from models.record.quality.extremes import gaps, lagged_ranges, outliers, spikes
from tests.models.record.quality.planted import JANUARY, JULY, LONG, NAN, found_by, planted, tropical
from tests.stations import synthetic_days


@pytest.fixture(scope="module")
def forty_years():
    return synthetic_days(40 * 365, seed=1)


def test_a_value_separated_from_the_rest_of_its_month_is_a_gap():
    days = planted((JANUARY, TMAX, 40.0), (JULY, TMIN, -17.0), (JULY + 1, TMIN, -17.0))
    assert found_by(gaps, days) == [([JANUARY], "tmax"), ([JULY], "tmin"), ([JULY + 1], "tmin")]
    of_january = np.delete(days.tmax[days.dates.astype("M8[M]").astype(int) % 12 == 0], 0)
    step = 40.0 - np.sort(of_january)[-2]
    reason = f"separated by {step:.1f} degC from the rest of January; the limit is 10"
    assert gaps(days.dates, days.values)[0].reason == reason


def test_a_frost_confirmed_by_the_nearest_days_is_accepted():
    frost = planted((slice(JANUARY, JANUARY + 4), TMIN, [-14.0, -30.0, -26.0, -13.0]))
    unconfirmed = planted((JANUARY + 1, TMIN, -30.0))
    assert not found_by(gaps, frost)
    assert found_by(gaps, unconfirmed) == [([JANUARY + 1], "tmin")]


def test_seasonal_outliers_are_found_and_heat_waves_accepted(forty_years):
    usual = np.nanmean(forty_years.values[JULY - 7 : JULY + 8, TMAX])
    wrong = planted((JULY, TMAX, usual + 24), days=forty_years)
    assert found_by(outliers, wrong) == [([JULY], "tmax")]
    (finding,) = outliers(wrong.dates, wrong.values)
    assert "standard deviations above the seasonal mean" in finding.reason
    assert finding.reason.endswith("not confirmed by the nearest days; the limit is 6")
    # As at Oakland from 20 to 26 July 2006: 6.2 standard deviations.
    wave = usual + np.array([8, 15, 26, 22, 9.0])
    assert not find_suspect(planted((slice(JULY - 2, JULY + 3), TMAX, wave), days=forty_years))


def test_gaps_across_the_end_of_a_month_do_not_confirm_each_other():
    """A week in degF, from 28 December to 3 January: every day is separated from the rest of its month."""
    week = slice(3 * 365 - 3, 3 * 365 + 4)
    assert [str(date) for date in LONG.dates[week][[0, -1]]] == ["2017-12-28", "2018-01-03"]
    days = planted((week, TMIN, [-25.0, -28, -26, -27, -25, -29, -26]))
    assert found_by(gaps, days) == [([row], "tmin") for row in range(week.start, week.stop)]


@pytest.mark.parametrize("n", [125, 180, 365, 2 * 365])
def test_short_records_are_compared_with_the_seasonal_normal(n):
    """-99 degF in place of missing values on two days in a row, and 48 degC in April."""
    days = planted((slice(60, 62), [TMAX, TMIN], -72.8), (100, TMAX, 48.0), days=LONG.part(0, n))
    assert found_by(gaps, days)[:2] == [([60], "tmax"), ([61], "tmax")]
    assert {(row, f.column) for f in find_suspect(days) for row in f.rows} == {
        (60, TMAX), (61, TMAX), (60, TMIN), (61, TMIN), (100, TMAX)
    }  # fmt: skip
    assert (
        "degC from all other departures from the seasonal normal; the limit is 10"
        in gaps(days.dates, days.values)[0].reason
    )
    assert not find_suspect(LONG.part(0, n))


def test_few_values_give_no_outliers():
    few = LONG.part(JULY - 40, JULY + 50)
    assert not found_by(outliers, planted((40, TMAX, 60.0), days=few))
    assert not found_by(gaps, planted((40, TMAX, 60.0), days=few))
    assert found_by(outliers, planted((40, TMAX, 60.0), days=LONG.part(JULY - 40, JULY + 70))) == [([40], "tmax")]


def test_an_outlier_departs_by_ten_degrees_even_in_the_tropics():
    """A rainy day at Darwin, 22 October 2016, was 7 degC colder than the days around it."""
    days = tropical()
    assert not found_by(outliers, planted((5000, TMAX, 22.5), days=days))
    assert found_by(outliers, planted((5000, TMAX, 19.0), days=days)) == [([5000], "tmax")]


@pytest.mark.parametrize(("sign", "side"), [(1, "above"), (-1, "below")])
def test_a_spike_is_far_from_both_adjacent_days(sign, side):
    days = planted((slice(700, 703), TMAX, [10.0, 10 + sign * 27, 11]))
    assert found_by(spikes, days) == [([701], "tmax")]
    least = 26 if sign > 0 else 27
    assert spikes(days.dates, days.values)[0].reason == (
        f"{least:.1f} degC {side} the day before and the day after; the limit is 25"
    )
    for change in ([-15.0, 12.0, 8.0], [-15.0, 10.0, -15.0], [-15.0, 20.0, NAN]):  # a step, 25 degC, an unknown day
        assert not found_by(spikes, planted((slice(700, 703), TMAX, np.multiply(sign, change))))


def test_a_lagged_range_is_wider_than_those_of_three_days():
    days = slice(700, 703)
    warm = planted((days, TMAX, [20.0, 45.0, 20.0]), (days, TMIN, [4.0, 3.0, 5.0]))
    assert found_by(lagged_ranges, warm) == [([701], "tmax")]
    cold = planted((days, TMAX, [20.0, 22.0, 25.0]), (days, TMIN, [4.0, -20.0, 5.0]))
    assert found_by(lagged_ranges, cold) == [([701], "tmin")]
    assert lagged_ranges(cold.dates, cold.values)[0].reason == (
        "40.0 degC below the coldest tmax of that and the adjacent days; the limit is 40"
    )
    # Fort Collins: a range of 41.1 degC in one day, before a milder night.
    one_day = planted((days, TMAX, [5.0, 12.0, 14.0]), (days, TMIN, [-20.0, -29.1, -8.0]))
    assert not found_by(lagged_ranges, one_day)
