"""Where the weights start: the distribution of each rule, and which parameters get it."""

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

F, H, O, L = 3, 5, 2, 2
RULES = {
    "zeros": zeros,
    "constant": constant(2.5),
    "gaussian": gaussian(0.3),
    "inverse_root_uniform": inverse_root_uniform(16),
    "glorot_uniform": glorot_uniform,
    "orthogonal": orthogonal,
}

by_cell = pytest.mark.parametrize("cell", CELLS)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (1, 6), (5, 5)])
def test_every_rule_gives_the_shape_in_double_precision_and_the_same_for_the_same_seed(rule, shape):
    first, second = (RULES[rule](np.random.default_rng(5), *shape) for _ in range(2))
    assert first.shape == shape
    assert first.dtype == np.float64
    np.testing.assert_array_equal(first, second)


def test_zeros_draws_nothing(rng):
    before = rng.bit_generator.state
    np.testing.assert_array_equal(zeros(rng, 2, 3), [[0, 0, 0], [0, 0, 0]])
    assert rng.bit_generator.state == before


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, [[2, 2, 2], [2, 2, 2]]),
        ([1, 2, 3], [[1, 2, 3], [1, 2, 3]]),
        ([[1], [2]], [[1, 1, 1], [2, 2, 2]]),
        ([[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_a_constant_by_hand_fills_the_shape(value, expected, rng):
    np.testing.assert_array_equal(constant(value)(rng, 2, 3), expected)


def test_a_constant_that_does_not_fit_is_refused(rng):
    with pytest.raises(ValueError, match="broadcast"):
        constant([1, 2])(rng, 2, 3)


def test_each_constant_is_a_copy(rng):
    mine = np.array([[1.0, 2.0]])
    first = constant(mine)(rng, 1, 2)
    first += 1
    np.testing.assert_array_equal(mine, [[1, 2]])
    np.testing.assert_array_equal(constant(mine)(rng, 1, 2), [[1, 2]])


def test_gaussian_has_its_moments_and_its_shape(rng):
    """Of 200,000 draws: mean 0, deviation sigma, and 68.27 % and 95.45 % within one and two of it."""
    draws = gaussian(0.2)(rng, 400, 500)
    assert draws.mean() == pytest.approx(0, abs=4 * 0.2 / np.sqrt(draws.size))
    assert draws.std() == pytest.approx(0.2, rel=0.01)
    assert (np.abs(draws) < 0.2).mean() == pytest.approx(0.6827, abs=0.005)
    assert (np.abs(draws) < 0.4).mean() == pytest.approx(0.9545, abs=0.005)


@pytest.mark.parametrize(
    ("rule", "limit"),
    [(inverse_root_uniform(25), 0.2), (inverse_root_uniform(100), 0.1), (glorot_uniform, np.sqrt(6 / 900))],
    ids=["25 units", "100 units", "glorot"],
)
def test_uniform_rules_fill_their_range_evenly(rule, limit, rng):
    """All 200,000 are within the limit, the largest is next to it, and every tenth of the range holds a tenth."""
    draws = rule(rng, 400, 500)
    assert np.abs(draws).max() <= limit
    assert draws.min() == pytest.approx(-limit, rel=1e-3)
    assert draws.max() == pytest.approx(limit, rel=1e-3)
    counts, _ = np.histogram(draws, bins=10, range=(-limit, limit))
    np.testing.assert_allclose(counts / draws.size, 0.1, atol=0.004)
    assert draws.var() == pytest.approx(limit**2 / 3, rel=0.01)


def test_inverse_root_uniform_does_not_look_at_the_shape(rng):
    for shape in [(1, 2000), (2000, 1), (40, 50)]:
        assert np.abs(inverse_root_uniform(4)(rng, *shape)).max() == pytest.approx(0.5, rel=0.01)


def test_glorot_uniform_keeps_the_variance_of_a_signal(rng):
    """Its variance is 2 / (n_in + n_out): for a square matrix, what goes in is as large as what comes out."""
    signal = rng.normal(size=(500, 300))
    assert (signal @ glorot_uniform(rng, 300, 300)).var() == pytest.approx(1, rel=0.05)
    for shape in [(30, 24), (24, 30)]:
        assert np.abs([glorot_uniform(rng, *shape) for _ in range(50)]).max() == pytest.approx(1 / 3, rel=1e-3)


@pytest.mark.parametrize("n", [1, 2, 16])
def test_a_square_orthogonal_matrix_keeps_lengths(n, rng):
    Q = orthogonal(rng, n, n)
    np.testing.assert_allclose(Q @ Q.T, np.eye(n), atol=1e-13)
    np.testing.assert_allclose(Q.T @ Q, np.eye(n), atol=1e-13)
    v = rng.normal(size=n)
    assert np.linalg.norm(v @ np.linalg.matrix_power(Q, 50)) == pytest.approx(np.linalg.norm(v), rel=1e-11)


def test_a_tall_orthogonal_matrix_has_orthonormal_columns_and_a_wide_one_rows(rng):
    tall, wide = orthogonal(rng, 9, 4), orthogonal(rng, 4, 9)
    np.testing.assert_allclose(tall.T @ tall, np.eye(4), atol=1e-13)
    np.testing.assert_allclose(wide @ wide.T, np.eye(4), atol=1e-13)


def test_orthogonal_matrices_are_uniform_over_all_of_them(rng):
    """The trace of such a 3 x 3 matrix has mean 0 and variance 1, and half of them are reflections.

    Without the correction of signs every one from the same LAPACK has the same determinant.
    """
    drawn = np.array([orthogonal(rng, 3, 3) for _ in range(1000)])
    traces = np.trace(drawn, axis1=1, axis2=2)
    assert traces.mean() == pytest.approx(0, abs=4 / np.sqrt(1000))
    assert traces.var() == pytest.approx(1, rel=0.2)
    assert (np.linalg.det(drawn) > 0).mean() == pytest.approx(0.5, abs=0.07)
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.1)


def names(cell):
    return ["W", "U", "b", "c"] if cell == "gru" else ["W", "U", "b"]


@by_cell
def test_each_rule_goes_to_its_kind_of_parameter(cell, rng):
    rules = Initialization(inputs=constant(1), recurrent=constant(2), bias=constant(3), head=constant(4))
    params = RecurrentNetwork(cell, F, H, L, O).init(rng, np.float64, rules)
    n_gates = {"lstm": 4, "gru": 3, "gru-reset-before": 3}.get(cell, 1)
    biases = np.full(n_gates * H, 3.0)
    with_forget_gate = biases + np.repeat([0, 1, 0, 0], H) if cell == "lstm" else biases
    expected = {"head.W": np.full((H, O), 4.0), "head.b": np.zeros(O)}
    for layer, n_in in enumerate([F, H]):
        expected[f"layer{layer}.W"] = np.full((n_in, n_gates * H), 1.0)
        expected[f"layer{layer}.U"] = np.full((H, n_gates * H), 2.0)
        expected[f"layer{layer}.b"] = with_forget_gate
        if cell == "gru":
            expected[f"layer{layer}.c"] = biases
    assert params.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(params[name], value, name)


@by_cell
def test_a_new_network_has_orthogonal_recurrences_glorot_inputs_and_zero_biases(cell, rng):
    """Gate by gate: the limit of a block is that of its own F inputs and H units, not of all the gates'."""
    params = RecurrentNetwork(cell, 40, 60, L, O).init(rng, np.float64)
    for layer, n_in in enumerate([40, 60]):
        U, W = params[f"layer{layer}.U"], params[f"layer{layer}.W"]
        for block in np.split(U, U.shape[1] // 60, axis=1):
            np.testing.assert_allclose(block @ block.T, np.eye(60), atol=1e-12)
        for block in np.split(W, W.shape[1] // 60, axis=1):
            assert np.abs(block).max() == pytest.approx(np.sqrt(6 / (n_in + 60)), rel=0.01)
        b = params[f"layer{layer}.b"]
        np.testing.assert_array_equal(b, np.repeat([0, 1, 0, 0], 60) if cell == "lstm" else np.zeros(len(b)))
        if cell == "gru":
            assert not params[f"layer{layer}.c"].any()
    assert np.abs(params["head.W"]).max() <= np.sqrt(6 / (60 + O))
    assert not params["head.b"].any()


@by_cell
def test_no_two_blocks_layers_or_kinds_are_drawn_alike(cell, rng):
    uniform = inverse_root_uniform(H)
    params = RecurrentNetwork(cell, H, H, L, H).init(
        rng, np.float64, Initialization(uniform, uniform, uniform, uniform)
    )
    drawn = np.concatenate([value.ravel() for name, value in params.items() if name != "head.b"])
    assert len(np.unique(drawn)) == len(drawn)
    for name in names(cell):
        assert params[f"layer0.{name}"].any()


@by_cell
def test_the_seed_decides_the_parameters_and_the_dtype_only_rounds_them(cell):
    network = RecurrentNetwork(cell, F, H, L, O)
    single, double, other = (
        network.init(np.random.default_rng(seed), dtype)
        for seed, dtype in ((1, np.float32), (1, np.float64), (2, np.float64))
    )
    for name, value in double.items():
        assert value.dtype == np.float64
        assert single[name].dtype == np.float32
        np.testing.assert_array_equal(single[name], value.astype(np.float32))
    assert not np.array_equal(double["layer1.W"], other["layer1.W"])
    assert {value.dtype for value in network.init(np.random.default_rng(1)).values()} == {np.dtype(np.float32)}
