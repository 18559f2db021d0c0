"""What a client is told of values that are not believed: flags, and errors with their places, in its own numbers."""

import copy

import msgspec
import numpy as np
import pytest

from models.record.columns import COLUMNS, INCH_OF_MERCURY, from_celsius
from tests.app.serving.fakes import ask, ask_batch, refusal, refusal_in_batch
from tests.stations import observations

LAST = "2018-04-14"


@pytest.fixture
def asked(body):
    """A question of 14 days in April, the last with 18.3 degC."""
    return copy.deepcopy(body)


def as_sequence(asked):
    days = asked["observations"]
    return {"sequence": [[day[name] for name in COLUMNS] for day in days], "end_date": days[-1]["date"]}


def in_us_units(asked):
    days = [
        day | {name: from_celsius(day[name], "us") for name in ("tmax", "tmin")} | {"rain": day["rain"] / 25.4}
        for day in asked["observations"]
    ]
    return asked | {"observations": days, "units": "us"}


def test_past_values_are_set_aside_flagged_and_widen_the_range(champions, asked):
    """The answer is that of the same days without these values, but for the digest."""
    days = asked["observations"]
    wrong = {(3, "tmax"): -99.0, (3, "rain"): -1.0, (5, "tmax"): 12.0, (5, "tmin"): 13.2, (8, "tmin"): -41.5}
    without = copy.deepcopy(asked)
    for (index, name), value in wrong.items():
        days[index][name] = value
        without["observations"][index][name] = None
    found, expected = ask(champions, asked), ask(champions, without)
    dates = [day["date"] for day in days]
    *set_aside, below = found["flags"][:5]
    assert set_aside == [
        f"set aside {dates[3]} tmax -99.0: a code for a missing value",
        f"set aside {dates[3]} rain -1.0: not a possible value",
        f"set aside {dates[5]} tmax 12.0: tmin above tmax",
        f"set aside {dates[5]} tmin 13.2: tmin above tmax",
    ]
    assert below.startswith(f"set aside {dates[8]} tmin -41.5: ")
    assert " standard deviations below the normal of 9 April, " in below
    filled = [(3, "tmax"), (3, "rain"), (5, "tmax"), (5, "tmin"), (8, "tmin")]
    assert found["flags"][5:] == expected["flags"] == [f"filled {dates[i]} {name}" for i, name in filled]
    assert found.pop("input_digest") != expected.pop("input_digest")
    assert found | {"flags": []} == expected | {"flags": []}


@pytest.mark.parametrize("units", ["metric", "us"])
def test_further_values_are_set_aside_and_flagged_as_they_were_given(surrounded_champions, surrounded_question, units):
    """Measured at the station or at a neighbour; the answer is that of the same days without these values."""
    asked = surrounded_question if units == "metric" else in_us_units(surrounded_question)
    days, dale = asked["observations"], asked["neighbours"]["dale"]
    low = 940.0
    for day in [*days, *dale] if units == "us" else []:
        day["pressure"] /= INCH_OF_MERCURY
        low = 27.7
    for day in dale if units == "us" else []:
        day["tmax"] = from_celsius(day["tmax"], "us")
    without = copy.deepcopy(asked)
    for of_days, index, name, value in (
        ("observations", 3, "pressure", -999.0),
        ("observations", 13, "pressure", low),
        ("dale", 5, "tmax", 199.0),
        ("dale", 13, "pressure", low),
    ):
        for question, written in ((asked, value), (without, None)):
            of = question["neighbours"]["dale"] if of_days == "dale" else question["observations"]
            of[index][name] = written
    found, expected = ask(surrounded_champions, asked), ask(surrounded_champions, without)
    dates = [day["date"] for day in days]
    assert found["flags"][:4] == [
        f"set aside {dates[3]} pressure -999.0: not a possible value",
        f"set aside {dates[5]} dale/tmax 199.0: not a possible value",
        f"set aside {dates[13]} dale/pressure {low}: too far outside the season",
        f"set aside {dates[13]} pressure {low}: too far outside the season",
    ]
    assert found["flags"][4:] == expected["flags"]
    assert found.pop("input_digest") != expected.pop("input_digest")
    assert found | {"flags": []} == expected | {"flags": []}
    assert found["tmax"] != ask(surrounded_champions, asked | {"neighbours": None})["tmax"]


