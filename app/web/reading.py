"""From the bytes of a body to station-days, with a pointer to whatever is wrong on the way."""

import datetime
import json
import math
import re
from collections.abc import Iterator
from itertools import chain, islice, pairwise
from typing import Any, TypeVar

import msgspec
import numpy as np

from app.web.errors import FieldError, Problem, invalid
from app.web.schema import Observation, PredictRequest
from models.nn import Array
from models.station_days import COLUMNS, TMIN_ABOVE_TMAX, UNIT_NAMES, Units, impossible, to_metric

# A forecast for the day after must be a date too.
LAST_DATE = datetime.date(9999, 12, 30)
# A problem names this many places at the most.
MAX_ERRORS = 100

# What the decoder says, and what a person would.
PLAINER = {"Invalid RFC3339 encoded date": "must be a calendar date such as 2015-12-31"}

# What a decoder raises of bytes that it cannot decode.
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

T = TypeVar("T")


def decode(body: bytes | msgspec.Raw, kind: type[T], prefix: str = "") -> T:
    """Decode JSON into ``kind``.

    Raises
    ------
    Problem : 422 with a pointer where it is JSON of another shape, 400 where it is no JSON
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except UNDECODABLE as error:
        # The first thing that is wrong need not be the worst: is it JSON at all?
        try:
            msgspec.json.decode(body)
        except UNDECODABLE as worse:
            numbers = list(islice(_not_finite(bytes(body)), MAX_ERRORS))
            if numbers:
                raise invalid([FieldError(prefix + p, "must be a finite number") for p in numbers]) from None
            raise Problem(400, f"the body is not valid JSON: {worse}", [FieldError(prefix, str(worse))]) from None
        raise invalid([_place(str(error), prefix)]) from None


def station_days_of(request: PredictRequest, prefix: str = "") -> tuple[list[Observation], Array]:
    """Return the station-days of a request, and their values (n, 3) in degC and mm.

    They are checked: in one of the two forms, ascending, possible.

    Raises
    ------
    Problem : 422 with a pointer to each place
    """
    days = _in_one_form(request, prefix)
    values = to_metric(np.array([(d.tmax, d.tmin, d.rain) for d in days], dtype=float), request.units)
    errors = list(islice(chain(_out_of_order(days), _never_measured(days, values, request.units)), MAX_ERRORS))
    if errors:
        raise invalid([FieldError(prefix + place(request, *where), detail) for where, detail in errors])
    return days, values


def place(request: PredictRequest, index: int, column: str) -> str:
    """Return the pointer to a value of a day, in the form in which the request has it."""
    if request.sequence is None:
        return f"/observations/{index}/{column}"
    return f"/sequence/{index}/{COLUMNS.index(column)}" if column in COLUMNS else "/end_date"


def _in_one_form(request: PredictRequest, prefix: str) -> list[Observation]:
    observations, rows, end = request.observations, request.sequence, request.end_date
    if (observations is None) == (rows is None):
        raise invalid([FieldError(f"{prefix}/observations", "give either observations, or sequence with end_date")])
    if (rows is None) != (end is None):
        raise invalid([FieldError(f"{prefix}/end_date", "sequence and end_date go together")])
    if rows is not None and end is not None:
        if (end - datetime.date.min).days < len(rows) - 1:
            raise invalid([FieldError(f"{prefix}/end_date", "the sequence would begin before the year 1")])
        first = end - datetime.timedelta(days=len(rows) - 1)
        observations = [Observation(first + datetime.timedelta(days=i), *row) for i, row in enumerate(rows)]
    if not observations:
        name = "observations" if rows is None else "sequence"
        raise invalid([FieldError(f"{prefix}/{name}", "at least one day is needed")])
    return observations


def _out_of_order(days: list[Observation]) -> Iterator[tuple[tuple[int, str], str]]:
    for index, (before, day) in enumerate(pairwise(days), start=1):
        if day.date <= before.date:
            how = "is repeated" if day.date == before.date else f"comes after {before.date}"
            yield (index, "date"), f"dates must ascend: {day.date} {how}"
    if days[-1].date > LAST_DATE:
        yield (len(days) - 1, "date"), f"must not be after {LAST_DATE}"


def _never_measured(days: list[Observation], values: Array, units: Units) -> Iterator[tuple[tuple[int, str], str]]:
    for index, column, reason in impossible(values):
        day = days[index]
        if reason == TMIN_ABOVE_TMAX:
            if column == "tmin":
                yield (index, column), f"tmin {day.tmin} is above tmax {day.tmax}"
            continue
        unit = UNIT_NAMES[units][column]
        value = getattr(day, column)
        hint = '; if it is degF, say "units": "us"' if unit == "degC" and value > 0 else ""
        yield (index, column), f"{value} {unit} was never measured at any station{hint}"


def _place(message: str, prefix: str) -> FieldError:
    """Turn ``Expected `float`, got `str` - at `$.observations[3].tmax` `` into a pointer and a detail."""
    detail, at, path = message.rpartition(" - at `$")
    if not at or detail.count("`") % 2:  # without a path, or split within the name of a field
        detail, path = message, ""
    pointer = "".join(f"/{name or index}" for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path.removesuffix("`")))
    field = re.fullmatch(r"Object (?:contains unknown|missing required) field `(.*)`", detail, re.DOTALL)
    if field:
        pointer += "/" + _escaped(field[1])
    return FieldError(prefix + pointer, PLAINER.get(detail, detail))


def _not_finite(body: bytes) -> Iterator[str]:
    """Yield a pointer to each NaN, Infinity and 1e999, where only these keep a body from being JSON."""
    try:
        lenient = json.loads(body)
    except (ValueError, RecursionError):
        return
    todo: list[tuple[str, Any]] = [("", lenient)]
    while todo:
        pointer, value = todo.pop()
        if isinstance(value, float) and not math.isfinite(value):
            yield pointer
        elif isinstance(value, list):
            todo += [(f"{pointer}/{i}", v) for i, v in reversed(list(enumerate(value)))]
        elif isinstance(value, dict):
            todo += [(f"{pointer}/{_escaped(k)}", v) for k, v in reversed(value.items())]


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
