"""Decoding: malformed bodies, and the JSON pointers of their errors."""

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.serving.answer import Answer, answer, answer_batch
from app.serving.errors import NotJSON, QuestionError
from app.store import StoreError
from tests.app.serving.bodies import bodies
from tests.app.serving.fakes import refusal


def resolved(document, pointer):
    """Follow a JSON pointer (RFC 6901); only a name at its end may be missing."""
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
    for n_left, token in zip(range(len(tokens))[::-1], tokens, strict=True):
        if isinstance(document, list):
            document = document[int(token)]
        else:
            document = document[token] if n_left else document.get(token)
    return document


def check(body, found):
    """An answer has finite numbers of this planet; an error is one of ours, and points to a place of the body."""
    if isinstance(found, Answer):
        numbers = [found.tmax, *(end for one in found.intervals for end in (one.low, one.high))]
        assert all(math.isfinite(number) and abs(number) < 400 for number in numbers), found
        assert all(0 <= one.probability <= 1 for one in found.exceedance)
    elif isinstance(found, QuestionError):
        for error in found.errors:
            value = resolved(json.loads(body), error.pointer)
            assert error.detail != "must be a finite number" or not math.isfinite(value)
    else:
        assert isinstance(found, NotJSON | StoreError), found


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_malformed_bodies_are_answered_or_refused_at_their_place(guided_champions, question, data):
    body = data.draw(bodies(question))
    for ask in (lambda: [(None, answer(guided_champions, body))], lambda: answer_batch(guided_champions, body)):
        try:
            found = [one for _, one in ask()]
        except (QuestionError, NotJSON, StoreError) as error:
            found = [error]
        for one in found:
            check(body, one)


def test_pointers_escape_names_and_lead_to_numbers_that_are_not_finite(champions):
    for body, pointer in {
        b'{"a/b~c": 2}': "/a~1b~0c",
        b'{"a - at `$.b": 1}': "/a - at `$.b",
        b'{"a/b~c": [1, {"~": NaN}]}': "/a~1b~0c/1/~0",
        b'{"sequence": [[1, 2, 3], [1, 1e999, 3]]}': "/sequence/1/1",
        b'{"observations": [{"tmax": 1}, {"tmax": 1e999}]}': "/observations/1/tmax",
        b'{"levels": "x", "a": -Infinity}': "/a",  # what is not JSON is named first
    }.items():
        assert list(refusal(champions, body)) == [pointer]
        assert resolved(json.loads(body), pointer)


NOT_JSON = [
    b"",
    b"tmax=3",
    b"[1, 2",
    b'{"observations": [{"date": "2018-04-14"}',
    b'{"levels": "x", garbage',  # the wrong type comes before the end of JSON
    b'{"station": "\xff\xfe"}',
    b'{"observations": [{"date": "\xff"}]}',
    b'{"station": "\\ud800"}',
    b'{"levels": ' + b"[" * 100_000,
]


def test_bodies_that_are_not_json_are_refused_as_such(champions):
    for body in NOT_JSON:
        for ask in (answer, answer_batch):
            with pytest.raises(NotJSON, match="the body is not valid JSON: "):
                ask(champions, body)
