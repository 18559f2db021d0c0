"""Guidance and further predictors over HTTP: what a model that knows them is told, and what another refuses."""

import copy
import dataclasses
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.readers import Record
from app.settings import Settings
from app.store import Store
from app.training import train_station
from app.web import create_app
from tests.conftest import QUICK
from tests.test_predict import NOISE, post

PREDICTORS = ("guidance", "guidance_spread", "next_wind")


class Told:
    """A model that looks at predictors as one may: what it is told of tomorrow moves its forecast."""

    def __init__(self, inside, predictors=PREDICTORS):
        self.inside = inside
        self.recipe, self.recommended_days = inside.recipe, inside.recommended_days
        self.columns = inside.columns
        self.trained_through = inside.trained_through
        self.predictors = predictors
        self.seen = []

    def predict(self, days):
        assert tuple(days.predictors) == self.predictors
        assert all(column.shape == (len(days),) for column in days.predictors.values())
        self.seen.append(days)
        forecast = self.inside.predict(days)
        last = np.array([column[-1] for column in days.predictors.values()])
        missing = tuple(name for name, value in zip(self.predictors, last, strict=True) if np.isnan(value))
        odds = dataclasses.replace(forecast.odds, quantiles=forecast.odds.quantiles + np.nansum(last))
        notes = (f"without {', '.join(missing)}",) if missing else ()
        return dataclasses.replace(forecast, odds=odds, notes=notes)


@pytest.fixture
def told(trained):
    return Told(trained.learned.forecaster)


@pytest.fixture
def guided(store, told, monkeypatch):
    """A client of a service whose one station has a model that knows three predictors."""
    monkeypatch.setattr("app.web.shelf.from_state", lambda _: told)
    return create_app(Settings(store=store.root)).test_client()


@pytest.fixture
def full(body):
    """A question with all three predictors on every day."""
    for i, day in enumerate(body["observations"]):
        day |= {"guidance": 10.0 + i / 2, "guidance_spread": 1.5, "next_wind": 3.25}
    return body


def test_what_a_model_is_told(guided, told, full):
    full["observations"][4]["next_wind"] = None
    del full["observations"][5]["guidance"]
    response = post(guided, full)
    assert (response.status_code, response.json["flags"]) == (200, [])
    seen = told.seen[-1]
    assert seen.predictors["guidance"][[0, 13]].tolist() == [10.0, 16.5]
    assert np.isnan(seen.predictors["guidance"]).tolist() == [i == 5 for i in range(14)]
    assert np.isnan(seen.predictors["next_wind"]).tolist() == [i == 4 for i in range(14)]
    warmer = full | {"guidance": None}
    warmer["observations"][-1]["guidance"] += 1
    assert post(guided, warmer).json["tmax"] == pytest.approx(response.json["tmax"] + 1, abs=0.011)


def test_days_on_the_calendar_keep_their_predictors(guided, told, full):
    del full["observations"][6]
    full["observations"] = [{"date": "2010-01-01", "tmax": 1, "guidance": 55}, *full["observations"]]
    assert post(guided, full).status_code == 200
    seen = told.seen[-1].predictors["guidance"]
    assert np.allclose(seen, [np.nan if i == 6 else 10 + i / 2 for i in range(14)], equal_nan=True)


def test_without_predictors_it_is_the_question_that_it_always_was(client, guided, told, body):
    before = post(client, body).json
    answer = post(guided, body).json
    assert answer["flags"] == ["without guidance, guidance_spread, next_wind"]
    assert answer | {"flags": []} == before | {"flags": []}
    assert all(np.isnan(column).all() for column in told.seen[-1].predictors.values())
    for day in body["observations"]:
        day["guidance"] = None
    assert post(guided, body | {"guidance": None}).json == answer


def test_notes_come_after_what_was_filled(guided, body):
    body["observations"][3]["rain"] = None
    body["observations"] = body["observations"][1:]
    assert post(guided, body).json["flags"] == [
        f"filled {body['observations'][2]['date']} rain",
        "without guidance, guidance_spread, next_wind",
        "used 13 days of the 14 recommended",
    ]


