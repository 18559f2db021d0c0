"""Type aliases, and arrays aligned for speed."""

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# Networks compute in the dtype of their parameters: float32 in use, float64 in the gradient checks.
Array: TypeAlias = NDArray[Any]

# Name -> array, for example "layer0.W" -> (F, H).
Parameters: TypeAlias = dict[str, Array]

# The state of one layer: arrays (B, H), the hidden state h first.
State: TypeAlias = tuple[Array, ...]

CACHE_LINE = 64  # bytes
SMALL = 16_384  # bytes, below which alignment costs more than it gains


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an uninitialised array that is aligned to a cache line, unless it is below `SMALL`.

    NumPy aligns to 16 bytes only; vector instructions that straddle cache lines halve the speed of element-wise work.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < SMALL:
        return np.empty(shape, dtype)
    memory = np.empty(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return np.asarray(memory[start : start + size].view(dtype).reshape(shape))
