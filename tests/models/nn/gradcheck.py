"""Central differences: the check of every hand-written gradient.

By element, every element of every array is nudged. By direction, a whole array is nudged at once in one random
direction, where a correct gradient ``g`` predicts the slope ``<g, direction>``: two evaluations for each array,
whatever its size, and an error in any element still shows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.nn import Loss
from tests.models.nn.cases import Case, flat, named_gradients

STEP = 1e-5
# A smaller gradient is judged by its absolute error: rounding makes zero gradients inexact.
SMALL = 1e-4


def numerical_slope(loss: Callable[[], float], array: np.ndarray, direction: np.ndarray) -> float:
    """Differentiate ``loss()`` along ``direction`` from ``array``, which is changed in place and restored."""
    before = array.copy()
    array += STEP * direction
    above = loss()
    array[...] = before - STEP * direction
    below = loss()
    array[...] = before
    return (above - below) / (2 * STEP)


def numerical_gradient(loss: Callable[[], float], array: np.ndarray) -> np.ndarray:
    """Differentiate ``loss()`` with respect to every element of ``array``."""
    slopes = [numerical_slope(loss, array, one.reshape(array.shape)) for one in np.eye(array.size)]
    return np.reshape(slopes, array.shape)


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """Return |a - b| / (|a| + |b|), by Euclidean norms."""
    assert a.shape == b.shape
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(a) + np.linalg.norm(b), SMALL))


@dataclass
class Problem:
    """A network, its loss, and everything that the loss depends on.

    With a ``dropout_seed``, every evaluation drops the same hidden states. With ``d_final``, shaped like the state, the
    sum of ``d_final`` times the final state is added to the loss.
    """

    case: Case
    loss: Loss
    target: np.ndarray
    dropout_seed: int | None = None
    d_final: list[tuple[np.ndarray, ...]] | None = None

    def value(self) -> float:
        y, final, _ = self.case.forward(self.dropout_seed)
        value, _ = self.loss(y, self.target)
        if self.d_final is not None:
            value += sum(float(np.vdot(*pair)) for pair in zip(flat(final), flat(self.d_final), strict=True))
        return value

    def arrays(self) -> dict[str, np.ndarray]:
        """Return every array that the loss depends on, by name."""
        return named_gradients(self.case.params, self.case.x, self.case.state)

    def gradients(self) -> dict[str, np.ndarray]:
        """Return the gradient that ``backward`` gives each of these arrays."""
        y, _, tape = self.case.forward(self.dropout_seed)
        _, d_y = self.loss(y, self.target)
        return named_gradients(*self.case.network.backward(self.case.params, d_y, tape, self.d_final))

    def numerical_gradients(self) -> dict[str, np.ndarray]:
        """Differentiate the loss with respect to every element of every array."""
        return {name: numerical_gradient(self.value, array) for name, array in self.arrays().items()}

    def slopes(self) -> dict[str, tuple[np.ndarray, float]]:
        """Return for each array a random direction of length 1, and the slope of the loss along it."""
        slopes, rng = {}, np.random.default_rng(11)
        for name, array in self.arrays().items():
            direction = rng.normal(size=array.shape)
            direction /= np.linalg.norm(direction)
            slopes[name] = direction, numerical_slope(self.value, array, direction)
        return slopes


def element_errors(numerical: dict[str, np.ndarray], gradients: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the relative error of each gradient."""
    assert gradients.keys() == numerical.keys()
    return {name: relative_error(gradient, numerical[name]) for name, gradient in gradients.items()}


def direction_errors(slopes: dict[str, tuple[np.ndarray, float]], gradients: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the error of each gradient along its direction, relative to its norm."""
    assert {k: g.shape for k, g in gradients.items()} == {k: direction.shape for k, (direction, _) in slopes.items()}
    errors = {}
    for name, (direction, slope) in slopes.items():
        gradient = gradients[name]
        size = max(np.linalg.norm(gradient), abs(slope), SMALL)
        errors[name] = float(abs(slope - np.vdot(gradient, direction)) / size)
    return errors
