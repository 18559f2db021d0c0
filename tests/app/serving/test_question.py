"""Questions: what a model is given, and which error points where."""

import copy
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.serving.decoding import MAX_ERRORS
from models.record.columns import COLUMNS, column
from tests.app.serving.fakes import FURTHER, FakeChampions, Spy, ask, refusal, refusal_in_batch

NAMES = (*COLUMNS, *FURTHER)


def test_a_model_gets_its_columns_on_the_calendar(spied, spy, question):
    days = question["observations"]
    days[4]["next_wind"] = None
    del days[5]["guidance"]
    del days[6]
    older = {"date": "2018-03-25", "tmax": 1, "guidance": 55}  # of the last 14 given, but not of the last 14 days
    assert ask(spied, question | {"observations": [older, *days]})["flags"][0].startswith("filled 2018-04-07")
    seen = spy.seen[-1]
    expected = {name: [day.get(name) for day in days] for name in NAMES}
    for name in NAMES:
        values = np.array([*expected[name][:6], None, *expected[name][6:]], dtype=float)
        np.testing.assert_array_equal(seen.column(name), values)


@pytest.mark.parametrize("name", ["class", "p", "column_1", "2m_wind", "__dict__", "levels", "date_"])
def test_a_further_column_may_have_any_name(trained, body, name):
    spy = Spy(trained.model, (name, "column_0"))
    body["observations"][-1] |= {name: 1.5, "column_0": -2}
    ask(FakeChampions(trained.manifest, hill=spy), body)
    assert {key: series[-1] for key, series in spy.seen[-1].further.items()} == {name: 1.5, "column_0": -2.0}


def test_the_model_decides_which_columns_a_day_may_carry(champions, spied, trained, body):
    """Observations stay undecoded until the model is known: one body is valid for one model and not for another."""
    measured, unknown = "tmax, tmin, rain", "Object contains unknown field"
    body["observations"][3]["next_wind"] = None
    expected = {"/observations/3/next_wind": f"{unknown} `next_wind`: this model accepts {measured}"}
    assert refusal(champions, body) == expected
    assert ask(spied, body)
    body["observations"][3]["dewpoint"] = 3.0
    expected = {"/observations/3/dewpoint": f"{unknown} `dewpoint`: this model accepts {', '.join(NAMES)}"}
    assert refusal(spied, body) == expected
    # Guidance for the valid date is only for a model with the column of this very name.
    other = FakeChampions(trained.manifest, hill=Spy(trained.model, ["guidance_gfs"]))
    for without, accepted in ((champions, measured), (other, f"{measured}, guidance_gfs")):
        expected = {"/guidance": f"{unknown} `guidance`: this model accepts {accepted}"}
        assert refusal(without, {"guidance": 20.0, "observations": []}) == expected


def wrong_values(name, units):
    """Values that a column cannot have, each with a part of its error; impossible ones, of forecasts."""
    mistyped = st.text() | st.booleans() | st.lists(st.none(), max_size=2) | st.just({})
    choices = [
        st.tuples(mistyped, st.just("Expected `float | null`, got")),
        st.tuples(st.sampled_from([np.nan, np.inf, -np.inf]), st.just("must be a finite number")),
    ]
    zero, one = (float(column(name).to_metric(value, units)) for value in (0.0, 1.0))
    detail = "a spread cannot be below 0" if name == "guidance_spread" else f"is not a possible value of {name}"
    for limit, ends in zip(column(name).limits, ((-1e6, -0.01), (0.01, 1e6)), strict=True):
        if np.isfinite(limit) and name not in COLUMNS:
            beyond = st.floats(*((limit - zero) / (one - zero) + end for end in ends))
            choices.append(st.tuples(beyond, st.just(detail), st.just(column(name).unit(units))))
    return st.one_of(choices)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_invalid_value_is_named_by_its_place(spied, question, data):
    """In observations and sequences, in both units, alone and in a batch, and no other value with it."""
    draw = data.draw
    asked, units = copy.deepcopy(question), draw(st.sampled_from(["metric", "us"]))
    days, as_sequence = asked["observations"], draw(st.booleans())
    name, index = draw(st.sampled_from(COLUMNS if as_sequence else NAMES)), draw(st.integers(0, 13))
    value, *parts = draw(wrong_values(name, units))
    days[index][name] = value
    place = f"/observations/{index}/{name}"
    if as_sequence:
        place = f"/sequence/{index}/{COLUMNS.index(name)}"
        asked = {"sequence": [[day[n] for n in COLUMNS] for day in days], "end_date": days[-1]["date"]}
    elif name == "guidance" and index == len(days) - 1 and draw(st.booleans()):
        asked["guidance"] = days[-1].pop("guidance")
        place = "/guidance"
    asked["units"] = units
    (found,) = refusal(spied, asked).items()
    assert found[0] == place
    assert all(part in found[1] for part in parts)
    assert refusal_in_batch(spied, question, asked) == {f"/sequences/1{place}": found[1]}


def rows(*rows, end="2024-01-10", **more):
    return {"sequence": rows, "end_date": end} | more


