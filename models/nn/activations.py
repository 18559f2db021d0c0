"""Activations that NumPy does not have itself."""

import numpy as np

from models.nn.types import Array


def sigmoid(a: Array) -> Array:
    """Return 1 / (1 + exp(-a)), as tanh(a / 2) / 2 + 1 / 2, which never overflows."""
    return 0.5 * np.tanh(0.5 * a) + 0.5
