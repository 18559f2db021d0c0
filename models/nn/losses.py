"""Loss functions: each returns its value and its gradient with respect to the prediction.

All except `half_squared_sum` are means, independent of the batch size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from models.nn.activations import softmax
from models.nn.types import Array

# (prediction, target) -> (value, gradient of the shape of the prediction). Unless documented otherwise, both must have
# the same shape, or ValueError is raised: broadcasting would compare each prediction with every target.
Loss: TypeAlias = Callable[[Array, Array], tuple[float, Array]]


def squared_error(prediction: Array, target: Array) -> tuple[float, Array]:
    """Mean of (prediction - target)^2."""
    difference = _difference(prediction, target)
    return float(np.vdot(difference, difference)) / difference.size, difference * (2.0 / difference.size)


def half_squared_sum(prediction: Array, target: Array) -> tuple[float, Array]:
    """Half the sum of (prediction - target)^2; the gradient is prediction - target."""
    difference = _difference(prediction, target)
    return 0.5 * float(np.vdot(difference, difference)), difference


def absolute_error(prediction: Array, target: Array) -> tuple[float, Array]:
    """Mean of |prediction - target|, minimised by the median; the gradient is 0 where both are equal."""
    difference = _difference(prediction, target)
    return float(np.abs(difference).mean()), np.sign(difference) / difference.size


@dataclass(frozen=True)
class Huber:
    """Squared error up to ``delta``, absolute error beyond, with a continuous slope.

    ::

        d = |prediction - target|;    d^2 / 2 where d <= delta, delta (d - delta / 2) beyond

    Reference: Huber (1964), Robust estimation of a location parameter.
    """

    delta: float = 1.0

    def __call__(self, prediction: Array, target: Array) -> tuple[float, Array]:
        """Return the mean and its gradient."""
        difference = _difference(prediction, target)
        clipped = np.clip(difference, -self.delta, self.delta)
        value = float((clipped * (difference - 0.5 * clipped)).mean())
        return value, clipped / difference.size


@dataclass(frozen=True)
class Pinball:
    """The quantile loss: minimised where output k is the quantile of ``probabilities[k]``.

    ::

        p (target - prediction) where the prediction is too low, (1 - p) (prediction - target) where it is too high

    Predictions are (..., K) for K probabilities; targets (..., 1), or (..., K).

    Reference: Koenker and Bassett (1978), Regression quantiles.
    """

    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.probabilities or not all(0 < p < 1 for p in self.probabilities):
            raise ValueError(f"probabilities={self.probabilities}: one or more, each must be between 0 and 1")

    def __call__(self, prediction: Array, target: Array) -> tuple[float, Array]:
        """Return the mean and its gradient, which is 0 where prediction and target are equal."""
        p = np.asarray(self.probabilities, prediction.dtype)
        if prediction.shape[-1:] != p.shape or target.shape not in (prediction.shape, (*prediction.shape[:-1], 1)):
            raise ValueError(
                f"{len(p)} quantiles need predictions (..., {len(p)}) and targets (..., 1) or of the same shape, "
                f"not {prediction.shape} and {target.shape}"
            )
        difference = prediction - target
        slope = (difference > 0) - p * (difference != 0)
        return float((slope * difference).mean()), slope.astype(prediction.dtype) / difference.size


def logistic_crps(prediction: Array, target: Array) -> tuple[float, Array]:
    """Mean continuous ranked probability score of logistic distributions with location m and scale s.

    ::

        z = (target - m) / s;    s (z - 2 log F(z) - 1),  F(z) = 1 / (1 + exp(-z))

    Predictions are (..., 2), m and log s; targets (..., 1).

    References: Gneiting and Raftery (2007), Strictly proper scoring rules, prediction, and estimation; for the closed
    form, Taillardat et al. (2016), Calibrated ensemble forecasts using quantile regression forests and ensemble model
    output statistics.
    """
    if prediction.shape[-1:] != (2,) or target.shape != (*prediction.shape[:-1], 1):
        raise ValueError(
            f"m and log s need predictions (..., 2) and targets (..., 1), not {prediction.shape} and {target.shape}"
        )
    m, s = prediction[..., :1], np.exp(prediction[..., 1:])
    z = (target - m) / s
    log_F = -np.logaddexp(0, -z)
    slope = 2 * np.exp(log_F) - 1
    score = z - 2 * log_F - 1
    d_prediction = np.concatenate([-slope, s * (score - z * slope)], axis=-1) / target.size
    return float((s * score).mean()), d_prediction.astype(prediction.dtype, copy=False)


def cross_entropy(scores: Array, target: Array) -> tuple[float, Array]:
    """Mean over the rows of -sum(target log softmax(scores)), of scores (..., K) and target probabilities (..., K).

    Reference: Bridle (1990), Probabilistic interpretation of feedforward classification network outputs.
    """
    if scores.shape != target.shape:
        raise ValueError(f"targets {target.shape} and scores {scores.shape} must have the same shape")
    rows = scores.size // scores.shape[-1]
    shifted = scores - scores.max(axis=-1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return -float((target * log_probabilities).sum()) / rows, (softmax(scores) - target) / rows


def _difference(prediction: Array, target: Array) -> Array:
    if prediction.shape != target.shape:
        raise ValueError(f"targets {target.shape} and predictions {prediction.shape} must have the same shape")
    return prediction - target
