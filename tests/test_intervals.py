import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.intervals import PROBABILITIES, ErrorDistribution


def test_ranks_get_their_conformal_probability():
    """Of n = 199 errors the k-th smallest has probability k / 200: the grid is the sorted errors themselves."""
    errors = np.random.default_rng(0).normal(size=199)
    np.testing.assert_allclose(ErrorDistribution.fit(errors).errors, np.sort(errors))


def test_coverage_of_new_errors_is_what_it_says():
    """Averaged over many calibrations of only 60 errors, a skewed error falls inside as often as promised."""
    rng = np.random.default_rng(1)
    for level in (0.5, 0.8, 0.9):
        inside = []
        for _ in range(2000):
            distribution = ErrorDistribution.fit(rng.gumbel(size=60))
            low, high = distribution.quantile((1 - level) / 2), distribution.quantile((1 + level) / 2)
            inside.append((low <= (new := rng.gumbel(size=20))) & (new <= high))
        assert np.mean(inside) == pytest.approx(level, abs=0.01)


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=300), st.floats(-25, 25))
def test_quantiles_ascend_and_exceedance_falls(errors, error):
    distribution = ErrorDistribution.fit(np.array(errors))
    assert (np.diff(distribution.quantile(PROBABILITIES)) >= 0).all()
    p = distribution.exceedance(error)
    assert 0.0 <= p <= 1.0
    assert distribution.exceedance(error + 1) <= p


def test_exceedance_of_a_quantile():
    distribution = ErrorDistribution.fit(np.random.default_rng(2).normal(size=500))
    for probability in (0.05, 0.31, 0.5, 0.987):
        assert distribution.exceedance(float(distribution.quantile(probability))) == pytest.approx(1 - probability)
    assert distribution.exceedance(99.0) == 0.0
    assert distribution.exceedance(-99.0) == 1.0
