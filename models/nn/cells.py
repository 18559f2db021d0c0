"""What happens within one time step. A new cell is one class and one line in ``CELLS``."""

from typing import Any, Protocol, TypeAlias

import numpy as np

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
        """Draw ``W`` by Glorot's rule and ``U`` as a rotation; ``b`` starts at zero."""
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


CELLS: dict[str, Cell] = {"rnn": RNNCell()}
