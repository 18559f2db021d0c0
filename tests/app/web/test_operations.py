"""Routes for operators: liveness, readiness and the served models."""

from app.settings import Settings
from app.web import create_app
from models.nn.compiled import steps
from tests.damage import flip_a_byte, model_file
from tests.stations import QUICK


def test_models_are_listed_and_described(client, store, trained, guided, surrounded):
    plain = client.get("/models/hill").json
    version, manifest = store.station("hill").champion(), trained.manifest
    listed = {"station": "hill", "version": version, "trained_through": manifest.trained_through}
    assert client.get("/models").json == {"models": [listed]}
    assert listed.items() <= plain.items()
    assert plain["digest"].startswith(f"sha256:{version[-8:]}")
    assert plain["span"] == {"first": "2015-01-01", "last": "2018-04-14"}
    assert set(plain["scores"]) == {"gru", "persistence", "climatology"}
    assert plain["window"] == {"min_days": QUICK.min_days, "recommended_days": QUICK.recommended_days}
    assert plain["columns"] == plain["columns_used"] == ["tmax", "tmin", "rain"]
    assert (plain["neighbours"], plain["neighbour_columns"]) == ([], {})
    assert plain["units"] == {"tmax": "degC", "tmin": "degC", "rain": "mm"}
    assert (plain["recipe"]["cell"], plain["steps"]) == ("gru", steps())

    guided.promote_in(store, "guidance")
    model = client.get("/models/hill").json
    assert model["columns"] == model["columns_used"] == [*plain["columns"], "next_wind", "guidance", "guidance_spread"]
    assert model["units"] == plain["units"] | {"guidance": "degC", "guidance_spread": "degC", "next_wind": ""}

    surrounded.promote_in(store, "neighbours")
    model = client.get("/models/hill").json
    assert model["columns"] == model["columns_used"] == [*plain["columns"], "hail", "pressure"]
    assert model["units"] == plain["units"] | {"hail": "", "pressure": "hPa"}
    assert (model["neighbours"], model["neighbour_columns"]) == (["dale"], {"dale": ["pressure", "tmax"]})
    for name in ("nowhere", ".."):
        assert client.get(f"/models/{name}").status_code == 404


def test_empty_store_is_alive_but_not_ready(empty):
    assert (empty.get("/livez").status_code, empty.get("/livez").json) == (200, {"status": "alive"})
    ready = empty.get("/readyz")
    assert (ready.status_code, ready.headers["Retry-After"]) == (503, "5")
    assert ready.json["detail"] == "no model has been trained yet"
    assert empty.get("/models").json == {"models": []}


def test_readiness_reports_damaged_champions(client, store, body, retrained):
    """Degraded while an earlier model is served, not ready without one; clients do not see the names of files."""
    assert client.get("/readyz").json == {"status": "ready", "stations": 1, "degraded": {}}
    before = client.post("/predict", json=body).json
    flip_a_byte(model_file(store))
    retrained.promote_in(store, "newer")
    flip_a_byte(model_file(store))
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json["degraded"]["hill"].startswith(f"serves {before['model']['version']}: model of hill ")
    assert client.post("/predict", json=body).json == before

    restarted = create_app(Settings(store=store.root)).test_client()
    found = [restarted.get("/readyz"), restarted.post("/predict", json=body), restarted.get("/models/hill")]
    assert [response.status_code for response in found] == [503, 503, 503]
    assert "does not match its manifest" in found[0].json["detail"]
    assert {one.json["detail"] for one in found[1:]} == {"no model of station 'hill' can be loaded at present"}
    assert restarted.get("/models").json == {"models": []}


def test_readiness_makes_a_real_forecast(client, monkeypatch):
    def fail(*_):
        raise ValueError("cold")

    monkeypatch.setattr("models.forecast.station.StationForecaster.predict", fail)
    response = client.get("/readyz")
    assert (response.status_code, response.json["detail"]) == (503, "cold")
