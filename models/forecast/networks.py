"""The networks of a forecast: training sets, training plans, parameter names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from models.forecast.features import Features
from models.nn import (
    Adam,
    Array,
    Cosine,
    Epoch,
    Parameters,
    RecurrentNetwork,
    TrainingPlan,
    Warmup,
    logistic_crps,
    train,
)
from models.recipe import Recipe
from models.record.days import StationDays
from models.record.sequence import first_rows

# Outputs of a network: the location and the log scale of the next tmax.
N_OUTPUTS = 2

# Fraction of the training steps in which the learning rate rises.
WARMUP_SHARE = 0.1

# Called after each epoch of each network.
OnEpoch: TypeAlias = Callable[[Epoch], None] | None


class Scaler(Protocol):
    """The attributes in use of a fitted `sklearn.preprocessing.StandardScaler`."""

    mean_: Array
    scale_: Array


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Training set of the station's own networks, and the features and scaler fitted to it."""

    features: Features
    scaler: Scaler
    x: Array  # (n, T, F) float32, scaled windows
    target: Array  # (n, 1) float32, the next day's tmax minus the first guess, in spreads

    @classmethod
    def of(
        cls, days: StationDays, rows: Array, recipe: Recipe, columns: tuple[str, ...] | None = None
    ) -> "TrainingSet":
        """Build the training set of ascending ``rows``; days beyond the one after the last row are not used."""
        from sklearn.preprocessing import StandardScaler  # noqa: PLC0415  # only for training: the import is slow

        known = days.part(0, int(rows[-1]) + 2)
        features = Features.fit(known, rows, columns)
        raw = features.windows(known, rows, first_rows(known, recipe)[rows], recipe.window)
        scaler = StandardScaler().fit(raw[:, -1])
        guess, spread = features.first_guess(known)
        target = ((known.next_tmax - guess) / spread)[rows, None].astype(np.float32)
        return cls(features, scaler, scaled(raw, scaler), target)


def scaled(windows: Array, scaler: Scaler) -> Array:
    """Standardise windows without scikit-learn; float32."""
    return np.asarray(((windows - scaler.mean_) / scaler.scale_).astype(np.float32))


def station_network(recipe: Recipe, n_features: int) -> RecurrentNetwork:
    """Return the architecture of the station's own networks."""
    return RecurrentNetwork(recipe.cell, n_features, recipe.hidden, recipe.layers, N_OUTPUTS)


def training_plan(recipe: Recipe, epochs: int, batch_size: int, learning_rate: float) -> TrainingPlan:
    """Return the training plan of networks that output location and log scale."""
    optimizer, schedule = Adam(weight_decay=recipe.weight_decay), Warmup(WARMUP_SHARE, Cosine())
    return TrainingPlan(epochs, batch_size, learning_rate, optimizer, schedule, logistic_crps, recipe.clip_norm)


def train_members(
    x: Array,
    target: Array,
    recipe: Recipe,
    seed: int = 0,
    on_epoch: OnEpoch = None,
    initial_weights: Sequence[Parameters] = (),
    warm: bool = False,
) -> Parameters:
    """Train the recipe's networks on a `TrainingSet`; return the parameters of all members, "member0.layer0.W", ...

    Parameters
    ----------
    initial_weights : one per member; random if empty
    warm : whether they are a trained model's, to be continued in fewer and smaller steps
    """
    network = station_network(recipe, x.shape[2])
    epochs = recipe.warm_epochs if warm else recipe.epochs
    learning_rate = recipe.warm_learning_rate if warm else recipe.learning_rate
    plan = training_plan(recipe, epochs, recipe.batch_size, learning_rate)
    weights = Parameters()
    for member in range(recipe.members):
        rng = np.random.default_rng([seed, member])
        initial = initial_weights[member] if initial_weights else network.init(rng)
        trained, _ = train(network, initial, (x, target), None, plan, rng, on_epoch)
        weights |= {f"member{member}.{name}": value for name, value in trained.items()}
    return weights


def parameters_of(weights: Parameters, prefix: str) -> Parameters:
    """Return the parameters of one network, without the prefix of their names."""
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def check_shapes(network: RecurrentNetwork, members: Sequence[Parameters], n: int) -> None:
    """Raise ValueError unless there are ``n`` members with the parameter shapes of the network."""
    shapes = {name: value.shape for name, value in network.init(np.random.default_rng(0)).items()}
    found = [{name: value.shape for name, value in member.items()} for member in members]
    if found != [shapes] * n:
        raise ValueError("the model's weights do not match its recipe")
