"""The settings of a training run."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.forecast.guidance.shared import SharedCorrector
from models.forecast.networks import OnEpoch
from models.nn import Parameters
from models.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Setup:
    """Everything a training run needs apart from the days."""

    recipe: Recipe
    seed: int = 0  # of every random draw
    initial_weights: Sequence[Parameters] = ()  # of the station's own networks, one per member; random if empty
    warm: bool = False  # whether they are the champion's, to be continued in fewer and smaller steps
    shared: SharedCorrector | None = None  # whose training the station's correctors may continue
    on_epoch: OnEpoch = None
