"""What is believed of a sequence: real weather, and not the mistakes that people make."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.readers import read_record
from models.forecast.belief import Belief, _Judging
from models.forecast.features import Features
from models.record.columns import COLUMNS, TMAX, TMIN, from_celsius
from models.record.quality import set_aside_suspect
from models.record.split import usable_rows
from tests.stations import QUICK, RECORDS, synthetic_days

LONGEST = 60
HILL = synthetic_days()  # its normals reach from 5 to 25 degC, with a spread of 3.5 degC
PAIR = [TMAX, TMIN]


def belief_of(days):
    rows = usable_rows(days, QUICK)
    return Belief.of(Features.fit(days, rows), days.dates[rows[-1] + 1], LONGEST)


BELIEF = belief_of(HILL)


def window(end, n=LONGEST, days=HILL):
    """A copy of the ``n`` days up to a row or a date."""
    stop = end if isinstance(end, int) else int((np.datetime64(end) - days.first).astype(int)) + 1
    part = days.part(stop - n, stop)
    return replace(part, values=part.values.copy())


def in_degf(days, last=None):
    """The days as read where the ``last`` ones were in degF."""
    values = days.values.copy()
    values[-(last or len(values)) :, PAIR] = values[-(last or len(values)) :, PAIR] * 1.8 + 32
    return replace(days, values=values)


def degc_as_us(days, last=None):
    values = days.values.copy()
    values[-(last or len(values)) :, PAIR] = (values[-(last or len(values)) :, PAIR] - 32) / 1.8
    return replace(days, values=values)


def brief(doubts):
    return [(doubt.row, doubt.column, doubt.rule) for doubt in doubts]


@pytest.mark.parametrize("n", [1, 7, 14, 30, LONGEST])
def test_ordinary_days_are_passed_on_as_they_are(n):
    for end in range(LONGEST, len(HILL), 7):
        days = window(end, n)
        judgement = BELIEF.judge(days)
        assert judgement.days is days
        assert not judgement.set_aside + judgement.accepted + judgement.refused


def edited(end, **changes):
    """The days up to ``end`` with values changed: ``tmax_3=5`` sets the tmax of the last day but three."""
    days = window(end)
    for name, value in changes.items():
        column, _, ago = name.partition("_")
        days.values[-1 - int(ago), COLUMNS.index(column)] = value
    return days


# In July the normals are about 25 and 17 degC, in January 5 and -3.
JULY, JANUARY = "2017-07-20", "2017-01-20"
PAST = [
    ({"tmax_20": 58.0}, [("tmax", "impossible")]),
    ({"tmin_20": -95.0}, [("tmin", "impossible")]),
    ({"rain_20": -1.0}, [("rain", "impossible")]),
    ({"tmax_20": -99.0}, [("tmax", "code")]),
    ({"tmin_20": -999.9}, [("tmin", "code")]),
    ({"rain_20": 999.9}, [("rain", "code")]),
    ({"rain_20": 9999.0}, [("rain", "code")]),
    ({"tmax_20": 20.0, "tmin_20": 21.2}, [("tmax", "order"), ("tmin", "order")]),
    ({"tmax_20": 0.0, "tmin_20": 0.0}, [("tmax", "zeros"), ("tmin", "zeros")]),
    ({"tmax_20": -17.8, "tmin_20": -17.8}, [("tmax", "zeros"), ("tmin", "zeros")]),
    ({"tmax_20": 52.0}, [("tmax", "season")]),
    ({"tmin_20": -20.0}, [("tmin", "season")]),
    ({"tmax_20": 99.9, "tmin_20": 99.9}, [("tmax", "code"), ("tmin", "code")]),
]


@pytest.mark.parametrize(("changes", "expected"), PAST)
def test_a_past_value_that_cannot_be_believed_is_set_aside(changes, expected):
    days = edited(JULY, **changes)
    judgement = BELIEF.judge(days)
    row = len(days) - 21
    assert brief(judgement.set_aside) == [(row, *one) for one in expected]
    assert not judgement.refused
    values = days.values.copy()
    values[row, [COLUMNS.index(column) for column, _ in expected]] = np.nan
    np.testing.assert_array_equal(judgement.days.values, values)


LAST = [
    ({"tmax_0": 58.0}, ["impossible"], []),
    ({"tmax_0": -99.0}, ["code"], []),
    ({"tmax_0": 51.0}, ["season"], []),
    ({"tmax_0": 44.0}, ["step"], []),
    ({"tmax_0": 7.0, "tmin_0": 3.0}, ["step"], []),
    ({"tmax_0": 0.0, "tmin_0": 0.0}, ["zeros"], ["tmin"]),
    ({"tmax_0": 20.0, "tmin_0": 21.0}, ["order", "order"], []),
    ({"tmin_0": 99.9}, [], ["tmin"]),
    ({"tmin_0": 54.0}, [], ["tmin"]),  # above tmax, but the season tells which of them is wrong
    ({"rain_0": -5.0}, [], ["rain"]),
    ({"rain_0": 999.9, "tmin_0": -95.0}, [], ["tmin", "rain"]),
]


@pytest.mark.parametrize(("changes", "refused", "set_aside"), LAST)
def test_on_the_last_day_tmax_is_refused_and_the_rest_set_aside(changes, refused, set_aside):
    days = edited(JULY, tmax_1=25.0, tmin_1=17.0, **changes)
    judgement = BELIEF.judge(days)
    assert [doubt.rule for doubt in judgement.refused] == refused
    assert {doubt.row for doubt in judgement.refused + judgement.set_aside} == {len(days) - 1}
    if not refused:
        assert sorted(doubt.column for doubt in judgement.set_aside) == sorted(set_aside)
        assert judgement.days.tmax[-1] == days.tmax[-1]


def test_a_return_to_the_normal_is_believed():
    days = edited(JULY, tmax_3=24.0, tmax_2=48.0, tmax_1=48.0, tmax_0=25.0)
    assert BELIEF.judge(days, accepted=[*days.dates[-3:-1]]).days is days


def test_neighbours_confirm_a_heat_wave_and_zeros_in_winter():
    wave = edited(JULY, tmax_2=40.0, tmax_1=46.5, tmax_0=47.5)
    assert BELIEF.judge(wave).days is not None
    assert not BELIEF.judge(wave).refused + BELIEF.judge(wave).set_aside
    frost = edited(JANUARY, tmax_1=2.0, tmin_1=-4.0, tmax_0=0.0, tmin_0=0.0)
    assert not BELIEF.judge(frost).refused + BELIEF.judge(frost).set_aside


ACCEPTED = [
    ({"tmax_0": 51.0}, ["season"]),
    ({"tmax_0": 44.0}, ["step"]),
    ({"tmax_0": 0.0, "tmin_0": 0.0}, ["zeros", "zeros"]),
    ({"tmax_9": 51.0, "tmin_9": -20.0}, ["season", "season"]),
    ({"rain_9": 999.9}, ["code"]),
]


@pytest.mark.parametrize(("changes", "rules"), ACCEPTED)
def test_accepted_days_are_used_and_listed(changes, rules):
    days = edited(JULY, tmax_1=25.0, tmin_1=17.0, **changes)
    day = days.dates[-10 if "9" in min(changes) else -1]
    judgement = BELIEF.judge(days, accepted=[day])
    assert judgement.days is days
    assert [doubt.rule for doubt in judgement.accepted] == rules
    assert not judgement.refused + judgement.set_aside
    other = BELIEF.judge(days, accepted=[days.dates[30]])
    assert other.refused + other.set_aside
    assert not other.accepted


@pytest.mark.parametrize("changes", [{"tmax_0": 58.0}, {"tmax_0": 20.0, "tmin_0": 21.0}])
def test_the_impossible_is_not_accepted(changes):
    days = edited(JULY, **changes)
    assert BELIEF.judge(days, accepted=[*days.dates]).refused


@pytest.mark.parametrize("end", [JULY, JANUARY, "2017-04-10", "2017-10-10"])
@pytest.mark.parametrize(("mistaken", "units"), [(in_degf, "metric"), (degc_as_us, "us")])
@pytest.mark.parametrize("n", [7, 14, 30, LONGEST])
def test_a_mistake_of_units_is_found_in_every_season_and_never_accepted(mistaken, units, end, n):
    """In the whole sequence, and in its last days only; also where converted values would be possible."""
    days = window(end, n)
    judgement = BELIEF.judge(mistaken(days), units, [*days.dates])
    assert {doubt.rule for doubt in judgement.refused} == {"units"}
    assert {doubt.row for doubt in judgement.refused} == {*range(n)}
    for last in (3, n // 2):
        judgement = BELIEF.judge(mistaken(days, last), units)
        assert judgement.refused
        if last > 3:
            assert abs(min(doubt.row for doubt in judgement.refused) - (n - last)) <= 1


def test_a_slip_does_not_hide_a_mistake_of_units():
    """The last day would do in degF."""
    days = degc_as_us(edited(JULY, tmax_0=75.0, tmin_0=60.0))
    assert {doubt.rule for doubt in BELIEF.judge(days, "us").refused} == {"units"}


def test_past_days_in_other_units_are_set_aside():
    days = window(JANUARY)
    mistaken = in_degf(days)
    mistaken.values[-10:] = days.values[-10:]
    judgement = BELIEF.judge(mistaken)
    assert not judgement.refused
    assert {doubt.rule for doubt in judgement.set_aside} == {"units"}
    np.testing.assert_array_equal(np.isnan(judgement.days.tmax), [True] * 50 + [False] * 10)


def test_nothing_is_said_of_a_season_or_a_column_that_the_model_does_not_know():
    """Trained from January to May, on records with and without tmin."""
    spring = belief_of(HILL.part(0, 150))
    assert not spring.judge(in_degf(window("2017-09-10"), 1)).refused
    assert spring.judge(edited("2017-04-10", tmax_0=52.0)).refused
    without = replace(HILL, values=HILL.values.copy())
    without.values[:, TMIN] = np.nan
    assert brief(belief_of(without).judge(edited(JULY, tmin_9=-40.0, rain_9=-1.0)).set_aside) == [
        (LONGEST - 10, "rain", "impossible")
    ]


def test_reasons_are_in_the_units_of_the_reader():
    days = edited(JULY, tmax_1=25.0, tmin_1=17.0, tmax_0=51.0)
    (doubt,) = BELIEF.judge(days).refused
    normal = f"{doubt.expected:.1f}"
    assert 23 < doubt.expected < 27
    expected = f"{doubt.deviations:.0f} standard deviations above the normal of 20 July, "
    assert doubt.reason(days.last, "metric") == expected + normal
    assert doubt.reason(days.last, "us") == expected + f"{from_celsius(doubt.expected, 'us'):.1f}"
    days = edited(JULY, tmax_1=25.0, tmin_1=17.0, tmax_0=7.0, tmin_0=3.0)
    (doubt,) = BELIEF.judge(days).refused
    after = f"the {doubt.expected:.1f} expected from the latest day before it"
    assert doubt.reason(days.last, "metric") == f"{-doubt.deviations:.0f} standard deviations below {after}"


@settings(max_examples=200)
@given(
    end=st.integers(LONGEST, len(HILL)),
    n=st.integers(1, LONGEST),
    changes=st.lists(st.tuples(st.integers(0, LONGEST - 1), st.sampled_from(PAIR), st.floats(-30, 30)), max_size=3),
    shift=st.floats(-6, 6),
    gap=st.integers(0, 10),
)
@example(end=60, n=4, changes=[(2, 1, 2.0), (3, 1, 23.0)], shift=6.0, gap=2)  # tmin alone shows the units
def test_the_quick_answer_hides_no_doubt(end, n, changes, shift, gap):
    """Where a sequence is passed on at a glance, no rule would have found anything."""
    days = window(end, n)
    days.values[:, PAIR] += shift
    for row, column, change in changes:
        days.values[row % n, column] += change
    days.values[n // 2 : n // 2 + gap, TMAX] = np.nan
    judgement = BELIEF.judge(days)
    if judgement.days is days and not judgement.accepted:
        start = 4 * int(days.first.astype(int)) % 1461 // 4
        normal, spread = BELIEF.normal[start : start + n], BELIEF.spread[start : start + n]
        real, values = np.zeros(n, bool), days.values.copy()
        judging = _Judging(days, "metric", real, normal, spread, BELIEF.persistence, values)
        assert judging.judgement(True, True).days is days


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_real_weather_is_believed_and_mistakes_are_not(path):
    """On the days after those that fitted the climate: at most 0.5 % are refused, and most planted faults are."""
    days = read_record(path).days
    past = set_aside_suspect(days.part(0, len(days) * 17 // 20))[0]
    belief = belief_of(past)
    ends = [end for end in range(len(past) + 1, len(days) + 1) if np.isfinite(days.tmax[end - 1])]
    refused = [bool(belief.judge(window(end, 55, days)).refused) for end in ends]
    assert np.mean(refused) <= 0.005
    few = [end for end in ends[::20] if not belief.judge(window(end, 55, days)).refused]

    def found(fault):
        return np.mean([bool(belief.judge(fault(window(end, 55, days))).refused) for end in few])

    def slip(part):
        part.values[-1, TMAX] += 30
        return part

    assert found(slip) > 0.9
    assert found(lambda part: in_degf(part, 10)) > 0.9
    assert found(in_degf) > 0.9
    assert np.mean([bool(belief.judge(degc_as_us(window(end, 55, days)), "us").refused) for end in few]) > 0.9
