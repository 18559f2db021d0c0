"""The plain recurrent cell."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from models.nn.activations import ACTIVATIONS
from models.nn.cells.contract import LayerState, lay_out_inputs, products_backward, stack, steps_backward, unstack
from models.nn.initializers import Initialization
from models.nn.types import Array, Parameters, aligned_empty


@dataclass(frozen=True)
class RNNCell:
    """The plain recurrent cell.

    ::

        h' = g(x W + h U + b)        g: tanh, relu, sigmoid or identity

    with ``W`` (F, H), ``U`` (H, H), ``b`` (H,) and the state ``(h,)``.

    References
    ----------
    Elman (1990), Finding structure in time.
    """

    activation: str = "tanh"

    names: ClassVar[tuple[str, ...]] = ("W", "U", "b")
    n_states = 1
    n_blocks = 1
    page_blocks = 0

    def init(self, rng: np.random.Generator, n_in: int, n_hidden: int, rules: Initialization) -> Parameters:
        """Draw ``W``, ``U`` and ``b``."""
        return rules.cell(rng, n_in, n_hidden, n_gates=1)

    def stack(self, params: Parameters) -> Array:
        """Return ``[U; W; b]``."""
        return stack(params)

    def forward(self, stacked: Array, x: Array, z: Array, pages: Array) -> None:
        """Take every step; see the equation of the class."""
        S, H = stacked.T, stacked.shape[1]
        lay_out_inputs(z, x)
        activate = ACTIVATIONS[self.activation].apply
        for z_t, h in zip(z, z[1:, :H], strict=False):
            np.dot(S, z_t, h)
            activate(h, h)

    def backward(
        self, stacked: Array, z: Array, pages: Array, d_h: Array, d_state: LayerState, d_x: Array | None
    ) -> tuple[Array, LayerState]:
        """Differentiate the equation of the class: ``d_a = d_h g'(a)``, and through ``U`` to the state before."""
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

    def unstack(self, d_stacked: Array) -> Parameters:
        """Return the gradients of ``W``, ``U`` and ``b``."""
        return unstack(d_stacked, d_stacked.shape[1])
