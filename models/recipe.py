"""The recipe of a model: read from TOML, used by every training run, stored in the model and its manifest."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1, le=10_000)]


class GuidanceRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The correction of guidance; cell, layers and clipping are those of `Recipe`."""

    days: Annotated[int, Meta(ge=2, le=366)] = 21  # input days up to the issue date; older errors are less informative
    hidden: Annotated[int, Meta(ge=1, le=512)] = 16
    folds: Annotated[int, Meta(ge=2, le=20)] = 5  # each corrector is trained on all but one, and evaluated on that
    members: Annotated[int, Meta(ge=1, le=64)] = 2  # networks of each corrector
    # The regression beneath the networks is shrunk towards bias removal alone, with the weight of this many days.
    penalty: Annotated[float, Meta(gt=0)] = 100.0
    epochs: Count = 10
    batch_size: Annotated[int, Meta(ge=1)] = 64
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 5e-3
    weight_decay: Annotated[float, Meta(ge=0, le=1)] = 1e-2


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All choices, with their defaults. Days are calendar days."""

    cell: Literal["rnn", "gru", "lstm"] = "gru"
    layers: Annotated[int, Meta(ge=1, le=8)] = 1
    hidden: Annotated[int, Meta(ge=1, le=512)] = 32
    members: Annotated[int, Meta(ge=1, le=64)] = 4  # networks with different random draws; the forecast is their mean
    window: Annotated[int, Meta(ge=2, le=366)] = 30  # days up to the issue date that the networks see in training
    memory: Annotated[int, Meta(ge=0, le=366)] = 48  # days before the issue date whose forecasts are compared with tmax
    min_days: Annotated[int, Meta(ge=1, le=366)] = 7  # fewest days for a forecast
    max_gap: Annotated[int, Meta(ge=0, le=60)] = 10  # longest gap in tmax that a sequence may contain
    # Other stations of a training to look at; "auto": those that lower the error on held-out days, or none.
    neighbours: Annotated[int, Meta(ge=0, le=100)] | Literal["auto"] = 0
    columns: list[str] = []  # numbers to look at beside the quantities that are known; "all" for every column
    # "pretrained": on many stations, where weights of the same shapes are available; otherwise random.
    initial_weights: Literal["pretrained", "random"] = "pretrained"
    epochs: Count = 12
    # Retraining is cold, like the first training, or warm: from the champion's weights, in fewer and smaller steps, and
    # with the champion's calibration until that is calibration_days old. Correctors that continue a shared corrector
    # always use warm_epochs and warm_learning_rate.
    retrain: Literal["cold", "warm"] = "cold"
    warm_epochs: Count = 2
    warm_learning_rate: Annotated[float, Meta(gt=0, le=1)] = 2e-4
    calibration_days: Annotated[int, Meta(ge=0)] = 365
    # A challenger that is not worse than the champion is promoted if its CRPS is lower by this share, or if it was
    # trained on this many more days.
    min_skill: Annotated[float, Meta(ge=0, le=1)] = 0.01
    min_new_days: Annotated[int, Meta(ge=0)] = 28
    refit: bool = True  # train on all days, once the held-out days have given scores and calibration
    refit_epochs: Count = 4  # these continue the training
    refit_learning_rate: Annotated[float, Meta(gt=0, le=1)] = 2e-3
    batch_size: Annotated[int, Meta(ge=1)] = 128
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 3e-3
    weight_decay: Annotated[float, Meta(ge=0, le=1)] = 0.3
    clip_norm: Annotated[float, Meta(gt=0)] = 1.0
    guidance: GuidanceRecipe = GuidanceRecipe()

    @property
    def recommended_days(self) -> int:
        """Number of days that a forecast uses; more make no difference."""
        return max(self.window, self.min_days + self.memory)

    def __post_init__(self) -> None:
        if self.min_days > self.window:
            raise ValueError(f"min_days ({self.min_days}) must not be more than window ({self.window})")

    def same_calibration(self, other: "Recipe") -> bool:
        """Whether networks and calibration made with another recipe can be continued with this one."""
        names = ("cell", "layers", "hidden", "members", "window", "memory", "min_days", "max_gap")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def same_correctors(self, other: "Recipe") -> bool:
        """Whether the networks that correct guidance have the same weight shapes and numbers."""
        mine, theirs = self.guidance, other.guidance
        alike = self.cell == other.cell and self.layers == other.layers
        return alike and all(getattr(mine, name) == getattr(theirs, name) for name in ("hidden", "folds", "members"))