def test_the_same_question_in_each_of_its_forms(guided, body):
    days = body["observations"]
    rows = [[day["tmax"], day["tmin"], day["rain"]] for day in days]
    top = post(guided, body | {"guidance": 23})
    sequence = {"sequence": rows, "end_date": days[-1]["date"], "guidance": 23.0}
    days[-1]["guidance"] = 23.0
    assert top.status_code == 200
    assert post(guided, body).data == top.data
    assert post(guided, body | {"guidance": 23.0}).data == top.data
    assert post(guided, sequence).data == top.data
    days[-1] |= {"guidance": None, "next_wind": None}
    assert post(guided, body | {"guidance": 23.0}).data == top.data
    for other in (body, body | {"guidance": 23.5}, body | {"guidance": 23.0, "units": "us"}):
        assert post(guided, other).json["input_digest"] != top.json["input_digest"]
    wind = body | {"observations": [*days[:-1], days[-1] | {"next_wind": 23.0}]}
    assert post(guided, wind).json["input_digest"] != top.json["input_digest"]


def test_the_same_in_us_units(guided, told, full):
    metric = post(guided, full).json
    for day in full["observations"]:
        for name in ("tmax", "tmin", "guidance"):
            day[name] = day[name] * 1.8 + 32
        day["rain"] /= 25.4
        day["guidance_spread"] *= 1.8
    answer = post(guided, full | {"units": "us"}).json
    assert answer["tmax"] == pytest.approx(metric["tmax"] * 1.8 + 32, abs=0.02)
    last = {name: column[-1] for name, column in told.seen[-1].predictors.items()}
    assert last == pytest.approx({"guidance": 16.5, "guidance_spread": 1.5, "next_wind": 3.25})
    top = post(guided, full | {"units": "us", "guidance": full["observations"][-1]["guidance"]}).json
    assert top == answer


def test_a_batch_is_answered_like_each_alone(guided, body, full):
    asked = [{"observations": full["observations"][i:], "guidance": [None, 16.5][i % 2]} for i in range(4)]
    together = post(guided, {"sequences": [body | {"id": 7}, *asked]}, "/predict/batch")
    assert together.json["forecasts"][0] == {"id": 7} | post(guided, body).json
    assert together.json["forecasts"][1:] == [post(guided, one).json for one in asked]


def set_day(index, **values):
    def edit(body):
        body["observations"][index] |= values
        return body

    return edit


def top(**values):
    return lambda body: body | values


