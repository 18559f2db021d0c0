"""A round of retraining, as an operator runs it: real processes, real files."""

import json
import signal
import subprocess
import sys
import time

import msgspec
import numpy as np
import pytest

from app.history import digest
from app.readers import read_record
from app.retrain import Answer, Attempt, Plan, Task, content_digest, only_one, retrain_station, settle, tasks
from app.rounds import Outcome
from app.store import Store, StoreError
from app.verification import verify
from models.recipe import GuidanceRecipe
from models.station_days import StationDays
from tests.conftest import QUICK, ROOT, run_script, write_csv

RECIPE = msgspec.structs.replace(QUICK, epochs=6, learning_rate=1e-2)
PLAN = Plan(RECIPE)


def changeable_days(n, seed):
    """Weather that keeps so little of itself that a model beats persistence on any forty days."""
    rng = np.random.default_rng(seed)
    weather = np.zeros(n)
    for day in range(1, n):
        weather[day] = 0.4 * weather[day - 1] + rng.normal(0, 3)
    tmax = 15 - 10 * np.cos(2 * np.pi * np.arange(n) / 365.25) + weather
    rain = np.where(rng.random(n) < 0.3, rng.exponential(5, n), 0.0)
    values = np.column_stack([tmax, tmax - rng.uniform(4, 12, n), rain])
    return StationDays(np.datetime64("2015-01-01"), values.round(1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three records, one that is none, and a recipe."""
    folder = tmp_path_factory.mktemp("retrain")
    (folder / "records").mkdir()
    for seed, name in enumerate(("hill", "lake", "town")):
        write_csv(folder / "records" / f"{name}.csv", changeable_days(860, seed=seed).part(0, 800))
    (folder / "records" / "void.csv").write_text("date,tmax\n2024-01-01,warm\n")
    (folder / "recipe.toml").write_text(toml(RECIPE))
    return folder


def retrain(folder, *more):
    """Run the script on the records of a folder."""
    return run_script("retrain", *arguments(folder), *more)


def toml(recipe):
    """Numbers, strings, lists, true and false are written in TOML as they are in JSON."""
    plain = msgspec.to_builtins(recipe)
    parts = {name: plain.pop(name) for name in list(plain) if isinstance(plain[name], dict)}
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in plain.items()]
    for part, values in parts.items():
        lines += [f"[{part}]\n", *(f"{name} = {json.dumps(value)}\n" for name, value in values.items())]
    return "".join(lines)


def arguments(folder):
    return "--data", folder / "records", "--recipe", folder / "recipe.toml", "--store", folder / "store"


def round_of(store, files, plan=PLAN):
    """Retrain in this process, and return the outcomes by station."""
    outcomes = [
        settle(store, item, retrain_station(item)) if isinstance(item, Task) else item
        for item in tasks(store, files, plan)
    ]
    return {outcome.station: outcome for outcome in outcomes}


@pytest.fixture(scope="module")
def first(folder):
    """The first round."""
    return retrain(
        folder,
        "--jobs",
        "2",
        "--report",
        folder / "r.html",
        "--json",
        folder / "r.json",
        "--metrics",
        folder / "r.prom",
    )


def test_a_round_promotes_what_it_can_and_names_what_it_cannot(folder, first):
    assert first.returncode == 1
    assert "void" in first.stdout
    assert "Traceback" not in first.stdout + first.stderr
    assert first.stderr.splitlines()[-1] == "Error: 1 of 4 stations failed; --max-failures is 0"
    assert "void: failed: void.csv: line 2: tmax 'warm' is not a number" in first.stderr
    store = Store(folder / "store")
    assert store.stations() == ["hill", "lake", "town"]
    for station in store.stations():
        assert verify(store, station) == []
        (entry,) = store.history(station)
        assert entry.reason.startswith("retrained: better than persistence and climatology on ")
        judged = store.manifest(station, entry.version).judged
        assert judged.reason in entry.reason
        assert set(judged.scores) == {"challenger", "persistence", "climatology"}
    assert (folder / "r.html").read_text().startswith("<!DOCTYPE html>")
    assert msgspec.json.decode((folder / "r.json").read_bytes())
    assert "tmax_retrain" in (folder / "r.prom").read_text()


@pytest.mark.usefixtures("first")
def test_what_has_not_changed_is_skipped(folder):
    before = content_of(folder / "store")
    again = retrain(folder, "--max-failures", "1", "--json", folder / "again.json")
    assert again.returncode == 0, again.stderr
    assert {o["station"]: o["decision"] for o in outcomes(folder / "again.json")} == {
        "hill": "unchanged", "lake": "unchanged", "town": "unchanged", "void": "failed"
    }  # fmt: skip
    assert content_of(folder / "store") == before


def content_of(store):
    return {path: path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}


def outcomes(file):
    return msgspec.json.decode(file.read_bytes())["outcomes"]


@pytest.fixture
def station(tmp_path):
    """A record, its store, and a first champion."""
    days = changeable_days(1000, seed=5)
    store, file = Store(tmp_path / "store"), write_csv(tmp_path / "hill.csv", days.part(0, 800))
    assert round_of(store, [file])["hill"].decision == "promoted"
    return store, file, days


def test_a_new_month_makes_a_new_champion_and_is_not_judged_twice(station):
    store, file, days = station
    champion = store.champion("hill")
    write_csv(file, days.part(0, 840))
    (outcome,) = round_of(store, [file]).values()
    assert (outcome.decision, outcome.champion, outcome.version) == ("promoted", champion, store.champion("hill"))
    assert outcome.judged.last == str(days.dates[838])
    assert outcome.scores["challenger"].n == 40
    assert outcome.start == "cold"
    manifest = store.manifest("hill", outcome.version)
    assert manifest.trained_through == str(days.dates[839])
    # Where the odds come from has nothing of the days that judged.
    assert manifest.held_out.last < outcome.judged.first
    assert round_of(store, [file])["hill"].decision == "unchanged"
    assert verify(store, "hill") == []


def test_a_day_more_changes_nothing(station):
    store, file, days = station
    before = store.champion("hill")
    write_csv(file, days.part(0, 801))
    (outcome,) = round_of(store, [file]).values()
    assert (outcome.decision, outcome.start) == ("kept", None)
    assert "1, 28 are needed" in outcome.reason
    assert store.champion("hill") == before
    assert len(store.history("hill")) == 1


def test_a_warm_start_keeps_what_the_odds_come_from_until_they_are_old(station):
    store, file, days = station
    first = store.manifest("hill", store.champion("hill"))
    warm = Plan(msgspec.structs.replace(RECIPE, retrain="warm", odds_days=100))
    write_csv(file, days.part(0, 860))
    (outcome,) = round_of(store, [file], warm).values()
    assert (outcome.decision, outcome.start) == ("promoted", "warm")
    second = store.manifest("hill", outcome.version)
    assert (second.scores, second.held_out, second.rows) == (first.scores, first.held_out, first.rows)
    assert second.start == first.sha256
    assert second.judged.scores["champion"].n == 60
    write_csv(file, days.part(0, 920))
    (outcome,) = round_of(store, [file], warm).values()
    assert outcome.start == "cold"
    assert store.manifest("hill", store.champion("hill")).held_out.last > first.held_out.last


def test_what_is_not_promoted_is_not_trained_again_but_said_again(station):
    store, file, days = station
    cold = days.values - [25, 25, 0]  # so that in degF no more values are impossible than a reader lets pass
    write_csv(file, StationDays(days.first, cold).part(0, 800))
    assert round_of(store, [file], msgspec.structs.replace(PLAN, force=True))["hill"].decision == "promoted"
    hot = StationDays(days.first, cold * [1.8, 1.8, 1] + [32, 32, 0]).part(0, 840)
    write_csv(file, hot)
    (outcome,) = round_of(store, [file]).values()
    assert outcome.decision == "kept"
    assert "look like degF" in outcome.reason
    (again,) = round_of(store, [file]).values()
    assert (again.decision, again.reason) == ("unchanged", f"kept before: {outcome.reason}")


def test_a_rollback_is_respected_until_there_are_new_days(station):
    store, file, days = station
    write_csv(file, days.part(0, 840))
    round_of(store, [file])
    before = store.rollback("hill", "by hand")
    assert round_of(store, [file])["hill"].decision == "unchanged"
    assert store.champion("hill") == before
    write_csv(file, days.part(0, 880))
    assert round_of(store, [file])["hill"].decision == "promoted"


def test_force_promotes_whatever_is_trained(station):
    store, file, _ = station
    forced = msgspec.structs.replace(PLAN, force=True)
    (outcome,) = round_of(store, [file], forced).values()
    assert (outcome.decision, outcome.reason) == ("promoted", "forced")
    assert store.history("hill")[-1].reason == "retrained: forced"


def test_a_champion_that_came_meanwhile_is_not_replaced(station):
    store, file, days = station
    write_csv(file, days.part(0, 840))
    (task,) = tasks(store, [file], PLAN)
    answer = retrain_station(task)
    by_hand = store.publish("hill", answer.state, answer.manifest)
    store.promote("hill", by_hand, "by hand")
    outcome = settle(store, task, answer)
    assert outcome.decision == "failed"
    assert "meanwhile" in outcome.reason
    assert store.champion("hill") == by_hand


def test_what_a_worker_raises_is_an_outcome(station):
    store, _, _ = station
    task = Task("hill", "hill.csv", b"", PLAN)
    assert settle(store, task, ZeroDivisionError("by zero")).reason == "by zero"
    told = settle(store, task, KeyError("x"))
    assert (told.decision, told.reason) == ("failed", "KeyError: 'x'")


class TestGuidance:
    """Somebody's forecasts in files of their own."""

    @pytest.fixture
    def files(self, tmp_path):
        """A store without a model, a record, and a folder with forecasts for its days."""
        days = changeable_days(800, seed=5)
        (tmp_path / "records").mkdir()
        (tmp_path / "said").mkdir()
        rng = np.random.default_rng(0)
        rows = zip(days.dates[1:], (days.tmax + rng.normal(1, 1, len(days)))[1:], strict=True)
        lines = "".join(f"{date},{forecast:.1f}\n" for date, forecast in rows)
        (tmp_path / "said" / "hill.csv").write_text(f"date,guidance\n{lines}")
        (tmp_path / "recipe.toml").write_text(toml(QUICK))
        record = write_csv(tmp_path / "records" / "hill.csv", days)
        return Store(tmp_path / "store"), record, tmp_path / "said" / "hill.csv"

    def test_it_goes_to_the_worker_as_content(self, files):
        store, file, said = files
        (task,) = tasks(store, [file], PLAN, guided_by={"hill": said})
        assert (task.name, task.guidance_name, task.guidance) == ("hill.csv", "hill.csv", said.read_bytes())
        expected = read_record(file, guidance=said)
        assert np.isfinite(expected.days.predictors["guidance"]).sum() == 799
        file.unlink()
        said.unlink()
        forced = msgspec.structs.replace(task, plan=Plan(QUICK, force=True))
        assert retrain_station(forced).manifest.data_digest == expected.digest

    def test_a_station_is_due_when_its_guidance_changes(self, files):
        store, file, said = files

        def due(**guided_by):
            (found,) = tasks(store, [file], PLAN, guided_by=guided_by)
            return found if isinstance(found, Task) else None

        def note(task):
            settle(store, task, Answer(Outcome("hill", "kept", "not now")))
            return due(hill=said)

        assert note(due()) is not None
        assert due() is due(other=said) is None
        assert note(due(hill=said)) is None
        said.write_text(said.read_text() + "2030-01-01,1\n")
        assert note(due(hill=said)) is None
        assert due() is not None

    def test_without_it_the_digest_is_that_of_the_file(self):
        assert content_digest(b"x", None) == digest(b"x")
        others = [content_digest(*of) for of in ((b"x", b""), (b"", b"x"), (b"x", b"y"), (b"xy", b""))]
        assert len({digest(b"x"), digest(b"xy"), *others}) == 6

    def test_a_file_that_is_none_fails_its_station_alone(self, files):
        store, file, said = files
        said.write_text("date,guidance\n2015-01-02,warm\n")
        (task,) = tasks(store, [file], PLAN, guided_by={"hill": said})
        with pytest.raises(ValueError, match=r"^guidance/hill\.csv: line 2: guidance 'warm' is not a number"):
            retrain_station(task)
        said.unlink()
        (outcome,) = tasks(store, [file], PLAN, guided_by={"hill": said})
        assert outcome.decision == "failed"
        assert str(said) in outcome.reason

    def test_a_folder_of_it_by_the_names_of_the_stations(self, tmp_path, files):
        store, file, said = files
        (file.parent / "lake.csv").write_bytes(file.read_bytes())
        made = retrain(tmp_path, "--force", "--jobs", "1", "--guidance", said.parent)
        assert made.returncode == 0, made.stderr
        digests = {name: store.manifest(name, store.champion(name)).data_digest for name in store.stations()}
        assert digests == {"hill": read_record(file, guidance=said).digest, "lake": read_record(file).digest}
        again = retrain(tmp_path, "--guidance", said.parent, "--json", tmp_path / "r.json")
        assert again.returncode == 0, again.stderr
        assert {o["decision"] for o in outcomes(tmp_path / "r.json")} == {"unchanged"}
        of_all = retrain(tmp_path, "--guidance", said)
        assert of_all.returncode == 2
        assert "--guidance is one file for 2 stations: name a folder" in of_all.stderr

    @pytest.mark.usefixtures("files")
    def test_predictors_that_a_record_lacks_fail_it(self, tmp_path):
        done = retrain(tmp_path, "--predictors", "Next_Wind,next_rh", "--predictors", "next_rh", "--dry-run")
        assert done.returncode == 1
        assert "hill: failed: hill.csv: there is no column 'next_rh' to be a predictor" in done.stderr


def test_what_was_decided_before_there_was_guidance_still_stands(station):
    store, file, _ = station
    plan = Plan(msgspec.structs.replace(RECIPE, guidance=GuidanceRecipe()))
    round_of(store, [file], plan)
    note = store.root / "hill" / "retrain.json"
    before = msgspec.json.decode(note.read_bytes())
    assert before["content"] == digest(file.read_bytes())
    for name in ("predictors", "guidance"):
        del before["plan"]["recipe"][name]
    del before["plan"]["pool"]
    note.write_bytes(msgspec.json.encode(before))
    assert round_of(store, [file], plan)["hill"].decision == "unchanged"


def test_two_files_of_one_station(station, tmp_path):
    store, file, days = station
    other = write_csv(tmp_path / "HILL.csv", days)
    failed = [o for o in tasks(store, [file, other], PLAN) if isinstance(o, Outcome) and o.decision == "failed"]
    assert "both of a station 'hill'" in failed[0].reason


def test_a_damaged_note_is_no_hindrance(station):
    store, file, _ = station
    (store.root / "hill" / "retrain.json").write_bytes(b"{")
    (outcome,) = round_of(store, [file]).values()
    assert outcome.decision == "kept"
    note = msgspec.json.decode((store.root / "hill" / "retrain.json").read_bytes(), type=Attempt)
    assert note.content == digest(file.read_bytes())


@pytest.mark.usefixtures("first")
def test_a_dry_run_changes_nothing(tmp_path, folder):
    (tmp_path / "records").mkdir()
    write_csv(tmp_path / "records" / "hill.csv", changeable_days(860, seed=0))
    before = content_of(folder / "store")
    (tmp_path / "recipe.toml").write_bytes((folder / "recipe.toml").read_bytes())
    done = retrain(tmp_path, "--store", folder / "store", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "1 promoted" in done.stdout + done.stderr
    assert "the store is as it was" in done.stderr
    assert content_of(folder / "store") == before


@pytest.mark.usefixtures("first")
def test_a_second_one_at_the_same_time_is_told_so(folder):
    with only_one(Store(folder / "store")):
        second = retrain(folder)
    assert second.returncode == 1
    assert "another retraining is at work" in second.stderr
    with only_one(Store(folder / "store")), pytest.raises(StoreError), only_one(Store(folder / "store")):
        pass


def test_where_there_is_no_record(tmp_path):
    done = run_script("retrain", "--data", tmp_path, "--store", tmp_path / "store")
    assert done.returncode == 2
    assert "no record is found" in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_was_finished_is_kept_and_the_next_run_goes_on(tmp_path, how):
    """Interrupted after the first of six stations."""
    (tmp_path / "records").mkdir()
    for seed in range(6):
        write_csv(tmp_path / "records" / f"s{seed}.csv", changeable_days(800, seed=seed))
    slow = msgspec.structs.replace(RECIPE, epochs=40)
    (tmp_path / "recipe.toml").write_text(toml(slow))
    command = [sys.executable, "-m", "scripts.retrain", *map(str, arguments(tmp_path)), "--jobs", "1"]
    store = Store(tmp_path / "store")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not store.stations() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(how)
        _, told = process.communicate(timeout=60)
    assert process.returncode == (1 if how == signal.SIGINT else -signal.SIGKILL)
    if how == signal.SIGINT:
        assert "the next run goes on from there" in told
        assert "Traceback" not in told
    finished = store.stations()
    assert 1 <= len(finished) < 6
    champions = {station: store.champion(station) for station in finished}
    done = retrain(tmp_path, "--json", tmp_path / "done.json")
    assert done.returncode == 0, done.stderr
    assert store.stations() == [f"s{seed}" for seed in range(6)]
    assert all(verify(store, station) == [] for station in store.stations())
    # One that was promoted but not noted before the kill has no new days: it is kept.
    decisions = {o["station"]: o["decision"] for o in outcomes(tmp_path / "done.json")}
    for station, champion in champions.items():
        assert store.champion(station) == champion
        assert decisions[station] in {"unchanged", "kept"}


def test_a_scheduler_that_does_not_answer_and_one_that_nobody_asked_for(folder):
    lost = retrain(folder, "--backend", "dask", "--scheduler", "tcp://127.0.0.1:9", "--dry-run", "--force")
    assert lost.returncode == 1
    assert "tcp://127.0.0.1:9: no scheduler answers" in lost.stderr
    assert "Traceback" not in lost.stderr
    unasked = retrain(folder, "--scheduler", "tcp://127.0.0.1:9")
    assert unasked.returncode == 2
    assert "--scheduler is for --backend dask or ray" in unasked.stderr


def test_a_dry_run_makes_no_store(tmp_path, folder):
    (tmp_path / "records").mkdir()
    write_csv(tmp_path / "records" / "hill.csv", changeable_days(800, seed=0))
    (tmp_path / "recipe.toml").write_bytes((folder / "recipe.toml").read_bytes())
    done = retrain(tmp_path, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "store").exists()
