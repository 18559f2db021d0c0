"""Each optimiser's first steps by hand, what it finds in the end, and the two ways to clip."""

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
by_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def steps(optimizer, start, grads, alpha):
    """Return the parameter after each of the gradients."""
    params = {"w": np.array(start, float)}
    memory, path = optimizer.init(params), []
    for gradient in grads:
        params, memory = optimizer.step(params, {"w": np.array(gradient, float)}, memory, alpha)
        path.append(params["w"])
    return path


def test_gradient_descent_worked_by_hand():
    path = steps(SGD(), [1, -2], [[0.5, 1], [-1, 2]], 0.1)
    np.testing.assert_allclose(path, [[0.95, -2.1], [1.05, -2.3]], rtol=1e-14)


def test_momentum_worked_by_hand():
    """v is 1, then 0.5 * 1 + 2 = 2.5, then 0.5 * 2.5 - 1 = 0.25."""
    path = steps(SGD(0.5), [0], [[1], [2], [-1]], 0.1)
    np.testing.assert_allclose(path, [[-0.1], [-0.35], [-0.375]], rtol=1e-14)


def test_rmsprop_worked_by_hand():
    """With rho = 3/4: v is 16 / 4 = 4, then 3/4 * 4 + 4 / 4 = 4; the steps are 4 / (2 + 0.5) and -2 / (2 + 0.5)."""
    path = steps(RMSprop(0.75, 0.5), [0], [[4], [-2]], 0.1)
    np.testing.assert_allclose(path, [[-0.16], [-0.08]], rtol=1e-14)


def test_adam_worked_by_hand():
    """With beta1 = 1/2, beta2 = 3/4 and gradients 2, -2.

    m is 1, then 1/2 - 1 = -1/2, corrected 1 / (1/2) = 2, then (-1/2) / (3/4) = -2/3; v is 4 once corrected, always.
    """
    path = steps(Adam(0.5, 0.75, epsilon=0.5), [0], [[2], [-2]], 0.1)
    np.testing.assert_allclose(path, [[-0.1 * 2 / 2.5], [-0.1 * 2 / 2.5 + 0.1 * (2 / 3) / 2.5]], rtol=1e-14)


def test_adam_s_first_steps_have_the_length_of_the_learning_rate():
    """With a constant gradient the bias-corrected moments are g and g^2, whatever its size."""
    path = steps(Adam(), [1, -1], [[2, -0.005]] * 3, 0.1)
    np.testing.assert_allclose(path, [[0.9, -0.9], [0.8, -0.8], [0.7, -0.7]], rtol=1e-5)


def test_decay_worked_by_hand():
    """A step of Adam, and less by alpha * weight_decay of what the weight was before it: 2 - 0.1 - 0.1 * 0.3 * 2."""
    path = steps(Adam(epsilon=0, weight_decay=0.3), [2, -1], [[1, 1]], 0.1)
    np.testing.assert_allclose(path, [[1.84, -1.07]], rtol=1e-14)


def test_without_gradients_nothing_but_the_decay_moves_a_weight():
    """By the factor 1 - 0.1 * 0.5 at each step."""
    path = steps(Adam(weight_decay=0.5), [4, -2], [[0, 0]] * 3, 0.1)
    np.testing.assert_allclose(path, [[4 * 0.95**t, -2 * 0.95**t] for t in (1, 2, 3)], rtol=1e-14)


def test_a_decay_is_as_large_as_it_says_however_small():
    """1 - (1 - d) is d to only a few digits where d is small; the decay itself must not pass through it."""
    params = {"W": np.array([[1.0]])}
    optimizer = Adam(weight_decay=1e-6)
    theta = params
    memory = optimizer.init(params)
    for _ in range(1000):
        theta, memory = optimizer.step(theta, {"W": np.zeros((1, 1))}, memory, 1e-5)
    assert 1 - theta["W"][0, 0] == pytest.approx(1e-8, rel=1e-4)


@pytest.mark.parametrize(
    ("optimizer", "alpha", "n"),
    [(SGD(), 0.2, 200), (SGD(0.9), 0.05, 300), (RMSprop(), 0.005, 1500), (Adam(), 0.05, 600)],
    ids=["sgd", "momentum", "rmsprop", "adam"],
)
def test_every_optimizer_finds_the_minimum_of_a_quadratic(optimizer, alpha, n):
    """(x - 3)^2 / 2 + 2 (y + 1)^2 is smallest at (3, -1)."""
    params = {"w": np.array([0.0, 0.0])}
    memory = optimizer.init(params)
    for _ in range(n):
        x, y = params["w"]
        params, memory = optimizer.step(params, {"w": np.array([x - 3, 4 * (y + 1)])}, memory, alpha)
    np.testing.assert_allclose(params["w"], [3, -1], atol=0.01)


