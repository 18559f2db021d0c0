"""The fast networks against the plain ones, and what must hold for every shape and every layout of memory."""

import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.nn import CELLS, RecurrentNetwork
from tests import oracle
from tests.conftest import ROOT

TOLERANCE = {np.float64: 1e-10, np.float32: 1e-5}


class Case(NamedTuple):
    network: RecurrentNetwork
    params: dict
    x: np.ndarray
    state: list

    def __repr__(self):
        return f"<{self.network} on {self.x.shape} {self.x.dtype}>"

    def to(self, dtype):
        return Case(
            self.network,
            {name: value.astype(dtype) for name, value in self.params.items()},
            self.x.astype(dtype),
            [tuple(array.astype(dtype) for array in layer) for layer in self.state],
        )

    def rows(self, rows):
        return self._replace(x=self.x[rows], state=[tuple(array[rows] for array in layer) for layer in self.state])

    def forward(self):
        return self.network.forward(self.params, self.x, self.state)

    def arrays(self):
        return [*self.params.values(), self.x, *(array for layer in self.state for array in layer)]


def make(network, B, T, dtype, seed=0):
    """Weights of a size that neither silences nor saturates the units, biases, inputs and states away from zero."""
    rng = np.random.default_rng(seed)
    spread = 0.3 / np.sqrt(network.n_hidden)
    params = {k: v + rng.normal(0, spread, v.shape) for k, v in network.init(rng, np.float64).items()}
    state = [tuple(rng.normal(size=array.shape) for array in layer) for layer in network.initial_state(B, np.float64)]
    return Case(network, params, rng.normal(size=(B, T, network.n_inputs)), state).to(dtype)


def assert_close(actual, expected, tolerance):
    """Compare by the size of the largest number: where large ones cancel, small ones are no more exact than they."""
    expected = np.asarray(expected)
    assert actual.shape == expected.shape
    assert np.isfinite(actual).all()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(1.0, np.abs(expected).max(initial=0)))


def assert_states_close(actual, expected, tolerance):
    for layer, expected_layer in zip(actual, expected, strict=True):
        for array, expected_array in zip(layer, expected_layer, strict=True):
            assert_close(array, expected_array, tolerance)


by_cell = pytest.mark.parametrize("cell", CELLS)
by_layers = pytest.mark.parametrize("layers", [1, 2, 3])
by_output = pytest.mark.parametrize("output", ["last", "every"])


@by_cell
@by_layers
@by_output
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_outputs_and_final_states_are_the_oracle_s(cell, layers, output, dtype):
    case = make(RecurrentNetwork(cell, 4, 7, layers, 3, output), 5, 6, dtype)
    y, state, _ = case.forward()
    expected_y, expected_state = oracle.forward(*case)
    if dtype is np.float64:
        np.testing.assert_allclose(y, expected_y, rtol=1e-10, atol=1e-13)
    assert_close(y, expected_y, TOLERANCE[dtype])
    assert_close(case.network.predict(case.params, case.x, case.state), expected_y, TOLERANCE[dtype])
    assert_states_close(state, expected_state, TOLERANCE[dtype])


@by_cell
@by_output
def test_without_a_state_it_begins_with_zeros(cell, output):
    case = make(RecurrentNetwork(cell, 4, 7, 2, 3, output), 5, 6, np.float64)
    zeros = case._replace(state=case.network.initial_state(5, np.float64))
    expected_y, expected_state = oracle.forward(*zeros)
    y, state, _ = case.network.forward(case.params, case.x)
    assert_close(y, expected_y, 1e-10)
    assert_states_close(state, expected_state, 1e-10)
    assert_close(case.network.predict(case.params, case.x), expected_y, 1e-10)


@by_cell
def test_the_initial_state_is_zero_in_every_layer(cell):
    state = RecurrentNetwork(cell, 4, 7, 3).initial_state(5)
    assert len(state) == 3
    for layer in state:
        assert [(array.shape, array.dtype, array.any()) for array in layer] == [((5, 7), np.float32, False)] * (
            2 if cell == "lstm" else 1
        )


@by_cell
@by_layers
@by_output
def test_gradients_in_single_precision_are_those_in_double(cell, layers, output):
    assert_gradients_agree(make(RecurrentNetwork(cell, 4, 7, layers, 3, output), 17, 6, np.float64))


