"""The recurrences. A new cell is one class and one line in ``CELLS``.

Memory here is laid out for speed: time first, then rows of features or units, then the sequences of the batch side by
side, so that a gate is one contiguous block and all products of a step are one matrix product::

    a = S^T [h; x; 1]        S = [U; W; b]  stacked, (H + F + 1, gates * H)

``z`` (T + 1, H + F + 1, B) holds the columns ``[h; x; 1]`` of all steps; a step reads ``z[t]`` and writes its hidden
state to ``z[t + 1, :H]``. What else a step must remember for its backward step, it leaves on its page, ``pages[t]``.
Who needs no gradients gives a single page, which every step uses again.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from models.nn.activations import ACTIVATIONS, sigmoid
from models.nn.initializers import Initialization
from models.nn.types import Array, Parameters, aligned_empty

# Below this it is quicker to copy all steps side by side and take one product than to take one for each step.
FEW_SEQUENCES = 4


class Steps(Protocol):
    """Takes all steps of a layer, forward and back: a cell, or its compiled form."""

    def forward(self, stacked: Array, z: Array, pages: Array) -> None:
        """Take every step, from the states in ``z[0]`` and ``pages[0]`` to those in ``z[-1]`` and ``pages[-1]``."""

    def backward(
        self, stacked: Array, z: Array, pages: Array, d_h: Array, d_state: tuple[Array, ...]
    ) -> tuple[Array, tuple[Array, ...]]:
        """Go every step back.

        Parameters
        ----------
        d_h : (T, H, B), the gradient that reaches each hidden state from outside the layer
        d_state : each (H, B), the gradient of the state after the last step; overwritten

        Returns
        -------
        d_a : (T, n_blocks * H, B), the gradient of each step's product
        d_state : the gradient of the state before the first step
        """


class Cell(Steps, Protocol):
    """A recurrence and its gradient. Cells hold no state: everything comes in and goes out.

    Attributes
    ----------
    n_states : arrays in the state: 1 for ``(h,)``, 2 for ``(h, c)``; ``c`` lives in the last H rows of a page
    n_blocks : blocks of H columns in the stacked weights
    page_blocks : blocks of H rows on a page
    """

    n_states: int
    n_blocks: int
    page_blocks: int

    def init(self, rng: np.random.Generator, n_in: int, n_hidden: int, rules: Initialization) -> Parameters:
        """Draw the parameters for ``n_in`` inputs and ``n_hidden`` units, float64."""

    def stack(self, params: Parameters) -> Array:
        """Return the parameters as one matrix (H + F + 1, n_blocks * H)."""

    def gradients(self, z: Array, pages: Array, d_a: Array) -> Parameters:
        """Return the gradient of every parameter, summed over steps and sequences."""


def weight_gradient(rows: Array, d_a: Array) -> Array:
    """Return the sum over steps of ``rows`` (T, K, B) times ``d_a`` (T, M, B) transposed: (K, M)."""
    if rows.shape[2] < FEW_SEQUENCES:
        return np.tensordot(rows, d_a, ((0, 2), (0, 2)))
    return np.ascontiguousarray(np.matmul(d_a, rows.transpose(0, 2, 1)).sum(axis=0).T)


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

    n_states = 1
    n_blocks = 1
    page_blocks = 0

    def init(self, rng: np.random.Generator, n_in: int, n_hidden: int, rules: Initialization) -> Parameters:
        """Draw ``W``, ``U`` and ``b``."""
        return rules.cell(rng, n_in, n_hidden, n_gates=1)

    def stack(self, params: Parameters) -> Array:
        """Return ``[U; W; b]``."""
        return _stacked(params)

    def forward(self, stacked: Array, z: Array, pages: Array) -> None:
        """Take every step; see the equation of the class."""
        S, H = stacked.T, stacked.shape[1]
        activate = ACTIVATIONS[self.activation].apply
        for z_t, h in zip(z, z[1:, :H], strict=False):
            np.dot(S, z_t, h)
            activate(h, h)

    def backward(
        self, stacked: Array, z: Array, pages: Array, d_h: Array, d_state: tuple[Array, ...]
    ) -> tuple[Array, tuple[Array, ...]]:
        """Differentiate the equation of the class: ``d_a = d_h g'(a)``, and through ``U`` to the state before."""
        H = stacked.shape[1]
        U = stacked[:H]
        (d,) = d_state
        slope = ACTIVATIONS[self.activation].slope(z[1:, :H])
        d_a = aligned_empty(d_h.shape, d_h.dtype)
        for t in reversed(range(len(d_h))):
            np.add(d, d_h[t], d)
            np.multiply(d, slope[t], d_a[t])
            np.dot(U, d_a[t], d)
        return d_a, (d,)

    def gradients(self, z: Array, pages: Array, d_a: Array) -> Parameters:
        """Return the gradients of ``W``, ``U`` and ``b``."""
        return _gradients(z, d_a, d_a.shape[1])


