"""The plain recurrent cell."""

from dataclasses import dataclass

import numpy as np

from models.nn.activations import ACTIVATIONS
from models.nn.cells.contract import LayerState, StackedCell, lay_out_inputs, products_backward, steps_backward
from models.nn.types import Array, aligned_empty


@dataclass(frozen=True)
class RNNCell(StackedCell):
    """The plain recurrent cell.

    ::

        h' = g(x W + h U + b)        g: tanh, relu, sigmoid or identity

    with ``W`` (F, H), ``U`` (H, H), ``b`` (H,) and the state ``(h,)``.

    Reference: Elman (1990), Finding structure in time.
    """

    activation: str = "tanh"

    def forward(self, stacked: Array, x: Array, z: Array, pages: Array) -> None:
        """Run all steps; see the equation of the class."""
        S, H = stacked.T, stacked.shape[1]
        lay_out_inputs(z, x)
        activate = ACTIVATIONS[self.activation].apply
        for z_t, h in zip(z, z[1:, :H], strict=False):
            np.dot(S, z_t, h)
            activate(h, h)

    def backward(
        self, stacked: Array, z: Array, pages: Array, d_h: Array, d_state: LayerState, d_x: Array | None
    ) -> tuple[Array, LayerState]:
        """Differentiate the equation of the class: ``d_a = d_h' g'(a)``, then ``d_h = U d_a``."""
        H = stacked.shape[1]
        U = stacked[:H]
        (d,) = d_state
        slope = ACTIVATIONS[self.activation].slope(z[1:, :H])
        d_a = aligned_empty(slope.shape, slope.dtype)
        for t, d_above in steps_backward(len(slope), d_h):
            np.add(d, d_above, d)
            np.multiply(d, slope[t], d_a[t])
            np.dot(U, d_a[t], d)
        return products_backward(stacked, z, d_a, H, d_x), (d,)
