"""Cells unrolled over time, stacked in layers, with a linear head on the last hidden state."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from models.nn.cells import CELLS, Cache, Cell, State
from models.nn.initializers import glorot_uniform
from models.nn.types import Array, Parameters

# What `forward` keeps for `backward`: a cache for each layer and step, and the last hidden state.
Tape: TypeAlias = tuple[list[list[Cache]], Array]


@dataclass(frozen=True)
class RecurrentNetwork:
    """The shape of a network; its parameters are a value that goes in and out.

    ``L`` layers of one kind of cell, each fed by the hidden states of the one below, then
    ``y = h_T head.W + head.b`` from the last hidden state of the top layer.
    """

    cell_name: str
    n_inputs: int
    n_hidden: int
    n_layers: int = 1
    n_outputs: int = 1

    @property
    def cell(self) -> Cell:
        """The recurrence that is unrolled."""
        return CELLS[self.cell_name]

    def init(self, rng: np.random.Generator, dtype: Any = np.float32) -> Parameters:
        """Draw the parameters of every layer (by the cell's own rule) and of the head (Glorot's rule, zero bias)."""
        params: Parameters = {}
        for layer in range(self.n_layers):
            n_in = self.n_hidden if layer else self.n_inputs
            params |= _prefixed(layer, self.cell.init(rng, n_in, self.n_hidden))
        params["head.W"] = glorot_uniform(rng, self.n_hidden, self.n_outputs)
        params["head.b"] = np.zeros(self.n_outputs)
        return {name: value.astype(dtype) for name, value in params.items()}

    def forward(
        self, params: Parameters, x: Array, state: list[State] | None = None
    ) -> tuple[Array, list[State], Tape]:
        """Unroll over every step of ``x``.

        Parameters
        ----------
        params : as `init` makes them
        x : (B, T, F), of the dtype of the parameters
        state : a state for each layer; zeros where it is not given

        Returns
        -------
        y : (B, O)
        state : the final state of each layer
        tape : what `backward` needs
        """
        state = state or self.initial_state(len(x), params["head.W"].dtype)
        steps = list(np.ascontiguousarray(x.transpose(1, 0, 2)))
        final, caches = [], []
        for layer, layer_state in enumerate(state):
            layer_params = _of_layer(layer, params)
            layer_caches = []
            for t, x_t in enumerate(steps):
                layer_state, cache = self.cell.forward(layer_params, x_t, layer_state)  # noqa: PLW2901
                steps[t] = layer_state[0]
                layer_caches.append(cache)
            final.append(layer_state)
            caches.append(layer_caches)
        top = steps[-1]
        return top @ params["head.W"] + params["head.b"], final, (caches, top)

    def predict(self, params: Parameters, x: Array) -> Array:
        """Return only the outputs (B, O) of `forward`."""
        return self.forward(params, x)[0]

    def backward(self, params: Parameters, d_y: Array, tape: Tape) -> tuple[Parameters, Array, list[State]]:
        """Backpropagation through time, over every step and layer of the tape.

        Parameters
        ----------
        params : those that `forward` was given
        d_y : (B, O), gradient of the loss with respect to the outputs
        tape : from `forward`

        Returns
        -------
        grads : gradient of every parameter, with the keys of ``params``
        d_x : (B, T, F), gradient of the inputs
        d_state : gradient of the initial state of each layer

        References
        ----------
        Werbos (1990), Backpropagation through time: what it does and how to do it.
        """
        caches, top = tape
        grads: Parameters = {"head.W": top.T @ d_y, "head.b": d_y.sum(axis=0)}
        # Gradient that reaches each hidden state of the top layer from above: the head looks at the last step alone.
        d_steps: list[Array] = [np.zeros_like(top)] * (len(caches[0]) - 1) + [d_y @ params["head.W"].T]
        d_initial: list[State] = []
        for layer in reversed(range(self.n_layers)):
            d_steps, d_state, layer_grads = self._layer_backward(_of_layer(layer, params), d_steps, caches[layer])
            grads |= _prefixed(layer, layer_grads)
            d_initial.insert(0, d_state)
        return grads, np.stack(d_steps, axis=1), d_initial

    def _layer_backward(
        self, params: Parameters, d_steps: list[Array], caches: list[Cache]
    ) -> tuple[list[Array], State, Parameters]:
        """Walk one layer from the last step to the first; ``d_steps`` (B, H) each become gradients of its inputs."""
        grads = {name: np.zeros_like(value) for name, value in params.items()}
        d_state = self.cell.initial_state(len(d_steps[-1]), self.n_hidden, d_steps[-1].dtype)
        d_inputs = []
        for d_above, cache in zip(reversed(d_steps), reversed(caches), strict=True):
            d_state = (d_state[0] + d_above, *d_state[1:])
            d_x, d_state, step_grads = self.cell.backward(params, d_state, cache)
            d_inputs.append(d_x)
            for name, grad in step_grads.items():
                grads[name] += grad
        return d_inputs[::-1], d_state, grads

    def initial_state(self, n_sequences: int, dtype: Any = np.float32) -> list[State]:
        """Return the zero state of each layer for ``n_sequences`` sequences."""
        return [self.cell.initial_state(n_sequences, self.n_hidden, dtype) for _ in range(self.n_layers)]


def _of_layer(layer: int, params: Parameters) -> Parameters:
    prefix = f"layer{layer}."
    return {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}


def _prefixed(layer: int, params: Parameters) -> Parameters:
    return {f"layer{layer}.{name}": value for name, value in params.items()}
