"""Benchmark against the training loop of the weather study, with the study's data, network, protocol and loss.

The study trains a network of 4 tanh units on windows of 7 days, one window at a time, for 200 epochs. Its protocol has
flaws (see docs/studies/002-weather.md), but is followed exactly, so that only the training differs.
"""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from rich.table import Table
from sklearn.preprocessing import StandardScaler

from models.nn import Array, Cosine, Parameters, RecurrentNetwork, TrainingPlan, predict_rows, train
from scripts.cli.console import output

DAYS, HIDDEN, EPOCHS, LEARNING_RATE = 7, 4, 200, 1e-5
# Validation loss of the study after its 200 epochs: mean squared error over all days of the windows, degF^2.
STUDY_LOSS = 21.64
NETWORK = RecurrentNetwork("rnn", n_inputs=3, n_hidden=HIDDEN, output="every")
PLAN = TrainingPlan(epochs=2, batch_size=64, learning_rate=0.04, schedule=Cosine())
SEEDS = 5


class Part(NamedTuple):
    """Scaled windows (N, 7, 3), the targets of their days (N, 7, 1), and the number of rows they come from."""

    x: Array
    y: Array
    rows: int


def compare_training(path: Path) -> None:
    """Print the time each takes to reach the study's validation loss; of the study's loop one epoch is timed."""
    training, validation = parts(path)
    params = study_weights()
    began = time.perf_counter()
    study_epoch(params, training)
    study_seconds = EPOCHS * (time.perf_counter() - began)
    runs = [our_training(training, validation, seed) for seed in range(SEEDS)]
    seconds = float(np.median([taken for taken, _ in runs]))
    table = Table(
        "training", "seconds", "validation loss",
        title=f"The weather study's training: {len(training.x):,} windows of {DAYS} days, {HIDDEN} hidden units",
    )  # fmt: skip
    table.add_row(f"the study's loop, {EPOCHS} epochs (one timed)", f"{study_seconds:.0f}", f"{STUDY_LOSS} (full run)")
    losses = ", ".join(f"{loss:.2f}" for _, loss in runs)
    table.add_row(f"here, {PLAN.epochs} epochs, median of {SEEDS} seeds", f"{seconds:.3f}", losses)
    table.add_row("speed-up", f"{study_seconds / seconds:,.0f}", "")
    output.print(table)


def parts(path: Path) -> tuple[Part, Part]:
    """Read the study's file and return its training and validation windows."""
    data = pd.read_csv(path, index_col=0).ffill()
    x = StandardScaler().fit_transform(data[["tmax", "tmin", "rain"]])
    y = data[["tmax_tomorrow"]].to_numpy()
    cuts = [int(0.7 * len(data)), int(0.85 * len(data))]
    both = zip(np.split(x, cuts)[:2], np.split(y, cuts)[:2], strict=True)
    training, validation = (Part(_windows(a), _windows(b), len(a)) for a, b in both)
    return training, validation


def _windows(rows: Array) -> Array:
    # The study omits the last window.
    return sliding_window_view(rows[:-1], DAYS, axis=0).transpose(0, 2, 1)


def study_weights() -> Parameters:
    """Draw the initial weights of the study: uniform in +-1 / sqrt(hidden), seed 0, in the study's order."""
    draw, k = np.random.RandomState(0).rand, HIDDEN**-0.5
    shapes = {
        "layer0.W": (3, HIDDEN),
        "layer0.U": (HIDDEN, HIDDEN),
        "layer0.b": (HIDDEN,),
        "head.W": (HIDDEN, 1),
        "head.b": (1,),
    }
    return {name: draw(*shape) * 2 * k - k for name, shape in shapes.items()}


def study_epoch(params: Parameters, training: Part) -> None:
    """Train for one epoch as the study does: one window and one day at a time, plain gradient descent."""
    W, U, b, V, c = params.values()
    b, c = b[None], c[None]
    rate = LEARNING_RATE / DAYS
    for x, y in zip(training.x, training.y, strict=True):
        h, prediction = np.zeros((DAYS, HIDDEN)), np.zeros((DAYS, 1))
        for t in range(DAYS):
            h[t] = np.tanh(x[t][None] @ W + h[max(t - 1, 0)][None] @ U + b)
            prediction[t] = h[t][None] @ V + c
        d = prediction - y
        d_W, d_U, d_b, d_V, d_c = (np.zeros_like(p) for p in (W, U, b, V, c))
        d_after = None
        for t in reversed(range(DAYS)):
            d_t = d[t][None]
            d_V += h[t][:, None] @ d_t
            d_c += d_t
            d_h = d_t @ V.T
            if d_after is not None:
                d_h += d_after @ U.T
            d_h = d_h * (1 - h[t][None] ** 2)
            d_after = d_h.copy()
            if t > 0:
                d_U += h[t - 1][:, None] @ d_h
                d_b += d_h
            d_W += x[t][:, None] @ d_h
        for parameter, gradient in zip((W, U, b, V, c), (d_W, d_U, d_b, d_V, d_c), strict=True):
            np.subtract(parameter, gradient * rate, out=parameter)


def our_training(training: Part, validation: Part, seed: int) -> tuple[float, float]:
    """Train from the study's initial weights; return the seconds and the validation loss, degF^2."""
    began = time.perf_counter()
    # The target is scaled, too; without that, most epochs of the study go into finding the mean.
    mean, scale = float(training.y.mean()), float(training.y.std())
    x, y = training.x.astype(np.float32), ((training.y - mean) / scale).astype(np.float32)
    params = {name: value.astype(np.float32) for name, value in study_weights().items()}
    params, _ = train(NETWORK, params, (x, y), None, PLAN, np.random.default_rng(seed))
    seconds = time.perf_counter() - began
    prediction = predict_rows(NETWORK, params, validation.x.astype(np.float32)) * scale + mean
    squared = ((prediction - validation.y) ** 2).mean(axis=(1, 2))
    return seconds, float(squared.sum() / validation.rows)
