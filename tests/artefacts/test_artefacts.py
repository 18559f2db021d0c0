"""The stored model: a model file of the present format loads and forecasts the expected numbers."""

import msgspec
import numpy as np
import pytest

from app.serving.champions import Champions, NoModel
from app.store import Store
from app.store.integrity import verify
from models.forecast.saved import FORMAT, from_state, to_state
from models.record.days import StationDays
from tests.artefacts.__main__ import FOLDER

REMEDY = (
    "the stored model of tests/artefacts no longer gives its forecast: if the state changed, raise FORMAT in "
    "models/forecast/saved.py and run `python -m tests.artefacts`; otherwise the change alters the forecasts of models "
    "in use"
)


@pytest.fixture
def stored():
    station = Store(FOLDER / "store", read_only=True).station("hill")
    return station.load(station.champion())


def shape(state):
    """Return the keys of a state at every level, and the kinds of its values."""
    if isinstance(state, dict):
        return {name: shape(value) for name, value in state.items()}
    if isinstance(state, list):
        return [shape(value) for value in state]
    return "array" if isinstance(state, np.ndarray) else type(state).__name__.replace("64", "")


def test_stored_model_gives_the_expected_forecast(stored):
    state, manifest = stored
    expected = msgspec.json.decode((FOLDER / "expected.json").read_bytes())
    dates, values = np.array(expected["dates"], dtype="M8[D]"), np.array(expected["values"], dtype=float)
    further = {name: np.array(series, dtype=float) for name, series in expected["further"].items()}
    try:
        model = from_state(state)
        forecast = model.predict(StationDays.on_calendar(dates, values, further))
    except Exception as error:
        pytest.fail(f"{REMEDY}\n{error!r}")
    assert manifest.format == state["format"] == FORMAT, REMEDY
    # A field that is only in the state, or only in the program, changes the format too.
    assert shape(to_state(model)) == shape(state), REMEDY
    numbers = [forecast.tmax, *forecast.interval(0.9)]
    assert numbers == pytest.approx([expected["tmax"], *expected["interval_90"]], abs=1e-4), REMEDY


def test_model_of_another_format_is_reported_and_not_served(tmp_path, trained):
    message = f"the model has format {FORMAT - 1}; this version reads format {FORMAT}: train the station again"
    store = Store(tmp_path)
    hill = store.station("hill")
    hill.promote(hill.publish(to_state(trained.model) | {"format": FORMAT - 1}, trained.manifest), "test")
    assert verify(hill) == [f"hill {hill.champion()}: {message}"]
    with pytest.raises(NoModel) as refused:
        Champions(store).get("hill")
    assert refused.value.reason == message
