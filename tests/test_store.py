"""The store: versions, pointer, history, and both locks on a model file."""

import fcntl
import io
import multiprocessing
import os
import pickle
import pickletools
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import msgspec
import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from app import history
from app.settings import Settings
from app.store import Store, StoreError
from app.unpickling import ArtefactRefused, load_state
from app.verification import verify
from app.web import create_app
from app.web.shelf import Shelf
from models.formats import from_state
from models.station_days import StationDays
from tests.conftest import ROOT, observations

ARTEFACTS = ROOT / "tests" / "artefacts"


def model_file(store, version=None):
    version = version or store.champion("hill")
    return store.root / "hill" / "versions" / version / "model.joblib"


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def replace_model(store, blob):
    """Put other bytes in the champion's place, with a manifest and a name that match them: an attacker's way in."""
    old = store.champion("hill")
    sha256 = history.digest(blob)
    folder = store.root / "hill" / "versions" / f"20300101T000000Z-{sha256.removeprefix('sha256:')[:8]}"
    folder.mkdir()
    manifest = msgspec.structs.replace(store.manifest("hill", old), sha256=sha256)
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    (folder / "model.joblib").write_bytes(blob)
    store.champion_file("hill").write_text(folder.name + "\n")
    return folder.name


def test_layout(store):
    folder = store.root / "hill"
    (version,) = store.versions("hill")
    assert sorted(p.name for p in (folder / "versions" / version).iterdir()) == ["manifest.json", "model.joblib"]
    (line,) = (folder / "history.jsonl").read_bytes().splitlines()
    assert (folder / "champion").read_text() == f"{version}\n"
    assert (folder / "history.head").read_text() == history.digest(line)
    assert version[-8:] == store.manifest("hill", version).sha256[7:15]
    assert store.stations() == ["hill"]


def test_what_is_loaded_is_what_was_published(store, trained):
    state, manifest = store.load("hill", store.champion("hill"))
    for name, weights in trained.learned.forecaster.weights.items():
        np.testing.assert_array_equal(state["weights"][name], weights)
    assert manifest.scores == trained.manifest.scores


def test_a_notebook_gets_the_real_scaler(store):
    state = joblib.load(model_file(store))
    assert isinstance(state, dict)
    assert isinstance(state["scaler"], StandardScaler)
    assert state["scaler"].transform(np.zeros((2, 7))).shape == (2, 7)
    assert state["format"] == 2
    assert {type(w) for w in state["weights"].values()} == {np.ndarray}


def test_a_flipped_byte_is_refused(store):
    flip_a_byte(model_file(store))
    with pytest.raises(ArtefactRefused, match="not the one of its manifest"):
        store.load("hill", store.champion("hill"))


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff\xfe", b'{"format": 1'])
def test_a_damaged_manifest_is_refused(store, content):
    model_file(store).with_name("manifest.json").write_bytes(content)
    with pytest.raises(ArtefactRefused, match="manifest of hill"):
        store.load("hill", store.champion("hill"))


def test_what_a_manifest_says_beside_the_digest_changes_no_forecast(store, days):
    """It is read by people; the forecast follows the model file alone."""
    asked = StationDays(days.dates[-14], days.values[-14:])
    before = Shelf(store).get("hill").forecaster.predict(asked)
    path = model_file(store).with_name("manifest.json")
    manifest = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode(manifest | {"recipe": {"window": 3}, "trained_through": "1999-01-01"}))
    served = create_app(Settings(store=store.root)).test_client()
    assert served.get("/models/hill").json["trained_through"] > "2015"
    assert served.get("/models/hill").json["window"] == {"min_days": 7, "recommended_days": 14}
    answer = served.post("/predict", json={"observations": observations(days)}).json
    assert answer["tmax"] == round(before.tmax, 2)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("where", ["at the top", "in a dictionary", "in an object array"])
def test_a_pickle_that_runs_a_command_is_refused_without_running_it(store, tmp_path, where):
    mark = tmp_path / "was here"
    evil = {
        "at the top": Evil(mark),
        "in a dictionary": {"format": 1, "weights": Evil(mark)},
        "in an object array": {"format": 1, "weights": {"head.W": np.array([Evil(mark)], dtype=object)}},
    }[where]
    buffer = io.BytesIO()
    joblib.dump(evil, buffer)
    version = replace_model(store, buffer.getvalue())
    with pytest.raises(ArtefactRefused, match=r"is refused: it (names posix.system|holds values of type 'O8')"):
        store.load("hill", version)
    with pytest.raises(ArtefactRefused):
        store.promote("hill", version, "test")
    assert not mark.exists()
    Evil(mark).__reduce__()[0](f"touch '{mark}'")
    assert mark.exists()  # it would have


