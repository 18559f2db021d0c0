"""Request bodies, bounded however they are framed."""

from typing import IO

from flask import request

from app.web.errors import Problem

PIECE = 64 * 1024

# Of a body that is too large, this many times the limit is read and thrown away before the answer: a client that is
# still sending when the connection closes would not see the answer.
DRAINED = 32


def read_json_body(max_bytes: int) -> bytes:
    """Read the whole body of the present request.

    A Content-Length says beforehand that a body is too large; a chunked one shows it on the way.

    Raises
    ------
    Problem : 415 where it is not said to be JSON, 413 where it is larger than ``max_bytes``,
        400 where its framing is broken
    """
    if request.mimetype != "application/json":
        raise Problem(415, f"Content-Type must be application/json, not {request.mimetype or 'absent'}")
    stream = request.environ["wsgi.input"]
    # A server that frames the body itself ends the stream there; any other must be told where to stop.
    ends = request.environ.get("wsgi.input_terminated") or "HTTP_TRANSFER_ENCODING" in request.environ
    left = (DRAINED + 1) * max_bytes if ends else min(request.content_length or 0, (DRAINED + 1) * max_bytes)
    kept, size = [], 0
    while left > 0 and (piece := _piece(stream, left)):
        left -= len(piece)
        size += len(piece)
        if size <= max_bytes:
            kept.append(piece)
    if size > max_bytes:
        raise Problem(413, f"the body is larger than {max_bytes} bytes", headers={"Connection": "close"})
    return b"".join(kept)


def _piece(stream: IO[bytes], left: int) -> bytes:
    try:
        return stream.read(min(PIECE, left))
    except Exception as error:  # what a server raises of broken chunks or a client that went away is its own affair
        raise Problem(400, f"the body can't be read: {error}", headers={"Connection": "close"}) from None
