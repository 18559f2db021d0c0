"""Writes that fail, on a full disk or without permission: an error of one line, and nothing half done."""

import errno
import itertools
import os
import shutil
from pathlib import Path

import pytest

from app.serving.champions import Champions
from app.store import Store, StoreError
from app.store.integrity import verify
from app.store.pruning import prune
from tests.app.store.ageing import days
from tests.app.store.steps import contents, watched
from tests.processes import call_script

NOBODY = 65534

CHANGES = {
    "publish": lambda aged, hill: hill.publish(*aged.models[1]),
    "promote": lambda _, hill: hill.promote(hill.versions()[0], "again"),
    "rollback": lambda _, hill: hill.rollback("test"),
    "prune": lambda _, hill: prune(hill, days(0)),
}


@pytest.fixture
def aged(aged):
    aged.promote(300, 200, 100)
    return aged


def assert_intact(store, champions):
    """A server serves one of the champions, unharmed, and every version is intact."""
    served = Champions(store).get("hill")
    assert served.version in champions
    assert not served.refused
    for version in store.station("hill").versions():
        store.station("hill").load(version)


class Failing:
    """Refuses the n-th step of a kind, and all later ones."""

    def __init__(self, n, error, kind):
        self.left, self.error, self.kind, self.first = n, error, kind, None

    def __call__(self, step):
        if self.kind(step):
            self.left -= 1
            if self.left <= 0:
                self.first = self.first or step
                path = None if isinstance(step.path, int) else str(step.path)
                raise OSError(self.error, os.strerror(self.error), path)


def full_disk(n):
    return Failing(n, errno.ENOSPC, lambda step: step.needs_room)


def disk_that_becomes_read_only(n):
    return Failing(n, errno.EROFS, lambda step: step.changes_the_disk)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("disk", [full_disk, disk_that_becomes_read_only])
def test_disk_that_refuses_any_step(aged, tmp_path, name, disk):
    """A full disk stops a change before anything is changed; whatever fails, the next writer recovers."""
    whole, champions = aged.store, set(aged.hill.lineage())
    for n in itertools.count(1):
        store = Store(tmp_path / str(n))
        shutil.copytree(whole.root, store.root)
        hill, failing, error = store.station("hill"), disk(n), ""
        with watched(failing):
            try:
                CHANGES[name](aged, hill)
            except StoreError as caught:
                error = str(caught)
        if failing.first:
            path, _, reason = error.partition(" can't be written to: ")
            assert reason == os.strerror(failing.error), (failing.first, error)
            # Before Python 3.12, shutil.rmtree gives only the name of what it cannot remove.
            assert Path(path).is_relative_to(hill.folder) or failing.first.name == "os.remove", (failing.first, error)
            if disk is full_disk or n == 1:
                assert contents(store.root) == contents(whole.root), failing.first
        assert_intact(store, champions)
        version = hill.publish(*aged.models[0])  # the disk is well again
        assert hill.champion() == hill.history()[-1].version
        hill.promote(version, "test")
        assert {path.name for path in store.root.rglob(".*")} == {".lock"}
        assert verify(hill) == []
        if not failing.first:
            break
    # Pruning needs no room: it makes room.
    assert n == 1 if (name, disk) == ("prune", full_disk) else n > 5


def test_command_reports_a_full_disk_in_one_line(aged):
    with watched(full_disk(1)):
        done = call_script("store", "rollback", "hill", "--store", aged.store.root)
    assert done.returncode == 1
    assert done.stderr == f"Error: {aged.hill.folder}/.champion.new can't be written to: No space left on device\n"


def test_folders_without_permission(aged, tmp_path, monkeypatch):
    """With errors of the kernel, and where only the mode tells, before a training."""
    folders, root, before = [aged.hill.folder, aged.hill.folder / "versions"], os.geteuid() == 0, contents(tmp_path)
    for path in [aged.store.root, *aged.store.root.rglob("*")] if root else []:
        os.chown(path, NOBODY, NOBODY)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # the folders above it need not be open to others
    hill = Store(Path("store")).station("hill")
    for folder in folders:
        folder.chmod(0o555)
    try:
        if root:  # whom no mode stops
            os.setresuid(NOBODY, NOBODY, 0)
        for change in CHANGES.values():
            with pytest.raises(StoreError, match=r"^store/hill\S* can't be written to: Permission denied$"):
                change(aged, hill)
        with pytest.raises(StoreError, match=r"^store/hill can't be written to$"):
            hill.check_writable()
        assert contents(Path()) == before
    finally:
        if root:
            os.setresuid(0, 0, 0)
        for folder in folders:
            folder.chmod(0o755)
