"""Networks with weights, inputs and initial states, everything that they compute, and how to compare it."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st

from models.nn import CELLS, RecurrentNetwork
from models.nn.compiled import COMPILED, CompiledLayer, load, steps

by_cell = pytest.mark.parametrize("cell", CELLS)
by_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])

# steps.c runs in blocks of sequences and of units; the edges of all blocks are among these.
BATCHES = [1, 2, 4, 7, 8, 9, 16, 17, 33]
UNITS = [1, 3, 4, 8, 9, 15, 16, 17, 31, 32, 33]


def compiled_layers(cell):
    """Return the compiled layer for each kind of processor whose code runs on this one; none without a library."""
    if cell not in COMPILED or steps() == "numpy":
        return {}
    kinds, library = ["plain", "v3", "v4"], load()
    usable = kinds[: kinds.index(library.kind().decode()) + 1]
    return {kind: CompiledLayer(library, cell, kind) for kind in usable}


class Results(NamedTuple):
    y: np.ndarray
    predicted: np.ndarray
    final: list
    grads: dict
    d_x: np.ndarray
    d_state: list

    def named(self):
        """Return all arrays by name."""
        gradients = named_gradients(self.grads, self.d_x, self.d_state)
        return {"y": self.y, "predicted": self.predicted} | named("final", self.final) | gradients

    def bytes(self):
        return {name: array.tobytes() for name, array in self.named().items()}


def named(prefix, states):
    """Return the arrays of the states of all layers, by name."""
    return {f"{prefix} {i}.{j}": array for i, layer in enumerate(states) for j, array in enumerate(layer)}


def named_gradients(grads, d_x, d_state):
    return {"d_x": d_x} | grads | named("d_state", d_state)


class Case(NamedTuple):
    network: RecurrentNetwork
    params: dict
    x: np.ndarray
    state: list | None

    def __repr__(self):
        return f"<{self.network} on {self.x.shape} {self.x.dtype}>"

    def map(self, function):
        """Return the case with a function applied to each of its arrays."""
        params = {name: function(value) for name, value in self.params.items()}
        return self._replace(params=params, x=function(self.x), state=each(function, self.state))

    def to(self, dtype, compiled=True):
        case = self.map(lambda array: array.astype(dtype))
        return case._replace(network=replace(self.network, compiled=compiled))

    def rows(self, rows):
        return self._replace(x=self.x[rows], state=each(lambda array: array[rows], self.state))

    def forward(self, seed=None):
        """Run the network; a ``seed`` turns dropout on."""
        rng = None if seed is None else np.random.default_rng(seed)
        return self.network.forward(self.params, self.x, self.state, rng)

    def backward(self, tape, d_y=None, d_final=None, inputs=True):
        """Run backward from the given gradients, by default fixed ones about 1."""
        if d_y is None:
            steps = (self.x.shape[1],) if self.network.output == "every" else ()
            d_y = wave((len(self.x), *steps, self.network.n_outputs), self.x.dtype)
        if d_final is None:
            d_final = each(wave_like, self.network.initial_state(len(self.x), self.x.dtype))
        return self.network.backward(self.params, d_y, tape, d_final, inputs=inputs)

    def results(self, d_y=None, d_final=None, seed=None):
        y, final, tape = self.forward(seed)
        predicted = self.network.predict(self.params, self.x, self.state)
        return Results(y, predicted, final, *self.backward(tape, d_y, d_final))


def each(function, states):
    """Apply a function to each array of the states of all layers."""
    return None if states is None else [tuple(map(function, layer)) for layer in states]


def flat(states):
    """Return the arrays of the states of all layers."""
    return [array for layer in states for array in layer]


def wave(shape, dtype):
    return np.cos(np.arange(np.prod(shape))).reshape(shape).astype(dtype)


def wave_like(array):
    return wave(array.shape, array.dtype)


def make_case(network, B, T, dtype=np.float64, seed=0):
    """Draw weights that neither silence nor saturate the units, and biases, inputs and states away from zero."""
    rng = np.random.default_rng(seed)
    sigma = 0.3 / np.sqrt(network.n_hidden)
    params = {k: v + rng.normal(0, sigma, v.shape) for k, v in network.init(rng, np.float64).items()}
    state = each(lambda array: rng.normal(size=array.shape), network.initial_state(B))
    case = Case(network, params, rng.normal(size=(B, T, network.n_inputs)), state)
    return case.to(dtype, network.compiled)


@st.composite
def cases(draw, cell, dtypes=(np.float32, np.float64), min_steps=1):
    """Draw a case of any shape, in NumPy or compiled."""
    network = RecurrentNetwork(
        cell,
        n_inputs=draw(st.integers(1, 6)),
        n_hidden=draw(st.sampled_from(UNITS) | st.integers(1, 20)),
        n_layers=draw(st.integers(1, 3)),
        n_outputs=draw(st.integers(1, 4)),
        output=draw(st.sampled_from(["last", "every"])),
        compiled=draw(st.booleans()),
    )
    B = draw(st.sampled_from(BATCHES) | st.integers(1, 40))
    T = draw(st.integers(min_steps, 9))
    return make_case(network, B, T, draw(st.sampled_from(dtypes)), draw(st.integers(0, 1000)))


def assert_close(actual, expected, tolerance, name=""):
    """Compare relative to the largest number, or 1: where large numbers cancel, small ones are no more exact."""
    expected = np.asarray(expected)
    assert actual.shape == expected.shape, name
    assert np.isfinite(actual).all(), name
    tolerance *= max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance, err_msg=name)


def assert_all_close(actual, expected, tolerance):
    """Compare dictionaries of arrays."""
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert_close(actual[name], value, tolerance, name)