def assert_gradients_agree(case):
    """Compare every gradient in single precision with double's: by norms, to one part in ten thousand.

    Where the terms of one cancel, it is no more exact than they are: it is judged by a tenth of all gradients together.
    """
    single, double = (gradients(case.to(dtype)) for dtype in (np.float32, np.float64))
    assert single.keys() == double.keys()
    together = np.sqrt(sum((gradient**2).sum() for gradient in double.values()))
    for name, gradient in single.items():
        assert gradient.dtype == np.float32
        assert double[name].dtype == np.float64
        assert gradient.shape == double[name].shape
        error = np.linalg.norm(gradient - double[name]) / max(np.linalg.norm(double[name]), 0.1 * together)
        assert error < 1e-4, (name, error)


def gradients(case):
    y, _, tape = case.forward()
    d_y = np.cos(np.arange(y.size)).reshape(y.shape).astype(y.dtype)
    grads, d_x, d_state = case.network.backward(case.params, d_y, tape)
    states = {f"state{i}.{j}": array for i, layer in enumerate(d_state) for j, array in enumerate(layer)}
    return grads | {"x": d_x} | states


@pytest.mark.parametrize("cell", ["rnn", "rnn-sigmoid", "gru"])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_tanh_and_sigmoid_are_right_to_nearly_the_last_digit(cell, dtype):
    """One unit that only reads its input; a GRU without a candidate keeps the share sigmoid(x) of a state of 1."""
    network = RecurrentNetwork(cell, 1, 1)
    params = {name: np.zeros_like(value) for name, value in network.init(np.random.default_rng(0), dtype).items()}
    params["layer0.W"][0, 1 if cell == "gru" else 0] = 1
    params["head.W"][0, 0] = 1
    spread = np.concatenate(
        [np.linspace(-12, 12, 20001), np.geomspace(1e-30, 100, 4000), -np.geomspace(1e-30, 100, 4000)]
    )
    x = spread.astype(dtype)[:, None, None]
    y = network.predict(params, x, [(np.ones((len(x), 1), dtype),)])[:, 0]
    exact = np.tanh(x[:, 0, 0].astype(float)) if cell == "rnn" else (1 + np.tanh(x[:, 0, 0].astype(float) / 2)) / 2
    np.testing.assert_allclose(y, exact, rtol=0, atol=3 * np.finfo(dtype).eps)
    if cell == "rnn":
        np.testing.assert_allclose(y, exact, rtol=10 * np.finfo(dtype).eps)
        assert np.abs(y).max() <= 1 + np.finfo(dtype).eps


def what_dropout_leaves(n_layers, dropout, seed=0):
    """Return the outputs (B, T, H) of a network that hands ones upwards unchanged, from layer to layer to its head."""
    H = 50
    network = RecurrentNetwork("rnn-identity", 1, H, n_layers, H, "every", dropout)
    params = {name: np.zeros_like(value) for name, value in network.init(np.random.default_rng(0)).items()}
    params |= {f"layer{layer}.W": np.eye(H, dtype=np.float32) for layer in range(1, n_layers)}
    params |= {"layer0.W": np.ones((1, H), np.float32), "head.W": np.eye(H, dtype=np.float32)}
    x = np.ones((30, 20, 1), np.float32)
    y, final, _ = network.forward(params, x, rng=np.random.default_rng(seed))
    np.testing.assert_array_equal(network.predict(params, x), 1)
    np.testing.assert_array_equal(network.forward(params, x)[0], 1)
    np.testing.assert_array_equal(final[0][0], 1)  # what a layer remembers is never dropped
    return y


@pytest.mark.parametrize("dropout", [0.25, 0.6])
def test_dropout_drops_its_share_and_strengthens_the_rest(dropout):
    """What is left is divided by the share that is left, so that the mean is as it was."""
    y = what_dropout_leaves(2, dropout)
    dropped = y == 0
    np.testing.assert_allclose(y[~dropped], 1 / (1 - dropout), rtol=1e-6)
    assert dropped.mean() == pytest.approx(dropout, abs=0.01)
    for axes in ((0, 1), (0, 2), (1, 2)):  # of each unit, each step and each sequence, each drawn by itself
        shares = dropped.mean(axis=axes)
        np.testing.assert_allclose(shares, dropout, atol=0.1)
        assert len(np.unique(shares)) > 5


