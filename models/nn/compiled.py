"""The compiled form of the steps, where `make` has found a C compiler: the same contract, up to three times faster.

NumPy cannot do it: a step of a single sequence costs it ten calls of half a microsecond each, whatever they compute.
``steps.c`` takes all steps of a layer in one call, in float32; everywhere else, and for every other cell, the cells
take their own steps.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from models.nn.cells import CELLS
from models.nn.cells.contract import LayerState
from models.nn.layer import Layer
from models.nn.types import Array, aligned_empty

LIBRARY = Path(__file__).with_name("steps.so")
INTERFACE_VERSION = 4

# The cells that steps.c knows.
COMPILED = ("rnn", "lstm", "gru")

# What C is given of an array that is contiguous and our own, in a quarter of the time of array.ctypes.data.
_pointer: Callable[[Any], Any] = (ctypes.c_char * 0).from_buffer


class CompiledTape(NamedTuple):
    """What steps.c left for the way back, and of how many steps and inputs."""

    memory: Array
    n_steps: int
    n_inputs: int


class CompiledLayer:
    """All steps of a cell, in C; see `models.nn.layer.Layer` for the arguments and results."""

    def __init__(self, library: ctypes.CDLL, cell_name: str, kind: str) -> None:
        self._tile: int = _function(library, f"tile_{kind}", "")()
        self._n_blocks = CELLS[cell_name].n_blocks
        # Blocks of H rows on a page, and of the c that the LSTM keeps beside it.
        self._page_blocks, self._c_blocks = {"rnn": (0, 0), "lstm": (5, 1), "gru": (4, 0)}[cell_name]
        self._forward = _function(library, f"{cell_name}_forward_{kind}", "pplllpppipipiiii")
        self._backward = _function(library, f"{cell_name}_backward_{kind}", "pppipppppiiii")

    def forward(
        self, stacked: Array, x: Array, state: LayerState | None, *, every: bool, keep: bool
    ) -> tuple[Array, LayerState, CompiledTape | None]:
        """Take every step."""
        T, n_in, B = x.shape
        K, M = stacked.shape
        H = M // self._n_blocks
        if not x.flags.aligned:
            x = np.ascontiguousarray(x)
        stacked = np.ascontiguousarray(stacked)
        h0 = c0 = None
        if state:
            state = tuple(np.ascontiguousarray(array, np.float32) for array in state)
            h0, c0 = state[0].ctypes.data, state[-1].ctypes.data
        columns, pages, inputs = (T + 1, T, 0) if keep else (2, 1, T * n_in)
        rows = columns * (K + self._c_blocks * H) + pages * self._page_blocks * H + inputs
        memory = aligned_empty((rows * self._padded(B if keep else min(B, self._tile)),), np.float32)
        n_out = T if every else 1
        h = np.empty((n_out, H, B), np.float32)
        c = np.empty((H, B), np.float32) if keep and self._c_blocks else None
        self._forward(
            _pointer(stacked), x.ctypes.data, *x.strides, h0, c0, _pointer(memory), keep, _pointer(h), n_out,
            None if c is None else _pointer(c), T, n_in, H, B,
        )  # fmt: skip
        if not keep:
            return h, (), None
        return h, (h[-1],) if c is None else (h[-1], c), CompiledTape(memory, T, n_in)

    def backward(
        self, stacked: Array, tape: CompiledTape, d_h: Array, d_state: LayerState, *, inputs: bool
    ) -> tuple[Array, Array | None, LayerState]:
        """Go every step back."""
        memory, T, n_in = tape
        _, H, B = d_h.shape
        d_stacked = np.zeros(stacked.shape, np.float32)
        d_x = np.empty((T, n_in, B), np.float32) if inputs else None
        scratch = aligned_empty(((3 * H + 2 * stacked.shape[1] + n_in) * self._padded(min(B, self._tile)),), np.float32)
        stacked_t, d_h = np.ascontiguousarray(stacked.T), np.ascontiguousarray(d_h)
        self._backward(
            _pointer(stacked_t), _pointer(memory), d_h.ctypes.data, len(d_h), _pointer(d_state[0]),
            _pointer(d_state[-1]), _pointer(d_stacked), None if d_x is None else _pointer(d_x), _pointer(scratch),
            T, n_in, H, B,
        )  # fmt: skip
        return d_stacked, d_x, d_state

    def _padded(self, B: int) -> int:
        """Return the sequences that there is room for: a whole number of tiles, or a single one."""
        return 1 if B == 1 else -(-B // self._tile) * self._tile


def compiled_layer(cell_name: str, dtype: Any) -> Layer | None:
    """Return the compiled steps of a cell; None where there are none for it and ``dtype``."""
    return _loaded().get(cell_name) if dtype == np.float32 else None


def is_available() -> bool:
    """Whether the library was found and loaded."""
    return bool(_loaded())


@cache
def _loaded() -> dict[str, CompiledLayer]:
    """Return what the library knows, in the form for this kind of processor."""
    library = load()
    return {name: CompiledLayer(library, name, library.kind().decode()) for name in COMPILED} if library else {}


def load() -> ctypes.CDLL | None:
    """Load the library; None where there is none, or one with other signatures."""
    try:
        library = ctypes.CDLL(str(LIBRARY))
        if library.interface_version() != INTERFACE_VERSION:
            return None
    except (OSError, AttributeError):
        return None
    library.kind.restype = ctypes.c_char_p
    return library


def _function(library: ctypes.CDLL, name: str, arguments: str) -> Any:
    function = library[name]
    kinds: dict[str, Any] = {"p": ctypes.c_void_p, "i": ctypes.c_int, "l": ctypes.c_long}
    function.argtypes = [kinds[kind] for kind in arguments]
    function.restype = None if arguments else ctypes.c_int
    return function