def rebuilt(*opcodes):
    """A pickle made by hand, which ends in a dictionary."""
    return b"\x80\x04}X\x07\x00\x00\x00weights" + b"".join(opcodes) + b"s."


def named(module, name):
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


ARRAY, DTYPE, SCALAR = named("numpy", "ndarray"), named("numpy", "dtype"), named("numpy._core.multiarray", "scalar")
OBJECT = b"X\x01\x00\x00\x00O"
FLOAT = b"X\x02\x00\x00\x00f8"
FORGED = {
    "an array over a forged address": (ARRAY, b"(K\x04\x85", OBJECT, b"B\x20\x00\x00\x00" + b"A" * 32, b"tR"),
    "an array": (ARRAY, b"K\x04\x85R"),
    "an object dtype": (DTYPE, OBJECT, b"\x85R"),
    "a dtype with forged flags": (DTYPE, FLOAT, b"\x85R(K\x03X\x01\x00\x00\x00<NNNK\x08K\x08K\x3ftb"),
    "a dtype with fields": (DTYPE, b"]\x85R"),
    "a number that is too short": (SCALAR, DTYPE, FLOAT, b"\x85RC\x01A\x86R"),
    "a number of no type": (SCALAR, b"NC\x08AAAAAAAA\x86R"),
    "a changed class": (named("sklearn.preprocessing._data", "StandardScaler"), b"N}X\x05\x00\x00\x00mean_K\x01s\x86b"),
    "a changed function": (DTYPE, b"N}X\x01\x00\x00\x00aK\x01s\x86b"),
    "a wrapper of another dtype": (
        named("joblib.numpy_pickle", "NumpyArrayWrapper"),
        b")\x81}(X\x05\x00\x00\x00dtypeX\x01\x00\x00\x00OX\x05\x00\x00\x00shapeK\x01\x85ub",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_allowed_names_cannot_be_abused(name):
    """In a process of its own: what gets through might end it."""
    blob = rebuilt(*FORGED[name])
    pickletools.dis(blob, out=io.StringIO())  # it is a pickle, not just noise
    code = (
        "from app.unpickling import *\n"
        f"try: print(load_state({blob!r}))\n"
        "except ArtefactRefused as error: print('refused', error)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert done.stdout.startswith("refused"), done.stdout
    assert "can't be read" not in done.stdout or "number" in name or "fields" in name


@pytest.mark.parametrize(
    "blob", [b"", b"\x80", b"not a pickle", pickle.dumps([1, 2]), pickle.dumps({"a": 1})[:-2], b"\x80\x04." * 10]
)
def test_bytes_that_are_no_model_are_refused(blob):
    with pytest.raises(ArtefactRefused):
        load_state(blob)


def test_promotion_needs_a_whole_version_and_keeps_the_champion(store, retrained):
    champion = store.champion("hill")
    version = store.publish("hill", retrained.learned.forecaster.to_state(), retrained.manifest)
    flip_a_byte(model_file(store, version))
    with pytest.raises(ArtefactRefused):
        store.promote("hill", version, "test")
    assert store.champion("hill") == champion
    assert [e.version for e in store.history("hill")] == [champion]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "Hill", "../hill", "-a", "a" * 65, "hïll", "a\n"])
def test_station_names_lead_nowhere_else(store, name):
    for ask in (store.champion, store.versions, lambda n: store.load(n, "20300101T000000Z-00000000")):
        with pytest.raises(StoreError, match="not a station name"):
            ask(name)


@pytest.mark.parametrize("version", ["", "..", "../../hill/versions/x", "20300101T000000Z-0000000g"])
def test_version_names_lead_nowhere_else(store, version):
    with pytest.raises(StoreError, match="not the name of a version"):
        store.load("hill", version)


def test_history_and_rollback(store, retrained):
    first = store.champion("hill")
    second = retrained.publish_and_promote(store, "newer")
    assert store.lineage("hill") == [second, first]
    assert store.rollback("hill", "it was worse") == first
    assert store.champion("hill") == first
    with pytest.raises(StoreError, match="no earlier champion"):
        store.rollback("hill", "again")
    store.promote("hill", second, "after all")
    entries = store.history("hill")
    assert [(e.action, e.version, e.over) for e in entries] == [
        ("promote", first, None),
        ("promote", second, first),
        ("rollback", first, second),
        ("promote", second, first),
    ]
    assert entries[2].reason == "it was worse"
    assert verify(store, "hill") == []


def test_an_edited_history_is_detected(store, retrained):
    retrained.publish_and_promote(store, "newer")
    path = store.root / "hill" / "history.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"reason":"test"', b'"reason":"best"'))
    with pytest.raises(history.BrokenHistory, match="line 2 does not continue the line before"):
        store.history("hill")
    assert any("line 2" in problem for problem in verify(store, "hill"))


def test_a_last_line_that_was_edited_is_told_by_its_digest(store):
    """Where nothing is known of the line, as in stores of older versions."""
    (store.root / "hill" / "history.head").unlink()
    path = store.root / "hill" / "history.jsonl"
    sha256 = store.manifest("hill", store.champion("hill")).sha256
    path.write_bytes(path.read_bytes().replace(sha256.encode(), b"sha256:" + b"0" * 64))
    assert "another digest" in verify(store, "hill")[0]


def test_a_name_that_is_not_there_leaves_no_trace(store):
    for change in (lambda: store.rollback("typo", "test"), lambda: store.promote("typo", "x", "test")):
        with pytest.raises(StoreError, match="there is no station 'typo'"):
            change()
    assert not (store.root / "typo").exists()


def test_only_what_can_be_loaded_is_written(store):
    """A state as the server holds it has the scaler's stand-in, which no notebook would know."""
    state, manifest = store.load("hill", store.champion("hill"))
    with pytest.raises(ArtefactRefused, match="ScalerState"):
        store.publish("hill", state, manifest)
    assert len(store.versions("hill")) == 1


def test_names_reach_the_disk_after_what_they_name(tmp_path, trained, monkeypatch):
    """What a power cut would show: a file's content before its folder's entry, a version before the pointer to it."""
    told = []
    fsync = os.fsync

    def watched(descriptor):
        told.append(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path))
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", watched)
    store = Store(tmp_path / "store")
    version = trained.publish_and_promote(store, "test")
    names = [re.sub(r"\.incoming-\w+", "INCOMING", str(path)) for path in told]
    versions = "store/hill/versions"
    assert names == [
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
        "store/hill",
        "store/hill",
        "store/hill",
    ]
    assert store.champion("hill") == version


