"""The second lock on a model file: an unpickler that knows six names and no other.

A pickle is a program; whoever can write one can run code in whoever loads it. What a model file needs is arrays,
numbers and one scaler. Any other name ends the load before anything has been called. There is no fall-back loader.
"""

import io
from typing import Any

import joblib  # noqa: F401  (its package must be whole before its parts are imported)
import numpy as np
from joblib.numpy_pickle import NumpyArrayWrapper, NumpyUnpickler
from numpy._core import multiarray


class ArtefactRefused(ValueError):  # noqa: N818  (refusing is no mistake)
    """A model file is damaged, or holds what no model needs."""


class ScalerState:
    """What a pickled `sklearn.preprocessing.StandardScaler` holds (``mean_``, ``scale_``, ...), without scikit-learn.

    Importing scikit-learn would cost a server a second or two and 100 MB, for one subtraction and one division.
    """

    mean_: Any
    scale_: Any


KNOWN = {
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): NumpyArrayWrapper,
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy._core.multiarray", "scalar"): multiarray.scalar,
    ("numpy.core.multiarray", "scalar"): multiarray.scalar,  # its name in NumPy 1
    ("sklearn.preprocessing._data", "StandardScaler"): ScalerState,
}


class _Unpickler(NumpyUnpickler):  # type: ignore[misc]  # joblib has no types
    def find_class(self, module: str, name: str) -> Any:
        try:
            return KNOWN[module, name]
        except KeyError:
            raise ArtefactRefused(f"it names {module}.{name}, which no model needs") from None


def load_state(blob: bytes) -> dict[str, Any]:
    """Read the dictionary that ``joblib.dump`` wrote, running nothing that is not on the list.

    Parameters
    ----------
    blob : the file's bytes, uncompressed

    Raises
    ------
    ArtefactRefused : and nothing else, whatever the bytes are
    """
    try:
        state = _Unpickler("", io.BytesIO(blob), ensure_native_byte_order=True).load()
    except ArtefactRefused:
        raise
    except Exception as error:  # what bytes that are no pickle do to an unpickler can't be listed
        raise ArtefactRefused(f"it can't be read: {error!r}") from error
    if not isinstance(state, dict):
        raise ArtefactRefused(f"it holds a {type(state).__name__}, not a dictionary")
    return state
