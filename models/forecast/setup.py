"""The settings of a training run."""

from dataclasses import dataclass

from models.forecast.guidance.shared import SharedCorrector
from models.forecast.networks import InitialWeights, OnEpoch, Stage
from models.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Setup:
    """Everything a training run needs apart from the days."""

    recipe: Recipe
    seed: int = 0  # of every random draw
    initial: InitialWeights | None = None  # of the station's own networks; random if None
    stage: Stage = "cold"  # which of the recipe's epochs and learning rates apply
    neighbours: tuple[str, ...] = ()  # stations whose columns the model may look at
    shared: SharedCorrector | None = None  # whose training the station's correctors may continue
    on_epoch: OnEpoch = None
