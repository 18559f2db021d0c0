"""Benchmark of the networks against PyTorch and ONNX Runtime, one thread each, taking turns in one run."""

import os

# The numerical libraries read these when they are loaded.
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

from models.nn import Array, Packing, Parameters, RecurrentNetwork, TrainingPlan, training_step  # noqa: E402
from models.nn.compiled import steps  # noqa: E402
from scripts.bench.peers import onnx_forward, torch_forward, torch_training  # noqa: E402
from scripts.bench.weather_study import compare_training  # noqa: E402
from scripts.cli.console import Command, messages, output  # noqa: E402
from scripts.cli.options import READABLE  # noqa: E402

CELLS = ("rnn", "lstm", "gru")
DAYS, FEATURES, HIDDEN = 14, 8, 32
BATCH, MANY = 128, 1024
CLIP_NORM = 1.0
PLAN = TrainingPlan(epochs=1, learning_rate=1e-3, clip_norm=CLIP_NORM)

# OSError: a GPU build without the GPU libraries.
NOT_INSTALLED = (ImportError, OSError)

# Columns of the table, in order.
HERE, NUMPY, TORCH, ONNX, LIMIT = "here", "NumPy only", "PyTorch", "ONNX Runtime", "lower bound"

Contestants = dict[str, Callable[[], Any]]


@click.command(cls=Command)
@click.option("--rounds", type=click.IntRange(min=3), default=31, show_default=True, help="Timings of each.")
@click.option("--weather", type=READABLE, help="clean_weather.csv of the weather study: also time its training loop.")
def benchmark(rounds: int, weather: Path | None) -> None:
    """Time the training and forecasts of each cell against PyTorch and ONNX Runtime."""
    if steps() == "numpy":
        messages.print("the C code is not compiled on this machine: 'here' is NumPy only")
    table = Table(
        "work", "cell", HERE, NUMPY, TORCH, ONNX, LIMIT, "PyTorch / here", "ONNX / here", "here / bound",
        title=f"{DAYS} days x {FEATURES} inputs, {HIDDEN} hidden units, one thread: median microseconds, median ratios",
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
    """Draw parameters, with non-zero biases, inputs and targets."""
    rng = np.random.default_rng(0)
    params = RecurrentNetwork(cell, FEATURES, HIDDEN).init(rng)
    params = {name: value + rng.normal(0, 0.1, value.shape).astype("f4") for name, value in params.items()}
    x = rng.normal(size=(sequences, DAYS, FEATURES)).astype("f4")
    return params, x, rng.normal(size=(sequences, 1)).astype("f4")


def networks(cell: str) -> tuple[RecurrentNetwork, RecurrentNetwork]:
    """Return the network as used, and on NumPy only."""
    return RecurrentNetwork(cell, FEATURES, HIDDEN), RecurrentNetwork(cell, FEATURES, HIDDEN, compiled=False)


def forward(cell: str, sequences: int) -> Contestants:
    """Return calls that compute the same outputs; peers that are not installed are left out."""
    params, x, _ = problem(cell, sequences)
    network, plain = networks(cell)
    contestants: Contestants = {
        HERE: lambda: network.predict(params, x),
        NUMPY: lambda: plain.predict(params, x),
        LIMIT: bare_work(cell, sequences, training=False),
    }
    with contextlib.suppress(*NOT_INSTALLED):
        contestants[TORCH] = torch_forward(cell, params, x)
    with contextlib.suppress(*NOT_INSTALLED):
        contestants[ONNX] = onnx_forward(cell, params, x)
    for name in contestants.keys() - {LIMIT}:
        np.testing.assert_allclose(contestants[name](), contestants[HERE](), atol=1e-4, err_msg=name)
    return contestants


def training(cell: str, sequences: int) -> Contestants:
    """Return calls that take the same training step: forward, backward, clip, Adam."""
    params, x, y = problem(cell, sequences)
    network, plain = networks(cell)
    contestants: Contestants = {
        HERE: our_training(network, params, x, y),
        NUMPY: our_training(plain, params, x, y),
        LIMIT: bare_work(cell, sequences, training=True),
    }
    with contextlib.suppress(*NOT_INSTALLED):
        contestants[TORCH] = torch_training(cell, params, x, y, PLAN.learning_rate, CLIP_NORM)
    losses = {name: [call() for _ in range(5)] for name, call in contestants.items() if name != LIMIT}
    for name, values in losses.items():
        # PyTorch has a second, redundant bias, so that the sum of both moves twice as far.
        np.testing.assert_allclose(values[0], losses[HERE][0], rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(values, losses[HERE], rtol=2e-2, err_msg=name)
    return contestants


def our_training(network: RecurrentNetwork, params: Parameters, x: Array, y: Array) -> Callable[[], float]:
    """Return a call that takes a training step and returns the loss before it."""
    packing = Packing(params)
    packed = packing.pack(params)
    memory = PLAN.optimizer.init(packed)

    def call() -> float:
        nonlocal packed, memory
        loss, packed, memory = training_step(network, packing, packed, memory, (x, y), PLAN)
        return loss

    return call


def bare_work(cell: str, sequences: int, training: bool) -> Callable[[], None]:
    """Return the minimum work of any NumPy program: the matrix products and tanh of each step, in the same sizes."""
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
    """Let the contestants take turns; return the microseconds per call of each, one number per round."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            began = time.perf_counter()
            for _ in range(calls):
                contestant()
            times[name].append((time.perf_counter() - began) / calls * 1e6)
    return times


def cells_of(times: dict[str, list[float]], absent: dict[str, str]) -> list[str]:
    """Return a row: medians, then medians of the ratios within a round; ``absent`` holds reasons for missing peers."""

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
