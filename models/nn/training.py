"""The training loop: minibatches, gradient clipping, optimiser steps and early stopping."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from models.nn.losses import Loss, squared_error
from models.nn.network import RecurrentNetwork
from models.nn.optimizers import Adam, Optimizer, clip_by_global_norm, clip_by_value
from models.nn.packing import Packing
from models.nn.schedules import Schedule, constant
from models.nn.types import Array, Parameters

SCORING_ROWS = 4096  # rows predicted at a time, to bound the memory
DEFAULT_OPTIMIZER = Adam()


@dataclass(frozen=True)
class TrainingPlan:
    """The settings of a training run."""

    epochs: int  # at most
    batch_size: int = 128
    learning_rate: float = 1e-3  # multiplied by the ``schedule``'s factor at each step
    optimizer: Optimizer[Any] = DEFAULT_OPTIMIZER
    schedule: Schedule = constant
    loss: Loss = squared_error
    clip_norm: float | None = None  # largest global norm of the gradients; None for no limit
    clip_value: float | None = None  # largest absolute value of each element; None for no limit
    # Epochs without a smaller validation loss before training stops; None for no early stopping.
    patience: int | None = None
    shuffle: bool = True
    # Changes the inputs of each minibatch, its own copy (B, T, F), before the step; None to leave them.
    augment: Callable[[Array, np.random.Generator], Array] | None = None


class Epoch(NamedTuple):
    """One pass over the training rows."""

    number: int  # from 1
    of: int  # planned number of epochs
    training_loss: float  # mean over the minibatches, each before its step
    validation_loss: float  # on the validation rows after the pass; the training loss where there are none
    best: bool  # whether the validation loss is the smallest so far


# An overflow makes the loss infinite or nan, which raises an error that names the remedy.
@np.errstate(over="ignore", invalid="ignore")
def train(
    network: RecurrentNetwork,
    params: Parameters,
    training: tuple[Array, Array],
    validation: tuple[Array, Array] | None,
    plan: TrainingPlan,
    rng: np.random.Generator,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> tuple[Parameters, list[Epoch]]:
    """Train until the loss on the validation rows, which are later than the training rows, stops improving.

    Parameters
    ----------
    params : initial weights
    training : (x, y), x (N, T, F), y of the shape of the network's outputs
    validation : likewise; None to stop by the training loss
    rng : for shuffling and dropout
    on_epoch : called after each epoch

    Returns
    -------
    params : of the epoch with the smallest validation loss; of the last epoch without validation rows
    history : all epochs run

    Raises FloatingPointError where the loss is no longer finite.
    """
    packing = Packing(params)
    packed = packing.pack(params)
    memory = plan.optimizer.init(packed)
    best, best_loss, best_number, history = params, np.inf, 0, list[Epoch]()
    x, y = training
    for number in range(1, plan.epochs + 1):
        losses = []
        batches = list(minibatches(len(x), plan.batch_size, rng if plan.shuffle else None))
        for i, rows in enumerate(batches):
            done = (number - 1 + i / len(batches)) / plan.epochs
            inputs = plan.augment(x[rows], rng) if plan.augment else x[rows]
            loss, packed, memory = training_step(network, packing, packed, memory, (inputs, y[rows]), plan, done, rng)
            losses.append(loss)
        params = packing.unpack(packed)
        training_loss = float(np.mean(losses))
        validation_loss = training_loss
        if validation is not None:
            validation_loss, _ = plan.loss(predict_rows(network, params, validation[0]), validation[1])
        if not np.isfinite(validation_loss):
            raise FloatingPointError(f"training diverged in epoch {number}: lower the learning rate")
        improved = validation_loss < best_loss
        if improved:
            best, best_loss, best_number = params, validation_loss, number
        history.append(Epoch(number, plan.epochs, training_loss, validation_loss, improved))
        if on_epoch:
            on_epoch(history[-1])
        if plan.patience is not None and number - best_number >= plan.patience:
            break
    return params if validation is None else best, history


def training_step(
    network: RecurrentNetwork,
    packing: Packing,
    packed: Parameters,
    memory: Any,
    batch: tuple[Array, Array],
    plan: TrainingPlan,
    done: float = 0.0,
    rng: np.random.Generator | None = None,
) -> tuple[float, Parameters, Any]:
    """Take one optimiser step on one ``batch`` (x, y).

    Parameters
    ----------
    packed, memory : packed parameters, and the memory of the optimiser
    done : share of the planned steps already taken, for the schedule

    Returns
    -------
    loss : before the step
    packed, memory : after the step
    """
    loss, grads = loss_and_gradients(network, packing.unpack(packed), *batch, plan.loss, rng)
    alpha = plan.learning_rate * plan.schedule(done)
    return loss, *plan.optimizer.step(packed, _clipped(packing.pack(grads), plan), memory, alpha)


def loss_and_gradients(
    network: RecurrentNetwork,
    params: Parameters,
    x: Array,
    y: Array,
    loss: Loss = squared_error,
    rng: np.random.Generator | None = None,
) -> tuple[float, Parameters]:
    """Return the loss of one batch, x (B, T, F) and targets y, and its gradients; dropout needs an ``rng``."""
    prediction, _, tape = network.forward(params, x, rng=rng)
    value, d_prediction = loss(prediction, y)
    grads, _, _ = network.backward(params, d_prediction, tape, inputs=False)
    return value, grads


def _clipped(grads: Parameters, plan: TrainingPlan) -> Parameters:
    if plan.clip_value is not None:
        grads = clip_by_value(grads, plan.clip_value)
    if plan.clip_norm is not None:
        grads, _ = clip_by_global_norm(grads, plan.clip_norm)
    return grads


def minibatches(n_rows: int, batch_size: int, rng: np.random.Generator | None) -> Iterator[Array]:
    """Yield every row number once, in batches of nearly equal size near ``batch_size``; shuffled with an ``rng``."""
    order = np.arange(n_rows) if rng is None else rng.permutation(n_rows)
    yield from np.array_split(order, max(1, round(n_rows / batch_size)))


def predict_rows(network: RecurrentNetwork, params: Parameters, x: Array) -> Array:
    """Return the outputs for x (N, T, F), computed `SCORING_ROWS` at a time."""
    if len(x) <= SCORING_ROWS:
        return network.predict(params, x)
    return np.concatenate([network.predict(params, x[i : i + SCORING_ROWS]) for i in range(0, len(x), SCORING_ROWS)])
