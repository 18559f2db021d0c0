"""``POST /predict`` and ``POST /predict/batch``."""

import msgspec
from flask import Blueprint, Response, current_app, request

from app.serving.answer import Answer, answer, answer_batch, answer_file
from app.web.bodies import FILES, JSON, check_type, read_body
from app.web.errors import ProblemBody, from_exception
from app.web.responses import champions, json_response

routes = Blueprint("predict", __name__)


@routes.post("/predict")
def predict() -> Response:
    """Answer one question: in JSON, or a file with the options in the query."""
    if request.mimetype in FILES:
        content = read_body(current_app.config["MAX_UPLOAD_BYTES"])
        return json_response(answer_file(champions(), content, request.args.to_dict(flat=False)))
    check_type(f"{JSON}, or text/csv for a file", is_accepted=request.mimetype == JSON)
    return json_response(answer(champions(), read_body(current_app.config["MAX_BODY_BYTES"])))


@routes.post("/predict/batch")
def predict_batch() -> Response:
    """Answer up to 1,000 questions, each with a forecast or a problem, in the order of the request."""
    check_type(JSON, is_accepted=request.mimetype == JSON)
    forecasts: list[Answer | ProblemBody] = []
    for identity, found in answer_batch(champions(), read_body(current_app.config["MAX_UPLOAD_BYTES"])):
        if isinstance(found, Exception):
            forecasts.append(from_exception(found).body(request.path, identity))
        else:
            forecasts.append(found if identity is None else msgspec.structs.replace(found, id=identity))
    return json_response({"forecasts": forecasts})
