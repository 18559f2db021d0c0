"""Side by side with PyTorch and ONNX Runtime in one run: the same networks, one thread each, taking turns."""

import os

# Read by the numerical libraries when they are loaded.
for _variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[_variable] = "1"

import contextlib  # noqa: E402
import statistics  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import click  # noqa: E402
import numpy as np  # noqa: E402
from rich.table import Table  # noqa: E402

from models.nn import (  # noqa: E402
    Array,
    Packing,
    Parameters,
    RecurrentNetwork,
    TrainingPlan,
    training_step,
)
from models.nn.compiled import is_available  # noqa: E402
from scripts.console import Command, messages, output  # noqa: E402
from scripts.peers import OnnxPeer, TorchPeer  # noqa: E402
from scripts.weather_study import compare_training  # noqa: E402

CELLS = ("rnn", "lstm", "gru")
DAYS, FEATURES, HIDDEN = 14, 8, 32
BATCH, MANY = 128, 1024
CLIP_NORM = 1.0
PLAN = TrainingPlan(epochs=1, learning_rate=1e-3, clip_norm=CLIP_NORM)

# OSError: a build for graphics cards without their libraries.
NOT_INSTALLED = (ImportError, OSError)

# Columns of the table, in its order; the first is what the others are compared with.
HERE, NUMPY, TORCH, ONNX, LIMIT = "here", "NumPy alone", "PyTorch", "ONNX Runtime", "bare products"

Contestants = dict[str, Callable[[], Any]]


@click.command(cls=Command)
@click.option("--rounds", type=click.IntRange(min=3), default=31, show_default=True, help="How often each is timed.")
@click.option(
    "--weather",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="clean_weather.csv of the weather study: also race its own training loop on it.",
)
def benchmark(rounds: int, weather: Path | None) -> None:
    """Time training and forecasting of each cell beside the peers."""
    if not is_available():
        messages.print("The steps are not compiled on this machine: 'here' is NumPy alone.")
    table = Table(
        "work", "cell", HERE, NUMPY, TORCH, ONNX, LIMIT, "PyTorch / here", "ONNX / here", "here / bare",
        title=f"{DAYS} days x {FEATURES} inputs -> {HIDDEN} hidden, one thread: median microseconds, median ratios",
    )  # fmt: skip
    for work, make, sequences, calls, absent in (
        (f"training step, {BATCH} sequences", training, BATCH, 20, {ONNX: "does not train"}),
        ("forward, 1 sequence", forward, 1, 200, {}),
        (f"forward, {MANY:,} sequences", forward, MANY, 4, {}),
    ):
        for cell in CELLS:
            table.add_row(work, cell, *cells_of(race(make(cell, sequences), rounds, calls), absent))
    output.print(table)
    if weather:
        compare_training(weather)


def problem(cell: str, sequences: int) -> tuple[Parameters, Array, Array]:
    """Draw parameters (biases too), inputs and targets."""
    rng = np.random.default_rng(0)
    params = RecurrentNetwork(cell, FEATURES, HIDDEN).init(rng)
    params = {name: value + rng.normal(0, 0.1, value.shape).astype("f4") for name, value in params.items()}
    x = rng.normal(size=(sequences, DAYS, FEATURES)).astype("f4")
    return params, x, rng.normal(size=(sequences, 1)).astype("f4")


def networks(cell: str) -> tuple[RecurrentNetwork, RecurrentNetwork]:
    """Return the network as it is used, and on NumPy alone."""
    return RecurrentNetwork(cell, FEATURES, HIDDEN), RecurrentNetwork(cell, FEATURES, HIDDEN, compiled=False)


def forward(cell: str, sequences: int) -> Contestants:
    """Return calls that all compute the same outputs; a peer that is not installed is left out."""
    params, x, _ = problem(cell, sequences)
    network, plain = networks(cell)
    contestants: Contestants = {
        HERE: lambda: network.predict(params, x),
        NUMPY: lambda: plain.predict(params, x),
        LIMIT: bare_work(cell, sequences, training=False),
    }
    with contextlib.suppress(*NOT_INSTALLED):
        contestants[TORCH] = TorchPeer(cell, params).forward(x)
    with contextlib.suppress(*NOT_INSTALLED):
        contestants[ONNX] = OnnxPeer(cell, params, DAYS).forward(x)
    for name in contestants.keys() - {LIMIT}:
        np.testing.assert_allclose(contestants[name](), contestants[HERE](), atol=1e-4, err_msg=name)
    return contestants


