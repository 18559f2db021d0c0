"""Decoding of JSON into types; each error carries a JSON pointer to its place."""

import json
import math
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeVar

import msgspec

from app.serving.errors import FieldError, NotJSON, QuestionError

MAX_ERRORS = 100  # further errors are not reported

# Messages of the decoder, and plainer ones.
PLAINER = {"Invalid RFC3339 encoded date": "must be a calendar date such as 2015-12-31"}

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

UNKNOWN_FIELD = "Object contains unknown field"

T = TypeVar("T")


def decode(body: bytes | msgspec.Raw, kind: type[T], prefix: str = "", *, known: str = "") -> T:
    """Decode JSON into ``kind``.

    Parameters
    ----------
    prefix : JSON pointer to ``body`` within the request body
    known : the known fields, named in the error for an unknown one

    Raises QuestionError where it is JSON of another shape; NotJSON where it is not JSON.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except UNDECODABLE as error:
        # A type error ends the decoding: is the whole body JSON?
        try:
            msgspec.json.decode(body)
        except UNDECODABLE as worse:
            infinite = list(islice(_not_finite(bytes(body)), MAX_ERRORS))
            if infinite:
                raise QuestionError([FieldError(prefix + p, "must be a finite number") for p in infinite]) from None
            raise NotJSON([FieldError(prefix, str(worse))]) from None
        raise QuestionError([_field_error(str(error), prefix, known)]) from None


def unknown_field(pointer: str, name: str, known: str) -> FieldError:
    """Return the error for an unknown field."""
    return FieldError(pointer, f"{UNKNOWN_FIELD} `{name}`" + (f": this model accepts {known}" if known else ""))


def _field_error(message: str, prefix: str, known: str) -> FieldError:
    """Turn ``Expected `float`, got `str` - at `$[3].tmax` `` into a pointer and a detail."""
    detail, at, path = message.rpartition(" - at `$")
    if not at or ("field `" in detail and not detail.endswith("`")):  # no path, or split within a field name
        detail, path = message, ""
    at_field = prefix + "".join(
        f"/{name or index}" for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path.removesuffix("`"))
    )
    field = re.fullmatch(rf"(?:{UNKNOWN_FIELD}|Object missing required field) `(.*)`", detail, re.DOTALL)
    if not field:
        return FieldError(at_field, PLAINER.get(detail, detail))
    place = f"{at_field}/{pointer(field[1])}"
    return unknown_field(place, field[1], known) if detail.startswith(UNKNOWN_FIELD) else FieldError(place, detail)


def _not_finite(body: bytes) -> Iterator[str]:
    """Yield a pointer to each NaN, Infinity and 1e999 of a body that is otherwise JSON."""
    try:
        lenient = json.loads(body)
    except (ValueError, RecursionError):
        return
    todo: list[tuple[str, Any]] = [("", lenient)]
    while todo:
        at, value = todo.pop()
        if isinstance(value, float) and not math.isfinite(value):
            yield at
        elif isinstance(value, list):
            todo += [(f"{at}/{i}", v) for i, v in reversed(list(enumerate(value)))]
        elif isinstance(value, dict):
            todo += [(f"{at}/{pointer(k)}", v) for k, v in reversed(value.items())]


def pointer(key: str) -> str:
    """Return a key as a part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")
