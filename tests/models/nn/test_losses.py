"""Losses: values worked by hand, gradients, minimisers, stability and refusals. See also test_golden.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.nn import (
    Huber,
    Pinball,
    absolute_error,
    cross_entropy,
    half_squared_sum,
    logistic_crps,
    softmax,
    squared_error,
)
from tests.models.nn.cases import by_dtype
from tests.models.nn.gradcheck import numerical_gradient, relative_error

LOSSES = {
    "squared_error": squared_error,
    "half_squared_sum": half_squared_sum,
    "absolute_error": absolute_error,
    "huber": Huber(0.7),
    "pinball": Pinball((0.1, 0.5, 0.9)),
    "cross_entropy": cross_entropy,
    "logistic_crps": logistic_crps,
}
by_loss = pytest.mark.parametrize("name", LOSSES)

PREDICTION = [[1.0, 2.0], [-1.0, 0.5]]
TARGET = [[0.0, 4.0], [-1.0, 1.0]]  # the differences are 1, -2, 0, -0.5
LOG = np.log([1.0, 2.0, 5.0])


@pytest.mark.parametrize(
    ("loss", "prediction", "target", "value", "gradient"),
    [
        (squared_error, PREDICTION, TARGET, (1 + 4 + 0 + 0.25) / 4, [[0.5, -1], [0, -0.25]]),
        (half_squared_sum, PREDICTION, TARGET, (1 + 4 + 0 + 0.25) / 2, [[1, -2], [0, -0.5]]),
        (absolute_error, PREDICTION, TARGET, (1 + 2 + 0 + 0.5) / 4, [[0.25, -0.25], [0, -0.25]]),
        (Huber(0.5), PREDICTION, TARGET, (0.375 + 0.875 + 0 + 0.125) / 4, [[0.125, -0.125], [0, -0.125]]),
        (Pinball((0.25, 0.75)), PREDICTION, TARGET, (0.75 + 1.5 + 0 + 0.375) / 4, [[0.1875, -0.1875], [0, -0.1875]]),
        # One target for both: 1 too low for p = 0.1, 1 too high for p = 0.9; 2 too low, and right.
        (Pinball((0.1, 0.9)), [[1, 3], [-1, 1]], [[2], [1]], (0.1 + 0.1 + 0.2) / 4, [[-0.025, 0.025], [-0.025, 0]]),
        # Probabilities 1/8, 2/8, 5/8 and three times 1/3.
        (cross_entropy, [LOG, [7, 7, 7]], [[0, 0, 1], [1, 0, 0]], (np.log(8 / 5) + np.log(3)) / 2,
         [[1 / 16, 1 / 8, -3 / 16], [-1 / 3, 1 / 6, 1 / 6]]),
        # At the location F is 1/2: s (2 log 2 - 1).
        (logistic_crps, [[3, np.log(2)]], [[3]], 2 * (2 * np.log(2) - 1), [[0, 2 * (2 * np.log(2) - 1)]]),
    ],
)  # fmt: skip
def test_values_and_gradients_worked_by_hand(loss, prediction, target, value, gradient):
    actual, actual_gradient = loss(np.array(prediction, float), np.array(target, float))
    assert actual == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(actual_gradient, gradient, rtol=1e-14, atol=1e-16)


def example(name, dtype=np.float64, shape=(3, 4, 3)):
    rng = np.random.default_rng(2)
    prediction, target = rng.normal(size=shape), rng.normal(size=shape)
    if name == "pinball":
        target = target[..., :1]
    elif name == "cross_entropy":
        target = softmax(target)
    elif name == "logistic_crps":
        prediction, target = prediction[..., :2], target[..., :1]
    return prediction.astype(dtype), target.astype(dtype)


@by_loss
@pytest.mark.parametrize("shape", [(7, 3), (3, 4, 3)])
def test_gradient_is_the_slope_of_the_value(name, shape):
    prediction, target = example(name, shape=shape)
    _, gradient = LOSSES[name](prediction, target)
    numerical = numerical_gradient(lambda: LOSSES[name](prediction, target)[0], prediction)
    assert relative_error(gradient, numerical) < 1e-8


@by_loss
@by_dtype
def test_value_is_a_float_and_a_mean_and_the_arguments_stay(name, dtype):
    """With each row twice, in any shape, the mean stays the same and a sum doubles."""
    loss, (prediction, target) = LOSSES[name], example(name, dtype)
    prediction.flags.writeable = target.flags.writeable = False
    value, gradient = loss(prediction, target)
    assert type(value) is float
    assert value > 0
    assert (gradient.shape, gradient.dtype) == (prediction.shape, dtype)
    twice, twice_gradient = loss(*(np.concatenate([a.reshape(-1, a.shape[-1])] * 2) for a in (prediction, target)))
    n = 1 if name == "half_squared_sum" else 2
    assert twice == pytest.approx(value * 2 / n, rel=1e-6)
    np.testing.assert_allclose(
        twice_gradient, np.concatenate([gradient.reshape(-1, gradient.shape[-1])] * 2) / n, rtol=1e-6
    )


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"cross_entropy", "logistic_crps"}))
def test_perfect_forecast_has_no_loss_and_no_gradient(name):
    perfect = np.full((4, 3), 1.5)
    value, gradient = LOSSES[name](perfect, perfect.copy())
    assert value == 0
    assert not gradient.any()


# Skewed, so that mean, median and quantiles differ.
SAMPLE = np.round(np.random.default_rng(3).exponential(2.0, 201), 2)
MEAN, MEDIAN = SAMPLE.mean(), np.median(SAMPLE)


@pytest.mark.parametrize(
    ("loss", "sample", "minimiser"),
    [
        (squared_error, SAMPLE, MEAN),
        (half_squared_sum, SAMPLE, MEAN),
        (absolute_error, SAMPLE, MEDIAN),
        (Pinball((0.5,)), SAMPLE, MEDIAN),
        (Pinball((0.1,)), SAMPLE, np.quantile(SAMPLE, 0.1, method="inverted_cdf")),
        (Pinball((0.9,)), SAMPLE, np.quantile(SAMPLE, 0.9, method="inverted_cdf")),
        (Huber(1e3), SAMPLE, MEAN),
        (Huber(1e-3), SAMPLE, MEDIAN),
        (Huber(1.0), np.array([0.0, 0.0, 10.0]), 0.5),  # by hand: c + c = 1, with the slope limited to 1
    ],
)
def test_constant_with_the_smallest_loss(loss, sample, minimiser):
    """Found among all candidates, to 0.01."""
    assert MEDIAN < MEAN - 0.3
    candidates = np.arange(-1, 10, 0.01)
    values = [loss(np.full((len(sample), 1), c), sample[:, None])[0] for c in candidates]
    assert candidates[int(np.argmin(values))] == pytest.approx(minimiser, abs=0.011)


def test_cross_entropy_is_smallest_at_the_target_probabilities():
    p = np.array([[0.2, 0.5, 0.3]])
    value, gradient = cross_entropy(np.log(p), p)
    np.testing.assert_allclose(gradient, 0, atol=1e-15)
    assert value == pytest.approx(-(p * np.log(p)).sum())
    for shift in ([0.1, 0, 0], [0, -0.1, 0], [0, 0.1, -0.1]):
        assert cross_entropy(np.log(p) + shift, p)[0] > value


@by_dtype
def test_cross_entropy_is_stable_for_scores_of_ten_thousand(dtype):
    """It is then the difference between the largest score and that of the target."""
    scores = np.array([[1e4, -1e4, 0.0]] * 3, dtype)
    value, gradient = cross_entropy(scores, np.eye(3, dtype=dtype))
    assert value == pytest.approx((0 + 2e4 + 1e4) / 3)
    np.testing.assert_allclose(gradient, np.array([[0, 0, 0], [1, -1, 0], [1, 0, -1]]) / 3, atol=1e-7)


@given(m=st.floats(-10, 10), log_s=st.floats(-2, 2), z=st.floats(-20, 20))
def test_logistic_crps_is_the_integral_that_defines_it(m, log_s, z):
    """Of (F(x) - [x >= target])^2, smooth on either side of the target and negligible 40 scales away from m."""
    s = np.exp(log_s)
    target, total = m + z * s, 0.0
    for ends, observed in (((m - 40 * s, target), 0.0), ((target, m + 40 * s), 1.0)):
        x = np.linspace(*ends, 20_001)
        total += np.trapezoid((1 / (1 + np.exp(-(x - m) / s)) - observed) ** 2, x)
    assert logistic_crps(np.array([[m, log_s]]), np.array([[target]]))[0] == pytest.approx(total, rel=1e-6)


@by_dtype
def test_logistic_crps_of_a_sharp_or_distant_forecast_is_its_absolute_error(dtype):
    prediction = np.array([[0, 0], [0, 0], [0, np.log(1e-4)], [1, np.log(1e-6)]], dtype)
    value, gradient = logistic_crps(prediction, np.array([[1e4], [-1e4], [1.0], [-4.0]], dtype))
    assert value == pytest.approx((9999 + 9999 + 1 + 5) / 4, rel=1e-4)
    np.testing.assert_allclose(gradient[:, 0], np.array([-1, 1, -1, 1]) / 4, rtol=1e-6)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("loss", "prediction", "target", "message"),
    [
        *((loss, (4, 1), (4,), r"targets \(4,\) and predictions \(4, 1\) must have the same shape")
          for loss in (squared_error, half_squared_sum, absolute_error, Huber())),
        (cross_entropy, (4, 1), (4,), r"targets \(4,\) and scores \(4, 1\) must have the same shape"),
        *((Pinball((0.1, 0.5, 0.9)), (4, n), (4, k), "3 quantiles need") for n, k in ((1, 1), (3, 2), (2, 3))),
        *((logistic_crps, *shapes, r"m and log s need predictions \(..., 2\)")
          for shapes in (((4, 1), (4, 1)), ((4, 2), (4, 2)), ((4, 2), (4,)), ((4,), (4,)))),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit_raise_value_error(loss, prediction, target, message):
    with pytest.raises(ValueError, match=message):
        loss(np.zeros(prediction), np.zeros(target))


@pytest.mark.parametrize("probabilities", [(), (0.0,), (90,), (0.5, 1.0)])
def test_probabilities_outside_0_to_1_raise_value_error(probabilities):
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        Pinball(probabilities)
