"""What a cell is, and what cells share.

Memory here is laid out for speed: time first, then rows of features or units, then the sequences of the batch side by
side, so that a gate is one contiguous block and all products of a step are one matrix product::

    a = S^T [h; x; 1]        S = [U; W; b]  stacked, (H + F + 1, gates * H)

``z`` (T + 1, H + F + 1, B) holds the columns ``[h; x; 1]`` of all steps; a step reads ``z[t]`` and writes its hidden
state to ``z[t + 1, :H]``. What else a step must remember for its backward step, it leaves on its page, ``pages[t]``.
Who needs no gradients gives a single page, which every step uses again.
"""

from collections.abc import Iterator
from typing import ClassVar, Protocol, TypeAlias, TypeVar

import numpy as np

from models.nn.initializers import Initialization
from models.nn.types import Array, Parameters

# The state of a layer as the cells have it: arrays (H, B).
LayerState: TypeAlias = tuple[Array, ...]

# Below this it is quicker to copy all steps side by side and take one product than to take one for each step.
FEW_SEQUENCES = 4


class Cell(Protocol):
    """A recurrence and its gradient. Cells hold no state: everything comes in and goes out.

    Attributes
    ----------
    names : of the parameters
    n_states : arrays in the state: 1 for ``(h,)``, 2 for ``(h, c)``; ``c`` lives in the last H rows of a page
    n_blocks : blocks of H columns in the stacked weights
    page_blocks : blocks of H rows on a page
    """

    names: ClassVar[tuple[str, ...]]
    n_states: int
    n_blocks: int
    page_blocks: int

    def init(self, rng: np.random.Generator, n_in: int, n_hidden: int, rules: Initialization) -> Parameters:
        """Draw the parameters for ``n_in`` inputs and ``n_hidden`` units, float64."""

    def stack(self, params: Parameters) -> Array:
        """Return the parameters as one matrix (H + F + 1, n_blocks * H)."""

    def unstack(self, d_stacked: Array) -> Parameters:
        """Return the gradient of every parameter, given that of the stacked ones."""

    def forward(self, stacked: Array, x: Array, z: Array, pages: Array) -> None:
        """Take every step, from the states in ``z[0]`` and ``pages[0]`` to those in ``z[-1]`` and ``pages[-1]``.

        Parameters
        ----------
        x : (T, F, B), in whatever order it lies in memory; it is copied into ``z``
        """

    def backward(
        self, stacked: Array, z: Array, pages: Array, d_h: Array, d_state: LayerState, d_x: Array | None
    ) -> tuple[Array, LayerState]:
        """Go every step back; the arguments and results are those of `models.nn.layer.Layer.backward`.

        Parameters
        ----------
        d_x : (T, F, B), filled with the gradient of the inputs; None where it is not wanted
        """


def weight_gradient(rows: Array, d_a: Array) -> Array:
    """Return the sum over steps of ``rows`` (T, K, B) times ``d_a`` (T, M, B) transposed: (K, M)."""
    if rows.shape[2] < FEW_SEQUENCES:
        return np.tensordot(rows, d_a, ((0, 2), (0, 2)))
    return np.ascontiguousarray(np.matmul(d_a, rows.transpose(0, 2, 1)).sum(axis=0).T)


Page = TypeVar("Page")


def one_for_each(pages: list[Page], n: int) -> list[Page]:
    """Return a page for each of ``n`` columns; a single page serves all of them."""
    return pages * n if len(pages) == 1 else pages


def steps_backward(T: int, d_h: Array) -> Iterator[tuple[int, Array | float]]:
    """Yield each step from the last to the first, with the gradient that reaches its hidden state from outside."""
    for t in reversed(range(T)):
        yield t, d_h[t - T] if T - t <= len(d_h) else 0.0


def lay_out_inputs(z: Array, x: Array) -> None:
    """Write the rows of the columns ``[h; x; 1]`` that are known before the first step."""
    z[:-1, -1 - x.shape[1] : -1] = x
    z[:, -1] = 1


def stack(params: Parameters) -> Array:
    """Return ``[U; W; b]``."""
    return np.concatenate((params["U"], params["W"], params["b"][None]))


def unstack(stacked: Array, n_hidden: int) -> Parameters:
    """Return the parts of ``[U; W; b]``."""
    return {"W": stacked[n_hidden:-1], "U": stacked[:n_hidden], "b": stacked[-1]}


def products_backward(stacked: Array, z: Array, d_a: Array, n_hidden: int, d_x: Array | None) -> Array:
    """Differentiate ``a = stacked^T z`` at all steps: return ``d_stacked``, and fill ``d_x`` where it is wanted.

    In two products, of which the one with the hidden states has the regular sizes that BLAS is best at.
    """
    if d_x is not None:
        np.matmul(stacked[n_hidden:-1], d_a, d_x)
    return np.concatenate((weight_gradient(z[:-1, :n_hidden], d_a), weight_gradient(z[:-1, n_hidden:], d_a)))
