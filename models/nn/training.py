"""The training loop: minibatches, clipped gradients, Adam, and a stop when newer rows are no longer forecast better."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.nn.losses import squared_error
from models.nn.network import RecurrentNetwork
from models.nn.optimizers import Adam, clip_by_global_norm
from models.nn.types import Array, Parameters

# Rows are scored this many at a time, which bounds the memory of the tape.
SCORING_ROWS = 4096


@dataclass(frozen=True)
class TrainingPlan:
    """How long and how fast to train."""

    epochs: int
    batch_size: int
    learning_rate: float
    clip_norm: float
    patience: int


class Epoch(NamedTuple):
    """One pass over the training rows: losses after it, and whether its weights are the best so far."""

    number: int
    training_loss: float
    stopping_loss: float
    best: bool


def train(
    network: RecurrentNetwork,
    params: Parameters,
    training: tuple[Array, Array],
    stopping: tuple[Array, Array],
    plan: TrainingPlan,
    rng: np.random.Generator,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> tuple[Parameters, list[Epoch]]:
    """Train until the stopping rows, which come after the training rows in time, stop improving.

    Parameters
    ----------
    params : where to start
    training, stopping : each (x, y) with x (N, T, F) and y (N, O)
    rng : shuffles the training rows
    on_epoch : told of each epoch as it ends

    Returns
    -------
    params : those of the epoch with the smallest squared error on the stopping rows
    history : every epoch that was run

    Raises
    ------
    FloatingPointError : where the loss is no longer a finite number
    """
    optimizer = Adam(plan.learning_rate)
    memory = optimizer.init(params)
    best, best_loss, best_number, history = params, np.inf, 0, list[Epoch]()
    x, y = training
    for number in range(1, plan.epochs + 1):
        losses = []
        for rows in minibatches(len(x), plan.batch_size, rng):
            prediction, _, tape = network.forward(params, x[rows])
            loss, d_prediction = squared_error(prediction, y[rows])
            grads, _, _ = network.backward(params, d_prediction, tape)
            grads, _ = clip_by_global_norm(grads, plan.clip_norm)
            params, memory = optimizer.step(params, grads, memory)
            losses.append(loss)
        stopping_loss, _ = squared_error(predict_rows(network, params, stopping[0]), stopping[1])
        if not np.isfinite(stopping_loss):
            raise FloatingPointError(f"training diverged in epoch {number}: lower the learning rate")
        better = stopping_loss < best_loss
        if better:
            best, best_loss, best_number = params, stopping_loss, number
        history.append(Epoch(number, float(np.mean(losses)), stopping_loss, better))
        if on_epoch:
            on_epoch(history[-1])
        if number - best_number >= plan.patience:
            break
    return best, history


def minibatches(n_rows: int, batch_size: int, rng: np.random.Generator) -> Iterator[Array]:
    """Yield every row number once, in random order, in parts of nearly equal size near ``batch_size``."""
    yield from np.array_split(rng.permutation(n_rows), max(1, round(n_rows / batch_size)))


def predict_rows(network: RecurrentNetwork, params: Parameters, x: Array) -> Array:
    """Return the outputs (N, O) for windows x (N, T, F), a bounded number of rows at a time."""
    return np.concatenate([network.predict(params, x[i : i + SCORING_ROWS]) for i in range(0, len(x), SCORING_ROWS)])
