"""What was live when, what is removed, and what is told of a history that was tampered with."""

import fcntl
import re
import shutil
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from app.history import BrokenHistory, instant, live_at
from app.store import Store, StoreError
from app.verification import verify
from app.web.shelf import Shelf
from tests.conftest import run_script

NOW = datetime.now(UTC)


@pytest.fixture
def aged(tmp_path, monkeypatch, trained, retrained):
    """Publish, promote and roll back as if it were days ago; the models alternate, so that no champion is its own."""
    models = [(model.learned.forecaster.to_state(), model.manifest) for model in (trained, retrained)]

    class Aged:
        store = Store(tmp_path / "store")

        def at(self, days_ago):
            monkeypatch.setattr("app.store._now", lambda: NOW - timedelta(days=days_ago))

        def publish(self, days_ago, which=0):
            self.at(days_ago)
            return self.store.publish("hill", *models[which])

        def promote(self, *days_ago):
            versions = []
            for number, days in enumerate(days_ago):
                versions.append(self.publish(days, number % 2))
                self.store.promote("hill", versions[-1], f"{days} days ago")
            self.at(0)
            return versions

        def rollback(self, days_ago):
            self.at(days_ago)
            self.store.rollback("hill", "it was worse")
            self.at(0)

    return Aged()


def days(number):
    return timedelta(days=number)


class TestLiveAt:
    def test_each_version_is_live_until_the_next(self, aged):
        first, second = aged.promote(30, 20)
        aged.rollback(10)
        entries = aged.store.history("hill")
        moments = {30.001: None, 30: first, 20.001: first, 20: second, 10.001: second, 9: first, 0: first}
        for days_ago, version in moments.items():
            live = live_at(entries, NOW - days(days_ago))
            assert (live and live.version) == version, days_ago

    def test_a_history_without_lines_tells_of_nothing(self):
        assert live_at([], NOW) is None

    @pytest.mark.parametrize(
        "text",
        ["2026-01-31", "20260131", "2026-01-31T00:00", "2026-01-31 00:00:00.000", "2026-01-31T00:00Z",
         "2026-01-31T02:00+02:00", "2026-01-30T19:00-05:00"],
    )  # fmt: skip
    def test_an_instant_is_utc_where_it_does_not_say(self, text):
        assert instant(text) == datetime(2026, 1, 31, tzinfo=UTC)

    def test_one_command_names_version_digest_who_when_and_why(self, aged):
        first, second = aged.promote(30, 20)

        def run(at, status=0):
            done = run_script("store", "history", "hill", "--at", at, "--store", aged.store.root)
            assert done.returncode == status, done.stderr
            assert "Traceback" not in done.stderr
            return done.stdout + done.stderr

        for version, days_ago in ((first, 25), (second, 15)):
            told = dict(line.split(": ", 1) for line in run((NOW - days(days_ago)).isoformat()).splitlines())
            entry = next(e for e in aged.store.history("hill") if e.version == version)
            assert told == {
                "version": version,
                "digest": aged.store.manifest("hill", version).sha256,
                "action": "promote",
                "at": entry.at,
                "by": entry.by,
                "reason": entry.reason,
            }
        assert run("2001-01-01", status=1).splitlines() == [
            "Error: no version of station 'hill' had been promoted at 2001-01-01T00:00:00+00:00"
        ]
        for text, message in {
            "yesterday": "neither a date nor a date and time",
            "2026-02-30": "neither",
            "": "neither",
            "0001-01-01T00:00+05:00": "neither",
            "9000-01-01": "is still to come",
        }.items():
            assert message in " ".join(run(text, status=2).split()), text


WAYS = {
    "the first is edited": lambda lines: [lines[0].replace(b"30 days", b"31 days"), *lines[1:]],
    "one in the middle is edited": lambda lines: [lines[0], lines[1].replace(b"20 days", b"21 days"), *lines[2:]],
    "the last is edited": lambda lines: [*lines[:-1], lines[-1].replace(b"worse", b"magic")],
    "the first is removed": lambda lines: lines[1:],
    "one in the middle is removed": lambda lines: [lines[0], *lines[2:]],
    "the last is removed": lambda lines: lines[:-1],
    "the last two are removed": lambda lines: lines[:-2],
    "two are swapped": lambda lines: [lines[0], lines[2], lines[1], lines[3]],
    "the last two are swapped": lambda lines: [*lines[:2], lines[3], lines[2]],
    "one is there twice": lambda lines: [*lines, lines[-1]],
    "one is empty": lambda lines: [lines[0], b"\n", *lines[1:]],
    "the last has no end": lambda lines: [*lines[:-1], lines[-1].rstrip(b"\n")],
}


