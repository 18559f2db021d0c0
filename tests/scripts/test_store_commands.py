"""`scripts.store`: list, show, promote, roll back and verify; test_store.py has history at an instant and prune."""

import re

import pytest

from models.forecast.saved import to_state
from tests.processes import call_script


@pytest.fixture
def run(store):
    """Call a command of the store; return what it printed."""

    def call(*arguments, status=0):
        done = call_script("store", *arguments, "--store", store.root)
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return call


def test_champions_are_listed_shown_changed_and_verified(store, retrained, run):
    hill = store.station("hill")
    first, second = hill.champion(), retrained.promote_in(store, "newer")
    mae = retrained.manifest.scores["gru"].mae
    assert re.search(
        rf"^ *hill +{second} +{retrained.manifest.trained_through} +{mae:.2f} degC +2 *$", run("list"), re.M
    )
    shown = run("show", "hill")
    assert re.search(rf"^ *gru +{mae:.2f} ", shown, re.M)
    assert f"\nversion: {second}\n" in shown
    assert f"\ntrained_through: {retrained.manifest.trained_through}\n" in shown
    assert run("rollback", "hill", "--reason", "worse") == f"hill: {first} is the champion again\n"
    assert hill.champion() == first
    assert re.search(rf"{second} +promote .* newer.*\n.*{first} +rollback .* worse", run("history", "hill"))
    assert "no earlier champion" in run("rollback", "hill", status=1)
    run("promote", "hill", second)
    assert hill.champion() == second
    assert run("verify") == "1 station(s), 2 version(s), 0 problem(s)\n"


def test_damage_is_reported_and_the_other_stations_are_listed(store, retrained, run):
    hill = store.station("hill")
    first, second = hill.champion(), retrained.promote_in(store, "newer")
    (hill.folder / "versions" / first / "model.joblib").write_bytes(b"?")
    (store.root / "dale").mkdir()
    (store.root / "dale" / "champion").write_text("20300101T000000Z-00000000\n")
    listed = run("list")
    assert re.search("^ *dale +station 'dale' has no version '20300101T000000Z-00000000'", listed, re.M)
    assert re.search(f"^ *hill +{second}", listed, re.M)
    assert f"model of hill {first} does not match its manifest" in run("verify", status=1)
    assert "dale: the champion '20300101T000000Z-00000000'" in run("verify", status=1)
    assert "does not match its manifest" in run("promote", "hill", first, status=1)
    assert hill.champion() == second


def test_model_that_cannot_be_served_is_not_promoted(store, trained, run):
    hill = store.station("hill")
    champion, old = hill.champion(), hill.publish(to_state(trained.model) | {"format": 1}, trained.manifest)
    assert "the model has format 1; this version reads format" in run("promote", "hill", old, status=1)
    assert hill.champion() == champion
    hill.promote(old, "an earlier program")
    again = hill.publish(to_state(trained.model), trained.manifest)
    hill.promote(again, "trained again")
    assert "the model has format 1; this version reads format" in run("rollback", "hill", status=1)
    assert hill.champion() == again


def test_names_are_not_cut_on_a_narrow_terminal(store, on_terminal):
    version = store.station("hill").champion()
    for command in (("list",), ("history", "hill")):
        shown = on_terminal("store", *command, "--store", store.root, columns=80)
        assert version in shown
        assert "…" not in shown
        assert max(len(re.sub(r"\x1b\[\d+m", "", line)) for line in shown.splitlines()) <= 80


def test_unknown_stations_are_reported_in_one_line(run):
    for command in ("show", "history", "rollback"):
        (line,) = run(command, "nowhere", status=1).splitlines()
        assert re.match("Error: (there is )?no .*station 'nowhere'", line)
    assert "nowhere: there is no station 'nowhere'" in run("verify", "nowhere", status=1)
    for command in ("show", "history", "rollback", "verify"):
        (line,) = run(command, "..", status=1).splitlines()
        assert line.startswith("Error: '..' is not a station name: ")
