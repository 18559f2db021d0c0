"""Questions whose days are a file: the body of a request in any format that training reads, or pasted Open-Meteo."""

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np

from app.serving.champions import ServedModel
from app.serving.decoding import UNDECODABLE, decode
from app.serving.errors import FieldError, NoReaders, QuestionError
from app.serving.neighbours import JoinedNeighbours
from app.serving.question import BY_JSON, BY_QUERY, Accepted, Levels, Question, Request, Thresholds, Way
from models.record.columns import COLUMNS, MEASURED, TMAX, Units, column, is_guidance, is_spread, quantity
from models.record.days import StationDays

if TYPE_CHECKING:  # the readers import pandas, which a server that sees only JSON does not need
    from app.readers import Record

ABSENT = msgspec.Raw()
NAME = "the body"  # of the file, in errors
OPTION = re.compile(r"--(units|station|format|timezone)(?: (us|metric))?\b")
DECIMALS = 6  # of values converted back to the units of the request


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a request may say of its file."""

    station: str | None = None
    units: Units | None = None  # of a file that does not state its own, and of the answer
    levels: Levels = (0.8, 0.9)
    thresholds: Thresholds = ()
    accept: Accepted = ()
    end_date: datetime.date | None = None  # later days are not looked at


class Pasted(Options, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An Open-Meteo answer with the fields of a question beside its own, which hold its days and their units."""

    id: str | int | None = None
    daily: msgspec.Raw = ABSENT
    hourly: msgspec.Raw = ABSENT
    current: msgspec.Raw = ABSENT
    current_units: msgspec.Raw = ABSENT
    latitude: msgspec.Raw = ABSENT
    longitude: msgspec.Raw = ABSENT
    elevation: msgspec.Raw = ABSENT
    location_id: msgspec.Raw = ABSENT
    generationtime_ms: msgspec.Raw = ABSENT
    utc_offset_seconds: msgspec.Raw = ABSENT
    timezone: msgspec.Raw = ABSENT
    timezone_abbreviation: msgspec.Raw = ABSENT
    daily_units: msgspec.Raw = ABSENT
    hourly_units: msgspec.Raw = ABSENT


