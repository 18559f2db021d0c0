"""What the training of the networks hides from them."""

import numpy as np
import pytest

from models.forecast.networks import HIDE_ALL, HIDE_NEIGHBOURS, HIDE_OWN, Hiding

MISSING = np.array([0.0, -1.0, -2.0, -3.0])


def hidden(groups, n=20_000):
    """Return which features (n, F) are hidden; each is, or is not, on all days of a window."""
    x = Hiding(groups, MISSING)(np.ones((n, 3, 4)), np.random.default_rng(0))
    changed = x != 1
    assert (changed == changed[:, :1]).all()
    assert (x[changed] == np.broadcast_to(MISSING, x.shape)[changed]).all()
    return changed[:, 0]


def test_all_further_columns_or_those_of_one_group_are_hidden_from_some_windows():
    """The features that are always known never are."""
    found = hidden({"further": np.array([1, 2]), "neighbours": np.array([3])})
    assert not found[:, 0].any()
    np.testing.assert_array_equal(found[:, 1], found[:, 2])
    own, near = found[:, 1], found[:, 3]
    shares = (own & near).mean(), (near & ~own).mean(), (own & ~near).mean()
    assert shares == pytest.approx((HIDE_ALL, HIDE_NEIGHBOURS, HIDE_OWN), abs=0.01)


@pytest.mark.parametrize("group", ["further", "neighbours"])
def test_a_group_that_is_alone_is_hidden_as_all_are(group):
    found = hidden({group: np.array([2])})
    assert found[:, 2].mean() == pytest.approx(HIDE_ALL, abs=0.01)
    assert not found[:, [0, 1, 3]].any()
