"""A question without the further columns and the neighbours that the model looks at."""

from dataclasses import replace

import numpy as np
import pytest

from models.record.columns import COLUMNS
from tests.app.serving.fakes import ask, ask_batch
from tests.stations import QUICK, surrounded_days

MEASURED = {"date", *COLUMNS}


def width(answer):
    low, high = (answer["intervals"][0][end] for end in ("low", "high"))
    return high - low


def without(question, columns=True, neighbours=True):
    days = [{k: v for k, v in day.items() if k in MEASURED or not columns} for day in question["observations"]]
    near = {} if neighbours else {"neighbours": question["neighbours"]}
    return {"station": question["station"], "observations": days} | near


@pytest.mark.parametrize(
    ("columns", "neighbours", "flags"),
    [
        (True, True, ["without hail, pressure", "without the neighbour dale"]),
        (True, False, ["without hail, pressure"]),
        (False, True, ["without the neighbour dale"]),
    ],
)
def test_it_is_answered_and_the_answer_says_what_was_missing(
    surrounded_champions, surrounded_question, columns, neighbours, flags
):
    whole = ask(surrounded_champions, surrounded_question)
    assert whole["flags"] == []
    bare = without(surrounded_question, columns, neighbours)
    found = ask(surrounded_champions, bare)
    assert found["flags"] == flags
    assert width(found) > width(whole)
    assert {name: found[name] for name in ("issued", "date")} == {name: whole[name] for name in ("issued", "date")}
    assert found["input_digest"] != whole["input_digest"]
    ((_, in_batch),) = ask_batch(surrounded_champions, bare)
    assert (in_batch.tmax, in_batch.flags) == (found["tmax"], flags)


def test_nulls_and_no_days_are_the_same_as_nothing(surrounded_champions, surrounded_question):
    bare = without(surrounded_question)
    expected = ask(surrounded_champions, bare)
    nulls = [day | {"pressure": None, "hail": None} for day in bare["observations"]]
    for near in ({}, {"dale": []}, {"dale": [{"date": day["date"]} for day in nulls]}, None):
        assert ask(surrounded_champions, bare | {"observations": nulls, "neighbours": near}) == expected


def test_the_range_is_wider_the_less_is_known(surrounded):
    """On average: a single forecast may be narrower, as the last errors are others."""
    model, days = surrounded.model, surrounded_days()
    rows = np.arange(QUICK.recommended_days, len(days))

    def mean_width(*names):
        kept = {name: of for name, of in days.further.items() if name in names}
        low, high = model.quantiles(replace(days, further=kept), rows)[:, [19, 179]].T
        return (high - low).mean()

    own, near = ("hail", "pressure"), ("dale/tmax", "dale/pressure")
    assert mean_width() > mean_width(*near) > mean_width(*own, *near)
    assert mean_width() > mean_width(*own) > mean_width(*own, *near)
