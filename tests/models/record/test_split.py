"""Which rows train, calibrate and score: none does two of these, and none is older than what trained."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.record.sequence import issue_rows
from models.record.split import Split, guidance_rows, min_rows, usable_rows
from tests.stations import QUICK, guided_days

NAN = np.nan


def with_gaps(spells):
    """A station of consecutive spells (days, whether tmax is observed, whether guidance is available)."""
    lengths, has_tmax, has_guidance = zip(*spells, strict=True)
    days = guided_days(sum(lengths))
    days.values[~np.repeat(has_tmax, lengths), 0] = NAN
    days.further["guidance"][~np.repeat(has_guidance, lengths)] = NAN
    return days


spells = st.tuples(st.integers(1, 250), st.sampled_from([True, True, True, False]), st.booleans())


@settings(max_examples=100)
@given(st.lists(spells, min_size=1, max_size=7).map(with_gaps))
def test_rows_never_overlap_and_never_go_back_in_time(days):
    target = days.next_tmax
    usable, guided = usable_rows(days, QUICK), guidance_rows(days)
    assert usable.tolist() == [row for row in issue_rows(days, QUICK) if not np.isnan(target[row])]
    with_guidance = np.flatnonzero(days.has_guidance & ~np.isnan(days.tmax) & ~np.isnan(target))
    assert guided.tolist() == (with_guidance.tolist() if len(with_guidance) >= 71 else [])  # 85 % of 71 are 60
    least = 60 if len(guided) else 113
    assert min_rows(days) == least
    if len(usable) < least:
        with pytest.raises(
            ValueError,
            match=f"too few usable days to train on: {len(usable)} of the .* with tmax, at least {least} are",
        ):
            Split.of(days, QUICK)
        return

    split = Split.of(days, QUICK)
    for rows in (split.training, split.calibration, split.guidance_training, split.held_out):
        assert (np.diff(rows) > 0).all()
    # The station's own model: the first 85 % train, the others calibrate.
    np.testing.assert_array_equal(np.concatenate([split.training, split.calibration]), usable)
    assert len(split.training) == int(0.85 * len(usable))
    # Everything that is scored comes after everything that trained, and all that comes after is scored.
    trained = np.union1d(split.training, split.guidance_training)
    candidates = np.union1d(split.calibration, guided)
    np.testing.assert_array_equal(split.held_out, candidates[candidates > trained.max()])
    assert len(split.held_out)
    if len(guided):
        n = len(split.guidance_training)
        np.testing.assert_array_equal(split.guidance_training, guided[:n])
        assert split.n_training == n >= 60
        # Guidance is cut where the station's own rows are, unless too few of its rows come before.
        before = (guided <= split.training[-1]).sum()
        assert n == (before if before >= 60 else int(0.85 * len(guided)))
    else:
        assert not len(split.guidance_training)
        assert split.n_training == len(split.training)
