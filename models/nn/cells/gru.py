"""The gated recurrent unit, with the reset gate after or before the product."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from models.nn.activations import sigmoid
from models.nn.cells.contract import (
    LayerState,
    StackedCell,
    lay_out_inputs,
    one_for_each,
    products_backward,
    steps_backward,
    weight_gradient,
)
from models.nn.initializers import Initialization
from models.nn.types import Array, Parameters, aligned_empty


class GRUPage(NamedTuple):
    """The intermediate values of a step; ``m`` is ``h U + c``, or ``r * h`` with the reset gate before the product."""

    whole: Array
    rz: Array
    r: Array
    z: Array
    m: Array
    n: Array

    @classmethod
    def of(cls, page: Array) -> "GRUPage":
        """Split ``page`` (4H, B) into views."""
        H = len(page) // 4
        return cls(page, page[: 2 * H], *page.reshape(4, H, -1))


def _blend(h_before: Array, page: GRUPage, h: Array) -> None:
    """Write ``(1 - z) * n + z * h_before`` to ``h``, computed as ``n + z * (h_before - n)``."""
    np.subtract(h_before, page.n, h)
    np.multiply(h, page.z, h)
    np.add(h, page.n, h)


@dataclass(frozen=True)
class GRUCell(StackedCell):
    """The gated recurrent unit, with the reset gate applied after the product, as in PyTorch and cuDNN.

    ::

        r, z = sigmoid(x W + b + h U + c)          reset and update gate: the first two blocks of columns
        m    = h U + c                             recurrent part of the candidate: the third block, without x
        n    = tanh(x W + b + r * m)               candidate: the third block
        h'   = (1 - z) * n + z * h

    with ``W`` (F, 3H), ``U`` (H, 3H), ``b``, ``c`` (3H,) and the state ``(h,)``.

    Reference: Cho et al. (2014), Learning phrase representations using RNN encoder-decoder, first version.
    """

    names: ClassVar[tuple[str, ...]] = ("W", "U", "b", "c")
    n_blocks = 4
    page_blocks = 4

    def init(self, rng: np.random.Generator, n_in: int, n_hidden: int, rules: Initialization) -> Parameters:
        """Draw the initial weights."""
        return rules.cell(rng, n_in, n_hidden, n_gates=3) | {"c": rules.biases(rng, n_hidden, n_gates=3)}

    def stack(self, params: Parameters) -> Array:
        """Stack the columns of r, z, m and n; ``W`` and ``b`` are zero in those of m, ``U`` and ``c`` in those of n."""
        W, U, b, c = (params[name] for name in "WUbc")
        H, n_in = len(U), len(W)
        stacked = np.zeros((H + n_in + 1, 4 * H), U.dtype)
        stacked[:H, : 3 * H] = U
        stacked[H:-1, : 2 * H] = W[:, : 2 * H]
        stacked[H:-1, 3 * H :] = W[:, 2 * H :]
        stacked[-1, : 3 * H] = c
        stacked[-1, : 2 * H] += b[: 2 * H]
        stacked[-1, 3 * H :] = b[2 * H :]
        return stacked

    def forward(self, stacked: Array, x: Array, z: Array, pages: Array) -> None:
        """Run all steps; see the equations of the class."""
        S, H = stacked.T, stacked.shape[1] // 4
        lay_out_inputs(z, x)
        product = aligned_empty((H, z.shape[2]), z.dtype)
        named = one_for_each([GRUPage.of(page) for page in pages], len(z))
        for z_t, h, page in zip(z, z[1:, :H], named, strict=False):
            np.dot(S, z_t, page.whole)
            sigmoid(page.rz, page.rz)
            np.multiply(page.r, page.m, product)
            np.add(page.n, product, page.n)
            np.tanh(page.n, page.n)
            _blend(z_t[:H], page, h)

    def backward(
        self, stacked: Array, z: Array, pages: Array, d_h: Array, d_state: LayerState, d_x: Array | None
    ) -> tuple[Array, LayerState]:
        """Differentiate the equations of the class, from the last to the first."""
        T, H, B = len(z) - 1, *d_h.shape[1:]
        U = stacked[:H, : 3 * H]
        (dh,) = d_state
        d_a = aligned_empty((T, 4 * H, B), d_h.dtype)
        for t, d_above in steps_backward(T, d_h):
            page = GRUPage.of(pages[t])
            d_r, d_z, d_m, d_n = d_a[t].reshape(4, H, B)
            dh += d_above
            np.multiply(dh, 1 - page.z, d_n)
            d_n *= 1 - page.n * page.n
            np.multiply(d_n, page.r, d_m)
            np.multiply(d_n, page.m, d_r)
            np.multiply(dh, z[t, :H] - page.n, d_z)
            d_a[t, : 2 * H] *= page.rz * (1 - page.rz)
            dh *= page.z
            dh += U @ d_a[t, : 3 * H]
        return products_backward(stacked, z, d_a, H, d_x), (dh,)

    def unstack(self, d_stacked: Array) -> Parameters:
        """Return the gradient of every parameter."""
        H = d_stacked.shape[1] // 4
        of_h = d_stacked[:, : 3 * H]  # r, z, m
        of_x = np.delete(d_stacked[H:], slice(2 * H, 3 * H), axis=1)  # r, z, n
        return {"W": of_x[:-1], "U": of_h[:H], "b": of_x[-1], "c": of_h[-1]}


@dataclass(frozen=True)
class GRUResetBeforeCell(StackedCell):
    """The gated recurrent unit, with the reset gate applied before the product.

    ::

        r, z = sigmoid(x W + h U + b)              reset and update gate: the first two blocks of columns
        n    = tanh(x W + (r * h) U + b)           candidate: the third block
        h'   = (1 - z) * n + z * h

    with ``W`` (F, 3H), ``U`` (H, 3H), ``b`` (3H,) and the state ``(h,)``.

    Reference: Chung et al. (2014), Empirical evaluation of gated recurrent neural networks on sequence modeling.
    """

    n_blocks = 3
    page_blocks = 4

    def forward(self, stacked: Array, x: Array, z: Array, pages: Array) -> None:
        """Run all steps; see the equations of the class."""
        H = stacked.shape[1] // 3
        lay_out_inputs(z, x)
        S_rz, S_n, U_n = stacked[:, : 2 * H].T, stacked[H:, 2 * H :].T, stacked[:H, 2 * H :].T
        named = one_for_each([GRUPage.of(page) for page in pages], len(z))
        for z_t, h, page in zip(z, z[1:, :H], named, strict=False):
            np.dot(S_rz, z_t, page.rz)
            sigmoid(page.rz, page.rz)
            np.multiply(page.r, z_t[:H], page.m)
            np.dot(S_n, z_t[H:], page.n)
            np.add(page.n, U_n @ page.m, page.n)
            np.tanh(page.n, page.n)
            _blend(z_t[:H], page, h)

    def backward(
        self, stacked: Array, z: Array, pages: Array, d_h: Array, d_state: LayerState, d_x: Array | None
    ) -> tuple[Array, LayerState]:
        """Differentiate the equations of the class, from the last to the first."""
        T, H, B = len(z) - 1, *d_h.shape[1:]
        U_rz, U_n = stacked[:H, : 2 * H], stacked[:H, 2 * H :]
        (dh,) = d_state
        d_a = aligned_empty((T, 3 * H, B), d_h.dtype)
        for t, d_above in steps_backward(T, d_h):
            page = GRUPage.of(pages[t])
            d_r, d_z, d_n = d_a[t].reshape(3, H, B)
            h_before = z[t, :H]
            dh += d_above
            np.multiply(dh, 1 - page.z, d_n)
            d_n *= 1 - page.n * page.n
            d_m = U_n @ d_n
            np.multiply(d_m, h_before, d_r)
            np.multiply(dh, h_before - page.n, d_z)
            d_a[t, : 2 * H] *= page.rz * (1 - page.rz)
            dh *= page.z
            dh += d_m * page.r + U_rz @ d_a[t, : 2 * H]
        d_stacked = products_backward(stacked, z, d_a, H, d_x)
        # The third block of U multiplies r * h, which is on the page, instead of h.
        d_stacked[:H, 2 * H :] = weight_gradient(pages[:-1, 2 * H : 3 * H], d_a[:, 2 * H :])
        return d_stacked, (dh,)
