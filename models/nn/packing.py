"""All parameters in one vector: every operation of an optimiser is then one NumPy call instead of many."""

import numpy as np

from models.nn.types import Parameters


class Packing:
    """The layout of parameters, or their gradients, in one vector; only the names and shapes of ``params`` matter."""

    def __init__(self, params: Parameters) -> None:
        self._slices, end = [], 0
        for name, value in params.items():
            self._slices.append((name, slice(end, end + value.size), value.shape))
            end += value.size

    def pack(self, params: Parameters) -> Parameters:
        """Return a dictionary with one array, ``packed``, that holds every element."""
        return {"packed": np.concatenate([params[name].ravel() for name, _, _ in self._slices])}

    def unpack(self, packed: Parameters) -> Parameters:
        """Return views of the packed array with the original names and shapes."""
        return {name: packed["packed"][at].reshape(shape) for name, at, shape in self._slices}