class TestTampering:
    """Whatever is done to a line is told by `history`, by `verify` and to every writer; nothing is written then."""

    @pytest.mark.parametrize("way", WAYS)
    def test_it_is_told(self, aged, way):
        first, *_ = aged.promote(30, 20, 10)
        aged.rollback(5)
        store, champion = aged.store, aged.store.champion("hill")
        path = store.root / "hill" / "history.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        damaged = b"".join(WAYS[way](lines))
        assert damaged != path.read_bytes()
        path.write_bytes(damaged)
        with pytest.raises(BrokenHistory, match=r"line \d (does not continue|can't be read)|was changed or removed"):
            store.history("hill")
        assert any(str(path) in problem for problem in verify(store, "hill"))
        for change in (
            lambda: aged.publish(0),
            lambda: store.promote("hill", first, "test"),
            lambda: store.rollback("hill", "test"),
            lambda: store.prune("hill", days(0)),
            lambda: store.unneeded("hill", days(0)),
            lambda: store.check_writable("hill"),
        ):
            with pytest.raises(BrokenHistory):
                change()
        assert path.read_bytes() == damaged
        assert store.champion("hill") == champion == Shelf(store).get("hill").version
        assert len(store.versions("hill")) == 3
        # The remedy that the message names.
        path.unlink()
        store.promote("hill", first, "a new history")
        assert verify(store, "hill") == []

    def test_the_commands_fail_with_one_line(self, aged):
        aged.promote(30, 20)
        path = aged.store.root / "hill" / "history.jsonl"
        path.write_bytes(path.read_bytes().replace(b"20 days", b"21 days"))
        for command in (
            ["history", "hill"],
            ["history", "hill", "--at", "2026-01-01"],
            ["rollback", "hill"],
            ["promote", "hill", aged.store.champion("hill")],
            ["prune", "hill"],
            ["prune"],
            ["verify"],
        ):
            done = run_script("store", *command, "--store", aged.store.root)
            assert done.returncode == 1
            (line,) = done.stderr.splitlines()
            assert "was changed or removed" in line

    def test_a_store_of_an_older_version_has_no_head(self, aged):
        """The next writer makes it."""
        _, second = aged.promote(30, 20)
        head = aged.store.root / "hill" / "history.head"
        now = head.read_text()
        head.unlink()
        assert verify(aged.store, "hill") == []
        aged.publish(0)
        assert head.read_text() == now
        head.unlink()
        path = aged.store.root / "hill" / "history.jsonl"
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
        (problem,) = verify(aged.store, "hill")
        assert f"the champion '{second}' is not the last one of the history" in problem

    @pytest.mark.parametrize("damage", [b"?", b"\xff\xfe"])
    def test_a_damaged_head_hinders_no_server(self, aged, damage):
        _, second = aged.promote(30, 20)
        (aged.store.root / "hill" / "history.head").write_bytes(damage)
        assert Shelf(aged.store).get("hill").version == second
        assert "was changed or removed" in verify(aged.store, "hill")[0]
        with pytest.raises(BrokenHistory):
            aged.store.rollback("hill", "test")


def test_a_promotion_over_a_certain_champion(aged):
    """Between the look at the champion and the promotion over it, another may have been promoted."""
    version = aged.publish(30)
    with pytest.raises(StoreError, match="has changed meanwhile"):
        aged.store.promote("hill", version, "test", over="20300101T000000Z-00000000")
    aged.store.promote("hill", version, "test", over=None)
    newer = aged.publish(20, 1)
    with pytest.raises(StoreError, match="has changed meanwhile"):
        aged.store.promote("hill", newer, "test", over=None)
    assert aged.store.champion("hill") == version
    aged.store.promote("hill", newer, "test", over=version)
    assert aged.store.champion("hill") == newer


