"""The store of one station: its versions, its champion and the history of its champions.

Writers hold a lock that ends with their process; readers need none. A version is written under a temporary name, and
renamed when complete and again before it is removed. A promotion writes the new pointer to a temporary file, appends to
the history, and then replaces the pointer. If the writer dies between the last two steps, the old champion stays served
and the next writer completes the promotion. As the temporary file comes first, a full disk stops both steps.
"""

import fcntl
import getpass
import io
import os
import re
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import joblib
import msgspec

from app.store import history
from app.store.files import StoreError, make_folder, replace_file, replacing, sync_folder, write_through, writing
from app.store.history import Entry, digest
from app.store.manifest import Manifest
from app.store.unpickling import ArtefactRefused, load_state

STATION_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
VERSION_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")

ANY = ""  # promote over any champion
LEFTOVERS = (".incoming-*", ".removed-*")  # of writers that died, among the versions


class StationStore:
    """The versions of one station, in one folder."""

    def __init__(self, folder: Path, read_only: bool = False) -> None:
        self.folder, self.name, self.read_only = folder, folder.name, read_only
        self.champion_file = folder / "champion"
        self._history_file = folder / "history.jsonl"
        # The digest of the history's last line, which no next line carries.
        self._head_file = folder / "history.head"

    def versions(self) -> list[str]:
        """Return the names of the versions, oldest first."""
        return sorted(path.name for path in self.folder.glob("versions/[!.]*"))

    def champion(self) -> str:
        """Return the version of the champion. Raises StoreError where there is none."""
        try:
            return self.champion_file.read_bytes().decode(errors="replace").strip()
        except (FileNotFoundError, NotADirectoryError):
            raise StoreError(f"no model of station {self.name!r} has been promoted in {self.folder.parent}") from None

    def champion_or_none(self) -> str | None:
        """Return the version of the champion, if any."""
        return self.champion() if self.champion_file.exists() else None

    def history(self) -> list[Entry]:
        """Return every change of champion, oldest first.

        Raises StoreError where there is no such station; history.BrokenHistory where the history is damaged.
        """
        self._check_exists()
        last = ""
        with suppress(OSError):
            # Read before the history, which is never behind it. A damaged head matches no line.
            last = self._head_file.read_bytes().decode(errors="replace").strip()
        return history.read(self._history_file, last)

    def lineage(self) -> list[str]:
        """Return the champion, then the present versions that rollbacks would restore, newest first."""
        champion = self.champion()
        try:
            before = history.lineage(self.history())
        except history.BrokenHistory:
            before = []
        if champion in before:
            before = before[before.index(champion) + 1 :]
        present = set(self.versions())
        return [champion, *(version for version in before if version in present)]

    def manifest(self, version: str) -> Manifest:
        """Read the manifest of a version.

        Raises StoreError where there is no such version; ArtefactRefused where its manifest is damaged.
        """
        try:
            content = (self._version_folder(version) / "manifest.json").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            self._check_exists()
            raise StoreError(f"station {self.name!r} has no version {version!r}") from None
        except OSError as error:
            raise ArtefactRefused(f"manifest of {self.name} {version} can't be read: {error.strerror}") from None
        try:
            return msgspec.json.decode(content, type=Manifest)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ArtefactRefused(f"manifest of {self.name} {version}: {error}") from None

    def load(self, version: str) -> tuple[dict[str, Any], Manifest]:
        """Read a model after two checks: its digest must match the manifest, and it must hold nothing but a model.

        Raises StoreError where there is no such version; ArtefactRefused where a check fails.
        """
        manifest = self.manifest(version)
        called = f"model of {self.name} {version}"
        try:
            blob = (self._version_folder(version) / "model.joblib").read_bytes()
        except OSError as error:
            raise ArtefactRefused(f"{called} can't be read: {error.strerror}") from None
        found = digest(blob)
        if found != manifest.sha256 or not version.endswith(f"-{_short(found)}"):
            raise ArtefactRefused(f"{called} does not match its manifest: its digest is {found}")
        try:
            return load_state(blob), manifest
        except ArtefactRefused as error:
            raise ArtefactRefused(f"{called} is refused: {error}") from None

    def check_writable(self) -> None:
        """Check before a long training run that its model could be promoted.

        Raises StoreError where a folder can't be written to; history.BrokenHistory where the history is damaged.
        """
        self._check_not_read_only()
        root = self.folder.parent
        with writing(root):
            make_folder(root)
        for folder in (root, self.folder, self.folder / "versions"):
            if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
                raise StoreError(f"{folder} can't be written to")
        if self.folder.is_dir():
            self.history()

    def publish(self, state: dict[str, Any], manifest: Manifest) -> str:
        """Write a new version and return its name; promoting it is a separate step.

        Parameters
        ----------
        state : arrays, plain values and the scaler
        manifest : its ``sha256`` is filled in here

        Raises ArtefactRefused where the state holds anything else; StoreError where it can't be written.
        """
        buffer = io.BytesIO()
        joblib.dump(state, buffer)
        load_state(buffer.getvalue())  # raises where it could not be loaded again
        sha256 = digest(buffer.getvalue())
        version = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{_short(sha256)}"
        described = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(manifest, sha256=sha256)), indent=1)
        versions = self.folder / "versions"
        if not self.read_only:
            with writing(self.folder):
                make_folder(versions)
        with self.locked():
            incoming = versions / f".incoming-{uuid.uuid4().hex}"
            try:
                incoming.mkdir()
                write_through(incoming / "model.joblib", buffer.getvalue())
                write_through(incoming / "manifest.json", described + b"\n")
                sync_folder(incoming)
                # The same bytes within the same second are the same version.
                if not (versions / version).exists():
                    incoming.rename(versions / version)
                    sync_folder(versions)
            finally:
                shutil.rmtree(incoming, ignore_errors=True)
        return version

    def promote(self, version: str, reason: str, *, over: str | None = ANY) -> None:
        """Make a version the champion, if the present champion is ``over`` (None for no champion, `ANY` for any).

        Raises StoreError or ArtefactRefused, and keeps the champion, where it is not ``over`` or the version cannot be
        loaded.
        """
        with self.locked():
            champion = self.champion_or_none()
            if over not in {ANY, champion}:
                raise StoreError(f"the champion of {self.name!r} has changed meanwhile, from {over} to {champion}")
            self._change_champion(version, "promote", reason)

    def rollback(self, reason: str, check: Callable[[str], object] = lambda _: None) -> str:
        """Restore the latest earlier champion that is still stored; return its version.

        Raises StoreError or ArtefactRefused, and keeps the champion, where there is none or it cannot be loaded; and
        what ``check``, called with the version, raises.
        """
        with self.locked():
            before = self.lineage()[1:]
            if not before:
                raise StoreError(
                    f"station {self.name!r} has no earlier champion to roll back to; promote a version instead"
                )
            check(before[0])
            self._change_champion(before[0], "rollback", reason)
        return before[0]

    def _change_champion(self, version: str, action: Literal["promote", "rollback"], reason: str) -> None:
        _, manifest = self.load(version)
        entry = Entry(
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            action=action,
            version=version,
            digest=manifest.sha256,
            over=self.champion_or_none(),
            by=_who(),
            reason=reason,
            data_digest=manifest.data_digest,
        )
        line = history.next_line(self._history_file, entry)
        with replacing(self.champion_file, f"{version}\n".encode()), replacing(self._head_file, digest(line).encode()):
            history.append(self._history_file, line)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the station's lock, after completing an interrupted promotion.

        Raises StoreError where there is no such station, or it can't be written to.
        """
        self._check_not_read_only()
        self._check_exists()
        with writing(self.folder), (self.folder / ".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._complete_interrupted()
            yield

    def _check_exists(self) -> None:
        if not self.folder.is_dir():
            raise StoreError(f"there is no station {self.name!r} in {self.folder.parent}")

    def _complete_interrupted(self) -> None:
        self.remove_leftovers()
        entries, pointer, head = self.history(), self.champion_file, self._head_file
        # Left to the next promotion where the version is damaged by now, or the disk is full (pruning may free it).
        with suppress(ArtefactRefused, StoreError, OSError):
            # Empty where the history was moved away.
            last = (history.last_digest(self._history_file) or "").encode()
            if last != (head.read_bytes() if head.is_file() else b""):
                replace_file(head, last)
            if entries and (not pointer.is_file() or self.champion() != entries[-1].version):
                self.load(entries[-1].version)
                replace_file(pointer, f"{entries[-1].version}\n".encode())

    def remove_leftovers(self) -> None:
        """Remove incomplete versions, left by writers that died."""
        self._check_not_read_only()
        for pattern in LEFTOVERS:
            for folder in self.folder.glob(f"versions/{pattern}"):
                shutil.rmtree(folder)

    def _check_not_read_only(self) -> None:
        if self.read_only:
            raise StoreError(f"the store at {self.folder.parent} is open read-only")

    def _version_folder(self, version: str) -> Path:
        # The name comes from a file or a user, and must not lead out of the folder.
        if not VERSION_NAME.fullmatch(version):
            raise StoreError(f"{version!r} is not the name of a version of station {self.name!r}")
        return self.folder / "versions" / version


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # the user of a container may have no name
        user = f"uid {os.getuid()}"
    return f"{user}, {Path(sys.argv[0]).name}"


def _short(sha256: str) -> str:
    return sha256.removeprefix("sha256:")[:8]
