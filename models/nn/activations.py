"""Activation functions, each with its derivative as a function of its output, which is what the tape holds."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from models.nn.types import Array


class Activation(NamedTuple):
    """An element-wise function and its derivative."""

    apply: Callable[[Array, Array | None], Array]  # (a, out) -> out, where ``out`` may be ``a`` itself or None
    slope: Callable[[Array], Array]  # output y -> dy / da


def identity(a: Array, out: Array | None = None) -> Array:
    """Return a."""
    return np.positive(a, out)


def relu(a: Array, out: Array | None = None) -> Array:
    """Return max(a, 0)."""
    return np.maximum(a, 0, out=out)


def sigmoid(a: Array, out: Array | None = None) -> Array:
    """Return 1 / (1 + exp(-a)), computed as (1 + tanh(a / 2)) / 2, which cannot overflow."""
    y = np.multiply(a, 0.5, out)
    np.tanh(y, y)
    np.multiply(y, 0.5, y)
    return np.add(y, 0.5, y)


def tanh(a: Array, out: Array | None = None) -> Array:
    """Return the hyperbolic tangent of a."""
    return np.tanh(a, out)


def softmax(a: Array) -> Array:
    """Return exp(a) / sum(exp(a)) over the last axis, shifted by the largest a so that exp cannot overflow."""
    e = np.exp(a - a.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(identity, np.ones_like),
    "relu": Activation(relu, lambda y: (y > 0).astype(y.dtype)),
    "sigmoid": Activation(sigmoid, lambda y: y * (1 - y)),
    "tanh": Activation(tanh, lambda y: 1 - y * y),
}
