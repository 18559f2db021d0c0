"""`POST /predict` and `POST /predict/batch`: what is answered, and what is refused, where."""

import json
import time

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.readers import Record
from app.settings import Settings
from app.store import Store
from app.training import train_station
from app.web import create_app
from models.station_days import StationDays
from tests.conftest import QUICK, observations


def post(client, body, path="/predict", content_type="application/json"):
    data = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return client.post(path, data=data, content_type=content_type)


def test_a_forecast(client, body, store, trained):
    response = post(client, body | {"levels": [0.5, 0.9], "thresholds": [-50, 10, 50]})
    assert response.status_code == 200
    assert response.content_type == "application/json"
    answer = response.json
    assert list(answer) == [
        "station",
        "issued",
        "date",
        "tmax",
        "intervals",
        "exceedance",
        "units",
        "flags",
        "model",
        "input_digest",
    ]
    assert (answer["station"], answer["units"], answer["flags"]) == ("hill", "metric", [])
    assert (answer["issued"], answer["date"]) == ("2018-04-14", "2018-04-15")
    half, most = answer["intervals"]
    assert (half["level"], most["level"]) == (0.5, 0.9)
    assert most["low"] < half["low"] < answer["tmax"] < half["high"] < most["high"]
    assert [e["threshold"] for e in answer["exceedance"]] == [-50, 10, 50]
    sure, _, never = (e["probability"] for e in answer["exceedance"])
    assert (sure, never) == (1.0, 0.0)
    assert answer["model"] == {
        "version": store.champion("hill"),
        "digest": store.manifest("hill", store.champion("hill")).sha256,
        "trained_through": trained.manifest.trained_through,
    }


def test_defaults(client, body):
    del body["station"]
    answer = post(client, body).json
    assert answer["station"] == "hill"
    assert [i["level"] for i in answer["intervals"]] == [0.8, 0.9]
    assert answer["exceedance"] == []


def test_the_same_in_us_units(client, body):
    metric = post(client, body | {"thresholds": [10.0]}).json
    us = {
        "station": "hill",
        "units": "us",
        "thresholds": [50.0],
        "observations": [
            {
                "date": day["date"],
                "tmax": day["tmax"] * 1.8 + 32,
                "tmin": day["tmin"] * 1.8 + 32,
                "rain": day["rain"] / 25.4,
            }
            for day in body["observations"]
        ],
    }
    answer = post(client, us).json
    assert answer["units"] == "us"
    assert answer["tmax"] == pytest.approx(metric["tmax"] * 1.8 + 32, abs=0.02)
    for ours, theirs in zip(answer["intervals"], metric["intervals"], strict=True):
        assert ours["low"] == pytest.approx(theirs["low"] * 1.8 + 32, abs=0.02)
    assert answer["exceedance"][0]["probability"] == pytest.approx(metric["exceedance"][0]["probability"], abs=1e-3)


def test_a_sequence_is_the_same_question(client, body):
    rows = [[day["tmax"], day["tmin"], day["rain"]] for day in body["observations"]]
    asked = {"station": "hill", "sequence": rows, "end_date": body["observations"][-1]["date"]}
    assert post(client, asked).data == post(client, body).data


def test_filled_values_are_named(client, body):
    days = body["observations"]
    days[3]["rain"] = None
    del days[-1]["tmin"]
    absent = days.pop(6)["date"]
    assert post(client, body).json["flags"] == [
        f"filled {days[3]['date']} rain",
        f"filled {absent} tmax",
        f"filled {absent} tmin",
        f"filled {absent} rain",
        f"filled {days[-1]['date']} tmin",
    ]


def test_a_range_that_rests_on_less_is_wider_on_average(client, days):
    """Over many issue days, whose last three days have no tmin and no rain."""
    widths = []
    for gone in (0, 3):
        asked = [{"observations": observations(days.part(0, n))} for n in range(300, 500)]
        for sequence in asked:
            for day in sequence["observations"][14 - gone :]:
                day["tmin"] = day["rain"] = None
        answers = post(client, {"sequences": asked}, "/predict/batch").json["forecasts"]
        assert all(len(answer["flags"]) == 2 * gone for answer in answers)
        widths.append(np.mean([answer["intervals"][0]["high"] - answer["intervals"][0]["low"] for answer in answers]))
    assert widths[1] > widths[0]


