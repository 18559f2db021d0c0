"""Central differences: the judge of every hand-written gradient.

Two judges share them. The thorough one nudges every element of every array; the quick one nudges a whole array at once
in one random direction, where a right gradient ``g`` must foretell the slope ``<g, direction>``: two evaluations for
each array however large it is, and still no mistake in any of its elements goes unseen.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

STEP = 1e-5
# A gradient smaller than this is judged by its absolute error: what should be zero never is, by rounding.
SMALL = 1e-4


def numerical_gradient(loss: Callable[[], float], array: np.ndarray, step: float = STEP) -> np.ndarray:
    """Differentiate ``loss()`` with respect to every element of ``array``, which is nudged in place and put back."""
    gradient = np.empty_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + step
        above = loss()
        array[index] = value - step
        below = loss()
        array[index] = value
        gradient[index] = (above - below) / (2 * step)
    return gradient


def numerical_slope(loss: Callable[[], float], array: np.ndarray, direction: np.ndarray, step: float = STEP) -> float:
    """Differentiate ``loss()`` along ``direction`` from ``array``, which is nudged in place and put back."""
    before = array.copy()
    array += step * direction
    above = loss()
    array[...] = before - step * direction
    below = loss()
    array[...] = before
    return (above - below) / (2 * step)


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """|a - b| / (|a| + |b|), by Euclidean norms."""
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(a) + np.linalg.norm(b), SMALL))


@dataclass
class Problem:
    """A network with everything its loss depends on.

    ``dropout_seed`` makes the generator of each evaluation anew, so that every one drops the same hidden states.
    Where ``d_final`` is given, shaped like the state, the final state counts too: times it, summed, it is added.
    """

    network: Any
    loss: Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]
    params: dict[str, np.ndarray]
    x: np.ndarray
    target: np.ndarray
    state: list[tuple[np.ndarray, ...]]
    dropout_seed: int | None = None
    d_final: list[tuple[np.ndarray, ...]] | None = None

    def forward(self):
        rng = None if self.dropout_seed is None else np.random.default_rng(self.dropout_seed)
        return self.network.forward(self.params, self.x, self.state, rng)

    def value(self) -> float:
        y, final, _ = self.forward()
        value = self.loss(y, self.target)[0]
        if self.d_final is not None:
            for layer, weights in zip(final, self.d_final, strict=True):
                value += sum(float((array * weight).sum()) for array, weight in zip(layer, weights, strict=True))
        return value

    def gradients(self):
        """Return what ``backward`` says: by parameter, by input, by initial state."""
        y, _, tape = self.forward()
        d_final = () if self.d_final is None else (self.d_final,)
        return self.network.backward(self.params, self.loss(y, self.target)[1], tape, *d_final)

    def pairs(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yield the name of every array the loss depends on, the array, and the gradient ``backward`` gives it."""
        grads, d_x, d_state = self.gradients()
        assert grads.keys() == self.params.keys()
        named = [(name, array, grads[name]) for name, array in self.params.items()] + [("x", self.x, d_x)]
        for layer, arrays in enumerate(self.state):
            for part, array in enumerate(arrays):
                named.append((f"state{layer}.{part}", array, d_state[layer][part]))
        for name, array, gradient in named:
            assert gradient.shape == array.shape, name
            yield name, array, gradient

    def errors_by_element(self) -> dict[str, float]:
        """Return the relative error of each gradient, every element of which is checked."""
        return {
            name: relative_error(gradient, numerical_gradient(self.value, array))
            for name, array, gradient in self.pairs()
        }

    def errors_by_direction(self, rng: np.random.Generator) -> dict[str, float]:
        """Return the error of each gradient along one random direction, relative to the gradient's norm."""
        errors = {}
        for name, array, gradient in self.pairs():
            direction = rng.normal(size=array.shape)
            direction /= np.linalg.norm(direction)
            slope = numerical_slope(self.value, array, direction)
            size = max(np.linalg.norm(gradient), abs(slope), SMALL)
            errors[name] = float(abs(slope - np.vdot(gradient, direction)) / size)
        return errors
