"""An ensemble gives what its networks give alone."""

import numpy as np
import pytest

from models.nn import CELLS, Ensemble, RecurrentNetwork


def drawn(network, dtype, n=3):
    return [network.init(np.random.default_rng(seed), dtype) for seed in range(n)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("output", ["last", "every"])
@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_are_those_of_each_network(cell, n_layers, output, dtype):
    network = RecurrentNetwork(cell, 5, 7, n_layers, 2, output)
    members, rng = drawn(network, dtype), np.random.default_rng(9)
    for batch in (1, 3, 20):
        x = rng.normal(size=(batch, 6, 5)).astype(dtype)
        for given in (x, x[:, ::-1], np.asfortranarray(x)):
            found = Ensemble(network, members).predict(given)
            expected = np.stack([network.predict(member, given) for member in members])
            assert found.dtype == dtype
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_many_rows_are_computed_in_parts(monkeypatch):
    network = RecurrentNetwork("gru", 2, 4, 1, 2, "every")
    ensemble, x = Ensemble(network, drawn(network, "f4")), np.random.default_rng(0).normal(size=(33, 5, 2))
    whole = ensemble.predict(x)
    monkeypatch.setattr("models.nn.ensemble.SCORING_ROWS", 8)
    np.testing.assert_allclose(ensemble.predict(x), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 0, 5), (1, 6, 4), (6, 5)])
def test_inputs_of_another_shape_are_refused(shape):
    network = RecurrentNetwork("gru", 5, 7)
    with pytest.raises(ValueError, match="x has the shape"):
        Ensemble(network, drawn(network, "f4")).predict(np.zeros(shape))


def test_weights_of_another_network_are_refused():
    members = drawn(RecurrentNetwork("gru", 5, 7), "f4")
    with pytest.raises(ValueError, match="do not fit"):
        Ensemble(RecurrentNetwork("gru", 5, 8), members).predict(np.zeros((1, 3, 5)))
