"""The compiled form of the steps, where `make` has found a C compiler: the same contract, up to three times faster.

NumPy cannot do it: a step of a single sequence costs it ten calls of half a microsecond each, whatever they compute.
``steps.c`` takes all steps of a layer in one call, in float32; everywhere else, and for every other cell, the cells
take their own steps.
"""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from models.nn.cells import CELLS, Steps
from models.nn.cells.contract import LayerState
from models.nn.types import Array

LIBRARY = Path(__file__).with_name("steps.so")
INTERFACE_VERSION = 3
TILE = 16

# The cells that steps.c knows.
COMPILED = ("rnn", "lstm", "gru")


class CompiledSteps:
    """The ``forward`` and ``backward`` of a cell, in C; see `models.nn.cells.Cell` for their arguments."""

    def __init__(self, library: ctypes.CDLL, cell_name: str) -> None:
        self._n_blocks = CELLS[cell_name].n_blocks
        self._forward = _function(library, f"{cell_name}_forward", "pplllppipiiii")
        self._backward = _function(library, f"{cell_name}_backward", "ppppipppppiiii")

    def forward(self, stacked: Array, x: Array, z: Array, pages: Array) -> None:
        """Take every step."""
        T, n_in, B = x.shape
        K, M = stacked.shape
        H = M // self._n_blocks
        if not x.flags.aligned or any(stride % x.itemsize for stride in x.strides):
            x = np.ascontiguousarray(x)
        step, feature, sequence = (stride // x.itemsize for stride in x.strides)
        scratch = _scratch(K + M + 2 * H + T * n_in, B)
        stacked = np.ascontiguousarray(stacked)
        self._forward(
            stacked.ctypes.data, x.ctypes.data, step, feature, sequence, z.ctypes.data, pages.ctypes.data,
            len(pages) > 1, scratch.ctypes.data, T, n_in, H, B,
        )  # fmt: skip

    def backward(
        self, stacked: Array, z: Array, pages: Array, d_h: Array, d_state: LayerState, d_x: Array | None
    ) -> tuple[Array, LayerState]:
        """Go every step back."""
        T, H, B = len(z) - 1, *d_h.shape[1:]
        K, M = stacked.shape
        d_stacked = np.zeros((K, M), np.float32)
        scratch = _scratch(9 * H + 2 * M + 2 * K, B)
        stacked_t, d_h = np.ascontiguousarray(stacked.T), np.ascontiguousarray(d_h)
        self._backward(
            stacked_t.ctypes.data, z.ctypes.data, pages.ctypes.data, d_h.ctypes.data, len(d_h),
            d_state[0].ctypes.data, d_state[-1].ctypes.data, d_stacked.ctypes.data,
            None if d_x is None else d_x.ctypes.data, scratch.ctypes.data, T, K - H - 1, H, B,
        )  # fmt: skip
        return d_stacked, d_state


def compiled_steps(cell_name: str, dtype: Any) -> Steps:
    """Return the compiled steps of a cell, or the cell itself where there are none for it and ``dtype``."""
    return (dtype == np.float32 and _loaded().get(cell_name)) or CELLS[cell_name]


def is_available() -> bool:
    """Whether the library was found and loaded."""
    return bool(_loaded())


@cache
def _loaded() -> dict[str, CompiledSteps]:
    """Load the library; where there is none, or one with other signatures, nothing is compiled."""
    try:
        library = ctypes.CDLL(str(LIBRARY))
        if library.interface_version() != INTERFACE_VERSION:
            return {}
    except (OSError, AttributeError):
        return {}
    return {name: CompiledSteps(library, name) for name in COMPILED}


def _function(library: ctypes.CDLL, name: str, arguments: str) -> Any:
    function = library[name]
    kinds: dict[str, Any] = {"p": ctypes.c_void_p, "i": ctypes.c_int, "l": ctypes.c_long}
    function.argtypes = [kinds[kind] for kind in arguments]
    function.restype = None
    return function


def _scratch(rows: int, B: int) -> Array:
    return np.empty(rows * (1 if B == 1 else TILE) + TILE, np.float32)
