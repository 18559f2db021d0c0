"""What comes in and what goes out, as types."""

import datetime
import functools
from typing import Annotated, Any, ClassVar, TypeVar, cast

import msgspec
from msgspec import Meta

from models.station_days import Units

MAX_SEQUENCES = 1000

Level = Annotated[float, Meta(ge=0.05, le=0.99)]


class Observation(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A station-day in the units of the request."""

    date: datetime.date
    tmax: float | None = None
    tmin: float | None = None
    rain: float | None = None


class PredictRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One sequence: ``observations``, or ``sequence`` (rows of tmax, tmin, rain) with ``end_date``.

    Attributes
    ----------
    guidance : somebody's forecast of tomorrow's tmax: the ``guidance`` of the last day
    predictors : what else an observation may carry, in the order of its fields; see `with_predictors`
    """

    predictors: ClassVar[tuple[str, ...]] = ()

    station: str | None = None
    units: Units = "metric"
    observations: list[Observation] | None = None
    sequence: list[tuple[float | None, float | None, float | None]] | None = None
    end_date: datetime.date | None = None
    guidance: float | None = None
    levels: Annotated[tuple[Level, ...], Meta(max_length=100)] = (0.8, 0.9)
    thresholds: Annotated[tuple[float, ...], Meta(max_length=100)] = ()


class BatchSequence(PredictRequest, frozen=True, kw_only=True):
    """One sequence of a batch, with a name of the client's choice."""

    id: str | int | None = None


Request = TypeVar("Request", bound=PredictRequest)


@functools.lru_cache(maxsize=256)
def with_predictors(kind: type[Request], predictors: tuple[str, ...]) -> type[Request]:
    """Return a kind of request whose observations may carry ``predictors`` too, a number or null each."""
    if not predictors:
        return kind
    # A field has a name of its own: what a column of somebody's file is called need not do for one.
    fields = [f"predictor_{i}" for i in range(len(predictors))]
    observation: Any = msgspec.defstruct(
        Observation.__name__,
        [(field, float | None, None) for field in fields],
        bases=(Observation,),
        rename=dict(zip(fields, predictors, strict=True)),
        frozen=True,
    )
    wider: Any = msgspec.defstruct(
        kind.__name__,
        [("observations", list[observation] | None, None)],
        bases=(kind,),
        namespace={"predictors": predictors},
        frozen=True,
        kw_only=True,
    )
    return cast(type[Request], wider)


class StationOnly(msgspec.Struct, frozen=True):
    """What is read of a request to find out what its observations may carry."""

    station: str | None = None


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
