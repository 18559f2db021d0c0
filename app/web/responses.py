"""Shared by the routes: the champions of the application, and JSON responses."""

from typing import Any, cast

import msgspec
from flask import Response, current_app

from app.serving.champions import Champions


def champions() -> Champions:
    """Return the champions of the current application."""
    return cast(Champions, current_app.extensions["champions"])


def json_response(value: Any) -> Response:
    """Return a value as a JSON response."""
    return Response(msgspec.json.encode(value), content_type="application/json")
