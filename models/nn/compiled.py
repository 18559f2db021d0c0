"""Compiled layers: ``steps.c`` runs all steps of a layer in one call, where ``make`` has found a C compiler.

One step of a single sequence costs NumPy ten calls of half a microsecond each, whatever the sizes. The compiled code is
float32 only; other dtypes and cells, and installations without a compiler, run on NumPy.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from models.nn.cells import CELLS
from models.nn.cells.contract import LayerState
from models.nn.types import Array, aligned_empty

SOURCE, LIBRARY, DIGESTS = (Path(__file__).with_name(name) for name in ("steps.c", "steps.so", "steps.sha256"))
INTERFACE_VERSION = 6
COMPILED = ("rnn", "lstm", "gru")  # the cells in steps.c

# The address of a writable contiguous array, in a quarter of the time of array.ctypes.data.
_pointer: Callable[[Any], Any] = (ctypes.c_char * 0).from_buffer


class CompiledTape(NamedTuple):
    """The tape of a `CompiledLayer`: the memory that steps.c filled, the cell and the sizes."""

    memory: Array
    cell_name: str
    n_steps: int
    n_inputs: int
    n_hidden: int
    n_sequences: int


class CompiledLayer:
    """A layer that runs in C, in the version for one ``kind`` of processor (see ``kind`` in steps.c)."""

    def __init__(self, library: ctypes.CDLL, cell_name: str, kind: str) -> None:
        self.cell_name = cell_name
        self._cell = CELLS[cell_name]
        self._memory = _function(library, f"{cell_name}_memory_{kind}", "iiiii", ctypes.c_ssize_t)
        self._forward = _function(library, f"{cell_name}_forward_{kind}", "ppiiipppipipiiii")
        self._ensemble = _function(library, f"{cell_name}_ensemble_{kind}", "piipiiippiiiii")
        self._scratch = _function(library, f"{cell_name}_scratch_{kind}", "iii", ctypes.c_ssize_t)
        self._backward = _function(library, f"{cell_name}_backward_{kind}", "pppipppppiiii")

    def forward(
        self, stacked: Array, x: Array, state: LayerState | None, *, every: bool, keep: bool
    ) -> tuple[Array, LayerState, CompiledTape | None]:
        """See `Layer.forward`."""
        T, n_in, B = x.shape
        H = stacked.shape[1] // self._cell.n_blocks
        if not x.flags.aligned:
            x = np.ascontiguousarray(x)
        stacked = np.ascontiguousarray(stacked)
        h0 = c0 = None
        if state:
            state = tuple(np.ascontiguousarray(array, np.float32) for array in state)
            h0, c0 = state[0].ctypes.data, state[-1].ctypes.data
        memory = aligned_empty((self._memory(keep, T, n_in, H, B),), np.float32)
        n_out = T if every else 1
        h = np.empty((n_out, H, B), np.float32)
        c = np.empty((H, B), np.float32) if keep and self._cell.n_states > 1 else None
        self._forward(
            _pointer(stacked), x.ctypes.data, *x.strides, h0, c0, _pointer(memory), keep, _pointer(h), n_out,
            None if c is None else _pointer(c), T, n_in, H, B,
        )  # fmt: skip
        if not keep:
            return h, (), None
        tape = CompiledTape(memory, self.cell_name, T, n_in, H, B)
        return h, (h[-1],) if c is None else (h[-1], c), tape

    def forward_all(self, stacked: Array, x: Array, *, every: bool) -> Array:
        """Run several layers (M, H + F + 1, n_blocks * H) on the same x; return their h (M, T, H, B), or (M, 1, H, B).

        See `Layer.forward`.
        """
        T, n_in, B = x.shape
        M, K, columns = stacked.shape
        H, n_out = columns // self._cell.n_blocks, T if every else 1
        if not x.flags.aligned:
            x = np.ascontiguousarray(x)
        memory = aligned_empty((self._memory(False, T, n_in, H, B),), np.float32)
        h = np.empty((M, n_out, H, B), np.float32)
        self._ensemble(
            _pointer(stacked), M, K * columns, x.ctypes.data, *x.strides, _pointer(memory), _pointer(h), n_out,
            T, n_in, H, B,
        )  # fmt: skip
        return h

    def backward(
        self, stacked: Array, tape: CompiledTape, d_h: Array, d_state: LayerState, *, inputs: bool
    ) -> tuple[Array, Array | None, LayerState]:
        """See `Layer.backward`. Raises ValueError where the tape is of another cell, or its sizes do not fit."""
        if not isinstance(tape, CompiledTape):
            raise ValueError(f"a compiled layer needs the tape of its own forward pass, not a {type(tape).__name__}")
        memory, cell_name, T, n_in, H, B = tape
        shape = (H + n_in + 1, self._cell.n_blocks * H)
        if cell_name != self.cell_name or stacked.shape != shape or d_h.shape[1:] != (H, B) or len(d_h) > T:
            raise ValueError(
                f"the tape of {T} steps of {B} sequences through a {cell_name} with weights {shape} and {H} units does "
                f"not fit a {self.cell_name} with weights {stacked.shape} and gradients {d_h.shape}"
            )
        d_stacked = np.zeros(stacked.shape, np.float32)
        d_x = np.empty((T, n_in, B), np.float32) if inputs else None
        scratch = aligned_empty((self._scratch(n_in, H, B),), np.float32)
        stacked_t, d_h = np.ascontiguousarray(stacked.T), np.ascontiguousarray(d_h)
        self._backward(
            _pointer(stacked_t), _pointer(memory), d_h.ctypes.data, len(d_h), _pointer(d_state[0]),
            _pointer(d_state[-1]), _pointer(d_stacked), None if d_x is None else _pointer(d_x), _pointer(scratch),
            T, n_in, H, B,
        )  # fmt: skip
        return d_stacked, d_x, d_state


def compiled_layer(cell_name: str, dtype: Any) -> CompiledLayer | None:
    """Return the compiled form of a cell; None where the cell or the ``dtype`` has none."""
    return _loaded().get(cell_name) if dtype == np.float32 else None


def steps() -> Literal["compiled", "numpy"]:
    """Return whether the networks of this process run compiled or on NumPy."""
    return "compiled" if _loaded() else "numpy"


@cache
def _loaded() -> dict[str, CompiledLayer]:
    """Return the layers of the library for this kind of processor, by cell name; none without a library."""
    library = load()
    return {name: CompiledLayer(library, name, library.kind().decode()) for name in COMPILED} if library else {}


def load() -> ctypes.CDLL | None:
    """Load the library; None where it is missing, damaged, or not compiled from the present source.

    ``make`` writes the SHA-256 of both files beside them: loading a truncated library would kill the process.
    """
    try:
        digests = "".join(f"{sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in (SOURCE, LIBRARY))
        if DIGESTS.read_bytes() != digests.encode():
            return None
        library = ctypes.CDLL(str(LIBRARY))
        if library.interface_version() != INTERFACE_VERSION:
            return None
    except (OSError, AttributeError):
        return None
    library.kind.restype = ctypes.c_char_p
    return library


def _function(library: ctypes.CDLL, name: str, arguments: str, result: Any = None) -> Any:
    function = library[name]
    kinds: dict[str, Any] = {"p": ctypes.c_void_p, "i": ctypes.c_ssize_t}
    function.argtypes = [kinds[kind] for kind in arguments]
    function.restype = result
    return function
