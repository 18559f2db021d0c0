"""Schedules: factors worked by hand, and what holds of them all. See also test_golden.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.nn import Cosine, Exponential, Steps, Warmup
from models.nn.schedules import constant


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (constant, [1, 1, 1]),
        (Cosine(), [1, 0.5, 0]),
        (Cosine(0.2), [1, 0.6, 0.2]),
        (Exponential(0.01), [1, 0.1, 0.01]),
        (Exponential(1.0), [1, 1, 1]),
        (Steps((0.5,)), [1, 0.1, 0.1]),
        (Steps((0.5, 1.0), 0.5), [1, 0.5, 0.25]),
        (Steps(()), [1, 1, 1]),
        (Warmup(0.5), [0, 1, 1]),
        (Warmup(0.0, Cosine()), [1, 0.5, 0]),
        (Warmup(0.75), [0, 2 / 3, 1]),
        (Warmup(0.25, Exponential(0.001)), [0, 0.1, 0.001]),  # 0.5 is a third of the way from 0.25 to 1
    ],
)
def test_factors_at_the_beginning_the_middle_and_the_end(schedule, factors):
    assert [schedule(done) for done in (0.0, 0.5, 1.0)] == pytest.approx(factors, abs=1e-15)


def test_steps_fall_at_their_shares_and_not_before():
    done = [0, 0.4999, 0.5, 0.7999, 0.8, 1]
    assert [Steps((0.5, 0.8))(share) for share in done] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.99))
def test_schedules_never_rise_except_in_a_warmup_which_ends_where_they_begin(a, b, share):
    early, late = sorted((a, b))
    for schedule in (constant, Cosine(), Cosine(0.1), Exponential(0.01), Steps((0.5, 0.8))):
        warm = Warmup(share, schedule)
        assert 1 >= schedule(early) >= schedule(late) >= 0
        assert 0 <= warm(early) <= 1
        if share > 0:
            assert warm(share) == 1
            assert warm(share * (1 - 1e-9)) == pytest.approx(1)
            assert warm(share * early) <= warm(share * late)


@pytest.mark.parametrize("share", [-0.1, 1.0, 2])
def test_warmup_that_leaves_no_steps_raises_value_error(share):
    with pytest.raises(ValueError, match=rf"share={share} must be from 0 to below 1"):
        Warmup(share)
