"""The record of what was live: ``history.jsonl``, append-only, each line carrying the digest of the one before."""

import hashlib
import os
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


def read(path: Path) -> list[Entry]:
    """Read and check every line.

    Raises
    ------
    BrokenHistory : names the line
    """
    entries, previous = list[Entry](), None
    for number, line in enumerate(_lines(path), start=1):
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except msgspec.MsgspecError as error:
            raise BrokenHistory(f"{path}: line {number} can't be read: {error}; {REMEDY}") from None
        if entry.previous != previous:
            raise BrokenHistory(f"{path}: line {number} does not continue the line before, which was changed; {REMEDY}")
        entries.append(entry)
        previous = digest(line)
    return entries


def append(path: Path, entry: Entry) -> None:
    """Add an entry behind the last whole line, and wait until the disk has it."""
    lines = _lines(path)
    chained = msgspec.structs.replace(entry, previous=digest(lines[-1]) if lines else None)
    with path.open("ab") as file:
        # A last line without its end was being written when its writer died: it never counted.
        file.truncate(sum(len(line) + 1 for line in lines))
        file.write(msgspec.json.encode(chained) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


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
