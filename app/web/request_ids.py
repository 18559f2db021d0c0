"""The name of each request: the caller's, where it is sane, else one made here."""

import re
import uuid

from flask import Flask, Response, g, request

HEADER = "X-Request-ID"
SANE = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def current() -> str:
    """Return the name of the present request, the same however often it is asked for."""
    if "request_id" not in g:
        given = request.headers.get(HEADER, "")
        g.request_id = given if SANE.fullmatch(given) else uuid.uuid4().hex
    return str(g.request_id)


def register(app: Flask) -> None:
    """Put the name on every answer of an application."""

    @app.after_request
    def name_the_request(response: Response) -> Response:
        response.headers[HEADER] = current()
        return response