class LSTMPage(NamedTuple):
    """What a step of the LSTM leaves behind: ``c`` is from before the step, ``tanh_c`` from after it."""

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
        """Name the rows of ``page`` (6H, B)."""
        H = len(page) // 6
        return cls(page[: 4 * H], page[: 3 * H], *page.reshape(6, H, -1))


class LSTMCell:
    """Long short-term memory: a cell state that gates write to, keep and read.

    ::

        i, f, o = sigmoid(x W + h U + b)   input, forget and output gate: the first three blocks of columns
        g       = tanh(x W + h U + b)      candidate: the fourth block
        c'      = f * c + i * g
        h'      = o * tanh(c')

    with ``W`` (F, 4H), ``U`` (H, 4H), ``b`` (4H,) and the state ``(h, c)``.

    References
    ----------
    Hochreiter and Schmidhuber (1997), Long short-term memory; the forget gate and its bias of 1, with which a new
    network remembers, are Gers, Schmidhuber and Cummins (2000), Learning to forget.
    """

    n_states = 2
    n_blocks = 4
    page_blocks = 6

    def init(self, rng: np.random.Generator, n_in: int, n_hidden: int, rules: Initialization) -> Parameters:
        """Draw ``W``, ``U`` and ``b``; 1 is added to the forget gate's bias."""
        params = rules.cell(rng, n_in, n_hidden, n_gates=4)
        params["b"][n_hidden : 2 * n_hidden] += 1
        return params

    def stack(self, params: Parameters) -> Array:
        """Return ``[U; W; b]``, with the blocks of columns i, f, o, g."""
        return _stacked(params)

    def forward(self, stacked: Array, z: Array, pages: Array) -> None:
        """Take every step; see the equations of the class."""
        S, H = stacked.T, stacked.shape[1] // 4
        product = aligned_empty((H, z.shape[2]), z.dtype)
        leaves = _leaf_through([LSTMPage.of(page) for page in pages], len(z))
        for z_t, h, page, after in zip(z, z[1:, :H], leaves, leaves[1:], strict=False):
            np.dot(S, z_t, page.gates)
            sigmoid(page.ifo, page.ifo)
            np.tanh(page.g, page.g)
            np.multiply(page.i, page.g, product)
            np.multiply(page.f, page.c, after.c)
            np.add(after.c, product, after.c)
            np.tanh(after.c, page.tanh_c)
            np.multiply(page.o, page.tanh_c, h)

    def backward(
        self, stacked: Array, z: Array, pages: Array, d_h: Array, d_state: tuple[Array, ...]
    ) -> tuple[Array, tuple[Array, ...]]:
        """Differentiate the equations of the class, from the last to the first."""
        T, H, B = d_h.shape
        U = stacked[:H]
        dh, dc = d_state
        d_a = aligned_empty((T, 4 * H, B), d_h.dtype)
        for t in reversed(range(T)):
            page = LSTMPage.of(pages[t])
            d_i, d_f, d_o, d_g = d_a[t].reshape(4, H, B)
            dh += d_h[t]
            dc += dh * page.o * (1 - page.tanh_c * page.tanh_c)
            np.multiply(dc, page.g, d_i)
            np.multiply(dc, page.c, d_f)
            np.multiply(dh, page.tanh_c, d_o)
            np.multiply(dc, page.i, d_g)
            d_a[t, : 3 * H] *= page.ifo * (1 - page.ifo)
            d_g *= 1 - page.g * page.g
            dc *= page.f
            np.dot(U, d_a[t], dh)
        return d_a, (dh, dc)

    def gradients(self, z: Array, pages: Array, d_a: Array) -> Parameters:
        """Return the gradients of ``W``, ``U`` and ``b``."""
        return _gradients(z, d_a, d_a.shape[1] // 4)


class GRUPage(NamedTuple):
    """What a step of a GRU leaves behind; ``m`` is what the reset gate is applied to, or what comes of it."""

    rz: Array
    r: Array
    z: Array
    m: Array
    n: Array

    @classmethod
    def of(cls, page: Array) -> "GRUPage":
        """Name the rows of ``page`` (4H, B)."""
        H = len(page) // 4
        return cls(page[: 2 * H], *page.reshape(4, H, -1))


class GRUCell:
    """The gated recurrent unit, with the reset gate applied after the product, as in PyTorch and cuDNN.

    ::

        r, z = sigmoid(x W + b + h U + c)          reset and update gate: the first two blocks of columns
        m    = h U + c                             what is remembered: the third block, without x
        n    = tanh(x W + b + r * m)               candidate: the third block
        h'   = (1 - z) * n + z * h

    with ``W`` (F, 3H), ``U`` (H, 3H), ``b``, ``c`` (3H,) and the state ``(h,)``.

    References
    ----------
    Cho et al. (2014), Learning phrase representations using RNN encoder-decoder; the reset gate after the product is
    the first version of that paper, and what accelerators compute.
    """

    n_states = 1
    n_blocks = 4
    page_blocks = 4

    def init(self, rng: np.random.Generator, n_in: int, n_hidden: int, rules: Initialization) -> Parameters:
        """Draw ``W``, ``U``, ``b`` and ``c``."""
        return rules.cell(rng, n_in, n_hidden, n_gates=3) | {"c": rules.biases(rng, n_hidden, n_gates=3)}

    def stack(self, params: Parameters) -> Array:
        """Return the columns of r, z, m and n: m has none of ``W`` and ``b``, n none of ``U`` and ``c``."""
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

    def forward(self, stacked: Array, z: Array, pages: Array) -> None:
        """Take every step; see the equations of the class."""
        S, H = stacked.T, stacked.shape[1] // 4
        product = aligned_empty((H, z.shape[2]), z.dtype)
        leaves = _leaf_through(list(pages), len(z))
        names = _leaf_through([GRUPage.of(page) for page in pages], len(z))
        for z_t, h, gates, page in zip(z, z[1:, :H], leaves, names, strict=False):
            np.dot(S, z_t, gates)
            sigmoid(page.rz, page.rz)
            np.multiply(page.r, page.m, product)
            np.add(page.n, product, page.n)
            np.tanh(page.n, page.n)
            np.subtract(z_t[:H], page.n, h)  # h' = n + z (h - n)
            np.multiply(h, page.z, h)
            np.add(h, page.n, h)

    def backward(
        self, stacked: Array, z: Array, pages: Array, d_h: Array, d_state: tuple[Array, ...]
    ) -> tuple[Array, tuple[Array, ...]]:
        """Differentiate the equations of the class, from the last to the first."""
        T, H, B = d_h.shape
        U = stacked[:H, : 3 * H]
        (dh,) = d_state
        d_a = aligned_empty((T, 4 * H, B), d_h.dtype)
        for t in reversed(range(T)):
            page = GRUPage.of(pages[t])
            d_r, d_z, d_m, d_n = d_a[t].reshape(4, H, B)
            dh += d_h[t]
            np.multiply(dh, 1 - page.z, d_n)
            d_n *= 1 - page.n * page.n
            np.multiply(d_n, page.r, d_m)
            np.multiply(d_n, page.m, d_r)
            np.multiply(dh, z[t, :H] - page.n, d_z)
            d_a[t, : 2 * H] *= page.rz * (1 - page.rz)
            dh *= page.z
            dh += U @ d_a[t, : 3 * H]
        return d_a, (dh,)

    def gradients(self, z: Array, pages: Array, d_a: Array) -> Parameters:
        """Return the gradients of ``W``, ``U``, ``b`` and ``c``."""
        H = d_a.shape[1] // 4
        d_U = weight_gradient(z[:-1, :H], d_a[:, : 3 * H])
        of_x = weight_gradient(z[:-1, H:], d_a)
        d_c = of_x[-1, : 3 * H].copy()
        of_x[:, 2 * H : 3 * H] = of_x[:, 3 * H :]  # now r, z, n
        return {"W": of_x[:-1, : 3 * H], "U": d_U, "b": of_x[-1, : 3 * H], "c": d_c}


class GRUResetBeforeCell:
    """The gated recurrent unit, with the reset gate applied to the state before the product.

    ::

        r, z = sigmoid(x W + h U + b)              reset and update gate: the first two blocks of columns
        n    = tanh(x W + (r * h) U + b)           candidate: the third block
        h'   = (1 - z) * n + z * h

    with ``W`` (F, 3H), ``U`` (H, 3H), ``b`` (3H,) and the state ``(h,)``.

    References
    ----------
    Chung et al. (2014), Empirical evaluation of gated recurrent neural networks on sequence modeling.
    """

    n_states = 1
    n_blocks = 3
    page_blocks = 4

    def init(self, rng: np.random.Generator, n_in: int, n_hidden: int, rules: Initialization) -> Parameters:
        """Draw ``W``, ``U`` and ``b``."""
        return rules.cell(rng, n_in, n_hidden, n_gates=3)

    def stack(self, params: Parameters) -> Array:
        """Return ``[U; W; b]``, with the blocks of columns r, z, n."""
        return _stacked(params)

    def forward(self, stacked: Array, z: Array, pages: Array) -> None:
        """Take every step; see the equations of the class."""
        H = stacked.shape[1] // 3
        S_rz, S_n, U_n = stacked[:, : 2 * H].T, stacked[H:, 2 * H :].T, stacked[:H, 2 * H :].T
        leaves = _leaf_through([GRUPage.of(page) for page in pages], len(z))
        for z_t, h, page in zip(z, z[1:, :H], leaves, strict=False):
            np.dot(S_rz, z_t, page.rz)
            sigmoid(page.rz, page.rz)
            np.multiply(page.r, z_t[:H], page.m)
            np.dot(S_n, z_t[H:], page.n)
            np.add(page.n, U_n @ page.m, page.n)
            np.tanh(page.n, page.n)
            np.subtract(z_t[:H], page.n, h)  # h' = n + z (h - n)
            np.multiply(h, page.z, h)
            np.add(h, page.n, h)

    def backward(
        self, stacked: Array, z: Array, pages: Array, d_h: Array, d_state: tuple[Array, ...]
    ) -> tuple[Array, tuple[Array, ...]]:
        """Differentiate the equations of the class, from the last to the first."""
        T, H, B = d_h.shape
        U_rz, U_n = stacked[:H, : 2 * H], stacked[:H, 2 * H :]
        (dh,) = d_state
        d_a = aligned_empty((T, 3 * H, B), d_h.dtype)
        for t in reversed(range(T)):
            page = GRUPage.of(pages[t])
            d_r, d_z, d_n = d_a[t].reshape(3, H, B)
            h_before = z[t, :H]
            dh += d_h[t]
            np.multiply(dh, 1 - page.z, d_n)
            d_n *= 1 - page.n * page.n
            d_m = U_n @ d_n
            np.multiply(d_m, h_before, d_r)
            np.multiply(dh, h_before - page.n, d_z)
            d_a[t, : 2 * H] *= page.rz * (1 - page.rz)
            dh *= page.z
            dh += d_m * page.r + U_rz @ d_a[t, : 2 * H]
        return d_a, (dh,)

    def gradients(self, z: Array, pages: Array, d_a: Array) -> Parameters:
        """Return the gradients of ``W``, ``U`` and ``b``; the third block of ``U`` was fed ``r * h`` instead of h."""
        H = d_a.shape[1] // 3
        d = _gradients(z, d_a, H)
        d["U"][:, 2 * H :] = weight_gradient(pages[:-1, 2 * H : 3 * H], d_a[:, 2 * H :])
        return d


Leaf = TypeVar("Leaf")


def _leaf_through(pages: list[Leaf], n: int) -> list[Leaf]:
    """Return a page for each of ``n`` columns; a single page serves all of them."""
    return pages * n if len(pages) == 1 else pages


def _stacked(params: Parameters) -> Array:
    return np.concatenate((params["U"], params["W"], params["b"][None]))


def _gradients(z: Array, d_a: Array, n_hidden: int) -> Parameters:
    """Return the gradients of parameters that were stacked as ``[U; W; b]``.

    In two products, of which the one with the hidden states has the regular sizes that BLAS is best at.
    """
    of_x = weight_gradient(z[:-1, n_hidden:], d_a)
    return {"W": of_x[:-1], "U": weight_gradient(z[:-1, :n_hidden], d_a), "b": of_x[-1]}


CELLS: dict[str, Cell] = {
    "rnn": RNNCell(),
    "rnn-relu": RNNCell("relu"),
    "rnn-sigmoid": RNNCell("sigmoid"),
    "rnn-identity": RNNCell("identity"),
    "lstm": LSTMCell(),
    "gru": GRUCell(),
    "gru-reset-before": GRUResetBeforeCell(),
}
