"""Optimisers: first steps worked by hand, purity, and the two ways of clipping. See also test_golden.py."""

import numpy as np
import pytest

from models.nn import SGD, Adam, RMSprop, clip_by_global_norm, clip_by_value

OPTIMIZERS = {
    "sgd": SGD(),
    "momentum": SGD(0.9),
    "rmsprop": RMSprop(),
    "adam": Adam(),
    "adamw": Adam(weight_decay=0.1),
}


@pytest.mark.parametrize(
    ("optimizer", "initial", "grads", "path"),
    [
        (SGD(), [1, -2], [[0.5, 1], [-1, 2]], [[0.95, -2.1], [1.05, -2.3]]),
        # v is 1, then 0.5 * 1 + 2 = 2.5, then 0.5 * 2.5 - 1 = 0.25.
        (SGD(0.5), [0], [[1], [2], [-1]], [[-0.1], [-0.35], [-0.375]]),
        # v is 16 / 4 = 4, then 3/4 * 4 + 4 / 4 = 4; the steps are 4 / (2 + 0.5) and -2 / (2 + 0.5).
        (RMSprop(0.75, 0.5), [0], [[4], [-2]], [[-0.16], [-0.08]]),
        # m is 1, then 1/2 - 1 = -1/2, corrected 1 / (1/2) = 2 and (-1/2) / (3/4) = -2/3; v is always 4 once corrected.
        (Adam(0.5, 0.75, epsilon=0.5), [0], [[2], [-2]], [[-0.1 * 2 / 2.5], [-0.1 * 2 / 2.5 + 0.1 * (2 / 3) / 2.5]]),
        # A step of Adam, minus alpha * weight_decay times the weight before it: 2 - 0.1 - 0.1 * 0.3 * 2.
        (Adam(epsilon=0, weight_decay=0.3), [2, -1], [[1, 1]], [[1.84, -1.07]]),
        # Without gradients, by the factor 1 - 0.1 * 0.5 at each step.
        (Adam(weight_decay=0.5), [4, -2], [[0, 0]] * 3, [[4 * 0.95**t, -2 * 0.95**t] for t in (1, 2, 3)]),
    ],
    ids=["sgd", "momentum", "rmsprop", "adam", "decay", "decay alone"],
)
def test_first_steps_worked_by_hand(optimizer, initial, grads, path):
    params = {"w": np.array(initial, float)}
    memory = optimizer.init(params)
    for gradient, expected in zip(grads, path, strict=True):
        params, memory = optimizer.step(params, {"w": np.array(gradient, float)}, memory, 0.1)
        np.testing.assert_allclose(params["w"], expected, rtol=1e-14)


def test_small_decay_is_not_lost_to_rounding():
    """1 - (1 - d) keeps few digits of a small d; the decay must not be computed that way."""
    optimizer, params = Adam(weight_decay=1e-6), {"W": np.array([[1.0]])}
    memory = optimizer.init(params)
    for _ in range(1000):
        params, memory = optimizer.step(params, {"W": np.zeros((1, 1))}, memory, 1e-5)
    assert 1 - params["W"][0, 0] == pytest.approx(1e-8, rel=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_step_changes_nothing_in_place_and_keeps_shapes_and_dtype(name):
    """A zero gradient moves nothing but by decay, although the first step divides by epsilon alone."""
    rng = np.random.default_rng(0)
    optimizer = OPTIMIZERS[name]
    params = {"W": rng.normal(size=(2, 3)).astype(np.float32), "b": rng.normal(size=3).astype(np.float32)}
    grads = {k: rng.normal(size=v.shape).astype(np.float32) for k, v in params.items()}
    zero, memory = optimizer.step(params, {k: 0 * g for k, g in grads.items()}, optimizer.init(params), 0.1)
    assert all((np.array_equal(zero[k], params[k])) == (name != "adamw") for k in params)
    first, memory = optimizer.step(params, grads, memory, 0.1)
    given = [*first.values(), *grads.values(), *arrays_of(memory)]
    before = [array.tobytes() for array in given]
    for array in given:
        array.flags.writeable = False
    second, next_memory = optimizer.step(first, grads, memory, 0.1)
    again, _ = optimizer.step(first, grads, memory, 0.1)
    assert [array.tobytes() for array in given] == before
    assert {k: (v.shape, v.dtype) for k, v in second.items()} == {k: (v.shape, v.dtype) for k, v in params.items()}
    assert {array.dtype for array in arrays_of(next_memory)} == {np.dtype(np.float32)}
    for k in params:
        np.testing.assert_array_equal(second[k], again[k])
        assert not np.array_equal(second[k], first[k])


def arrays_of(memory):
    """Return the arrays of a memory: the two moments of Adam, or the one dictionary of the others."""
    parts = [memory] if isinstance(memory, dict) else [part for part in memory if isinstance(part, dict)]
    return [array for part in parts for array in part.values()]


def test_clipping_by_norm_keeps_the_direction_and_bounds_the_joint_norm():
    grads = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}
    clipped, norm = clip_by_global_norm(grads, 1.0)
    assert norm == 5.0
    np.testing.assert_allclose(clipped["a"], [0.6, 0.0])
    np.testing.assert_allclose(clipped["b"], [[0.8]])
    np.testing.assert_array_equal(grads["a"], [3.0, 0.0])
    for max_norm in (5.0, 10.0):
        assert clip_by_global_norm(grads, max_norm)[0] is grads
    assert clip_by_global_norm({"a": np.zeros(3)}, 1.0)[1] == 0


def test_clipping_by_value_limits_each_element():
    grads = {"a": np.array([3.0, -0.2, -7.0]), "b": np.array([[0.5]])}
    clipped = clip_by_value(grads, 0.5)
    np.testing.assert_array_equal(clipped["a"], [0.5, -0.2, -0.5])
    np.testing.assert_array_equal(clipped["b"], [[0.5]])
    np.testing.assert_array_equal(grads["a"], [3.0, -0.2, -7.0])


def test_clipping_keeps_single_precision_exploding_gradients_and_nan():
    """The square of 3e20 overflows single precision; a NaN must reach the loss, which stops the training."""
    clipped, norm = clip_by_global_norm({"a": np.array([3e20, 4e20], np.float32)}, 1.0)
    assert norm == pytest.approx(5e20)
    np.testing.assert_allclose(clipped["a"], [0.6, 0.8], rtol=1e-6)
    assert {clipped["a"].dtype, clip_by_value(clipped, 0.5)["a"].dtype} == {np.dtype(np.float32)}
    assert np.isnan(clip_by_value({"a": np.array([np.nan])}, 1.0)["a"]).all()
    clipped, norm = clip_by_global_norm({"a": np.array([np.nan, 1.0])}, 1.0)
    assert np.isnan(norm)
    assert np.isnan(clipped["a"][0])
