"""Activations: tanh and sigmoid to nearly the last digit, in NumPy and compiled, and softmax."""

import numpy as np
import pytest

from models.nn import CELLS, softmax
from models.nn.layer import NumpyLayer
from tests.models.nn.cases import by_dtype, compiled_layers

SPREAD = np.concatenate([np.linspace(-12, 12, 20_001), *np.outer([1, -1], np.geomspace(1e-30, 1e30, 4000))])


@pytest.mark.parametrize(("cell", "columns"), [("rnn", [1]), ("rnn-sigmoid", [1]), ("gru", [0, 1, 0, 0])])
@by_dtype
def test_tanh_and_sigmoid_are_right_to_nearly_the_last_digit(cell, columns, dtype):
    """One unit reads nothing but its input; a GRU without a candidate returns its update gate times a state of 1."""
    infinite = [] if cell == "gru" else [np.inf, -np.inf]
    a = np.concatenate([SPREAD, infinite]).astype(dtype)
    stacked = np.array([np.zeros_like(columns), columns, np.zeros_like(columns)], dtype)
    layers = [NumpyLayer(CELLS[cell]), *(compiled_layers(cell).values() if dtype is np.float32 else ())]
    for layer in layers:
        h, _, _ = layer.forward(stacked, a[None, None], (np.ones((1, len(a)), dtype),), every=False, keep=False)
        y, epsilon = h[0, 0].astype(float), np.finfo(dtype).eps
        assert np.abs(y).max() <= 1 + epsilon
        if cell == "rnn":
            np.testing.assert_allclose(y, np.tanh(a.astype(float)), rtol=4.2 * epsilon)
        else:
            np.testing.assert_allclose(y, (1 + np.tanh(a.astype(float) / 2)) / 2, rtol=0, atol=1.7 * epsilon)


@by_dtype
def test_softmax_gives_probabilities_in_proportion_to_the_exponentials(dtype):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(3, 4, 5)) * np.array([1, 1e4, 1e-4])[:, None, None]
    p = softmax(scores.astype(dtype))
    assert p.dtype == dtype
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-6)
    np.testing.assert_array_equal(p.argmax(axis=-1), scores.argmax(axis=-1))
    for shift in (0, 300, -1e4):
        np.testing.assert_allclose(softmax(np.log([1.0, 2.0, 5.0]) + shift), [1 / 8, 2 / 8, 5 / 8], rtol=1e-11)