def test_verify_knows_what_a_server_would_refuse(store, trained):
    state = trained.learned.forecaster.to_state()
    state["odds"]["quantiles"] = state["odds"]["quantiles"][:, ::-1]
    store.publish("hill", state, trained.manifest)
    assert "do not ascend" in verify(store, "hill")[0]


def test_verify_names_what_is_damaged(store, retrained):
    retrained.publish_and_promote(store, "newer")
    flip_a_byte(model_file(store))
    assert len(verify(store, "hill")) == 1
    model_file(store).unlink()
    assert "can't be read: No such file" in verify(store, "hill")[0]
    model_file(store).mkdir()
    assert "can't be read: Is a directory" in verify(store, "hill")[0]
    store.champion_file("hill").unlink()
    assert "no model of station 'hill' has been promoted" in verify(store, "hill")[-1]
    assert store.all_stations() == ["hill"]


def test_the_same_model_within_a_second_is_one_version(store, trained):
    published = {store.publish("hill", trained.learned.forecaster.to_state(), trained.manifest) for _ in range(20)}
    seconds = {name[:16] for name in published}
    assert len(published) == len(seconds) < 20
    assert published <= set(store.versions("hill"))
    assert verify(store, "hill") == []


def test_old_artefacts_load_for_ever():
    """Made once and never again: `python -m tests.artefacts` adds one for a new format, and changes none."""
    cases = sorted(ARTEFACTS.glob("format-*/expected.json"))
    assert cases
    for case in cases:
        expected = msgspec.json.decode(case.read_bytes())
        store = Store(case.parent / "store")
        state, _ = store.load("hill", store.champion("hill"))
        dates = np.array(expected["dates"], dtype="M8[D]")
        predictors = {name: np.array(column, dtype=float) for name, column in expected.get("predictors", {}).items()}
        days = StationDays.on_calendar(dates, np.array(expected["values"], dtype=float), predictors)
        forecast = from_state(state).predict(days)
        assert forecast.tmax == pytest.approx(expected["tmax"], abs=1e-4)
        assert forecast.interval(0.9) == pytest.approx(expected["interval_90"], abs=1e-4)