def test_decay_draws_the_minimum_towards_zero():
    """Where the pull of the decay is as large as the step of Adam: (x - 3)^2 / 2 is no longer smallest at 3."""
    params, optimizer = {"W": np.array([[0.0]])}, Adam(weight_decay=0.5)
    memory = optimizer.init(params)
    for _ in range(2000):
        params, memory = optimizer.step(params, {"W": params["W"] - 3}, memory, 0.01)
    assert 0.5 < params["W"][0, 0] < 2.5


@by_optimizer
def test_a_step_changes_nothing_in_place_and_keeps_the_dtype(name):
    rng = np.random.default_rng(0)
    optimizer = OPTIMIZERS[name]
    params = {"W": rng.normal(size=(2, 3)).astype(np.float32), "b": rng.normal(size=3).astype(np.float32)}
    grads = {k: rng.normal(size=v.shape).astype(np.float32) for k, v in params.items()}
    first, memory = optimizer.step(params, grads, optimizer.init(params), 0.1)
    given = [*params.values(), *grads.values(), *arrays_of(memory)]
    before = [array.tobytes() for array in given]
    for array in given:
        array.flags.writeable = False
    second, next_memory = optimizer.step(first, grads, memory, 0.1)
    again, _ = optimizer.step(first, grads, memory, 0.1)
    assert [array.tobytes() for array in given] == before
    assert second.keys() == params.keys()
    for k, value in params.items():
        np.testing.assert_array_equal(second[k], again[k])
        assert not np.array_equal(second[k], first[k])
        assert second[k].shape == value.shape
    assert {array.dtype for array in [*second.values(), *arrays_of(next_memory)]} == {np.dtype(np.float32)}


def arrays_of(memory):
    """Return the arrays of a memory: Adam's two moments, or the one dictionary of the others."""
    parts = [memory] if isinstance(memory, dict) else [part for part in memory if isinstance(part, dict)]
    return [array for part in parts for array in part.values()]


@by_optimizer
def test_the_memory_begins_with_zeros(name):
    params = {"W": np.ones((2, 3), np.float32), "b": np.ones(3, np.float32)}
    arrays = arrays_of(OPTIMIZERS[name].init(params))
    assert arrays
    assert not any(array.any() for array in arrays)
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    assert {array.shape for array in arrays} == {(2, 3), (3,)}


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"adamw"}))
def test_a_gradient_of_zero_moves_nothing(name):
    """Not even through the division: the first step of RMSprop and Adam divides by epsilon alone."""
    path = steps(OPTIMIZERS[name], [1, -1], [[0, 0]] * 2, 0.1)
    np.testing.assert_array_equal(path, [[1, -1]] * 2)


def test_clipping_keeps_the_direction_and_bounds_the_joint_norm():
    grads = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}
    clipped, norm = clip_by_global_norm(grads, 1.0)
    assert norm == 5.0
    np.testing.assert_allclose(clipped["a"], [0.6, 0.0])
    np.testing.assert_allclose(clipped["b"], [[0.8]])
    np.testing.assert_array_equal(grads["a"], [3.0, 0.0])
    for enough in (5.0, 10.0):
        untouched, _ = clip_by_global_norm(grads, enough)
        assert untouched is grads


def test_a_gradient_of_zero_has_the_norm_zero_and_stays():
    clipped, norm = clip_by_global_norm({"a": np.zeros(3)}, 1.0)
    assert norm == 0
    np.testing.assert_array_equal(clipped["a"], np.zeros(3))


def test_clipping_keeps_single_precision():
    clipped, _ = clip_by_global_norm({"a": np.array([3.0, 4.0], np.float32)}, 1.0)
    assert clipped["a"].dtype == np.float32
    assert clip_by_value(clipped, 0.5)["a"].dtype == np.float32


def test_an_exploding_gradient_is_shortened_not_erased():
    """The square of 3e20 is more than single precision holds; the gradient itself is not."""
    clipped, norm = clip_by_global_norm({"a": np.array([3e20, 4e20], np.float32)}, 1.0)
    assert norm == pytest.approx(5e20)
    np.testing.assert_allclose(clipped["a"], [0.6, 0.8], rtol=1e-6)


def test_clipping_by_value_brings_each_element_into_the_range():
    grads = {"a": np.array([3.0, -0.2, -7.0]), "b": np.array([[0.5]])}
    clipped = clip_by_value(grads, 0.5)
    np.testing.assert_array_equal(clipped["a"], [0.5, -0.2, -0.5])
    np.testing.assert_array_equal(clipped["b"], [[0.5]])
    np.testing.assert_array_equal(grads["a"], [3.0, -0.2, -7.0])


def test_what_is_no_number_is_not_clipped_to_one():
    """The training loop stops where a loss is no number; a gradient must not hide it."""
    assert np.isnan(clip_by_value({"a": np.array([np.nan])}, 1.0)["a"]).all()
    clipped, norm = clip_by_global_norm({"a": np.array([np.nan, 1.0])}, 1.0)
    assert np.isnan(norm)
    assert np.isnan(clipped["a"][0])
