"""Pretrained initial weights: for which recipes there are any, and that training begins with them."""

import msgspec
import numpy as np
import pytest

from app.readers import Record
from app.store.history import digest
from app.training.pretrained import FOLDER, pretrained_file, pretrained_weights, write_weights
from app.training.train import train_station
from models.forecast.features import N_FIRST
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
    for member, trained in enumerate(weights_of(recipe)):
        for name, value in weights.of(member, ()).items():
            np.testing.assert_allclose(trained[name], value, atol=1e-6)
    first, second = weights.members
    assert not np.array_equal(first["layer0.W"], second["layer0.W"])


def test_inputs_begin_with_the_weights_of_their_kind_and_unknown_ones_at_zero():
    weights = pretrained_weights(Recipe())[0]
    assert {"pressure", "pressure change", "humidity", "sunshine"} <= {*weights.kinds}
    known = weights.members[0]["layer0.W"]
    found = weights.of(0, ("hail", "pressure", "pressure", "humidity"))["layer0.W"]
    row = known[N_FIRST + weights.kinds.index("pressure")]
    humidity = known[N_FIRST + weights.kinds.index("humidity")]
    np.testing.assert_array_equal(found, [*known[:N_FIRST], 0 * row, row / 2, row / 2, humidity])
    assert weights.of(0, weights.kinds) is weights.members[0]


def test_members_take_the_shipped_weights_in_turn():
    six = [member["head.b"].tolist() for member in pretrained_weights(Recipe(members=6))[0].members]
    four = [member["head.b"].tolist() for member in pretrained_weights(Recipe(members=4))[0].members]
    assert six == [*four, *four[:2]]
    assert [member["head.b"].tolist() for member in pretrained_weights(Recipe(members=3))[0].members] == four[:3]


def test_other_networks_begin_with_random_weights(tmp_path):
    for other in ({"cell": "lstm"}, {"hidden": 31}, {"layers": 2}, {"initial_weights": "random"}):
        assert pretrained_weights(Recipe(**other)) == (None, None)
    one, same, other = (weights_of(Recipe(hidden=4, members=2), seed)[0]["layer0.W"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    # A file that was trained on another number of columns.
    recipe = Recipe(hidden=5)
    weights = station_network(recipe, N_FIRST + 1).init(np.random.default_rng(0))
    members = {f"member0.{name}": value for name, value in weights.items()}
    write_weights(pretrained_file(recipe, tmp_path), members, ())
    assert pretrained_weights(recipe, tmp_path) == (None, None)
    write_weights(pretrained_file(recipe, tmp_path), members, ("pressure",))
    assert pretrained_weights(recipe, tmp_path)[0].kinds == ("pressure",)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive"])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, content):
    pretrained_file(Recipe(), tmp_path).write_bytes(content)
    with pytest.raises(ValueError, match=r"pretrained-gru-32\.npz holds no pretrained weights: .*; restore it or run"):
        pretrained_weights(Recipe(), tmp_path)
