"""Where networks begin."""

import numpy as np
import pytest

from app.history import digest
from app.readers import Record
from app.starts import FOLDER, start_digest, start_for, start_name
from app.training import train_station
from models.backtest import learn
from models.nn import RecurrentNetwork
from models.recipe import Recipe
from tests.conftest import QUICK, synthetic_days


def shapes(params):
    return {name: value.shape for name, value in params.items()}


def test_the_default_recipe_begins_with_what_ships():
    recipe = Recipe()
    start = start_for(recipe)
    assert len(start) == recipe.members
    needed = RecurrentNetwork(recipe.cell, 7, recipe.hidden, recipe.layers, 2).init(np.random.default_rng(0))
    for member in start:
        assert shapes(member) == shapes(needed)
        assert all(np.isfinite(value).all() for value in member.values())
    assert not np.array_equal(start[0]["layer0.W"], start[1]["layer0.W"])


def test_more_members_than_ship_begin_alike_and_fewer_take_the_first():
    three, six = (start_for(Recipe(members=n)) for n in (3, 6))
    four = start_for(Recipe(members=4))
    assert [m["head.b"].tolist() for m in three] == [m["head.b"].tolist() for m in four[:3]]
    assert [m["head.b"].tolist() for m in six] == [m["head.b"].tolist() for m in [*four, *four[:2]]]


@pytest.mark.parametrize("other", [{"cell": "lstm"}, {"hidden": 31}, {"layers": 2}, {"start": "random"}])
def test_other_networks_begin_at_random(other):
    assert start_for(Recipe(**other)) == []


def test_a_training_begins_where_it_is_told():
    """With steps of next to nothing it ends there too."""
    days = synthetic_days(200)
    recipe = Recipe(hidden=4, members=2, epochs=1, learning_rate=1e-9, refit=False, start="random")
    network = RecurrentNetwork("gru", 7, 4, 1, 2)
    start = [network.init(np.random.default_rng(seed)) for seed in (7, 8)]
    weights = learn("hill", days, recipe, start=start).forecaster.weights
    for member, params in enumerate(start):
        for name, value in params.items():
            np.testing.assert_allclose(weights[f"member{member}.{name}"], value, atol=1e-6)


def test_a_station_is_trained_from_the_pooled_start():
    days = synthetic_days(200)
    recipe = Recipe(epochs=1, members=1, learning_rate=1e-9)
    trained = train_station("hill", Record("hill", days), recipe, seed=0)
    weights = trained.learned.forecaster.weights
    for name, value in start_for(recipe)[0].items():
        np.testing.assert_allclose(weights[f"member0.{name}"], value, atol=1e-6)
    assert trained.manifest.recipe["start"] == "pooled"


def test_members_that_begin_at_random_differ(trained):
    weights = trained.learned.forecaster.weights
    assert QUICK.start == "random"
    assert not np.allclose(weights["member0.layer0.W"], weights["member1.layer0.W"])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive"])
def test_a_damaged_start_is_named(tmp_path, content):
    (tmp_path / start_name(Recipe())).write_bytes(content)
    with pytest.raises(ValueError, match=r"start-gru-32.npz does not hold weights"):
        start_for(Recipe(), tmp_path)


def test_the_manifest_says_where_the_networks_began():
    record = Record("hill", synthetic_days(400))
    drawn, pooled = (
        train_station("hill", record, Recipe(epochs=1, members=1, start=start), seed=0).manifest.start
        for start in ("random", "pooled")
    )
    assert drawn is None
    assert pooled == start_digest(Recipe()) == digest((FOLDER / start_name(Recipe())).read_bytes())
