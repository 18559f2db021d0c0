"""Questions whose days are a file: in the body, with the options in the query, or an Open-Meteo answer as JSON."""

import sys
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from app import readers
from app.readers import Record, RecordError
from app.serving.answer import answer_file
from app.serving.errors import NoReaders, QuestionError
from models.record.columns import from_celsius
from models.record.days import StationDays
from models.record.quality import SetAside
from tests.app.serving.fakes import FURTHER, FakeChampions, Spy, ask, ask_batch, refusal
from tests.stations import observations, write_csv

LAST = "2018-04-14"
LATER = ((19.0, 20.0), (10.0, 11.0), (0.0, 0.0))  # tmax, tmin, rain


@pytest.fixture
def file(tmp_path, days):
    """The whole record as CSV."""
    return write_csv(tmp_path / "days.csv", days).read_bytes()


@pytest.fixture
def pasted(days):
    """The last 14 days as an Open-Meteo answer, with two days to come."""
    names = ("temperature_2m_max", "temperature_2m_min", "precipitation_sum")
    dates = [*map(str, days.dates[-14:]), "2018-04-15", "2018-04-16"]
    columns = [[*map(float, column[-14:]), *later] for column, later in zip(days.values.T, LATER, strict=True)]
    daily = {"time": dates} | dict(zip(names, columns, strict=True))
    units = {"time": "iso8601", "temperature_2m_max": "°C", "temperature_2m_min": "°C", "precipitation_sum": "mm"}
    return {"latitude": 53.3, "longitude": -6.2, "daily_units": units, "daily": daily}


def ask_file(champions, content, **query):
    lists = {name: [*map(str, value)] if isinstance(value, list) else [value] for name, value in query.items()}
    return msgspec.to_builtins(answer_file(champions, content, lists))


def refused(champions, content, **query):
    with pytest.raises(QuestionError) as caught:
        ask_file(champions, content, **query)
    (error,) = caught.value.errors
    assert error.pointer == ""
    return error.detail


def test_a_file_is_answered_as_its_last_days_are(champions, file, body, days):
    """Also in its digest, with the options of the query."""
    assert ask_file(champions, file) == ask(champions, body)
    options = {"levels": [0.5, 0.95], "thresholds": [20.0, 25.0]}
    query = {"station": "hill", "units": "metric", "level": [0.5, 0.95], "threshold": [20.0, 25.0], "format": "csv"}
    assert ask_file(champions, file, **query) == ask(champions, body | options)
    earlier = days.part(0, len(days) - 100)
    found = ask_file(champions, file, end_date=str(earlier.last))
    assert found == ask(champions, {"observations": observations(earlier)})


def test_units_are_those_of_the_query_else_of_the_file(champions, tmp_path, file, days):
    values = np.column_stack([from_celsius(days.values[:, :2], "us"), days.values[:, 2] / 25.4])
    us = write_csv(tmp_path / "us.csv", replace(days, values=values)).read_bytes()
    found, metric = ask_file(champions, us, units="us"), ask_file(champions, file)
    assert found["units"] == "us"
    assert found["tmax"] == pytest.approx(from_celsius(metric["tmax"], "us"), abs=0.02)
    detail = "the temperatures fit the station in degC, not in degF: add units=metric to the query"
    assert refused(champions, file, units="us") == detail


def test_what_the_reader_says_is_flagged(champions, monkeypatch, days):
    """Its notes, and values set aside within the days in use; the days after the last tmax are dropped."""
    values = days.values.copy()
    values[-3:, 0] = values[-6, 1] = np.nan
    at = [days.dates[-6], days.dates[-400]]
    set_aside = tuple(SetAside(date, "tmin", 60.0, "outside -90 to 57") for date in at)
    record = Record("x", StationDays(days.first, values), set_aside, units="us", notes=("evaporation is not used",))
    monkeypatch.setattr(readers, "read_content", lambda *_: record)
    found = ask_file(champions, b"")
    last = days.dates[-4]
    assert found["issued"] == str(last)
    assert found["units"] == "us"
    assert found["flags"][:3] == [
        "evaporation is not used",
        f"the record ends on {days.last}, its last tmax is of {last}: forecasting from there",
        f"set aside {at[0]} tmin 140.0: outside -90 to 57",
    ]
    lost = SetAside(days.dates[-2], "tmax", 60.0, "outside -90 to 57")
    monkeypatch.setattr(readers, "read_content", lambda *_: replace(record, set_aside=(lost,)))
    expected = f"the last tmax cannot be believed: 140.0 degF on {lost.date}: outside -90 to 57"
    assert refused(champions, b"") == f"{expected}; correct it, or remove that day"


def test_the_reader_gets_the_options(monkeypatch, trained, days):
    """All but those of the answer; guidance and quantities are always read, other columns must be named."""
    asked = []
    champions = FakeChampions(trained.manifest, hill=Spy(trained.model, ["pressure", *FURTHER]))
    monkeypatch.setattr(readers, "read_content", lambda *given: asked.append(given) or Record("x", days))
    ask_file(champions, b"1", station="hill", units="us", format="dwd", timezone="Europe/Dublin")
    ask_file(champions, b"2")
    assert asked == [
        (b"1", "the body", "dwd", "us", ["next_wind"], "Europe/Dublin", "hill"),
        (b"2", "the body", "auto", None, ["next_wind"], None, None),
    ]
    for stated, units in (({}, "metric"), ({"daily_units": {}}, None)):
        ask(champions, {"daily": {"time": []}, "units": "metric"} | stated)
        assert asked[-1][3] == units