class Query(Options, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The query of a request whose body is a file; the lists are repeated parameters."""

    levels: Levels = msgspec.field(default=(0.8, 0.9), name="level")
    thresholds: Thresholds = msgspec.field(default=(), name="threshold")
    format: str = "auto"
    timezone: str | None = None  # IANA name, of a file with instants


LISTS = {"level", "threshold", "accept"}


class _Parts(msgspec.Struct, frozen=True):
    """The fields by which an Open-Meteo answer is told from a question."""

    daily: dict[str, msgspec.Raw] | None = None
    hourly: dict[str, msgspec.Raw] | None = None
    observations: msgspec.Raw = ABSENT
    sequence: msgspec.Raw = ABSENT


@dataclass(frozen=True)
class FileRequest:
    """A request whose days are a file."""

    content: bytes
    options: Pasted | Query

    @property
    def station(self) -> str | None:
        """The station's name, where it is given."""
        return self.options.station

    @property
    def id(self) -> str | int | None:
        """The id that the client chose in a batch."""
        return self.options.id if isinstance(self.options, Pasted) else None


AnyRequest = TypeVar("AnyRequest", bound=Request)


def asked(body: bytes | msgspec.Raw, kind: type[AnyRequest], prefix: str = "") -> AnyRequest | FileRequest:
    """Decode a request, or an Open-Meteo answer in its place; raises as `decode`."""
    try:
        return decode(body, kind, prefix)
    except QuestionError:
        if not _is_pasted(body):
            raise
    return FileRequest(bytes(body), decode(body, Pasted, prefix))


def uploaded(content: bytes, query: Mapping[str, Sequence[str]]) -> FileRequest:
    """Return the request of a file and the parameters of its query. Raises QuestionError where one is invalid."""
    values = {name: [*given] if name in LISTS else given[0] for name, given in query.items()}
    error = next((f"{n}: give it once" for n, given in query.items() if n not in LISTS and len(given) > 1), "")
    if not error:
        try:
            found = msgspec.convert(values, Query, strict=False)
            if np.isfinite([*found.levels, *found.thresholds]).all():
                return FileRequest(content, found)
            error = "level, threshold: must be finite numbers"
        except msgspec.ValidationError as invalid:
            detail, _, path = str(invalid).partition(" - at `$.")
            error = f"{re.split(r'[^a-z_]', path)[0]}: {detail}" if path else detail.removeprefix("Object contains ")
    raise QuestionError([FieldError("", f"query parameter {error}")])


@dataclass(frozen=True, eq=False)
class FileQuestion(Question):
    """The last days of a file."""

    @classmethod
    def read(cls, asked: FileRequest, served: ServedModel, prefix: str = "") -> "FileQuestion":
        """Read a file for a model.

        Raises QuestionError, with the place in the file.
        """
        record = _record(asked, served, prefix)
        way = BY_QUERY if isinstance(asked.options, Query) else BY_JSON
        return cls.of_record(record, asked.options, served, way, prefix)

    @classmethod
    def of_record(
        cls,
        record: "Record",
        options: Options,
        served: ServedModel,
        way: Way,
        prefix: str = "",
    ) -> "FileQuestion":
        """Take the last days of a record, up to the last with a tmax.

        Raises QuestionError where there is none, or the last tmax was set aside.
        """
        units = options.units or record.units
        days, notes = _to_forecast_from(record, options.end_date, units, prefix)
        request = Request(
            station=options.station,
            units=units,
            levels=options.levels,
            thresholds=options.thresholds,
            accept=options.accept,
        )
        wrong = [date for date in options.accept if not days.first <= np.datetime64(date) <= days.last]
        if wrong:
            detail = f"accept: {wrong[0]} is not a day of the record, {days.first} to {days.last}"
            raise QuestionError([FieldError(prefix, detail)])
        days = days.part(max(0, len(days) - served.longest), len(days))
        notes += tuple(_set_aside(record, days, units))
        given = np.column_stack([_as_given(of.name, days.values[:, i], units) for i, of in enumerate(MEASURED)])
        further = {
            n: _as_given(n, s, units) for n, s in days.further.items() if n in served.further and not np.isnan(s).all()
        }
        dates = days.dates.astype(object).tolist()
        around = JoinedNeighbours(days, lambda name, values: _as_given(name, values, units))
        return cls(request, prefix, dates, given, days.values, further, around, notes, way)

    def place(self, index: int, name: str) -> str:  # noqa: ARG002  # a file has no JSON pointers
        """Return the place of the file."""
        return self.prefix

    def place_of(self, date: np.datetime64, used: StationDays) -> str:  # noqa: ARG002
        """Return the place of the file."""
        return self.prefix


def _is_pasted(body: bytes | msgspec.Raw) -> bool:
    try:
        parts = msgspec.json.decode(body, type=_Parts)
    except UNDECODABLE:
        return False
    return bool(parts.daily or parts.hourly) and parts.observations == parts.sequence == ABSENT


def _record(asked: FileRequest, served: ServedModel, prefix: str) -> "Record":
    try:
        from app.readers import RecordError, read_content  # noqa: PLC0415  # see above
    except ImportError:
        raise NoReaders("this service is installed without pandas, which reads files: send JSON") from None
    named = [name for name in served.further if not (is_guidance(name) or is_spread(name) or quantity(name))]
    options, units, how = asked.options, asked.options.units, Query()
    if isinstance(options, Query):
        how = options
    elif options.daily_units != ABSENT or options.hourly_units != ABSENT:
        units = None  # ``units`` are those of the answer only
    try:
        return read_content(asked.content, NAME, how.format, units, named, how.timezone, options.station)
    except RecordError as error:
        detail = str(error).removeprefix(f"{NAME}: ")
        raise QuestionError([FieldError(prefix, OPTION.sub(_parameter, detail))]) from None


def _parameter(option: re.Match[str]) -> str:
    """Return the query parameter for a command-line option that an error of the reader names."""
    return f"{option[1]}={option[2]}" if option[2] else f"the parameter {option[1]}"


def _to_forecast_from(
    record: "Record", end: datetime.date | None, units: Units, prefix: str
) -> tuple[StationDays, tuple[str, ...]]:
    """Return the days up to the last with a tmax, and what is to be said of it and of the file.

    Raises QuestionError where there is no tmax up to ``end``, or the last one was set aside.
    """
    days = record.days if end is None else record.days.through(np.datetime64(end))
    observed = np.flatnonzero(~np.isnan(days.tmax))
    if not len(observed):
        raise QuestionError([FieldError(prefix, f"no day up to {end or days.last} has a tmax")])
    last = days.first + observed[-1]
    for found in record.set_aside:
        if found.column == COLUMNS[TMAX] and last < found.date <= days.last:
            value, unit = _as_given("tmax", found.value, units), MEASURED[TMAX].unit(units)
            detail = f"the last tmax cannot be believed: {value} {unit} on {found.date}: {found.reason}"
            raise QuestionError([FieldError(prefix, f"{detail}; correct it, or remove that day")])
    notes = record.notes
    if end is not None and np.datetime64(end) > days.last:
        notes += (f"the record ends on {days.last}, before {end}: forecasting from its last tmax, of {last}",)
    elif last < days.last:
        notes += (f"the record ends on {days.last}, its last tmax is of {last}: forecasting from there",)
    return days.part(0, int(observed[-1]) + 1), notes


def _set_aside(record: "Record", days: StationDays, units: Units) -> Iterator[str]:
    """Yield a flag for each value of ``days`` that the reader set aside."""
    for found in record.set_aside:
        if days.first <= found.date <= days.last:
            value = _as_given(found.column, found.value, units)
            yield f"set aside {found.date} {found.column} {value}: {found.reason}"


def _as_given(name: str, values: Any, units: Units) -> Any:
    """Convert metric values to ``units``, without the noise of two conversions."""
    zero, one = (column(name).to_metric(value, units) for value in (0.0, 1.0))
    with np.errstate(over="ignore"):  # of an impossible value
        return np.round((values - zero) / (one - zero), DECIMALS) + 0.0
