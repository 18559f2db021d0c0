"""Errors as clients see them: ``application/problem+json`` (RFC 9457), and the one table of statuses."""

import logging
from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from app.store import StoreError
from app.web.request_ids import current
from app.web.shelf import NoModel

log = logging.getLogger(__name__)


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong at one place of the body; the place is a JSON pointer (RFC 6901)."""

    pointer: str
    detail: str


class ProblemBody(msgspec.Struct, kw_only=True):
    """The members of a problem; ``id`` is that of the sequence in a batch."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] | msgspec.UnsetType = msgspec.UNSET
    id: str | int | msgspec.UnsetType = msgspec.UNSET


# Headers that come with a status.
HEADERS = {HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "5"}}


class Problem(Exception):  # noqa: N818
    """A request that cannot be answered, and why."""

    def __init__(
        self, status: int, detail: str, errors: Sequence[FieldError] = (), headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = HTTPStatus(status)
        self.detail = detail
        self.errors = list(errors)
        self.headers = HEADERS.get(self.status, {}) | (headers or {})

    def body(self, instance: str, identity: str | int | None = None) -> ProblemBody:
        """Return what is sent."""
        return ProblemBody(
            title=self.status.phrase,
            status=self.status.value,
            detail=self.detail,
            instance=instance,
            errors=self.errors or msgspec.UNSET,
            id=msgspec.UNSET if identity is None else identity,
        )


# What the parts below the web raise, and the status that says it.
STATUS: dict[type[Exception], HTTPStatus] = {
    NoModel: HTTPStatus.SERVICE_UNAVAILABLE,
    StoreError: HTTPStatus.NOT_FOUND,
}


def invalid(errors: Sequence[FieldError]) -> Problem:
    """Return the problem of a body that is JSON but no request."""
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Problem(422, f"{errors[0].pointer or 'the body'}: {errors[0].detail}{more}", errors)


def from_exception(error: Exception) -> Problem:
    """Return the problem that an exception stands for; one that is not expected tells a client nothing."""
    if isinstance(error, Problem):
        return error
    for kind, status in STATUS.items():
        if isinstance(error, kind):
            return Problem(status, str(error))
    log.error("%s %s failed, X-Request-ID %s", request.method, request.path, current(), exc_info=error)
    return Problem(500, "the service failed to answer; its log says why under this X-Request-ID")


def register(app: Flask) -> None:
    """Make every error of an application a problem."""

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
    """Send a problem as the answer to the present request."""
    body = msgspec.json.encode(problem.body(request.path))
    return Response(body, problem.status, problem.headers, content_type="application/problem+json")
