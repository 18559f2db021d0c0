"""The store: immutable versions of each station's model, and a pointer to the one that is served.

::

    STORE/<station>/versions/<UTC time>-<8 hex of the digest>/model.joblib, manifest.json
    STORE/<station>/champion         one line: the version's name
    STORE/<station>/history.jsonl    every change of champion

Writers hold a lock that dies with its owner; readers need none. A version is written aside and renamed when it is
whole. A promotion is written to the history first and the pointer follows in one step, so a writer that dies between
the two leaves the old champion served, and the next writer finishes what the history says.
"""

import fcntl
import getpass
import io
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
import msgspec

from app import history
from app.files import make_folder, replace_file, sync_folder, write_through
from app.history import Entry, digest
from app.manifest import Manifest
from app.unpickling import ArtefactRefused, load_state

STATION_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


class StoreError(ValueError):
    """The store does not hold what is asked for, or may not be given what is offered."""


def check_station_name(name: str) -> None:
    """Raise a `StoreError` where a name is none, before any path is made of it."""
    if not STATION_NAME.fullmatch(name):
        raise StoreError(
            f"{name!r} is not a station name: 1 to 64 lowercase letters, digits, '_', '.' and '-', "
            "the first a letter or digit"
        )


class Store:
    """The models of all stations, in one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def stations(self) -> list[str]:
        """Return the names of the stations that have a champion, sorted."""
        names = (path.parent.name for path in self.root.glob("*/champion"))
        return sorted(name for name in names if STATION_NAME.fullmatch(name))

    def all_stations(self) -> list[str]:
        """Return the names of the stations that have any version, promoted or not, sorted.

        Raises
        ------
        StoreError : where there is no store
        """
        if not self.root.is_dir():
            raise StoreError(f"there is no store at {self.root}")
        names = (path.parent.name for path in self.root.glob("*/versions"))
        return sorted(name for name in names if STATION_NAME.fullmatch(name))

    def versions(self, station: str) -> list[str]:
        """Return the names of a station's versions, oldest first."""
        return sorted(path.name for path in self._folder(station).glob("versions/[!.]*"))

    def champion_file(self, station: str) -> Path:
        """Return the pointer's path; looking at it is how a reader learns of a new champion."""
        return self._folder(station) / "champion"

    def champion(self, station: str) -> str:
        """Return the version that is served.

        Raises
        ------
        StoreError : where there is none
        """
        try:
            return self.champion_file(station).read_bytes().decode(errors="replace").strip()
        except (FileNotFoundError, NotADirectoryError):
            raise StoreError(f"no model of station {station!r} has been promoted in {self.root}") from None

    def history(self, station: str) -> list[Entry]:
        """Return every change of champion, oldest first.

        Raises
        ------
        StoreError : where there is no such station
        history.BrokenHistory : where a line was changed
        """
        if not self._folder(station).is_dir():
            raise StoreError(f"there is no station {station!r} in {self.root}")
        return history.read(self._history_file(station))

    def lineage(self, station: str) -> list[str]:
        """Return the champion, then the versions that a rollback would go back to, newest first."""
        champion = self.champion(station)
        try:
            before = history.lineage(self.history(station))
        except history.BrokenHistory:
            before = []
        return [champion, *before[before.index(champion) + 1 :]] if champion in before else [champion, *before]

    def manifest(self, station: str, version: str) -> Manifest:
        """Read what is known of a version.

        Raises
        ------
        StoreError : where there is no such version
        ArtefactRefused : where its manifest is damaged
        """
        try:
            content = (self._version_folder(station, version) / "manifest.json").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise StoreError(f"station {station!r} has no version {version!r}") from None
        except OSError as error:
            raise ArtefactRefused(f"manifest of {station} {version} can't be read: {error.strerror}") from None
        try:
            return msgspec.json.decode(content, type=Manifest)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ArtefactRefused(f"manifest of {station} {version}: {error}") from None

    def load(self, station: str, version: str) -> tuple[dict[str, Any], Manifest]:
        """Read a model through both locks: its digest must match, and it must hold nothing but a model.

        Raises
        ------
        StoreError : where there is no such version
        ArtefactRefused : where it is not whole, or is not a model
        """
        manifest = self.manifest(station, version)
        try:
            blob = (self._version_folder(station, version) / "model.joblib").read_bytes()
        except OSError as error:
            raise ArtefactRefused(f"model of {station} {version} can't be read: {error.strerror}") from None
        found = digest(blob)
        if found != manifest.sha256 or not version.endswith(f"-{_short(found)}"):
            raise ArtefactRefused(f"model of {station} {version} is not the one of its manifest: its digest is {found}")
        try:
            return load_state(blob), manifest
        except ArtefactRefused as error:
            raise ArtefactRefused(f"model of {station} {version} is refused: {error}") from None

    def check_writable(self, station: str) -> None:
        """Raise an error where nothing could be promoted, before hours have gone into what would be.

        Raises
        ------
        StoreError : where a folder can't be written to
        history.BrokenHistory : where the history could not be continued
        """
        make_folder(self.root)
        for folder in (self.root, self._folder(station), self._folder(station) / "versions"):
            if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
                raise StoreError(f"{folder} can't be written to")
        history.read(self._history_file(station))

    def publish(self, station: str, state: dict[str, Any], manifest: Manifest) -> str:
        """Write a new version, whole, and return its name; it is not served before it is promoted.

        Parameters
        ----------
        state : arrays, plain values and the scaler
        manifest : its ``sha256`` is filled in here

        Raises
        ------
        ArtefactRefused : where the state holds anything else
        """
        buffer = io.BytesIO()
        joblib.dump(state, buffer)
        load_state(buffer.getvalue())  # what could not be loaded is not written
        sha256 = digest(buffer.getvalue())
        version = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{_short(sha256)}"
        described = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(manifest, sha256=sha256)), indent=1)
        versions = self._folder(station) / "versions"
        make_folder(versions)
        with self._locked(station):
            incoming = versions / f".incoming-{uuid.uuid4().hex}"
            incoming.mkdir()
            write_through(incoming / "model.joblib", buffer.getvalue())
            write_through(incoming / "manifest.json", described + b"\n")
            sync_folder(incoming)
            # The same bytes within the same second are the version that is there already.
            if not (versions / version).exists():
                incoming.rename(versions / version)
                sync_folder(versions)
        return version

    def promote(self, station: str, version: str, reason: str) -> None:
        """Make a version the champion.

        Raises
        ------
        StoreError, ArtefactRefused : where it could not be loaded; the champion stays
        """
        with self._locked(station):
            self._change_champion(station, version, "promote", reason)

    def rollback(self, station: str, reason: str) -> str:
        """Make the champion before the present one the champion again, and return its name."""
        with self._locked(station):
            before = self.lineage(station)[1:]
            if not before:
                raise StoreError(f"station {station!r} has no earlier champion to go back to")
            self._change_champion(station, before[0], "rollback", reason)
        return before[0]

    def _change_champion(self, station: str, version: str, action: Any, reason: str) -> None:
        _, manifest = self.load(station, version)
        has_champion = self.champion_file(station).exists()
        entry = Entry(
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            action=action,
            version=version,
            digest=manifest.sha256,
            over=self.champion(station) if has_champion else None,
            by=_who(),
            reason=reason,
            data_digest=manifest.data_digest,
        )
        history.append(self._history_file(station), entry)
        replace_file(self.champion_file(station), f"{version}\n".encode())

    @contextmanager
    def _locked(self, station: str) -> Iterator[None]:
        folder = self._folder(station)
        if not folder.is_dir():
            raise StoreError(f"there is no station {station!r} in {self.root}")
        with (folder / ".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._finish_what_was_interrupted(station)
            yield

    def _finish_what_was_interrupted(self, station: str) -> None:
        for incoming in self._folder(station).glob("versions/.incoming-*"):
            shutil.rmtree(incoming)
        entries = self.history(station)
        if entries and (not self.champion_file(station).exists() or self.champion(station) != entries[-1].version):
            # What has been damaged since is not made the champion; the next promotion settles it.
            with suppress(ArtefactRefused, StoreError):
                self.load(station, entries[-1].version)
                replace_file(self.champion_file(station), f"{entries[-1].version}\n".encode())

    def _folder(self, station: str) -> Path:
        check_station_name(station)
        return self.root / station

    def _version_folder(self, station: str, version: str) -> Path:
        # A version's name comes from a pointer or a person: it must not lead out of the folder.
        if not re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}", version):
            raise StoreError(f"{version!r} is not the name of a version of station {station!r}")
        return self._folder(station) / "versions" / version

    def _history_file(self, station: str) -> Path:
        return self._folder(station) / "history.jsonl"


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        user = f"uid {os.getuid()}"
    return f"{user}, {Path(sys.argv[0]).name}"


def _short(sha256: str) -> str:
    return sha256.removeprefix("sha256:")[:8]
