"""Champions without a store, a model that keeps what it was given, and how to ask them."""

import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from app.serving.answer import Answer, answer, answer_batch
from app.serving.champions import ServedModel
from app.serving.errors import NotJSON, QuestionError
from app.store import StoreError
from models.record.columns import COLUMNS

FURTHER = ("next_wind", "guidance", "guidance_spread")  # columns of the guided model of the session


class FakeChampions:
    """Serves given models, without a store."""

    def __init__(self, manifest, **models):
        self.manifest, self.models, self.listed = manifest, models, 0

    def stations(self):
        self.listed += 1
        return sorted(self.models)

    def get(self, station):
        if station not in self.models:
            raise StoreError(f"station {station!r} is not served")
        return ServedModel(station, "v1", self.models[station], self.manifest)


class Spy:
    """A model with any columns, the last values of whose further ones shift its forecast; keeps the days given."""

    def __init__(self, model, further=(), measured=COLUMNS):
        self.model, self.further, self.columns = model, tuple(further), (*measured, *further)
        self.neighbours = {}
        self.recipe, self.recommended_days = model.recipe, model.recommended_days
        self.trained_through, self.station_only = model.trained_through, model.station_only
        self.seen = []

    def predict(self, days):
        assert tuple(days.further) == self.further
        self.seen.append(days)
        forecast = self.model.predict(days)
        last = np.array([series[-1] for series in days.further.values()])
        shifted = replace(forecast.distribution, quantiles=forecast.distribution.quantiles + np.nansum(last))
        missing = [name for name, value in zip(self.further, last, strict=True) if np.isnan(value)]
        return replace(forecast, distribution=shifted, notes=(f"without {', '.join(missing)}",) if missing else ())


def encoded(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def ask(champions, body):
    """Return the answer as JSON values."""
    return msgspec.to_builtins(answer(champions, encoded(body)))


def ask_batch(champions, *requests):
    """Return for each request its id, and its answer or the exception raised."""
    return list(answer_batch(champions, encoded({"sequences": requests})))


def refusal(champions, body):
    """Return the errors of a question that is refused: pointer -> detail."""
    with pytest.raises((QuestionError, NotJSON)) as caught:
        answer(champions, encoded(body))
    return {error.pointer: error.detail for error in caught.value.errors}


def refusal_in_batch(champions, before, body):
    """The same for a question that follows another in a batch; a NaN refuses the whole batch."""
    try:
        (_, first), (_, found) = ask_batch(champions, before, body)
        assert isinstance(first, Answer)
    except QuestionError as error:
        found = error
    return {error.pointer: error.detail for error in found.errors}
