"""The networks on numbers worked by hand; for their gradients see test_gradients.py, for every shape test_oracle.py."""

import numpy as np
import pytest

from models.nn import RecurrentNetwork, predict_rows


def test_rnn_forward_worked_by_hand():
    """One unit, two steps: h1 = tanh(2 * 0.5 + 0.1), h2 = tanh(2 * -0.25 - 0.5 h1 + 0.1), y = 3 h2 + 1."""
    params = {
        "layer0.W": np.array([[2.0]]),
        "layer0.U": np.array([[-0.5]]),
        "layer0.b": np.array([0.1]),
        "head.W": np.array([[3.0]]),
        "head.b": np.array([1.0]),
    }
    y = RecurrentNetwork("rnn", 1, 1).predict(params, np.array([[[0.5], [-0.25]]]))
    h1 = np.tanh(1.1)
    assert y[0, 0] == pytest.approx(3 * np.tanh(-0.4 - 0.5 * h1) + 1, rel=1e-14)


def test_an_lstm_begins_by_remembering():
    """The forget gate's bias is 1: with no input a cell state of 1 becomes sigmoid(1) after one step."""
    network = RecurrentNetwork("lstm", 2, 3)
    params = network.init(np.random.default_rng(0), np.float64)
    params = {name: value if name == "layer0.b" else np.zeros_like(value) for name, value in params.items()}
    _, [(h, c)], _ = network.forward(params, np.zeros((1, 1, 2)), [(np.zeros((1, 3)), np.ones((1, 3)))])
    remembered = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(c, np.full((1, 3), remembered))
    np.testing.assert_allclose(h, np.full((1, 3), 0.5 * np.tanh(remembered)))


def test_a_gru_step_worked_by_hand():
    """One unit: r = sigmoid(0.1), z = sigmoid(0.2), n = tanh(0.3 + r (0.5 h + 0.4)), h' = (1 - z) n + z h."""
    network = RecurrentNetwork("gru", 1, 1)
    params = {
        "layer0.W": np.zeros((1, 3)),
        "layer0.U": np.array([[0, 0, 0.5]]),
        "layer0.b": np.array([0.1, 0.2, 0.3]),
        "layer0.c": np.array([0, 0, 0.4]),
        "head.W": np.ones((1, 1)),
        "head.b": np.zeros(1),
    }
    y, _, _ = network.forward(params, np.zeros((1, 1, 1)), [(np.array([[0.8]]),)])
    r, z = (1 / (1 + np.exp(-a)) for a in (0.1, 0.2))
    n = np.tanh(0.3 + r * (0.5 * 0.8 + 0.4))
    assert y[0, 0] == pytest.approx((1 - z) * n + z * 0.8, rel=1e-14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell_name": "gur"}, "one of .*'gru'"),
        ({"n_layers": 0}, "at least 1"),
        ({"output": "lst"}, "'last' or 'every'"),
        ({"dropout": 1.0}, "from 0 to below 1"),
        ({"dropout": -0.5}, "from 0 to below 1"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RecurrentNetwork(**({"cell_name": "gru", "n_inputs": 1, "n_hidden": 1} | options))


def test_no_sequences_have_no_outputs():
    network = RecurrentNetwork("gru", 2, 3)
    assert predict_rows(network, network.init(np.random.default_rng(0)), np.zeros((0, 4, 2), "f4")).shape == (0, 1)