def test_a_writer_waits_for_the_lock(store, retrained):
    version = store.publish("hill", retrained.learned.forecaster.to_state(), retrained.manifest)
    before = store.champion("hill")
    with (store.root / "hill" / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        writer = threading.Thread(target=store.promote, args=("hill", version, "test"))
        writer.start()
        writer.join(0.3)
        assert writer.is_alive()
        assert store.champion("hill") == before
    writer.join(10)
    assert store.champion("hill") == version


def test_two_writers_at_once_and_a_verifier(store, trained, retrained):
    """Every promotion of both is in the history, in one unbroken chain; a verifier raises no false alarm meanwhile."""

    def promote_ten_times(model):
        for _ in range(10):
            model.publish_and_promote(store, "test")

    writers = [
        multiprocessing.get_context("fork").Process(target=promote_ten_times, args=(m,)) for m in (trained, retrained)
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert verify(store, "hill") == []
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert len(store.history("hill")) == 21
    assert verify(store, "hill") == []


def test_a_version_must_bear_the_digest_that_it_is_named_after(store):
    old = store.root / "hill" / "versions" / store.champion("hill")
    renamed = old.with_name("20300101T000000Z-00000000")
    old.rename(renamed)
    with pytest.raises(ArtefactRefused, match="not the one of its manifest"):
        store.load("hill", renamed.name)


def test_what_the_store_cannot_take_is_said_before_the_training(store, tmp_path):
    store.check_writable("hill")
    store.check_writable("new")
    (store.root / "hill" / "history.jsonl").write_bytes(b"?\n")
    with pytest.raises(history.BrokenHistory):
        store.check_writable("hill")
    with pytest.raises(StoreError, match="not a station name"):
        store.check_writable("../hill")
    with pytest.raises(StoreError, match="there is no store"):
        Store(tmp_path / "nowhere").all_stations()


class TestKilledWriters:
    """A writer that dies, at any moment, leaves whole versions and one champion that a server would serve."""

    @staticmethod
    def fork(work):
        """Run ``work`` in a process of its own; return its exit status, negative for a signal."""
        child = os.fork()
        if child == 0:
            try:
                work()
                os._exit(0)
            except BaseException:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)

    @staticmethod
    def assert_whole(store, old):
        """What is served is the champion before, or the one that the history's last line names; all else is whole."""
        served = Shelf(store).get("hill")
        assert served.version in {old, store.history("hill")[-1].version}
        assert not served.refused
        for version in store.versions("hill"):
            store.load("hill", version)

    def test_at_every_operation_on_files(self, store, retrained):
        """The child kills itself at its first operation, its second, ... until it comes through alive."""
        step, statuses = 0, []
        while not statuses or statuses[-1] != 0:
            step += 1

            def die_at_this_step(step=step):
                seen = 0

                def watch(event, _):
                    nonlocal seen
                    if event in {
                        "open",
                        "os.rename",
                        "os.mkdir",
                        "os.remove",
                        "os.rmdir",
                        "fcntl.flock",
                        "os.truncate",
                    }:
                        seen += 1
                        if seen == step:
                            os.kill(os.getpid(), signal.SIGKILL)

                sys.addaudithook(watch)
                retrained.publish_and_promote(store, "newer")

            old = store.champion("hill")
            statuses.append(self.fork(die_at_this_step))
            self.assert_whole(store, old)
            assert step < 200
        assert statuses[:-1] == [-signal.SIGKILL] * (step - 1)
        assert step > 15
        # The one that came through cleaned up after all the others.
        assert verify(store, "hill") == []
        assert not list(store.root.glob("hill/versions/.incoming-*"))

    def test_at_random_moments(self, store, trained, retrained):
        rng = np.random.default_rng(0)
        for _ in range(60):
            began_with, changes_before = store.champion("hill"), len(store.history("hill"))
            child = os.fork()
            if child == 0:
                try:
                    while True:
                        trained.publish_and_promote(store, "again")
                        retrained.publish_and_promote(store, "again")
                finally:
                    os._exit(1)
            time.sleep(rng.uniform(0, 0.02))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            entries = store.history("hill")
            self.assert_whole(store, old=entries[-2].version if len(entries) > changes_before else began_with)
        trained.publish_and_promote(store, "the last")
        assert verify(store, "hill") == []

    def test_what_the_history_says_is_finished_by_the_next_writer(self, store, retrained):
        """A writer that died between the history and the pointer."""
        first = store.champion("hill")
        second = retrained.publish_and_promote(store, "newer")
        store.champion_file("hill").write_text(first + "\n")
        assert verify(store, "hill")
        store.publish("hill", retrained.learned.forecaster.to_state(), retrained.manifest)
        assert store.champion("hill") == second

    def test_what_cannot_be_finished_hinders_nobody(self, store, trained, retrained):
        first = store.champion("hill")
        second = retrained.publish_and_promote(store, "newer")
        store.champion_file("hill").write_text(first + "\n")
        flip_a_byte(model_file(store, second))
        third = store.publish("hill", trained.learned.forecaster.to_state(), trained.manifest)
        assert store.champion("hill") == first
        store.promote("hill", third, "test")
        assert store.champion("hill") == third

    def test_a_torn_last_line_never_counted(self, store, retrained):
        path = store.root / "hill" / "history.jsonl"
        whole = path.read_bytes()
        path.write_bytes(whole + b'{"at":"2030-01-01T00')
        retrained.publish_and_promote(store, "newer")
        assert path.read_bytes().startswith(whole)
        assert len(store.history("hill")) == 2
        assert verify(store, "hill") == []
