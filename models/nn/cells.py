"""What happens within one time step. A new cell is one class and one line in ``CELLS``."""

from typing import Any, Protocol, TypeAlias

import numpy as np

from models.nn.activations import sigmoid
from models.nn.initializers import glorot_uniform, orthogonal
from models.nn.types import Array, Parameters

# The arrays (B, H) that one step hands to the next; the first is the hidden state, which the layer above sees.
State: TypeAlias = tuple[Array, ...]

# What a forward step keeps for its backward step; only the cell that made it looks inside.
Cache: TypeAlias = Any


class Cell(Protocol):
    """One step of recurrence and its gradient. Cells hold no state: everything comes in and goes out."""

    def init(self, rng: np.random.Generator, n_in: int, n_hidden: int) -> Parameters:
        """Draw the parameters for ``n_in`` inputs and ``n_hidden`` units, float64."""

    def initial_state(self, n_sequences: int, n_hidden: int, dtype: Any) -> State:
        """Return the state before the first step: zeros."""

    def forward(self, params: Parameters, x: Array, state: State) -> tuple[State, Cache]:
        """Take one step from ``state`` with input ``x`` (B, F)."""

    def backward(self, params: Parameters, d_state: State, cache: Cache) -> tuple[Array, State, Parameters]:
        """Carry the gradient of the state after the step back to ``x``, the state before and the parameters."""


class RNNCell:
    """The plain recurrent cell.

    ::

        h' = tanh(x W + h U + b)

    with ``W`` (F, H), ``U`` (H, H), ``b`` (H,) and the state ``(h,)``.

    References
    ----------
    Elman (1990), Finding structure in time.
    """

    def init(self, rng: np.random.Generator, n_in: int, n_hidden: int) -> Parameters:
        """Draw ``W`` by Glorot's rule and ``U`` orthogonal; ``b`` starts at zero."""
        return {
            "W": glorot_uniform(rng, n_in, n_hidden),
            "U": orthogonal(rng, n_hidden),
            "b": np.zeros(n_hidden),
        }

    def initial_state(self, n_sequences: int, n_hidden: int, dtype: Any) -> State:
        """Return zeros (B, H)."""
        return (np.zeros((n_sequences, n_hidden), dtype),)

    def forward(self, params: Parameters, x: Array, state: State) -> tuple[State, Cache]:
        """Take one step; see the equation of the class."""
        (h_before,) = state
        h = np.tanh(x @ params["W"] + h_before @ params["U"] + params["b"])
        return (h,), (x, h_before, h)

    def backward(self, params: Parameters, d_state: State, cache: Cache) -> tuple[Array, State, Parameters]:
        """Differentiate the equation of the class; ``d_a`` belongs to the sum inside tanh, whose slope is 1 - h'^2."""
        (d_h,) = d_state
        x, h_before, h = cache
        d_a = d_h * (1.0 - h * h)
        grads = {"W": x.T @ d_a, "U": h_before.T @ d_a, "b": d_a.sum(axis=0)}
        return d_a @ params["W"].T, (d_a @ params["U"].T,), grads


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

    def init(self, rng: np.random.Generator, n_in: int, n_hidden: int) -> Parameters:
        """Draw each block of ``W`` by Glorot's rule and of ``U`` orthogonal; the forget gate's bias starts at 1."""
        bias = np.zeros(4 * n_hidden)
        bias[n_hidden : 2 * n_hidden] = 1.0
        return _gated_parameters(rng, n_in, n_hidden, n_gates=4) | {"b": bias}

    def initial_state(self, n_sequences: int, n_hidden: int, dtype: Any) -> State:
        """Return zeros for h and c, each (B, H)."""
        return np.zeros((n_sequences, n_hidden), dtype), np.zeros((n_sequences, n_hidden), dtype)

    def forward(self, params: Parameters, x: Array, state: State) -> tuple[State, Cache]:
        """Take one step; see the equations of the class."""
        h_before, c_before = state
        H = h_before.shape[1]
        a = x @ params["W"] + h_before @ params["U"] + params["b"]
        gates = sigmoid(a[:, : 3 * H])
        i, f, o = gates[:, :H], gates[:, H : 2 * H], gates[:, 2 * H :]
        g = np.tanh(a[:, 3 * H :])
        c = f * c_before + i * g
        tanh_c = np.tanh(c)
        return (o * tanh_c, c), (x, h_before, c_before, i, f, o, g, tanh_c)

    def backward(self, params: Parameters, d_state: State, cache: Cache) -> tuple[Array, State, Parameters]:
        """Differentiate the equations of the class, from the last to the first."""
        d_h, d_c_after = d_state
        x, h_before, c_before, i, f, o, g, tanh_c = cache
        d_c = d_c_after + d_h * o * (1.0 - tanh_c * tanh_c)
        d_a = np.concatenate(
            [
                d_c * g * i * (1.0 - i),
                d_c * c_before * f * (1.0 - f),
                d_h * tanh_c * o * (1.0 - o),
                d_c * i * (1.0 - g * g),
            ],
            axis=1,
        )
        grads = {"W": x.T @ d_a, "U": h_before.T @ d_a, "b": d_a.sum(axis=0)}
        return d_a @ params["W"].T, (d_a @ params["U"].T, d_c * f), grads


