"""The history of the champions: ``history.jsonl``, append-only; each line carries the digest of the line before."""

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from app.store.files import sync_folder

REMEDY = "find out why, then move history.jsonl away: the next promotion begins a new history"


class Entry(msgspec.Struct, frozen=True):
    """A change of champion."""

    at: str  # UTC, ISO 8601
    action: Literal["promote", "rollback"]
    version: str  # the new champion
    digest: str  # of its model file
    over: str | None  # the previous champion
    by: str  # user and program
    reason: str
    data_digest: str
    previous: str | None = None  # digest of the line before; None in the first line


class BrokenHistory(ValueError):  # noqa: N818
    """A line that cannot be read, or that does not match the digest in the next line."""


def digest(content: bytes) -> str:
    """Return ``sha256:`` and 64 hexadecimal digits."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def instant(text: str) -> datetime:
    """Read an ISO 8601 date, or date and time, by default in UTC. Raises ValueError where it is neither."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def read(path: Path, last: str = "") -> list[Entry]:
    """Read and check all lines. ``last`` is the digest of a line that was once the last, and must still be there.

    Raises BrokenHistory, which names the line.
    """
    entries, previous, found = list[Entry](), None, not last
    for number, line in enumerate(_lines(path), start=1):
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BrokenHistory(f"{path}: line {number} can't be read: {error}; {REMEDY}") from None
        if entry.previous != previous:
            raise BrokenHistory(
                f"{path}: line {number} does not continue the line before: one was changed, removed or moved; {REMEDY}"
            )
        entries.append(entry)
        previous = digest(line)
        found = found or previous == last
    if not found and path.exists():
        raise BrokenHistory(f"{path}: the last line was changed or removed; {REMEDY}")
    return entries


def last_digest(path: Path) -> str | None:
    """Return the digest of the last line, if any."""
    lines = _lines(path)
    return digest(lines[-1]) if lines else None


def next_line(path: Path, entry: Entry) -> bytes:
    """Return the line to append for an entry."""
    return msgspec.json.encode(msgspec.structs.replace(entry, previous=last_digest(path)))


def append(path: Path, line: bytes) -> None:
    """Append the result of `next_line` and sync it to disk; on an error the file is unchanged."""
    end = sum(len(line) + 1 for line in _lines(path))
    # Unbuffered: after an error on a full disk, closing a buffered file would write again.
    with path.open("ab", buffering=0) as file:
        file.truncate(end)  # an incomplete last line was left by a writer that died, and does not count
        try:
            rest = line + b"\n"
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise
    sync_folder(path.parent)


def live_at(entries: list[Entry], at: datetime) -> Entry | None:
    """Return the latest change of champion at an instant, None before the first."""
    return next((entry for entry in reversed(entries) if instant(entry.at) <= at), None)


def live_until(entries: list[Entry], now: datetime) -> dict[str, datetime]:
    """Return when each version was last live."""
    replaced = {entry.over: instant(entry.at) for entry in entries if entry.over}
    return replaced | {entry.version: now for entry in entries[-1:]}


def lineage(entries: list[Entry]) -> list[str]:
    """Return the versions from the champion back to the first, without those rolled back."""
    stack: list[str] = []
    for entry in entries:
        if entry.action == "rollback":
            while stack and stack[-1] != entry.version:
                stack.pop()
        if not stack or stack[-1] != entry.version:
            stack.append(entry.version)
    return stack[::-1]


def _lines(path: Path) -> list[bytes]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BrokenHistory(f"{path} can't be read: {error.strerror}; {REMEDY}") from None
    return content.split(b"\n")[:-1]
