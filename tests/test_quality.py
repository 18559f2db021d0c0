import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.readers import read_record
from models.quality import (
    CHECKS,
    Finding,
    doubtful,
    dry_stretches,
    gaps,
    lagged_ranges,
    naughts,
    outliers,
    rain_streaks,
    repeats,
    set_aside_the_doubtful,
    spikes,
    streaks,
)
from models.station_days import COLUMNS, RAIN, TMAX, TMIN, StationDays, set_aside_the_impossible
from tests.conftest import SHARED, synthetic_days

NAN = np.nan
LONG = synthetic_days(12 * 365)
JULY, JANUARY = LONG.dates.tolist().index(np.datetime64("2018-07-15").item()), 3 * 365 + 10


def planted(*cells, days=LONG):
    """Return the station-days with (row or slice, column, value) written in."""
    values = days.values.copy()
    for row, column, value in cells:
        values[row, column] = value
    return StationDays(days.first, values)


def found_by(check, days):
    return [(f.rows.tolist(), COLUMNS[f.column]) for f in check(days.dates, days.values)]


def tropical(years=60, seed=0):
    """A station where tmin is 24 or 25 degC on most days, in whole degrees."""
    rng = np.random.default_rng(seed)
    weather = np.zeros(years * 365)
    for day in range(1, len(weather)):
        weather[day] = 0.7 * weather[day - 1] + rng.normal(0, 0.4)
    tmin = np.round(24.6 + weather)
    tmax = np.round(31.3 + 0.8 * weather + rng.normal(0, 0.5, len(weather)))
    return StationDays(np.datetime64("1950-01-01", "D"), np.column_stack([tmax, tmin, np.full(len(weather), NAN)]))


def test_a_record_without_errors_is_left_as_it_is():
    kept, listed = set_aside_the_doubtful(LONG)
    np.testing.assert_array_equal(kept.values, LONG.values)
    assert not listed


@pytest.mark.parametrize("zero", [0.0, -17.8, (0 - 32) / 1.8])
def test_zero_for_missing(zero):
    days = planted((JULY, [TMAX, TMIN], zero))
    assert found_by(naughts, days) == [([JULY], "tmax"), ([JULY], "tmin")]
    reason = naughts(days.dates, days.values)[0].reason
    assert reason == f"tmax and tmin are both {zero:.3g}, and the days around more than 10 from it"


def test_two_zeros_for_missing_do_not_confirm_each_other():
    assert len(found_by(naughts, planted((slice(JULY, JULY + 2), [TMAX, TMIN], 0.0)))) == 4


def test_a_day_of_fog_at_freezing_point_is_believed():
    # Valdez, 2005-01-03 to 05.
    winter = planted((JANUARY - 1, [TMAX, TMIN], [2.2, -1.1]), (JANUARY + 1, [TMAX, TMIN], [2.8, -6.7]))
    assert not found_by(naughts, planted((JANUARY, [TMAX, TMIN], 0.0), days=winter))


def copied(source, to, n, days=LONG):
    """Return the station-days with ``n`` days from row ``source`` entered again from row ``to``."""
    return planted((slice(to, to + n), slice(None), days.values[source : source + n]), days=days)


def repeated(days):
    """Return the rows whose tmax is found to be that of earlier days; nothing is doubted but what is the same."""
    rows = [row for f in repeats(days.dates, days.values) if f.column == TMAX for row in f.rows]
    assert len(rows) == len(set(rows))
    return set(rows)


@pytest.mark.parametrize("n", [365, 366])
def test_the_last_year_is_appended_as_the_newest(n):
    record = LONG.part(0, 10 * 365)
    days = StationDays(record.first, np.concatenate([record.values, record.values[-n:]]))
    rows = list(range(len(record), len(record) + n))
    assert found_by(repeats, days) == [(rows, "tmax"), (rows, "tmin"), (rows, "rain")]
    reason = (
        f"repeats {record.dates[-n]} to 2024-12-28, value for value, until {days.last}; the limit is 20 observed days"
    )
    assert {f.reason for f in repeats(days.dates, days.values)} == {reason}


@pytest.mark.parametrize(("source", "to"), [(2016, 2018), (2017, 2020), (2016, 2020), (2017, 2018)])
def test_a_year_is_entered_again_by_calendar_date_whatever_became_of_the_leap_day(source, to):
    values = LONG.values.copy()
    place = {str(date)[5:]: row for row, date in enumerate(LONG.dates) if str(date).startswith(str(source))}
    expected = set()
    for row, date in enumerate(LONG.dates):
        if str(date).startswith(str(to)) and str(date)[5:] in place:
            values[row] = values[place[str(date)[5:]]]
            expected.add(row)
    assert repeated(StationDays(LONG.first, values)) == expected


