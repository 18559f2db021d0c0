"""From the bytes of a body to station-days, with a pointer to whatever is wrong on the way."""

import datetime
import json
import math
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice, pairwise
from typing import Any, TypeVar

import msgspec
import numpy as np

from app.web.errors import FieldError, Problem, invalid
from app.web.schema import Observation, PredictRequest
from models.nn import Array
from models.predictors import GUIDANCE, impossible_predictors, is_spread, predictor_to_metric, unit
from models.station_days import COLUMNS, TMIN_ABOVE_TMAX, UNIT_NAMES, Units, impossible, to_metric

# A forecast for the day after must be a date too.
LAST_DATE = datetime.date(9999, 12, 30)
# A problem names this many places at the most.
MAX_ERRORS = 100

# What the decoder says, and what a person would.
PLAINER = {"Invalid RFC3339 encoded date": "must be a calendar date such as 2015-12-31"}

# What a decoder raises of bytes that it cannot decode.
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# What the decoder says of a day that carries more than its type has.
MORE = re.compile(r"Object contains unknown field `.*` - at `\$\.observations\[\d+\]`", re.DOTALL)

T = TypeVar("T")


class CarriesMore(Exception):  # noqa: N818
    """An observation carries more than a station's own record; whether it may is for the model to say."""


def decode(body: bytes | msgspec.Raw, kind: type[T], prefix: str = "", columns: Sequence[str] = ()) -> T:
    """Decode JSON into ``kind``.

    Parameters
    ----------
    columns : all that an observation may carry besides its date, where that is known

    Raises
    ------
    CarriesMore : where an observation does, and ``columns`` are not given
    Problem : 422 with a pointer where it is JSON of another shape, 400 where it is no JSON
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except UNDECODABLE as error:
        carries_more = MORE.fullmatch(str(error))
        if carries_more and not columns:
            raise CarriesMore from None
        # The first thing that is wrong need not be the worst: is it JSON at all?
        try:
            msgspec.json.decode(body)
        except UNDECODABLE as worse:
            numbers = list(islice(_not_finite(bytes(body)), MAX_ERRORS))
            if numbers:
                raise invalid([FieldError(prefix + p, "must be a finite number") for p in numbers]) from None
            raise Problem(400, f"the body is not valid JSON: {worse}", [FieldError(prefix, str(worse))]) from None
        wrong = _place(str(error), prefix)
        raise invalid([not_known(wrong, columns) if carries_more else wrong]) from None


def not_known(wrong: FieldError, columns: Sequence[str]) -> FieldError:
    """Add to what is wrong with a field that a model does not know what it does."""
    return FieldError(wrong.pointer, f"{wrong.detail}: this model knows {', '.join(columns)}")


def station_days_of(request: PredictRequest, prefix: str = "") -> tuple[list[Observation], Array, dict[str, Array]]:
    """Return the station-days of a request, their values (n, 3) in degC and mm, and their predictors.

    They are checked: in one of the two forms, ascending, possible. The predictors are by name (n,), in degC where they
    are temperatures; one of which no day has a value is left out.

    Raises
    ------
    Problem : 422 with a pointer to each place
    """
    days = _in_one_form(request, prefix)
    values = to_metric(np.array([(d.tmax, d.tmin, d.rain) for d in days], dtype=float), request.units)
    given = _predictors_of(request, days, prefix)
    predictors = {name: predictor_to_metric(name, column, request.units) for name, column in given.items()}
    wrong = chain(
        _out_of_order(days),
        _never_measured(days, values, request.units),
        _never_forecast(given, predictors, request.units),
    )
    errors = list(islice(wrong, MAX_ERRORS))
    if errors:
        raise invalid([FieldError(prefix + place(request, *where), detail) for where, detail in errors])
    return days, values, predictors


def place(request: PredictRequest, index: int, column: str) -> str:
    """Return the pointer to a value of a day, in the form in which the request has it."""
    days = request.observations or request.sequence or ()
    if column == GUIDANCE and request.guidance is not None and index == len(days) - 1:
        return f"/{GUIDANCE}"
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


def _predictors_of(request: PredictRequest, days: list[Observation], prefix: str) -> dict[str, Array]:
    """Return by name (n,), in the units of the request, the predictors of which any day has a value."""
    given: dict[str, Array] = {}
    if request.predictors:
        own = len(Observation.__struct_fields__)
        table = np.array([msgspec.structs.astuple(day)[own:] for day in days], dtype=float)
        given = dict(zip(request.predictors, table.T, strict=True))
    if request.guidance is not None:
        column = given.setdefault(GUIDANCE, np.full(len(days), np.nan))
        if not (np.isnan(column[-1]) or column[-1] == request.guidance):
            detail = f"must be that of the last day, if both are given: {request.guidance} is not {column[-1]}"
            raise invalid([FieldError(f"{prefix}/{GUIDANCE}", detail)])
        column[-1] = request.guidance
    return {name: column for name, column in given.items() if not np.isnan(column).all()}


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
        yield (index, column), _too_much(getattr(day, column), UNIT_NAMES[units][column])


def _never_forecast(
    given: dict[str, Array], predictors: dict[str, Array], units: Units
) -> Iterator[tuple[tuple[int, str], str]]:
    for index, name, _ in impossible_predictors(predictors):
        value, measure = given[name][index], unit(name, units)
        detail = f"{value} {measure} is below 0, as no spread is" if is_spread(name) else _too_much(value, measure)
        yield (index, name), detail


def _too_much(value: float, measure: str) -> str:
    hint = '; if it is degF, say "units": "us"' if measure == "degC" and value > 0 else ""
    return f"{value} {measure} was never measured at any station{hint}"


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