def test_belief_is_that_of_a_question(champions, file):
    slip = file.rstrip().rsplit(b"\n", 1)[0] + f"\n{LAST},51.8,10.0,0\n".encode()
    detail = refused(champions, slip)
    assert detail.startswith("51.8 degC is ")
    assert detail.endswith(f"; if it is real, add accept={LAST} to the query")
    flags = ask_file(champions, slip, accept=["2018-04-13", LAST])["flags"]
    assert [flag.split(":")[0] for flag in flags] == [f"accepted {LAST} tmax 51.8"]


ERRORS = [
    ({"horizon": "2"}, "query parameter unknown field `horizon`"),
    ({"levels": ["0.8"]}, "query parameter unknown field `levels`"),
    ({"level": ["0.5", "x"]}, "query parameter level: Expected `float`, got `str`"),
    ({"level": ["1.5"]}, "query parameter level: Expected `float` <= 0.99"),
    ({"units": "kelvin"}, "query parameter units: Invalid enum value 'kelvin'"),
    ({"accept": ["2018-02-30"]}, "query parameter accept: Invalid RFC3339 encoded date"),
    ({"station": ["hill", "dale"]}, "query parameter station: give it once"),
    ({"accept": ["2018-04-15"]}, "accept: 2018-04-15 is not a day of the record, 2015-01-01 to 2018-04-14"),
    ({"end_date": "2014-12-31"}, "no day up to 2014-12-31 has a tmax"),
    ({"end_date": "2015-01-03"}, "too few days: "),
]


@pytest.mark.parametrize(("query", "detail"), ERRORS)
def test_invalid_queries_are_refused(champions, file, query, detail):
    with pytest.raises(QuestionError) as caught:
        answer_file(champions, file, {name: of if isinstance(of, list) else [of] for name, of in query.items()})
    assert [error.pointer for error in caught.value.errors] == [""]
    assert caught.value.errors[0].detail.startswith(detail)


def test_errors_of_a_file_name_the_line_and_a_remedy_by_query(champions, monkeypatch):
    text = b"date,tmax,tmin,rain\n2018-04-01,12,3,0\n2018-04-02,warm,3,0\n"
    assert refused(champions, text).startswith("line 3: tmax 'warm' is not a number")

    def refuse(*_):
        raise RecordError("the body: 2 stations: choose one with --station: a, b; or add --units us")

    monkeypatch.setattr(readers, "read_content", refuse)
    assert refused(champions, b"") == "2 stations: choose one with the parameter station: a, b; or add units=us"


def test_a_pasted_open_meteo_answer_is_a_question(champions, body, pasted):
    """With the fields of a question; its days after ``end_date`` are not looked at."""
    options = {"station": "hill", "units": "us", "levels": [0.5], "thresholds": [60.0], "accept": [LAST]}
    expected = ask(champions, body | {"levels": [0.5], "thresholds": [15.6]})
    found = ask(champions, pasted | options | {"end_date": LAST})
    assert (found["issued"], found["units"], found["flags"]) == (LAST, "us", [])
    assert found["tmax"] == pytest.approx(from_celsius(expected["tmax"], "us"), abs=0.02)
    assert found["exceedance"][0]["probability"] == pytest.approx(expected["exceedance"][0]["probability"], abs=0.01)
    (first, alone), (second, refusal_of_it) = ask_batch(
        champions, pasted | options | {"end_date": LAST, "id": 7}, pasted | {"levels": [2], "id": "b"}
    )
    assert (first, second) == (7, "b")
    assert msgspec.to_builtins(alone) == found
    assert refusal_of_it.errors[0].pointer == "/sequences/1/levels/0"
    whole = ask(champions, pasted)
    assert (whole["issued"], whole["units"]) == ("2018-04-16", "metric")


def test_remedies_for_a_pasted_answer_are_fields(champions, pasted):
    pasted["daily"]["temperature_2m_max"][13] = 51.8
    ((place, detail),) = refusal(champions, pasted | {"end_date": LAST}).items()
    assert place == ""
    assert detail.endswith(f'; if it is real, send "accept": ["{LAST}"]')
    accepted = ask(champions, pasted | {"end_date": LAST, "accept": [LAST]})
    assert accepted["flags"][0].startswith(f"accepted {LAST} tmax 51.8: ")


def test_a_question_with_a_further_field_is_no_pasted_answer(champions, body):
    for further in ({"daily": {"time": []}}, {"hourly": 3}):
        ((place, detail),) = refusal(champions, body | further).items()
        assert place == f"/{min(further)}"
        assert "unknown field" in detail
    assert refusal(champions, {"daily": 3}) == {"/daily": "Object contains unknown field `daily`"}


def test_a_service_without_pandas_says_so(champions, monkeypatch, file, pasted):
    monkeypatch.setitem(sys.modules, "app.readers", None)
    for call in (lambda: ask_file(champions, file), lambda: ask(champions, pasted)):
        with pytest.raises(NoReaders, match="without pandas, which reads files: send JSON"):
            call()