def test_dropout_stands_between_layers_and_nowhere_else():
    np.testing.assert_array_equal(what_dropout_leaves(1, 0.5), 1)
    y = what_dropout_leaves(3, 0.5)
    np.testing.assert_array_equal(np.unique(y), [0, 4])
    assert (y == 0).mean() == pytest.approx(0.75, abs=0.01)


def test_the_generator_decides_what_is_dropped():
    first, second, other = (what_dropout_leaves(2, 0.5, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@by_cell
@by_output
def test_a_gradient_given_in_double_precision_to_single_precision_weights_is_rounded(cell, output):
    """A loss of float32 outputs and float64 targets gives such a one."""
    case = make(RecurrentNetwork(cell, 4, 7, 2, 3, output), 17, 6, np.float32)
    y, _, tape = case.forward()
    expected, expected_d_x, _ = case.network.backward(case.params, y, tape)
    grads, d_x, _ = case.network.backward(case.params, y.astype(np.float64), tape)
    assert_close(d_x, expected_d_x, 1e-5)
    for name, gradient in grads.items():
        assert gradient.dtype == np.float32, name
        assert_close(gradient, expected[name], 1e-5)


@by_cell
@by_output
def test_one_parameter_in_another_precision_is_refused_or_makes_no_difference(cell, output):
    case = make(RecurrentNetwork(cell, 4, 7, 2, 3, output), 17, 6, np.float32)
    y, _, tape = case.forward()
    expected, expected_d_x, _ = case.network.backward(case.params, y, tape)
    for name, value in case.params.items():
        mixed = case._replace(params=case.params | {name: value.astype(np.float64)})
        try:
            mixed_y, _, mixed_tape = mixed.forward()
            grads, d_x, _ = mixed.network.backward(mixed.params, y, mixed_tape)
        except ValueError:
            continue
        assert_close(mixed_y, y, 1e-5)
        assert_close(d_x, expected_d_x, 1e-5)
        for other, gradient in grads.items():
            assert_close(gradient, expected[other], 1e-5)


# Whatever loops over sequences and units may be unrolled or blocked by, its edges are among these.
BATCHES = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40]
UNITS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 20]


@by_cell
@by_output
def test_blocks_of_sequences_and_units_are_whole_at_their_edges(cell, output):
    for B in BATCHES:
        for H in UNITS:
            case = make(RecurrentNetwork(cell, 3, H, 1, 2, output), B, 3, np.float64, seed=B + 100 * H)
            y, final, _ = case.forward()
            single = case.to(np.float32)
            single_y, single_final, _ = single.forward()
            assert_close(single_y, y, 1e-5)
            assert_states_close(single_final, final, 1e-5)
            assert_close(single.network.predict(single.params, single.x, single.state), y, 1e-5)
            if cell != "rnn-relu":  # whose slope is 0 or 1 by chance where an input is zero but for rounding
                assert_gradients_agree(case)


@st.composite
def cases(draw, cells=tuple(CELLS), dtypes=(np.float32, np.float64)):
    dtype, compiled = draw(st.sampled_from([(dtype, c) for dtype in dtypes for c in (True, False)]))
    network = RecurrentNetwork(
        draw(st.sampled_from(cells)),
        n_inputs=draw(st.integers(1, 6)),
        n_hidden=draw(st.sampled_from(UNITS) | st.integers(1, 20)),
        n_layers=draw(st.integers(1, 3)),
        n_outputs=draw(st.integers(1, 4)),
        output=draw(st.sampled_from(["last", "every"])),
        compiled=compiled,
    )
    B = draw(st.sampled_from(BATCHES) | st.integers(1, 40))
    return make(network, B, draw(st.integers(1, 9)), dtype, draw(st.integers(0, 1000)))