def test_more_days_than_are_used_change_nothing_but_the_digest(client, body, days):
    longer = post(client, body | {"observations": observations(days, 400)}).json
    short = post(client, body).json
    assert longer.pop("input_digest") != short.pop("input_digest")
    assert longer == short


def test_a_column_that_the_model_does_not_use_is_flagged(tmp_path, days, body):
    dry = StationDays(days.first, days.values * [1, 1, np.nan])
    store = Store(tmp_path / "dry")
    train_station("hill", Record("hill", dry), QUICK, seed=0).publish_and_promote(store, "test")
    client = create_app(Settings(store=store.root)).test_client()
    assert client.get("/models/hill").json["columns_used"] == ["tmax", "tmin"]
    assert post(client, body).json["flags"] == ["not used rain: too seldom observed when trained"]
    for day in body["observations"]:
        del day["rain"]
    assert post(client, body).json["flags"] == []


def change(path, value):
    """A case's edit: set what the path leads to, or take it away where the value is `...`."""

    def edit(body):
        *way, last = path
        place = body
        for step in way:
            place = place[step]
        if value is ...:
            del place[last]
        else:
            place[last] = value
        return body

    return edit


def raw(text):
    return lambda body: text.replace("DAYS", json.dumps(body["observations"])[1:-1])


def day(index, column):
    return ("observations", index, column)


def null_tmax(days):
    def edit(body):
        for index in days:
            body["observations"][index]["tmax"] = None
        return body

    return edit


def rows(*rows, **more):
    return lambda _: {"sequence": list(rows)} | more