@settings(max_examples=60)
@given(st.data())
def test_days_that_are_entered_again_are_found_wherever_they_are(data):
    n = data.draw(st.integers(20, 400), "days")
    source = data.draw(st.integers(0, len(LONG) - 2 * n), "first")
    to = data.draw(st.integers(source + n, len(LONG) - n), "again")
    absent = data.draw(st.sets(st.integers(0, n - 1), max_size=n - 20), "not observed")
    days = planted(*((source + day, [TMAX, TMIN], NAN) for day in absent))
    days = copied(source, to, n, days)
    rows, tmax = repeated(days), days.tmax
    expected = {to + day for day in range(n) if day not in absent}
    assert rows >= expected
    # A day next to the copy may be the same by chance; the days that were copied are believed.
    assert all(tmax[row] in tmax[max(source - 3, 0) : source + n + 3] for row in rows - expected)
    assert len(rows - expected) <= 3
    assert rows.isdisjoint(range(source, source + n - 3))
    kept, _ = set_aside_the_doubtful(days)
    assert not doubtful(kept)


@settings(max_examples=30)
@given(
    st.integers(0, 2000),
    st.integers(2400, 4000),
    st.integers(20, 366),
    st.integers(0, 18),
    st.sampled_from([-0.1, 0.1]),
)
def test_days_that_are_much_alike_are_believed(source, to, n, first, difference):
    days = copied(source, to, n)
    other = slice(to + first, to + n, 19)
    assert not repeated(planted((other, TMAX, days.values[other, TMAX] + difference), days=days))


def test_what_is_too_short_to_be_a_copy_is_believed():
    assert not repeated(copied(500, 1000, 19))
    assert len(repeated(copied(500, 1000, 20))) == 20


def test_zero_is_zero_whatever_its_sign():
    days = planted((510, TMAX, 0.0), (1010, TMAX, -0.0), days=copied(500, 1000, 25))
    assert repeated(days) == set(range(1000, 1025))


def test_of_three_that_are_the_same_the_first_is_believed():
    days = copied(500, 3000, 31, copied(500, 1500, 31))
    assert repeated(days) == {*range(1500, 1531), *range(3000, 3031)}
    assert all("repeats 2016-05-15 to 2016-06-14" in f.reason for f in repeats(days.dates, days.values))


def test_a_copy_of_days_of_which_some_are_a_copy():
    days = copied(1500, 3000, 60, copied(500, 1500, 31))
    assert repeated(days) == {*range(1500, 1531), *range(3000, 3060)}
    assert [f.reason[8:32] for f in repeats(days.dates, days.values) if f.column == TMAX] == [
        "2016-05-15 to 2016-06-14",
        "2016-05-15 to 2016-06-14",
        "2019-03-12 to 2019-04-09",
    ]


def test_a_value_that_was_corrected_in_the_copy_is_believed():
    days = planted((1030, TMAX, 1.23), (1005, TMIN, -1.23), (1045, RAIN, 1.23), days=copied(500, 1000, 60))
    assert repeated(days) == {*range(1000, 1030), *range(1031, 1060)}
    kept, _ = set_aside_the_doubtful(days)
    believed = np.argwhere(np.isfinite(kept.values[1000:1060]))
    assert believed.tolist() == [[5, TMIN], [30, TMAX], [30, TMIN], [30, RAIN], [45, RAIN]]


def test_only_the_columns_that_repeat_are_doubted():
    tmax_alone = planted((slice(1000, 1060), TMAX, LONG.values[500:560, TMAX]))
    assert found_by(repeats, tmax_alone) == [(list(range(1000, 1060)), "tmax")]
    dry_but = planted((slice(None), RAIN, 0.0), (510, RAIN, 3.0), (1020, RAIN, 4.0), days=tmax_alone)
    assert found_by(repeats, dry_but) == [(list(range(1000, 1060)), "tmax")]
    without_rain = planted((slice(None), RAIN, NAN), days=copied(500, 1000, 60))
    assert [column for _, column in found_by(repeats, without_rain)] == ["tmax", "tmin"]
    dry = planted((slice(None), RAIN, 0.0), days=copied(500, 1000, 60))
    assert [column for _, column in found_by(repeats, dry)] == ["tmax", "tmin", "rain"]


