"""``POST /predict`` and ``POST /predict/batch``: HTTP carries the answers of `app.serving`."""

import json
import re
from urllib.parse import quote

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.serving.answer import answer
from app.serving.champions import Champions
from tests.app.serving.bodies import bodies

UUID = re.compile("[0-9a-f]{32}")


def test_answers_are_those_of_the_core(reader, unchanged_store, body):
    """The same bytes alone and in a batch."""
    expected = msgspec.json.encode(answer(Champions(unchanged_store), json.dumps(body).encode()))
    alone = reader.post("/predict", json=body)
    assert (alone.status_code, alone.content_type, alone.data) == (200, "application/json", expected)
    named = expected.replace(b"{", b'{"id":"a",', 1)
    together = reader.post("/predict/batch", json={"sequences": [body, body | {"id": "a"}]})
    assert (together.status_code, together.data) == (200, b'{"forecasts":[' + expected + b"," + named + b"]}")
    assert reader.post("/predict/batch", json={"sequences": []}).json == {"forecasts": []}


def test_a_file_is_answered_with_the_options_of_the_query(reader, body):
    """Whatever its text is called; the core gives the same answer to the same days."""
    days = body["observations"]
    file = "\n".join(["date,tmax,tmin,rain", *(",".join(map(str, day.values())) for day in days)])
    query = "station=hill&level=0.5&level=0.9&threshold=20&accept=2018-04-14"
    asked = body | {"levels": [0.5, 0.9], "thresholds": [20], "accept": ["2018-04-14"]}
    expected = reader.post("/predict", json=asked)
    assert expected.status_code == 200
    for media in ("text/csv", "text/csv; charset=latin-1", "text/plain", "application/octet-stream"):
        found = reader.post(f"/predict?{query}", data=file, content_type=media)
        assert (found.status_code, found.data) == (200, expected.data)
    wrong = reader.post("/predict", data=file.replace(",21.2,", ",warm,"), content_type="text/csv")
    (error,) = wrong.json["errors"]
    assert (wrong.status_code, error["pointer"], wrong.json["detail"]) == (422, "", f"the body: {error['detail']}")
    assert error["detail"].startswith("line 7: tmax 'warm' is not a number")


def test_errors_of_a_batch_are_problems_in_their_places(reader, body):
    short, unknown = body | {"observations": body["observations"][-3:]}, body | {"id": 3, "station": "nowhere"}
    response = reader.post("/predict/batch", json={"sequences": [body, short, unknown]})
    assert response.status_code == 200
    first, second, third = response.json["forecasts"]
    assert first == reader.post("/predict", json=body).json
    assert (second["status"], second["errors"][0]["pointer"]) == (422, "/sequences/1/observations")
    assert third == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "station 'nowhere' is not served; GET /models lists the stations",
        "instance": "/predict/batch",
        "id": 3,
    }


def test_request_id_is_the_callers_if_valid_else_a_new_one(reader):
    def returned(given, path="/livez"):
        return reader.get(path, headers={"X-Request-ID": given}).headers["X-Request-ID"]

    assert returned("abc-1.2_3:x", "/nowhere") == "abc-1.2_3:x"
    made = {returned(invalid) for invalid in ("a b", "", "c" * 129, "é")}
    assert len(made) == 4
    assert all(UUID.fullmatch(name) for name in made)


METHODS = st.sampled_from(["POST"] * 6 + ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
PATHS = st.sampled_from(["/predict", "/predict/batch"] * 4 + ["/models", "/livez"]) | st.text(max_size=5).map(
    lambda text: f"/models/{quote(text)}"
)
PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=10)
HEADERS = st.fixed_dictionaries(
    {
        "Content-Type": st.sampled_from(["application/json"] * 6 + ["application/json; charset=x", "text/csv"])
        | PRINTABLE
    },
    optional={
        "Content-Encoding": st.sampled_from(["identity", "gzip"]),
        "X-Request-ID": PRINTABLE,
        "Accept": PRINTABLE,
    },
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_malformed_requests_never_give_500(reader, body, data):
    """Any method, path, headers and body, also with a wrong length; each answer is JSON and has a request id."""
    draw = data.draw
    content = draw(bodies(body))
    environ = {"CONTENT_LENGTH": str(len(content) + draw(st.sampled_from([0] * 6 + [-1, 1, 10**7])))}
    method, path = draw(METHODS), draw(PATHS)
    found = reader.open(path, method=method, data=content, headers=draw(HEADERS), environ_overrides=environ)
    assert found.status_code in {200, 308, 400, 404, 405, 413, 415, 422}, found.data
    assert found.headers["X-Request-ID"]
    if method not in {"HEAD", "OPTIONS"} and found.status_code != 308:
        problems = found.json.get("forecasts", []) if found.status_code == 200 else [found.json]
        assert found.content_type == f"application/{'json' if found.status_code == 200 else 'problem+json'}"
        assert {one.get("status") for one in problems} <= {None, 400, 404, 405, 413, 415, 422}
