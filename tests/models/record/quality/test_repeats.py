"""Repeated values: zeros for missing values, duplicated days, streaks, and rain that was not reported."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.record.columns import RAIN, TMAX, TMIN
from models.record.days import StationDays
from models.record.quality import find_suspect, set_aside_suspect
from models.record.quality.repeats import copies, dry_spells, rain_streaks, temperature_streaks, zeros
from tests.models.record.quality.planted import JANUARY, JULY, LONG, NAN, copied, found_by, planted, tropical


@pytest.mark.parametrize("zero", [0.0, -17.8, (0 - 32) / 1.8])
def test_zeros_in_place_of_missing_values_are_found(zero):
    days = planted((JULY, [TMAX, TMIN], zero))
    assert found_by(zeros, days) == [([JULY], "tmax"), ([JULY], "tmin")]
    reason = f"tmax and tmin are both {zero:.3g} degC, more than 10 from the nearest days"
    assert {f.reason for f in zeros(days.dates, days.values)} == {reason}
    # Two such days do not confirm each other.
    assert len(found_by(zeros, planted((slice(JULY, JULY + 2), [TMAX, TMIN], zero)))) == 4


def test_a_foggy_day_at_freezing_point_is_accepted():
    """As at Valdez, 3 to 5 January 2005."""
    winter = planted((JANUARY - 1, [TMAX, TMIN], [2.2, -1.1]), (JANUARY + 1, [TMAX, TMIN], [2.8, -6.7]))
    assert not found_by(zeros, planted((JANUARY, [TMAX, TMIN], 0.0), days=winter))


def copied_tmax(days):
    """Return the rows whose tmax is found to be a copy, each found once."""
    rows = [row for f in copies(days.dates, days.values) if f.column == TMAX for row in f.rows]
    assert len(rows) == len(set(rows))
    return set(rows)


def repeated_windows(tmax):
    """Return the rows of all windows of 20 observed days, of 6 distinct values or more, that occurred before."""
    observed = np.flatnonzero(~np.isnan(tmax))
    before, rows = set(), set()
    for start in range(len(observed) - 19):
        window = observed[start : start + 20]
        values = tuple(tmax[window])
        if values in before and len(set(values)) >= 6:
            rows |= set(window.tolist())
        before.add(values)
    return rows


@settings(max_examples=150)
@given(st.data())
def test_copies_are_windows_of_20_observed_days_that_occurred_before(data):
    """Weather in which 3 to 40 values occur, with copies of copies, corrections in them, and missing days."""
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    tmax = rng.integers(0, data.draw(st.sampled_from([3, 5, 6, 7, 40])), 300).astype(float) - 2
    for _ in range(data.draw(st.integers(0, 3), "copies")):
        n, source, to = rng.integers(10, 60), rng.integers(0, 240), rng.integers(0, 240)
        tmax[to : to + n] = tmax[source : source + n].copy()
    tmax[rng.random(300) < data.draw(st.sampled_from([0, 0.02, 0.1]), "missing")] = NAN
    tmax[rng.random(300) < data.draw(st.sampled_from([0, 0.02]), "corrected")] = 50
    tmax[(tmax == 0) & (rng.random(300) < 0.5)] = -0.0
    days = StationDays(LONG.first, np.column_stack([tmax, tmax - 5, np.zeros(300)]))
    assert copied_tmax(days) == repeated_windows(tmax)


def test_a_copy_is_described_by_its_first_original():
    record = LONG.part(0, 10 * 365)
    days = StationDays(record.first, np.concatenate([record.values, record.values[-366:]]))
    rows = list(range(len(record), len(record) + 366))
    assert found_by(copies, days) == [(rows, "tmax"), (rows, "tmin"), (rows, "rain")]
    reason = f"repeats {record.dates[-366]} to 2024-12-28, value for value, until {days.last}; the limit is 20"
    assert {f.reason for f in copies(days.dates, days.values)} == {f"{reason} observed days"}
    # Of the 60 days copied here, the first 31 are a copy themselves.
    nested = copied(1500, 3000, 60, copied(500, 1500, 31))
    assert [f.reason[8:32] for f in copies(nested.dates, nested.values) if f.column == TMAX] == [
        "2016-05-15 to 2016-06-14",
        "2016-05-15 to 2016-06-14",
        "2019-03-12 to 2019-04-09",
    ]


def test_a_value_corrected_in_the_copy_is_accepted():
    days = planted((1030, TMAX, 1.23), (1005, TMIN, -1.23), (1045, RAIN, 1.23), days=copied(500, 1000, 60))
    accepted = np.argwhere(np.isfinite(set_aside_suspect(days)[0].values[1000:1060]))
    assert accepted.tolist() == [[5, TMIN], [30, TMAX], [30, TMIN], [30, RAIN], [45, RAIN]]


def test_only_columns_that_repeat_are_suspect():
    tmax_only = planted((slice(1000, 1060), TMAX, LONG.values[500:560, TMAX]))
    assert found_by(copies, tmax_only) == [(list(range(1000, 1060)), "tmax")]
    # Equal zeros do not count against two amounts that differ.
    rain_differs = planted((slice(None), RAIN, 0.0), (510, RAIN, 3.0), (1020, RAIN, 4.0), days=tmax_only)
    assert found_by(copies, rain_differs) == [(list(range(1000, 1060)), "tmax")]
    for rain, columns in ((NAN, ["tmax", "tmin"]), (0.0, ["tmax", "tmin", "rain"])):
        days = planted((slice(None), RAIN, rain), days=copied(500, 1000, 60))
        assert [column for _, column in found_by(copies, days)] == columns


@pytest.mark.parametrize("column", [TMAX, TMIN])
def test_a_streak_is_counted_in_observed_days(column):
    days = planted((slice(500, 522), column, 12.3), (slice(505, 507), column, NAN))
    (finding,) = temperature_streaks(days.dates, days.values)
    assert (finding.column, finding.rows.tolist()) == (column, [*range(500, 505), *range(507, 522)])
    assert finding.reason == "the same on 20 observed days in a row, from 2016-05-15 to 2016-06-05; the limit is 20"
    assert not found_by(temperature_streaks, planted((slice(500, 519), column, 12.3)))


def test_streaks_do_not_hide_each_other():
    """Three streaks of 21 days in 150, and a value that never changes."""
    days = planted(*((slice(start, start + 21), TMAX, 12.3 + start) for start in (510, 550, 590))).part(500, 650)
    assert [len(rows) for rows, _ in found_by(temperature_streaks, days)] == [21, 21, 21]
    still = StationDays(days.first, np.full_like(days.values, 10.0))
    assert [len(rows) for rows, _ in found_by(temperature_streaks, still)] == [150, 150]


def test_whole_degrees_in_the_tropics_are_accepted():
    days = tropical()
    tmin = days.values[:, TMIN]
    assert (tmin[1:] == tmin[:-1]).mean() > 0.5
    assert not find_suspect(days)
    assert not copied_tmax(planted((slice(3000, 3400), [TMAX, TMIN], 25.0), days=days))
    ((rows, _),) = found_by(temperature_streaks, planted((slice(3000, 3090), TMIN, 25.0), days=days))
    assert set(range(3000, 3090)) <= set(rows)


def test_rain_that_was_not_reported_is_found():
    days = planted((slice(0, 3 * 365), RAIN, 0.0))
    (finding,) = dry_spells(days.dates, days.values)
    assert finding.rows[0] == 0
    assert finding.rows[-1] >= 3 * 365 - 1
    assert finding.reason.startswith("no rain from 2015-01-01 to 2017-12-3")
    assert finding.reason.endswith("onsets of rain; the limit is 21")
    # Two such spells do not confirm each other.
    two = planted((slice(0, 7 * 365), RAIN, 0.0), (slice(10 * 365, 11 * 365 + 20), RAIN, 0.0))
    assert len(found_by(dry_spells, two)) == 2


def test_droughts_of_a_dry_climate_are_accepted():
    desert = np.where(np.random.default_rng(0).random(len(LONG)) < 0.01, 3.0, 0.0)
    desert[2000:2800] = 0
    assert not found_by(dry_spells, planted((slice(None), RAIN, desert)))
    # A monsoon whose wet months were not observed for three years.
    months = LONG.dates.astype("M8[M]").astype(int) % 12
    wet_months = (months >= 5) & (months <= 8)
    monsoon = np.where(wet_months, LONG.values[:, RAIN], 0.0)
    monsoon[wet_months & (np.arange(len(LONG)) < 3 * 365)] = NAN
    assert not found_by(dry_spells, planted((slice(None), RAIN, monsoon)))


@pytest.mark.parametrize("dry", [len(LONG), len(LONG) - 100])
def test_a_dry_record_has_nothing_to_compare_with(dry):
    assert not found_by(dry_spells, planted((slice(0, dry), RAIN, 0.0)))


def test_the_same_rain_on_20_wet_days_is_found_unless_it_is_dew():
    days = planted((slice(600, 630), RAIN, 5.1), (slice(610, 615), RAIN, 0.0))
    ((rows, column),) = found_by(rain_streaks, days)
    assert column == "rain"
    assert set(rows) == {*range(600, 610), *range(615, 630)}
    assert not found_by(rain_streaks, planted((slice(600, 660), RAIN, 0.2)))
