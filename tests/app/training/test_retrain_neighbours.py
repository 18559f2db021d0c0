"""Retraining of stations that look at each other, and what happens where one of them disappears."""

import shutil

import msgspec
import numpy as np
import pytest

from app.readers import Record
from app.store import Store
from app.store.integrity import verify
from app.training.neighbours import Surroundings
from app.training.retrain import Workers, retrain, with_neighbours
from app.training.task import Plan, Task
from models.record.columns import TMAX, TMIN
from models.record.days import StationDays
from tests.app.training.records import RECIPE, changeable_days, content_of
from tests.stations import write_csv

pytestmark = pytest.mark.usefixtures("serial")

NAMES = ("hill", "lake", "vale")
NEAR = msgspec.structs.replace(RECIPE, neighbours=2)
PLAN = Plan(NEAR)
WARM = Plan(msgspec.structs.replace(NEAR, retrain="warm", warm_epochs=4, warm_learning_rate=5e-3))
N = 800


def related_days(n, seed):
    """The same weather at each station, but for some noise."""
    days, rng = changeable_days(1000, seed=5).part(0, n), np.random.default_rng([seed, 4])
    noise = rng.normal(0, 1, (1000, 2))[:n]
    values = days.values.copy()
    values[:, [TMAX, TMIN]] += noise + 2.0 * seed
    values[:, TMIN] = np.minimum(values[:, TMIN], values[:, TMAX] - 1)
    return StationDays(days.first, values.round(1))


def written(folder, n, names=NAMES):
    """Write the records of stations, that of the hill with its first n days."""
    folder.mkdir(exist_ok=True)
    lengths = dict.fromkeys(names, N) | {"hill": n}
    return [write_csv(folder / f"{name}.csv", related_days(lengths[name], NAMES.index(name))) for name in names]


def outcomes_of(store, files, plan=PLAN):
    outcomes = []
    retrain(store, files, plan, Workers(), outcomes.append)
    return {outcome.station: outcome for outcome in outcomes}


def neighbours_of(store, name):
    station = store.station(name)
    return station.manifest(station.champion()).neighbours


def retrained(store, files):
    """The same in a fixture of the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.training.retrain.run", lambda function, due, *_: ((task, function(task)) for task in due))
        return outcomes_of(store, files)


@pytest.fixture(scope="module")
def promoted(tmp_path_factory):
    """The content of a store of three stations that look at each other."""
    root = tmp_path_factory.mktemp("related")
    outcomes = retrained(Store(root / "store"), written(root / "records", N))
    return root / "store", outcomes


@pytest.fixture(scope="module")
def whole(promoted, tmp_path_factory):
    """What a retraining of the hill with 80 new days would give, the others as they were."""
    return retrained(Store(promoted[0], read_only=True), written(tmp_path_factory.mktemp("whole"), N + 80))["hill"]


@pytest.fixture
def store(promoted, tmp_path):
    """A copy of that store."""
    shutil.copytree(promoted[0], tmp_path / "store")
    return Store(tmp_path / "store")


def test_the_manifest_lists_the_neighbours_of_each_station(promoted):
    root, outcomes = promoted
    assert {name: outcome.decision for name, outcome in outcomes.items()} == dict.fromkeys(NAMES, "promoted")
    store = Store(root)
    for name in NAMES:
        assert neighbours_of(store, name) == {other: ["tmax", "tmin"] for other in NAMES if other != name}
        station = store.station(name)
        manifest = station.manifest(station.champion())
        assert manifest.columns == ["tmax", "tmin", "rain"]
        assert manifest.recipe["neighbours"] == 2
        assert verify(station) == []


def test_a_second_run_is_unchanged_and_another_number_of_neighbours_is_another_plan(store, tmp_path):
    files, before = written(tmp_path / "records", N), content_of(store.root)
    again = outcomes_of(store, files)
    assert {name: outcome.decision for name, outcome in again.items()} == dict.fromkeys(NAMES, "unchanged")
    assert content_of(store.root) == before
    fewer = outcomes_of(store, files, Plan(msgspec.structs.replace(NEAR, neighbours=1)))
    assert {outcome.decision for outcome in fewer.values()} == {"kept"}  # there are no new days


@pytest.mark.parametrize("left", [("hill", "vale"), ("hill",)], ids=["one gone", "both gone"])
def test_where_a_neighbour_has_disappeared_the_station_is_retrained_without_it(store, whole, tmp_path, left):
    """And its champion is judged without it."""
    outcomes = outcomes_of(store, written(tmp_path / "records", N + 80, left))
    assert {name: of.decision for name, of in outcomes.items()} == dict.fromkeys(left, "unchanged") | {
        "hill": "promoted"
    }
    outcome = outcomes["hill"]
    assert outcome.scores["champion"].n == outcome.scores["challenger"].n == whole.scores["champion"].n == 80
    assert outcome.scores["champion"].crps != whole.scores["champion"].crps
    assert {*neighbours_of(store, "hill")} == {*left} - {"hill"}


@pytest.mark.parametrize("n", [0, 1])
def test_the_champion_is_judged_with_its_neighbours_whatever_the_challenger_looks_at(store, whole, tmp_path, n):
    frozen, files = Store(store.root, read_only=True), written(tmp_path / "records", N + 80)
    fewer = outcomes_of(frozen, files, Plan(msgspec.structs.replace(NEAR, neighbours=n)))["hill"]
    assert fewer.scores["champion"] == whole.scores["champion"]
    assert fewer.scores["challenger"] != whole.scores["challenger"]


def test_warm_retraining_keeps_the_neighbours_of_the_champion(store, tmp_path):
    before = neighbours_of(store, "hill")
    outcome = outcomes_of(store, written(tmp_path / "records", N + 80), WARM)["hill"]
    assert (outcome.decision, outcome.retrain) == ("promoted", "warm"), outcome.reason
    assert neighbours_of(store, "hill") == before
    assert verify(store.station("hill")) == []


def test_without_its_neighbours_no_training_is_continued(store, tmp_path):
    """What was fitted to them would be lost."""
    outcome = outcomes_of(store, written(tmp_path / "records", N + 80, ("hill",)), WARM)["hill"]
    assert (outcome.decision, outcome.retrain) == ("promoted", "cold"), outcome.reason
    assert neighbours_of(store, "hill") == {}


def test_a_task_has_the_columns_of_the_neighbours_of_challenger_and_champion(store):
    """Also of one that the champion alone looks at."""
    records = {name: Record(name, related_days(400, i)) for i, name in enumerate(NAMES)}
    plan = Plan(msgspec.structs.replace(NEAR, neighbours=1))
    manifest = store.station("hill").manifest(store.station("hill").champion())
    new = Task("hill", records["hill"], plan)
    for task, expected in ((new, 1), (msgspec.structs.replace(new, manifest=manifest), 2)):
        (found,) = with_neighbours([task], lambda: Surroundings(records.values()))
        assert len(found.neighbours) == 1
        joined = {name.partition("/")[0] for name in found.record.days.further}
        assert len(joined) == expected
        assert joined >= {*found.neighbours}