class GRUCell:
    """The gated recurrent unit, with the reset gate applied after the product, as in PyTorch and cuDNN.

    ::

        r, z = sigmoid(x W + b + h U + c)          reset and update gate: the first two blocks of columns
        n    = tanh(x W + b + r * (h U + c))       candidate: the third block
        h'   = (1 - z) * n + z * h

    with ``W`` (F, 3H), ``U`` (H, 3H), ``b``, ``c`` (3H,) and the state ``(h,)``.

    References
    ----------
    Cho et al. (2014), Learning phrase representations using RNN encoder-decoder.
    """

    def init(self, rng: np.random.Generator, n_in: int, n_hidden: int) -> Parameters:
        """Draw each block of ``W`` by Glorot's rule and of ``U`` orthogonal; the biases start at zero."""
        return _gated_parameters(rng, n_in, n_hidden, n_gates=3) | {
            "b": np.zeros(3 * n_hidden),
            "c": np.zeros(3 * n_hidden),
        }

    def initial_state(self, n_sequences: int, n_hidden: int, dtype: Any) -> State:
        """Return zeros (B, H)."""
        return (np.zeros((n_sequences, n_hidden), dtype),)

    def forward(self, params: Parameters, x: Array, state: State) -> tuple[State, Cache]:
        """Take one step; see the equations of the class."""
        (h_before,) = state
        H = h_before.shape[1]
        from_x = x @ params["W"] + params["b"]
        from_h = h_before @ params["U"] + params["c"]
        gates = sigmoid(from_x[:, : 2 * H] + from_h[:, : 2 * H])
        r, z = gates[:, :H], gates[:, H:]
        recalled = from_h[:, 2 * H :]
        n = np.tanh(from_x[:, 2 * H :] + r * recalled)
        return (n + z * (h_before - n),), (x, h_before, r, z, n, recalled)

    def backward(self, params: Parameters, d_state: State, cache: Cache) -> tuple[Array, State, Parameters]:
        """Differentiate the equations of the class, from the last to the first."""
        (d_h,) = d_state
        x, h_before, r, z, n, recalled = cache
        d_n = d_h * (1.0 - z) * (1.0 - n * n)
        d_r = d_n * recalled * r * (1.0 - r)
        d_z = d_h * (h_before - n) * z * (1.0 - z)
        d_from_x = np.concatenate([d_r, d_z, d_n], axis=1)
        d_from_h = np.concatenate([d_r, d_z, d_n * r], axis=1)
        grads = {
            "W": x.T @ d_from_x,
            "U": h_before.T @ d_from_h,
            "b": d_from_x.sum(axis=0),
            "c": d_from_h.sum(axis=0),
        }
        return d_from_x @ params["W"].T, (d_from_h @ params["U"].T + d_h * z,), grads


def _gated_parameters(rng: np.random.Generator, n_in: int, n_hidden: int, n_gates: int) -> Parameters:
    """Draw ``W`` (F, gates * H) and ``U`` (H, gates * H), a block of columns for each gate."""
    return {
        "W": np.hstack([glorot_uniform(rng, n_in, n_hidden) for _ in range(n_gates)]),
        "U": np.hstack([orthogonal(rng, n_hidden) for _ in range(n_gates)]),
    }


CELLS: dict[str, Cell] = {"rnn": RNNCell(), "gru": GRUCell(), "lstm": LSTMCell()}