@pytest.mark.parametrize(("values", "found"), [([30, 31, 32, 33, 34], False), ([30, 31, 32, 33, 34, 35], True)])
def test_a_few_values_may_repeat_by_chance(values, found):
    tmax = np.resize(np.random.default_rng(0).permutation(np.resize(values, 25)), 25)
    days = planted((slice(500, 525), TMAX, tmax), (slice(1000, 1025), TMAX, tmax))
    assert bool(repeated(days)) == found


def test_whole_degrees_in_the_tropics_are_no_copies():
    days = tropical()
    assert not repeated(days)
    assert not repeated(planted((slice(3000, 3400), [TMAX, TMIN], 25.0), days=days))


@pytest.mark.parametrize("column", [TMAX, TMIN])
def test_a_streak_is_counted_in_observed_days(column):
    days = planted((slice(500, 522), column, 12.3), (slice(505, 507), column, NAN))
    rows = [*range(500, 505), *range(507, 522)]
    assert found_by(streaks, days) == [(rows, COLUMNS[column])]
    (finding,) = streaks(days.dates, days.values)
    assert finding.reason == "the same on 20 observed days in a row, from 2016-05-15 to 2016-06-05; the limit is 20"


def test_streaks_do_not_hide_each_other():
    """Three of 21 days are a large share of the streaks of 150 days; a value that never changes is all there is."""
    days = planted(*((slice(start, start + 21), TMAX, 12.3 + start) for start in (510, 550, 590))).part(500, 650)
    assert len(streaks(days.dates, days.values)) == 3
    still = StationDays(days.first, np.full_like(days.values, 10.0))
    assert {len(finding.rows) for finding in streaks(still.dates, still.values)} == {150}


def test_a_short_streak_is_believed():
    assert not found_by(streaks, planted((slice(500, 519), TMAX, 12.3)))


def test_whole_degrees_in_the_tropics_are_no_streaks():
    days = tropical()
    tmin = days.values[:, TMIN]
    assert (tmin[1:] == tmin[:-1]).mean() > 0.5
    assert not doubtful(days)
    stuck = planted((slice(3000, 3090), TMIN, 25.0), days=days)
    ((rows, _),) = found_by(streaks, stuck)
    assert set(range(3000, 3090)) <= set(rows)


def test_a_value_far_beyond_all_others_of_its_month():
    days = planted((JANUARY, TMAX, 40.0), (JULY, TMIN, -17.0), (JULY + 1, TMIN, -17.0))
    assert found_by(gaps, days) == [([JANUARY], "tmax"), ([JULY], "tmin"), ([JULY + 1], "tmin")]
    assert gaps(days.dates, days.values)[0].reason.endswith("degC from the rest of January; the limit is 10")


def test_a_frost_that_comes_and_goes_is_believed_however_deep():
    frost = planted((slice(JANUARY, JANUARY + 4), TMIN, [-14.0, -30.0, -26.0, -13.0]))
    without = planted((JANUARY + 1, TMIN, -30.0))
    assert not found_by(gaps, frost)
    assert found_by(gaps, without) == [([JANUARY + 1], "tmin")]


def test_an_outlier_of_its_time_of_year():
    days = synthetic_days(40 * 365, seed=1)
    usual = np.nanmean(days.values[JULY - 7 : JULY + 8, TMAX])
    wrong = planted((JULY, TMAX, usual + 24), days=days)
    assert found_by(outliers, wrong) == [([JULY], "tmax")]
    (finding,) = outliers(wrong.dates, wrong.values)
    assert "standard deviations above the mean of the time of year" in finding.reason
    assert finding.reason.endswith("the limit is 6")


def test_a_heat_wave_is_believed():
    # Oakland, 2006-07-20 to 26: 6.2 standard deviations.
    days = synthetic_days(40 * 365, seed=1)
    usual = np.nanmean(days.values[JULY - 7 : JULY + 8, TMAX])
    wave = planted((slice(JULY - 2, JULY + 3), TMAX, usual + np.array([8, 15, 26, 22, 9.0])), days=days)
    assert not doubtful(wave)


def test_a_day_of_rain_in_the_tropics_is_believed():
    # Darwin, 2016-10-22: 34.5, 26.7, 33.3.
    days = tropical()
    assert not found_by(outliers, planted((5000, TMAX, 22.5), days=days))
    assert found_by(outliers, planted((5000, TMAX, 19.0), days=days)) == [([5000], "tmax")]


def test_a_climate_of_few_values_judges_nobody():
    assert not found_by(outliers, planted((JULY, TMAX, 60.0), days=LONG.part(0, 5 * 365)))


