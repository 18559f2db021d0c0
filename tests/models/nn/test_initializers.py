"""Initialisers: the distribution of each, and which parameters of a network get it."""

import numpy as np
import pytest

from models.nn import (
    CELLS,
    Initialization,
    RecurrentNetwork,
    constant,
    gaussian,
    glorot_uniform,
    inverse_root_uniform,
    orthogonal,
    zeros,
)
from tests.models.nn.cases import by_cell

F, H, O, L = 3, 5, 2, 2
RULES = {
    "zeros": zeros,
    "constant": constant(2.5),
    "gaussian": gaussian(0.3),
    "inverse_root_uniform": inverse_root_uniform(16),
    "glorot_uniform": glorot_uniform,
    "orthogonal": orthogonal,
}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("rule", RULES)
def test_initialisers_give_the_shape_in_double_precision_determined_by_the_seed(rule):
    for shape in [(4, 7), (7, 4), (1, 6), (5, 5)]:
        first, second = (RULES[rule](np.random.default_rng(5), *shape) for _ in range(2))
        assert (first.shape, first.dtype) == (shape, np.float64)
        np.testing.assert_array_equal(first, second)


def test_zeros_and_constants_fill_the_shape_with_a_copy_and_draw_nothing(rng):
    before = rng.bit_generator.state
    np.testing.assert_array_equal(zeros(rng, 2, 3), np.zeros((2, 3)))
    for value in (2, [1, 2, 3], [[1], [2]], [[1, 2, 3], [4, 5, 6]]):
        np.testing.assert_array_equal(constant(value)(rng, 2, 3), value + np.zeros((2, 3)))
    mine = np.array([[1.0, 2.0]])
    drawn = constant(mine)(rng, 1, 2)
    drawn += 1
    np.testing.assert_array_equal(mine, [[1, 2]])
    assert rng.bit_generator.state == before
    with pytest.raises(ValueError, match="broadcast"):
        constant([1, 2])(rng, 2, 3)


def test_gaussian_has_its_moments_and_its_shape(rng):
    """200,000 draws: mean 0, standard deviation sigma, and 68.27 % and 95.45 % within one and two of it."""
    draws = gaussian(0.2)(rng, 400, 500)
    assert draws.mean() == pytest.approx(0, abs=4 * 0.2 / np.sqrt(draws.size))
    assert draws.std() == pytest.approx(0.2, rel=0.01)
    assert (np.abs(draws) < 0.2).mean() == pytest.approx(0.6827, abs=0.005)
    assert (np.abs(draws) < 0.4).mean() == pytest.approx(0.9545, abs=0.005)


@pytest.mark.parametrize(
    ("rule", "shape", "limit"),
    [
        (inverse_root_uniform(25), (400, 500), 0.2),
        (inverse_root_uniform(25), (1, 100_000), 0.2),
        (glorot_uniform, (400, 500), np.sqrt(6 / 900)),
        (glorot_uniform, (30, 20_000), np.sqrt(6 / 20_030)),
    ],
)
def test_uniform_initialisers_fill_their_range_evenly(rule, shape, limit, rng):
    """All draws are within the limit, the largest are near it, and each tenth of the range holds a tenth of them."""
    draws = rule(rng, *shape)
    assert np.abs(draws).max() <= limit
    assert (draws.min(), draws.max()) == pytest.approx((-limit, limit), rel=1e-3)
    counts, _ = np.histogram(draws, bins=10, range=(-limit, limit))
    np.testing.assert_allclose(counts / draws.size, 0.1, atol=0.004)


def test_glorot_uniform_keeps_the_variance_of_a_signal(rng):
    signal = rng.normal(size=(500, 300))
    assert (signal @ glorot_uniform(rng, 300, 300)).var() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (16, 16), (9, 4), (4, 9)])
def test_orthogonal_matrices_have_orthonormal_rows_or_columns(shape, rng):
    Q = orthogonal(rng, *shape)
    Q = Q if shape[0] >= shape[1] else Q.T
    np.testing.assert_allclose(Q.T @ Q, np.eye(min(shape)), atol=1e-13)


