"""The record of what was live: ``history.jsonl``, append-only, each line carrying the digest of the one before."""

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from app.files import sync_folder

REMEDY = "once you know why, move the file away, and a new one begins with the next promotion"


class Entry(msgspec.Struct, frozen=True):
    """A change of champion.

    Attributes
    ----------
    at : UTC, ISO 8601
    version, digest : what became the champion
    over : the version that was champion before
    by : user and program
    previous : digest of the line before, None in the first
    """

    at: str
    action: Literal["promote", "rollback"]
    version: str
    digest: str
    over: str | None
    by: str
    reason: str
    data_digest: str
    previous: str | None = None


class BrokenHistory(ValueError):  # noqa: N818
    """A line is not what its successor says it was, or is no line of history at all."""


def digest(content: bytes) -> str:
    """Return ``sha256:`` and 64 hexadecimal digits."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def instant(text: str) -> datetime:
    """Read a date or a date and time of ISO 8601; it is UTC where it does not say.

    Raises
    ------
    ValueError : where it is neither
    """
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def read(path: Path, last: str = "") -> list[Entry]:
    """Read and check every line.

    Parameters
    ----------
    last : digest of a line that was the last and must be among them, if there are any: no successor told of it then

    Raises
    ------
    BrokenHistory : names the line
    """
    entries, previous, found = list[Entry](), None, not last
    for number, line in enumerate(_lines(path), start=1):
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except msgspec.MsgspecError as error:
            raise BrokenHistory(f"{path}: line {number} can't be read: {error}; {REMEDY}") from None
        if entry.previous != previous:
            raise BrokenHistory(
                f"{path}: line {number} does not continue the line before: one was changed, removed or moved; {REMEDY}"
            )
        entries.append(entry)
        previous = digest(line)
        found = found or previous == last
    if entries and not found:
        raise BrokenHistory(f"{path}: what was its last line is not there: it was changed or removed; {REMEDY}")
    return entries


def last_digest(path: Path) -> str | None:
    """Return the digest of the last line, None where there is none."""
    lines = _lines(path)
    return digest(lines[-1]) if lines else None


def next_line(path: Path, entry: Entry) -> bytes:
    """Return the line that an entry makes behind the last one."""
    return msgspec.json.encode(msgspec.structs.replace(entry, previous=last_digest(path)))


def append(path: Path, line: bytes) -> None:
    """Add what `next_line` made, and wait until the disk has it; where that fails, nothing was added."""
    end = sum(len(line) + 1 for line in _lines(path))
    # Without a buffer: closing the file would try again to write what a full disk has refused.
    with path.open("ab", buffering=0) as file:
        # A last line without its end was being written when its writer died: it never counted.
        file.truncate(end)
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
    """Return the change of champion that was the latest at an instant, None before the first."""
    return next((entry for entry in reversed(entries) if instant(entry.at) <= at), None)


def live_until(entries: list[Entry], now: datetime) -> dict[str, datetime]:
    """Return when each version was last live."""
    replaced = {entry.over: instant(entry.at) for entry in entries if entry.over}
    return replaced | {entry.version: now for entry in entries[-1:]}


def lineage(entries: list[Entry]) -> list[str]:
    """Return the versions from the champion back to the first, those that were rolled back left out."""
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