@pytest.mark.parametrize(("sign", "side"), [(1, "above"), (-1, "below")])
def test_a_spike_is_far_from_both_days_around(sign, side):
    days = planted((slice(700, 703), TMAX, [10.0, 10 + sign * 27, 11]))
    assert found_by(spikes, days) == [([701], "tmax")]
    assert spikes(days.dates, days.values)[0].reason.startswith(f"{27 - (sign > 0):.1f} degC {side} the day before")


@pytest.mark.parametrize("around", [[-15.0, 12.0, 8.0], [-15.0, 10.5, -14.0], [-15.0, 20.0, NAN]])
def test_a_change_of_weather_is_no_spike(around):
    assert not found_by(spikes, planted((slice(700, 703), TMAX, around)))


def test_a_range_that_three_days_do_not_have():
    warm = planted((slice(700, 703), TMAX, [20.0, 45.0, 20.0]), (slice(700, 703), TMIN, [4.0, 3.0, 5.0]))
    assert found_by(lagged_ranges, warm) == [([701], "tmax")]
    cold = planted((slice(700, 703), TMAX, [20.0, 22.0, 25.0]), (slice(700, 703), TMIN, [4.0, -20.0, 5.0]))
    assert found_by(lagged_ranges, cold) == [([701], "tmin")]
    assert lagged_ranges(cold.dates, cold.values)[0].reason == (
        "40.0 degC below the coldest tmax of the day and the days around; the limit is 40"
    )


def test_a_range_of_one_day_is_believed():
    # Fort Collins: a range of 41.1 degC in a day, and the night after it was milder.
    days = planted((slice(700, 703), TMAX, [5.0, 12.0, 14.0]), (slice(700, 703), TMIN, [-20.0, -29.1, -8.0]))
    assert not found_by(lagged_ranges, days)


def test_rain_that_nobody_reported():
    days = planted((slice(0, 3 * 365), RAIN, 0.0))
    (finding,) = dry_stretches(days.dates, days.values)
    assert finding.rows[0] == 0
    assert finding.rows[-1] >= 3 * 365 - 1
    assert finding.reason.startswith("no rain from 2015-01-01 to 2017-12-3")
    kept, listed = set_aside_the_doubtful(days)
    assert np.isnan(kept.values[: 3 * 365, RAIN]).all()
    assert [(str(s.date), s.column, s.value) for s in listed] == [("2015-01-01", "rain", 0.0)]


def test_two_stretches_without_rain_do_not_speak_for_each_other():
    days = planted((slice(0, 7 * 365), RAIN, 0.0), (slice(10 * 365, 11 * 365 + 20), RAIN, 0.0))
    assert len(found_by(dry_stretches, days)) == 2


def test_a_desert_is_believed():
    rng = np.random.default_rng(0)
    rain = np.where(rng.random(len(LONG)) < 0.01, 3.0, 0.0)
    rain[2000:2800] = 0
    assert not found_by(dry_stretches, planted((slice(None), RAIN, rain)))


def test_a_year_of_dry_seasons_alone_is_believed():
    """A monsoon, whose wet months nobody observed for three years."""
    months = LONG.dates.astype("M8[M]").astype(int) % 12
    wet_months = (months >= 5) & (months <= 8)
    rain = np.where(wet_months, LONG.values[:, RAIN], 0.0)
    rain[wet_months & (np.arange(len(LONG)) < 3 * 365)] = NAN
    assert not found_by(dry_stretches, planted((slice(None), RAIN, rain)))


def test_a_dry_record_has_nothing_to_compare_with():
    assert not found_by(dry_stretches, planted((slice(None), RAIN, 0.0)))
    assert not found_by(dry_stretches, planted((slice(0, 12 * 365 - 100), RAIN, 0.0)))


def test_the_same_rain_again_and_again():
    days = planted((slice(600, 630), RAIN, 5.1), (slice(610, 615), RAIN, 0.0))
    ((rows, column),) = found_by(rain_streaks, days)
    assert column == "rain"
    assert set(rows) == {*range(600, 610), *range(615, 630)}


def test_dew_in_the_gauge_is_believed():
    assert not found_by(rain_streaks, planted((slice(600, 660), RAIN, 0.2)))


