"""The types that every file here speaks of, and how their memory is laid out."""

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# float32 in use, float64 in the gradient checks: networks compute in whatever their parameters are made of.
Array: TypeAlias = NDArray[Any]

# Name -> array, for example "layer0.W" -> (F, H).
Parameters: TypeAlias = dict[str, Array]

# The state of one layer: arrays (B, H); the first is the hidden state h, which the layer above sees.
State: TypeAlias = tuple[Array, ...]

CACHE_LINE = 64

# Bytes below which alignment gains less than it costs.
SMALL = 16_384


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an uninitialised array that begins on a cache line, unless it is small.

    NumPy aligns to 16 bytes only; vector instructions that straddle cache lines halve the speed of element-wise work.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < SMALL:
        return np.empty(shape, dtype)
    memory = np.empty(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return np.asarray(memory[start : start + size].view(dtype).reshape(shape))
