"""Champions: loading, refusing and replacing models while they are served."""

import io
import time

import joblib
import numpy as np
import pytest

from app.serving.champions import RETRY_SECONDS, Champions, NoModel, ServedModel
from app.store import Store, StoreError
from app.store.station import StationStore
from models.forecast.saved import to_state
from tests.app.serving.fakes import FURTHER, Spy
from tests.damage import flip_a_byte, model_file, replace_model
from tests.stations import QUICK


@pytest.fixture
def champions(store):
    """Champions that have loaded the station ``hill``."""
    found = Champions(store)
    found.load_all()
    return found


@pytest.fixture
def version(store):
    """The version of ``hill`` that is served before a test changes anything."""
    return store.station("hill").champion()


def test_promotions_and_rollbacks_are_followed(tmp_path, trained, guided):
    """From no model to a first one, to one with guidance and back, without a restart."""
    store = Store(tmp_path / "later")
    champions, station = Champions(store), store.station("hill")
    champions.load_all()
    with pytest.raises(NoModel, match="no model has been trained yet"):
        champions.get("hill")
    first = trained.promote_in(store, "first")
    assert champions.get("hill").manifest == station.manifest(first)
    newer = guided.promote_in(store, "newer")
    found = champions.get("hill")
    assert (found.version, found.further, found.refused) == (newer, FURTHER, "")
    assert champions.get("hill") is found
    station.rollback("test")
    assert (champions.get("hill").version, champions.stations()) == (first, ["hill"])
    for name in ("nowhere", "..", "hill/x"):
        with pytest.raises(StoreError, match=r"is not served; GET /models lists the stations|is not a station name"):
            champions.get(name)
    station.champion_file.unlink()
    with pytest.raises(NoModel, match="no model has been trained yet"):
        champions.get("hill")


@pytest.mark.parametrize("restarted", [False, True])
def test_champion_before_a_damaged_one_is_served(champions, store, version, retrained, restarted):
    retrained.promote_in(store, "newer")
    flip_a_byte(model_file(store))
    found = (Champions(store) if restarted else champions).get("hill")
    assert (found.version, "does not match its manifest" in found.refused) == (version, True)


def test_loaded_model_is_kept_when_nothing_can_be_read(champions, store, version):
    """First the pointer is damaged, then all files are, then the disk does not answer: the pointer is a loop."""
    station = store.station("hill")
    for pointer in (b"no version name\n", b"", b"20300101T000000Z-00000000\n", b"../../x\n", b"\xff\xfe"):
        station.champion_file.write_bytes(pointer)
        found = champions.get("hill")
        assert (found.version, bool(found.refused)) == (version, True)
    flip_a_byte(model_file(store, version))
    (station.folder / "history.jsonl").write_bytes(b"?\n")
    station.champion_file.write_bytes(b"\xff\n")
    assert champions.get("hill").version == version
    station.champion_file.unlink()
    station.champion_file.symlink_to(station.champion_file)
    assert champions.get("hill").version == version


@pytest.mark.parametrize("damage", ["bytes", "folder"])
def test_damage_of_one_station_leaves_the_others_served(store, damage, caplog):
    pointer = store.root / "dale" / "champion"
    pointer.parent.mkdir()
    pointer.mkdir() if damage == "folder" else pointer.write_bytes(b"\xff\xfe")
    (store.root / "server.log").write_text("a file among the stations")
    champions = Champions(store)
    champions.load_all()
    assert "dale" in caplog.text
    assert champions.get("hill")
    with pytest.raises(NoModel, match="no model of station 'dale' can be loaded at present"):
        champions.get("dale")
    with pytest.raises(StoreError):
        champions.get("server.log")


def test_refused_models_are_read_again_after_a_while_only(store, version, retrained, monkeypatch):
    newer = retrained.promote_in(store, "newer")
    for damaged in (version, newer):
        flip_a_byte(model_file(store, damaged))
    champions, loads, load = Champions(store), [], StationStore.load
    monkeypatch.setattr(StationStore, "load", lambda *of: loads.append(of) or load(*of))
    for _ in range(3):
        with pytest.raises(NoModel) as caught:
            champions.get("hill")
        # The reason may name files, and is for operators.
        assert str(caught.value) == "no model of station 'hill' can be loaded at present"
        assert "does not match its manifest" in caught.value.reason
    assert len(loads) == 2
    flip_a_byte(model_file(store, newer))  # the disk has recovered
    with pytest.raises(NoModel):
        champions.get("hill")
    later = time.monotonic() + RETRY_SECONDS + 1
    monkeypatch.setattr("time.monotonic", lambda: later)
    assert (champions.get("hill").version, champions.get("hill").refused) == (newer, "")


def test_model_that_cannot_forecast_is_refused(store, version, trained, retrained, monkeypatch):
    """Its file matches its manifest, but its weights are not finite, or its forecast fails or is not finite."""
    state = to_state(trained.model)
    state["weights"] = {name: weights * np.nan for name, weights in state["weights"].items()}
    content = io.BytesIO()
    joblib.dump(state, content)
    replace_model(store, content.getvalue())
    found = Champions(store).get("hill")
    assert (found.version, found.refused) == (version, "the model holds values that are not finite numbers")

    newer, warm = retrained.promote_in(store, "newer"), ServedModel.warm
    monkeypatch.setattr(ServedModel, "warm", lambda served: 1 / 0 if served.version == newer else warm(served))
    found = Champions(store).get("hill")
    assert (found.version, found.refused.split(";")[0]) == (version, "division by zero")

    blind = Spy(trained.model, ["guidance"])
    blind.predict = lambda _: type("Forecast", (), {"tmax": np.nan})
    with pytest.raises(ValueError, match="model v1 of station hill: its forecast is not a finite number"):
        warm(ServedModel("hill", "v1", blind, trained.manifest))


def test_model_is_warmed_with_further_columns_and_without(trained):
    spy = Spy(trained.model, FURTHER)
    ServedModel("hill", "v1", spy, trained.manifest).warm()
    known, unknown = spy.seen
    assert len(known) == len(unknown) == QUICK.min_days
    assert all((series == 0).all() for series in known.further.values())
    assert all(np.isnan(series).all() for series in unknown.further.values())
