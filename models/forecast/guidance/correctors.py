"""Correctors of guidance: a regression, shrunk towards bias removal alone, and networks that correct the regression."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.forecast.networks import N_OUTPUTS, OnEpoch, check_shapes, training_plan
from models.nn import Array, Ensemble, Parameters, RecurrentNetwork, logistic_crps, train
from models.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Corrections:
    """Corrections on every day of windows, (B, T) each, in typical errors of the guidance."""

    location: Array  # of the regression
    log_scale: Array  # of the regression
    location_correction: Array  # the networks' correction of the location, in units of the scale
    log_scale_correction: Array  # the networks' correction of the log scale

    @classmethod
    def mean(cls, parts: "Sequence[Corrections]") -> "Corrections":
        """Return the mean of several corrections of the same windows."""
        return cls(*np.mean([part.stacked for part in parts], axis=0))

    @classmethod
    def joined(cls, parts: "Sequence[Corrections]", masks: Sequence[Array]) -> "Corrections":
        """Merge the corrections of parts of the windows; ``masks``, (B,) each, select the windows of each part."""
        out = np.empty((4, len(masks[0]), parts[0].location.shape[1]))
        for part, mask in zip(parts, masks, strict=True):
            out[:, mask] = part.stacked
        return cls(*out)

    @property
    def stacked(self) -> Array:
        """All four, (4, B, T)."""
        return np.stack([self.location, self.log_scale, self.location_correction, self.log_scale_correction])


@dataclass(frozen=True, eq=False)
class Corrector:
    """A regression and the networks that correct it, trained on the same rows."""

    regression: Array  # (2, 1 + F), coefficients of the location and of the log scale, intercepts first
    members: list[Parameters]  # parameters of each network

    @classmethod
    def fit(
        cls,
        x: Array,
        target: Array,
        recipe: Recipe,
        seed: Sequence[int] = (0,),
        on_epoch: OnEpoch = None,
        initial: "Corrector | None" = None,
    ) -> "Corrector":
        """Train on scaled windows (B, T, F), to forecast the ``target`` (B,) on the last day of each.

        Training continues from the ``initial`` corrector, if any, which is returned unchanged if there are no windows.
        """
        if initial and not len(target):
            return initial
        penalty, towards = recipe.guidance.penalty, initial.regression if initial else None
        regression = fit_logistic_emos(x[:, -1], target, penalty, towards)
        location, log_scale = _location_and_log_scale(regression, x[:, -1])
        left = ((target - location) / np.exp(log_scale))[:, None].astype(np.float32)
        windows = np.ascontiguousarray(x, np.float32)
        guidance, network = recipe.guidance, corrector_network(recipe, x.shape[2])
        epochs = recipe.warm_epochs if initial else guidance.epochs
        learning_rate = recipe.warm_learning_rate if initial else guidance.learning_rate
        plan = training_plan(guidance, recipe.clip_norm, epochs, learning_rate)
        members = []
        for member in range(guidance.members):
            rng = np.random.default_rng([*seed, member])
            weights = initial.members[member] if initial else network.init(rng)
            members.append(train(network, weights, (windows, left), None, plan, rng, on_epoch)[0])
        return cls(regression, members)

    @property
    def n_features(self) -> int:
        """Number of features, F."""
        return int(self.regression.shape[1]) - 1

    def corrections(self, x: Array, recipe: Recipe) -> Corrections:
        """Return the corrections on every day of scaled windows (B, T, F)."""
        network = replace(corrector_network(recipe, x.shape[2]), output="every")
        out = Ensemble(network, self.members).predict(x.astype(np.float32)).mean(axis=0)
        return Corrections(*_location_and_log_scale(self.regression, x), out[..., 0], out[..., 1])


def check_correctors(correctors: Sequence[Corrector], recipe: Recipe) -> None:
    """Raise ValueError unless the correctors match the recipe, one for each fold."""
    for corrector in correctors:
        network = corrector_network(recipe, correctors[0].n_features)
        check_shapes(network, corrector.members, recipe.guidance.members)
    if len(correctors) != recipe.guidance.folds or len({c.regression.shape for c in correctors}) != 1:
        raise ValueError("the correctors of guidance do not match the recipe")


def fold_boundaries(dates: Array, n: int) -> Array:
    """Return the first dates (n - 1,) of the second and later of ``n`` equal folds of ascending ``dates``."""
    return np.asarray(dates[[len(dates) * k // n for k in range(1, n)]])


def fit_logistic_emos(x: Array, target: Array, penalty: float, towards: Array | None = None) -> Array:
    """Fit EMOS by minimum CRPS: logistic distributions with location and log scale linear in the features.

    ::

        minimise  sum CRPS(target; c_0 + C x, exp(d_0 + D x)) + penalty / 2 (|C - C'|^2 + |D - D'|^2)

    Parameters
    ----------
    x : (n, F), scaled
    target : (n,)
    towards : (2, 1 + F), with slopes C' and D', zero by default

    Returns
    -------
    (2, 1 + F), intercepts first

    Reference: Gneiting, Raftery, Westveld and Goldman (2005), Calibrated probabilistic forecasting using ensemble model
    output statistics and minimum CRPS estimation (there with normal distributions).
    """
    from scipy.optimize import minimize  # noqa: PLC0415  # only for training: the import is slow

    n, column = len(target), target[:, None]
    design = np.column_stack([np.ones(n), x])
    towards = np.zeros((2, design.shape[1])) if towards is None else towards

    def loss(flat: Array) -> tuple[float, Array]:
        coefficients = flat.reshape(towards.shape)
        value, d_output = logistic_crps(design @ coefficients.T, column)
        away = coefficients - towards
        away[:, 0] = 0.0
        value += 0.5 * penalty / n * float((away * away).sum())
        return value, (d_output.T @ design + penalty / n * away).ravel()

    initial = towards.copy()
    initial[:, 0] = np.median(target), np.log(max(float(target.std()) / 2, 1e-3))
    found = minimize(loss, initial.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return np.asarray(found.x.reshape(towards.shape))


def corrector_network(recipe: Recipe, n_features: int) -> RecurrentNetwork:
    """Return the architecture of the networks of a corrector."""
    return RecurrentNetwork(recipe.cell, n_features, recipe.guidance.hidden, recipe.layers, N_OUTPUTS)


def _location_and_log_scale(regression: Array, x: Array) -> tuple[Array, Array]:
    outputs = x @ regression[:, 1:].T + regression[:, 0]
    return outputs[..., 0], outputs[..., 1]
