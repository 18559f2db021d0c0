"""Pretrained initial weights: for which recipes there are any, and that training begins with them."""

import msgspec
import numpy as np
import pytest

from app.readers import Record
from app.store.history import digest
from app.training.pretrained import FOLDER, pretrained_file, pretrained_weights, write_weights
from app.training.train import train_station
from models.forecast.features import N_FEATURES
from models.forecast.networks import station_network
from models.recipe import Recipe
from tests.stations import synthetic_days


def weights_of(recipe, seed=0):
    """The weights of a model whose training changes next to nothing."""
    recipe = msgspec.structs.replace(recipe, epochs=1, learning_rate=1e-9, refit=False)
    return train_station("hill", Record("hill", synthetic_days(200)), recipe, seed).model.members


def test_training_begins_with_the_shipped_weights():
    recipe = Recipe(members=2)
    weights, found = pretrained_weights(recipe)
    assert found == digest((FOLDER / "pretrained-gru-32.npz").read_bytes())
    for trained, initial in zip(weights_of(recipe), weights, strict=True):
        for name, value in initial.items():
            np.testing.assert_allclose(trained[name], value, atol=1e-6)
    assert not np.array_equal(weights[0]["layer0.W"], weights[1]["layer0.W"])


def test_members_take_the_shipped_weights_in_turn():
    six = [member["head.b"].tolist() for member in pretrained_weights(Recipe(members=6))[0]]
    four = [member["head.b"].tolist() for member in pretrained_weights(Recipe(members=4))[0]]
    assert six == [*four, *four[:2]]
    assert [member["head.b"].tolist() for member in pretrained_weights(Recipe(members=3))[0]] == four[:3]


def test_other_networks_begin_with_random_weights(tmp_path):
    for other in ({"cell": "lstm"}, {"hidden": 31}, {"layers": 2}, {"initial_weights": "random"}):
        assert pretrained_weights(Recipe(**other)) == ([], None)
    one, same, other = (weights_of(Recipe(hidden=4, members=2), seed)[0]["layer0.W"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    # A file that was trained on another number of columns.
    recipe = Recipe(hidden=5)
    weights = station_network(recipe, N_FEATURES + 1).init(np.random.default_rng(0))
    write_weights(pretrained_file(recipe, tmp_path), {f"member0.{name}": value for name, value in weights.items()})
    assert pretrained_weights(recipe, tmp_path) == ([], None)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive"])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, content):
    pretrained_file(Recipe(), tmp_path).write_bytes(content)
    with pytest.raises(ValueError, match=r"pretrained-gru-32\.npz holds no pretrained weights: .*; restore it or run"):
        pretrained_weights(Recipe(), tmp_path)