BAD = {
    "a string for a number": (change(day(3, "tmax"), "12.5"), 422, "/observations/3/tmax"),
    "a truth for a number": (change(day(3, "rain"), True), 422, "/observations/3/rain"),
    "a list for a number": (change(day(3, "tmin"), [1]), 422, "/observations/3/tmin"),
    "a number for a date": (change(day(3, "date"), 20240101), 422, "/observations/3/date"),
    "an impossible date": (change(day(3, "date"), "2024-02-30"), 422, "/observations/3/date"),
    "a date with a time": (change(day(3, "date"), "2018-04-04T00:00:00"), 422, "/observations/3/date"),
    "no date": (change(day(3, "date"), ...), 422, "/observations/3/date"),
    "an unknown field of a day": (change(day(3, "wind"), 5), 422, "/observations/3/wind"),
    "an unknown field": (change(("horizon",), 2), 422, "/horizon"),
    "an unknown field with a slash": (change(("a/b~c",), 2), 422, "/a~1b~0c"),
    "NaN": (change(day(5, "tmax"), float("nan")), 422, "/observations/5/tmax"),
    "Infinity": (change(day(5, "rain"), float("-inf")), 422, "/observations/5/rain"),
    "NaN among thresholds": (change(("thresholds",), [1, float("nan")]), 422, "/thresholds/1"),
    "a number too large": (raw('{"observations": [DAYS, {"tmax": 1e999}]}'), 422, "/observations/14/tmax"),
    "unordered dates": (change(day(4, "date"), "2018-04-01"), 422, "/observations/4/date"),
    "a repeated date": (change(day(4, "date"), "2018-04-04"), 422, "/observations/4/date"),
    "tmin above tmax": (change(day(4, "tmin"), 50.0), 422, "/observations/4/tmin"),
    "too hot for this planet": (change(day(4, "tmax"), 57.1), 422, "/observations/4/tmax"),
    "too cold for this planet": (change(day(4, "tmin"), -90.1), 422, "/observations/4/tmin"),
    "rain below zero": (change(day(4, "rain"), -0.1), 422, "/observations/4/rain"),
    "no tmax on the last day": (change(day(13, "tmax"), None), 422, "/observations/13/tmax"),
    "the end of dates": (change(day(13, "date"), "9999-12-31"), 422, "/observations/13/date"),
    "a long gap": (change(("observations", slice(4, 10)), ...), 422, "/observations/4/date"),
    "a long gap of nulls": (null_tmax(range(4, 10)), 422, "/observations/4/tmax"),
    "a gap of a year": (change(day(13, "date"), "2019-04-14"), 422, "/observations/13/date"),
    "too few days": (change(("observations", slice(0, 8)), ...), 422, "/observations"),
    "no days": (change(("observations",), []), 422, "/observations"),
    "observations that are null": (change(("observations",), None), 422, "/observations"),
    "neither form": (change(("observations",), ...), 422, "/observations"),
    "both forms": (lambda body: body | {"sequence": [[1, 2, 3]], "end_date": "2024-01-01"}, 422, "/observations"),
    "an end without a sequence": (change(("end_date",), "2024-01-01"), 422, "/end_date"),
    "a sequence without an end": (rows([1, 0, 0]), 422, "/end_date"),
    "a sequence before the year 1": (rows(*[[1, 0, 0]] * 9, end_date="0001-01-02"), 422, "/end_date"),
    "a sequence with short rows": (rows([1, 0], end_date="2024-01-02"), 422, "/sequence/0"),
    "a sequence without the last tmax": (rows([1, 0, 0], [None, 0, 0], end_date="2024-01-02"), 422, "/sequence/1/0"),
    "a sequence at the end of dates": (rows(*[[1, 0, 0]] * 9, end_date="9999-12-31"), 422, "/end_date"),
    "a sequence of NaN": (rows([float("nan"), 0, 0], end_date="2024-01-02"), 422, "/sequence/0/0"),
    "a sequence with tmin above tmax": (rows([1, 2, 0], end_date="2024-01-02"), 422, "/sequence/0/1"),
    "unknown units": (change(("units",), "kelvin"), 422, "/units"),
    "degF taken for degC": (change(day(2, "tmax"), 66.0), 422, "/observations/2/tmax"),
    "a level of 1": (change(("levels",), [0.8, 1.0]), 422, "/levels/1"),
    "too many levels": (change(("levels",), [0.8] * 101), 422, "/levels"),
    "an unknown station": (change(("station",), "nowhere"), 404, None),
    "a station that is a path": (change(("station",), "../hill"), 404, None),
    "an array": (raw("[DAYS]"), 422, ""),
    "a word": (raw('"observations"'), 422, ""),
    "nothing": (raw(""), 400, ""),
    "half of it": (raw('{"observations": [DAYS'), 400, ""),
    "no JSON": (raw("tmax=3"), 400, ""),
    "no text": (lambda _: b'{"station": "\xff\xfe"}', 400, ""),
    "a lone surrogate": (lambda _: b'{"station": "\\ud800"}', 400, ""),
    "no JSON, and of a wrong shape before that": (raw('{"levels": "x", garbage'), 400, ""),
    "half an array": (raw("[1, 2"), 400, ""),
    "no text where a date should be": (lambda _: b'{"observations": [{"date": "\xff"}]}', 400, ""),
    "an unknown field with a path in its name": (change(("a - at `$.b",), 1), 422, "/a - at `$.b"),
    "NaN in an unknown field": (change(("a/b~c",), float("nan")), 422, "/a~1b~0c"),
    "a very deep body": (lambda _: '{"levels": ' + "[" * 100_000, 400, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused_names_the_place(client, body, name):
    edit, status, pointer = BAD[name]
    response = post(client, edit(body))
    assert response.status_code == status, response.data
    assert response.content_type == "application/problem+json"
    problem = response.json
    assert problem["status"] == status
    assert problem["instance"] == "/predict"
    assert problem["title"]
    assert problem["detail"]
    if pointer is not None:
        assert problem["errors"][0]["pointer"] == pointer
        assert problem["errors"][0]["detail"]


def test_a_level_that_the_held_out_days_cannot_vouch_for_is_flagged(client, body):
    assert post(client, body | {"levels": [0.5, 0.98]}).json["flags"] == []
    assert post(client, body | {"levels": [0.99]}).json["flags"] == ["level 0.99 rests on 179 errors, too few for it"]


def test_a_large_bad_body_is_answered_quickly_and_briefly(client):
    many = '{"thresholds": [NaN' + ",1" * 1_000_000 + "]}"
    wrong = json.dumps({"sequence": [[99, 99, -1]] * 100_000, "end_date": "2024-01-01"})
    for body in (many, wrong):
        began = time.monotonic()
        response = post(client, body)
        assert response.status_code == 422
        assert len(response.data) < 30_000
        assert time.monotonic() - began < 10


def test_every_place_is_named_at_once(client, body):
    body["observations"][2]["tmax"] = 70
    body["observations"][9]["rain"] = -1
    assert [e["pointer"] for e in post(client, body).json["errors"]] == [
        "/observations/2/tmax",
        "/observations/9/rain",
    ]


def test_other_methods_media_and_routes(client, body):
    assert client.get("/predict").status_code == 405
    assert "POST" in client.get("/predict").headers["Allow"]
    assert post(client, body, content_type="application/x-www-form-urlencoded").status_code == 415
    assert client.post("/predict", data=json.dumps(body)).status_code == 415
    assert post(client, body, content_type="application/json; charset=utf-8").status_code == 200
    for response in (client.get("/predict"), client.get("/nowhere"), client.delete("/models")):
        assert response.content_type == "application/problem+json"
        assert response.json["status"] == response.status_code


def test_a_body_that_is_too_large(client, store, body):
    big = json.dumps(body) + " " * (2 * 1024 * 1024)
    assert post(client, big).status_code == 413
    small = create_app(Settings(store=store.root, max_body_bytes=500)).test_client()
    assert post(small, body).status_code == 413
    assert post(small, " " * 500).status_code == 400  # the limit itself is allowed


def test_the_year_one(client):
    asked = {"sequence": [[1, 0, 0]] * 7, "end_date": "0001-01-07"}
    assert post(client, asked).json["date"] == "0001-01-08"


def test_days_that_are_left_out_are_flagged(client, body):
    for day in body["observations"][:5]:
        day["tmax"] = None
    assert post(client, body).json["flags"] == ["used 9 days of the 14 recommended"]
    assert post(client, {"observations": body["observations"][5:]}).json["flags"] == [
        "used 9 days of the 14 recommended"
    ]


def test_a_compressed_body_is_refused(client, body):
    headers = {"Content-Encoding": "gzip"}
    assert client.post("/predict", json=body, headers=headers).status_code == 415


def test_a_body_that_is_cut_short(client, body):
    content = json.dumps(body).encode()
    environ = {"CONTENT_LENGTH": str(len(content) + 50)}
    response = client.post("/predict", data=content, content_type="application/json", environ_overrides=environ)
    assert response.status_code == 400
    assert "ended after" in response.json["detail"]


def test_request_ids(client):
    given = client.get("/livez", headers={"X-Request-ID": "abc-1.2_3:x"})
    assert given.headers["X-Request-ID"] == "abc-1.2_3:x"
    made = {client.get("/livez", headers={"X-Request-ID": "a b" + "c" * n}).headers["X-Request-ID"] for n in (0, 500)}
    made.add(post(client, "{").headers["X-Request-ID"])
    assert len(made) == 3
    assert all(len(name) == 32 for name in made)


def test_a_failure_of_ours_tells_nothing_of_the_inside(client, body, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr("models.forecaster.Forecaster.predict", fail)
    response = post(client, body)
    assert response.status_code == 500
    assert b"secret" not in response.data
    assert "secret" in caplog.text
    assert response.headers["X-Request-ID"] in caplog.text
    in_batch = post(client, {"sequences": [body]}, "/predict/batch").json["forecasts"][0]
    assert in_batch["status"] == 500
    assert "secret" not in str(in_batch)


def test_several_stations_must_be_named(client, store, body, retrained):
    other = msgspec.structs.replace(retrained.manifest, station="dale")
    store.promote("dale", store.publish("dale", retrained.learned.forecaster.to_state(), other), "test")
    assert post(client, body | {"station": "dale"}).json["station"] == "dale"
    del body["station"]
    response = post(client, body)
    assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, "/station")


class TestBatch:
    def test_good_and_bad_side_by_side_in_order(self, client, body):
        bad_type = body | {"id": "b", "observations": [{"date": "2024-01-01", "tmax": "x"}]}
        asked = [body | {"id": "a"}, bad_type, body | {"id": 3, "station": "nowhere"}, body | {"id": None}, 7]
        response = post(client, {"sequences": asked}, "/predict/batch")
        assert response.status_code == 200
        first, second, third, fourth, fifth = response.json["forecasts"]
        alone = post(client, body).json
        assert first == {"id": "a"} | alone
        assert fourth == alone
        assert (second["status"], second["id"]) == (422, "b")
        assert second["errors"][0]["pointer"] == "/sequences/1/observations/0/tmax"
        assert (third["status"], third["id"]) == (404, 3)
        assert fifth["status"] == 422
        assert fifth["errors"][0]["pointer"] == "/sequences/4"

    def test_a_forecast_has_the_same_bytes_alone_and_among_others(self, client, body, days):
        sequences = [body | {"observations": observations(days.part(0, n))} for n in range(100, 140)]
        together = post(client, {"sequences": sequences}, "/predict/batch").data
        alone = b",".join(post(client, sequence).data for sequence in sequences)
        assert together == b'{"forecasts":[' + alone + b"]}"

    def test_nan_spoils_only_what_it_stands_in(self, client, body):
        """A bare NaN is no JSON at all, so the body as a whole is refused; the pointer says where it stands."""
        bad = body | {"thresholds": [float("nan")]}
        response = post(client, {"sequences": [body, bad]}, "/predict/batch")
        assert response.status_code == 422
        assert response.json["errors"][0]["pointer"] == "/sequences/1/thresholds/0"

    def test_a_pointer_leads_to_the_sequence_that_is_wrong(self, client, body):
        short = body | {"observations": body["observations"][-3:]}
        (_, problem) = post(client, {"sequences": [body, short]}, "/predict/batch").json["forecasts"]
        assert problem["errors"][0]["pointer"] == "/sequences/1/observations"
        assert problem["instance"] == "/predict/batch"

    def test_limits(self, client, body):
        assert post(client, {"sequences": []}, "/predict/batch").json == {"forecasts": []}
        many = post(client, {"sequences": [{}] * 1001}, "/predict/batch")
        assert (many.status_code, many.json["errors"][0]["pointer"]) == (422, "/sequences")
        assert len(post(client, {"sequences": [{}] * 1000}, "/predict/batch").json["forecasts"]) == 1000
        assert post(client, body, "/predict/batch").status_code == 422
        assert post(client, '{"sequences": [' + "[" * 100_000, "/predict/batch").status_code == 400


NOISE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates().map(str),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["station", "observations", "sequence", "end_date", "levels", "date", "tmax", "id"])
            | st.text(),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def any_client(tmp_path_factory, trained):
    store = Store(tmp_path_factory.mktemp("any") / "store")
    trained.publish_and_promote(store, "test")
    return create_app(Settings(store=store.root)).test_client()


@settings(max_examples=400)
@given(body=NOISE.map(json.dumps) | st.binary(max_size=200), path=st.sampled_from(["/predict", "/predict/batch"]))
def test_no_body_whatever_is_a_failure_of_ours(any_client, body, path):
    response = post(any_client, body, path)
    assert response.status_code in {200, 400, 404, 413, 422}
    assert "status" in response.json or "forecasts" in response.json


@settings(max_examples=300)
@given(data=st.data())
def test_no_single_change_is_a_failure_of_ours(any_client, days, data):
    """Close to a good request, where the deep checks are."""
    asked = {"observations": observations(days), "levels": [0.5], "thresholds": [3.0], "units": "metric"}
    place = data.draw(st.sampled_from(["date", "tmax", "tmin", "rain", "levels", "thresholds", "units", "station"]))
    value = data.draw(NOISE | st.floats(-100, 100))
    if place in {"date", "tmax", "tmin", "rain"}:
        asked["observations"][data.draw(st.integers(0, 13))][place] = value
    else:
        asked[place] = value
    response = post(any_client, asked)
    assert response.status_code in {200, 404, 422}, response.data


def test_the_days_of_the_recipe_are_what_is_published(client):
    window = client.get("/models/hill").json["window"]
    assert window == {"min_days": QUICK.min_days, "recommended_days": QUICK.recommended_days}