def test_the_last_tmax_is_refused_unless_it_is_accepted(champions, asked):
    """In each form, both units, alone and in a batch."""
    slip = copy.deepcopy(asked)
    slip["observations"][-1]["tmax"] = 51.8
    for question, place, value, unit in (
        (slip, "/observations/13/tmax", "51.8", "degC"),
        (as_sequence(slip), "/sequence/13/0", "51.8", "degC"),
        (in_us_units(slip), "/observations/13/tmax", str(from_celsius(51.8, "us")), "degF"),
    ):
        ((pointer, detail),) = refusal(champions, question).items()
        assert pointer == place
        assert detail.startswith(f"{value} {unit} is 1")
        assert "standard deviations above the normal of 14 April, " in detail
        assert detail.endswith(f'; if it is real, send "accept": ["{LAST}"]')
        assert refusal_in_batch(champions, asked, question) == {f"/sequences/1{place}": detail}
        accepted = question | {"accept": [LAST]}
        answer = ask(champions, accepted)
        assert answer["flags"][0].startswith(f"accepted {LAST} tmax {value}: ")
        assert answer["tmax"] > ask(champions, asked)["tmax"] + 5
        ((_, alone),) = ask_batch(champions, accepted)
        assert msgspec.to_builtins(alone) == answer


def test_accepted_days_that_would_be_believed_change_only_the_digest(champions, asked):
    dates = [day["date"] for day in asked["observations"]]
    plain, accepted = ask(champions, asked), ask(champions, asked | {"accept": dates})
    assert plain.pop("input_digest") != accepted.pop("input_digest")
    assert plain == accepted


ERRORS = [
    (
        {"tmax": 0.0, "tmin": 0.0},
        ["tmax"],
        "tmax and tmin are both 0.0 degC",
    ),
    ({"tmax": 12.0, "tmin": 13.0}, ["tmax", "tmin"], "tmin 13.0 is above tmax 12.0; correct it, or leave out tmin"),
    ({"tmax": 999.9}, ["tmax"], "999.9 degC is a code for a missing value"),
    ({"tmax": 61.0}, ["tmax"], '61.0 degC is not a possible value of tmax; if it is degF, set "units": "us"'),
]


@pytest.mark.parametrize(("values", "names", "detail"), ERRORS)
def test_other_errors_of_the_last_day(champions, asked, values, names, detail):
    """Only zeros can be accepted."""
    days = asked["observations"]
    days[-2] |= {"tmax": 18.0, "tmin": 12.0}
    days[-1] |= values
    found = refusal(champions, asked)
    assert [*found] == [f"/observations/13/{name}" for name in names]
    assert all(text.startswith(detail) for text in found.values())
    accepted = asked | {"accept": [LAST]}
    if values["tmax"] == 0:
        assert [flag.split(":")[0] for flag in ask(champions, accepted)["flags"]] == [
            f"accepted {LAST} tmax 0.0",
            f"accepted {LAST} tmin 0.0",
        ]
    else:
        assert refusal(champions, accepted) == found


def test_only_tmin_and_rain_of_the_last_day_are_set_aside(champions, asked):
    asked["observations"][-1] |= {"tmin": 99.9, "rain": 999.9}
    assert ask(champions, asked)["flags"] == [
        f"set aside {LAST} tmin 99.9: a code for a missing value",
        f"set aside {LAST} rain 999.9: a code for a missing value",
        f"filled {LAST} tmin",
        f"filled {LAST} rain",
    ]


def test_a_mistake_of_units_is_named_with_its_remedy(champions, asked):
    metric, us = asked, in_us_units(asked)
    dates = {"accept": [day["date"] for day in asked["observations"]]}
    for question, fits, sent, units in (
        (us | {"units": "metric"}, "degF", "degC", "us"),
        (metric | {"units": "us"}, "degC", "degF", "metric"),
    ):
        detail = f'the temperatures fit the station in {fits}, not in {sent}: set "units": "{units}"'
        assert refusal(champions, question) == refusal(champions, question | dates) == {"/units": detail}
        assert refusal_in_batch(champions, asked, question) == {"/sequences/1/units": detail}
    mixed = asked | {"observations": [*metric["observations"][:9], *us["observations"][9:]]}
    ((place, detail),) = refusal(champions, mixed).items()
    since = mixed["observations"][9]["date"]
    assert place == "/observations/9/tmax"
    assert detail == f"from {since} on, the temperatures fit the station in degF, not in degC: convert them"


def test_too_few_days_after_values_were_set_aside_says_so(champions, asked):
    for day in asked["observations"][4:10]:
        day["tmax"] = -99.0
    ((place, detail),) = refusal(champions, asked).items()
    assert place == "/observations/4/tmax"
    assert "more than 5 consecutive days" in detail
    assert detail.endswith("; set aside 2018-04-05 tmax -99.0: a code for a missing value")


def test_answers_do_not_change_where_everything_is_believed(champions, trained, days):
    """The same bits as the model's own forecast, over all seasons."""
    for end in range(100, len(days), 37):
        part = days.part(0, end)
        forecast = trained.model.predict(part)
        found = ask(champions, {"observations": observations(part)})
        assert not [flag for flag in found["flags"] if flag.startswith(("set", "accepted"))]
        assert found["tmax"] == round(forecast.tmax, 2)
        np.testing.assert_array_equal(
            [found["intervals"][0]["low"], found["intervals"][0]["high"]], np.round(forecast.interval(0.8), 2) + 0.0
        )
