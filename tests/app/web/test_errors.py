"""Errors as ``application/problem+json``, with the status of their kind."""

import json
import sys

import pytest

from app.serving.champions import NoModel
from app.serving.errors import NoReaders, NotJSON, QuestionError
from app.store import StoreError
from app.web.errors import STATUS

KINDS = {
    NotJSON: (b'{"observations"', 400, "Bad Request", [""]),
    QuestionError: (b'{"levels": [NaN, 1, NaN]}', 422, "Unprocessable Entity", ["/levels/0", "/levels/2"]),
    StoreError: (b'{"station": "../hill"}', 404, "Not Found", None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_error_has_its_status(reader, kind):
    body, status, title, pointers = KINDS[kind]
    response = reader.post("/predict", data=body, content_type="application/json")
    assert (response.status_code, response.content_type) == (status, "application/problem+json")
    problem = response.json
    errors = problem.pop("errors", None)
    assert (errors and [error.pop("pointer") for error in errors]) == pointers
    assert not errors or all(error.keys() == {"detail"} for error in errors)
    assert problem.pop("detail")
    assert problem == {"type": "about:blank", "title": title, "status": status, "instance": "/predict"}


def test_without_a_model_is_503_and_says_when_to_retry(empty, body):
    assert {*KINDS, NoModel, NoReaders} == set(STATUS)
    response = empty.post("/predict", json=body)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert response.json["detail"] == "no model has been trained yet"


def test_files_are_415_where_nothing_reads_them(reader, monkeypatch):
    monkeypatch.setitem(sys.modules, "app.readers", None)
    response = reader.post("/predict", data=b"date,tmax", content_type="text/csv")
    assert (response.status_code, response.content_type) == (415, "application/problem+json")
    assert "without pandas" in response.json["detail"]


def test_unexpected_failures_are_500_and_tell_nothing_of_the_inside(reader, body, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr("models.forecast.station.StationForecaster.predict", fail)
    for path, asked in (("/predict", body), ("/predict/batch", {"sequences": [body]})):
        caplog.clear()
        response = reader.post(path, json=asked)
        problem = response.json["forecasts"][0] if "batch" in path else response.json
        assert problem["status"] == 500
        assert problem["detail"] == "internal error; the log of the service has the details under this X-Request-ID"
        assert b"secret" not in response.data
        assert "RuntimeError: secret" in caplog.text
        assert response.headers["X-Request-ID"] in caplog.text
    assert response.status_code == 200


def test_other_routes_methods_and_media_types_are_refused(reader, body):
    content = json.dumps(body)
    found = {
        "method": reader.get("/predict"),
        "route": reader.get("/nowhere"),
        "form": reader.post("/predict", data=content, content_type="application/x-www-form-urlencoded"),
        "none": reader.post("/predict", data=content),
        "gzip": reader.post("/predict", json=body, headers={"Content-Encoding": "gzip"}),
    }
    assert {name: response.status_code for name, response in found.items()} == {
        "method": 405, "route": 404, "form": 415, "none": 415, "gzip": 415,
    }  # fmt: skip
    assert set(found["method"].headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
    assert found["route"].json["detail"] == "there is no such route"
    for response in found.values():
        assert response.content_type == "application/problem+json"
        assert response.json["status"] == response.status_code
    assert reader.post("/predict", data=content, content_type="application/json; charset=utf-8").status_code == 200
