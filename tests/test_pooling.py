"""Many stations learned together: from the command line to the store, and from there to a new station."""

import copy
import io
from dataclasses import replace

import joblib
import msgspec
import numpy as np
import pytest

from app.pooling import kept_pooled, learn_together
from app.readers import Record, read_record
from app.retrain import Plan, Task, retrain_station, settle, tasks, together_for
from app.settings import Settings
from app.store import POOLED, Store, StoreError
from app.verification import verify
from app.web import create_app
from models.backtest import learn
from models.correctors import Pooled
from tests.conftest import QUICK, guided_days, run_script, synthetic_days, write_csv

PLAN = Plan(QUICK, pool=True)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Three stations with guidance, and one without."""
    folder = tmp_path_factory.mktemp("records")
    for seed, name in enumerate(("dale", "hill", "moor")):
        write_csv(folder / f"{name}.csv", guided_days(400, seed, wind=False))
    plain = guided_days(400, 7)
    write_csv(folder / "town.csv", type(plain)(plain.first, plain.values))
    return folder


@pytest.fixture(scope="module")
def pooled_store(records, tmp_path_factory):
    store = tmp_path_factory.mktemp("together") / "store"
    done = run_script("train", "--pool", "--quick", *sorted(records.glob("*.csv")), TMAX_STORE=str(store))
    assert done.returncode == 0, done.stderr
    assert "learned from 1197 days of 3 stations together" in done.stderr
    return Store(store)


def round_of(store, folder, plan=PLAN):
    files = sorted(folder.glob("*.csv"))
    items = list(tasks(store, files, plan))
    due = [item for item in items if isinstance(item, Task)]
    due = together_for(store, files, plan, due) if due else []
    outcomes = [item for item in items if not isinstance(item, Task)]
    return {o.station: o for o in (*outcomes, *(settle(store, task, retrain_station(task)) for task in due))}


def test_what_was_learned_together_is_kept_like_a_model(pooled_store):
    together = kept_pooled(pooled_store)
    for station in ("dale", "hill", "moor"):
        assert pooled_store.manifest(station, pooled_store.champion(station)).pooled_start == together.digest
    assert pooled_store.manifest("town", pooled_store.champion("town")).pooled_start is None
    assert verify(pooled_store, POOLED) == []
    (entry,) = pooled_store.history(POOLED)
    assert entry.reason == "learned from 3 stations together"
    manifest = pooled_store.manifest(POOLED, entry.version)
    assert manifest.columns == ["guidance", "guidance_spread"]
    assert manifest.rows.training == 1197
    for command in (["show", POOLED], ["verify"], ["list"], ["prune"]):
        done = run_script("store", *command, "--store", pooled_store.root)
        assert done.returncode == 0, done.stderr
        assert (POOLED in done.stdout) == (command[0] in {"show", "prune"})


def test_it_is_no_station(pooled_store, records):
    assert POOLED not in pooled_store.stations()
    client = create_app(Settings(store=pooled_store.root)).test_client()
    assert [m["station"] for m in client.get("/models").json["models"]] == ["dale", "hill", "moor", "town"]
    assert client.get(f"/models/{POOLED}").status_code == 404
    assert client.get("/readyz").json["stations"] == 4
    with pytest.raises(StoreError, match="name the station anew"):
        pooled_store.check_writable(POOLED)
    done = run_script("train", "--quick", records / "dale.csv", "--station", POOLED, "--store", pooled_store.root)
    assert done.returncode == 1
    assert "name the station anew" in done.stderr


def test_a_single_station_begins_with_what_is_kept(pooled_store, tmp_path):
    file = write_csv(tmp_path / "fell.csv", guided_days(150, 9, wind=False))
    done = run_script("train", "--pool", "--quick", file, "--store", pooled_store.root)
    assert done.returncode == 0, done.stderr
    manifest = pooled_store.manifest("fell", pooled_store.champion("fell"))
    assert manifest.pooled_start == kept_pooled(pooled_store).digest


def test_a_round_learns_from_all_and_adapts_to_those_that_have_changed(tmp_path):
    folder, store = tmp_path / "records", Store(tmp_path / "store")
    folder.mkdir()
    for name, seed in (("dale", 0), ("hill", 1)):
        write_csv(folder / f"{name}.csv", guided_days(400, seed, wind=False))
    first = round_of(store, folder)
    assert {o.decision for o in first.values()} == {"promoted"}
    before = kept_pooled(store)
    assert {o.decision for o in round_of(store, folder).values()} == {"unchanged"}
    assert kept_pooled(store).digest == before.digest
    write_csv(folder / "hill.csv", guided_days(440, 1, wind=False))
    again = round_of(store, folder)
    assert again["dale"].decision == "unchanged"
    assert again["hill"].decision == "promoted"
    assert kept_pooled(store).digest != before.digest
    assert store.manifest("hill", store.champion("hill")).pooled_start == kept_pooled(store).digest


def test_the_challenger_that_is_judged_begins_with_nothing_of_the_days_it_is_judged_by(tmp_path):
    folder, store = tmp_path / "records", Store(tmp_path / "store")
    folder.mkdir()
    for name, seed in (("dale", 0), ("hill", 1)):
        write_csv(folder / f"{name}.csv", guided_days(400, seed, wind=False))
    round_of(store, folder)
    write_csv(folder / "hill.csv", guided_days(440, 1, wind=False))
    files = sorted(folder.glob("*.csv"))
    due = [item for item in tasks(store, files, PLAN) if isinstance(item, Task)]
    (task,) = together_for(None, files, PLAN, due)
    through = Pooled.from_state(task.pooled_before).whole.through
    assert through == np.datetime64(store.manifest("hill", store.champion("hill")).trained_through)
    assert Pooled.from_state(task.pooled).whole.through == through + 40


def test_without_any_guidance_it_says_so(tmp_path, records):
    done = run_script(
        "train",
        "--pool",
        "--quick",
        records / "town.csv",
        write_csv(tmp_path / "b.csv", guided_days(20)),
        TMAX_STORE="",
    )
    assert done.returncode == 1
    assert "no station has enough guidance to learn from together" in done.stderr


def test_the_state_is_whole_or_refused(records):
    pooled = learn_together([read_record(file) for file in sorted(records.glob("*.csv"))], QUICK, 0)
    file = io.BytesIO()
    joblib.dump(pooled.to_state(), file)
    file.seek(0)
    loaded = Pooled.from_state(joblib.load(file))
    assert loaded.fits(("guidance", "guidance_spread"), QUICK)
    assert not loaded.fits(("guidance",), QUICK)
    assert not loaded.fits(("guidance", "guidance_spread"), msgspec.structs.replace(QUICK, cell="lstm"))
    np.testing.assert_array_equal(loaded.whole.cuts, pooled.whole.cuts)
    state = copy.deepcopy(pooled.to_state())
    state["earlier"]["regressions"][0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        Pooled.from_state(state)
    with pytest.raises(ValueError, match="malformed"):
        Pooled.from_state({"format": 4})
    with pytest.raises(ValueError, match="no pooled start"):
        Pooled.from_state({"format": 3})


def test_what_is_learned_up_to_a_day_has_seen_none_after():
    days = [guided_days(300, seed) for seed in range(2)]
    cut = days[0].dates[250]
    one = learn_together([Record("x", d) for d in days], QUICK, 0, cut)
    other = learn_together([Record("x", d.part(0, 251)) for d in days], QUICK, 0)
    assert joblib.hash(one.to_state()) == joblib.hash(other.to_state())


def test_a_start_that_knows_the_days_that_judge_is_not_begun_with():
    """A station that was not among those that taught holds out days that they have seen."""
    stations = [guided_days(400, seed, wind=False) for seed in range(2)]
    pooled = learn_together([Record("x", days) for days in stations], QUICK, 0)
    shorter = guided_days(300, 5, wind=False)
    alone, together = (learn("x", shorter, QUICK, pooled=start) for start in (None, pooled))
    for name, quantiles in alone.verification.quantiles.items():
        np.testing.assert_array_equal(quantiles, together.verification.quantiles[name])
    rows = np.arange(200, 299)
    assert (alone.forecaster.quantiles(shorter, rows) != together.forecaster.quantiles(shorter, rows)).any()


def test_one_whose_guidance_is_the_answer_teaches_nobody():
    stations = [guided_days(400, seed, wind=False) for seed in range(3)]
    leaks = replace(stations[2], predictors=stations[2].predictors | {"guidance": stations[2].next_tmax})
    two, three = (
        learn_together([Record("x", d) for d in given], QUICK, 0) for given in (stations[:2], [*stations[:2], leaks])
    )
    assert three.stations == 2
    assert joblib.hash(two.to_state()) == joblib.hash(three.to_state())


def test_stations_that_cannot_learn_together_are_retrained_each_by_itself(tmp_path):
    for name in ("dale", "hill"):
        write_csv(tmp_path / f"{name}.csv", synthetic_days(400))
    (tmp_path / "recipe.toml").write_text('start = "random"\n')
    done = run_script(
        "retrain",
        "--data",
        tmp_path,
        "--pool",
        "--quick",
        "--recipe",
        tmp_path / "recipe.toml",
        "--store",
        tmp_path / "store",
    )
    assert done.returncode == 0, done.stderr
    assert "each by itself: no station has enough guidance" in done.stderr
    assert "dale" in done.stdout


def test_a_round_of_one_station_begins_with_what_is_kept(pooled_store, tmp_path):
    before = kept_pooled(pooled_store).digest
    write_csv(tmp_path / "gill.csv", guided_days(150, 9, wind=False))
    done = run_script("retrain", "--data", tmp_path, "--pool", "--quick", "--store", pooled_store.root)
    assert done.returncode == 0, done.stderr
    assert kept_pooled(pooled_store).digest == before
    if pooled_store.champion_file("gill").exists():
        assert pooled_store.manifest("gill", pooled_store.champion("gill")).pooled_start == before


def test_a_single_station_without_anything_kept_is_trained_by_itself(tmp_path):
    file = write_csv(tmp_path / "fell.csv", guided_days(150, 9, wind=False))
    done = run_script("train", "--pool", "--quick", file, "--store", tmp_path / "store")
    assert done.returncode == 0, done.stderr
    assert "by itself: nothing was learned together in" in done.stderr
    store = Store(tmp_path / "store")
    assert store.manifest("fell", store.champion("fell")).pooled_start is None
