"""Networks, losses, optimisers, clipping and schedules against the numbers of PyTorch in the golden files."""

import json
from importlib.util import find_spec
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
from tests.models.nn import oracle
from tests.models.nn.cases import Case, each

FOLDER = Path(__file__).parent / "golden"
REGENERATE = "python -m tests.models.nn.golden.regenerate"
LOSSES = {
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber_1": Huber(),
    "huber_0.3": Huber(0.3),
    "cross_entropy_of_classes": cross_entropy,
    "cross_entropy_of_probabilities": cross_entropy,
}
OPTIMIZERS = {
    "sgd": (SGD(), 0.1),
    "sgd_momentum": (SGD(0.9), 0.1),
    "rmsprop": (RMSprop(), 0.01),
    "adam": (Adam(), 0.01),
    "adam_other_betas": (Adam(0.8, 0.95, 1e-3), 0.01),
    "adamw": (Adam(weight_decay=0.3), 0.01),
}
SCHEDULES = {
    "cosine": Cosine(),
    "cosine_to_a_tenth": Cosine(0.1),
    "exponential_to_a_hundredth": Exponential(0.01),
    "steps": Steps((0.5, 0.8), 0.3),
}


def golden(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def arrays(numbers):
    return {name: np.array(value) for name, value in numbers.items()}


def assert_golden(actual, expected, name, **tolerance):
    """Nine digits of each number are stored; the smallest are no more exact than the sums that they come from."""
    advice = f"{name} is not PyTorch's; if the golden file is out of date: {REGENERATE} (needs torch)"
    np.testing.assert_allclose(actual, expected, **({"rtol": 1e-7, "atol": 1e-13} | tolerance), err_msg=advice)


def test_difference_names_the_command_that_regenerates_the_files():
    with pytest.raises(AssertionError, match=REGENERATE):
        assert_golden(1.0, 1.0 + 1e-6, "y")
    module = find_spec(REGENERATE.removeprefix("python -m "))
    assert Path(module.origin).parent == FOLDER
    assert REGENERATE in Path(module.origin).read_text()


@pytest.mark.parametrize("cell", ["rnn", "rnn-relu", "lstm", "gru"])
def test_networks_and_the_oracle_agree_with_pytorch(cell):
    """Outputs, final states and every gradient, of one and two layers; single precision to 1e-5."""
    given = golden(cell)
    x = np.array(given["x"])
    assert len(given["cases"]) == 4
    for case in given["cases"]:
        layers, output = case["n_layers"], case["output"]
        network = RecurrentNetwork(cell, x.shape[2], len(given["params"]["head.W"]), layers, 2, output)
        params = {name: np.array(given["params"][name]) for name in case["grads"]}
        double = Case(network, params, x, each(np.array, given["state"][:layers]))
        expected = {f"gradient of {name}": gradient for name, gradient in case["grads"].items()}
        expected |= {"y": case["y"], "loss": case["loss"], "gradient of x": case["d_x"]}
        expected |= {f"final {layer}": arrays for layer, arrays in enumerate(case["final"])}
        expected |= {f"gradient of state {layer}": arrays for layer, arrays in enumerate(case["d_state"])}
        for dtype, tolerance in ((np.float64, {}), (np.float32, {"rtol": 0, "atol": 1e-5})):
            cast = double.to(dtype)
            y, final, tape = cast.forward()
            loss, d_y = squared_error(y, np.array(given["target"][output], dtype))
            grads, d_x, d_state = network.backward(cast.params, d_y, tape)
            actual = {f"gradient of {name}": gradient for name, gradient in grads.items()}
            actual |= {"y": y, "loss": loss, "gradient of x": d_x}
            actual |= {f"final {layer}": arrays for layer, arrays in enumerate(final)}
            actual |= {f"gradient of state {layer}": arrays for layer, arrays in enumerate(d_state)}
            assert actual.keys() == expected.keys()
            for name, value in expected.items():
                assert_golden(actual[name], value, f"{name} ({layers} layers, {output}, {dtype.__name__})", **tolerance)
        y, final = oracle.forward(*double)
        assert_golden(y, case["y"], "y of the oracle")
        for layer in range(layers):
            assert_golden(final[layer], case["final"][layer], f"final {layer} of the oracle")


def test_losses_agree_with_pytorch():
    given = golden("losses")
    assert given["cases"].keys() == LOSSES.keys()
    for name, case in given["cases"].items():
        value, gradient = LOSSES[name](np.array(given["prediction"]), np.array(case["target"]))
        assert_golden(value, case["value"], name)
        assert_golden(gradient, case["gradient"], f"gradient of {name}")


def test_three_steps_of_each_optimizer_agree_with_pytorch():
    given = golden("optimizers")
    assert given["cases"].keys() == OPTIMIZERS.keys()
    for name, expected in given["cases"].items():
        optimizer, alpha = OPTIMIZERS[name]
        params = {"theta": np.array(given["initial"])}
        memory = optimizer.init(params)
        for number, (gradient, theta) in enumerate(zip(given["grads"], expected, strict=True), 1):
            params, memory = optimizer.step(params, {"theta": np.array(gradient)}, memory, alpha)
            assert_golden(params["theta"], theta, f"{name} after step {number}")


def test_clipping_agrees_with_pytorch():
    """PyTorch divides by the norm plus 1e-6, this package by the norm."""
    given = golden("clipping")
    assert [case["norm"] > case["max_norm"] for case in given["cases"]] == [True, False]
    for case in given["cases"]:
        clipped, norm = clip_by_global_norm(arrays(given["grads"]), case["max_norm"])
        assert_golden(norm, case["norm"], "norm")
        ratio = norm / (norm + 1e-6) if norm > case["max_norm"] else 1
        for name, gradient in clipped.items():
            assert_golden(gradient * ratio, case["clipped"][name], f"{name} clipped by norm", rtol=1e-8)
    assert_golden(clip_by_value(arrays(given["grads"]), given["limit"])["a"], given["limited"], "a clipped by value")


def test_schedules_agree_with_pytorch():
    given = golden("schedules")
    assert given.keys() == SCHEDULES.keys()
    for name, expected in given.items():
        assert_golden([SCHEDULES[name](step / 10) for step in range(11)], expected, name)
