"""The second check of a model file: an unpickler that accepts six names only.

A pickle can run any code in the process that loads it, but a model file needs only arrays of numbers and one scaler.
Any other name is refused before it is looked up. NumPy's own constructors are replaced as well: an array at a forged
address, or a dtype with forged flags, would be as bad as code. There is no fallback loader.
"""

import io
import pickle
from typing import Any

import joblib  # noqa: F401  (its submodules cannot be imported first)
import numpy as np
from joblib.numpy_pickle import NumpyArrayWrapper, NumpyUnpickler

NUMBERS = {"f4", "f8", "i8"}  # float32, float64 and int64


class ArtefactRefused(ValueError):  # noqa: N818  (a refusal is not a mistake)
    """A model file that is damaged, or holds anything that no model needs."""


class ScalerState:
    """The attributes of a pickled `sklearn.preprocessing.StandardScaler`, without scikit-learn.

    Importing scikit-learn would cost a server one to two seconds and 100 MB, for one subtraction and one division.
    """

    mean_: Any
    scale_: Any


class _ArrayType:
    """Placeholder for `numpy.ndarray`, which joblib names as the type of an array; it cannot be constructed."""

    def __new__(cls, *_: Any) -> "_ArrayType":
        raise ArtefactRefused("it constructs an array without joblib")


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
    ("numpy.core.multiarray", "scalar"): _scalar,  # in NumPy 1
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
        """Set the state of an object, if it may have that state."""
        *_, instance, state = self.stack
        if not _may_have(instance, state):
            raise ArtefactRefused(f"it gives a {type(instance).__name__} a state that no model needs")
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build


def _may_have(instance: Any, state: Any) -> bool:
    if isinstance(instance, np.dtype):
        # Any byte order, but no fields, sizes or flags.
        return isinstance(state, tuple) and state in {(3, o, None, None, None, -1, -1, 0) for o in "<>|="}
    if type(instance) is NumpyArrayWrapper:
        return isinstance(state, dict) and isinstance(state.get("dtype"), np.dtype)
    return type(instance) is ScalerState and isinstance(state, dict)


def load_state(blob: bytes) -> dict[str, Any]:
    """Read a dictionary written by ``joblib.dump``, uncompressed. Raises only ArtefactRefused, whatever the bytes."""
    try:
        state = _Unpickler("", io.BytesIO(blob), ensure_native_byte_order=True).load()
    except ArtefactRefused:
        raise
    except Exception as error:  # invalid bytes can raise almost anything
        raise ArtefactRefused(f"it can't be read: {error!r}") from error
    if not isinstance(state, dict):
        raise ArtefactRefused(f"it holds a {type(state).__name__}, not a dictionary")
    return state
