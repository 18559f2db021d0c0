"""Each loss on a few numbers by hand, its gradient, and what makes it smallest."""

import numpy as np
import pytest

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
from tests.gradcheck import numerical_gradient, relative_error

PREDICTION = np.array([[1.0, 2.0], [-1.0, 0.5]])
TARGET = np.array([[0.0, 4.0], [-1.0, 1.0]])  # the differences are 1, -2, 0, -0.5
LOSSES = {
    "squared_error": squared_error,
    "half_squared_sum": half_squared_sum,
    "absolute_error": absolute_error,
    "huber": Huber(0.7),
    "pinball": Pinball((0.1, 0.5, 0.9)),
    "cross_entropy": cross_entropy,
    "logistic_crps": logistic_crps,
}


@pytest.mark.parametrize(
    ("loss", "value", "gradient"),
    [
        (squared_error, (1 + 4 + 0 + 0.25) / 4, [[0.5, -1], [0, -0.25]]),
        (half_squared_sum, (1 + 4 + 0 + 0.25) / 2, [[1, -2], [0, -0.5]]),
        (absolute_error, (1 + 2 + 0 + 0.5) / 4, [[0.25, -0.25], [0, -0.25]]),
        (Huber(), (0.5 + 1.5 + 0 + 0.125) / 4, [[0.25, -0.25], [0, -0.125]]),
        (Huber(0.5), (0.375 + 0.875 + 0 + 0.125) / 4, [[0.125, -0.125], [0, -0.125]]),
        (Pinball((0.25, 0.75)), (0.75 + 1.5 + 0 + 0.375) / 4, [[0.1875, -0.1875], [0, -0.1875]]),
    ],
    ids=["squared_error", "half_squared_sum", "absolute_error", "huber 1", "huber 0.5", "pinball"],
)
def test_losses_worked_by_hand(loss, value, gradient):
    actual, actual_gradient = loss(PREDICTION, TARGET)
    assert actual == pytest.approx(value, rel=1e-15)
    np.testing.assert_allclose(actual_gradient, gradient, rtol=1e-15)


def test_pinball_worked_by_hand_with_one_target_for_all_probabilities():
    """Row 1: 1 is 1 too low for p = 0.1, 3 is 1 too high for p = 0.9. Row 2: -1 is 2 too low, 1 is right."""
    loss = Pinball((0.1, 0.9))
    prediction, target = np.array([[1.0, 3.0], [-1.0, 1.0]]), np.array([[2.0], [1.0]])
    value, gradient = loss(prediction, target)
    assert value == pytest.approx((0.1 * 1 + 0.1 * 1 + 0.1 * 2 + 0) / 4)
    np.testing.assert_allclose(gradient, [[-0.025, 0.025], [-0.025, 0]], rtol=1e-12)
    repeated_value, repeated_gradient = loss(prediction, np.repeat(target, 2, axis=1))
    assert repeated_value == value
    np.testing.assert_array_equal(repeated_gradient, gradient)


def test_pinball_at_one_half_is_half_the_absolute_error():
    value, gradient = Pinball((0.5, 0.5))(PREDICTION, TARGET)
    absolute, absolute_gradient = absolute_error(PREDICTION, TARGET)
    assert value == pytest.approx(absolute / 2)
    np.testing.assert_allclose(gradient, absolute_gradient / 2)


def test_cross_entropy_worked_by_hand():
    """Scores 0, log 2, log 5 are probabilities 1/8, 2/8, 5/8; equal scores 1/3 each. The mean is over two rows."""
    scores = np.array([[0.0, np.log(2), np.log(5)], [7.0, 7.0, 7.0]])
    value, gradient = cross_entropy(scores, np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))
    assert value == pytest.approx((-np.log(5 / 8) - np.log(1 / 3)) / 2, rel=1e-14)
    expected = np.array([[1 / 8, 2 / 8, 5 / 8 - 1], [1 / 3 - 1, 1 / 3, 1 / 3]]) / 2
    np.testing.assert_allclose(gradient, expected, rtol=1e-14)


def test_cross_entropy_takes_shares_for_targets():
    scores = np.array([[0.0, np.log(3)]])
    value, gradient = cross_entropy(scores, np.array([[0.4, 0.6]]))
    assert value == pytest.approx(-0.4 * np.log(1 / 4) - 0.6 * np.log(3 / 4), rel=1e-14)
    np.testing.assert_allclose(gradient, [[1 / 4 - 0.4, 3 / 4 - 0.6]], rtol=1e-13)


