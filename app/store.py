"""The store: immutable versions of each station's model, and a pointer to the one that is served.

::

    STORE/<station>/versions/<UTC time>-<8 hex of the digest>/model.joblib, manifest.json
    STORE/<station>/champion         one line: the version's name
    STORE/<station>/history.jsonl    every change of champion
    STORE/<station>/history.head     the digest of its last line

Writers hold a lock that dies with its owner; readers need none. A version is written aside and renamed when it is
whole; one that is removed is renamed first, too. A promotion is written to the history first and the pointer follows in
one step, so a writer that dies between the two leaves the old champion served, and the next writer finishes what the
history says. The pointer that will follow is on the disk before the history is written, so a full disk stops both.
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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import joblib
import msgspec

from app import history
from app.files import make_folder, replace_file, replacing, sync_folder, write_through
from app.history import Entry, digest
from app.manifest import Manifest
from app.unpickling import ArtefactRefused, load_state

STATION_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
VERSION_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")

# What is learned from many stations together is kept like a station's model, and served to nobody.
POOLED = "pooled-start"

# Over whatever is the champion.
ANY = ""

# A version that was never promoted is kept for this long: a training may be about to promote it.
GRACE = timedelta(days=1)

# What a writer that died may leave among the versions.
LEFTOVERS = (".incoming-*", ".removed-*")


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
        return sorted(name for name in names if STATION_NAME.fullmatch(name) and name != POOLED)

    def all_stations(self) -> list[str]:
        """Return the names of the stations that have any version, promoted or not, sorted, and `POOLED` among them.

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
        history.BrokenHistory : where a line was changed, removed or moved
        """
        if not self._folder(station).is_dir():
            raise StoreError(f"there is no station {station!r} in {self.root}")
        last = ""
        with suppress(OSError):
            # Before the history, which is never behind it. What is damaged is the digest of no line.
            last = self._head_file(station).read_bytes().decode(errors="replace").strip()
        return history.read(self._history_file(station), last)

    def lineage(self, station: str) -> list[str]:
        """Return the champion, then the versions that a rollback would go back to, newest first, if they are there."""
        champion = self.champion(station)
        try:
            before = history.lineage(self.history(station))
        except history.BrokenHistory:
            before = []
        if champion in before:
            before = before[before.index(champion) + 1 :]
        there = set(self.versions(station))
        return [champion, *(version for version in before if version in there)]

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
        StoreError : where a folder can't be written to, or the name is kept for something else
        history.BrokenHistory : where the history could not be continued
        """
        if station == POOLED:
            raise StoreError(f"{POOLED!r} is what the store calls what stations teach together: name the station anew")
        with _writing(self.root):
            make_folder(self.root)
        for folder in (self.root, self._folder(station), self._folder(station) / "versions"):
            if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
                raise StoreError(f"{folder} can't be written to")
        if self._folder(station).is_dir():
            self.history(station)

    def publish(self, station: str, state: dict[str, Any], manifest: Manifest) -> str:
        """Write a new version, whole, and return its name; it is not served before it is promoted.

        Parameters
        ----------
        state : arrays, plain values and the scaler
        manifest : its ``sha256`` is filled in here

        Raises
        ------
        ArtefactRefused : where the state holds anything else
        StoreError : where it can't be written
        """
        buffer = io.BytesIO()
        joblib.dump(state, buffer)
        load_state(buffer.getvalue())  # what could not be loaded is not written
        sha256 = digest(buffer.getvalue())
        version = f"{_now():%Y%m%dT%H%M%SZ}-{_short(sha256)}"
        described = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(manifest, sha256=sha256)), indent=1)
        versions = self._folder(station) / "versions"
        with _writing(self._folder(station)):
            make_folder(versions)
        with self._locked(station):
            incoming = versions / f".incoming-{uuid.uuid4().hex}"
            try:
                incoming.mkdir()
                write_through(incoming / "model.joblib", buffer.getvalue())
                write_through(incoming / "manifest.json", described + b"\n")
                sync_folder(incoming)
                # The same bytes within the same second are the version that is there already.
                if not (versions / version).exists():
                    incoming.rename(versions / version)
                    sync_folder(versions)
            finally:
                shutil.rmtree(incoming, ignore_errors=True)
        return version

    def promote(self, station: str, version: str, reason: str, *, over: str | None = ANY) -> None:
        """Make a version the champion; ``over`` a certain one, or none at all, where that is said.

        Raises
        ------
        StoreError, ArtefactRefused : where it could not be loaded, or another is the champion; the champion stays
        """
        with self._locked(station):
            champion = self.champion(station) if self.champion_file(station).exists() else None
            if over not in {ANY, champion}:
                raise StoreError(f"the champion of {station!r} has changed meanwhile, from {over} to {champion}")
            self._change_champion(station, version, "promote", reason)

    def rollback(self, station: str, reason: str) -> str:
        """Make the champion before the present one, of those that are there, the champion again; return its name.

        Raises
        ------
        StoreError, ArtefactRefused : where there is none, or it could not be loaded; the champion stays
        """
        with self._locked(station):
            before = self.lineage(station)[1:]
            if not before:
                raise StoreError(f"station {station!r} has no earlier champion to go back to")
            self._change_champion(station, before[0], "rollback", reason)
        return before[0]

    def unneeded(self, station: str, keep: timedelta) -> dict[str, int]:
        """Return the versions that `prune` would remove, oldest first, and how many bytes each has.

        Raises
        ------
        StoreError, history.BrokenHistory : where the history does not tell what was live
        """
        entries, now = self.history(station), _now()
        if not entries and self.champion_file(station).exists():
            raise StoreError(f"the history of station {station!r} does not tell what was live")
        needed = set(self.lineage(station)[:2]) if entries else set()
        live_until = history.live_until(entries, now)
        # A history that begins with the end of an earlier champion does not tell what else was live before.
        untold_until = history.instant(entries[0].at) if entries and entries[0].over else None

        def is_unneeded(version: str) -> bool:
            published = history.instant(version[:16])
            if version in live_until:
                return live_until[version] < now - keep
            if untold_until and published < untold_until:
                return untold_until < now - keep
            return published < now - GRACE

        return {
            version: sum(path.stat().st_size for path in (self._folder(station) / "versions" / version).rglob("*"))
            for version in self.versions(station)
            if VERSION_NAME.fullmatch(version) and version not in needed and is_unneeded(version)
        }

    def prune(self, station: str, keep: timedelta) -> dict[str, int]:
        """Remove the versions that nothing needs any more, and return them as `unneeded` does.

        Needed are the champion, the version that a rollback would go back to, every version that was live at any moment
        of the time ``keep`` before now, and those that were published within a day and may be about to be promoted.

        Raises
        ------
        StoreError, history.BrokenHistory : where the history does not tell what was live, or the disk lets nothing go
        """
        with self._locked(station):
            removed = self.unneeded(station, keep)
            versions = self._folder(station) / "versions"
            # A version is whole or it is none: it loses its name before its files.
            for version in removed:
                (versions / version).rename(versions / f".removed-{version}")
            if removed:
                sync_folder(versions)
                self._remove_leftovers(station)
        return removed

    def _change_champion(self, station: str, version: str, action: Any, reason: str) -> None:
        _, manifest = self.load(station, version)
        has_champion = self.champion_file(station).exists()
        entry = Entry(
            at=_now().isoformat(timespec="milliseconds"),
            action=action,
            version=version,
            digest=manifest.sha256,
            over=self.champion(station) if has_champion else None,
            by=_who(),
            reason=reason,
            data_digest=manifest.data_digest,
        )
        line = history.next_line(self._history_file(station), entry)
        with (
            replacing(self.champion_file(station), f"{version}\n".encode()),
            replacing(self._head_file(station), digest(line).encode()),
        ):
            history.append(self._history_file(station), line)

    @contextmanager
    def _locked(self, station: str) -> Iterator[None]:
        folder = self._folder(station)
        if not folder.is_dir():
            raise StoreError(f"there is no station {station!r} in {self.root}")
        with _writing(folder), (folder / ".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._finish_what_was_interrupted(station)
            yield

    def _finish_what_was_interrupted(self, station: str) -> None:
        self._remove_leftovers(station)
        entries, pointer, head = self.history(station), self.champion_file(station), self._head_file(station)
        # What has been damaged since is not made the champion, and a full disk may be what this writer is to free; the
        # next promotion settles it.
        with suppress(ArtefactRefused, StoreError, OSError):
            # Where the history was moved away, no line is the last one.
            last = (history.last_digest(self._history_file(station)) or "").encode()
            if last != (head.read_bytes() if head.is_file() else b""):
                replace_file(head, last)
            if entries and (not pointer.is_file() or self.champion(station) != entries[-1].version):
                self.load(station, entries[-1].version)
                replace_file(pointer, f"{entries[-1].version}\n".encode())

    def _remove_leftovers(self, station: str) -> None:
        for pattern in LEFTOVERS:
            for folder in self._folder(station).glob(f"versions/{pattern}"):
                shutil.rmtree(folder)

    def _folder(self, station: str) -> Path:
        check_station_name(station)
        return self.root / station

    def _version_folder(self, station: str, version: str) -> Path:
        # A version's name comes from a pointer or a person: it must not lead out of the folder.
        if not VERSION_NAME.fullmatch(version):
            raise StoreError(f"{version!r} is not the name of a version of station {station!r}")
        return self._folder(station) / "versions" / version

    def _head_file(self, station: str) -> Path:
        """Return the file with the digest of the history's last line, which has no successor to tell of it."""
        return self._folder(station) / "history.head"

    def _history_file(self, station: str) -> Path:
        return self._folder(station) / "history.jsonl"


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Say in one line why a folder took nothing: no space is left, or it may not be written to."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{error.filename or folder} can't be written to: {error.strerror}") from error


def _now() -> datetime:
    return datetime.now(UTC)


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        user = f"uid {os.getuid()}"
    return f"{user}, {Path(sys.argv[0]).name}"


def _short(sha256: str) -> str:
    return sha256.removeprefix("sha256:")[:8]
