"""Health, models, and how the shelf follows the store."""

import io
import time

import joblib
import pytest

from app.settings import Settings, SettingsError
from app.store import Store
from app.web import create_app
from app.web.shelf import NoModel, Shelf
from tests.test_store import flip_a_byte, model_file, replace_model


def test_models(client, store, trained):
    listed = client.get("/models").json
    version = store.champion("hill")
    assert listed == {
        "models": [{"station": "hill", "version": version, "trained_through": trained.manifest.trained_through}]
    }
    model = client.get("/models/hill").json
    assert model["version"] == version
    assert model["columns"] == ["tmax", "tmin", "rain"]
    assert set(model["scores"]) == {"gru", "persistence", "climatology"}
    assert model["span"] == {"first": "2015-01-01", "last": "2018-04-14"}
    assert model["recipe"]["cell"] == "gru"
    assert client.get("/models/nowhere").status_code == 404
    assert client.get("/models/..").status_code == 404


def test_an_empty_store_is_alive_but_not_ready(tmp_path, body):
    client = create_app(Settings(store=tmp_path / "none")).test_client()
    assert client.get("/livez").status_code == 200
    for response in (client.get("/readyz"), client.post("/predict", json=body)):
        assert response.status_code == 503
        assert response.headers["Retry-After"]
    assert client.get("/models").json == {"models": []}


def test_a_first_model_is_served_without_a_restart(tmp_path, body, trained):
    client = create_app(Settings(store=tmp_path / "none")).test_client()
    trained.publish_and_promote(Store(tmp_path / "none"), "test")
    assert client.get("/readyz").status_code == 200
    assert client.post("/predict", json=body).status_code == 200


def test_a_new_champion_is_served_without_a_restart(client, store, body, retrained):
    before = client.post("/predict", json=body).json
    version = retrained.publish_and_promote(store, "newer")
    after = client.post("/predict", json=body).json
    assert after["model"]["version"] == version
    assert after["tmax"] != before["tmax"]
    store.rollback("hill", "test")
    assert client.post("/predict", json=body).json == before


@pytest.mark.parametrize("restarted", [False, True])
def test_the_champion_before_a_damaged_one_keeps_serving(client, store, body, retrained, restarted):
    before = client.post("/predict", json=body).json
    retrained.publish_and_promote(store, "newer")
    flip_a_byte(model_file(store))
    if restarted:
        client = create_app(Settings(store=store.root)).test_client()
    assert client.post("/predict", json=body).json == before
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert "not the one of its manifest" in ready.json["degraded"]["hill"]


@pytest.mark.parametrize("damage", ["no version name\n", "", "20300101T000000Z-00000000\n", "../../x\n"])
def test_a_pointer_to_nothing_leaves_the_champion_before_it(client, store, body, damage):
    before = client.post("/predict", json=body).json
    store.champion_file("hill").write_text(damage)
    assert client.post("/predict", json=body).json == before


def test_what_is_loaded_is_kept_when_nothing_on_the_disk_is_whole(client, store, body):
    before = client.post("/predict", json=body).json
    flip_a_byte(model_file(store))
    (store.root / "hill" / "history.jsonl").write_bytes(b"?\n")
    store.champion_file("hill").write_bytes(b"\xff\xfe")
    assert client.post("/predict", json=body).json == before
    assert "hill" in client.get("/readyz").json["degraded"]


@pytest.mark.parametrize("damage", ["bytes", "folder"])
def test_one_damaged_station_hinders_no_other(store, body, damage):
    (store.root / "dale").mkdir()
    if damage == "bytes":
        (store.root / "dale" / "champion").write_bytes(b"\xff\xfe")
    else:
        (store.root / "dale" / "champion").mkdir()
    (store.root / "server.log").write_text("a file among the stations")
    client = create_app(Settings(store=store.root)).test_client()
    assert client.post("/predict", json=body).status_code == 200
    assert client.post("/predict", json=body | {"station": "dale"}).status_code == 503
    assert client.get("/models/server.log").status_code == 404
    assert [m["station"] for m in client.get("/models").json["models"]] == ["hill"]


def test_a_model_that_cannot_be_loaded_is_not_read_at_every_request(store, body, monkeypatch):
    flip_a_byte(model_file(store))
    client = create_app(Settings(store=store.root)).test_client()
    monkeypatch.setattr(Store, "load", None)  # a further attempt would fail in another way
    response = client.post("/predict", json=body)
    assert response.status_code == 503
    assert str(store.root) not in response.text
    assert "not the one of its manifest" in client.get("/readyz").json["detail"]


def test_a_station_without_a_whole_model_is_not_ready(client, store, body):
    flip_a_byte(model_file(store))
    assert client.get("/readyz").status_code == 200  # what is loaded stays loaded
    fresh = create_app(Settings(store=store.root)).test_client()
    assert fresh.get("/readyz").status_code == 503
    assert "not the one of its manifest" in fresh.get("/readyz").json["detail"]
    assert fresh.post("/predict", json=body).status_code == 503
    assert fresh.get("/models").json == {"models": []}


def test_a_model_that_cannot_forecast_is_not_served(store, trained):
    """Both locks open for it, but its weights are no numbers."""
    state = trained.learned.forecaster.to_state()
    state["weights"] = {name: weights * float("nan") for name, weights in state["weights"].items()}
    buffer = io.BytesIO()
    joblib.dump(state, buffer)
    before = store.champion("hill")
    replace_model(store, buffer.getvalue())
    served = Shelf(store).get("hill")
    assert served.version == before
    assert "not finite numbers" in served.refused


def test_a_model_that_fails_when_it_is_warmed_is_not_served(store, retrained, monkeypatch):
    before = store.champion("hill")
    newer = retrained.publish_and_promote(store, "newer")

    def warm(loaded):
        if loaded.version == newer:
            raise ValueError("cold")

    monkeypatch.setattr("app.web.shelf.Loaded.warm", warm)
    served = Shelf(store).get("hill")
    assert (served.version, served.refused) == (before, "cold")


def test_readiness_makes_a_real_forecast(client, monkeypatch):
    def fail(*_):
        raise ValueError("cold")

    assert client.get("/readyz").status_code == 200
    monkeypatch.setattr("models.forecaster.Forecaster.predict", fail)
    response = client.get("/readyz")
    assert (response.status_code, response.json["detail"]) == (503, "cold")


def test_a_refused_champion_is_tried_again(store, retrained, monkeypatch):
    newer = retrained.publish_and_promote(store, "newer")
    flip_a_byte(model_file(store))
    shelf = Shelf(store)
    assert shelf.get("hill").version != newer
    flip_a_byte(model_file(store))  # the disk is well again
    assert shelf.get("hill").version != newer
    later = time.monotonic() + 60
    monkeypatch.setattr("time.monotonic", lambda: later)
    assert shelf.get("hill").version == newer


def test_a_station_that_is_gone_is_gone(client, store):
    store.champion_file("hill").unlink()
    assert client.get("/models/hill").status_code == 503  # no station is left
    with pytest.raises(NoModel):
        Shelf(store).get("hill")


def test_settings():
    assert Settings.from_env({}) == Settings()
    assert Settings.from_env({"TMAX_WORKERS": "3", "TMAX_STORE": ""}).workers == 3
    for value in ("none", "0", "-2", "1.5"):
        with pytest.raises(SettingsError, match="TMAX_WORKERS must be a whole number of at least 1"):
            Settings.from_env({"TMAX_WORKERS": value})
