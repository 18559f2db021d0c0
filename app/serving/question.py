"""A question: one sequence of station-days, decoded and checked for the model that answers it."""

import datetime
import functools
import hashlib
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta

from app.serving.champions import ServedModel
from app.serving.decoding import MAX_ERRORS, decode, pointer, unknown_field
from app.serving.errors import FieldError, QuestionError
from app.serving.neighbours import Neighbours
from models.nn import Array
from models.record.columns import (
    COLUMNS,
    GUIDANCE,
    Units,
    column,
    is_spread,
    measured_to_metric,
    neighbour_of,
    own_name,
    quantity,
    to_celsius,
)
from models.record.days import ONE_DAY, StationDays

EPOCH = datetime.date(1970, 1, 1).toordinal()
LAST_DATE = datetime.date(9999, 12, 30)  # the valid date is one day later

Levels = Annotated[tuple[Annotated[float, Meta(ge=0.05, le=0.99)], ...], Meta(max_length=100)]
Thresholds = Annotated[tuple[float, ...], Meta(max_length=100)]
Accepted = Annotated[tuple[datetime.date, ...], Meta(max_length=1000)]
Number = float | None

ROW = ("tmax", "tmin", "rain")  # the columns of ``sequence``


class Request(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One request: ``observations``, or ``sequence`` (rows of `ROW`) with ``end_date``."""

    station: str | None = None
    units: Units = "metric"
    observations: msgspec.Raw = msgspec.Raw(b"null")  # decoded later: the model determines the fields of a day
    sequence: list[tuple[Number, Number, Number]] | None = None
    end_date: datetime.date | None = None
    neighbours: msgspec.Raw = msgspec.Raw(b"null")  # neighbour -> its station-days, decoded later likewise
    guidance: float | None = None  # for the valid date, as ``guidance`` of the last day
    levels: Levels = (0.8, 0.9)
    thresholds: Thresholds = ()
    accept: Accepted = ()  # days whose values are real


class BatchItem(Request, frozen=True, kw_only=True):
    """One request of a batch, with an id chosen by the client."""

    id: str | int | None = None


@functools.lru_cache(maxsize=256)
def observation_type(further: tuple[str, ...]) -> Any:
    """Return the type of a station-day with all measured and ``further`` columns, each a number, null or absent."""
    names = (*COLUMNS, *further)
    # Fields are renamed, since the name of a column need not be an identifier.
    fields = [f"column_{i}" for i in range(len(names))]
    return msgspec.defstruct(
        "Observation",
        [("date", datetime.date), *((field, Number, None) for field in fields)],
        rename=dict(zip(fields, names, strict=True)),
        forbid_unknown_fields=True,
        frozen=True,
    )


class Way(NamedTuple):
    """How a user says something, for the remedies in errors."""

    accept: str  # that the values of a day are real
    units: str


BY_JSON = Way('send "accept": ["{}"]', 'set "units": "{}"')
BY_QUERY = Way("add accept={} to the query", "add units={} to the query")
BY_OPTION = Way("add --accept {}", "add --units {}")


@dataclass(frozen=True, eq=False)
class Question:
    """A checked sequence."""

    request: Request
    prefix: str  # JSON pointer to the request within the body
    dates: list[datetime.date]  # ascending
    given: Array  # (n, columns), measured, in the units of the request
    values: Array  # the same, metric
    further_given: dict[str, Array]  # further column -> (n,), in the units of the request; none without any value
    neighbours: Neighbours
    notes: tuple[str, ...] = ()  # about a file, one sentence each
    way: Way = BY_JSON

    @classmethod
    def of(
        cls, request: Request, served: ServedModel, prefix: str = "", neighbours: Neighbours | None = None
    ) -> "Question":
        """Decode and check a request for a model; the ``neighbours`` are those of a batch, where it carries any.

        Raises QuestionError, naming each place.
        """
        further = served.further
        known = ", ".join((*COLUMNS, *further))
        if request.guidance is not None and GUIDANCE not in further:
            raise QuestionError([unknown_field(f"{prefix}/{GUIDANCE}", GUIDANCE, known)])
        dates, table = _days_of(request, further, prefix, known)
        given = table[:, : len(COLUMNS)]
        by_name = _further_of(request, dict(zip(further, table[:, len(COLUMNS) :].T, strict=True)), prefix)
        around = _neighbours_of(request, served, prefix, neighbours)
        question = cls(request, prefix, dates, given, measured_to_metric(given, request.units), by_name, around)
        wrong = chain(_out_of_order(dates), question._impossible(), question._not_given())
        errors = list(islice(wrong, MAX_ERRORS))
        if errors:
            raise QuestionError([FieldError(question.place(*where), detail) for where, detail in errors])
        return question

    def recent(self, served: ServedModel) -> StationDays:
        """Return the last calendar days that a model can use, with all its columns; missing values are ``nan``."""
        n, units = served.longest, self.request.units
        # In a tenth of the time of an array of dates.
        dates = np.array([date.toordinal() - EPOCH for date in self.dates[-n:]]).astype("M8[D]")
        within = dates > dates[-1] - n * ONE_DAY
        unknown = np.full(len(self.values), np.nan)
        own = {name: self.further_given.get(name, unknown)[-n:][within] for name in served.further}
        days = StationDays.on_calendar(dates[within], self.values[-n:][within], own)
        if served.model.neighbours:
            days.further.update(self.neighbours.values(served.model.neighbours, self.dates[-1], len(days)))
        for name, values in days.further.items():
            days.further[name] = column(name).to_metric(values, units)
        return days

    def place(self, index: int, name: str) -> str:
        """Return the JSON pointer to a value, or to an item of ``accept``, in the form of the request."""
        if name == "accept":
            return f"{self.prefix}/accept/{index}"
        if name == GUIDANCE and self.request.guidance is not None and index == len(self.dates) - 1:
            return f"{self.prefix}/{GUIDANCE}"
        if self.request.sequence is None:
            return f"{self.prefix}/observations/{index}/{name}"
        return f"{self.prefix}/sequence/{index}/{ROW.index(name)}" if name in ROW else f"{self.prefix}/end_date"

    def of_neighbour(self, name: str, date: np.datetime64) -> float:
        """Return the value of a neighbour's column on a day, in the units of the request."""
        looked_at = {neighbour_of(name): (own_name(name),)}
        return float(self.neighbours.values(looked_at, date.astype(object), 1)[name][0])

    def index_of(self, date: np.datetime64) -> int:
        """Return the index of a day, or of the next one given."""
        return bisect_left(self.dates, date.astype(object))

    def place_of(self, date: np.datetime64, used: StationDays) -> str:
        """Return the JSON pointer to a day (or the next one given), or to its tmax where the days in use miss it."""
        index = self.index_of(date)
        by_name = self.request.sequence is None
        at = np.datetime64(self.dates[index])
        if np.isnan(used.tmax[int((at - used.first) / ONE_DAY)]) or (index and not by_name):
            return self.place(index, "tmax")
        if index:
            return self.place(index, "date")
        return f"{self.prefix}/observations" if by_name else f"{self.prefix}/sequence"

    def digest(self, served: ServedModel) -> str:
        """Return the digest of the question, the same for all forms of request."""
        days = [[date, *row] for date, row in zip(self.dates, self.given.tolist(), strict=True)]
        request = self.request
        content: list[Any] = [served.station, request.units, days, request.levels, request.thresholds]
        if self.further_given:
            content.append({name: series.tolist() for name, series in sorted(self.further_given.items())})
        if served.model.neighbours:
            around = self.neighbours.values(served.model.neighbours, self.dates[-1], served.longest)
            content.append({name: series.tolist() for name, series in around.items()})
        if request.accept:
            content.append(request.accept)
        return f"sha256:{hashlib.sha256(msgspec.json.encode(content)).hexdigest()}"

    def _impossible(self) -> Iterator[tuple[tuple[int, str], str]]:
        """Yield the place and the error of each impossible forecast; impossible measurements are set aside later."""
        for name, given in self.further_given.items():
            if quantity(name):
                continue
            of = column(name)
            for index in np.flatnonzero(
                ~of.possible(of.to_metric(given, self.request.units)) & ~np.isnan(given)
            ).tolist():
                unit = of.unit(self.request.units)
                below_zero = f"{given[index]} {unit}: a spread cannot be below 0"
                yield (index, name), below_zero if is_spread(name) else self.not_possible(given[index], name)

    def not_possible(self, value: float, name: str) -> str:
        """Return the error for an impossible value."""
        unit, (low, high) = column(name).unit(self.request.units), column(name).limits
        in_degf = unit == "degC" and value > high and low < to_celsius(value, "us") < high
        hint = f"; if it is degF, {self.way.units.format('us')}" if in_degf else ""
        return f"{value} {unit} is not a possible value of {name}{hint}"

    def _not_given(self) -> Iterator[tuple[tuple[int, str], str]]:
        given = {*self.dates} if self.request.accept else set()
        for index, date in enumerate(self.request.accept):
            if date not in given:
                yield (index, "accept"), f"{date} is not a day of the sequence"


def _days_of(request: Request, further: tuple[str, ...], prefix: str, known: str) -> tuple[list[datetime.date], Array]:
    """Return the dates, and a table (n, measured + further) in the units of the request."""
    rows, end = request.sequence, request.end_date
    kind: Any = list[observation_type(further)] | None  # type: ignore[misc]
    observations: Any = decode(request.observations, kind, f"{prefix}/observations", known=known)
    if (observations is None) == (rows is None):
        raise QuestionError([FieldError(f"{prefix}/observations", "give observations, or sequence with end_date")])
    if (rows is None) != (end is None):
        raise QuestionError([FieldError(f"{prefix}/end_date", "sequence and end_date go together")])
    if not (observations or rows):
        form = "observations" if rows is None else "sequence"
        raise QuestionError([FieldError(f"{prefix}/{form}", "at least one day is needed")])
    if rows is None or end is None:
        days = [msgspec.structs.astuple(day) for day in observations]
        return [day[0] for day in days], np.array([day[1:] for day in days], dtype=float)
    if (end - datetime.date.min).days < len(rows) - 1:
        raise QuestionError([FieldError(f"{prefix}/end_date", "the sequence would begin before the year 1")])
    table = np.full((len(rows), len(COLUMNS) + len(further)), np.nan)
    table[:, [COLUMNS.index(name) for name in ROW]] = np.array(rows, dtype=float)
    return [end - datetime.timedelta(days=ago) for ago in reversed(range(len(rows)))], table


def _neighbours_of(request: Request, served: ServedModel, prefix: str, of_batch: Neighbours | None) -> Neighbours:
    """Return the neighbours of a request, or else those of its batch. Raises QuestionError where one is unknown."""
    own = Neighbours(request.neighbours, prefix)
    known = served.model.neighbours
    if unknown := [name for name in own.names if name not in known]:
        names = f"its neighbours are {', '.join(known)}" if known else "it looks at no neighbour"
        raise QuestionError(
            [FieldError(f"{prefix}/neighbours/{pointer(name)}", f"unknown to this model: {names}") for name in unknown]
        )
    return own if own.names or of_batch is None else of_batch


def _further_of(request: Request, by_name: dict[str, Array], prefix: str) -> dict[str, Array]:
    """Return the further columns that have any value, with the request's own ``guidance`` on the last day."""
    if request.guidance is not None:
        last = by_name[GUIDANCE][-1]
        if not (np.isnan(last) or last == request.guidance):
            detail = f"contradicts the guidance of the last day: {request.guidance} is not {last}"
            raise QuestionError([FieldError(f"{prefix}/{GUIDANCE}", detail)])
        by_name[GUIDANCE][-1] = request.guidance
    return {name: series for name, series in by_name.items() if not np.isnan(series).all()}


def _out_of_order(dates: list[datetime.date]) -> Iterator[tuple[tuple[int, str], str]]:
    for index, (before, date) in enumerate(pairwise(dates), start=1):
        if date <= before:
            how = "is repeated" if date == before else f"comes after {before}"
            yield (index, "date"), f"dates must ascend: {date} {how}"
    if dates[-1] > LAST_DATE:
        yield (len(dates) - 1, "date"), f"must not be after {LAST_DATE}"
