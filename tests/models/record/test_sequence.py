"""The sequence of days that a forecast uses, alone and for every row of a record."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.recipe import Recipe
from models.record.days import StationDays
from models.record.sequence import SequenceError, first_rows, issue_rows, sequence

NAN = np.nan


def observed(pattern):
    """Days of which "x" has tmax and "." has not; tmin and rain are never missing."""
    values = np.ones((len(pattern), 3))
    values[[mark == "." for mark in pattern], 0] = NAN
    return StationDays(np.datetime64("2024-01-01", "D"), values)


def usable_end(pattern, recipe):
    """The end of a pattern that a forecast may use, of any length: what follows the last long gap."""
    recent = pattern[-recipe.recommended_days :]
    return re.split(rf"\.{{{recipe.max_gap + 1},}}", recent)[-1].lstrip(".")


def short_from(pattern, recipe):
    """The row at which too short a sequence falls short: the first of the last long gap, or of the sequence."""
    recent = pattern[-recipe.recommended_days :].lstrip(".")
    gaps = list(re.finditer(rf"\.{{{recipe.max_gap + 1},}}", recent))
    return len(pattern) - (len(recent) - gaps[-1].start() if gaps else len(recent))


recipes = st.builds(
    lambda window, memory, max_gap, share: Recipe(
        window=window, memory=memory, max_gap=max_gap, min_days=max(1, int(share * window))
    ),
    st.integers(2, 15),
    st.integers(0, 15),
    st.integers(0, 8),
    st.floats(0, 1),
)


@settings(max_examples=200)
@given(st.text("x.", min_size=1, max_size=40), recipes)
def test_a_sequence_is_what_follows_the_last_long_gap(pattern, recipe):
    days, enough = observed(pattern), []
    for row in range(len(days)):
        until = days.part(0, row + 1)
        end = usable_end(pattern[: row + 1], recipe)
        if pattern[row] == "x":
            assert first_rows(days, recipe)[row] == row + 1 - len(end)
        if pattern[row] == "." or len(end) < recipe.min_days:
            with pytest.raises(SequenceError) as caught:
                sequence(until, recipe)
            assert (
                caught.value.date == days.dates[row if pattern[row] == "." else short_from(pattern[: row + 1], recipe)]
            )
        else:
            used = sequence(until, recipe)
            assert (used.first, used.last) == (days.dates[row + 1 - len(end)], days.dates[row])
            np.testing.assert_array_equal(used.values, days.values[row + 1 - len(end) : row + 1])
            enough.append(row)
    assert issue_rows(days, recipe).tolist() == enough


def test_the_error_says_what_is_missing():
    recipe = Recipe(window=5, memory=5, min_days=3, max_gap=2)
    for pattern, message in (
        ("xxxx.", "tmax is missing on the last day, 2024-01-05; a forecast needs it"),
        (
            ".....xx",
            "too few days: at least 3 consecutive days up to 2024-01-07 are needed, the first with tmax (8 are "
            "recommended); these begin on 2024-01-06",
        ),
        (
            "xxx...xx",
            "tmax is missing on more than 2 consecutive days from 2024-01-04; at least 3 days after that gap, up to "
            "2024-01-08, are needed",
        ),
    ):
        with pytest.raises(SequenceError, match=f"^{re.escape(message)}$"):
            sequence(observed(pattern), recipe)
