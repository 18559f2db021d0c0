"""Many small arrays as one long one, on which every operation of an optimiser costs one call instead of many."""

import numpy as np

from models.nn.types import Parameters


class Packing:
    """The order in which parameters, or their gradients, lie in one vector.

    Parameters
    ----------
    params : any of those that will be packed: names and shapes count
    """

    def __init__(self, params: Parameters) -> None:
        self._places, end = [], 0
        for name, value in params.items():
            self._places.append((name, slice(end, end + value.size), value.shape))
            end += value.size

    def pack(self, params: Parameters) -> Parameters:
        """Return a dictionary of a single array, which holds every element, name after name."""
        return {"packed": np.concatenate([params[name].ravel() for name, _, _ in self._places])}

    def unpack(self, packed: Parameters) -> Parameters:
        """Return views of the packed array under the names and in the shapes that were packed."""
        return {name: packed["packed"][place].reshape(shape) for name, place, shape in self._places}
