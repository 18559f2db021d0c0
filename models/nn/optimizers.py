"""Optimisers. A step returns new parameters and a new memory; nothing is changed in place.

Letters as in the papers: ``theta`` parameters, ``g`` gradients, ``alpha`` learning rate of the step.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from models.nn.types import Parameters

Memory = TypeVar("Memory")


class Optimizer(Protocol[Memory]):
    """An update rule for parameters."""

    def init(self, params: Parameters) -> Memory:
        """Return the memory before the first step."""

    def step(self, params: Parameters, grads: Parameters, memory: Memory, alpha: float) -> tuple[Parameters, Memory]:
        """Return the parameters and the memory after one step with learning rate ``alpha``."""


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent, optionally with momentum.

    ::

        v' = momentum v + g            theta' = theta - alpha v'

    References: Polyak (1964), Some methods of speeding up the convergence of iteration methods; Sutskever et al.
    (2013), On the importance of initialization and momentum in deep learning, here with the learning rate outside v.
    """

    momentum: float = 0.0

    def init(self, params: Parameters) -> Parameters:
        """Return the initial velocity v: zero."""
        return _zeros_like(params)

    def step(
        self, params: Parameters, grads: Parameters, memory: Parameters, alpha: float
    ) -> tuple[Parameters, Parameters]:
        """Take one step; see the equation of the class."""
        v = {k: self.momentum * memory[k] + g for k, g in grads.items()} if self.momentum else grads
        return {k: theta - alpha * v[k] for k, theta in params.items()}, v


@dataclass(frozen=True)
class RMSprop:
    """Steps divided by the running root mean square of the gradient.

    ::

        v' = rho v + (1 - rho) g^2     theta' = theta - alpha g / (sqrt(v') + epsilon)

    Reference: Tieleman and Hinton (2012), Lecture 6.5: rmsprop.
    """

    rho: float = 0.9
    epsilon: float = 1e-8

    def init(self, params: Parameters) -> Parameters:
        """Return the initial mean square v: zero."""
        return _zeros_like(params)

    def step(
        self, params: Parameters, grads: Parameters, memory: Parameters, alpha: float
    ) -> tuple[Parameters, Parameters]:
        """Take one step; see the equation of the class."""
        v = {k: self.rho * memory[k] + (1 - self.rho) * g * g for k, g in grads.items()}
        return {k: theta - alpha * grads[k] / (np.sqrt(v[k]) + self.epsilon) for k, theta in params.items()}, v


class AdamMemory(NamedTuple):
    """Running moments of the gradients after ``t`` steps, keyed and shaped like the parameters."""

    t: int
    m: Parameters
    v: Parameters


@dataclass(frozen=True)
class Adam:
    """Adaptive moment estimation; AdamW with ``weight_decay``.

    ::

        m' = beta1 m + (1 - beta1) g            v' = beta2 v + (1 - beta2) g^2
        theta' = theta - alpha (m' / (1 - beta1^t)) / (sqrt(v' / (1 - beta2^t)) + epsilon)
                       - alpha weight_decay theta

    References: Kingma and Ba (2015), Adam: a method for stochastic optimization, algorithm 1; Loshchilov and Hutter
    (2019), Decoupled weight decay regularization, algorithm 2, with alpha scaling the decay as in PyTorch.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    def init(self, params: Parameters) -> AdamMemory:
        """Return the initial memory: zero moments."""
        return AdamMemory(0, _zeros_like(params), _zeros_like(params))

    def step(
        self, params: Parameters, grads: Parameters, memory: AdamMemory, alpha: float
    ) -> tuple[Parameters, AdamMemory]:
        """Take one step; see the equations of the class."""
        t = memory.t + 1
        m = {k: self.beta1 * memory.m[k] + (1 - self.beta1) * g for k, g in grads.items()}
        v = {k: self.beta2 * memory.v[k] + (1 - self.beta2) * (g * g) for k, g in grads.items()}
        # The bias corrections are scalars, so they are factored out of the arrays (section 2 of the paper).
        v_root = (1 - self.beta2**t) ** 0.5
        rate, epsilon = alpha * v_root / (1 - self.beta1**t), self.epsilon * v_root
        moved = {k: theta - rate * (m[k] / (np.sqrt(v[k]) + epsilon)) for k, theta in params.items()}
        if self.weight_decay:
            moved = {k: theta - alpha * self.weight_decay * params[k] for k, theta in moved.items()}
        return moved, AdamMemory(t, m, v)


def clip_by_global_norm(grads: Parameters, max_norm: float) -> tuple[Parameters, float]:
    """Scale all gradients so that their joint Euclidean norm is at most ``max_norm``; return them and the old norm.

    Reference: Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural networks, algorithm 1.
    """
    # In double precision: the square of an exploding gradient overflows single precision.
    doubles = [g.astype(np.float64) for g in grads.values()]
    norm = math.sqrt(sum(float(np.vdot(g, g)) for g in doubles))
    if norm <= max_norm:
        return grads, norm
    return {name: g * (max_norm / norm) for name, g in grads.items()}, norm


def clip_by_value(grads: Parameters, limit: float) -> Parameters:
    """Clip every element to +-``limit``; unlike clipping by norm, this can change the direction."""
    return {name: np.clip(g, -limit, limit) for name, g in grads.items()}


def _zeros_like(params: Parameters) -> Parameters:
    return {name: np.zeros_like(value) for name, value in params.items()}