KNOWN = "tmax, tmin, rain, guidance, guidance_spread, next_wind"
BAD = {
    "a column that the model does not know": (
        set_day(3, wind=5), 422, "/observations/3/wind", f"unknown field `wind`: this model knows {KNOWN}",
    ),
    "a column that the model does not know, null": (set_day(3, wind=None), 422, "/observations/3/wind", KNOWN),
    "the name of a field of ours": (set_day(3, predictor_0=5), 422, "/observations/3/predictor_0", KNOWN),
    "a string for a number": (set_day(3, next_wind="5"), 422, "/observations/3/next_wind", "got `str`"),
    "a truth for a number": (set_day(3, guidance=True), 422, "/observations/3/guidance", "got `bool`"),
    "a list for a number": (set_day(3, guidance=[1]), 422, "/observations/3/guidance", "got `array`"),
    "NaN": (set_day(3, guidance=float("nan")), 422, "/observations/3/guidance", "must be a finite number"),
    "Infinity": (set_day(3, next_wind=float("inf")), 422, "/observations/3/next_wind", "must be a finite number"),
    "too large a number": (
        lambda body: json.dumps(set_day(3, next_wind=5)(body)).replace('"next_wind": 5', '"next_wind": 1e999'),
        422, "/observations/3/next_wind", "must be a finite number",
    ),
    "too hot": (
        set_day(3, guidance=66), 422, "/observations/3/guidance", '66.0 degC was never measured at any station; if it',
    ),
    "a spread below zero": (set_day(3, guidance_spread=-0.5), 422, "/observations/3/guidance_spread", "-0.5 degC"),
    "a column of the station after one of tomorrow": (set_day(3, tmax="x"), 422, "/observations/3/tmax", "got `str`"),
    "an unknown field beside": (top(horizon=2), 422, "/horizon", "unknown field `horizon`"),
    "tomorrow in a string": (top(guidance="23.4"), 422, "/guidance", "got `str`"),
    "tomorrow as NaN": (top(guidance=float("nan")), 422, "/guidance", "must be a finite number"),
    "tomorrow too hot": (
        lambda body: set_day(13, guidance=None)(body) | {"guidance": 60}, 422, "/guidance", "60.0 degC was never",
    ),
    "tomorrow said twice": (
        lambda body: set_day(13, guidance=20.5)(body) | {"guidance": 21.5}, 422, "/guidance", "21.5 is not 20.5",
    ),
    "tomorrow's other guidance": (top(guidance_spread=1.0), 422, "/guidance_spread", "unknown field"),
    "a row with guidance": (
        lambda _: {"sequence": [[1, 0, 0, 23]], "end_date": "2024-01-02"}, 422, "/sequence/0", "",
    ),
    "another station": (lambda body: set_day(3, guidance=5)(body) | {"station": "nowhere"}, 404, None, "nowhere"),
    "a station that is a number": (lambda body: set_day(3, guidance=5)(body) | {"station": 5}, 422, "/station", ""),
    "half of it": (lambda body: json.dumps(set_day(3, guidance=5)(body))[:-1], 400, "", ""),
    "no text": (
        lambda body: json.dumps(set_day(3, guidance=5)(body)).encode().replace(b"hill", b"\xff"), 400, "", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused_names_the_place(guided, full, name):
    edit, status, pointer, detail = BAD[name]
    problem = post(guided, edit(full)).json
    assert problem["status"] == status
    assert detail in problem["detail"]
    if pointer is not None:
        assert problem["errors"][0]["pointer"] == pointer
        assert detail in problem["errors"][0]["detail"]


def test_what_is_refused_in_a_batch_spoils_no_other(guided, full):
    """All but what is no JSON, which spoils a body as a whole."""
    bad = {name: BAD[name][0](copy.deepcopy(full)) for name in BAD if "finite" not in BAD[name][3]}
    sequences = {name: asked | {"id": name} for name, asked in bad.items() if isinstance(asked, dict)}
    *problems, good = post(guided, {"sequences": [*sequences.values(), full]}, "/predict/batch").json["forecasts"]
    assert len(problems) > 15
    for i, problem in enumerate(problems):
        _, status, pointer, detail = BAD[problem["id"]]
        assert problem["status"] == status
        assert detail in problem["detail"]
        if pointer is not None:
            assert problem["errors"][0]["pointer"] == f"/sequences/{i}{pointer}"
    assert good == post(guided, full).json


def test_impossible_values_are_named_in_their_own_units_and_at_once(guided, body):
    for day in body["observations"]:
        day |= {"tmax": 50.0, "tmin": 40.0, "rain": 0.0, "guidance": 51.0}
    body["observations"][2] |= {"guidance": 150.0, "guidance_spread": -1.8}
    body["observations"][9]["tmax"] = 140.0
    body["observations"][-1]["guidance"] = 160.0
    errors = post(guided, body | {"units": "us", "guidance": 160.0}).json["errors"]
    assert {e["pointer"]: e["detail"] for e in errors} == {
        "/observations/9/tmax": "140.0 degF was never measured at any station",
        "/observations/2/guidance": "150.0 degF was never measured at any station",
        "/observations/2/guidance_spread": "-1.8 degF is below 0, as no spread is",
        "/guidance": "160.0 degF was never measured at any station",
    }


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_single_change_is_a_failure_of_ours(guided, full, data):
    asked = copy.deepcopy(full)
    column = data.draw(st.sampled_from([*PREDICTORS, "top"]))
    value = data.draw(NOISE | st.floats(-100, 100) | st.floats(allow_nan=False, allow_infinity=False))
    if column == "top":
        asked["guidance"] = value
    else:
        asked["observations"][data.draw(st.integers(0, 13))][column] = value
    assert post(guided, asked | {"units": data.draw(st.sampled_from(["us", "metric"]))}).status_code in {200, 422}


@pytest.mark.parametrize("extra", [{"guidance": 20.0}, {"guidance": None}, {"next_wind": 1}])
def test_a_model_without_predictors_refuses_them(client, body, extra):
    body["observations"][3] |= extra
    problem = post(client, body).json
    (name,) = extra
    assert (problem["status"], problem["errors"][0]["pointer"]) == (422, f"/observations/3/{name}")
    assert problem["errors"][0]["detail"].endswith(f"`{name}`: this model knows tmax, tmin, rain")


def test_a_model_without_guidance_refuses_that_of_tomorrow(client, body):
    problem = post(client, body | {"guidance": 20.0}).json
    assert (problem["status"], problem["errors"][0]["pointer"]) == (422, "/guidance")
    assert problem["errors"][0]["detail"].endswith("this model knows tmax, tmin, rain")
    assert post(client, body | {"guidance": None}).data == post(client, body).data


def test_a_model_with_guidance_of_other_names_refuses_that_of_tomorrow(guided, told, body):
    told.predictors = ("guidance_gfs", "guidance_icon")
    problem = post(guided, body | {"guidance": 20.0}).json
    assert problem["errors"][0]["pointer"] == "/guidance"
    assert problem["errors"][0]["detail"].endswith("rain, guidance_gfs, guidance_icon")


@pytest.mark.parametrize("name", ["class", "p", "predictor_1", "2m_wind", "__dict__", "levels"])
def test_a_predictor_may_have_any_name_that_a_file_gives_it(guided, told, body, name):
    told.predictors = (name, "predictor_0")
    body["observations"][-1] |= {name: 1.5, "predictor_0": -2}
    assert post(guided, body).status_code == 200
    assert {key: column[-1] for key, column in told.seen[-1].predictors.items()} == {name: 1.5, "predictor_0": -2.0}


def test_the_station_may_be_left_out_where_there_is_one(guided, full):
    expected = post(guided, full).data
    del full["station"]
    assert post(guided, full).data == expected


def test_nothing_is_served(tmp_path, full):
    client = create_app(Settings(store=tmp_path / "none")).test_client()
    assert post(client, full).status_code == 503


def test_what_is_published_of_a_model(client, guided):
    plain, model = client.get("/models/hill").json, guided.get("/models/hill").json
    assert plain["columns"] == plain["columns_used"] == ["tmax", "tmin", "rain"]
    assert plain["units"] == {"tmax": "degC", "tmin": "degC", "rain": "mm"}
    assert model["columns"] == model["columns_used"] == ["tmax", "tmin", "rain", *PREDICTORS]
    assert model["units"] == plain["units"] | {"guidance": "degC", "guidance_spread": "degC", "next_wind": ""}


def test_a_model_is_warmed_with_predictors_and_without(guided, told):
    told.seen.clear()
    assert guided.get("/readyz").status_code == 200
    with_them, without = told.seen
    assert len(with_them) == QUICK.min_days
    assert all((column == 0).all() for column in with_them.predictors.values())
    assert all(np.isnan(column).all() for column in without.predictors.values())


@pytest.fixture(scope="module")
def foretold(days):
    """The station with somebody's forecast of each next day, a degree too cold, and with what tells nothing."""
    rng = np.random.default_rng(1)
    tomorrow = np.where(np.isnan(days.next_tmax), 15.0, days.next_tmax)
    guidance = np.round(tomorrow - 1 + rng.normal(0, 1.0, len(days)), 1)
    return dataclasses.replace(days, predictors={"guidance": guidance, "next_wind": rng.integers(0, 9, len(days)) / 1})


@pytest.fixture(scope="module")
def corrector(foretold):
    return train_station("hill", Record("hill", foretold), QUICK, seed=0)


class TestATrainedModel:
    """One that corrects guidance, from the record to the answer."""

    @pytest.fixture
    def real(self, tmp_path, corrector):
        store = Store(tmp_path / "guided")
        corrector.publish_and_promote(store, "test")
        return create_app(Settings(store=store.root)).test_client()

    @pytest.fixture
    def question(self, body, foretold):
        for i, day in enumerate(reversed(body["observations"])):
            day |= {name: float(column[-1 - i]) for name, column in foretold.predictors.items()}
        return body

    def test_guidance_moves_and_narrows_the_forecast(self, real, question):
        def width(answer):
            return answer["intervals"][0]["high"] - answer["intervals"][0]["low"]

        assert real.get("/models/hill").json["columns"] == ["tmax", "tmin", "rain", "guidance", "next_wind"]
        told = post(real, question).json
        assert told["flags"] == []
        warmer = copy.deepcopy(question)
        warmer["observations"][-1]["guidance"] += 5
        assert 3 < post(real, warmer).json["tmax"] - told["tmax"] < 7
        warmer["observations"][-1]["guidance"] = None
        not_told = post(real, warmer).json
        assert len(not_told["flags"]) == 1
        assert "2018-04-15" in not_told["flags"][0]
        assert "guidance" in not_told["flags"][0]
        assert width(told) < 0.8 * width(not_told)

    def test_it_is_the_station_s_own_forecaster_where_nothing_is_told(self, real, client, body):
        """The same record, recipe and seed make the same networks, with guidance beside it or without."""
        told = post(real, body).json
        own = post(client, body).json
        assert [told[name] for name in ("tmax", "intervals")] == [own[name] for name in ("tmax", "intervals")]
        assert [own["flags"], len(told["flags"])] == [[], 1]

    def test_the_guidance_of_tomorrow_alone_is_enough(self, real, body):
        days = body["observations"]
        rows = [[day["tmax"], day["tmin"], day["rain"]] for day in days]
        answer = post(real, body | {"guidance": 12.0})
        assert 8 < answer.json["tmax"] < 16
        assert answer.data == post(real, {"sequence": rows, "end_date": days[-1]["date"], "guidance": 12.0}).data

    def test_the_same_in_us_units(self, real, question):
        metric = post(real, question).json
        for day in question["observations"]:
            for name in ("tmax", "tmin", "guidance"):
                day[name] = day[name] * 1.8 + 32
            day["rain"] /= 25.4
        answer = post(real, question | {"units": "us"}).json
        assert answer["tmax"] == pytest.approx(metric["tmax"] * 1.8 + 32, abs=0.02)
        for ours, theirs in zip(answer["intervals"], metric["intervals"], strict=True):
            assert ours["low"] == pytest.approx(theirs["low"] * 1.8 + 32, abs=0.02)

    def test_a_column_that_it_does_not_know(self, real, question):
        question["observations"][2]["dewpoint"] = 3.0
        problem = post(real, question).json
        assert problem["errors"][0]["pointer"] == "/observations/2/dewpoint"
        assert problem["errors"][0]["detail"].endswith("this model knows tmax, tmin, rain, guidance, next_wind")

    def test_absurd_predictors_are_no_failure_of_ours(self, real, question):
        for value in (1e308, -1e308, 1e-320, 0):
            question["observations"][-1]["next_wind"] = value
            answer = post(real, question).json
            assert abs(answer["tmax"]) < 60

    def test_a_forecast_has_the_same_bytes_alone_and_among_others(self, real, question):
        rows = [[day["tmax"], day["tmin"], day["rain"]] for day in question["observations"]]
        by_itself = {"sequence": rows, "end_date": question["observations"][-1]["date"], "guidance": 3}
        sequences = [question, {"observations": question["observations"][2:]}, by_itself]
        together = post(real, {"sequences": sequences}, "/predict/batch").data
        alone = b",".join(post(real, sequence).data for sequence in sequences)
        assert together == b'{"forecasts":[' + alone + b"]}"

    def test_a_first_model_with_guidance_is_served_without_a_restart(self, client, store, question, corrector):
        assert post(client, question).status_code == 422
        version = corrector.publish_and_promote(store, "guidance")
        assert post(client, question).json["model"]["version"] == version
        assert client.get("/readyz").json["degraded"] == {}
        store.rollback("hill", "test")
        assert post(client, question).status_code == 422


def test_a_named_spread_below_zero_is_told_as_one(store, trained, monkeypatch):
    model = Told(trained.learned.forecaster, ("guidance_gfs", "guidance_gfs_spread"))
    monkeypatch.setattr("app.web.shelf.from_state", lambda _: model)
    client = create_app(Settings(store=store.root)).test_client()
    days = [{"date": "2018-04-01", "tmax": 10, "guidance_gfs_spread": -1}]
    (error,) = post(client, {"station": "hill", "observations": days}).json["errors"]
    assert error == {
        "pointer": "/observations/0/guidance_gfs_spread",
        "detail": "-1.0 degC is below 0, as no spread is",
    }
