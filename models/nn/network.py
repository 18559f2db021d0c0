"""A recurrent network: layers of cells unrolled over time, with a linear head on the top layer."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from models.nn.cells import CELLS, Cell
from models.nn.cells.contract import LayerState
from models.nn.compiled import compiled_layer
from models.nn.initializers import DEFAULT_INITIALIZATION, Initialization
from models.nn.layer import Layer, NumpyLayer
from models.nn.types import Array, Parameters, State


class LayerTape(NamedTuple):
    """The tape of one layer: everything that its backward pass needs."""

    stacked: Array
    steps: Any  # the tape of `models.nn.layer.Layer`
    h: Array  # (T, H, B), hidden states before dropout; (1, H, B) for the last only
    kept: Array | None  # (T, H, B), dropout's factors of the hidden states; None without dropout


Tape = list[LayerTape]


@dataclass(frozen=True)
class RecurrentNetwork:
    """The architecture of a network; the parameters are passed to each method.

    ``L`` layers of one kind of cell, each fed with the hidden states of the layer below, and a linear head on the top
    layer, ``y = h head.W + head.b``, at the last step or at every step.

    Raises ValueError where a size or an option is invalid.
    """

    cell_name: str  # one of ``CELLS``
    n_inputs: int
    n_hidden: int
    n_layers: int = 1
    n_outputs: int = 1
    output: Literal["last", "every"] = "last"  # "last" gives y (B, O), "every" gives y (B, T, O)
    dropout: float = 0.0  # share of hidden states dropped between layers, in training only
    compiled: bool = True  # use the compiled layers where there are any; False for NumPy only

    def __post_init__(self) -> None:
        sizes = {name: getattr(self, name) for name in ("n_inputs", "n_hidden", "n_layers", "n_outputs")}
        if self.cell_name not in CELLS:
            raise ValueError(f"cell_name={self.cell_name!r} must be one of {list(CELLS)}")
        if min(sizes.values()) < 1:
            raise ValueError(f"every size must be at least 1: {sizes}")
        if self.output not in ("last", "every"):
            raise ValueError(f"output={self.output!r} must be 'last' or 'every'")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must be from 0 to below 1")

    @property
    def cell(self) -> Cell:
        """The cell named ``cell_name``."""
        return CELLS[self.cell_name]

    def init(
        self, rng: np.random.Generator, dtype: Any = np.float32, rules: Initialization = DEFAULT_INITIALIZATION
    ) -> Parameters:
        """Draw the initial weights of every layer and of the head."""
        params: Parameters = {}
        for layer in range(self.n_layers):
            n_in = self.n_hidden if layer else self.n_inputs
            params |= _prefixed(layer, self.cell.init(rng, n_in, self.n_hidden, rules))
        params["head.W"] = rules.head(rng, self.n_hidden, self.n_outputs)
        params["head.b"] = np.zeros(self.n_outputs)
        return {name: value.astype(dtype) for name, value in params.items()}

    def forward(
        self, params: Parameters, x: Array, state: list[State] | None = None, rng: np.random.Generator | None = None
    ) -> tuple[Array, list[State], Tape]:
        """Run the network over all steps of ``x``.

        Parameters
        ----------
        params : as returned by `init`
        x : (B, T, F), with the dtype of the parameters
        state : initial state of each layer; None for zeros
        rng : for dropout; None for no dropout

        Returns
        -------
        y : (B, O) or (B, T, O)
        state : final state of each layer
        tape : for `backward`

        Raises ValueError where the shape of ``x``, ``state`` or the parameters does not fit.
        """
        h, final, tape = self.hidden(self.stack(params), x, state, rng, keep=True)
        return self._head(params, h), final, tape

    def predict(self, params: Parameters, x: Array, state: list[State] | None = None) -> Array:
        """Return the outputs of `forward` only, in less time and memory."""
        return self._head(params, self.hidden(self.stack(params), x, state, keep=False)[0])

    def stack(self, params: Parameters) -> list[Array]:
        """Return the weights of each layer as one matrix; see `models.nn.cells.contract`."""
        layers = []
        for layer in range(self.n_layers):
            stacked = self.cell.stack({name: params[f"layer{layer}.{name}"] for name in self.cell.names})
            n_in = self.n_hidden if layer else self.n_inputs
            if stacked.shape != (self.n_hidden + n_in + 1, self.cell.n_blocks * self.n_hidden):
                raise ValueError(f"the parameters of layer {layer} do not fit {self}")
            layers.append(stacked)
        return layers

    def hidden(
        self,
        layers: list[Array],
        x: Array,
        state: list[State] | None = None,
        rng: np.random.Generator | None = None,
        *,
        keep: bool,
    ) -> tuple[Array, list[State], Tape]:
        """Return the hidden states (T, H, B) of the top layer, (1, H, B) of the last step if that is the output.

        Parameters
        ----------
        layers : of `stack`
        x, state, rng : as in `forward`
        keep : whether to return the final states and the tape
        """
        self._check_states("state", state, len(x))
        h = self.steps_first(x)
        final, tape = list[State](), Tape()
        for layer, stacked in enumerate(layers):
            top = layer == self.n_layers - 1
            every = self.output == "every" or not top
            before = tuple(array.T for array in state[layer]) if state else None
            h = np.asarray(h, stacked.dtype)
            h, after, steps = self._layer(stacked).forward(stacked, h, before, every=every, keep=keep)
            kept = None
            if keep:
                final.append(tuple(array.copy().T for array in after))
                if rng is not None and self.dropout and not top:
                    kept = (rng.random(h.shape) >= self.dropout).astype(h.dtype) / (1 - self.dropout)
                tape.append(LayerTape(stacked, steps, h, kept))
            if kept is not None:
                h = h * kept
        return h, final, tape

    def steps_first(self, x: Array) -> Array:
        """Return a view (T, F, B) of x (B, T, F). Raises ValueError where the shape does not fit."""
        if x.shape[2:] != (self.n_inputs,) or not x.shape[1]:
            raise ValueError(f"x has the shape {x.shape}, but must be (B, T, {self.n_inputs}) with at least one step")
        return x.transpose(1, 2, 0)

    def _layer(self, stacked: Array) -> Layer:
        """Return the layer to run: compiled where there is one, otherwise in NumPy."""
        compiled = compiled_layer(self.cell_name, stacked.dtype) if self.compiled else None
        return compiled or NumpyLayer(self.cell)

    def _check_states(self, name: str, states: list[State] | None, n_sequences: int) -> None:
        if states is None:
            return
        expected = [[(n_sequences, self.n_hidden)] * self.cell.n_states] * self.n_layers
        if [[array.shape for array in layer] for layer in states] != expected:
            raise ValueError(
                f"{name} does not fit: each of {self.n_layers} layers needs {self.cell.n_states} arrays of the shape "
                f"{(n_sequences, self.n_hidden)}"
            )

    def _head(self, params: Parameters, h: Array) -> Array:
        W, b = params["head.W"], params["head.b"]
        if self.output == "last":
            return np.add(np.dot(h[-1].T, W), b)
        return np.asarray(np.matmul(h.transpose(2, 0, 1), W) + b)

    def backward(
        self, params: Parameters, d_y: Array, tape: Tape, d_final: list[State] | None = None, *, inputs: bool = True
    ) -> tuple[Parameters, Array | None, list[State]]:
        """Backpropagation through time, over every step and layer of the tape.

        Parameters
        ----------
        params, tape : as in `forward`
        d_y : gradient of the outputs, in their shape
        d_final : gradient of the final state of each layer; None for zeros
        inputs : whether to return ``d_x``

        Returns
        -------
        grads : gradient of every parameter, with the keys of ``params``
        d_x : (B, T, F), gradient of the inputs; None unless ``inputs``
        d_state : gradient of the initial state of each layer

        Raises ValueError where the shape of ``d_y`` or ``d_final``, or the tape, does not fit.

        Reference: Werbos (1990), Backpropagation through time: what it does and how to do it.
        """
        if len(tape) != self.n_layers:
            raise ValueError(f"the tape is of {len(tape)} layers, the network has {self.n_layers}")
        n_steps, _, B = tape[-1].h.shape
        d_y = np.asarray(d_y, params["head.W"].dtype)
        outputs = (B, self.n_outputs) if self.output == "last" else (B, n_steps, self.n_outputs)
        if d_y.shape != outputs:
            raise ValueError(f"d_y has the shape {d_y.shape}, but must have the shape of the outputs, {outputs}")
        self._check_states("d_final", d_final, B)
        grads, d_h = self._head_backward(params, d_y, tape[-1].h)
        d_initial = list[State]()
        for layer in reversed(range(self.n_layers)):
            stacked, steps, _, kept = tape[layer]
            d_h = np.asarray(d_h, stacked.dtype)
            if kept is not None:
                d_h = d_h * kept
            d_state = self._state_gradient(d_h, d_final[layer] if d_final else None)
            below = inputs or layer > 0
            d_stacked, d_x, d_state = self._layer(stacked).backward(stacked, steps, d_h, d_state, inputs=below)
            grads |= _prefixed(layer, self.cell.unstack(d_stacked))
            d_initial.insert(0, tuple(array.T for array in d_state))
            if d_x is not None:
                d_h = d_x  # for the layer below
        return grads, d_h.transpose(2, 0, 1) if inputs else None, d_initial

    def _state_gradient(self, d_h: Array, given: State | None) -> LayerState:
        """Return the gradient of a final state in the layout of the cells, (H, B), in new arrays."""
        if given:
            return tuple(np.array(array.T, d_h.dtype, order="C") for array in given)
        return tuple(np.zeros(d_h.shape[1:], d_h.dtype) for _ in range(self.cell.n_states))

    def _head_backward(self, params: Parameters, d_y: Array, h: Array) -> tuple[Parameters, Array]:
        """Return the gradients of the head's parameters and of the top layer's hidden states, all or the last."""
        W = params["head.W"]
        if self.output == "last":
            return {"head.W": np.dot(h[-1], d_y), "head.b": np.add.reduce(d_y)}, np.dot(W, d_y.T)[None]
        by_step = np.ascontiguousarray(d_y.transpose(1, 2, 0))
        d_W = np.matmul(h, by_step.transpose(0, 2, 1)).sum(axis=0)
        return {"head.W": d_W, "head.b": by_step.sum(axis=(0, 2))}, np.matmul(W, by_step)

    def initial_state(self, n_sequences: int, dtype: Any = np.float32) -> list[State]:
        """Return a zero state for each layer: arrays (``n_sequences``, H)."""
        shape = (n_sequences, self.n_hidden)
        return [tuple(np.zeros(shape, dtype) for _ in range(self.cell.n_states)) for _ in range(self.n_layers)]


def _prefixed(layer: int, params: Parameters) -> Parameters:
    return {f"layer{layer}.{name}": value for name, value in params.items()}
