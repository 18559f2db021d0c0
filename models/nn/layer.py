"""One layer unrolled: all steps of a cell, forward and backward, in NumPy or compiled."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from models.nn.cells import Cell
from models.nn.cells.contract import LayerState
from models.nn.types import Array, aligned_empty


class Layer(Protocol):
    """All steps of a layer, in NumPy or compiled."""

    def forward(
        self, stacked: Array, x: Array, state: LayerState | None, *, every: bool, keep: bool
    ) -> tuple[Array, LayerState, Any]:
        """Run all steps forward.

        Parameters
        ----------
        stacked : (H + F + 1, n_blocks * H), see `models.nn.cells.contract`
        x : (T, F, B), with the dtype of ``stacked``, in any memory order
        state : initial; None for zeros
        every : whether to return the hidden states of all steps, or only the last
        keep : whether to return the final state and the tape

        Returns
        -------
        h : (T, H, B), or (1, H, B)
        state : final; empty unless ``keep``
        tape : for `backward`; None unless ``keep``
        """

    def backward(
        self, stacked: Array, tape: Any, d_h: Array, d_state: LayerState, *, inputs: bool
    ) -> tuple[Array, Array | None, LayerState]:
        """Run all steps backward.

        Parameters
        ----------
        d_h : (T, H, B), gradient that reaches each hidden state from outside the layer; (1, H, B) for the last only
        d_state : gradient of the final state; overwritten
        inputs : whether to return ``d_x``

        Returns
        -------
        d_stacked : gradient of ``stacked``, summed over steps and sequences
        d_x : (T, F, B), gradient of the inputs; None unless ``inputs``
        d_state : gradient of the initial state
        """


class NumpyTape(NamedTuple):
    """The tape of a `NumpyLayer`; see `models.nn.cells.contract`."""

    z: Array
    pages: Array


@dataclass(frozen=True)
class NumpyLayer:
    """A layer that runs in NumPy: allocates the memory of all steps and runs the cell on it."""

    cell: Cell

    def forward(
        self, stacked: Array, x: Array, state: LayerState | None, *, every: bool, keep: bool
    ) -> tuple[Array, LayerState, NumpyTape | None]:
        """See `Layer.forward`."""
        T, _, B = x.shape
        H = stacked.shape[1] // self.cell.n_blocks
        z = aligned_empty((T + 1, len(stacked), B), stacked.dtype)
        pages = aligned_empty((T + 1 if keep else 1, self.cell.page_blocks * H, B), stacked.dtype)
        z[0, :H] = state[0] if state else 0
        if self.cell.n_states > 1:
            pages[0, -H:] = state[1] if state else 0
        self.cell.forward(stacked, x, z, pages)
        h = z[1:, :H] if every else z[-1:, :H]
        if not keep:
            return h, (), None
        return h, (z[-1, :H], pages[-1, -H:])[: self.cell.n_states], NumpyTape(z, pages)

    def backward(
        self, stacked: Array, tape: NumpyTape, d_h: Array, d_state: LayerState, *, inputs: bool
    ) -> tuple[Array, Array | None, LayerState]:
        """See `Layer.backward`. Raises ValueError where the tape is not of a `NumpyLayer`, or its sizes do not fit."""
        if not isinstance(tape, NumpyTape):
            raise ValueError(f"a layer in NumPy needs the tape of its own forward pass, not a {type(tape).__name__}")
        T, (H, B) = len(tape.z) - 1, d_h.shape[1:]
        pages = self.cell.page_blocks * H, B
        if tape.z.shape[1:] != (len(stacked), B) or tape.pages.shape[1:] != pages or len(d_h) > T:
            raise ValueError(
                f"the tape, {tape.z.shape} and {tape.pages.shape}, does not fit weights {stacked.shape} and gradients "
                f"{d_h.shape}"
            )
        d_x = np.empty((T, len(stacked) - H - 1, B), stacked.dtype) if inputs else None
        d_stacked, d_state = self.cell.backward(stacked, *tape, d_h, d_state, d_x)
        return d_stacked, d_x, d_state
