"""Errors as ``application/problem+json`` (RFC 9457), and the table of their statuses."""

import logging
from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from app.serving.champions import NoModel
from app.serving.errors import FieldError, NoReaders, NotJSON, QuestionError
from app.store import StoreError
from app.web.request_ids import current

log = logging.getLogger(__name__)

# HTTP status of the exceptions of app.serving and app.store.
STATUS: dict[type[Exception], HTTPStatus] = {
    NoModel: HTTPStatus.SERVICE_UNAVAILABLE,
    StoreError: HTTPStatus.NOT_FOUND,
    NotJSON: HTTPStatus.BAD_REQUEST,
    NoReaders: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    QuestionError: HTTPStatus.UNPROCESSABLE_ENTITY,
}

# Additional headers by status.
HEADERS = {HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "5"}}


class ProblemBody(msgspec.Struct, kw_only=True):
    """The members of a problem; ``id`` is that of a question in a batch."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] | msgspec.UnsetType = msgspec.UNSET
    id: str | int | msgspec.UnsetType = msgspec.UNSET


class Problem(Exception):  # noqa: N818
    """An error response."""

    def __init__(
        self, status: int, detail: str, errors: Sequence[FieldError] = (), headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = HTTPStatus(status)
        self.detail = detail
        self.errors = list(errors)
        self.headers = HEADERS.get(self.status, {}) | (headers or {})

    def body(self, instance: str, identity: str | int | None = None) -> ProblemBody:
        """Return the body of the response."""
        return ProblemBody(
            title=self.status.phrase,
            status=self.status.value,
            detail=self.detail,
            instance=instance,
            errors=self.errors or msgspec.UNSET,
            id=msgspec.UNSET if identity is None else identity,
        )


def from_exception(error: Exception) -> Problem:
    """Return the problem for an exception; the details of an unexpected one go to the log only."""
    if isinstance(error, Problem):
        return error
    for kind, status in STATUS.items():
        if isinstance(error, kind):
            return Problem(status, str(error), getattr(error, "errors", ()))
    log.error("%s %s failed, X-Request-ID %s", request.method, request.path, current(), exc_info=error)
    return Problem(500, "internal error; the log of the service has the details under this X-Request-ID")


def register(app: Flask) -> None:
    """Make an application send every error as a problem."""

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        headers = {k: v for k, v in error.get_headers() if k in {"Allow", "Retry-After", "Location"}}
        if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
            return Response(status=error.code, headers=headers)
        detail = "there is no such route" if error.code == HTTPStatus.NOT_FOUND else error.description or ""
        return respond(Problem(error.code, detail, headers=headers))

    @app.errorhandler(Exception)
    def anything(error: Exception) -> Response:
        return respond(from_exception(error))


def respond(problem: Problem) -> Response:
    """Return a problem as the response to the current request."""
    body = msgspec.json.encode(problem.body(request.path))
    return Response(body, problem.status, problem.headers, content_type="application/problem+json")
