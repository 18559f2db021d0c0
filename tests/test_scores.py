"""Expected values are worked by hand."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from models import scores

FORECAST = np.array([10.0, 12.0, 15.0, 9.0])
OBSERVED = np.array([11.0, 12.0, 12.0, 11.0])


def test_point_scores():
    # errors -1, 0, 3, -2
    assert scores.mean_absolute_error(FORECAST, OBSERVED) == 1.5
    assert scores.root_mean_squared_error(FORECAST, OBSERVED) == pytest.approx(math.sqrt(14 / 4))
    assert scores.bias(FORECAST, OBSERVED) == 0.0
    assert scores.skill(1.5, 2.0) == 0.25
    assert scores.skill(1.5, 0.0) == 0.0


def test_coverage_counts_the_ends():
    low, high = np.array([0.0, 0.0, 0.0]), np.array([1.0, 1.0, 1.0])
    assert scores.coverage(low, high, np.array([0.0, 1.0, 1.1])) == pytest.approx(2 / 3)


def test_crps_of_a_single_quantile_is_its_pinball_loss_twice():
    # median 10, observed 14: pinball 0.5 * 4
    assert scores.crps_from_quantiles(np.array([[10.0]]), np.array([0.5]), np.array([14.0])) == 4.0


def test_crps_of_a_normal_distribution():
    """Gneiting and Raftery (2007), eq. 21: for a standard normal and an observation of 0, (sqrt(2) - 1) / sqrt(pi)."""
    p = (np.arange(2000) + 0.5) / 2000
    quantiles = np.array([[NormalDist().inv_cdf(x) for x in p]])
    expected = (math.sqrt(2) - 1) / math.sqrt(math.pi)
    assert scores.crps_from_quantiles(quantiles, p, np.zeros(1)) == pytest.approx(expected, rel=1e-3)
