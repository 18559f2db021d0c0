"""Which days are enough for a forecast, of one sequence and of a whole record."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.forecast import SequenceError
from models.recipe import Recipe
from models.sequence import first_rows, issue_rows, sequence, usable_rows
from models.station_days import StationDays
from tests.conftest import synthetic_days

NAN = np.nan


def seen(pattern):
    """Days of which "x" has tmax and "." has not; tmin and rain are always there."""
    values = np.ones((len(pattern), 3))
    values[[mark == "." for mark in pattern], 0] = NAN
    return StationDays(np.datetime64("2024-01-01", "D"), values)


RECIPE = Recipe(window=5, memory=5, min_days=3, max_gap=2)  # eight days are looked at


@pytest.mark.parametrize(
    ("pattern", "first"),
    [
        ("xxx", 0),
        ("xxxxxxxxxxx", 3),  # no more than are looked at
        ("x.xx", 0),
        ("x..xx", 0),  # as long a gap as is bridged
        ("..xxx", 2),  # nothing before the first tmax
        ("xx...xxx", 5),  # days before a longer gap are not looked at
        ("xx...xx..x", 5),
        ("x...xx...xxx", 9),  # the last of two
        ("xxx......xxx", 9),  # a gap that begins before them
    ],
)
def test_a_sequence_begins_after_the_last_long_gap(pattern, first):
    days = seen(pattern)
    used = sequence(days, RECIPE)
    assert (used.first, used.last) == (days.dates[first], days.last)
    np.testing.assert_array_equal(used.values, days.values[first:])


@pytest.mark.parametrize(
    ("pattern", "row", "message"),
    [
        ("xxxx.", 4, "tmax of the last day, 2024-01-05, is needed"),
        ("....", 3, "tmax of the last day, 2024-01-04, is needed"),
        ("xx", 0, "too few days: at least 3 in a row up to 2024-01-02 are needed .8 are recommended."),
        (".....xx", 5, "these begin on 2024-01-06"),
        ("xxx...xx", 3, "missing on more than 2 days in a row from 2024-01-04, and after them there are too few days"),
        ("xxxxx......xx", 11, "these begin on 2024-01-12"),  # what is looked at begins within the gap
    ],
)
def test_what_is_too_little_names_the_day(pattern, row, message):
    days = seen(pattern)
    with pytest.raises(SequenceError, match=message) as caught:
        sequence(days, RECIPE)
    assert caught.value.date == days.dates[row]


def test_the_gap_of_the_default_recipe_is_bridged_and_no_longer_one():
    longest = Recipe().max_gap
    assert len(sequence(seen("x" * 8 + "." * longest + "x"), Recipe())) == 9 + longest
    with pytest.raises(SequenceError, match=f"more than {longest} days in a row from 2024-01-10"):
        sequence(seen("x" * 9 + "." * (longest + 1) + "x").part(1, 11 + longest), Recipe())


recipes = st.builds(
    lambda window, memory, max_gap, share: Recipe(
        window=window, memory=memory, max_gap=max_gap, min_days=max(1, int(share * window))
    ),
    st.integers(2, 15),
    st.integers(0, 15),
    st.integers(0, 8),
    st.floats(0, 1),
)


@settings(max_examples=500)
@given(st.text("x.", min_size=1, max_size=60), recipes)
def test_the_rows_of_a_record_are_those_of_which_a_sequence_is_enough(pattern, recipe):
    days = seen(pattern)
    enough = []
    for row in range(len(days)):
        try:
            used = sequence(days.part(0, row + 1), recipe)
        except SequenceError:
            continue
        assert recipe.min_days <= len(used) <= recipe.recommended_days
        assert used.first == days.dates[first_rows(days, recipe)[row]]
        enough.append(row)
    assert issue_rows(days, recipe).tolist() == enough


def test_usable_rows_have_tmax_on_the_next_day_too():
    days = synthetic_days(400)
    days.values[100, 0] = NAN  # neither issued from nor forecast
    days.values[200:210, 0] = NAN  # bridged
    days.values[300:311, 0] = NAN  # one day longer than is bridged: seven must follow
    usable = set(usable_rows(days, Recipe(max_gap=10)).tolist())
    assert min(usable) == 6
    assert max(usable) == 398  # what comes after the last day is not known
    assert set(range(6, 399)) - usable == {99, 100, *range(199, 210), *range(299, 317)}


def test_a_century_without_a_day_is_no_reason_to_look_at_nothing():
    """One mistyped year makes a century of missing days."""
    days = synthetic_days(60)
    far = StationDays.on_calendar(
        np.append(days.first - np.timedelta64(40_000, "D"), days.dates), np.vstack([days.values[:1], days.values])
    )
    np.testing.assert_array_equal(usable_rows(far, Recipe()) - 40_000, usable_rows(days, Recipe()))
