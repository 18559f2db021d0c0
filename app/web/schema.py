"""What comes in and what goes out, as types; and the checks that types cannot make."""

import datetime
import json
import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from app.web.errors import FieldError, Problem, invalid
from models.station_days import COLUMNS, POSSIBLE, Units, to_celsius

# A forecast for the day after must be a date too.
LAST_DATE = datetime.date(9999, 12, 30)
MAX_SEQUENCES = 1000
MM_PER_INCH = 25.4

# What the decoder says, and what a person would.
PLAINER = {"Invalid RFC3339 encoded date": "must be a calendar date such as 2015-12-31"}

Level = Annotated[float, Meta(ge=0.05, le=0.99)]


class Observation(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A station-day in the units of the request."""

    date: datetime.date
    tmax: float | None = None
    tmin: float | None = None
    rain: float | None = None


class PredictRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One sequence: ``observations``, or ``sequence`` (rows of tmax, tmin, rain) with ``end_date``."""

    station: str | None = None
    units: Units = "metric"
    observations: list[Observation] | None = None
    sequence: list[tuple[float | None, float | None, float | None]] | None = None
    end_date: datetime.date | None = None
    levels: Annotated[tuple[Level, ...], Meta(max_length=100)] = (0.8, 0.9)
    thresholds: Annotated[tuple[float, ...], Meta(max_length=100)] = ()


class BatchSequence(PredictRequest, frozen=True, kw_only=True):
    """One sequence of a batch, with a name of the client's choice."""

    id: str | int | None = None


class BatchRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Up to 1,000 sequences, each decoded by itself, so that a bad one spoils no other."""

    sequences: Annotated[list[msgspec.Raw], Meta(max_length=MAX_SEQUENCES)]


class IdOnly(msgspec.Struct, frozen=True):
    """What is read of a sequence that is not valid."""

    id: str | int | None = None


class Interval(msgspec.Struct, frozen=True):
    """The central interval that holds the observation with probability ``level``."""

    level: float
    low: float
    high: float


class Exceedance(msgspec.Struct, frozen=True):
    """The probability that tmax is above ``threshold``."""

    threshold: float
    probability: float


class ModelName(msgspec.Struct, frozen=True):
    """Which model answered."""

    version: str
    digest: str
    trained_through: str


class ForecastAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The forecast for the day after the last observation, in the units of the request."""

    id: str | int | msgspec.UnsetType = msgspec.UNSET
    station: str
    issued: str
    date: str
    tmax: float
    intervals: list[Interval]
    exceedance: list[Exceedance]
    units: Units
    flags: list[str]
    model: ModelName
    input_digest: str


T = TypeVar("T")


def decode(body: bytes | msgspec.Raw, kind: type[T], prefix: str = "") -> T:
    """Decode JSON into ``kind``.

    Raises
    ------
    Problem : 422 with a pointer where it is JSON of another shape, 400 where it is no JSON
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise invalid([_place(str(error), prefix)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        numbers = list(_numbers_that_are_none(bytes(body)))
        if numbers:
            raise invalid([FieldError(prefix + p, "must be a finite number or null") for p in numbers]) from None
        raise Problem(400, f"the body is no JSON: {error}", [FieldError(prefix, str(error))]) from None


def observations_of(request: PredictRequest, prefix: str = "") -> list[Observation]:
    """Return the station-days of a request, checked: ascending, possible, in one of the two forms.

    Raises
    ------
    Problem : 422 with a pointer to each place
    """
    days = _in_one_form(request, prefix)
    name = "observations" if request.sequence is None else "sequence"
    errors = list(_impossible(days, request.units, f"{prefix}/{name}", by_name=name == "observations"))
    if errors:
        raise invalid(errors)
    return days


def _in_one_form(request: PredictRequest, prefix: str) -> list[Observation]:
    observations, rows, end = request.observations, request.sequence, request.end_date
    if (observations is None) == (rows is None):
        raise invalid([FieldError(f"{prefix}/observations", "give either observations, or sequence with end_date")])
    if (rows is None) != (end is None):
        raise invalid([FieldError(f"{prefix}/end_date", "sequence and end_date go together")])
    if rows is not None and end is not None:
        if (end - datetime.date.min).days < len(rows):
            raise invalid([FieldError(f"{prefix}/end_date", "the sequence would begin before the year 1")])
        first = end - datetime.timedelta(days=len(rows) - 1)
        observations = [Observation(first + datetime.timedelta(days=i), *row) for i, row in enumerate(rows)]
    if not observations:
        name = "observations" if rows is None else "sequence"
        raise invalid([FieldError(f"{prefix}/{name}", "at least one day is needed")])
    return observations


def _impossible(days: list[Observation], units: Units, prefix: str, *, by_name: bool) -> Iterator[FieldError]:
    before = None
    for index, day in enumerate(days):
        if day.date > LAST_DATE:
            yield FieldError(f"{prefix}/{index}/date", f"must not be after {LAST_DATE}")
        if before is not None and day.date <= before:
            how = "is repeated" if day.date == before else f"comes after {before}"
            yield FieldError(f"{prefix}/{index}/date", f"dates must ascend: {day.date} {how}")
        before = day.date
        for position, (column, value) in enumerate(zip(COLUMNS, (day.tmax, day.tmin, day.rain), strict=True)):
            low, high = POSSIBLE[column]
            if value is not None and not low <= _metric(column, value, units) <= high:
                place = column if by_name else position
                yield FieldError(f"{prefix}/{index}/{place}", _never_measured(column, value, units))
        if day.tmax is not None and day.tmin is not None and day.tmin > day.tmax:
            place = "tmin" if by_name else COLUMNS.index("tmin")
            yield FieldError(f"{prefix}/{index}/{place}", f"tmin {day.tmin:g} is above tmax {day.tmax:g}")


def _metric(column: str, value: float, units: Units) -> float:
    if column == "rain":
        return value if units == "metric" else value * MM_PER_INCH
    return to_celsius(value, units)


def _never_measured(column: str, value: float, units: Units) -> str:
    unit = ("mm" if units == "metric" else "inch") if column == "rain" else ("degC" if units == "metric" else "degF")
    hint = '; if it is degF, say "units": "us"' if unit == "degC" and value > 0 else ""
    return f"{value:g} {unit} was never measured at any station{hint}"


def _place(message: str, prefix: str) -> FieldError:
    """Turn ``Expected `float`, got `str` - at `$.observations[3].tmax` `` into a pointer and a detail."""
    detail, at, path = message.rpartition(" - at `$")
    if not at:
        detail, path = message, ""
    pointer = "".join(f"/{name or index}" for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path.removesuffix("`")))
    field = re.fullmatch(r"Object (?:contains unknown|missing required) field `(.*)`", detail, re.DOTALL)
    if field:
        pointer += "/" + field[1].replace("~", "~0").replace("/", "~1")
    return FieldError(prefix + pointer, PLAINER.get(detail, detail))


def _numbers_that_are_none(body: bytes) -> Iterator[str]:
    """Yield a pointer to each NaN, Infinity and 1e999, where only these keep a body from being JSON."""
    try:
        lenient = json.loads(body)
    except (ValueError, RecursionError):
        return
    todo: list[tuple[str, Any]] = [("", lenient)]
    while todo:
        pointer, value = todo.pop(0)
        if isinstance(value, float) and not math.isfinite(value):
            yield pointer
        elif isinstance(value, list):
            todo += [(f"{pointer}/{i}", v) for i, v in enumerate(value)]
        elif isinstance(value, dict):
            todo += [(f"{pointer}/{k}", v) for k, v in value.items()]
