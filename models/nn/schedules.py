"""Learning-rate schedules: from the share (0 to 1) of the planned steps already taken to a factor."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Schedule: TypeAlias = Callable[[float], float]


def constant(done: float) -> float:  # noqa: ARG001
    """Return 1."""
    return 1.0


@dataclass(frozen=True)
class Warmup:
    """Rise linearly from 0 to 1 over the first ``share`` of the steps, then follow another schedule over the rest."""

    share: float
    then: Schedule = constant

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"share={self.share} must be from 0 to below 1")

    def __call__(self, done: float) -> float:
        """Return the factor."""
        return done / self.share if done < self.share else self.then((done - self.share) / (1 - self.share))


@dataclass(frozen=True)
class Cosine:
    """Fall along half a cosine wave from 1 to ``final``.

    Reference: Loshchilov and Hutter (2017), SGDR: stochastic gradient descent with warm restarts, eq. 5, no restarts.
    """

    final: float = 0.0

    def __call__(self, done: float) -> float:
        """Return the factor."""
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Exponential:
    """Fall exponentially from 1 to ``final``."""

    final: float

    def __call__(self, done: float) -> float:
        """Return the factor."""
        return float(self.final**done)


@dataclass(frozen=True)
class Steps:
    """Multiply by ``factor`` at each of the shares ``at``."""

    at: tuple[float, ...]
    factor: float = 0.1

    def __call__(self, done: float) -> float:
        """Return the factor."""
        return float(self.factor ** sum(done >= share for share in self.at))
