"""What the errors of the last days tell: the running error, and the running factor."""

from functools import partial

import numpy as np
import pytest

from models.forecast.running import running_error, running_factor

DAYS = 40
DECAY, PRIOR = 0.95, 20.0  # those of corrected guidance
WEIGHTS = DECAY ** np.arange(DAYS)[::-1]

error_of = partial(running_error, decay=DECAY, prior_days=PRIOR)


def test_an_insignificant_error_is_shrunk_by_20_days_and_a_lasting_one_hardly():
    scales, errors = np.ones((1, DAYS)), np.random.default_rng(0).logistic(0, 1, (1, DAYS))
    mean = np.average(errors[0], weights=WEIGHTS)
    np.testing.assert_allclose(error_of(errors, scales), mean * WEIGHTS.sum() / (WEIGHTS.sum() + PRIOR))
    assert error_of(errors + 10, scales)[0] == pytest.approx(10 + mean, rel=0.05)
    # The same error is insignificant where the forecasts were less certain.
    lasting = np.full((1, DAYS), 2.0)
    certain, uncertain = (error_of(lasting, scale * scales)[0] for scale in (0.1, 10))
    assert uncertain == pytest.approx(2.0 * WEIGHTS.sum() / (WEIGHTS.sum() + PRIOR))
    assert certain > 1.9


def test_without_decay_all_days_count_alike():
    errors, scales = np.random.default_rng(2).logistic(0, 1, (3, DAYS)), np.full((3, DAYS), 9.0)
    expected = errors.sum(axis=1) / (DAYS + 7.0)
    np.testing.assert_allclose(running_error(errors, scales, 1.0, 7.0), expected)


def test_missing_errors_do_not_count():
    errors, scales = np.random.default_rng(1).logistic(0, 1, (2, DAYS)), np.full((2, DAYS), 0.5)
    errors[0, :-3] = np.nan
    weights = WEIGHTS[-3:]
    expected = (errors[0, -3:] * weights).sum() / (weights.sum() + PRIOR)
    assert error_of(errors, scales)[0] == pytest.approx(expected)
    np.testing.assert_array_equal(error_of(np.full((1, DAYS), np.nan), scales[:1]), [0])
    np.testing.assert_array_equal(error_of(errors, scales)[1:], error_of(errors[1:], scales[1:]))


def test_the_factor_is_the_shrunk_mean_size_of_the_errors_relative_to_the_typical_one():
    rng = np.random.default_rng(3)
    scales, signs = rng.uniform(0.5, 2, (1, DAYS)), rng.choice([-1, 1], (1, DAYS))
    typical, double = 1.4 * scales * signs, 2.8 * scales * signs
    np.testing.assert_allclose(running_factor(typical, scales, 1.4, 30.0), 1.0)
    np.testing.assert_allclose(running_factor(double, scales, 1.4, 30.0), (2 * DAYS + 30) / (DAYS + 30))
    double[:, :-10] = np.nan
    np.testing.assert_allclose(running_factor(double, scales, 1.4, 30.0), (2 * 10 + 30) / (10 + 30))
    assert running_factor(np.full((1, DAYS), np.nan), scales, 1.4, 30.0) == 1.0
