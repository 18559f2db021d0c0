"""The networks of a forecast: training sets, training plans, parameter names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np

from models.forecast.features import GROUPS, N_FIRST, NEIGHBOURS, OWN, Features
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
from models.recipe import GuidanceRecipe, Recipe
from models.record.days import StationDays
from models.record.sequence import first_rows

# Outputs of a network: the location and the log scale of the next tmax.
N_OUTPUTS = 2

FIRST_LAYER = "layer0.W"  # the weights of the inputs

# Fraction of the training steps in which the learning rate rises.
WARMUP_SHARE = 0.1

# Fractions of the training windows, drawn anew in each minibatch, in which all further columns are hidden, those of the
# neighbours alone, and those of the station itself alone.
HIDE_ALL, HIDE_NEIGHBOURS, HIDE_OWN = 0.25, 0.25, 0.05

# A training from the first weights; its continuation on all days; the continuation of a champion on new days.
Stage: TypeAlias = Literal["cold", "refit", "warm"]

# Called after each epoch of each network.
OnEpoch: TypeAlias = Callable[[Epoch], None] | None


class Scaler(Protocol):
    """The attributes in use of a fitted `sklearn.preprocessing.StandardScaler`."""

    mean_: Array
    scale_: Array


@dataclass(frozen=True, eq=False)
class InitialWeights:
    """The weights from which networks begin."""

    members: Sequence[Parameters]  # one for each network
    kinds: tuple[str, ...]  # of the inputs after the first, see `models.forecast.further.FurtherFeatures.kinds`

    def of(self, member: int, kinds: tuple[str, ...]) -> Parameters:
        """Return the parameters of a network with other inputs, of ``kinds``.

        Inputs of a kind that the weights know begin with its weights, shared out among them where there are several
        (pressure at 9 h and at 15 h); all others begin at zero.
        """
        weights = self.members[member]
        if kinds == self.kinds:
            return weights
        first = weights[FIRST_LAYER]
        known = dict(zip(self.kinds, first[N_FIRST:], strict=True))
        rows = [known.get(kind, np.zeros_like(first[0])) / kinds.count(kind) for kind in kinds]
        return weights | {FIRST_LAYER: np.stack([*first[:N_FIRST], *rows])}


@dataclass(frozen=True, eq=False)
class Hiding:
    """Hides further columns from some windows of a minibatch, so that the networks learn to do without them.

    Reference: Neverova, Wolf, Taylor and Nebout (2016), ModDrop: adaptive multi-modal gesture recognition.
    """

    groups: Mapping[str, Array]  # see `models.forecast.features.Features.groups`
    missing: Array  # (F,), the scaled features of missing values

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Change scaled windows (B, T, F) in place, and return them."""
        drawn = rng.random(len(x))
        until = np.cumsum((HIDE_ALL, HIDE_NEIGHBOURS, HIDE_OWN))
        both = len(self.groups) == len(GROUPS)
        windows = {
            NEIGHBOURS: drawn < (until[1] if both else until[0]),
            OWN: (drawn < until[0]) | (both & (drawn >= until[1]) & (drawn < until[2])),
        }
        hidden = np.zeros((len(x), x.shape[2]), bool)
        for group, features in self.groups.items():
            hidden[np.ix_(windows[group], features)] = True
        np.copyto(x, self.missing, where=hidden[:, None, :])
        return x


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Training set of the station's own networks."""

    x: Array  # (n, T, F) float32, scaled windows
    target: Array  # (n, 1) float32, the next day's tmax minus the first guess, in spreads
    kinds: tuple[str, ...]  # of the features after the first, see `models.forecast.further.FurtherFeatures.kinds`
    hiding: Hiding | None  # what hides further columns in training; None where there are none

    @classmethod
    def of(
        cls, days: StationDays, rows: Array, recipe: Recipe, columns: tuple[str, ...] | None = None
    ) -> "tuple[TrainingSet, Features, Scaler]":
        """Build the training set of ascending ``rows``, and the features and the scaler that are fitted to it.

        Days beyond the one after the last row are not used.
        """
        from sklearn.preprocessing import StandardScaler  # noqa: PLC0415  # only for training: the import is slow

        known = days.part(0, int(rows[-1]) + 2)
        features = Features.fit(known, rows, columns)
        daily = features.of(known)
        raw = features.windows(daily, rows, first_rows(known, recipe)[rows], recipe.window)
        scaler = StandardScaler().fit(raw[:, -1])
        target = daily.target[rows, None].astype(np.float32)
        missing = scaled(np.zeros(len(features)), scaler)
        hiding = Hiding(features.groups, missing) if features.groups else None
        return cls(scaled(raw, scaler), target, features.further.kinds, hiding), features, scaler

    @classmethod
    def joined(cls, sets: "Sequence[TrainingSet]") -> "TrainingSet":
        """Join the sets of several stations; a station that lacks a kind of feature misses it on all days."""
        kinds = tuple(sorted({kind for one in sets for kind in one.kinds}))
        x = np.zeros((sum(len(one.x) for one in sets), sets[0].x.shape[1], N_FIRST + len(kinds)), np.float32)
        parts = np.split(x, np.cumsum([len(one.x) for one in sets])[:-1])
        for one, part in zip(sets, parts, strict=True):
            part[..., :N_FIRST] = one.x[..., :N_FIRST]
            for i, kind in enumerate(one.kinds):  # the mean of several of a kind
                part[..., N_FIRST + kinds.index(kind)] += one.x[..., N_FIRST + i] / one.kinds.count(kind)
        groups = {OWN: N_FIRST + np.arange(len(kinds))} if kinds else {}
        hiding = Hiding(groups, np.zeros(x.shape[2])) if groups else None
        return cls(x, np.concatenate([one.target for one in sets]), kinds, hiding)


