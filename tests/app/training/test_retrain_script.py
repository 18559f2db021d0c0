"""scripts.retrain as an operator runs it: in this process, and as a real process that is interrupted."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from app.readers import read_record
from app.store import Store
from app.store.integrity import verify
from app.training.retrain import only_one
from models.recipe import Recipe
from tests.app.training.cluster import kill_group
from tests.app.training.records import RECIPE, changeable_days, content_of, toml
from tests.processes import call_script
from tests.stations import QUICK, ROOT, write_csv


@pytest.fixture
def folder(tmp_path):
    """Two records, a file that is none, and a recipe."""
    (tmp_path / "records").mkdir()
    for seed, name in enumerate(("hill", "lake")):
        write_csv(tmp_path / "records" / f"{name}.csv", changeable_days(800, seed=seed))
    (tmp_path / "records" / "void.csv").write_text("date,tmax\n2024-01-01,warm\n")
    (tmp_path / "recipe.toml").write_text(toml(RECIPE))
    return tmp_path


def arguments(folder):
    return "--data", folder / "records", "--recipe", folder / "recipe.toml", "--store", folder / "store"


def retrain(folder, *more):
    return call_script("retrain", *arguments(folder), *more)


def decisions(file):
    return {o["station"]: o["decision"] for o in json.loads(file.read_bytes())["outcomes"]}


@pytest.mark.usefixtures("serial")
class TestInThisProcess:
    def test_stations_are_promoted_failures_named_and_unchanged_files_skipped(self, folder):
        store, reports = Store(folder / "store"), [folder / name for name in ("r.html", "r.json", "r.prom")]
        options = [part for pair in zip(("--report", "--json", "--metrics"), reports, strict=True) for part in pair]
        dry = retrain(folder, "--dry-run", "--max-failures", "1", *options)
        assert dry.returncode == 0, dry.stderr
        assert dry.stderr.endswith("dry run: the store is unchanged\n")
        assert decisions(folder / "r.json") == {"hill": "promoted", "lake": "promoted", "void": "failed"}
        assert json.loads((folder / "r.json").read_bytes())["dry_run"]
        assert "This was a dry run: the store is unchanged" in (folder / "r.html").read_text()
        assert not store.root.exists()

        first = retrain(folder, "--jobs", "1", *options)
        assert first.returncode == 1
        assert "void" in first.stdout
        assert first.stderr.splitlines()[-1] == "Error: 1 of 3 stations failed; --max-failures is 0"
        assert "void.csv: line 2: tmax 'warm' is not a number" in first.stderr
        assert store.stations() == ["hill", "lake"]
        for station in map(store.station, store.stations()):
            assert verify(station) == []
            (entry,) = station.history()
            assert entry.reason.startswith("retrained: better than persistence and climatology on ")
            assert set(station.manifest(entry.version).judged.scores) == {"challenger", "persistence", "climatology"}
        assert reports[0].read_text().startswith("<!DOCTYPE html>")
        assert "tmax_retrain" in reports[2].read_text()

        before = content_of(store.root)
        assert retrain(folder, "--dry-run", "--force").returncode == 1
        again = retrain(folder, "--max-failures", "1", "--json", folder / "r.json")
        assert again.returncode == 0, again.stderr
        assert decisions(folder / "r.json") == {"hill": "unchanged", "lake": "unchanged", "void": "failed"}
        assert content_of(store.root) == before

    def test_guidance_in_a_folder_belongs_to_the_stations_of_its_names(self, folder):
        (folder / "records" / "void.csv").unlink()
        (folder / "recipe.toml").write_text(toml(QUICK))
        guidance, days = folder / "guidance" / "hill.csv", changeable_days(800, seed=0)
        guidance.parent.mkdir()
        rows = (f"{date},{tmax:g}\n" for date, tmax in zip(days.dates[1:], days.tmax[1:] + 1, strict=True))
        guidance.write_text("date,guidance\n" + "".join(rows))
        done = retrain(folder, "--force", "--guidance", guidance.parent)
        assert done.returncode == 0, done.stderr
        store, (hill, lake) = Store(folder / "store"), sorted((folder / "records").iterdir())
        stations = [store.station(name) for name in ("hill", "lake")]
        assert [station.manifest(station.champion()).data_digest for station in stations] == [
            read_record(hill, guidance=guidance).digest,
            read_record(lake).digest,
        ]
        again = retrain(folder, "--guidance", guidance.parent, "--json", folder / "r.json")
        assert again.returncode == 0, again.stderr
        assert set(decisions(folder / "r.json").values()) == {"unchanged"}

    def test_a_second_run_at_the_same_time_leaves_the_output_of_the_first(self, folder):
        (folder / "r.json").write_text("of the first")
        with only_one(Store(folder / "store")):
            done = retrain(folder, "--json", folder / "r.json")
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith(f"Error: another retraining of {folder / 'store'} is running")
        assert (folder / "r.json").read_text() == "of the first"
        (folder / "file").touch()
        unusable = call_script(
            "retrain", *arguments(folder)[:4], "--store", folder / "file" / "s", "--json", folder / "r.json"
        )
        assert unusable.stderr.splitlines()[-1].startswith(f"Error: {folder / 'file'}")
        assert (folder / "r.json").read_text() == "of the first"

    @pytest.mark.parametrize(
        ("options", "status", "message"),
        [
            (
                ["--columns", "Next_Wind,next_rh"],
                1,
                "hill.csv: no column 'next_rh'; beside the known",
            ),
            (["--guidance", "recipe.toml"], 2, "--guidance is one file for 3 stations: give a folder of such files"),
            (
                ["--json", "records/hill.csv"],
                2,
                "an output would overwrite the input records/hill.csv: name another file",
            ),
            (["--json", "r", "--report", "r"], 2, "two outputs would be written to r: name another file"),
            (["--scheduler", "tcp://127.0.0.1:9"], 2, "--scheduler needs --backend dask"),
            (["--data", "nowhere"], 2, "no record found: no file matches nowhere"),
        ],
    )
    def test_mistakes_are_reported_and_leave_no_store(self, folder, monkeypatch, options, status, message):
        monkeypatch.chdir(folder)
        done = retrain(folder, "--dry-run", *options)
        assert done.returncode == status
        assert message in done.stderr
        assert not (folder / "store").exists()


def test_a_scheduler_that_does_not_answer_is_one_line(folder):
    lost = retrain(folder, "--backend", "dask", "--scheduler", "tcp://127.0.0.1:9", "--dry-run")
    assert lost.returncode == 1
    assert lost.stderr.splitlines()[-1].startswith("Error: tcp://127.0.0.1:9: no scheduler answers (")
    assert lost.stderr.endswith("; 0 of 3 stations are done\n")


@pytest.mark.usefixtures("serial")  # of what runs in this process
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_keeps_what_is_finished_and_leaves_no_process(folder, how):
    """The first station takes a second, each other one some minutes."""
    records, store = folder / "records", Store(folder / "store")
    (records / "void.csv").unlink()
    recipe = Recipe(hidden=2, members=1, window=8, memory=7, epochs=1000, initial_weights="random", refit=False)
    (folder / "recipe.toml").write_text(toml(recipe))
    write_csv(records / "first.csv", changeable_days(150, seed=2))
    many = dataclasses.replace(changeable_days(20_000, seed=0), first=np.datetime64("1960-01-01"))
    write_csv(records / "hill.csv", many)
    shutil.copy(records / "hill.csv", records / "lake.csv")
    (temporary := folder / "temporary").mkdir()
    command = [sys.executable, "-m", "scripts.retrain", *map(str, arguments(folder)), "--jobs", "1"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(temporary)},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            deadline = time.monotonic() + 120
            while not (store.root / "first" / "retrain.json").exists():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            second = retrain(folder)
            assert second.returncode == 1
            assert f"Error: another retraining of {store.root} is running; wait until it ends" in second.stderr
            workers = psutil.Process(process.pid).children(recursive=True)
            assert workers
            if how == signal.SIGINT:
                os.killpg(process.pid, how)  # as a terminal does
            else:
                process.send_signal(how)
            _, told = process.communicate(timeout=120)
            assert not psutil.wait_procs(workers, timeout=20)[1]
        finally:
            kill_group(process)
    if how != signal.SIGKILL:
        assert process.returncode == 1
        assert not list(temporary.iterdir())
        assert (
            told.splitlines()[-1] == "Error: interrupted; 1 of 3 stations are done; the next run continues from there"
        )
        assert "Traceback" not in told
    for name in ("hill", "lake"):
        write_csv(records / f"{name}.csv", changeable_days(150, seed=0))
    finished = content_of(store.root / "first")
    done = retrain(folder, "--json", folder / "done.json")
    assert done.returncode == 0, done.stderr
    found = decisions(folder / "done.json")
    assert found.pop("first") == "unchanged"
    assert found.keys() == {"hill", "lake"}
    assert set(found.values()) <= {"promoted", "kept"}
    assert content_of(store.root / "first") == finished
    assert all(verify(store.station(name)) == [] for name in store.stations())
