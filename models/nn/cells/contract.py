"""The interface of the cells, and the code that they share.

Arrays are laid out for speed: time, then features or units, then sequences, so that a gate is one contiguous block and
a step is one matrix product::

    a = S^T [h; x; 1]        S = [U; W; b]  stacked, (H + F + 1, gates * H)

``z`` (T + 1, H + F + 1, B) holds the columns ``[h; x; 1]`` of all steps: step t reads ``z[t]`` and writes its hidden
state to ``z[t + 1, :H]``. Its page, ``pages[t]``, holds the other values for its backward step; where no gradients are
needed, all steps overwrite a single page.
"""

from collections.abc import Iterator
from typing import ClassVar, Protocol, TypeAlias, TypeVar

import numpy as np

from models.nn.initializers import Initialization
from models.nn.types import Array, Parameters

LayerState: TypeAlias = tuple[Array, ...]  # the state of a layer in this layout: arrays (H, B)

# With fewer sequences, one product over all steps is faster than one product for each step.
FEW_SEQUENCES = 4


class Cell(Protocol):
    """A recurrence and its gradient, without state of its own."""

    names: ClassVar[tuple[str, ...]]  # of the parameters
    n_states: int  # arrays in the state: 1 for ``(h,)``, 2 for ``(h, c)``; ``c`` lives in the last H rows of a page
    n_blocks: int  # blocks of H columns in the stacked weights
    page_blocks: int  # blocks of H rows on a page

    def init(self, rng: np.random.Generator, n_in: int, n_hidden: int, rules: Initialization) -> Parameters:
        """Draw the initial weights for ``n_in`` inputs and ``n_hidden`` units, float64."""

    def stack(self, params: Parameters) -> Array:
        """Stack the parameters into one matrix (H + F + 1, n_blocks * H)."""

    def unstack(self, d_stacked: Array) -> Parameters:
        """Return the gradient of every parameter from the gradient of the stacked matrix."""

    def forward(self, stacked: Array, x: Array, z: Array, pages: Array) -> None:
        """Run all steps, from the state in ``z[0]`` and ``pages[0]`` to the state in ``z[-1]`` and ``pages[-1]``.

        Parameters
        ----------
        x : (T, F, B), in any memory order; copied into ``z``
        """

    def backward(
        self, stacked: Array, z: Array, pages: Array, d_h: Array, d_state: LayerState, d_x: Array | None
    ) -> tuple[Array, LayerState]:
        """Run all steps backward; see `models.nn.layer.Layer.backward`.

        Parameters
        ----------
        d_x : (T, F, B), filled with the gradient of the inputs; None to skip it
        """


def weight_gradient(rows: Array, d_a: Array) -> Array:
    """Return the sum over steps of ``rows`` (T, K, B) times ``d_a`` (T, M, B) transposed: (K, M)."""
    if rows.shape[2] < FEW_SEQUENCES:
        return np.tensordot(rows, d_a, ((0, 2), (0, 2)))
    return np.ascontiguousarray(np.matmul(d_a, rows.transpose(0, 2, 1)).sum(axis=0).T)


Page = TypeVar("Page")


def one_for_each(pages: list[Page], n: int) -> list[Page]:
    """Return a page for each of ``n`` columns: a single page is repeated."""
    return pages * n if len(pages) == 1 else pages


def steps_backward(T: int, d_h: Array) -> Iterator[tuple[int, Array | float]]:
    """Yield each step, last to first, with the gradient that reaches its hidden state from outside the layer."""
    for t in reversed(range(T)):
        yield t, d_h[t - T] if T - t <= len(d_h) else 0.0


def lay_out_inputs(z: Array, x: Array) -> None:
    """Write the rows x and 1 of the columns ``[h; x; 1]``."""
    z[:-1, -1 - x.shape[1] : -1] = x
    z[:, -1] = 1


class StackedCell:
    """Base of cells with parameters ``W`` (F, gates * H), ``U`` (H, gates * H) and ``b``, stacked as ``[U; W; b]``."""

    names: ClassVar[tuple[str, ...]] = ("W", "U", "b")
    n_states = 1
    n_blocks = 1
    page_blocks = 0

    def init(self, rng: np.random.Generator, n_in: int, n_hidden: int, rules: Initialization) -> Parameters:
        """Draw ``W``, ``U`` and ``b``."""
        return rules.cell(rng, n_in, n_hidden, self.n_blocks)

    def stack(self, params: Parameters) -> Array:
        """Return ``[U; W; b]``."""
        return np.concatenate((params["U"], params["W"], params["b"][None]))

    def unstack(self, d_stacked: Array) -> Parameters:
        """Return the gradients of ``W``, ``U`` and ``b``."""
        H = d_stacked.shape[1] // self.n_blocks
        return {"W": d_stacked[H:-1], "U": d_stacked[:H], "b": d_stacked[-1]}


def products_backward(stacked: Array, z: Array, d_a: Array, n_hidden: int, d_x: Array | None) -> Array:
    """Differentiate ``a = stacked^T z`` at all steps: return ``d_stacked``, and fill ``d_x`` unless it is None.

    The product with the hidden states is separate, as BLAS is fastest at its regular sizes.
    """
    if d_x is not None:
        np.matmul(stacked[n_hidden:-1], d_a, d_x)
    return np.concatenate((weight_gradient(z[:-1, :n_hidden], d_a), weight_gradient(z[:-1, n_hidden:], d_a)))