def test_orthogonal_matrices_are_uniformly_distributed(rng):
    """The trace of such a 3 x 3 matrix has mean 0 and variance 1, and half of them are reflections.

    Without the correction of signs, all from one LAPACK have the same determinant.
    """
    drawn = np.array([orthogonal(rng, 3, 3) for _ in range(1000)])
    traces = np.trace(drawn, axis1=1, axis2=2)
    assert traces.mean() == pytest.approx(0, abs=4 / np.sqrt(1000))
    assert traces.var() == pytest.approx(1, rel=0.2)
    assert (np.linalg.det(drawn) > 0).mean() == pytest.approx(0.5, abs=0.07)
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.1)


def forget_gate_bias(cell, H):
    """Return what an LSTM adds to its biases; zeros for the other cells."""
    return np.repeat([0, 1, 0, 0], H) if cell == "lstm" else np.zeros(gates(cell) * H)


def gates(cell):
    return {"lstm": 4, "gru": 3, "gru-reset-before": 3}.get(cell, 1)


@by_cell
def test_each_rule_initialises_its_kind_of_parameter(cell, rng):
    rules = Initialization(inputs=constant(1), recurrent=constant(2), bias=constant(3), head=constant(4))
    params = RecurrentNetwork(cell, F, H, L, O).init(rng, np.float64, rules)
    columns = gates(cell) * H
    expected = {"head.W": np.full((H, O), 4.0), "head.b": np.zeros(O)}
    for layer, n_in in enumerate([F, H]):
        expected[f"layer{layer}.W"] = np.full((n_in, columns), 1.0)
        expected[f"layer{layer}.U"] = np.full((H, columns), 2.0)
        expected[f"layer{layer}.b"] = 3 + forget_gate_bias(cell, H)
        if "c" in CELLS[cell].names:
            expected[f"layer{layer}.c"] = np.full(columns, 3.0)
    assert params.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(params[name], value, name)


@by_cell
def test_default_network_has_orthogonal_recurrences_glorot_inputs_and_zero_biases(cell, rng):
    """Each gate separately: the limit of a block is that of its own F inputs and H units, not of all gates."""
    n_hidden = 40
    params = RecurrentNetwork(cell, 60, n_hidden, L, O).init(rng, np.float64)
    for layer, n_in in enumerate([60, n_hidden]):
        U, W = params[f"layer{layer}.U"], params[f"layer{layer}.W"]
        for block in np.split(U, gates(cell), axis=1):
            np.testing.assert_allclose(block @ block.T, np.eye(n_hidden), atol=1e-12)
        for block in np.split(W, gates(cell), axis=1):
            assert np.abs(block).max() == pytest.approx(np.sqrt(6 / (n_in + n_hidden)), rel=0.01)
        np.testing.assert_array_equal(params[f"layer{layer}.b"], forget_gate_bias(cell, n_hidden))
        assert not params.get(f"layer{layer}.c", np.zeros(1)).any()
    assert np.abs(params["head.W"]).max() <= np.sqrt(6 / (n_hidden + O))
    assert not params["head.b"].any()


@by_cell
def test_all_parameters_are_drawn_independently_by_the_seed_and_rounded_to_the_dtype(cell):
    uniform = inverse_root_uniform(H)
    network, rules = RecurrentNetwork(cell, H, H, L, H), Initialization(uniform, uniform, uniform, uniform)
    double, other = (network.init(np.random.default_rng(seed), np.float64, rules) for seed in (1, 2))
    single = network.init(np.random.default_rng(1), rules=rules)
    drawn = np.concatenate([value.ravel() for name, value in (*double.items(), *other.items()) if name != "head.b"])
    assert len(np.unique(drawn)) == len(drawn)
    for name, value in double.items():
        assert (value.dtype, single[name].dtype) == (np.float64, np.float32)
        np.testing.assert_array_equal(single[name], value.astype(np.float32))
