"""The network: first its gradients, then everything else."""

import numpy as np
import pytest

from models.nn import CELLS, Adam, RecurrentNetwork, clip_by_global_norm, squared_error
from tests.gradcheck import numerical_gradient, relative_error

B, T, F, H, L, O = 3, 5, 4, 6, 2, 2


@pytest.fixture(params=CELLS)
def network(request):
    return RecurrentNetwork(request.param, n_inputs=F, n_hidden=H, n_layers=L, n_outputs=O)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def problem(network, rng):
    """Parameters (biases too), inputs, targets and an initial state, all away from zero, in float64."""
    params = {k: v + rng.normal(0, 0.3, v.shape) for k, v in network.init(rng, np.float64).items()}
    state = [tuple(rng.normal(size=array.shape) for array in layer) for layer in network.initial_state(B, np.float64)]
    return params, rng.normal(size=(B, T, F)), rng.normal(size=(B, O)), state


def check_gradients(network, params, x, target, state):
    def loss():
        return squared_error(network.forward(params, x, state)[0], target)[0]

    y, _, tape = network.forward(params, x, state)
    _, d_y = squared_error(y, target)
    grads, d_x, d_state = network.backward(params, d_y, tape)
    assert grads.keys() == params.keys()
    errors = {name: relative_error(grads[name], numerical_gradient(loss, params[name])) for name in params}
    errors["x"] = relative_error(d_x, numerical_gradient(loss, x))
    for layer, arrays in enumerate(state):
        for part, array in enumerate(arrays):
            errors[f"state{layer}.{part}"] = relative_error(d_state[layer][part], numerical_gradient(loss, array))
    assert max(errors.values()) < 1e-6, errors
    return grads


def test_gradients_of_weights_biases_inputs_and_initial_state(network, rng):
    check_gradients(network, *problem(network, rng))


def test_gradients_still_hold_at_the_second_training_step(network, rng):
    params, x, target, state = problem(network, rng)
    optimizer = Adam()
    memory = optimizer.init(params)
    first, _ = squared_error(network.forward(params, x, state)[0], target)
    for _ in range(2):
        grads = check_gradients(network, params, x, target, state)
        params, memory = optimizer.step(params, grads, memory, 0.05)
    assert squared_error(network.forward(params, x, state)[0], target)[0] < first


def test_a_wrong_gradient_does_not_pass(network, rng, monkeypatch):
    """The check is only worth something if it fails: lose the first step's bias gradient, a mistake often made."""
    honest = type(network.cell).gradients

    def forgetful(self, z, pages, d_a):
        without_first_step = honest(self, z[1:], pages[1:], d_a[1:])
        return honest(self, z, pages, d_a) | {"b": without_first_step["b"]}

    monkeypatch.setattr(type(network.cell), "gradients", forgetful)
    with pytest.raises(AssertionError):
        check_gradients(network, *problem(network, rng))


def test_the_final_state_continues_the_sequence(network, rng):
    params, x, _, state = problem(network, rng)
    whole, _, _ = network.forward(params, x, state)
    _, between, _ = network.forward(params, x[:, :2], state)
    continued, _, _ = network.forward(params, x[:, 2:], between)
    np.testing.assert_allclose(continued, whole, rtol=1e-12)


def test_a_row_does_not_see_its_neighbours(network, rng):
    params, x, _, _ = problem(network, rng)
    np.testing.assert_allclose(network.predict(params, x[1:2]), network.predict(params, x)[1:2], rtol=1e-12)


def test_single_precision_stays_single_precision(network, rng):
    params = network.init(rng)
    x = rng.normal(size=(B, T, F)).astype(np.float32)
    y, state, tape = network.forward(params, x)
    _, d_y = squared_error(y, np.zeros_like(y))
    grads, d_x, _ = network.backward(params, d_y, tape)
    moved, _ = Adam().step(params, grads, Adam().init(params), 1e-3)
    for array in [*params.values(), y, state[0][0], d_x, *grads.values(), *moved.values()]:
        assert array.dtype == np.float32


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


def test_clipping_keeps_the_direction_and_bounds_the_joint_norm():
    grads = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}
    clipped, norm = clip_by_global_norm(grads, 1.0)
    assert norm == 5.0
    np.testing.assert_allclose(clipped["a"], [0.6, 0.0])
    np.testing.assert_allclose(clipped["b"], [[0.8]])
    untouched, _ = clip_by_global_norm(grads, 10.0)
    assert untouched is grads


def test_adam_first_steps_worked_by_hand():
    """With a constant gradient the bias-corrected moments are g and g^2, so each step has length alpha."""
    optimizer = Adam()
    params, memory = {"w": np.array([1.0, -1.0])}, optimizer.init({"w": np.zeros(2)})
    for _ in range(3):
        params, memory = optimizer.step(params, {"w": np.array([2.0, -0.5])}, memory, 0.1)
    np.testing.assert_allclose(params["w"], [0.7, -0.7], rtol=1e-6)
