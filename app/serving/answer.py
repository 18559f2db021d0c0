"""Answers: the forecast for a question, with its flags and its model."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.serving.believed import flags_of, forecast_from
from app.serving.champions import Champions, NoModel, ServedModel
from app.serving.decoding import UNDECODABLE, decode
from app.serving.errors import FieldError, QuestionError
from app.serving.files import FileQuestion, FileRequest, asked, uploaded
from app.serving.neighbours import Neighbours
from app.serving.question import BatchItem, Question, Request
from models.forecast.belief import Judgement
from models.forecast.distribution import Forecast
from models.record.columns import COLUMNS, Units, from_celsius, to_celsius

MAX_SEQUENCES = 1000


class Interval(msgspec.Struct, frozen=True):
    """The central interval that contains tmax with probability ``level``."""

    level: float
    low: float
    high: float


class Exceedance(msgspec.Struct, frozen=True):
    """The probability that tmax is above ``threshold``."""

    threshold: float
    probability: float


class ModelName(msgspec.Struct, frozen=True):
    """The model that answered."""

    version: str
    digest: str
    trained_through: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
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


class Batch(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Up to 1,000 questions, decoded one by one, so that an invalid one does not affect the others."""

    sequences: Annotated[list[msgspec.Raw], Meta(max_length=MAX_SEQUENCES)]
    neighbours: msgspec.Raw = msgspec.Raw(b"null")  # neighbour -> station-days, for all questions that give none


class IdOnly(msgspec.Struct, frozen=True):
    """The id of a batch item that cannot be answered."""

    id: str | int | None = None


def answer(champions: Champions, body: bytes) -> Answer:
    """Answer one question.

    Raises QuestionError or NotJSON where the question is invalid; StoreError or NoModel where no model can answer it.
    """
    return _answered(champions, asked(body, Request), "", champions.stations)


def answer_file(champions: Champions, content: bytes, query: Mapping[str, Sequence[str]]) -> Answer:
    """Answer the question that a file asks, with the parameters of the ``query``; raises as `answer`."""
    return _answered(champions, uploaded(content, query), "", champions.stations)


def answer_batch(champions: Champions, body: bytes) -> Iterator[tuple[str | int | None, Answer | Exception]]:
    """Answer the questions of a batch one by one: yield the id of each, and its answer or the exception raised.

    One matrix product over all of them would be faster, but its rounding would differ from that of a question alone.

    Raises QuestionError or NotJSON where the body is not a batch.
    """
    batch = decode(body, Batch)
    raws, neighbours = batch.sequences, Neighbours(batch.neighbours)
    stations = functools.cache(champions.stations)  # looked up once, if a question omits its station

    def answers() -> Iterator[tuple[str | int | None, Answer | Exception]]:
        for i, raw in enumerate(raws):
            try:
                request = asked(raw, BatchItem, f"/sequences/{i}")
                found = _answered(champions, request, f"/sequences/{i}", stations, neighbours)
            except Exception as error:  # reported in its place; the others are answered
                yield _id_of(raw), error
            else:
                yield request.id, found

    return answers()


def _answered(
    champions: Champions,
    request: Request | FileRequest,
    prefix: str,
    stations: Callable[[], list[str]],
    neighbours: Neighbours | None = None,
) -> Answer:
    served = champions.get(request.station if request.station is not None else _only(stations(), prefix))
    if isinstance(request, FileRequest):
        question: Question = FileQuestion.read(request, served, prefix)
    else:
        question = Question.of(request, served, prefix, neighbours)
    forecast, judgement = forecast_from(served, question)
    return _described(served, question, judgement, forecast)


def _only(stations: list[str], prefix: str) -> str:
    if not stations:
        raise NoModel("no model has been trained yet")
    if len(stations) > 1:
        detail = f"{len(stations)} stations are served: name one; GET /models lists them"
        raise QuestionError([FieldError(f"{prefix}/station", detail)])
    return stations[0]


def _described(served: ServedModel, question: Question, judgement: Judgement, forecast: Forecast) -> Answer:
    request = question.request

    def temperature(celsius: float) -> float:
        return round(from_celsius(celsius, request.units), 2) + 0.0  # no -0.0

    def exceedance(threshold: float) -> Exceedance:
        return Exceedance(threshold, round(forecast.exceedance(to_celsius(threshold, request.units)), 4))

    return Answer(
        station=served.station,
        issued=str(forecast.issued),
        date=str(forecast.valid),
        tmax=temperature(forecast.tmax),
        intervals=[Interval(level, *map(temperature, forecast.interval(level))) for level in request.levels],
        exceedance=[exceedance(threshold) for threshold in request.thresholds],
        units=request.units,
        flags=[*question.notes, *flags_of(question, judgement), *_flags(served, question, forecast)],
        model=ModelName(served.version, served.manifest.sha256, str(served.model.trained_through)),
        input_digest=question.digest(served),
    )


def _flags(served: ServedModel, question: Question, forecast: Forecast) -> Iterator[str]:
    for date, name in forecast.filled:
        yield f"filled {date} {name}"
    yield from forecast.notes
    if forecast.days < (recommended := served.model.recommended_days):
        yield f"used {forecast.days} days of the {recommended} recommended"
    known: Any = (question.given == question.given).any(axis=0)  # not nan
    given = [*(name for name, is_known in zip(COLUMNS, known, strict=True) if is_known), *question.further_given]
    for name in given:
        if name not in served.model.columns:
            yield f"ignored {name}: too few training days have it"
    n, highest = forecast.distribution.n, forecast.distribution.highest_level
    for level in question.request.levels:
        if level > highest:
            yield f"level {level:g} is too high to calibrate with {n} errors"


def _id_of(raw: msgspec.Raw) -> str | int | None:
    try:
        return msgspec.json.decode(raw, type=IdOnly).id
    except UNDECODABLE:
        return None