@settings(max_examples=200)
@given(cases())
def test_every_shape_gives_what_the_oracle_gives(case):
    """Shapes, dtypes, and the numbers of the first and the last row."""
    network, params, x, state = case
    dtype = x.dtype.type
    B, T, _ = x.shape
    y, final, tape = case.forward()
    assert y.shape == ((B, network.n_outputs) if network.output == "last" else (B, T, network.n_outputs))
    grads, d_x, d_state = network.backward(params, y, tape)
    assert d_x.shape == x.shape
    assert {k: g.shape for k, g in grads.items()} == {k: p.shape for k, p in params.items()}
    for layer, d_layer, given_layer in zip(final, d_state, state, strict=True):
        assert [a.shape for a in layer] == [a.shape for a in d_layer] == [a.shape for a in given_layer]
    results = [y, d_x, *grads.values(), *(a for layer in [*final, *d_state] for a in layer)]
    assert {array.dtype for array in results} == {x.dtype}
    ends = case.rows([0, -1])
    expected_y, expected_final = oracle.forward(*ends)
    assert_close(y[[0, -1]], expected_y, TOLERANCE[dtype])
    assert_states_close([tuple(a[[0, -1]] for a in layer) for layer in final], expected_final, TOLERANCE[dtype])


@settings(max_examples=200)
@given(cases(), st.data())
def test_predict_gives_the_outputs_of_forward_and_a_row_does_not_see_its_neighbours(case, data):
    tolerance = TOLERANCE[case.x.dtype.type]
    y, final, _ = case.forward()
    assert_close(case.network.predict(case.params, case.x, case.state), y, tolerance)
    i = data.draw(st.integers(0, len(case.x) - 1))
    alone, final_alone, _ = case.rows(slice(i, i + 1)).forward()
    assert_close(alone, y[i : i + 1], tolerance)
    assert_states_close(final_alone, [tuple(array[i : i + 1] for array in layer) for layer in final], tolerance)


@settings(max_examples=200)
@given(cases(), st.data())
def test_the_final_state_continues_the_sequence(case, data):
    tolerance = TOLERANCE[case.x.dtype.type]
    T = case.x.shape[1]
    cut = data.draw(st.integers(1, max(1, T - 1)))
    whole, final, _ = case.forward()
    first, between, _ = case._replace(x=case.x[:, :cut]).forward()
    if cut == T:
        assert_close(first, whole, tolerance)
        return
    second, end, _ = case._replace(x=case.x[:, cut:], state=between).forward()
    expected = whole if case.network.output == "last" else whole[:, cut:]
    assert_close(second, expected, tolerance)
    assert_states_close(end, final, tolerance)
    if case.network.output == "every":
        assert_close(first, whole[:, :cut], tolerance)


@settings(max_examples=200)
@given(cases(), st.data())
def test_gradients_go_back_through_a_sequence_in_parts(case, data):
    """The gradient of the state between is what the second part hands to the first; those of the weights add up."""
    network, params, x, state = case
    tolerance = 10 * TOLERANCE[x.dtype.type]
    cut = data.draw(st.integers(1, max(1, x.shape[1] - 1)))
    if cut == x.shape[1]:
        return
    y, _, tape = case.forward()
    grads, d_x, d_state = network.backward(params, y, tape)
    _, between, first_tape = network.forward(params, x[:, :cut], state)
    _, _, second_tape = network.forward(params, x[:, cut:], between)
    every = network.output == "every"
    d_first, d_second = (y[:, :cut], y[:, cut:]) if every else (np.zeros_like(y), y)
    second, d_x_second, d_between = network.backward(params, d_second, second_tape)
    first, d_x_first, d_state_first = network.backward(params, d_first, first_tape, d_between)
    assert_close(np.concatenate([d_x_first, d_x_second], axis=1), d_x, tolerance)
    assert_states_close(d_state_first, d_state, tolerance)
    for name, gradient in grads.items():
        assert_close(first[name] + second[name], gradient, tolerance)


