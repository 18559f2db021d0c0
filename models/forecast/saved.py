"""The saved state of a model: a dictionary of arrays, plain values and the scaler; no class of this project.

Its keys are the field names of the dataclasses, at every level. Until release 1.0, only the current format is read.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, TypeAlias, get_args, get_origin, get_type_hints

import msgspec
import numpy as np

from models.forecast.guidance.guided import GuidedForecaster
from models.forecast.guidance.shared import SharedCorrector
from models.forecast.networks import Scaler
from models.forecast.station import StationForecaster

# Incremented whenever an earlier version of this file could not read the state.
FORMAT = 7

MALFORMED = (KeyError, TypeError, AttributeError, IndexError, msgspec.ValidationError)

Forecaster: TypeAlias = StationForecaster | GuidedForecaster


def to_state(model: Forecaster | SharedCorrector) -> dict[str, Any]:
    """Return the state to save; ``guidance`` holds the fields that only a guided model has."""
    if isinstance(model, GuidedForecaster):
        own = {field.name: _plain(getattr(model, field.name)) for field in fields(model)}
        return {"format": FORMAT, **own.pop("station_only"), "guidance": own}
    return {"format": FORMAT, **_plain(model)}


def from_state(state: dict[str, Any]) -> Forecaster:
    """Build a model from its state.

    Raises ValueError where the state is of another format, incomplete or inconsistent.
    """
    _check_format(state)
    model: Forecaster = _built(StationForecaster, state)
    if "guidance" in state:
        model = _built(GuidedForecaster, state["guidance"], station_only=model)
    _check(model)
    return model


def shared_from_state(state: dict[str, Any]) -> SharedCorrector:
    """Build a shared corrector from its state; raises as `from_state`."""
    _check_format(state)
    corrector: SharedCorrector = _built(SharedCorrector, state)
    _check(corrector)
    return corrector


def _check_format(state: dict[str, Any]) -> None:
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise ValueError(f"the model has format {found}; this version reads format {FORMAT}: train the station again")


def _check(model: Forecaster | SharedCorrector) -> None:
    try:
        model.check()
    except MALFORMED as error:
        raise ValueError(f"the model's state is malformed: {error!r}") from error


def _built(kind: Any, state: dict[str, Any], **given: Any) -> Any:
    try:
        return kind(**{n: _restored(hint, state[n]) for n, hint in _hints(kind).items() if n not in given}, **given)
    except MALFORMED as error:
        raise ValueError(f"the model's state is malformed: {error!r}") from error


def _plain(value: Any) -> Any:
    """Convert dataclasses to dictionaries of arrays, plain values and the scaler."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    if isinstance(value, np.datetime64):
        return str(value)
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype.kind == "M"):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return value


def _restored(hint: Any, value: Any) -> Any:  # noqa: PLR0911  # one return per kind of field
    """Invert `_plain`, by the declared type of the field."""
    origin = get_origin(hint)
    if origin is UnionType:
        return None if value is None else _restored(get_args(hint)[0], value)
    if is_dataclass(hint):
        return _built(hint, value)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return msgspec.convert(value, hint)
    if hint is np.datetime64:
        return np.datetime64(value, "D") if isinstance(value, str) else _mistyped(hint, value)
    if origin in {list, tuple}:
        if not isinstance(value, list):
            _mistyped(hint, value)
        return origin(_restored(get_args(hint)[0], item) for item in value)
    if origin is dict:
        return {name: _restored(get_args(hint)[1], item) for name, item in value.items()}
    if origin is np.ndarray:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return np.array(value, "M8[D]")
        return _finite(value) if isinstance(value, np.ndarray) else _mistyped(hint, value)
    if hint in {str, bool}:
        return value if isinstance(value, hint) else _mistyped(hint, value)
    if hint in {float, int}:
        return _finite(value) if isinstance(value, float | int) else _mistyped(hint, value)
    if hint is not Scaler:
        raise TypeError(f"a field of type {hint} cannot be restored")
    _finite(value.mean_)
    _finite(value.scale_)
    return value


def _finite(value: Any) -> Any:
    if np.iscomplexobj(value) or not np.isfinite(value).all():
        raise ValueError("the model holds values that are not finite numbers")
    return value


def _mistyped(hint: Any, value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} instead of {hint}")


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