def test_cross_entropy_of_every_step_is_the_mean_over_steps_and_sequences():
    rng = np.random.default_rng(0)
    scores, target = rng.normal(size=(2, 3, 4)), np.eye(4)[rng.integers(4, size=(2, 3))]
    value, gradient = cross_entropy(scores, target)
    flat_value, flat_gradient = cross_entropy(scores.reshape(6, 4), target.reshape(6, 4))
    assert value == pytest.approx(flat_value)
    np.testing.assert_allclose(gradient.reshape(6, 4), flat_gradient)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_is_stable_for_scores_of_ten_thousand(dtype):
    """A class that is right for sure costs nothing, one that is wrong for sure the difference of the scores."""
    scores = np.array([[1e4, -1e4, 0.0]], dtype)
    for target, expected, expected_gradient in (
        ([[1, 0, 0]], 0, [[0, 0, 0]]),
        ([[0, 1, 0]], 2e4, [[1, -1, 0]]),
        ([[0, 0, 1]], 1e4, [[1, 0, -1]]),
    ):
        value, gradient = cross_entropy(scores, np.array(target, dtype))
        assert value == pytest.approx(expected)
        np.testing.assert_allclose(gradient, expected_gradient, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_gives_probabilities(dtype):
    rng = np.random.default_rng(0)
    scores = (rng.normal(size=(3, 4, 5)) * np.array([1, 100, 1e4, 1e-4])[:, None]).astype(dtype)
    p = softmax(scores)
    assert p.dtype == dtype
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-6)
    np.testing.assert_array_equal(p.argmax(axis=-1), scores.argmax(axis=-1))


def test_softmax_worked_by_hand():
    np.testing.assert_allclose(softmax(np.log([1.0, 2.0, 5.0])), [1 / 8, 2 / 8, 5 / 8], rtol=1e-15)
    np.testing.assert_allclose(softmax(np.log([1.0, 2.0, 5.0]) + 300), [1 / 8, 2 / 8, 5 / 8], rtol=1e-13)
    np.testing.assert_array_equal(softmax(np.array([[3.0], [-8.0]])), [[1], [1]])
    np.testing.assert_array_equal(softmax(np.array([1e4, -1e4, 1e4])), [0.5, 0, 0.5])


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


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("shape", [(7, 3), (3, 4, 3)])
def test_each_gradient_is_the_slope_of_its_value(name, shape):
    prediction, target = example(name, shape=shape)
    _, gradient = LOSSES[name](prediction, target)
    numerical = numerical_gradient(lambda: LOSSES[name](prediction, target)[0], prediction)
    assert relative_error(gradient, numerical) < 1e-8


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_a_plain_number_its_gradient_of_the_prediction_s_kind_and_nothing_is_modified(name):
    for dtype in (np.float32, np.float64):
        prediction, target = example(name, dtype)
        before = prediction.tobytes(), target.tobytes()
        prediction.flags.writeable = target.flags.writeable = False
        value, gradient = LOSSES[name](prediction, target)
        assert type(value) is float
        assert value > 0
        assert (gradient.shape, gradient.dtype) == (prediction.shape, dtype)
        assert (prediction.tobytes(), target.tobytes()) == before


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"half_squared_sum"}))
def test_a_mean_does_not_depend_on_how_many_there_are(name):
    prediction, target = example(name)
    value, gradient = LOSSES[name](prediction, target)
    twice, twice_gradient = LOSSES[name](np.concatenate([prediction] * 2), np.concatenate([target] * 2))
    assert twice == pytest.approx(value)
    np.testing.assert_allclose(twice_gradient, np.concatenate([gradient] * 2) / 2)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"cross_entropy", "logistic_crps"}))
def test_a_perfect_forecast_costs_nothing_and_has_no_slope(name):
    perfect = np.full((4, 3), 1.5)
    value, gradient = LOSSES[name](perfect, perfect.copy())
    assert value == 0
    assert not gradient.any()


# Skewed, so that mean, median and quantiles lie apart.
SAMPLE = np.round(np.random.default_rng(3).exponential(2.0, 201), 2)
CANDIDATES = np.round(np.arange(-1, 10, 0.01), 2)


def best_constant(loss):
    """Return the one forecast for the whole sample that costs least, found by trying them all."""
    values = [loss(np.full((len(SAMPLE), 1), c), SAMPLE[:, None])[0] for c in CANDIDATES]
    return CANDIDATES[int(np.argmin(values))]


@pytest.mark.parametrize(
    ("loss", "best"),
    [
        (squared_error, SAMPLE.mean()),
        (half_squared_sum, SAMPLE.mean()),
        (absolute_error, np.median(SAMPLE)),
        (Pinball((0.5,)), np.median(SAMPLE)),
        (Pinball((0.1,)), np.quantile(SAMPLE, 0.1, method="inverted_cdf")),
        (Pinball((0.9,)), np.quantile(SAMPLE, 0.9, method="inverted_cdf")),
        (Huber(1e3), SAMPLE.mean()),
        (Huber(1e-3), np.median(SAMPLE)),
    ],
    ids=["squared", "half squared", "absolute", "pinball 50", "pinball 10", "pinball 90", "wide huber", "narrow huber"],
)
def test_what_makes_a_loss_smallest(loss, best):
    assert np.median(SAMPLE) < SAMPLE.mean() - 0.3
    assert best_constant(loss) == pytest.approx(best, abs=0.011)


def test_the_smallest_huber_loss_worked_by_hand():
    """Of 0, 0 and 10: two pull back with their distance, one forward with delta alone, so that 2 c = 1."""
    values = [Huber(1.0)(np.full(3, c), np.array([0.0, 0.0, 10.0]))[0] for c in CANDIDATES]
    assert CANDIDATES[int(np.argmin(values))] == pytest.approx(0.5)


