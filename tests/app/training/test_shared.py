"""The shared corrector in the store: how ``--pool`` fits, stores and uses it in training and retraining."""

import shutil

import joblib
import pytest

from app.readers import Record
from app.settings import Settings
from app.store import SHARED, Store, StoreError
from app.store.integrity import verify
from app.training.retrain import Workers, retrain
from app.training.shared import fit_shared, load_shared
from app.training.task import Plan
from app.web import create_app
from models.forecast.saved import shared_from_state, to_state
from tests.processes import call_script
from tests.stations import QUICK, guided_days, synthetic_days, write_csv

PLAN = Plan(QUICK, pool=True)


def guided_record(folder, name, n, seed):
    return write_csv(folder / f"{name}.csv", guided_days(n, seed, wind=False))


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory):
    """A store after ``scripts.train --pool`` on two stations with guidance, and one without."""
    folder = tmp_path_factory.mktemp("shared")
    files = [guided_record(folder, name, 300, seed) for seed, name in enumerate(("dale", "hill"))]
    files.append(write_csv(folder / "town.csv", synthetic_days(300)))
    done = call_script("train", "--pool", "--quick", *files, TMAX_STORE=str(folder / "store"))
    assert done.returncode == 0, done.stderr
    assert "shared corrector fitted to 598 days of 2 stations" in done.stderr
    assert done.stderr.count("trained without") == 1
    assert "\ntown: trained without the shared corrector: it has too little guidance\n" in done.stderr
    return Store(folder / "store")


@pytest.fixture
def retrain_here(monkeypatch):
    """Return a function that retrains a folder in this process: the outcomes by station, what was said, the tasks."""
    tasks = []

    def in_this_process(function, to_train, *_workers):
        for task in to_train:
            tasks.append(task)
            yield task, function(task)

    monkeypatch.setattr("app.training.retrain.run", in_this_process)

    def of(store, folder):
        ended, said = [], []
        tasks.clear()
        retrain(store, sorted(folder.glob("*.csv")), PLAN, Workers(), ended.append, say=said.append)
        return {outcome.station: outcome for outcome in ended}, said, tasks

    return of


def shared_of(store, station):
    """Return the digest of the shared corrector that the champion of a station continued."""
    station = store.station(station)
    return station.manifest(station.champion()).shared_corrector


def test_it_is_stored_like_a_model(shared_store):
    digest = load_shared(shared_store).digest
    assert [shared_of(shared_store, station) for station in ("dale", "hill", "town")] == [digest, digest, None]
    assert verify(shared_store.shared) == []
    (entry,) = shared_store.shared.history()
    assert entry.reason == "fitted to 2 stations"
    manifest = shared_store.shared.manifest(entry.version)
    assert (manifest.columns, manifest.rows.training) == (["guidance", "guidance_spread"], 598)
    for command, names_it in (("show", True), ("verify", False), ("list", False), ("prune", True)):
        arguments = [SHARED] if command == "show" else []
        done = call_script("store", command, *arguments, "--store", shared_store.root)
        assert done.returncode == 0, done.stderr
        assert (SHARED in done.stdout) == names_it


def test_it_is_not_a_station(shared_store):
    client = create_app(Settings(store=shared_store.root)).test_client()
    served = [model["station"] for model in client.get("/models").json["models"]]
    assert served == shared_store.stations() == ["dale", "hill", "town"]
    assert client.get("/readyz").json["stations"] == 3
    assert client.get(f"/models/{SHARED}").status_code == 404
    with pytest.raises(StoreError, match="'_shared' is not a station name"):
        shared_store.station(SHARED)
    record = shared_store.root.parent / "dale.csv"
    done = call_script("train", "--quick", record, "--station", SHARED, "--store", shared_store.root)
    assert (done.returncode, "'_shared' is not a station name" in done.stderr) == (1, True)


def test_a_single_record_uses_the_stored_one_if_there_is_one(shared_store, tmp_path):
    before = load_shared(shared_store).digest
    file = guided_record(tmp_path, "fell", 150, 9)
    stored = shutil.copytree(shared_store.root, tmp_path / "stored")
    for root, found in ((stored, before), (tmp_path / "empty", None)):
        done = call_script("train", "--pool", "--quick", file, "--store", root)
        assert done.returncode == 0, done.stderr
        alone = "no shared corrector in the store; training this station alone" in done.stderr
        assert (shared_of(Store(root), "fell"), alone) == (found, found is None)
    (tmp_path / "recipe.toml").write_text("[guidance]\nhidden = 3\n")
    done = call_script("train", "--pool", "--quick", file, "--recipe", tmp_path / "recipe.toml", "--store", stored)
    assert "fell: trained without the shared corrector, which does not match its columns or recipe\n" in done.stderr
    assert shared_of(Store(stored), "fell") is None


def test_without_guidance_training_stops_and_retraining_goes_on(tmp_path, retrain_here):
    for name in ("dale", "hill"):
        write_csv(tmp_path / f"{name}.csv", synthetic_days(200))
    reason = "no station has enough guidance to train a shared corrector"
    store = Store(tmp_path / "store")
    done = call_script("train", "--pool", "--quick", *tmp_path.glob("*.csv"), "--store", store.root)
    assert done.returncode == 1
    assert reason in done.stderr
    outcomes, said, _ = retrain_here(store, tmp_path)
    assert {outcome.decision for outcome in outcomes.values()} <= {"promoted", "kept"}
    assert said == [f"training each station alone: {reason}"]
    assert load_shared(store) is None


def test_retraining_fits_it_again_where_any_file_has_changed(tmp_path, retrain_here):
    store = Store(tmp_path / "store")
    for seed, name in enumerate(("dale", "hill")):
        guided_record(tmp_path, name, 400, seed)
    assert {outcome.decision for outcome in retrain_here(store, tmp_path)[0].values()} == {"promoted"}
    before = load_shared(store)
    assert {outcome.decision for outcome in retrain_here(store, tmp_path)[0].values()} == {"unchanged"}
    assert load_shared(store).digest == before.digest

    guided_record(tmp_path, "hill", 440, 1)
    again, said, (task,) = retrain_here(store, tmp_path)
    assert ({station: outcome.decision for station, outcome in again.items()}, said) == (
        {"dale": "unchanged", "hill": "promoted"},
        [],
    )
    assert before.digest != load_shared(store).digest == task.shared_digest == shared_of(store, "hill")
    # The judged challenger may continue a corrector of the days that the champion knows, and of no others.
    champion = task.champion
    assert shared_from_state(task.shared_before).whole.through == champion.seen_through
    assert shared_from_state(task.shared).whole.through == champion.seen_through + 40


def test_it_can_be_fitted_to_the_days_up_to_one():
    """As if the later days were not in the records."""
    stations = [guided_days(200, seed) for seed in range(2)]
    through = stations[0].dates[150]
    one = fit_shared([Record("x", days) for days in stations], QUICK, 0, through)
    other = fit_shared([Record("x", days.part(0, 151)) for days in stations], QUICK, 0)
    assert one.whole.through == through
    assert joblib.hash(to_state(one)) == joblib.hash(to_state(other))