def training(cell: str, sequences: int) -> Contestants:
    """Return calls that each take the same training step: forward, backward, clip, Adam."""
    params, x, y = problem(cell, sequences)
    network, plain = networks(cell)
    contestants: Contestants = {
        HERE: our_training(network, params, x, y),
        NUMPY: our_training(plain, params, x, y),
        LIMIT: bare_work(cell, sequences, training=True),
    }
    with contextlib.suppress(*NOT_INSTALLED):
        contestants[TORCH] = TorchPeer(cell, params).training_step(x, y, PLAN.learning_rate, CLIP_NORM)
    losses = {name: [call() for _ in range(5)] for name, call in contestants.items() if name != LIMIT}
    for name, values in losses.items():
        # PyTorch trains two biases where one would do, so that they move twice as far.
        np.testing.assert_allclose(values[0], losses[HERE][0], rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(values, losses[HERE], rtol=2e-2, err_msg=name)
    return contestants


def our_training(network: RecurrentNetwork, params: Parameters, x: Array, y: Array) -> Callable[[], float]:
    """Return a call that takes a step and answers the loss before it."""
    packing = Packing(params)
    packed = packing.pack(params)
    memory = PLAN.optimizer.init(packed)

    def call() -> float:
        nonlocal packed, memory
        loss, packed, memory = training_step(network, packing, packed, memory, (x, y), PLAN)
        return loss

    return call


def bare_work(cell: str, sequences: int, training: bool) -> Callable[[], None]:
    """Return the least that any NumPy program must do: each step's matrix products and tanh, of the same sizes."""
    blocks, tanhs = {"rnn": (1, 1), "lstm": (4, 5), "gru": (3, 3)}[cell]
    rng = np.random.default_rng(0)
    rows, columns = blocks * HIDDEN, HIDDEN + FEATURES + 1
    weights = rng.normal(size=(rows, columns)).astype("f4")
    recurrent = np.ascontiguousarray(weights[:, :HIDDEN].T)
    z = rng.normal(size=(columns, sequences)).astype("f4")
    z_transposed = np.ascontiguousarray(z.T)
    a, d_h, gradient = (np.empty(shape, "f4") for shape in ((rows, sequences), (HIDDEN, sequences), (rows, columns)))
    gates = rng.normal(size=(tanhs * HIDDEN, sequences)).astype("f4")

    def call() -> None:
        for _ in range(DAYS):
            np.dot(weights, z, a)
            np.tanh(gates, gates)
            if training:
                np.dot(recurrent, a, d_h)
                np.dot(a, z_transposed, gradient)

    return call


def race(contestants: Contestants, rounds: int, calls: int) -> dict[str, list[float]]:
    """Let the contestants take turns; return the microseconds of a call of each, one number a round."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            began = time.perf_counter()
            for _ in range(calls):
                contestant()
            times[name].append((time.perf_counter() - began) / calls * 1e6)
    return times


def cells_of(times: dict[str, list[float]], absent: dict[str, str]) -> list[str]:
    """Return a row: medians, then medians of the ratios within each round; ``absent`` says why a peer has none."""

    def ratio(above: str, below: str) -> str:
        if above not in times:
            return ""
        return f"{statistics.median(a / b for a, b in zip(times[above], times[below], strict=True)):.2f}"

    def median(name: str) -> str:
        return f"{statistics.median(times[name]):,.0f}" if name in times else absent.get(name, "not installed")

    medians = [median(name) for name in (HERE, NUMPY, TORCH, ONNX, LIMIT)]
    return [*medians, ratio(TORCH, HERE), ratio(ONNX, HERE), ratio(HERE, LIMIT)]


if __name__ == "__main__":
    benchmark()
