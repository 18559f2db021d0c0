"""The two types that every file here speaks of."""

from typing import Any, TypeAlias

from numpy.typing import NDArray

# float32 in use, float64 in the gradient checks: networks compute in whatever their parameters are made of.
Array: TypeAlias = NDArray[Any]

# Name -> array, for example "layer0.W" -> (F, H).
Parameters: TypeAlias = dict[str, Array]
