"""Request bodies, limited in size whether or not their length is stated."""

from http import HTTPStatus
from typing import IO

from flask import Flask, Response, request

from app.web.errors import Problem

PIECE = 64 * 1024

# Bytes of a refused request's body that are still read and discarded: a client that is sending when the connection
# closes might not see the answer.
DRAINED = 64 * 1024 * 1024


# Media types of a question, and of a file; the reader finds the format and the encoding of a file by itself.
JSON = "application/json"
FILES = frozenset(
    {
        "text/csv",
        "text/plain",
        "text/tab-separated-values",
        "application/gzip",
        "application/octet-stream",
        "application/zip",
    }
)


def read_body(max_bytes: int) -> bytes:
    """Read the whole body of the current request, whether its length is stated or it is chunked.

    Raises Problem: 415 (encoding), 413 (over ``max_bytes``), 400 (cut short or misframed), 408 (too late).
    """
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Problem(415, "Content-Encoding is not supported: send the body unencoded")
    stated = request.content_length
    body = b"" if stated is not None and stated > max_bytes else _read(max_bytes + 1)
    if len(body) > max_bytes or (stated or 0) > max_bytes:
        raise Problem(413, f"the body is larger than {max_bytes} bytes", headers={"Connection": "close"})
    if stated is not None and len(body) < stated:
        raise Problem(400, f"the body ended after {len(body)} of {stated} bytes", headers={"Connection": "close"})
    return body


def check_type(accepted: str, *, is_accepted: bool) -> None:
    """Raise Problem, 415, unless the media type of the current request is one that the route accepts."""
    if not is_accepted:
        found = f"not {request.mimetype}" if request.mimetype else "and none was given"
        raise Problem(415, f"Content-Type must be {accepted}, {found}")


def register(app: Flask) -> None:
    """Make an application read the rest of the body of a refused request."""

    @app.after_request
    def drain(response: Response) -> Response:
        # A client that has stalled would only stall again.
        if response.status_code >= HTTPStatus.BAD_REQUEST and response.status_code != HTTPStatus.REQUEST_TIMEOUT:
            left = DRAINED
            try:
                while left > 0 and (piece := _read(PIECE)):
                    left -= len(piece)
            except Problem:
                pass  # nothing more arrives
        return response


def _read(at_most: int) -> bytes:
    stream: IO[bytes] = request.environ["wsgi.input"]
    # Only a server that sets this flag ends the stream with the body.
    if not request.environ.get("wsgi.input_terminated"):
        at_most = min(at_most, request.content_length or 0)
    try:
        return stream.read(at_most)
    except (BlockingIOError, TimeoutError):
        raise Problem(408, "the body did not arrive in time", headers={"Connection": "close"}) from None
    except Exception as error:  # broken chunks, a lost client: each server has its own exceptions
        raise Problem(400, f"the body can't be read: {error}", headers={"Connection": "close"}) from None
