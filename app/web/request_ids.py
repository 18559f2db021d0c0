"""The id of each request: the caller's if valid, else a new one."""

import re
import uuid

from flask import Flask, Response, g, request

HEADER = "X-Request-ID"
SANE = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def current() -> str:
    """Return the id of the current request, the same on every call."""
    if "request_id" not in g:
        given = request.headers.get(HEADER, "")
        g.request_id = given if SANE.fullmatch(given) else uuid.uuid4().hex
    return str(g.request_id)


def register(app: Flask) -> None:
    """Make an application send the id with every response."""

    @app.after_request
    def add_request_id(response: Response) -> Response:
        response.headers[HEADER] = current()
        return response
