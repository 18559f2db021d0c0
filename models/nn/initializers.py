"""Initialisers: they draw initial weights, in float64, from the caller's generator."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from models.nn.types import Array, Parameters

# (rng, n_in, n_out) -> (n_in, n_out)
Initializer: TypeAlias = Callable[[np.random.Generator, int, int], Array]


def zeros(rng: np.random.Generator, n_in: int, n_out: int) -> Array:  # noqa: ARG001 (nothing is drawn)
    """Return zeros: suited to biases, but not to weights, where all units would stay identical."""
    return np.zeros((n_in, n_out))


def constant(value: Any) -> Initializer:
    """Return an initialiser that gives ``value``: a number, or an array that broadcasts to the shape."""
    return lambda _, n_in, n_out: np.broadcast_to(np.asarray(value, float), (n_in, n_out)).copy()


def gaussian(sigma: float) -> Initializer:
    """Return an initialiser that draws from a normal distribution with mean 0 and standard deviation ``sigma``."""
    return lambda rng, n_in, n_out: rng.normal(0.0, sigma, (n_in, n_out))


def inverse_root_uniform(n_hidden: int) -> Initializer:
    """Return an initialiser that draws uniformly from +-1 / sqrt(n_hidden), as PyTorch does for its cells."""
    limit = 1 / np.sqrt(n_hidden)
    return lambda rng, n_in, n_out: rng.uniform(-limit, limit, (n_in, n_out))


def glorot_uniform(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """Draw uniformly from +-sqrt(6 / (n_in + n_out)), eq. 16, which keeps the variance of forward and backward signals.

    Reference: Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks.
    """
    limit = np.sqrt(6.0 / (n_in + n_out))
    return rng.uniform(-limit, limit, (n_in, n_out))


def orthogonal(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """Draw a matrix with orthonormal rows or columns, uniformly; a square one preserves the norm of the state.

    References: Saxe, McClelland and Ganguli (2014), Exact solutions to the nonlinear dynamics of learning; for the sign
    correction, Mezzadri (2007), How to generate random matrices from the classical compact groups.
    """
    q, r = np.linalg.qr(rng.standard_normal((max(n_in, n_out), min(n_in, n_out))))
    q = np.asarray(q * np.sign(np.diag(r)))
    return q if n_in >= n_out else q.T


@dataclass(frozen=True)
class Initialization:
    """The initialiser of each kind of parameter. Each gate's block of columns is drawn separately."""

    inputs: Initializer = glorot_uniform  # W of the cells
    recurrent: Initializer = orthogonal  # U of the cells
    bias: Initializer = zeros  # biases of the cells; a forget gate adds 1
    head: Initializer = glorot_uniform  # weights of the head; its bias is initially zero

    def cell(self, rng: np.random.Generator, n_in: int, n_hidden: int, n_gates: int) -> Parameters:
        """Draw ``W`` (F, gates * H), ``U`` (H, gates * H) and ``b`` (gates * H,)."""
        return {
            "W": np.hstack([self.inputs(rng, n_in, n_hidden) for _ in range(n_gates)]),
            "U": np.hstack([self.recurrent(rng, n_hidden, n_hidden) for _ in range(n_gates)]),
            "b": self.biases(rng, n_hidden, n_gates),
        }

    def biases(self, rng: np.random.Generator, n_hidden: int, n_gates: int) -> Array:
        """Draw a bias (gates * H,)."""
        return np.hstack([self.bias(rng, 1, n_hidden)[0] for _ in range(n_gates)])


DEFAULT_INITIALIZATION = Initialization()
