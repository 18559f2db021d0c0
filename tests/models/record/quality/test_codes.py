"""Codes for missing values, told from measurements before any unit is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.record.columns import MEASURED, RAIN, TMAX, column
from models.record.quality.codes import CODES, codes
from tests.stations import synthetic_days

TMAX_COLUMN, RAIN_COLUMN = MEASURED[TMAX], MEASURED[RAIN]
CELSIUS = synthetic_days(700).tmax
AMOUNTS = synthetic_days(700).values[:, RAIN]


def found(values, of=TMAX_COLUMN):
    return np.asarray(values)[codes(np.asarray(values, dtype=float), of)].tolist()


@pytest.mark.parametrize("code", [999.9, -999, -9999, 9999, -99, 99.9, -999.99, 32767, -32768])
@pytest.mark.parametrize("scale", [(1, 0), (1.8, 32)], ids=["degC", "degF"])
def test_codes_among_temperatures_are_found(code, scale):
    """99.9 degF is far above a winter only."""
    values = CELSIUS * scale[0] + scale[1]
    values = np.sort(values)[:200] if code == 99.9 else values
    np.testing.assert_array_equal(codes(np.insert(values, [3, 50], code), TMAX_COLUMN).nonzero(), [[3, 51]])


def test_real_values_that_look_like_codes_are_kept():
    summer = [95, 97, 99, 99, 101, 88, 70, 65]
    assert not found(summer)
    assert not found([*range(60, 90), 99])  # a first hot day in spring
    assert not found([-99, -95, -120, -70])  # degF at Vostok
    assert not found([-99, -85, 12, 130, 220, 250])  # tenths of degC
    assert not found([0, 0, 12.5, 30, 61, 99], RAIN_COLUMN)
    assert not found([1013.2, 1001.4, 999.9, 999, 990], column("pressure"))
    assert not found([99.0])


def test_minus_99_degf_is_a_code_where_the_next_lowest_is_40_degrees_away():
    assert found([-99, *range(-59, 20)]) == [-99]
    assert not found([-99, *range(-85, 20)])


def test_codes_among_amounts_of_rain_are_found():
    for code in (999.9, -99.9, -9999, 9999.9):
        assert found([code, *AMOUNTS, code], RAIN_COLUMN) == [code, code]
    assert found([0, 0.01, 1.2, 2.5, 99.99], RAIN_COLUMN) == [99.99]  # inches
    # Nothing else was measured.
    assert found([-9999, np.nan, -9999], RAIN_COLUMN) == [-9999, -9999]


values = st.one_of(st.sampled_from([*CODES, np.nan]), st.floats(-60, 130).map(lambda v: round(v, 1)))


@given(st.lists(values, max_size=40), st.sampled_from([TMAX_COLUMN, RAIN_COLUMN, column("pressure")]))
def test_only_codes_are_found_whatever_their_order_and_none_once_they_are_gone(given_values, of):
    given_values = np.array(given_values, dtype=float)
    mask = codes(given_values, of)
    assert mask.shape == given_values.shape
    assert set(given_values[mask]) <= set(CODES)
    np.testing.assert_array_equal(codes(given_values[::-1], of), mask[::-1])
    assert not codes(np.where(mask, np.nan, given_values), of).any()
    # Of one value, all are codes or none.
    assert not set(given_values[mask]) & set(given_values[~mask])


@given(st.lists(st.floats(-89, 57).map(lambda v: round(v, 1)), min_size=1, max_size=40), st.data())
def test_no_temperature_in_degc_is_taken_for_a_code_and_every_code_is(temperatures, data):
    temperatures = np.array(temperatures)
    code = data.draw(st.sampled_from([c for c in CODES if abs(c) >= 999]))
    assert not codes(temperatures, TMAX_COLUMN).any()
    np.testing.assert_array_equal(
        codes(np.append(temperatures, code), TMAX_COLUMN), [*[False] * len(temperatures), True]
    )