@settings(max_examples=200)
@given(cases(cells=[name for name in CELLS if name != "rnn-relu"], dtypes=[np.float64]))
def test_gradients_agree_in_both_precisions_for_every_shape(case):
    assert_gradients_agree(case)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "read-only": read_only,
    "every second of twice as many": lambda a: np.repeat(a, 2, axis=0)[::2],
    "every second number": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "at an odd address": lambda a: np.concatenate([np.zeros(1, a.dtype), a.ravel()])[1:].reshape(a.shape),
    "not aligned": lambda a: np.frombuffer(b"?" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
    "a field among others": lambda a: np.rec.fromarrays([a, np.ones(a.shape, "u1")])["f0"],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@by_cell
@by_output
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("B", [1, 17])
def test_any_layout_of_memory_is_taken_and_nothing_is_modified(layout, cell, output, dtype, B):
    """Of inputs, states, parameters and the gradients that are given, of outputs and of the final state."""
    tolerance = TOLERANCE[dtype]
    lay_out = LAYOUTS[layout]
    case = make(RecurrentNetwork(cell, 3, 7, 2, 2, output), B, 4, dtype)
    network, params, x, state = case
    y, final, tape = case.forward()
    expected_grads, expected_d_x, expected_d_state = network.backward(params, y, tape, state)
    other = Case(
        network,
        {name: lay_out(value) for name, value in params.items()},
        lay_out(x),
        [tuple(map(lay_out, layer)) for layer in state],
    )
    before = [array.tobytes() for array in other.arrays()]
    other_y, other_final, other_tape = other.forward()
    d_y = lay_out(y)
    d_y_before = d_y.tobytes()
    grads, d_x, d_state = network.backward(other.params, d_y, other_tape, other.state)
    assert_close(other_y, y, tolerance)
    assert_close(network.predict(other.params, other.x, other.state), y, tolerance)
    assert_states_close(other_final, final, tolerance)
    assert_close(d_x, expected_d_x, 10 * tolerance)
    assert_states_close(d_state, expected_d_state, 10 * tolerance)
    for name, gradient in grads.items():
        assert_close(gradient, expected_grads[name], 10 * tolerance)
    assert [array.tobytes() for array in other.arrays()] == before
    assert d_y.tobytes() == d_y_before


MISFITS = """
from dataclasses import replace
import numpy as np
from models.nn import CELLS, RecurrentNetwork

def attempt(what, call):
    try:
        call()
    except (ValueError, IndexError):
        pass
    else:
        print(network.cell_name, dtype.__name__, what)

for name in CELLS:
    for dtype in (np.float32, np.float64):
        network = RecurrentNetwork(name, 4, 6, 2, 3)
        params = network.init(np.random.default_rng(0), dtype)
        x, state = np.ones((5, 7, 4), dtype), network.initial_state(5, dtype)
        y, _, tape = network.forward(params, x, state)
        attempt("no steps", lambda: network.forward(params, x[:, :0]))
        attempt("x without sequences", lambda: network.forward(params, x[0]))
        attempt("a state of one layer for two", lambda: network.forward(params, x, state[:1]))
        attempt("a state of three layers for two", lambda: network.forward(params, x, state + state[:1]))
        attempt("a state of no arrays", lambda: network.forward(params, x, [(), ()]))
        attempt("d_final of one layer for two", lambda: network.backward(params, y, tape, state[:1]))
        attempt("d_final of no arrays", lambda: network.backward(params, y, tape, [(), ()]))
        for n in (1, 3, 5, 40):
            wide = np.ones((5, 7, n), dtype)
            attempt(f"x of {n} features for 4", lambda: network.forward(params, wide))
            attempt(f"x of {n} features for 4, predict", lambda: network.predict(params, wide))
            attempt(f"d_y of {n} outputs for 3", lambda: network.backward(params, np.ones((5, n + 1), dtype), tape))
            others = [tuple(np.ones((n, 6), dtype) for _ in layer) for layer in state] if n != 5 else []
            if others:
                attempt(f"a state of {n} sequences for 5", lambda: network.forward(params, x, others))
                attempt(f"d_y of {n} sequences for 5", lambda: network.backward(params, np.ones((n, 3), dtype), tape))
                attempt(f"d_final of {n} sequences for 5", lambda: network.backward(params, y, tape, others))
            long = [tuple(np.ones((5, n), dtype) for _ in layer) for layer in state]
            attempt(f"a state of {n} units for 6", lambda: network.forward(params, x, long))
            attempt(f"d_final of {n} units for 6", lambda: network.backward(params, y, tape, long))
            other = replace(network, n_hidden=n).init(np.random.default_rng(0), dtype)
            attempt(f"weights of {n} units for 6", lambda: network.forward(other, x))
"""


def test_shapes_that_do_not_fit_are_refused():
    """Neither repeated until they fit nor, by what is compiled, read or written beyond their ends."""
    done = subprocess.run(
        [sys.executable, "-c", MISFITS], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-500:])
    assert done.stdout == "", f"accepted:\n{done.stdout}"