def test_what_was_set_aside_is_listed_by_date_with_its_value():
    days = planted(
        (JANUARY, TMAX, 45.0), (JULY, [TMAX, TMIN], 0.0), (slice(50, 80), TMIN, 1.0), (slice(600, 630), RAIN, 5.1)
    )
    kept, listed = set_aside_the_doubtful(days)
    assert [(str(s.date), s.column, s.value) for s in listed] == [
        ("2015-02-20", "tmin", 1.0),
        ("2016-08-23", "rain", 5.1),
        (str(days.dates[JANUARY]), "tmax", 45.0),
        ("2018-07-15", "tmax", 0.0),
        ("2018-07-15", "tmin", 0.0),
    ]
    assert np.isnan(kept.values[50:80, TMIN]).all()
    assert days.values[JULY, TMAX] == 0  # the record that was given is not changed
    np.testing.assert_array_equal(kept.values[JULY + 1 :], days.values[JULY + 1 :])


@pytest.mark.parametrize("n", [1, 2, 3, 40])
@pytest.mark.parametrize("value", [NAN, 0.0, 7.0])
def test_little_or_nothing_observed(n, value):
    days = StationDays(np.datetime64("2024-02-28", "D"), np.full((n, 3), value))
    assert all(isinstance(f, Finding) for check in CHECKS for f in check(days.dates, days.values))


wrong_values = st.lists(
    st.tuples(
        st.integers(0, len(LONG) - 1),
        st.integers(1, 40),
        st.sampled_from([TMAX, TMIN, RAIN]),
        st.one_of(st.just(NAN), st.floats(-60, 56).map(lambda v: round(v, 1))),
    ),
    max_size=12,
)


@settings(max_examples=60)
@given(wrong_values, st.booleans())
def test_whatever_is_wrong_nothing_is_changed_but_to_nan_and_everything_is_listed(wrong, unreported):
    days = planted(*((slice(row, row + n), column, value) for row, n, column, value in wrong))
    if unreported:
        days = planted((slice(100, 1000), RAIN, 0.0), days=days)
    days, _ = set_aside_the_impossible(days)
    before = days.values.copy()
    kept, listed = set_aside_the_doubtful(days)
    np.testing.assert_array_equal(days.values, before)
    changed = np.isnan(kept.values) & ~np.isnan(before)
    np.testing.assert_array_equal(kept.values[~changed], before[~changed])

    findings = doubtful(days)
    cells = [(row, f.column) for f in findings for row in f.rows]
    assert len(cells) == len(set(cells))
    assert set(cells) == {(row, column) for row, column in np.argwhere(changed)}
    assert sorted((str(days.dates[f.rows[0]]), COLUMNS[f.column], f.reason) for f in findings) == sorted(
        (str(s.date), s.column, s.reason) for s in listed
    )
    assert [s.date for s in listed] == sorted(s.date for s in listed)


@pytest.mark.parametrize("seed", range(5))
def test_what_was_believed_once_is_believed_again(seed):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(LONG) - 40, 12)
    cells = [(slice(row, row + rng.choice([1, 2, 25])), rng.integers(3), float(rng.integers(-30, 50))) for row in rows]
    days, _ = set_aside_the_impossible(planted(*cells, (slice(100, 1000), RAIN, 0.0)))
    kept, listed = set_aside_the_doubtful(days)
    assert listed
    assert not doubtful(kept)


WRONG = {
    "oakland_ca_us": [
        "1984-12-02 tmin",
        "2004-03-08 tmin",
        "2009-09-23 tmin",
        "2009-09-24 tmin",
        "2010-03-07 tmax",
        "2010-06-06 tmin",
    ],
    "valdez_ak_us": ["1921-01-01 tmax", "1921-01-01 tmin", "1921-01-01 rain", "1946-08-10 tmin"],
}


@pytest.mark.skipif(not SHARED.exists(), reason="the records are not part of the project")
@pytest.mark.parametrize("station", ["oakland_ca_us", "valdez_ak_us", "newyork_wbcity_us", "sharjah_ae", "darwin_au"])
def test_real_records(station):
    days = read_record(SHARED / f"data/stations/{station}.csv").days
    _, listed = set_aside_the_doubtful(days)
    assert [f"{s.date} {s.column}" for s in listed] == WRONG.get(station, [])


@pytest.mark.skipif(not SHARED.exists(), reason="the records are not part of the project")
def test_the_one_copy_of_the_real_records():
    found = []
    for path in sorted(SHARED.glob("data/stations/*.csv")):
        days = read_record(path).days
        found += [(path.stem, f.column, f.reason) for f in repeats(days.dates, days.values)]
    same = "repeats 1920-01-01 to 1920-01-{}, value for value, until 1921-01-{}; the limit is 20 observed days"
    assert found == [("valdez_ak_us", column, same.format(*[29 - (column == TMIN)] * 2)) for column in range(3)]
