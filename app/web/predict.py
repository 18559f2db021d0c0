"""``POST /predict`` and ``POST /predict/batch``."""

import hashlib

import msgspec
import numpy as np
from flask import Blueprint, Response, request

from app.web.bodies import read_json_body
from app.web.errors import FieldError, Problem, ProblemBody, from_exception, invalid
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
    decode,
    observations_of,
)
from app.web.shelf import Loaded, NoModel, Shelf
from models.forecaster import Forecast, SequenceError
from models.station_days import COLUMNS, StationDays, Units, from_celsius, to_celsius, to_metric

JSON = "application/json"


def blueprint(shelf: Shelf, max_body_bytes: int) -> Blueprint:
    """Return the two routes."""
    routes = Blueprint("predict", __name__)

    @routes.post("/predict")
    def predict() -> Response:
        asked = decode(read_json_body(max_body_bytes), PredictRequest)
        return Response(msgspec.json.encode(answer(shelf, asked)), content_type=JSON)

    @routes.post("/predict/batch")
    def batch() -> Response:
        asked = decode(read_json_body(max_body_bytes), BatchRequest)
        # One by one: the same sequence gives the same bytes here as alone, which a joint product would not promise.
        forecasts = [_in_batch(shelf, raw, f"/sequences/{i}") for i, raw in enumerate(asked.sequences)]
        return Response(msgspec.json.encode({"forecasts": forecasts}), content_type=JSON)

    return routes


def answer(shelf: Shelf, asked: PredictRequest, prefix: str = "") -> ForecastAnswer:
    """Forecast one sequence.

    Parameters
    ----------
    prefix : pointer to the sequence within the body

    Raises
    ------
    Problem, StoreError, NoModel : what `app.web.errors` has a status for
    """
    observations = observations_of(asked, prefix)
    loaded = shelf.get(asked.station if asked.station is not None else _only_station(shelf, prefix))
    days = _station_days(observations, asked.units, loaded.manifest.window.recommended_days)
    try:
        forecast = loaded.forecaster.predict(days)
    except SequenceError as error:
        raise invalid([FieldError(prefix + _pointer(error, asked, observations), str(error))]) from None
    return _described(loaded, asked, observations, forecast)


def _in_batch(shelf: Shelf, raw: msgspec.Raw, prefix: str) -> ForecastAnswer | ProblemBody:
    identity: str | int | None = None
    try:
        try:
            asked = decode(raw, BatchSequence, prefix)
        except Problem:
            identity = _id_of(raw)
            raise
        identity = asked.id
        found = answer(shelf, asked, prefix)
    except Exception as error:  # its place in the batch is answered; the others are not touched
        return from_exception(error).body(f"{request.path}#{prefix}", identity)
    return found if identity is None else msgspec.structs.replace(found, id=identity)


def _id_of(raw: msgspec.Raw) -> str | int | None:
    try:
        return msgspec.json.decode(raw, type=IdOnly).id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _only_station(shelf: Shelf, prefix: str) -> str:
    stations = shelf.stations()
    if not stations:
        raise NoModel("no model has been trained yet")
    if len(stations) > 1:
        detail = f"{len(stations)} stations are served: say which; GET /models lists them"
        raise invalid([FieldError(f"{prefix}/station", detail)])
    return stations[0]


def _station_days(observations: list[Observation], units: Units, window: int) -> StationDays:
    """Lay the last ``window`` days on the calendar; what is older is never looked at."""
    recent = observations[-window:]
    dates = np.array([day.date for day in recent], dtype="M8[D]")
    values = np.array([(day.tmax, day.tmin, day.rain) for day in recent], dtype=float)
    within = dates > dates[-1] - window
    return StationDays.on_calendar(dates[within], to_metric(values[within], units))


def _pointer(error: SequenceError, asked: PredictRequest, observations: list[Observation]) -> str:
    """Return where in the body an error shows: at its day, else at the first day after the hole that it is in."""
    by_name = asked.sequence is None
    name = "observations" if by_name else "sequence"
    day = error.date.astype(object)
    index = next(i for i, observation in enumerate(observations) if observation.date >= day)
    if observations[index].tmax is None:
        return f"/{name}/{index}/{'tmax' if by_name else 0}"
    if index == 0:
        return f"/{name}"
    return f"/{name}/{index}/{'date' if by_name else 0}"


def _described(
    loaded: Loaded, asked: PredictRequest, observations: list[Observation], forecast: Forecast
) -> ForecastAnswer:
    def temperature(celsius: float) -> float:
        return round(from_celsius(celsius, asked.units), 2) + 0.0  # no -0.0

    flags = [f"filled {date} {column}" for date, column in forecast.filled]
    flags += [f"not used {column}: too seldom observed when trained" for column in _unused(loaded, observations)]
    return ForecastAnswer(
        station=loaded.station,
        issued=str(forecast.issued),
        date=str(forecast.valid),
        tmax=temperature(forecast.tmax),
        intervals=[Interval(level, *map(temperature, forecast.interval(level))) for level in asked.levels],
        exceedance=[Exceedance(t, round(forecast.exceedance(to_celsius(t, asked.units)), 4)) for t in asked.thresholds],
        units=asked.units,
        flags=flags,
        model=ModelName(loaded.version, loaded.manifest.sha256, loaded.manifest.trained_through),
        input_digest=_digest(loaded.station, asked, observations),
    )


def _unused(loaded: Loaded, observations: list[Observation]) -> list[str]:
    return [
        column
        for column in COLUMNS
        if column not in loaded.forecaster.columns and any(getattr(day, column) is not None for day in observations)
    ]


def _digest(station: str, asked: PredictRequest, observations: list[Observation]) -> str:
    """Return the digest of what was asked, whichever of its forms it came in."""
    days = [msgspec.structs.astuple(day) for day in observations]
    content = msgspec.json.encode([station, asked.units, days, asked.levels, asked.thresholds])
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
