"""The days of neighbours: given with a question, or once for a batch."""

import copy

import msgspec
import pytest

from app.serving.answer import answer_batch
from tests.app.serving.fakes import ask, ask_batch, encoded, refusal, refusal_in_batch
from tests.stations import surrounded_days


def test_the_model_is_given_the_days_of_its_neighbours(surrounded, surrounded_champions, surrounded_question):
    days = surrounded_days()
    recent = days.part(len(days) - 14, len(days))
    found = ask(surrounded_champions, surrounded_question)
    assert found["tmax"] == round(surrounded.model.predict(recent).tmax, 2)
    assert found["flags"] == []
    alone = ask(surrounded_champions, surrounded_question | {"neighbours": None})
    assert alone["flags"] == ["without the neighbour dale"]
    assert alone["tmax"] != found["tmax"]


def test_only_known_columns_up_to_the_last_day_are_looked_at(surrounded_champions, surrounded_question):
    """A neighbour's days may be those of its own question, and more."""
    expected = ask(surrounded_champions, surrounded_question)
    dale = surrounded_question["neighbours"]["dale"]
    for day in dale:
        day |= {"rain": 3.0, "soil": "wet"}
    dale.insert(0, {"date": "2010-01-01", "tmax": 3.0})
    dale.append({"date": "2018-04-15", "tmax": 99.0, "pressure": 1000.0})
    assert ask(surrounded_champions, surrounded_question) == expected
    dale[-2]["tmax"] += 1.0
    other = ask(surrounded_champions, surrounded_question)
    assert other["input_digest"] != expected["input_digest"]
    assert other["tmax"] != expected["tmax"]


def test_the_neighbours_of_a_batch_are_those_of_each_question_without_any(surrounded_champions, surrounded_question):
    bare = {name: of for name, of in surrounded_question.items() if name != "neighbours"}
    warmer = copy.deepcopy(surrounded_question)
    for day in warmer["neighbours"]["dale"]:
        day["tmax"] += 1.0
    around = surrounded_question["neighbours"] | {"fell": [{"date": "of no interest"}]}
    body = encoded({"sequences": [bare, warmer, bare], "neighbours": around})
    found = [msgspec.to_builtins(one) for _, one in answer_batch(surrounded_champions, body)]
    expected = [ask(surrounded_champions, one) for one in (surrounded_question, warmer, surrounded_question)]
    assert found == expected
    assert found[0] != found[1]
    ((_, alone),) = ask_batch(surrounded_champions, bare)
    assert alone.flags == ["without the neighbour dale"]


def test_unknown_neighbours_are_refused(champions, surrounded_champions, body, surrounded_question):
    surrounded_question["neighbours"] |= {"fell/old": []}
    detail = "unknown to this model: its neighbours are dale"
    assert refusal(surrounded_champions, surrounded_question) == {"/neighbours/fell~1old": detail}
    detail = "unknown to this model: it looks at no neighbour"
    assert refusal(champions, body | {"neighbours": {"dale": []}}) == {"/neighbours/dale": detail}


EDITS = [
    (lambda dale: dale[3].update(tmax="warm"), "/3/tmax", "Expected `float | null`, got `str`"),
    (lambda dale: dale[3].update(date="2018-02-30"), "/3/date", "must be a calendar date"),
    (lambda dale: dale[4].update(date=dale[3]["date"]), "/4/date", "dates must ascend"),
    (lambda dale: dale.insert(0, 7), "/0", "got `int`"),
]


@pytest.mark.parametrize(("edit", "place", "part"), EDITS)
def test_invalid_days_are_named_by_their_place(surrounded_champions, surrounded_question, edit, place, part):
    asked = copy.deepcopy(surrounded_question)
    edit(asked["neighbours"]["dale"])
    ((found, detail),) = refusal(surrounded_champions, asked).items()
    assert (found, part in detail) == (f"/neighbours/dale{place}", True), detail
    in_batch = refusal_in_batch(surrounded_champions, surrounded_question, asked)
    assert in_batch == {f"/sequences/1/neighbours/dale{place}": detail}
    for wrong in ([], "dale", 3):
        ((found, _),) = refusal(surrounded_champions, asked | {"neighbours": wrong}).items()
        assert found == "/neighbours"
