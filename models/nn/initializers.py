"""Where the weights start. Every draw comes from the generator that is given; every result is float64."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from models.nn.types import Array, Parameters

# (rng, n_in, n_out) -> (n_in, n_out)
Initializer: TypeAlias = Callable[[np.random.Generator, int, int], Array]


def zeros(rng: np.random.Generator, n_in: int, n_out: int) -> Array:  # noqa: ARG001 (nothing is drawn)
    """Return zeros: right for biases, useless for weights, whose units would all stay alike."""
    return np.zeros((n_in, n_out))


def constant(value: Any) -> Initializer:
    """Return a rule that gives the ``value`` by hand: one number, or an array that fits the shape."""
    return lambda _, n_in, n_out: np.broadcast_to(np.asarray(value, float), (n_in, n_out)).copy()


def gaussian(sigma: float) -> Initializer:
    """Return a rule that draws from the normal distribution with mean 0 and standard deviation ``sigma``."""
    return lambda rng, n_in, n_out: rng.normal(0.0, sigma, (n_in, n_out))


def inverse_root_uniform(n_hidden: int) -> Initializer:
    """Return a rule that draws uniformly from +-1 / sqrt(n_hidden), whatever the shape: PyTorch's for its cells."""
    limit = 1 / np.sqrt(n_hidden)
    return lambda rng, n_in, n_out: rng.uniform(-limit, limit, (n_in, n_out))


def glorot_uniform(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """Draw uniformly from +-sqrt(6 / (n_in + n_out)), which keeps the variance of forward and backward signals.

    References
    ----------
    Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks, eq. 16.
    """
    limit = np.sqrt(6.0 / (n_in + n_out))
    return rng.uniform(-limit, limit, (n_in, n_out))


def orthogonal(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """Draw a matrix with orthonormal rows or columns, uniform over all of them.

    A state multiplied by a square one neither grows nor fades.

    References
    ----------
    Saxe, McClelland and Ganguli (2014), Exact solutions to the nonlinear dynamics of learning; the sign correction
    is Mezzadri (2007), How to generate random matrices from the classical compact groups.
    """
    q, r = np.linalg.qr(rng.standard_normal((max(n_in, n_out), min(n_in, n_out))))
    q = np.asarray(q * np.sign(np.diag(r)))
    return q if n_in >= n_out else q.T


@dataclass(frozen=True)
class Initialization:
    """The rules for each kind of parameter. Each gate's block of columns is drawn by itself.

    Attributes
    ----------
    inputs, recurrent, bias : for the ``W``, ``U`` and biases of the cells; 1 is added to a forget gate's bias
    head : for the weights of the head, whose bias starts at zero
    """

    inputs: Initializer = glorot_uniform
    recurrent: Initializer = orthogonal
    bias: Initializer = zeros
    head: Initializer = glorot_uniform

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
