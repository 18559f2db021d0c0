"""The commands of `scripts.store`: history at an instant, prune, and the error of a changed history."""

import re

import msgspec
import pytest

from models.forecast.saved import to_state
from tests.app.store.ageing import NOW, Aged, days
from tests.processes import call_script


@pytest.fixture
def aged(tmp_path, monkeypatch, trained, retrained):
    return Aged(tmp_path / "store", (trained, retrained), monkeypatch)


@pytest.fixture
def run(aged):
    """Run a command; return its output after checking its status."""

    def run(*arguments, status=0):
        done = call_script("store", *arguments, "--store", aged.store.root)
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    return run


def test_version_live_at_an_instant_is_described(aged, run):
    for version, ago in zip(aged.promote(30, 20), (25, 15), strict=True):
        answer = run("history", "hill", "--at", (NOW - days(ago)).isoformat())
        entry = next(entry for entry in aged.hill.history() if entry.version == version)
        assert dict(line.split(": ", 1) for line in answer.splitlines()) == {
            "version": version,
            "digest": aged.hill.manifest(version).sha256,
            "action": "promote",
            "at": entry.at,
            "by": entry.by,
            "reason": entry.reason,
        }
    assert run("history", "hill", "--at", "2001-01-01", status=1) == (
        "Error: no version of station 'hill' had been promoted before 2001-01-01T00:00:00+00:00\n"
    )
    for text in ("yesterday", "2026-02-30", "", "0001-01-01T00:00+05:00"):
        assert "is not an ISO 8601 date" in " ".join(run("history", "hill", "--at", text, status=2).split()), text
    assert "is in the future" in run("history", "hill", "--at", "9000-01-01", status=2)


def test_changed_history_is_an_error_of_one_line(aged, run):
    aged.promote(30, 20)
    aged.history_file.write_bytes(aged.history_file.read_bytes().replace(b"20 days", b"21 days"))
    for command in (
        ["history", "hill"],
        ["history", "hill", "--at", "2026-01-01"],
        ["rollback", "hill"],
        ["promote", "hill", aged.hill.champion()],
        ["prune", "hill"],
        ["prune"],
        ["verify"],
    ):
        errors = [line for line in run(*command, status=1).splitlines() if "1 problem(s)" not in line]
        assert len(errors) == 1
        assert f"{aged.history_file}: the last line was changed or removed" in errors[0]


def test_prune_reports_what_it_removed_from_each_station(aged, trained, run):
    first, *_ = aged.promote(300, 200, 100)
    dale = aged.store.station("dale")
    dale.promote(
        dale.publish(to_state(trained.model), msgspec.structs.replace(trained.manifest, station="dale")), "test"
    )
    last = run("prune", "--keep-days", 301, "--dry-run").splitlines()[-1]
    assert last == "hill: 0 version(s), 0 bytes would be removed"
    answer = run("prune", "--dry-run")
    size = int(re.search(rf"^hill {first}: (\d+) bytes$", answer, re.MULTILINE)[1])
    assert answer.splitlines()[-1] == f"hill: 1 version(s), {size} bytes would be removed"
    assert first in aged.hill.versions()
    (dale.folder / "history.jsonl").write_bytes(b"?\n")
    answer = run("prune", status=1)
    assert f"hill: 1 version(s), {size} bytes removed" in answer
    assert "Error: dale: " in answer
    assert first not in aged.hill.versions()
    assert "Error: nowhere: there is no station 'nowhere'" in run("prune", "nowhere", status=1)
    for wrong in (-1, "many", "1e9", 99999):
        assert "Invalid value for '--keep-days'" in run("prune", "--keep-days", wrong, status=2)
