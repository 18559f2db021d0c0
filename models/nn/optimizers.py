"""How the weights move: an optimiser turns gradients into the next parameters; its memory is a value of its own."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.nn.types import Parameters


class AdamMemory(NamedTuple):
    """Running moments of the gradients after ``t`` steps, with the keys and shapes of the parameters."""

    t: int
    m: Parameters
    v: Parameters


@dataclass(frozen=True)
class Adam:
    """Adaptive moment estimation; the letters are the paper's.

    ::

        m' = beta1 m + (1 - beta1) g            v' = beta2 v + (1 - beta2) g^2
        theta' = theta - alpha (m' / (1 - beta1^t)) / (sqrt(v' / (1 - beta2^t)) + epsilon)

    References
    ----------
    Kingma and Ba (2015), Adam: a method for stochastic optimization, algorithm 1.
    """

    alpha: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def init(self, params: Parameters) -> AdamMemory:
        """Return the memory before the first step: zero moments."""
        zeros = {name: np.zeros_like(value) for name, value in params.items()}
        return AdamMemory(0, zeros, zeros)

    def step(self, params: Parameters, grads: Parameters, memory: AdamMemory) -> tuple[Parameters, AdamMemory]:
        """Return the parameters and the memory after one step along ``grads``; nothing is changed in place."""
        t = memory.t + 1
        m = {k: self.beta1 * memory.m[k] + (1 - self.beta1) * g for k, g in grads.items()}
        v = {k: self.beta2 * memory.v[k] + (1 - self.beta2) * g * g for k, g in grads.items()}
        m_scale, v_scale = 1 / (1 - self.beta1**t), 1 / (1 - self.beta2**t)
        moved = {
            k: theta - self.alpha * m_scale * m[k] / (np.sqrt(v_scale * v[k]) + self.epsilon)
            for k, theta in params.items()
        }
        return moved, AdamMemory(t, m, v)


def clip_by_global_norm(grads: Parameters, max_norm: float) -> tuple[Parameters, float]:
    """Scale all gradients together so that their joint Euclidean norm is at most ``max_norm``.

    Returns
    -------
    grads : the same direction, shortened where it was too long
    norm : the norm before

    References
    ----------
    Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural networks, algorithm 1.
    """
    norm = float(np.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in grads.values())))
    if norm <= max_norm:
        return grads, norm
    return {name: g * (max_norm / norm) for name, g in grads.items()}, norm
