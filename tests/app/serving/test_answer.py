"""Answers: the forecast for a question, its flags, and batches."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from app.serving.answer import MAX_SEQUENCES, answer, answer_batch
from app.serving.champions import NoModel
from app.serving.errors import QuestionError
from app.store import StoreError
from models.record.columns import COLUMNS, from_celsius
from tests.app.serving.fakes import FakeChampions, Spy, ask, ask_batch, encoded, refusal
from tests.stations import observations


def strip(question):
    """The same question without further columns."""
    days = [{name: day[name] for name in ("date", *COLUMNS)} for day in question["observations"]]
    return question | {"observations": days}


@pytest.mark.parametrize("model", ["trained", "guided"])
def test_answer_states_the_forecast_of_the_model(model, days_with_guidance, question, request):
    """Without and with guidance; the only station need not be named."""
    training, days = request.getfixturevalue(model), days_with_guidance
    recent = days.part(len(days) - 14, len(days))
    if model == "trained":
        recent, question = replace(recent, further={}), strip(question)
    forecast, levels, thresholds = training.model.predict(recent), (0.5, 0.95), (-50.0, 10.0, 50.0)
    champions = FakeChampions(training.manifest, hill=training.model)
    found = ask(champions, question | {"levels": levels, "thresholds": thresholds, "station": None})
    digest = found["input_digest"]
    intervals = [(level, *forecast.interval(level)) for level in levels]
    manifest = training.manifest
    expected = {
        "station": "hill",
        "issued": "2018-04-14",
        "date": "2018-04-15",
        "tmax": round(forecast.tmax, 2),
        "intervals": [{"level": p, "low": round(low, 2), "high": round(high, 2)} for p, low, high in intervals],
        "exceedance": [{"threshold": t, "probability": round(forecast.exceedance(t), 4)} for t in thresholds],
        "units": "metric",
        "flags": [],
        "model": {"version": "v1", "digest": manifest.sha256, "trained_through": manifest.trained_through},
        "input_digest": digest,
    }
    assert found == expected
    assert list(found) == list(expected)
    assert digest.startswith("sha256:")
    plain = ask(champions, question)
    assert ([one["level"] for one in plain["intervals"]], plain["exceedance"]) == ([0.8, 0.9], [])


def test_us_units_give_the_same_forecast_converted(spied, spy, question):
    metric = ask(spied, question | {"thresholds": [10.0]})
    for day in question["observations"]:
        for name, factor in {
            "tmax": 1.8,
            "tmin": 1.8,
            "guidance": 1.8,
            "guidance_spread": 1.8,
            "rain": 1 / 25.4,
        }.items():
            day[name] = day[name] * factor + (32 if name in {"tmax", "tmin", "guidance"} else 0)
    question |= {"units": "us", "thresholds": [50.0]}
    found = ask(spied, question)
    first, second = spy.seen
    for name in (*COLUMNS, *spy.further):
        np.testing.assert_allclose(second.column(name), first.column(name), atol=1e-9)
    assert found["units"] == "us"
    ours, theirs = ([one["tmax"], one["intervals"][0]["low"], one["intervals"][0]["high"]] for one in (found, metric))
    assert ours == pytest.approx([from_celsius(celsius, "us") for celsius in theirs], abs=0.02)
    assert found["exceedance"][0]["probability"] == pytest.approx(metric["exceedance"][0]["probability"], abs=1e-3)
    top = question["observations"][-1].pop("guidance")
    assert ask(spied, question | {"guidance": top}) == found


def test_every_form_of_a_question_gives_the_same_answer(spied, body):
    """Also with further columns that are null or absent, and days that are too old to be used."""
    days = body["observations"]
    sequence = {"sequence": [[day[name] for name in COLUMNS] for day in days], "end_date": days[-1]["date"]}
    with_guidance = body | {"observations": [*days[:-1], days[-1] | {"guidance": 23, "next_wind": None}]}
    top = {"guidance": 23}
    forms = [with_guidance, with_guidance | {"guidance": 23.0}, body | top, sequence | top]
    expected = ask(spied, forms[0])
    assert [ask(spied, form) for form in forms] == 4 * [expected]
    assert ask(spied, body | {"guidance": None}) == ask(spied, sequence) == ask(spied, body)
    older = {"date": "2010-01-01", "tmax": 1, "guidance": 55}
    found = ask(spied, body | {"observations": [older, *with_guidance["observations"]]})
    assert found.pop("input_digest") != expected.pop("input_digest")
    assert found == expected


def test_zero_has_no_sign(spied, spy, trained, body):
    ask(spied, body)
    tmax = trained.model.predict(spy.seen[-1]).tmax
    assert str(ask(spied, body | {"guidance": -tmax - 0.002})["tmax"]) == "0.0"


def test_digest_changes_with_any_part_of_the_question(spied, body):
    days = body["observations"]
    options = [{"levels": [0.8]}, {"thresholds": [1]}, {"guidance": 23.0}, {"guidance": 23.5}]
    options += [{"accept": [days[-1]["date"]]}, {"accept": [days[-2]["date"]]}]
    changed = [*days[:-1], days[-1] | {"next_wind": 23.0}], [*days[:-1], days[-1] | {"rain": None}], days[1:]
    variants = [body, *(body | option for option in options), *(body | {"observations": of} for of in changed)]
    assert len({ask(spied, one)["input_digest"] for one in variants}) == len(variants)


def test_flags_name_filled_values_notes_few_days_ignored_columns_and_high_levels(trained, body):
    del body["observations"][0]
    days = body["observations"]
    days[3]["rain"] = None
    del days[-1]["tmin"]
    absent = days.pop(6)["date"]
    champions = FakeChampions(trained.manifest, hill=Spy(trained.model, ["guidance"], measured=("tmax", "rain")))
    assert ask(champions, body | {"levels": [0.5, 0.99]})["flags"] == [
        f"filled {days[3]['date']} rain",
        *(f"filled {absent} {name}" for name in COLUMNS),
        f"filled {days[-1]['date']} tmin",
        "without guidance",
        "used 13 days of the 14 recommended",
        "ignored tmin: too few training days have it",
        f"level 0.99 is too high to calibrate with {trained.model.calibration.errors.n} errors",
    ]
    for day in days:
        day.pop("tmin", None)
    assert not any(flag.startswith(("ignored", "level")) for flag in ask(champions, body)["flags"])


def test_one_of_several_stations_must_be_named(trained, body):
    champions = FakeChampions(trained.manifest, hill=trained.model, dale=trained.model)
    assert ask(champions, body)["station"] == "hill"
    with pytest.raises(StoreError, match="nowhere"):
        ask(champions, body | {"station": "nowhere"})
    del body["station"]
    assert refusal(champions, body) == {"/station": "2 stations are served: name one; GET /models lists them"}
    with pytest.raises(NoModel, match="no model has been trained yet"):
        ask(FakeChampions(trained.manifest), body)


def test_batch_answers_each_question_as_alone(guided_champions, question, days_with_guidance):
    """The same bytes, whatever stands beside them."""
    parts = [days_with_guidance.part(0, n) for n in range(100, 130)]
    asked = [question, strip(question) | {"guidance": 3}, *({"observations": observations(part)} for part in parts)]
    together = [msgspec.json.encode(found) for _, found in ask_batch(guided_champions, *asked)]
    assert together == [msgspec.json.encode(answer(guided_champions, encoded(one))) for one in asked]
    assert len(set(together)) == len(asked)


def test_batch_reports_invalid_questions_in_their_places(champions, body):
    bad_type = body | {"id": "b", "observations": [{"date": "2024-01-01", "tmax": "x"}]}
    short = body | {"observations": body["observations"][-3:]}
    asked = [body | {"id": "a"}, bad_type, body | {"id": 3, "station": "nowhere"}, body | {"id": None}, 7, short]
    (a, first), (b, second), (three, third), (none, fourth), (_, fifth), (_, sixth) = ask_batch(champions, *asked)
    assert (a, b, three, none) == ("a", "b", 3, None)
    assert msgspec.to_builtins(first) == msgspec.to_builtins(fourth) == ask(champions, body)
    assert isinstance(third, StoreError)
    pointers = [error.errors[0].pointer for error in (second, fifth, sixth)]
    assert pointers == ["/sequences/1/observations/0/tmax", "/sequences/4", "/sequences/5/observations"]


def test_batch_is_limited_and_lists_the_stations_once(champions, body):
    assert ask_batch(champions) == []
    del body["station"]
    champions.listed = 0
    assert len(ask_batch(champions, *[body] * 3, *[{}] * (MAX_SEQUENCES - 3))) == MAX_SEQUENCES
    assert champions.listed == 1
    for wrong, pointer in (({"sequences": [{}] * (MAX_SEQUENCES + 1)}, "/sequences"), (body, "/observations")):
        with pytest.raises(QuestionError) as caught:
            answer_batch(champions, encoded(wrong))
        assert caught.value.errors[0].pointer == pointer
