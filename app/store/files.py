"""Atomic and durable writing of files, and errors that give the cause."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class StoreError(ValueError):
    """A request that the store cannot fulfil."""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an OSError, such as a full disk or a denied permission, into a one-line StoreError."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{error.filename or folder} can't be written to: {error.strerror}") from error


def write_through(path: Path, content: bytes) -> None:
    """Write a new file and sync it to disk."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def make_folder(path: Path) -> None:
    """Make a folder and its missing parents, and sync their names to disk."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Sync the names in a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Create or replace a file atomically: a reader sees the old content or the new."""
    with replacing(path, content):
        pass


@contextmanager
def replacing(path: Path, content: bytes) -> Iterator[None]:
    """Write a temporary file, run the block, then replace ``path`` with it; an error leaves the old file."""
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)  # left by a writer that died
    try:
        write_through(aside, content)
        yield
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)
