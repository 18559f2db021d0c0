"""``POST /predict`` and ``POST /predict/batch``."""

import functools
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec
import numpy as np
from flask import Blueprint, Response, request

from app.web.bodies import read_json_body
from app.web.errors import FieldError, ProblemBody, from_exception, invalid
from app.web.reading import UNDECODABLE, CarriesMore, decode, not_known, place, station_days_of
from app.web.schema import (
    BatchRequest,
    BatchSequence,
    Exceedance,
    ForecastAnswer,
    IdOnly,
    Interval,
    ModelName,
    Observation,
    PredictRequest,
    Request,
    StationOnly,
    with_predictors,
)
from app.web.shelf import Loaded, NoModel, Shelf
from models.forecast import Forecast, SequenceError
from models.formats import Served
from models.nn import Array
from models.predictors import GUIDANCE
from models.station_days import COLUMNS, ONE_DAY, StationDays, from_celsius, to_celsius

JSON = "application/json"
Stations: TypeAlias = Callable[[], list[str]]


def blueprint(shelf: Shelf, max_body_bytes: int) -> Blueprint:
    """Return the two routes."""
    routes = Blueprint("predict", __name__)

    @routes.post("/predict")
    def predict() -> Response:
        asked, loaded = read(shelf, read_json_body(max_body_bytes), PredictRequest, shelf.stations)
        return Response(msgspec.json.encode(answer(shelf, asked, loaded, shelf.stations)), content_type=JSON)

    @routes.post("/predict/batch")
    def batch() -> Response:
        asked = decode(read_json_body(max_body_bytes), BatchRequest)
        stations = functools.cache(shelf.stations)  # looked up once, and only if a sequence leaves its station out
        # One by one: the same sequence gives the same bytes here as alone, which a joint product would not promise.
        forecasts = [_in_batch(shelf, raw, stations, f"/sequences/{i}") for i, raw in enumerate(asked.sequences)]
        return Response(msgspec.json.encode({"forecasts": forecasts}), content_type=JSON)

    return routes


def read(
    shelf: Shelf, body: bytes | msgspec.Raw, kind: type[Request], stations: Stations, prefix: str = ""
) -> tuple[Request, Loaded | None]:
    """Decode a request, and where its model has a say in that, load it: the one that is to answer.

    Parameters and what it raises are those of `answer`.
    """
    try:
        return decode(body, kind, prefix), None
    except CarriesMore:
        loaded = _model(shelf, decode(body, StationOnly, prefix).station, stations, prefix)
        predictors = loaded.forecaster.predictors
        return decode(body, with_predictors(kind, predictors), prefix, COLUMNS + predictors), loaded


def answer(
    shelf: Shelf, asked: PredictRequest, loaded: Loaded | None, stations: Stations, prefix: str = ""
) -> ForecastAnswer:
    """Forecast one sequence.

    Parameters
    ----------
    loaded : the model, where `read` has loaded it
    stations : called for the names of all stations where the request has none
    prefix : pointer to the sequence within the body

    Raises
    ------
    Problem, StoreError, NoModel : what `app.web.errors` has a status for
    """
    observations, values, predictors = station_days_of(asked, prefix)
    loaded = loaded or _model(shelf, asked.station, stations, prefix)
    if asked.guidance is not None and GUIDANCE not in loaded.forecaster.predictors:
        wrong = FieldError(f"{prefix}/{GUIDANCE}", f"Object contains unknown field `{GUIDANCE}`")
        raise invalid([not_known(wrong, COLUMNS + loaded.forecaster.predictors)])
    days = _recent(observations, values, predictors, loaded.forecaster)
    try:
        forecast = loaded.forecaster.predict(days)
    except SequenceError as error:
        raise invalid([FieldError(prefix + _pointer(error, asked, observations), str(error))]) from None
    return _described(loaded, asked, observations, predictors, forecast)


def _in_batch(shelf: Shelf, raw: msgspec.Raw, stations: Stations, prefix: str) -> ForecastAnswer | ProblemBody:
    try:
        asked, loaded = read(shelf, raw, BatchSequence, stations, prefix)
        found = answer(shelf, asked, loaded, stations, prefix)
    except Exception as error:  # its place in the batch is answered; the others are not touched
        return from_exception(error).body(request.path, _id_of(raw))
    return found if asked.id is None else msgspec.structs.replace(found, id=asked.id)


