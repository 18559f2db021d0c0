"""The second lock on a model file: an unpickler that knows six names and no other.

A pickle is a program; whoever can write one can run code in whoever loads it. What a model file needs is arrays of
plain numbers and one scaler. Any other name is refused before it is looked up, and even for the six the real NumPy
constructors are out of reach: an array over a forged address, or a dtype with forged flags, would be as bad as code.
There is no fall-back loader.
"""

import io
import pickle
from typing import Any

import joblib  # noqa: F401  (its package must be whole before its parts are imported)
import numpy as np
from joblib.numpy_pickle import NumpyArrayWrapper, NumpyUnpickler

# float32, float64, int64: what weights, quantiles and counts are made of.
NUMBERS = {"f4", "f8", "i8"}


class ArtefactRefused(ValueError):  # noqa: N818  (refusing is no mistake)
    """A model file is damaged, or holds what no model needs."""


class ScalerState:
    """What a pickled `sklearn.preprocessing.StandardScaler` holds (``mean_``, ``scale_``, ...), without scikit-learn.

    Importing scikit-learn would cost a server a second or two and 100 MB, for one subtraction and one division.
    """

    mean_: Any
    scale_: Any


class _ArrayType:
    """Stands where joblib notes that an array is a `numpy.ndarray`; it makes none."""

    def __new__(cls, *_: Any) -> "_ArrayType":
        raise ArtefactRefused("it makes an array by another way than joblib's")


def _dtype(code: Any, align: Any = False, copy: Any = False) -> np.dtype[Any]:
    if code not in NUMBERS:
        raise ArtefactRefused(f"it holds values of type {code!r}")
    plain: np.dtype[Any] = np.dtype(code, align=bool(align), copy=bool(copy))
    return plain


def _scalar(dtype: Any, content: Any) -> Any:
    if type(content) is not bytes or not isinstance(dtype, np.dtype) or len(content) != dtype.itemsize:
        raise ArtefactRefused("it holds a malformed number")
    return np.frombuffer(content, dtype)[0]


KNOWN = {
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): NumpyArrayWrapper,
    ("numpy", "dtype"): _dtype,
    ("numpy", "ndarray"): _ArrayType,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy.core.multiarray", "scalar"): _scalar,  # its name in NumPy 1
    ("sklearn.preprocessing._data", "StandardScaler"): ScalerState,
}


class _Unpickler(NumpyUnpickler):  # type: ignore[misc]  # joblib has no types
    dispatch = NumpyUnpickler.dispatch.copy()

    def find_class(self, module: str, name: str) -> Any:
        try:
            return KNOWN[module, name]
        except KeyError:
            raise ArtefactRefused(f"it names {module}.{name}, which no model needs") from None

    def load_build(self) -> None:
        """Give an object its state, where it is one that may have it."""
        *_, instance, state = self.stack
        if not _may_have(instance, state):
            raise ArtefactRefused(f"it gives a {type(instance).__name__} a state that no model needs")
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build


def _may_have(instance: Any, state: Any) -> bool:
    if isinstance(instance, np.dtype):
        # Byte order, and nothing of fields, sizes or flags.
        return isinstance(state, tuple) and state in {(3, o, None, None, None, -1, -1, 0) for o in "<>|="}
    if type(instance) is NumpyArrayWrapper:
        return isinstance(state, dict) and isinstance(state.get("dtype"), np.dtype)
    return type(instance) is ScalerState and isinstance(state, dict)


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
