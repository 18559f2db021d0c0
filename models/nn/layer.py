"""One layer unrolled: all steps of a cell, forward and back, whoever takes them."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from models.nn.cells import Cell
from models.nn.cells.contract import LayerState
from models.nn.types import Array, aligned_empty


class Layer(Protocol):
    """Takes all steps of a layer: the cell itself, or its compiled form."""

    def forward(
        self, stacked: Array, x: Array, state: LayerState | None, *, every: bool, keep: bool
    ) -> tuple[Array, LayerState, Any]:
        """Take every step.

        Parameters
        ----------
        stacked : (H + F + 1, n_blocks * H), see `models.nn.cells.contract`
        x : (T, F, B), of the dtype of ``stacked`` and in whatever order it lies in memory
        state : of the layer before the first step; zeros where it is None
        every : whether the hidden states of all steps are wanted, or only the last
        keep : whether the final state and the tape are wanted

        Returns
        -------
        h : (T, H, B), or (1, H, B)
        state : after the last step; empty unless ``keep``
        tape : what `backward` needs; None unless ``keep``
        """

    def backward(
        self, stacked: Array, tape: Any, d_h: Array, d_state: LayerState, *, inputs: bool
    ) -> tuple[Array, Array | None, LayerState]:
        """Go every step back.

        Parameters
        ----------
        d_h : (T, H, B), the gradient that reaches each hidden state from outside the layer; or (1, H, B), where that
            is only the last
        d_state : the gradient of the state after the last step; overwritten
        inputs : whether the gradient of the inputs is wanted

        Returns
        -------
        d_stacked : the gradient of ``stacked``, summed over steps and sequences
        d_x : (T, F, B), the gradient of the inputs; None where it is not wanted
        d_state : the gradient of the state before the first step
        """


class Columns(NamedTuple):
    """The tape of a `NumpyLayer`; see `models.nn.cells.contract`."""

    z: Array
    pages: Array


@dataclass(frozen=True)
class NumpyLayer:
    """A cell with the memory on which it takes its steps."""

    cell: Cell

    def forward(
        self, stacked: Array, x: Array, state: LayerState | None, *, every: bool, keep: bool
    ) -> tuple[Array, LayerState, Columns | None]:
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
        return h, (z[-1, :H], pages[-1, -H:])[: self.cell.n_states], Columns(z, pages)

    def backward(
        self, stacked: Array, tape: Columns, d_h: Array, d_state: LayerState, *, inputs: bool
    ) -> tuple[Array, Array | None, LayerState]:
        """See `Layer.backward`."""
        T, B, H = len(tape.z) - 1, d_h.shape[2], d_h.shape[1]
        d_x = np.empty((T, len(stacked) - H - 1, B), stacked.dtype) if inputs else None
        d_stacked, d_state = self.cell.backward(stacked, *tape, d_h, d_state, d_x)
        return d_stacked, d_x, d_state
