"""The store after writers that were killed: at every step on the disk, and in the middle of a real training."""

import itertools
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.serving.champions import Champions
from app.store import Store
from app.store.integrity import verify
from app.store.pruning import prune
from tests.app.store.ageing import NOW, days, set_clock
from tests.app.store.steps import contents, watched
from tests.damage import flip_a_byte, model_file
from tests.processes import call_script
from tests.stations import ROOT, observations, synthetic_days, write_csv


def no_store(*_):
    pass


def history_moved_away(hill, publish):
    hill.promote(publish(hill), "test")
    (hill.folder / "history.jsonl").unlink()


def interrupted(hill, publish):
    """Writers died before: one between history and pointer, one in a version, one in a removal, one in a line."""
    for which in (0, 1, 0):
        hill.promote(publish(hill, which), "test")
    hill.champion_file.write_text(f"{hill.versions()[1]}\n")
    shutil.copytree(hill.folder / "versions" / hill.versions()[0], hill.folder / "versions" / ".removed-1")
    (hill.folder / "versions" / ".incoming-1").mkdir()
    for name in (".champion.new", ".history.head.new"):
        (hill.folder / name).write_text("?")
    with (hill.folder / "history.jsonl").open("a") as file:
        file.write('{"at":"2030-01-01T00')


def change_everything(hill, publish):
    if hill.champion_file.exists() and hill.history():
        prune(hill, days(0))
    hill.promote(publish(hill, 0), "test")
    if len(hill.lineage()) > 1:
        hill.rollback("test")


def states_during(change, root, copies):
    """Return copies of a store before each step of a change, each as a process killed then would leave it."""
    states, last = [], {}

    def look(_=None):
        nonlocal last
        if (found := contents(root)) != last:
            last = found
            states.append(Store(copies / str(len(states))))
            shutil.copytree(root, states[-1].root)

    with watched(look):
        change()
    look()
    return states


def assert_recovers(store, publish):
    """What is served is intact, and the next writer completes or removes whatever was interrupted."""
    hill = store.station("hill")
    versions, champion = hill.versions(), hill.champion_or_none()
    entries = hill.history() if hill.folder.exists() else []
    if champion:
        assert not entries or champion in {entries[-1].version, entries[-1].over}
        served = Champions(store).get("hill")
        assert (served.version, served.refused) == (champion, "")
    else:
        assert len(entries) <= 1
    version = publish(hill)
    if entries:
        assert hill.champion() == entries[-1].version
    assert hill.history() == entries
    hill.promote(version, "after the kill")
    assert {path.name for path in store.root.rglob(".*")} == {".lock"}
    assert set(hill.versions()) == {*versions, version}
    assert verify(hill) == []  # and so the other versions were intact, too: nobody writes to a version


@pytest.mark.parametrize("begin", [no_store, history_moved_away, interrupted])
def test_writer_killed_at_any_step_leaves_a_store_that_recovers(tmp_path, monkeypatch, publish, begin):
    # A day passes with each look at the clock: no two versions share a name, and there is much to prune.
    passed = itertools.count()
    set_clock(monkeypatch, lambda: NOW + days(next(passed)))
    # What a process has written outlives it: only a power failure loses what was not synced.
    monkeypatch.setattr("os.fsync", lambda _: None)
    hill = Store(tmp_path / "store").station("hill")
    begin(hill, publish)
    states = states_during(lambda: change_everything(hill, publish), hill.folder.parent, tmp_path)
    assert len(states) > 20
    for state in states:
        assert_recovers(state, publish)


def test_damaged_version_does_not_hinder_the_next_writer(store, publish):
    """An interrupted promotion of a version that can no longer be loaded is left to the next promotion."""
    hill = store.station("hill")
    first, second = hill.champion(), publish(hill)
    hill.promote(second, "newer")
    hill.champion_file.write_text(f"{first}\n")
    flip_a_byte(model_file(store, second))
    third = publish(hill, 0)
    assert hill.champion() == first
    hill.promote(third, "test")
    assert hill.champion() == third


def test_files_are_synced_before_the_names_that_point_to_them(tmp_path, publish):
    """What a power failure could show: content before its folder's entry, a version before the pointer to it."""
    synced = []

    def note(step):
        if step.name == "fsync":
            synced.append(Path(f"/proc/self/fd/{step.path}").readlink().relative_to(tmp_path))

    hill = Store(tmp_path / "store").station("hill")
    with watched(note):
        version = publish(hill)
        hill.promote(version, "test")
    versions = "store/hill/versions"
    assert [re.sub(r"\.incoming-\w+", "INCOMING", str(path)) for path in synced] == [
        ".",
        "store",
        "store/hill",
        f"{versions}/INCOMING/model.joblib",
        f"{versions}/INCOMING/manifest.json",
        f"{versions}/INCOMING",
        versions,
        "store/hill/.champion.new",
        "store/hill/.history.head.new",
        "store/hill/history.jsonl",
        *["store/hill"] * 3,
    ]
    assert hill.champion() == version


# Steps of a training at which it is killed: an event and a part of its path, in the order in which they come.
MOMENTS = [
    ("open", "hill.csv"),
    ("open", "manifest.json"),  # the model is written, the manifest is not
    ("os.rename", ".incoming-"),  # the version has no name yet
    ("os.rename", ".champion.new"),  # only the pointer is missing
    ("os.rename", ".history.head.new"),  # the promotion is in the history alone
]
TRAININGS = """
import os, signal, sys
import sklearn.preprocessing  # once, before the forks
from scripts.train import train

def killed_before(event, part):
    def hook(happening, arguments):
        if happening == event and part in str(arguments[0]):
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

for seed, moment in enumerate(eval(sys.argv[1])):
    child = os.fork()
    if not child:
        os.dup2(2, 1)
        killed_before(*moment)
        train([*sys.argv[2:], "--seed", str(seed)], standalone_mode=False)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_server_answers_while_trainings_are_killed(tmp_path, serve):
    """Real trainings and a real server: every answer comes from an intact champion, in the order of the history."""
    record = synthetic_days(400)
    data = write_csv(tmp_path / "hill.csv", record)
    arguments = ["--data", data, "--quick", "--force", "--store", tmp_path / "store"]
    assert call_script("train", *arguments, "--seed", 9).returncode == 0
    store = Store(tmp_path / "store")
    hill, server = store.station("hill"), serve(store.root)
    answers, over = [], threading.Event()

    def ask():
        status, _, answer = server.call("/predict", {"station": "hill", "observations": observations(record)})
        answers.append((status, answer.get("model", {}).get("version")))

    def ask_on():
        while not over.wait(0.02):
            ask()

    client = threading.Thread(target=ask_on)
    client.start()
    try:
        code = [sys.executable, "-c", TRAININGS, repr(MOMENTS), *map(str, arguments)]
        done = subprocess.run(code, cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [str(-signal.SIGKILL)] * len(MOMENTS)
        # The lock died with its owners, and the next training completes the last promotion.
        assert hill.champion() != hill.history()[-1].version
        assert call_script("train", *arguments, "--seed", 10).returncode == 0
    finally:
        over.set()
        client.join()
    ask()
    assert {status for status, _ in answers} == {200}
    seen = [version for version, _ in itertools.groupby(version for _, version in answers)]
    promoted = [entry.version for entry in hill.history()]
    assert (len(promoted), seen[0], seen[-1]) == (4, promoted[0], promoted[-1])
    assert seen == [version for version in promoted if version in seen]
    assert server.get("/readyz")["degraded"] == {}
    assert verify(hill) == []
