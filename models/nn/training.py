"""The training loop: minibatches, clipped gradients, steps; it ends when newer rows are forecast no better."""

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

# Rows are scored this many at a time, which bounds the memory that is used.
SCORING_ROWS = 4096

DEFAULT_OPTIMIZER = Adam()


@dataclass(frozen=True)
class TrainingPlan:
    """How long, by which rule and how fast to train.

    Attributes
    ----------
    epochs : passes over the training rows, at most
    learning_rate : its largest value; ``schedule`` gives the share of it for each step
    clip_norm, clip_value : bounds of the gradients' joint norm and of each of their elements; None for no bound
    patience : epochs without a better loss on the stopping rows after which training ends; None for never
    """

    epochs: int
    batch_size: int = 128
    learning_rate: float = 1e-3
    optimizer: Optimizer[Any] = DEFAULT_OPTIMIZER
    schedule: Schedule = constant
    loss: Loss = squared_error
    clip_norm: float | None = None
    clip_value: float | None = None
    patience: int | None = None
    shuffle: bool = True


class Epoch(NamedTuple):
    """One pass over the training rows.

    Attributes
    ----------
    training_loss : mean over its minibatches, each before its step
    stopping_loss : of the stopping rows after the pass; the training loss where there are none
    best : whether the stopping loss is the smallest so far
    """

    number: int
    training_loss: float
    stopping_loss: float
    best: bool


# What overflows makes the loss no number, and that is an error with a remedy.
@np.errstate(over="ignore", invalid="ignore")
def train(
    network: RecurrentNetwork,
    params: Parameters,
    training: tuple[Array, Array],
    stopping: tuple[Array, Array] | None,
    plan: TrainingPlan,
    rng: np.random.Generator,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> tuple[Parameters, list[Epoch]]:
    """Train until the stopping rows, which come after the training rows in time, stop improving.

    Parameters
    ----------
    params : where to start
    training : (x, y) with x (N, T, F) and y of the shape of the network's outputs
    stopping : likewise; None to train to the end of the plan, or until the training loss gets no better
    rng : shuffles the training rows and draws the dropout
    on_epoch : told of each epoch as it ends

    Returns
    -------
    params : those of the epoch with the smallest loss on the stopping rows; without these, the last
    history : every epoch that was run

    Raises
    ------
    FloatingPointError : where the loss is no longer a finite number
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
            loss, packed, memory = training_step(network, packing, packed, memory, (x[rows], y[rows]), plan, done, rng)
            losses.append(loss)
        params = packing.unpack(packed)
        training_loss = float(np.mean(losses))
        stopping_loss = training_loss
        if stopping is not None:
            stopping_loss, _ = plan.loss(predict_rows(network, params, stopping[0]), stopping[1])
        if not np.isfinite(stopping_loss):
            raise FloatingPointError(f"training diverged in epoch {number}: lower the learning rate")
        better = stopping_loss < best_loss
        if better:
            best, best_loss, best_number = params, stopping_loss, number
        history.append(Epoch(number, training_loss, stopping_loss, better))
        if on_epoch:
            on_epoch(history[-1])
        if plan.patience is not None and number - best_number >= plan.patience:
            break
    return params if stopping is None else best, history


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
    """Take one step: forward, backward, clip, and move.

    Parameters
    ----------
    packed, memory : packed parameters, and the optimiser's memory of them
    batch : (x, y)
    done : the share of the planned steps that lies behind, for the schedule

    Returns
    -------
    loss : before the step
    packed, memory : after it
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
    """Return the loss of one batch and its gradient with respect to every parameter.

    Parameters
    ----------
    x, y : (B, T, F), and the targets of the shape that the loss wants
    rng : draws the dropout; without it nothing is dropped
    """
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
    """Yield every row number once, in parts of nearly equal size near ``batch_size``; shuffled with an ``rng``."""
    order = np.arange(n_rows) if rng is None else rng.permutation(n_rows)
    yield from np.array_split(order, max(1, round(n_rows / batch_size)))


def predict_rows(network: RecurrentNetwork, params: Parameters, x: Array) -> Array:
    """Return the outputs for windows x (N, T, F), a bounded number of rows at a time."""
    if len(x) <= SCORING_ROWS:
        return network.predict(params, x)
    return np.concatenate([network.predict(params, x[i : i + SCORING_ROWS]) for i in range(0, len(x), SCORING_ROWS)])