def scaled(windows: Array, scaler: Scaler) -> Array:
    """Standardise windows without scikit-learn; float32."""
    return np.asarray(((windows - scaler.mean_) / scaler.scale_).astype(np.float32))


def station_network(recipe: Recipe, n_features: int) -> RecurrentNetwork:
    """Return the architecture of the station's own networks."""
    return RecurrentNetwork(recipe.cell, n_features, recipe.hidden, recipe.layers, N_OUTPUTS)


def training_plan(
    recipe: Recipe | GuidanceRecipe, clip_norm: float, epochs: int, learning_rate: float, hiding: Hiding | None = None
) -> TrainingPlan:
    """Return the training plan of networks that output location and log scale."""
    optimizer, schedule = Adam(weight_decay=recipe.weight_decay), Warmup(WARMUP_SHARE, Cosine())
    return TrainingPlan(
        epochs, recipe.batch_size, learning_rate, optimizer, schedule, logistic_crps, clip_norm, augment=hiding
    )


def train_members(
    training_set: TrainingSet,
    recipe: Recipe,
    seed: int = 0,
    on_epoch: OnEpoch = None,
    initial: InitialWeights | None = None,
    stage: Stage = "cold",
) -> Parameters:
    """Train the recipe's networks from ``initial`` weights, or random ones.

    Returns the parameters of all members, "member0.layer0.W", ...
    """
    x, target, kinds = training_set.x, training_set.target, training_set.kinds
    network = station_network(recipe, x.shape[2])
    epochs, learning_rate = {
        "cold": (recipe.epochs, recipe.learning_rate),
        "refit": (recipe.refit_epochs, recipe.refit_learning_rate),
        "warm": (recipe.warm_epochs, recipe.warm_learning_rate),
    }[stage]
    plan = training_plan(recipe, recipe.clip_norm, epochs, learning_rate, training_set.hiding)
    weights = Parameters()
    for member in range(recipe.members):
        rng = np.random.default_rng([seed, member])
        weights_of = initial.of(member, kinds) if initial else network.init(rng)
        trained, _ = train(network, weights_of, (x, target), None, plan, rng, on_epoch)
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
