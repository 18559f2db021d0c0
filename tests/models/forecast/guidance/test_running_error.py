"""The running error of corrected guidance."""

import numpy as np
import pytest

from models.forecast.guidance.running_error import running_error

DAYS = 40
WEIGHTS = 0.95 ** np.arange(DAYS)[::-1]


def test_an_insignificant_error_is_shrunk_by_20_days_and_a_lasting_one_hardly():
    scales, errors = np.ones((1, DAYS)), np.random.default_rng(0).logistic(0, 1, (1, DAYS))
    mean = np.average(errors[0], weights=WEIGHTS)
    np.testing.assert_allclose(running_error(errors, scales), mean * WEIGHTS.sum() / (WEIGHTS.sum() + 20))
    assert running_error(errors + 10, scales)[0] == pytest.approx(10 + mean, rel=0.05)
    # The same error is insignificant where the forecasts were less certain.
    lasting = np.full((1, DAYS), 2.0)
    certain, uncertain = (running_error(lasting, scale * scales)[0] for scale in (0.1, 10))
    assert uncertain == pytest.approx(2.0 * WEIGHTS.sum() / (WEIGHTS.sum() + 20))
    assert certain > 1.9


def test_missing_errors_do_not_count():
    errors, scales = np.random.default_rng(1).logistic(0, 1, (2, DAYS)), np.full((2, DAYS), 0.5)
    errors[0, :-3] = np.nan
    weights = WEIGHTS[-3:]
    expected = (errors[0, -3:] * weights).sum() / (weights.sum() + 20)
    assert running_error(errors, scales)[0] == pytest.approx(expected)
    np.testing.assert_array_equal(running_error(np.full((1, DAYS), np.nan), scales[:1]), [0])
    np.testing.assert_array_equal(running_error(errors, scales)[1:], running_error(errors[1:], scales[1:]))
