"""What corrects guidance: a regression, drawn towards no correction, and networks that correct the regression."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from models.forecaster import N_OUTPUTS, parameters_of, training_plan
from models.nn import Array, Epoch, Parameters, RecurrentNetwork, logistic_crps, predict_rows, train
from models.recipe import Recipe
from models.station_days import ONE_DAY

# The format of the state of what was learned from many stations.
POOLED_FORMAT = 4


@dataclass(frozen=True, eq=False)
class Answers:
    """What correctors say on every day of some windows, in typical errors of the guidance.

    Attributes
    ----------
    place, log_width : (B, T), of the regression
    more, wider : (B, T), what the networks add: to the place, in units of the width, and to the logarithm of the width
    """

    place: Array
    log_width: Array
    more: Array
    wider: Array

    @classmethod
    def mean(cls, parts: "Sequence[Answers]") -> "Answers":
        """Return the mean of several answers to the same windows."""
        return cls(*np.mean([part.columns for part in parts], axis=0))

    @classmethod
    def in_places(cls, parts: "Sequence[Answers]", places: Sequence[Array]) -> "Answers":
        """Put together answers to parts of the windows; ``places`` are masks (B,), of each part."""
        out = np.empty((4, len(places[0]), parts[0].place.shape[1]))
        for part, place in zip(parts, places, strict=True):
            out[:, place] = part.columns
        return cls(*out)

    @property
    def columns(self) -> Array:
        """(4, B, T)."""
        return np.stack([self.place, self.log_width, self.more, self.wider])


@dataclass(frozen=True, eq=False)
class Corrector:
    """A regression and the networks that correct it, which have learned from the same days.

    Attributes
    ----------
    regression : (2, 1 + F), the coefficients of the place and of the logarithm of the width, the constants first
    members : the parameters of each network
    """

    regression: Array
    members: Sequence[Parameters]

    @classmethod
    def fit(
        cls,
        x: Array,
        wanted: Array,
        recipe: Recipe,
        seed: Sequence[int] = (0,),
        on_epoch: Callable[[Epoch], None] | None = None,
        start: "Corrector | None" = None,
    ) -> "Corrector":
        """Learn from the last days of scaled windows (B, T, F) what the place should have been (B,).

        Where there is nothing to learn from, ``start`` is all there is.
        """
        if start and not len(wanted):
            return start
        regression = logistic_regression(x[:, -1], wanted, recipe.guidance.penalty, start.regression if start else None)
        place, log_width = _on_line(regression, x[:, -1])
        target = ((wanted - place) / np.exp(log_width))[:, None].astype(np.float32)
        windows = np.ascontiguousarray(x, np.float32)
        guidance, network = recipe.guidance, network_of(recipe, x.shape[2])
        epochs = recipe.warm_epochs if start else guidance.epochs
        learning_rate = recipe.warm_learning_rate if start else guidance.learning_rate
        plan = training_plan(recipe, epochs, guidance.batch_size, learning_rate)
        members = []
        for member in range(guidance.members):
            rng = np.random.default_rng([*seed, member])
            begin = start.members[member] if start else network.init(rng)
            members.append(train(network, begin, (windows, target), None, plan, rng, on_epoch)[0])
        return cls(regression, members)

    def answers(self, x: Array, recipe: Recipe) -> Answers:
        """Return what it says on every day of scaled windows (B, T, F)."""
        network = replace(network_of(recipe, x.shape[2]), output="every")
        out = np.mean([predict_rows(network, member, x.astype(np.float32)) for member in self.members], axis=0)
        return Answers(*_on_line(self.regression, x), out[..., 0], out[..., 1])


@dataclass(frozen=True, eq=False)
class PooledStart:
    """Where the correctors of a station may begin: learned from many stations.

    Attributes
    ----------
    through : the last day whose tmax had a part in it
    cuts : (K - 1,) datetime64[D], between stretches of time
    correctors : K, of which each has not seen one stretch
    """

    through: np.datetime64
    cuts: Array
    correctors: Sequence[Corrector]

    @classmethod
    def fit(
        cls,
        lessons: Sequence[tuple[Array, Array, Array]],
        recipe: Recipe,
        seed: int = 0,
        on_epoch: Callable[[Epoch], None] | None = None,
    ) -> "PooledStart":
        """Learn from the dates (n,), scaled windows (n, T, F) and wanted places (n,) of each station."""
        dates, x, wanted = (np.concatenate(column) for column in zip(*lessons, strict=True))
        cuts = cuts_of(np.sort(dates), recipe.guidance.folds)
        stretch = np.searchsorted(cuts, dates, side="right")
        correctors = [
            Corrector.fit(x[stretch != k], wanted[stretch != k], recipe, [seed, k], on_epoch)
            for k in range(recipe.guidance.folds)
        ]
        return cls(dates.max() + ONE_DAY, cuts, correctors)

    @property
    def n_features(self) -> int:
        """How many features a day has."""
        return int(self.correctors[0].regression.shape[1]) - 1

    def to_state(self) -> dict[str, Any]:
        """Return arrays and plain values."""
        return {"through": str(self.through), "cuts": [str(cut) for cut in self.cuts], **state_of(self.correctors)}

    @classmethod
    def from_state(cls, state: dict[str, Any], recipe: Recipe) -> "PooledStart":
        """Build what `to_state` described."""
        through, cuts = np.datetime64(state["through"], "D"), np.array(state["cuts"], "M8[D]")
        return cls(through, cuts, from_states(state, recipe))


@dataclass(frozen=True, eq=False)
class Pooled:
    """What was learned from many stations together, as a model of one needs it.

    Attributes
    ----------
    predictors : those of all the stations
    stations, n : how many taught, and how many days of theirs
    earlier : learned from the days that train at every station: what is held out had no part in it
    whole : learned from all days
    """

    recipe: Recipe
    predictors: tuple[str, ...]
    stations: int
    n: int
    earlier: PooledStart
    whole: PooledStart

    def fits(self, predictors: Sequence[str], recipe: Recipe) -> bool:
        """Whether a station with such predictors, and such a recipe, can begin with it."""
        mine, other = self.recipe, recipe
        alike = mine.cell == other.cell and mine.layers == other.layers and self.predictors == tuple(predictors)
        names = ("hidden", "folds", "members")
        return alike and all(getattr(mine.guidance, name) == getattr(other.guidance, name) for name in names)

    def to_state(self) -> dict[str, Any]:
        """Return arrays and plain values."""
        return {
            "format": POOLED_FORMAT,
            "recipe": msgspec.to_builtins(self.recipe),
            "predictors": list(self.predictors),
            "stations": self.stations,
            "n": self.n,
            "earlier": self.earlier.to_state(),
            "whole": self.whole.to_state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Pooled":
        """Build what `to_state` described.

        Raises
        ------
        ValueError : where the state is of another format, or incomplete
        """
        if state.get("format") != POOLED_FORMAT:
            raise ValueError(f"format {state.get('format')} is no pooled start: {POOLED_FORMAT} is")
        try:
            recipe = msgspec.convert(state["recipe"], Recipe)
            return cls(
                recipe,
                tuple(state["predictors"]),
                state["stations"],
                state["n"],
                *(PooledStart.from_state(state[name], recipe) for name in ("earlier", "whole")),
            )
        except (KeyError, TypeError, AttributeError, IndexError, msgspec.ValidationError) as error:
            raise ValueError(f"the pooled start is malformed: {error!r}") from error


def state_of(correctors: Sequence[Corrector]) -> dict[str, Any]:
    """Return the arrays of correctors, "corrector0.member0.layer0.W", ..."""
    return {
        "regressions": np.stack([corrector.regression for corrector in correctors]),
        "weights": {
            f"corrector{k}.member{m}.{name}": value
            for k, corrector in enumerate(correctors)
            for m, member in enumerate(corrector.members)
            for name, value in member.items()
        },
    }


def from_states(state: dict[str, Any], recipe: Recipe) -> list[Corrector]:
    """Build the correctors that `state_of` described.

    Raises
    ------
    ValueError : where they are not those of the recipe, or not of finite numbers
    """
    regressions, weights = state["regressions"], state["weights"]
    shapes = {
        name: value.shape
        for name, value in network_of(recipe, regressions.shape[2] - 1).init(np.random.default_rng(0)).items()
    }
    correctors = []
    for k, regression in enumerate(regressions):
        members = [parameters_of(weights, f"corrector{k}.member{m}.") for m in range(recipe.guidance.members)]
        if any({name: value.shape for name, value in member.items()} != shapes for member in members):
            raise ValueError("the networks that correct guidance are not those of the recipe")
        correctors.append(Corrector(regression, members))
    n_weights = recipe.guidance.folds * recipe.guidance.members * len(shapes)
    if len(correctors) != recipe.guidance.folds or len(weights) != n_weights:
        raise ValueError("the networks that correct guidance are not those of the recipe")
    if not all(np.isfinite(value).all() for value in (regressions, *weights.values())):
        raise ValueError("the model holds values that are not finite numbers")
    return correctors


def cuts_of(dates: Array, n: int) -> Array:
    """Return the first dates (n - 1,) of the second and later of ``n`` stretches of as many ``dates``, which ascend."""
    return np.asarray(dates[[len(dates) * k // n for k in range(1, n)]])


def logistic_regression(x: Array, wanted: Array, penalty: float, towards: Array | None = None) -> Array:
    """Fit logistic distributions whose place and logarithm of the width are linear, by their CRPS.

    ::

        sum CRPS(wanted; c_0 + C x, exp(d_0 + D x)) + penalty / 2 (|C - C'|^2 + |D - D'|^2) -> least

    Parameters
    ----------
    x : (n, F), scaled
    wanted : (n,)
    towards : (2, 1 + F), whose slopes are C' and D'; nought if not given

    Returns
    -------
    (2, 1 + F), the constants first

    References
    ----------
    Gneiting, Raftery, Westveld and Goldman (2005), Calibrated probabilistic forecasting using ensemble model output
    statistics and minimum CRPS estimation, which has normal distributions.
    """
    # Only training needs SciPy.
    from scipy.optimize import minimize  # noqa: PLC0415

    n, target = len(wanted), wanted[:, None]
    design = np.column_stack([np.ones(n), x])
    towards = np.zeros((2, design.shape[1])) if towards is None else towards

    def loss(flat: Array) -> tuple[float, Array]:
        coefficients = flat.reshape(towards.shape)
        value, d_answer = logistic_crps(design @ coefficients.T, target)
        off = coefficients - towards
        off[:, 0] = 0.0
        value += 0.5 * penalty / n * float((off * off).sum())
        return value, (d_answer.T @ design + penalty / n * off).ravel()

    begin = towards.copy()
    begin[:, 0] = np.median(wanted), np.log(max(float(wanted.std()) / 2, 1e-3))
    found = minimize(loss, begin.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return np.asarray(found.x.reshape(towards.shape))


def network_of(recipe: Recipe, n_features: int) -> RecurrentNetwork:
    """Return the networks' shape."""
    return RecurrentNetwork(recipe.cell, n_features, recipe.guidance.hidden, recipe.layers, N_OUTPUTS)


def _on_line(regression: Array, x: Array) -> tuple[Array, Array]:
    answers = x @ regression[:, 1:].T + regression[:, 0]
    return answers[..., 0], answers[..., 1]
