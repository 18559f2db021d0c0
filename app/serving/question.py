"""A question: one sequence of station-days, decoded and checked for the model that answers it."""

import datetime
import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from app.serving.decoding import MAX_ERRORS, decode, unknown_field
from app.serving.errors import FieldError, QuestionError
from models.nn import Array
from models.record.columns import (
    COLUMNS,
    GUIDANCE,
    TMAX,
    TMIN_ABOVE_TMAX,
    Units,
    column,
    impossible,
    is_spread,
    measured_to_metric,
)
from models.record.days import ONE_DAY, StationDays

EPOCH = datetime.date(1970, 1, 1).toordinal()
LAST_DATE = datetime.date(9999, 12, 30)  # the valid date is one day later

Level = Annotated[float, Meta(ge=0.05, le=0.99)]
Number = float | None

ROW = ("tmax", "tmin", "rain")  # the columns of ``sequence``


class Request(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One request: ``observations``, or ``sequence`` (rows of `ROW`) with ``end_date``."""

    station: str | None = None
    units: Units = "metric"
    observations: msgspec.Raw = msgspec.Raw(b"null")  # decoded later: the model determines the fields of a day
    sequence: list[tuple[Number, Number, Number]] | None = None
    end_date: datetime.date | None = None
    guidance: float | None = None  # for the valid date, as ``guidance`` of the last day
    levels: Annotated[tuple[Level, ...], Meta(max_length=100)] = (0.8, 0.9)
    thresholds: Annotated[tuple[float, ...], Meta(max_length=100)] = ()


class BatchItem(Request, frozen=True, kw_only=True):
    """One request of a batch, with an id chosen by the client."""

    id: str | int | None = None


@functools.lru_cache(maxsize=256)
def observation_type(predictors: tuple[str, ...]) -> Any:
    """Return the type of a station-day with all measured columns and ``predictors``, each a number, null or absent."""
    names = (*COLUMNS, *predictors)
    # Fields are renamed, since the name of a predictor need not be an identifier.
    fields = [f"column_{i}" for i in range(len(names))]
    return msgspec.defstruct(
        "Observation",
        [("date", datetime.date), *((field, Number, None) for field in fields)],
        rename=dict(zip(fields, names, strict=True)),
        forbid_unknown_fields=True,
        frozen=True,
    )


@dataclass(frozen=True, eq=False)
class Question:
    """A checked sequence."""

    request: Request
    prefix: str  # JSON pointer to the request within the body
    dates: list[datetime.date]  # ascending
    given: Array  # (n, columns), measured, in the units of the request
    values: Array  # the same, metric
    predictors: dict[str, Array]  # name -> (n,), metric; those without any value are left out

    @classmethod
    def of(cls, request: Request, predictors: tuple[str, ...], prefix: str = "") -> "Question":
        """Decode and check a request for a model with ``predictors``. Raises QuestionError, naming each place."""
        known = ", ".join((*COLUMNS, *predictors))
        if request.guidance is not None and GUIDANCE not in predictors:
            raise QuestionError([unknown_field(f"{prefix}/{GUIDANCE}", GUIDANCE, known)])
        dates, table = _days_of(request, predictors, prefix, known)
        given = table[:, : len(COLUMNS)]
        by_name = _predictors_of(request, dict(zip(predictors, table[:, len(COLUMNS) :].T, strict=True)), prefix)
        question = cls(
            request,
            prefix,
            dates,
            given,
            measured_to_metric(given, request.units),
            {name: column(name).to_metric(series, request.units) for name, series in by_name.items()},
        )
        wrong = chain(_out_of_order(dates), question._impossible(by_name))
        errors = list(islice(wrong, MAX_ERRORS))
        if errors:
            raise QuestionError([FieldError(question.place(*where), detail) for where, detail in errors])
        return question

    def recent(self, n: int, predictors: tuple[str, ...]) -> StationDays:
        """Return the last ``n`` calendar days with all ``predictors``; missing values are ``nan``."""
        # In a tenth of the time of an array of dates.
        dates = np.array([date.toordinal() - EPOCH for date in self.dates[-n:]]).astype("M8[D]")
        within = dates > dates[-1] - n * ONE_DAY
        unknown = np.full(len(self.values), np.nan)
        known = {name: self.predictors.get(name, unknown)[-n:][within] for name in predictors}
        return StationDays.on_calendar(dates[within], self.values[-n:][within], known)

    def place(self, index: int, name: str) -> str:
        """Return the JSON pointer to a value, in the form of the request."""
        if name == GUIDANCE and self.request.guidance is not None and index == len(self.dates) - 1:
            return f"{self.prefix}/{GUIDANCE}"
        if self.request.sequence is None:
            return f"{self.prefix}/observations/{index}/{name}"
        return f"{self.prefix}/sequence/{index}/{ROW.index(name)}" if name in ROW else f"{self.prefix}/end_date"

    def place_of(self, date: np.datetime64) -> str:
        """Return the JSON pointer to a day (or the next one given), or to its tmax where that is missing."""
        index = next(i for i, given in enumerate(self.dates) if given >= date.astype(object))
        by_name = self.request.sequence is None
        if np.isnan(self.given[index, TMAX]) or (index and not by_name):
            return self.place(index, "tmax")
        if index:
            return self.place(index, "date")
        return f"{self.prefix}/observations" if by_name else f"{self.prefix}/sequence"

    def digest(self, station: str) -> str:
        """Return the digest of the question, the same for all forms of request."""
        days = [[date, *row] for date, row in zip(self.dates, self.given.tolist(), strict=True)]
        request = self.request
        content: list[Any] = [station, request.units, days, request.levels, request.thresholds]
        if self.predictors:
            content.append({name: series.tolist() for name, series in sorted(self.predictors.items())})
        return f"sha256:{hashlib.sha256(msgspec.json.encode(content)).hexdigest()}"

    def _impossible(self, by_name: dict[str, Array]) -> Iterator[tuple[tuple[int, str], str]]:
        units = self.request.units
        for index, name, reason in impossible(self.values, self.predictors):
            value = self.given[index, COLUMNS.index(name)] if name in COLUMNS else by_name[name][index]
            if reason == TMIN_ABOVE_TMAX:
                if name == "tmin":
                    yield (index, name), f"tmin {value} is above tmax {self.given[index, TMAX]}"
            elif is_spread(name):
                yield (index, name), f"{value} {column(name).unit(units)}: a spread cannot be below 0"
            else:
                unit = column(name).unit(units)
                hint = '; if it is degF, set "units": "us"' if unit == "degC" and value > 0 else ""
                yield (index, name), f"{value} {unit} is not a possible value of {name}{hint}"


def _days_of(
    request: Request, predictors: tuple[str, ...], prefix: str, known: str
) -> tuple[list[datetime.date], Array]:
    """Return the dates, and a table (n, columns + predictors) in the units of the request."""
    rows, end = request.sequence, request.end_date
    kind: Any = list[observation_type(predictors)] | None  # type: ignore[misc]
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
    table = np.full((len(rows), len(COLUMNS) + len(predictors)), np.nan)
    table[:, [COLUMNS.index(name) for name in ROW]] = np.array(rows, dtype=float)
    return [end - datetime.timedelta(days=ago) for ago in reversed(range(len(rows)))], table


def _predictors_of(request: Request, by_name: dict[str, Array], prefix: str) -> dict[str, Array]:
    """Return the predictors that have any value, with the request's own ``guidance`` on the last day."""
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
