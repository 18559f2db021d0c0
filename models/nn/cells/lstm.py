"""Long short-term memory."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.nn.activations import sigmoid
from models.nn.cells.contract import (
    LayerState,
    StackedCell,
    lay_out_inputs,
    one_for_each,
    products_backward,
    steps_backward,
)
from models.nn.initializers import Initialization
from models.nn.types import Array, Parameters, aligned_empty


class LSTMPage(NamedTuple):
    """The intermediate values of a step; ``c`` is from before the step, ``tanh_c`` from after it."""

    gates: Array
    ifo: Array
    i: Array
    f: Array
    o: Array
    g: Array
    tanh_c: Array
    c: Array

    @classmethod
    def of(cls, page: Array) -> "LSTMPage":
        """Split ``page`` (6H, B) into views."""
        H = len(page) // 6
        return cls(page[: 4 * H], page[: 3 * H], *page.reshape(6, H, -1))


@dataclass(frozen=True)
class LSTMCell(StackedCell):
    """Long short-term memory.

    ::

        i, f, o = sigmoid(x W + h U + b)   input, forget and output gate: the first three blocks of columns
        g       = tanh(x W + h U + b)      candidate: the fourth block
        c'      = f * c + i * g
        h'      = o * tanh(c')

    with ``W`` (F, 4H), ``U`` (H, 4H), ``b`` (4H,) and the state ``(h, c)``.

    The forget gate's bias is initially raised by 1, so that an untrained network remembers.

    References: Hochreiter and Schmidhuber (1997), Long short-term memory; for the forget gate and its bias, Gers,
    Schmidhuber and Cummins (2000), Learning to forget.
    """

    n_states = 2
    n_blocks = 4
    page_blocks = 6

    def init(self, rng: np.random.Generator, n_in: int, n_hidden: int, rules: Initialization) -> Parameters:
        """Draw the initial weights."""
        params = super().init(rng, n_in, n_hidden, rules)
        params["b"][n_hidden : 2 * n_hidden] += 1
        return params

    def forward(self, stacked: Array, x: Array, z: Array, pages: Array) -> None:
        """Run all steps; see the equations of the class."""
        S, H = stacked.T, stacked.shape[1] // 4
        lay_out_inputs(z, x)
        product = aligned_empty((H, z.shape[2]), z.dtype)
        named = one_for_each([LSTMPage.of(page) for page in pages], len(z))
        for z_t, h, page, after in zip(z, z[1:, :H], named, named[1:], strict=False):
            np.dot(S, z_t, page.gates)
            sigmoid(page.ifo, page.ifo)
            np.tanh(page.g, page.g)
            np.multiply(page.i, page.g, product)
            np.multiply(page.f, page.c, after.c)
            np.add(after.c, product, after.c)
            np.tanh(after.c, page.tanh_c)
            np.multiply(page.o, page.tanh_c, h)

    def backward(
        self, stacked: Array, z: Array, pages: Array, d_h: Array, d_state: LayerState, d_x: Array | None
    ) -> tuple[Array, LayerState]:
        """Differentiate the equations of the class, from the last to the first."""
        T, H, B = len(z) - 1, *d_h.shape[1:]
        U = stacked[:H]
        dh, dc = d_state
        d_a = aligned_empty((T, 4 * H, B), d_h.dtype)
        for t, d_above in steps_backward(T, d_h):
            page = LSTMPage.of(pages[t])
            d_i, d_f, d_o, d_g = d_a[t].reshape(4, H, B)
            dh += d_above
            dc += dh * page.o * (1 - page.tanh_c * page.tanh_c)
            np.multiply(dc, page.g, d_i)
            np.multiply(dc, page.c, d_f)
            np.multiply(dh, page.tanh_c, d_o)
            np.multiply(dc, page.i, d_g)
            d_a[t, : 3 * H] *= page.ifo * (1 - page.ifo)
            d_g *= 1 - page.g * page.g
            dc *= page.f
            np.dot(U, d_a[t], dh)
        return products_backward(stacked, z, d_a, H, d_x), (dh, dc)
