"""A station's store: publishing, loading, promotion, rollback, and the lock between writers."""

import fcntl
import threading

import joblib
import msgspec
import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from app.serving.champions import Champions
from app.settings import Settings
from app.store import StoreError
from app.store.integrity import verify
from app.store.unpickling import ArtefactRefused
from app.web import create_app
from models.forecast.saved import FORMAT
from models.record.days import StationDays
from tests.app.store.ageing import NOW, set_clock
from tests.damage import flip_a_byte, model_file
from tests.stations import observations


def test_loaded_model_is_the_published_one(hill, trained):
    state, manifest = hill.load(hill.champion())
    for name, weights in trained.model.weights.items():
        np.testing.assert_array_equal(state["weights"][name], weights)
    assert msgspec.structs.replace(manifest, sha256="") == trained.manifest


def test_joblib_loads_plain_arrays_and_the_real_scaler(store):
    """As in a notebook, without this project."""
    state = joblib.load(model_file(store))
    assert isinstance(state, dict)
    assert isinstance(state["scaler"], StandardScaler)
    assert state["scaler"].transform(np.zeros((2, 7))).shape == (2, 7)
    assert state["format"] == FORMAT
    assert {type(w) for w in state["weights"].values()} == {np.ndarray}


def test_damaged_versions_are_refused_and_never_promoted(store, hill, publish):
    champion, version = hill.champion(), publish(hill)
    model = model_file(store, version)
    flip_a_byte(model)
    for use in (hill.load, lambda name: hill.promote(name, "test")):
        with pytest.raises(ArtefactRefused, match="does not match its manifest"):
            use(version)
    assert hill.champion() == champion
    assert [entry.version for entry in hill.history()] == [champion]
    flip_a_byte(model)
    # The digest must be that of the manifest, and that of the name.
    manifest = model.with_name("manifest.json")
    sound = manifest.read_bytes()
    manifest.write_bytes(sound.replace(version[-8:].encode(), b"00000000"))
    with pytest.raises(ArtefactRefused, match="does not match its manifest"):
        hill.load(version)
    manifest.write_bytes(sound)
    renamed = hill.folder / "versions" / "20300101T000000Z-00000000"
    model.parent.rename(renamed)
    with pytest.raises(ArtefactRefused, match="does not match its manifest"):
        hill.load(renamed.name)
    # A manifest that can't be read.
    for content in (b"", b"{}", b"[]", b"\xff\xfe", b'{"format": 1'):
        (renamed / "manifest.json").write_bytes(content)
        with pytest.raises(ArtefactRefused, match=f"^manifest of hill {renamed.name}: "):
            hill.load(renamed.name)


def test_forecasts_depend_on_the_model_file_alone(store, days):
    """Of the manifest, only the digest is used; the rest is for people."""
    before = Champions(store).get("hill").model.predict(StationDays(days.dates[-14], days.values[-14:]))
    path = model_file(store).with_name("manifest.json")
    manifest = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode(manifest | {"recipe": {"window": 3}, "trained_through": "1999-01-01"}))
    client = create_app(Settings(store=store.root)).test_client()
    described = client.get("/models/hill").json
    assert described["trained_through"] == str(days.last)
    assert described["window"] == {"min_days": 7, "recommended_days": 14}
    answer = client.post("/predict", json={"observations": observations(days)}).json
    assert answer["tmax"] == round(before.tmax, 2)


def test_only_a_state_that_can_be_loaded_is_published(hill):
    """A loaded state has a stand-in for the scaler, which no notebook could load."""
    state, manifest = hill.load(hill.champion())
    with pytest.raises(ArtefactRefused, match="ScalerState"):
        hill.publish(state, manifest)
    assert len(hill.versions()) == 1


def test_same_model_within_a_second_is_one_version(hill, publish, monkeypatch):
    set_clock(monkeypatch, lambda: NOW)
    assert len({publish(hill) for _ in range(3)}) == 1
    assert len(hill.versions()) == 2
    assert verify(hill) == []


def test_history_tells_every_promotion_and_rollback(hill, publish):
    first, second = hill.champion(), publish(hill)
    hill.promote(second, "newer")
    assert hill.lineage() == [second, first]
    assert hill.rollback("it was worse") == hill.champion() == first
    with pytest.raises(StoreError, match="no earlier champion to roll back to"):
        hill.rollback("again")
    hill.promote(second, "after all")
    assert [(e.action, e.version, e.over, e.reason) for e in hill.history()] == [
        ("promote", first, None, "test"),
        ("promote", second, first, "newer"),
        ("rollback", first, second, "it was worse"),
        ("promote", second, first, "after all"),
    ]
    assert all(e.digest == hill.manifest(e.version).sha256 for e in hill.history())
    assert verify(hill) == []


def test_promotion_over_a_stated_champion(store, publish):
    """Another writer may have promoted between the look at the champion and the promotion over it."""
    dale = store.station("dale")
    first, second = publish(dale, 0), publish(dale, 1)
    with pytest.raises(StoreError, match="has changed meanwhile"):
        dale.promote(first, "test", over="20300101T000000Z-00000000")
    dale.promote(first, "test", over=None)
    with pytest.raises(StoreError, match="has changed meanwhile"):
        dale.promote(second, "test", over=None)
    assert dale.champion() == first
    dale.promote(second, "test", over=first)
    assert dale.champion() == second


def test_writer_waits_for_the_lock_of_another(hill, publish):
    before, version = hill.champion(), publish(hill)
    writer = threading.Thread(target=hill.promote, args=(version, "test"))
    with (hill.folder / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        writer.start()
        writer.join(0.2)
        assert writer.is_alive()
        assert hill.champion() == before
    writer.join(10)
    assert hill.champion() == version


def test_two_writers_and_a_verifier_at_once(store, hill, publish):
    """Every promotion of both is in one unbroken history; the verifier raises no false alarm meanwhile."""

    def promote_five_times(which):
        for _ in range(5):
            hill.promote(publish(hill, which), "test")

    writers = [threading.Thread(target=promote_five_times, args=(which,)) for which in (0, 1)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert verify(hill) == []
        assert not Champions(store).get("hill").refused
    assert len(hill.history()) == 11
    assert verify(hill) == []