def _id_of(raw: msgspec.Raw) -> str | int | None:
    try:
        return msgspec.json.decode(raw, type=IdOnly).id
    except UNDECODABLE:
        return None


def _model(shelf: Shelf, station: str | None, stations: Stations, prefix: str) -> Loaded:
    return shelf.get(station if station is not None else _only(stations(), prefix))


def _only(stations: list[str], prefix: str) -> str:
    if not stations:
        raise NoModel("no model has been trained yet")
    if len(stations) > 1:
        detail = f"{len(stations)} stations are served: say which; GET /models lists them"
        raise invalid([FieldError(f"{prefix}/station", detail)])
    return stations[0]


def _recent(
    observations: list[Observation], values: Array, predictors: Mapping[str, Array], forecaster: Served
) -> StationDays:
    """Lay the days that a model looks at on the calendar, with all of its predictors, given or not."""
    window = max(forecaster.recipe.recommended_days, forecaster.recommended_days)
    dates = np.array([day.date for day in observations[-window:]], dtype="M8[D]")
    within = dates > dates[-1] - window * ONE_DAY
    not_given = np.full(len(values), np.nan)
    known = {name: predictors.get(name, not_given)[-window:][within] for name in forecaster.predictors}
    return StationDays.on_calendar(dates[within], values[-window:][within], known)


def _pointer(error: SequenceError, asked: PredictRequest, observations: list[Observation]) -> str:
    """Return where in the body an error shows: at its day, else at the first day after the hole that it is in."""
    day = error.date.astype(object)
    index = next(i for i, observation in enumerate(observations) if observation.date >= day)
    by_name = asked.sequence is None
    if observations[index].tmax is None or (index and not by_name):
        return place(asked, index, "tmax")
    if index:
        return place(asked, index, "date")
    return "/observations" if by_name else "/sequence"


def _described(
    loaded: Loaded,
    asked: PredictRequest,
    observations: list[Observation],
    predictors: Mapping[str, Array],
    forecast: Forecast,
) -> ForecastAnswer:
    def temperature(celsius: float) -> float:
        return round(from_celsius(celsius, asked.units), 2) + 0.0  # no -0.0

    flags = [f"filled {date} {column}" for date, column in forecast.filled]
    flags += forecast.notes
    if forecast.days < (recommended := loaded.forecaster.recommended_days):
        flags.append(f"used {forecast.days} days of the {recommended} recommended")
    flags += [f"not used {column}: too seldom observed when trained" for column in _unused(loaded, observations)]
    flags += [
        f"level {level:g} rests on {forecast.odds.n} errors, too few for it"
        for level in asked.levels
        if level > forecast.odds.highest_level
    ]
    return ForecastAnswer(
        station=loaded.station,
        issued=str(forecast.issued),
        date=str(forecast.valid),
        tmax=temperature(forecast.tmax),
        intervals=[Interval(level, *map(temperature, forecast.interval(level))) for level in asked.levels],
        exceedance=[Exceedance(t, round(forecast.exceedance(to_celsius(t, asked.units)), 4)) for t in asked.thresholds],
        units=asked.units,
        flags=flags,
        model=ModelName(loaded.version, loaded.manifest.sha256, str(loaded.forecaster.trained_through)),
        input_digest=_digest(loaded.station, asked, observations, predictors),
    )


def _unused(loaded: Loaded, observations: list[Observation]) -> list[str]:
    return [
        column
        for column in COLUMNS
        if column not in loaded.forecaster.columns and any(getattr(day, column) is not None for day in observations)
    ]


def _digest(
    station: str, asked: PredictRequest, observations: list[Observation], predictors: Mapping[str, Array]
) -> str:
    """Return the digest of what was asked, whichever of its forms it came in."""
    own = len(Observation.__struct_fields__)
    days = [msgspec.structs.astuple(day)[:own] for day in observations]
    content: list[Any] = [station, asked.units, days, asked.levels, asked.thresholds]
    if predictors:
        content.append({name: column.tolist() for name, column in sorted(predictors.items())})
    return f"sha256:{hashlib.sha256(msgspec.json.encode(content)).hexdigest()}"