class TestPrune:
    def test_what_nothing_needs_is_removed(self, aged):
        oldest, older, replaced_long_ago, replaced_lately, before, champion = aged.promote(300, 250, 200, 95, 80, 10)
        never, new = aged.publish(2, 0), aged.publish(0.5, 1)
        store = aged.store
        aged.at(0)
        sizes = {
            version: sum(file.stat().st_size for file in (store.root / "hill" / "versions" / version).iterdir())
            for version in store.versions("hill")
        }
        gone = [oldest, older, replaced_long_ago, never]
        assert store.unneeded("hill", days(90)) == {version: sizes[version] for version in gone}
        assert len(store.versions("hill")) == 8
        assert store.prune("hill", days(90)) == {version: sizes[version] for version in gone}
        assert store.versions("hill") == [replaced_lately, before, champion, new]
        assert store.prune("hill", days(90)) == {}
        assert store.lineage("hill") == [champion, before, replaced_lately]
        assert [entry.version for entry in store.history("hill")][:3] == gone[:3]
        assert verify(store, "hill") == []
        assert list(store.prune("hill", days(79))) == [replaced_lately]
        assert list(store.prune("hill", days(0))) == []
        assert store.versions("hill") == [before, champion, new]

    def test_what_a_rollback_goes_back_to_is_kept_however_old(self, aged):
        first, _, third = aged.promote(300, 250, 200)
        aged.rollback(150)
        assert list(aged.store.prune("hill", days(90))) == [third]
        aged.store.rollback("hill", "test")
        assert aged.store.champion("hill") == first
        assert verify(aged.store, "hill") == []

    def test_a_rollback_passes_over_what_is_gone(self, aged):
        first, second, third, champion = aged.promote(300, 250, 200, 1)
        store = aged.store
        shutil.rmtree(store.root / "hill" / "versions" / third)
        assert verify(store, "hill") == []
        assert store.lineage("hill") == [champion, second, first]
        assert store.rollback("hill", "test") == second
        shutil.rmtree(store.root / "hill" / "versions" / first)
        with pytest.raises(StoreError, match="no earlier champion"):
            store.rollback("hill", "test")
        with pytest.raises(StoreError, match="has no version"):
            store.promote("hill", first, "test")
        assert store.champion("hill") == second
        assert verify(store, "hill") == []
        shutil.rmtree(store.root / "hill" / "versions" / second)
        assert f"the champion '{second}' is not among the versions" in verify(store, "hill")[-1]

    def test_what_was_never_promoted_at_all(self, aged):
        old, new = aged.publish(3), aged.publish(0.5)
        aged.at(0)
        assert list(aged.store.prune("hill", days(90))) == [old]
        assert aged.store.versions("hill") == [new]

    def test_a_history_that_begins_late_does_not_tell_what_was_live_before(self, aged):
        """After the remedy for one that was tampered with."""
        first, second, third, champion = aged.promote(300, 200, 100, 50)
        (aged.store.root / "hill" / "history.jsonl").unlink()
        with pytest.raises(StoreError, match="does not tell what was live"):
            aged.store.prune("hill", days(0))
        new = aged.publish(20)
        aged.store.promote("hill", new, "a new history")
        aged.at(0)
        assert aged.store.prune("hill", days(90)) == {}
        assert list(aged.store.prune("hill", days(19))) == [first, second, third, champion]
        assert aged.store.versions("hill") == [new]

    def test_other_things_among_the_versions_are_left_alone(self, aged):
        aged.promote(300, 200, 100)
        notes = aged.store.root / "hill" / "versions" / "00-notes"
        notes.mkdir()
        assert len(aged.store.prune("hill", days(0))) == 1
        assert notes.exists()

    def test_a_dry_run_waits_for_nobody(self, aged):
        aged.promote(300, 200, 100)
        with (aged.store.root / "hill" / ".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert len(aged.store.unneeded("hill", days(90))) == 1

    def test_a_verifier_meanwhile_raises_no_false_alarm(self, aged, monkeypatch):
        first, *_ = aged.promote(300, 200, 100)
        load = aged.store.load

        def pruned_before_it_is_read(station, version):
            aged.store.prune("hill", days(90))
            return load(station, version)

        monkeypatch.setattr(aged.store, "load", pruned_before_it_is_read)
        assert verify(aged.store, "hill") == []
        assert first not in aged.store.versions("hill")

    def test_the_command_says_what_it_removed(self, aged, trained):
        first, *_ = aged.promote(300, 200, 100)
        store = aged.store
        aged.at(50)
        dale = msgspec.structs.replace(trained.manifest, station="dale")
        store.promote("dale", store.publish("dale", trained.learned.forecaster.to_state(), dale), "test")

        def run(*arguments, status=0):
            done = run_script("store", "prune", *arguments, "--store", store.root)
            assert done.returncode == status, done.stderr
            return done.stdout + done.stderr

        assert run("--keep-days", "301", "--dry-run").splitlines()[-1] == "hill: 0 version(s), 0 bytes would be removed"
        told = run("--dry-run")
        size = int(re.search(rf"^hill {first}: (\d+) bytes$", told, re.M)[1])
        assert told.splitlines()[-1] == f"hill: 1 version(s), {size} bytes would be removed"
        assert first in store.versions("hill")
        (store.root / "dale" / "history.jsonl").write_bytes(b"?\n")
        told = run(status=1)
        assert f"hill: 1 version(s), {size} bytes removed" in told
        assert "Error: dale: " in told
        assert first not in store.versions("hill")
        assert "Error: nowhere: there is no station 'nowhere'" in run("nowhere", status=1)
        for wrong in ("-1", "many", "1e9", "99999"):
            assert "Invalid value for '--keep-days'" in run("--keep-days", wrong, status=2)