ROW = [1, 0, 0]
FORMS = [
    (rows(*[ROW] * 9, observations=[]), "/observations", "give observations, or sequence with end_date"),
    ({}, "/observations", "give observations, or sequence with end_date"),
    ({"observations": None}, "/observations", "give observations, or sequence with end_date"),
    ({"observations": []}, "/observations", "at least one day is needed"),
    (rows(), "/sequence", "at least one day is needed"),
    ({"sequence": [ROW]}, "/end_date", "sequence and end_date go together"),
    ({"observations": [], "end_date": "2024-01-01"}, "/end_date", "sequence and end_date go together"),
    (rows(*[ROW] * 9, end="0001-01-02"), "/end_date", "the sequence would begin before the year 1"),
    (rows(*[ROW] * 9, end="9999-12-31"), "/end_date", "must not be after 9999-12-30"),
    (rows([1, 0]), "/sequence/0", "length 3"),
    (rows([1, 0, 0, 23]), "/sequence/0", "length 3"),
    (rows([66, 0, 0]), "/sequence/0/0", '66.0 degC is not a possible value of tmax; if it is degF, set "units": "us"'),
    (rows(ROW, [None, 0, 0]), "/sequence/1/0", "tmax is missing on the last day"),
    (rows(*[ROW] * 3, *[[None] * 3] * 6, ROW), "/sequence/3/0", "more than 5 consecutive days"),
    (rows(*[ROW] * 6), "/sequence", "too few days"),
    ([ROW], "", "got `array`"),
    ("observations", "", "got `str`"),
]


@pytest.mark.parametrize(("asked", "pointer", "part"), FORMS)
def test_invalid_forms_are_refused(spied, asked, pointer, part):
    ((found, detail),) = refusal(spied, asked).items()
    assert (found, part in detail) == (pointer, True), detail


EDITS = [
    (lambda days: days[3].update(date=20240101), "3/date", "got `int`"),
    (lambda days: days[3].update(date="2024-02-30"), "3/date", "must be a calendar date such as 2015-12-31"),
    (lambda days: days[3].update(date="2018-04-04T00:00:00"), "3/date", "must be a calendar date"),
    (lambda days: days[3].pop("date"), "3/date", "missing required field"),
    (lambda days: days[4].update(date="2018-04-01"), "4/date", "dates must ascend: 2018-04-01 comes after 2018-04-04"),
    (lambda days: days[4].update(date="2018-04-04"), "4/date", "dates must ascend: 2018-04-04 is repeated"),
    (lambda days: days[13].update(date="9999-12-31"), "13/date", "must not be after 9999-12-30"),
    (lambda days: days[13].update(date="2019-04-14"), "13/date", "too few days"),
    (lambda days: days[13].update(tmax=-95.0), "13/tmax", "-95.0 degC is not a possible value of tmax"),
    (lambda days: days[13].update(tmax=None), "13/tmax", "tmax is missing on the last day"),
    (lambda days: days.__delitem__(slice(4, 10)), "4/date", "more than 5 consecutive days"),
    (lambda days: [day.update(tmax=None) for day in days[4:10]], "4/tmax", "more than 5 consecutive days"),
    (lambda days: days.__delitem__(slice(0, 8)), "", "too few days"),
]


@pytest.mark.parametrize(("edit", "place", "part"), EDITS)
def test_invalid_days_are_named(spied, question, edit, place, part):
    edit(question["observations"])
    ((found, detail),) = refusal(spied, question).items()
    assert (found, part in detail) == (f"/observations/{place}".rstrip("/"), True), detail


def test_invalid_options_are_named(spied, question):
    for option, pointer, part in [
        ({"horizon": 2}, "/horizon", "unknown field `horizon`"),
        ({"guidance_spread": 1.0}, "/guidance_spread", "unknown field"),
        ({"guidance": 99.5}, "/guidance", "contradicts the guidance of the last day: 99.5 is not "),
        ({"units": "kelvin"}, "/units", "kelvin"),
        ({"station": 5}, "/station", "got `int`"),
        ({"levels": [0.8, 1.0]}, "/levels/1", "<= 0.99"),
        ({"levels": [0.8] * 101}, "/levels", "length <= 100"),
        ({"thresholds": [1, np.nan]}, "/thresholds/1", "must be a finite number"),
        ({"accept": ["2018-04-14", "2018-04-31"]}, "/accept/1", "must be a calendar date"),
        ({"accept": ["2018-04-14", "2018-04-15"]}, "/accept/1", "2018-04-15 is not a day of the sequence"),
    ]:
        ((found, detail),) = refusal(spied, question | option).items()
        assert (found, part in detail) == (pointer, True), detail


def test_all_impossible_forecasts_are_named_at_once_in_the_units_of_the_request(spied, question):
    days = question["observations"]
    for day in days:
        day |= {"tmax": 50.0, "tmin": 40.0, "rain": 0.0, "guidance": 51.0}
    days[2] |= {"guidance": 150.0, "guidance_spread": -1.8}
    days[-1]["guidance"] = 160.0
    assert refusal(spied, question | {"units": "us", "guidance": 160.0}) == {
        "/observations/2/guidance": "150.0 degF is not a possible value of guidance",
        "/observations/2/guidance_spread": "-1.8 degF: a spread cannot be below 0",
        "/guidance": "160.0 degF is not a possible value of guidance",
    }
    spread = FakeChampions(spied.manifest, hill=Spy(spied.models["hill"].model, ["guidance_gfs_spread"]))
    asked = {"observations": [{"date": "2018-04-01", "tmax": 10, "guidance_gfs_spread": -1}]}
    detail = "-1.0 degC: a spread cannot be below 0"
    assert refusal(spread, asked) == {"/observations/0/guidance_gfs_spread": detail}


def test_large_invalid_bodies_name_at_most_100_places(champions):
    """Two megabytes, in linear time."""
    nan = b'{"thresholds": [' + b",".join([b"NaN"] * 500_000) + b"]}"
    wrong = json.dumps({"observations": [{"date": "2024-01-01"}] * 80_000}).encode()
    for body in (nan, wrong):
        assert len(refusal(champions, body)) == MAX_ERRORS


def test_the_first_and_the_last_dates_are_answered(champions):
    for end, valid in (("0001-01-07", "0001-01-08"), ("9999-12-30", "9999-12-31")):
        assert ask(champions, {"sequence": [[1, 0, 0]] * 7, "end_date": end})["date"] == valid
