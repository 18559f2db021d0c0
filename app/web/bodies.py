"""Request bodies, bounded however they are framed."""

from http import HTTPStatus
from typing import IO

from flask import Flask, Response, request

from app.web.errors import Problem

PIECE = 64 * 1024

# When a request is refused, up to this much of its body is still read and thrown away: a client that is still sending
# when the connection closes might not see the answer.
DRAINED = 64 * 1024 * 1024


def read_json_body(max_bytes: int) -> bytes:
    """Read the whole body of the present request, whether its length was said or it comes in chunks.

    Raises
    ------
    Problem : 415 where it is not said to be plain JSON, 413 where it is larger than ``max_bytes``,
        400 where it is cut short or its framing is broken, 408 where it does not come
    """
    if request.mimetype != "application/json":
        found = f"not {request.mimetype}" if request.mimetype else "and none was given"
        raise Problem(415, f"Content-Type must be application/json, {found}")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Problem(415, "Content-Encoding is not supported: send the body as it is")
    said = request.content_length
    body = b"" if said is not None and said > max_bytes else _read(max_bytes + 1)
    if len(body) > max_bytes or (said or 0) > max_bytes:
        raise Problem(413, f"the body is larger than {max_bytes} bytes", headers={"Connection": "close"})
    if said is not None and len(body) < said:
        raise Problem(400, f"the body ended after {len(body)} of {said} bytes", headers={"Connection": "close"})
    return body


def register(app: Flask) -> None:
    """Make an application read what is left of the bodies that it refuses."""

    @app.after_request
    def drain(response: Response) -> Response:
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            left = DRAINED
            try:
                while left > 0 and (piece := _read(PIECE)):
                    left -= len(piece)
            except Problem:
                pass  # there is nothing more to come
        return response


def _read(at_most: int) -> bytes:
    stream: IO[bytes] = request.environ["wsgi.input"]
    # A server that frames the body itself ends the stream there; any other must be told where to stop.
    if not request.environ.get("wsgi.input_terminated"):
        at_most = min(at_most, request.content_length or 0)
    try:
        return stream.read(at_most)
    except (BlockingIOError, TimeoutError):
        raise Problem(408, "the body did not come in time", headers={"Connection": "close"}) from None
    except Exception as error:  # what a server raises of broken chunks or a client that went away is its own affair
        raise Problem(400, f"the body can't be read: {error}", headers={"Connection": "close"}) from None
