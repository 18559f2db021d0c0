"""``POST /predict`` and ``POST /predict/batch``."""

import msgspec
from flask import Blueprint, Response, current_app, request

from app.serving.answer import Answer, answer, answer_batch
from app.web.bodies import read_json_body
from app.web.errors import ProblemBody, from_exception
from app.web.responses import champions, json_response

routes = Blueprint("predict", __name__)


@routes.post("/predict")
def predict() -> Response:
    """Answer one question."""
    return json_response(answer(champions(), _body()))


@routes.post("/predict/batch")
def predict_batch() -> Response:
    """Answer up to 1,000 questions, each with a forecast or a problem, in the order of the request."""
    forecasts: list[Answer | ProblemBody] = []
    for identity, found in answer_batch(champions(), _body()):
        if isinstance(found, Exception):
            forecasts.append(from_exception(found).body(request.path, identity))
        else:
            forecasts.append(found if identity is None else msgspec.structs.replace(found, id=identity))
    return json_response({"forecasts": forecasts})


def _body() -> bytes:
    return read_json_body(current_app.config["MAX_BODY_BYTES"])
