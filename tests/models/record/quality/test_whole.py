"""Records that are refused as a whole: stuck, swapped, or read in another unit."""

import numpy as np
import pytest

from app.readers import read_record
from models.record.columns import TMAX, TMIN, from_celsius, to_celsius
from models.record.days import StationDays
from models.record.quality import set_aside_impossible, set_aside_suspect
from models.record.quality.whole import check_units
from tests.models.record.quality.planted import LONG, NAN, planted
from tests.stations import RECORDS, ROOT

FLINT, VALDEZ = (read_record(ROOT / "tests" / "data" / f"{name}.csv").days for name in ("flint", "valdez"))
BOTH = [TMAX, TMIN]


def converted(days, convert):
    return planted((slice(None), BOTH, convert(days.values[:, BOTH])), days=days)


def between(days, first, last):
    start, stop = ((np.datetime64(date) - days.first).astype(int) for date in (first, last))
    return days.part(int(start), int(stop) + 1)


@pytest.mark.parametrize("n", [20, 500])
def test_a_value_that_never_changes_is_told(n):
    days = planted((slice(None), TMAX, 20.0), days=LONG.part(0, n))
    with pytest.raises(ValueError, match=f"^tmax is 20 degC on all {n} days: the value never changes$"):
        set_aside_suspect(days)


def test_a_record_stuck_for_most_of_its_length_is_told():
    stuck = planted((slice(50, 200), TMAX, 12.3), (slice(250, 300), TMAX, 7.5), days=LONG.part(0, 399))
    error = "^tmax does not change on 200 of 399 days: it is 12.3 degC from 2015-02-20 to 2015-07-19$"
    with pytest.raises(ValueError, match=error):
        set_aside_suspect(stuck)
    assert set_aside_suspect(planted((50, TMAX, 12.4), days=StationDays(LONG.first, stuck.values[:400])))[1]


def test_swapped_columns_are_told_and_a_part_of_them_is_set_aside():
    swapped = StationDays(LONG.first, LONG.values[:, [TMIN, TMAX, 2]])
    with pytest.raises(ValueError, match=r"^tmin is above tmax on 100 % of the days: are the two columns swapped\?$"):
        set_aside_impossible(swapped)
    n = len(LONG)
    for share, refused in ((0.4, False), (0.6, True)):
        partly = planted((slice(0, int(share * n)), BOTH, LONG.values[: int(share * n), BOTH[::-1]]))
        if refused:
            with pytest.raises(ValueError, match=r"^tmin is above tmax on 60 % of the days"):
                set_aside_impossible(partly)
        else:
            assert len(set_aside_impossible(partly)[1]) == 2 * int(share * n)
    # A few days show nothing.
    assert len(set_aside_impossible(swapped.part(0, 9))[1]) == 18


@pytest.mark.parametrize(
    "winter", [between(FLINT, "2013-11-01", "2014-03-31"), between(VALDEZ, "1917-11-01", "1918-03-31")]
)
def test_a_winter_in_degf_is_refused(winter):
    with pytest.raises(
        ValueError, match=r"^the temperatures look like degF: from day to day tmax changes by \d+\.\d"
    ) as e:
        set_aside_suspect(converted(winter, lambda t: from_celsius(t, "us")))
    assert str(e.value).endswith("degC is as changeable; say --units us")
    assert not set_aside_suspect(winter)[1]


@pytest.mark.parametrize("column", BOTH)
def test_either_temperature_shows_it(column):
    winter = converted(between(FLINT, "2013-11-01", "2014-03-31"), lambda t: from_celsius(t, "us"))
    with pytest.raises(ValueError, match="look like degF"):
        check_units(planted((slice(None), BOTH[1 - BOTH.index(column)], NAN), days=winter).values)


def test_years_in_degc_read_as_degf_are_refused():
    years = converted(VALDEZ, lambda t: to_celsius(t, "us"))
    error = (
        r"^the temperatures look like degC read as degF: .* nine tenths of tmax below -\d\.\d degC .*--units metric$"
    )
    with pytest.raises(ValueError, match=error):
        set_aside_suspect(years)
    check_units(years.part(0, 200).values)  # too short to tell


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_parts_of_real_records_are_not_refused(record):
    days, rng = read_record(record).days, np.random.default_rng(0)
    for n in (120, 182, 365, 1095):
        for start in rng.integers(0, max(1, len(days) - n), 30):
            check_units(days.part(int(start), int(start) + n).values)


def test_days_in_no_order_are_not_taken_for_degf():
    order = np.random.default_rng(0).permutation(len(FLINT))
    check_units(FLINT.values[order])