def test_cross_entropy_is_smallest_at_the_shares_themselves():
    shares = np.array([[0.2, 0.5, 0.3]])
    value, gradient = cross_entropy(np.log(shares), shares)
    np.testing.assert_allclose(gradient, 0, atol=1e-15)
    assert value == pytest.approx(-(shares * np.log(shares)).sum())
    for nudge in ([0.1, 0, 0], [0, -0.1, 0], [0, 0.1, -0.1]):
        assert cross_entropy(np.log(shares) + nudge, shares)[0] > value


@pytest.mark.parametrize("loss", [squared_error, half_squared_sum, absolute_error, Huber(), cross_entropy])
def test_targets_of_another_shape_are_refused(loss):
    with pytest.raises(ValueError, match=r"\(4, 1\).*\(4,\)|\(4,\).*\(4, 1\)"):
        loss(np.zeros((4, 1)), np.zeros(4))


@pytest.mark.parametrize(("outputs", "targets"), [(1, 1), (3, 2), (2, 3)])
def test_quantiles_that_do_not_fit_are_refused(outputs, targets):
    with pytest.raises(ValueError, match="3 quantiles need"):
        Pinball((0.1, 0.5, 0.9))(np.zeros((4, outputs)), np.zeros((4, targets)))


@pytest.mark.parametrize("probabilities", [(), (0.0,), (90,), (0.5, 1.0)])
def test_probabilities_that_are_none_are_refused(probabilities):
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        Pinball(probabilities)


class TestLogisticCRPS:
    """Predictions are the place m and the logarithm of the width s of a distribution."""

    @staticmethod
    def of_one(m, s, target):
        return logistic_crps(np.array([[m, np.log(s)]]), np.array([[target]]))[0]

    @pytest.mark.parametrize(
        ("m", "s", "target"), [(0, 1, 0), (0, 1, 3), (2, 0.5, -1), (-1, 2.5, 1.5), (10, 0.1, 10.3), (0, 4, -9)]
    )
    def test_it_is_the_integral_that_defines_it(self, m, s, target):
        """Of (F(x) - [x >= target])^2, which is smooth on either side of the target and nothing 80 widths away."""
        total = 0.0
        for ends, observed in (((m - 80 * s, target), 0.0), ((target, m + 80 * s), 1.0)):
            x = np.linspace(*ends, 400_001)
            total += np.trapezoid((1 / (1 + np.exp(-(x - m) / s)) - observed) ** 2, x)
        assert self.of_one(m, s, target) == pytest.approx(total, rel=1e-6)

    def test_worked_by_hand(self):
        """In the middle F is 1/2: s (2 log 2 - 1), and the width costs as much as it adds."""
        value, gradient = logistic_crps(np.array([[3.0, np.log(2.0)]]), np.array([[3.0]]))
        assert value == pytest.approx(2 * (2 * np.log(2) - 1))
        np.testing.assert_allclose(gradient, [[0, 2 * (2 * np.log(2) - 1)]])

    def test_a_sure_forecast_costs_its_absolute_error(self):
        assert self.of_one(1.0, 1e-6, 4.0) == pytest.approx(3.0, abs=1e-5)
        assert self.of_one(1.0, 1e-6, -4.0) == pytest.approx(5.0, abs=1e-5)

    def test_it_is_smallest_at_the_distribution_itself(self):
        """10,000 evenly likely values of a logistic distribution; whatever else is forecast costs more."""
        p = (np.arange(10_000) + 0.5) / 10_000
        target = (1.5 + 0.7 * np.log(p / (1 - p)))[:, None]

        def cost(m, s):
            return logistic_crps(np.tile([m, np.log(s)], (len(target), 1)), target)

        best, gradient = cost(1.5, 0.7)
        np.testing.assert_allclose(gradient.sum(axis=0), 0, atol=1e-3)
        for m, s in ((1.4, 0.7), (1.6, 0.7), (1.5, 0.63), (1.5, 0.77), (1.6, 0.63), (-5.0, 0.7), (1.5, 7.0)):
            assert cost(m, s)[0] > best + 1e-5

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_it_is_stable_ten_thousand_widths_away(self, dtype):
        prediction = np.array([[0, 0], [0, 0], [0, np.log(1e-4)]], dtype)
        value, gradient = logistic_crps(prediction, np.array([[1e4], [-1e4], [1.0]], dtype))
        assert value == pytest.approx((9999 + 9999 + 1) / 3, rel=1e-4)
        np.testing.assert_allclose(gradient[:, 0], np.array([-1, 1, -1]) / 3, rtol=1e-6)
        assert np.isfinite(gradient).all()

    @pytest.mark.parametrize(
        ("prediction", "target"), [((4, 1), (4, 1)), ((4, 2), (4, 2)), ((4, 2), (4,)), ((4,), (4,))]
    )
    def test_what_does_not_fit_is_refused(self, prediction, target):
        with pytest.raises(ValueError, match=r"m and log s need predictions \(..., 2\)"):
            logistic_crps(np.zeros(prediction), np.zeros(target))
