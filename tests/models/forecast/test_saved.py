"""The saved state of models: plain content, a round trip, and the rejection of malformed states."""

import copy
import io
from contextlib import suppress

import joblib
import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from app.store.unpickling import load_state
from models.forecast.guidance.guided import GuidedForecaster
from models.forecast.saved import FORMAT, from_state, shared_from_state, to_state
from models.forecast.setup import Setup
from models.forecast.station import StationForecaster
from models.record.split import guidance_rows
from tests.stations import QUICK, guided_days

DELETED = object()
KINDS = ("station", "surrounded", "guided", "shared")


@pytest.fixture(scope="module")
def states(trained, surrounded, guided, shared):
    models = (trained.model, surrounded.model, guided.model, shared)
    return dict(zip(KINDS, map(to_state, models), strict=True))


def load(kind, state):
    return shared_from_state(state) if kind == "shared" else from_state(state)


def dumped(state):
    """Return a state after it was written to a model file and read again, as the store does."""
    file = io.BytesIO()
    joblib.dump(state, file)
    return load_state(file.getvalue())


def nodes(value, path=()):
    """Yield (path, value) of everything in a state."""
    yield path, value
    if isinstance(value, StandardScaler):
        value = {name: getattr(value, name) for name in ("mean_", "scale_")}
    for key, child in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from nodes(child, (*path, key))


def replaced(value, path, new):
    """Return a state with another value, or none, at a path; the given state is unchanged."""
    value, (key, *rest) = copy.copy(value), path
    if isinstance(value, StandardScaler):
        setattr(value, key, new)
    elif rest:
        value[key] = replaced(value[key], rest, new)
    elif new is DELETED:
        del value[key]
    else:
        value[key] = new
    return value


def wrong_types(value):
    """Return values of other types than a value."""
    if isinstance(value, np.ndarray | StandardScaler):
        return (None, 1.5, "text", {}, [], [1.0], ["2024-01-01"])
    if isinstance(value, dict | list):
        return (None, 1.5, "text")
    if value is None:
        return (1.5, "text")
    return (None, [1.5], {}, b"text", 1.5 if isinstance(value, str) else "text")


def malformed(path, value):
    """Yield what must not stand at a path of a state: nothing, another type, nan, or another shape."""
    yield from wrong_types(value)
    optional = path[0] == "recipe" or path == ("guidance",)
    if isinstance(path[-1], str) and not (path[-1].endswith("_") or optional):
        yield DELETED
    if isinstance(value, float):
        yield float("nan")
    if isinstance(value, np.ndarray) and not value.size:
        yield value[None]
    elif isinstance(value, np.ndarray):
        yield np.where(np.arange(value.size).reshape(value.shape) == value.size - 1, np.nan, value)
        yield from (value[..., :-1], value[None]) if path[-1] != "seen" else (value[None],)


@pytest.mark.parametrize("kind", KINDS)
def test_a_malformed_state_raises_a_value_error_and_nothing_else(states, kind):
    """At every place of a state, one after the other."""
    state, accepted, n = states[kind], [], 0
    for path, value in nodes(state):
        for new in malformed(path, value) if path else ():
            n += 1
            with suppress(ValueError):
                load(kind, replaced(state, path, new))
                accepted.append((path, new))
    assert not accepted
    assert n > 250


@pytest.mark.parametrize("kind", KINDS)
def test_another_format_is_rejected(states, kind):
    for found in (1, FORMAT - 1, FORMAT + 1, None, str(FORMAT)):
        message = f"the model has format {found}; this version reads format {FORMAT}: train the station again"
        with pytest.raises(ValueError, match=message):
            load(kind, states[kind] | {"format": found})
    for nothing in ({}, [], None):
        with pytest.raises(ValueError, match="the model has format None"):
            load(kind, nothing)


@pytest.mark.parametrize(
    ("path", "new", "message"),
    [
        (("recipe", "patience"), 8, "malformed"),
        (("recipe", "min_days"), 300, "malformed"),
        (("recipe", "hidden"), 9, "weights do not match its recipe"),
        (("recipe", "members"), 3, "weights do not match its recipe"),
        (("recipe", "guidance", "hidden"), 9, "weights do not match its recipe"),
        (("recipe", "guidance", "folds"), 2, "correctors of guidance do not match the recipe"),
        (("weights", "member2.head.b"), np.zeros(2), "weights do not match its recipe"),
        (("scaler", "scale_"), np.ones(5), "scaler does not match its features"),
        (("calibration",), None, "not calibrated"),
        (("calibration", "errors", "quantiles"), -np.ones((12, 199)).cumsum(axis=1), "do not ascend"),
        (("features", "measured"), ["rain"], "do not match the table of columns"),
        (("features", "measured"), ["tmax", "next_wind"], "do not match the table of columns"),
        (("features", "further", "columns", 0, "normals"), [], "normals do not match its column next_wind"),
        (("features", "further", "columns"), [], "weights do not match its recipe"),
        (("calibration", "widening"), np.zeros((3, 2)), "calibration does not match the table of columns"),
        (("weights", "member0.head.b"), np.zeros(2, complex), "not finite"),
        (("features", "seen"), np.array([366]), "days of the year are invalid"),
        (("features", "seen"), np.array([], int), "days of the year are invalid"),
        (("guidance", "features", "bias"), {}, "correction of guidance is invalid"),
        (("guidance", "shrinkage_weights", "regression"), np.inf, "not finite"),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_inconsistent_values_are_named(states, path, new, message):
    with pytest.raises(ValueError, match=message):
        from_state(replaced(states["guided"], path, new))


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_is_plain_and_unchanged_by_a_round_trip(states, kind):
    """It holds no class of this project; the scaler that comes back is not scikit-learn's."""
    state, plain = states[kind], {dict, list, str, int, float, bool, type(None), np.ndarray, StandardScaler}
    assert {type(value) for _, value in nodes(state)} <= plain
    assert {value.dtype.str[1:] for _, value in nodes(state) if isinstance(value, np.ndarray)} <= {"f4", "f8", "i8"}
    again = to_state(load(kind, dumped(state)))
    found = dict(nodes(again))
    for path, value in nodes(state):
        empty = isinstance(value, np.ndarray) and not value.size  # its strides have no meaning
        assert not empty or (found[path].shape, found[path].dtype) == (value.shape, value.dtype)
        if isinstance(value, StandardScaler) or empty:
            again = replaced(again, path, value)
    assert joblib.hash(again) == joblib.hash(state)


def test_loaded_models_give_identical_quantiles(states, trained, guided, shared, days, days_with_guidance):
    rows = np.arange(1000, 1100)
    for kind, model, record in (("station", trained.model, days), ("guided", guided.model, days_with_guidance)):
        loaded = from_state(dumped(states[kind]))
        assert type(loaded) is type(model) is (GuidedForecaster if kind == "guided" else StationForecaster)
        one, other = (m.predict(record).distribution.quantiles for m in (loaded, model))
        assert one.tobytes() == other.tobytes()
        np.testing.assert_array_equal(loaded.quantiles(record, rows), model.quantiles(record, rows))
    short = guided_days(150, 9)
    one, other = (
        GuidedForecaster.fit(short, guidance_rows(short), guided.model.station_only, Setup(QUICK, shared=corrector))
        for corrector in (shared, shared_from_state(dumped(states["shared"])))
    )
    assert one.used_shared
    rows = np.arange(100, 149)
    np.testing.assert_array_equal(one.quantiles(short, rows), other.quantiles(short, rows))
