"""Our numbers against PyTorch's, which `tests/golden/regenerate.py` wrote down."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.nn import (
    SGD,
    Adam,
    Cosine,
    Exponential,
    Huber,
    RecurrentNetwork,
    RMSprop,
    Steps,
    absolute_error,
    clip_by_global_norm,
    clip_by_value,
    cross_entropy,
    squared_error,
)
from tests import oracle

FOLDER = Path(__file__).parent / "golden"
ADVICE = "not PyTorch's number; if theirs is out of date: python -m tests.golden.regenerate (needs torch)"
CELLS = ["rnn", "rnn-relu", "lstm", "gru"]


def golden(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def assert_golden(actual, expected, what):
    """Nine digits are kept of each number; the smallest are no more exact than the sums they come from."""
    np.testing.assert_allclose(actual, expected, rtol=1e-7, atol=1e-13, err_msg=f"{what}: {ADVICE}")


def arrays(numbers):
    return {name: np.array(value) for name, value in numbers.items()}


@pytest.fixture(params=[(cell, i) for cell in CELLS for i in range(4)], ids=lambda p: f"{p[0]}-{p[1]}")
def recurrent(request):
    """A network, its parameters, input, target and initial state, and what PyTorch makes of them."""
    cell, i = request.param
    given = golden(cell)
    case = given["cases"][i]
    layers, x = case["n_layers"], np.array(given["x"])
    network = RecurrentNetwork(cell, x.shape[2], len(given["params"]["head.W"]), layers, 2, case["output"])
    params = arrays({name: given["params"][name] for name in case["grads"]})
    state = [tuple(np.array(part) for part in layer) for layer in given["state"][:layers]]
    return network, params, x, np.array(given["target"][case["output"]]), state, case


def test_the_golden_networks_are_of_every_depth_and_output():
    for cell in CELLS:
        shapes = {(case["n_layers"], case["output"]) for case in golden(cell)["cases"]}
        assert shapes == {(1, "last"), (1, "every"), (2, "last"), (2, "every")}


def test_outputs_final_states_and_every_gradient_are_pytorch_s(recurrent):
    network, params, x, target, state, case = recurrent
    y, final, tape = network.forward(params, x, state)
    loss, d_y = squared_error(y, target)
    grads, d_x, d_state = network.backward(params, d_y, tape)
    assert_golden(y, case["y"], "y")
    assert_golden(loss, case["loss"], "loss")
    assert_golden(d_x, case["d_x"], "gradient of x")
    assert grads.keys() == case["grads"].keys()
    for name, gradient in grads.items():
        assert_golden(gradient, case["grads"][name], f"gradient of {name}")
    assert len(final) == len(d_state) == network.n_layers
    for layer in range(network.n_layers):
        assert_golden(final[layer], case["final"][layer], f"final state of layer {layer}")
        assert_golden(d_state[layer], case["d_state"][layer], f"gradient of the initial state of layer {layer}")


def test_single_precision_is_near_pytorch_s_double(recurrent):
    network, params, x, target, state, case = recurrent
    params = {name: value.astype(np.float32) for name, value in params.items()}
    state = [tuple(part.astype(np.float32) for part in layer) for layer in state]
    y, _, tape = network.forward(params, x.astype(np.float32), state)
    grads, _, _ = network.backward(params, squared_error(y, target.astype(np.float32))[1], tape)
    np.testing.assert_allclose(y, case["y"], atol=1e-5, err_msg=ADVICE)
    for name, gradient in grads.items():
        np.testing.assert_allclose(gradient, case["grads"][name], atol=1e-5, err_msg=f"{name}: {ADVICE}")


def test_the_oracle_agrees_with_pytorch_too(recurrent):
    network, params, x, _, state, case = recurrent
    y, final = oracle.forward(network, params, x, state)
    assert_golden(y, case["y"], "y")
    for layer in range(network.n_layers):
        assert_golden(final[layer], case["final"][layer], f"final state of layer {layer}")


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("squared_error", squared_error),
        ("absolute_error", absolute_error),
        ("huber_1", Huber()),
        ("huber_0.3", Huber(0.3)),
        ("cross_entropy_of_classes", cross_entropy),
        ("cross_entropy_of_shares", cross_entropy),
    ],
)
def test_losses_and_their_gradients_are_pytorch_s(name, loss):
    given = golden("losses")
    case = given["cases"][name]
    value, gradient = loss(np.array(given["prediction"]), np.array(case["target"]))
    assert_golden(value, case["value"], name)
    assert_golden(gradient, case["gradient"], f"gradient of {name}")


@pytest.mark.parametrize(
    ("name", "optimizer", "alpha"),
    [
        ("sgd", SGD(), 0.1),
        ("sgd_momentum", SGD(0.9), 0.1),
        ("rmsprop", RMSprop(), 0.01),
        ("adam", Adam(), 0.01),
        ("adam_other_betas", Adam(0.8, 0.95, 1e-3), 0.01),
        ("adamw", Adam(weight_decay=0.3), 0.01),
    ],
)
def test_three_steps_of_each_optimizer_are_pytorch_s(name, optimizer, alpha):
    given = golden("optimizers")
    params = {"theta": np.array(given["start"])}
    memory = optimizer.init(params)
    for number, (gradient, expected) in enumerate(zip(given["grads"], given["cases"][name], strict=True), 1):
        params, memory = optimizer.step(params, {"theta": np.array(gradient)}, memory, alpha)
        assert_golden(params["theta"], expected, f"{name} after step {number}")


@pytest.mark.parametrize("i", [0, 1], ids=["clipped", "untouched"])
def test_clipping_by_the_norm_is_pytorch_s(i):
    """Theirs divides by the norm plus 1e-6, ours by the norm."""
    given = golden("clipping")
    case = given["cases"][i]
    clipped, norm = clip_by_global_norm(arrays(given["grads"]), case["max_norm"])
    assert_golden(norm, case["norm"], "norm")
    ratio = norm / (norm + 1e-6) if norm > case["max_norm"] else 1
    for name, gradient in clipped.items():
        np.testing.assert_allclose(gradient * ratio, case["clipped"][name], rtol=1e-8, err_msg=f"{name}: {ADVICE}")


def test_clipping_by_value_is_pytorch_s():
    given = golden("clipping")
    assert_golden(clip_by_value(arrays(given["grads"]), given["limit"])["a"], given["limited"], "clipped by value")


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        ("cosine", Cosine()),
        ("cosine_to_a_tenth", Cosine(0.1)),
        ("exponential_to_a_hundredth", Exponential(0.01)),
        ("steps", Steps((0.5, 0.8), 0.3)),
    ],
)
def test_schedules_are_pytorch_s(name, schedule):
    assert_golden([schedule(step / 10) for step in range(11)], golden("schedules")[name], name)


def test_a_difference_says_how_to_make_the_numbers_anew():
    with pytest.raises(AssertionError, match=r"python -m tests\.golden\.regenerate"):
        assert_golden(1.0, 1.0 + 1e-6, "y")
