"""Quality control of a whole record: what is set aside, and how it is listed."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.readers import read_record
from models.record.columns import COLUMNS, RAIN, TMAX, TMIN
from models.record.days import StationDays
from models.record.quality import CHECKS, Finding, find_suspect, set_aside_impossible, set_aside_suspect
from tests.models.record.quality.planted import JANUARY, JULY, LONG, NAN, planted
from tests.stations import RECORDS

# The findings in real records, of this repository and of the folder TMAX_RECORDS; none in any other.
SUSPECT = {
    "oakland": ["2009-09-23 tmin", "2009-09-24 tmin", "2010-03-07 tmax", "2010-06-06 tmin"],
    "valdez": ["1921-01-01 tmax", "1921-01-01 tmin", "1921-01-01 rain"],
}
SUSPECT["oakland_ca_us"] = ["1984-12-02 tmin", "2004-03-08 tmin", *SUSPECT["oakland"]]
SUSPECT["valdez_ak_us"] = [*SUSPECT["valdez"], "1946-08-10 tmin"]
COPY = "repeats 1920-01-01 to 1920-01-{0}, value for value, until 1921-01-{0}; the limit is 20 observed days"


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_real_records(record):
    days = read_record(record).days
    kept, listed = set_aside_suspect(days)
    assert [f"{s.date} {s.column}" for s in listed] == SUSPECT.get(record.stem, [])
    copied = COLUMNS if "valdez" in record.stem else ()
    copies = [(s.column, s.reason) for s in listed if "repeats" in s.reason]
    assert copies == [(name, COPY.format(28 if name == "tmin" else 29)) for name in copied]
    assert not find_suspect(kept)


def test_impossible_values_are_set_aside_and_listed():
    days = StationDays(
        np.datetime64("2024-01-01", "D"),
        np.array([[20.0, 10, 0], [60, 10, 0], [20, 21, 5], [20, 10, -1], [50.0, NAN, 1825]]),
        {"guidance": np.array([NAN, -9999, 3, 4, 5]), "guidance_spread": np.array([1.0, 1, -1, 1, 1])},
    )
    kept, listed = set_aside_impossible(days)
    assert [(str(s.date), s.column, s.value, s.reason) for s in listed] == [
        ("2024-01-02", "tmax", 60.0, "outside -90 to 57"),
        ("2024-01-04", "rain", -1.0, "outside 0 to 1900"),
        ("2024-01-03", "tmax", 20.0, "tmin above tmax"),
        ("2024-01-03", "tmin", 21.0, "tmin above tmax"),
        ("2024-01-02", "guidance", -9999.0, "outside -90 to 57"),
        ("2024-01-03", "guidance_spread", -1.0, "below 0"),
    ]
    expected = [[20, 10, 0], [NAN, 10, 0], [NAN, NAN, 5], [20, 10, NAN], [50, NAN, 1825]]
    np.testing.assert_array_equal(kept.values, expected)
    np.testing.assert_array_equal(kept.further["guidance"], [NAN, NAN, 3, 4, 5])
    np.testing.assert_array_equal(kept.further["guidance_spread"], [1, 1, NAN, 1, 1])
    # The given record is unchanged.
    assert (days.values[1, 0], days.further["guidance"][1]) == (60, -9999)


def test_suspect_values_are_listed_by_date_once_for_each_finding():
    days = planted(
        (JANUARY, TMAX, 45.0), (JULY, [TMAX, TMIN], 0.0), (slice(50, 80), TMIN, 1.0), (slice(600, 630), RAIN, 5.1)
    )
    kept, listed = set_aside_suspect(days)
    assert [(str(s.date), s.column, s.value) for s in listed] == [
        ("2015-02-20", "tmin", 1.0),
        ("2016-08-23", "rain", 5.1),
        (str(days.dates[JANUARY]), "tmax", 45.0),
        ("2018-07-15", "tmax", 0.0),
        ("2018-07-15", "tmin", 0.0),
    ]
    assert np.isnan(kept.values[50:80, TMIN]).all()
    assert not find_suspect(kept)
    np.testing.assert_array_equal(kept.values[JULY + 1 :], days.values[JULY + 1 :])


wrong_values = st.lists(
    st.tuples(
        st.integers(0, len(LONG) - 1),
        st.integers(1, 40),
        st.sampled_from([TMAX, TMIN, RAIN]),
        st.one_of(st.just(NAN), st.floats(-60, 56).map(lambda v: round(v, 1))),
    ),
    max_size=12,
)


@settings(max_examples=20)
@example([], False)
@given(wrong_values, st.booleans())
def test_suspect_values_become_nan_and_are_listed_and_nothing_else_changes(wrong, unreported):
    days = planted(*((slice(row, row + n), column, value) for row, n, column, value in wrong))
    if unreported:
        days = planted((slice(100, 1000), RAIN, 0.0), days=days)
    days, _ = set_aside_impossible(days)
    before = days.values.copy()
    kept, listed = set_aside_suspect(days)
    np.testing.assert_array_equal(days.values, before)
    changed = np.isnan(kept.values) & ~np.isnan(before)
    np.testing.assert_array_equal(kept.values[~changed], before[~changed])

    findings = find_suspect(days)
    assert bool(findings) <= bool(wrong or unreported)
    assert any(f.column == RAIN for f in findings) >= unreported
    cells = [(row, f.column) for f in findings for row in f.rows]
    assert len(cells) == len(set(cells))
    assert set(cells) == {(row, column) for row, column in np.argwhere(changed)}
    assert sorted((str(days.dates[f.rows[0]]), COLUMNS[f.column], f.reason) for f in findings) == sorted(
        (str(s.date), s.column, s.reason) for s in listed
    )
    assert [s.date for s in listed] == sorted(s.date for s in listed)


@pytest.mark.parametrize("n", [1, 2, 3, 40])
@pytest.mark.parametrize("value", [NAN, 0.0, 7.0])
def test_every_check_accepts_a_record_of_few_or_missing_values(n, value):
    days = StationDays(np.datetime64("2024-02-28", "D"), np.full((n, 3), value))
    assert all(isinstance(f, Finding) for check in CHECKS for f in check(days.dates, days.values))
