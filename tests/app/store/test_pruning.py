"""Pruning: which versions are removed, and which are kept."""

import fcntl
import shutil

import pytest

from app.store import StoreError
from app.store.integrity import verify
from app.store.pruning import prune, unneeded
from tests.app.store.ageing import days


def test_versions_live_too_long_ago_or_never_are_removed(aged):
    oldest, older, replaced_long_ago, replaced_lately, before, champion = aged.promote(300, 250, 200, 95, 80, 10)
    never, new = aged.publish(2, 0), aged.publish(0.5, 1)
    hill = aged.hill
    notes = hill.folder / "versions" / "00-notes"  # not a version
    sizes = {
        version: sum(file.stat().st_size for file in (hill.folder / "versions" / version).iterdir())
        for version in hill.versions()
    }
    notes.mkdir()
    gone = [oldest, older, replaced_long_ago, never]
    with (hill.folder / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert unneeded(hill, days(90)) == {version: sizes[version] for version in gone}  # needs no lock
    assert len(hill.versions()) == 9
    assert prune(hill, days(90)) == {version: sizes[version] for version in gone}
    assert prune(hill, days(90)) == {}
    assert notes.is_dir()
    notes.rmdir()
    assert hill.versions() == [replaced_lately, before, champion, new]
    assert hill.lineage() == [champion, before, replaced_lately]
    assert [entry.version for entry in hill.history()][:3] == gone[:3]
    assert verify(hill) == []
    assert list(prune(hill, days(79))) == [replaced_lately]
    assert list(prune(hill, days(0))) == []
    assert hill.versions() == [before, champion, new]


def test_target_of_a_rollback_is_kept_however_old(aged):
    first, _, third = aged.promote(300, 250, 200)
    aged.rollback(150)
    assert list(prune(aged.hill, days(90))) == [third]
    aged.hill.rollback("test")
    assert aged.hill.champion() == first
    assert verify(aged.hill) == []


def test_rollback_passes_over_removed_versions(aged):
    first, second, third, champion = aged.promote(300, 250, 200, 1)
    hill, versions = aged.hill, aged.hill.folder / "versions"
    shutil.rmtree(versions / third)
    assert verify(hill) == []
    assert hill.lineage() == [champion, second, first]
    assert hill.rollback("test") == second
    shutil.rmtree(versions / first)
    with pytest.raises(StoreError, match="no earlier champion"):
        hill.rollback("test")
    with pytest.raises(StoreError, match="has no version"):
        hill.promote(first, "test")
    assert hill.champion() == second
    assert verify(hill) == []
    shutil.rmtree(versions / second)
    assert verify(hill)[-1] == f"hill: the champion '{second}' is not among the versions"


def test_station_that_was_never_promoted(aged):
    old, new = aged.publish(3), aged.publish(0.5)
    assert list(prune(aged.hill, days(90))) == [old]
    assert aged.hill.versions() == [new]


def test_new_history_does_not_cover_the_versions_before_it(aged):
    """As after the remedy for a history that was tampered with."""
    versions = aged.promote(300, 200, 100, 50)
    aged.history_file.unlink()
    with pytest.raises(StoreError, match="station 'hill' has no history of its champions"):
        prune(aged.hill, days(0))
    new = aged.publish(20)
    aged.at(20)
    aged.hill.promote(new, "a new history")
    aged.at(0)
    assert prune(aged.hill, days(90)) == {}
    assert list(prune(aged.hill, days(19))) == versions
    assert aged.hill.versions() == [new]
