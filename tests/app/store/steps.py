"""The steps of this process on the file system: before each of them, a test can look at the disk, or let it fail."""

import io
import os
import sys
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import pytest

EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}

_watchers = []


class Step(NamedTuple):
    """A step that is about to be made: an audit event, or "write", "truncate" or "fsync"."""

    name: str
    path: object  # or a file descriptor
    flags: int = 0

    @property
    def changes_the_disk(self):
        """Whether a read-only disk refuses it."""
        return self.name != "open" or self.flags & (os.O_WRONLY | os.O_RDWR)

    @property
    def needs_room(self):
        """Whether a full disk refuses it."""
        creates = self.name == "open" and self.flags & os.O_CREAT and not os.path.exists(self.path)  # noqa: PTH110
        return self.name in {"write", "os.mkdir"} or creates


def contents(folder):
    """Return every path below a folder, with the bytes of each file."""
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@contextmanager
def watched(before):
    """Call ``before(step)`` ahead of each step in the block; it may raise, and what it does itself is not watched."""
    _install()
    opened, fsync = io.open, os.fsync

    def open_in_pieces(file, mode="r", *arguments, **options):
        return _InPieces(file, mode[0]) if mode in {"xb", "ab"} else opened(file, mode, *arguments, **options)

    def watched_fsync(descriptor):
        _announce(Step("fsync", descriptor))
        fsync(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("io.open", open_in_pieces)
        patch.setattr("os.fsync", watched_fsync)
        _watchers.append(before)
        try:
            yield
        finally:
            _watchers.clear()


@cache
def _install():
    """Add the audit hook, which stays for good and does nothing outside a `watched` block."""
    sys.addaudithook(
        lambda event, arguments: (
            _announce(Step(event, arguments[0], arguments[2] if event == "open" else 0)) if event in EVENTS else None
        )
    )


def _announce(step):
    if _watchers:
        before = _watchers.pop()
        try:
            before(step)
        finally:
            _watchers.append(before)


class _InPieces(io.FileIO):
    """A file whose first write takes two steps or, when appending, is short, as that of a raw file may be."""

    begun = False

    def write(self, content):
        half = 0 if self.begun else len(content) // 2
        self.begun = True
        if half:
            _announce(Step("write", self.name))
            super().write(content[:half])
            if self.mode == "ab":
                return half
        _announce(Step("write", self.name))
        return half + super().write(content[half:])

    def truncate(self, size=None):
        _announce(Step("truncate", self.name))
        return super().truncate(size)
