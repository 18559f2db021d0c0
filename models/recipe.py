"""How a model is made: a value that is read from TOML, used by the forecaster and kept in the manifest."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class GuidanceRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the correction of guidance is made; cell, layers, weight decay and clipping are the recipe's."""

    # Days that end on the issue date and are looked at: the further back, the less guidance's errors say.
    days: Annotated[int, Meta(ge=2, le=366)] = 21
    hidden: Annotated[int, Meta(ge=1, le=512)] = 16
    # Stretches of the record: each network learns from all of them but one, whose days say how good it is.
    folds: Annotated[int, Meta(ge=2, le=20)] = 5
    # Networks that leave out the same stretch.
    members: Annotated[int, Meta(ge=1, le=64)] = 2
    # How strongly the regression on which the networks build is drawn towards the guidance without its bias: as by so
    # many days.
    penalty: Annotated[float, Meta(gt=0)] = 100.0
    epochs: Annotated[int, Meta(ge=1, le=10_000)] = 10
    batch_size: Annotated[int, Meta(ge=1)] = 64
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 5e-3


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every choice there is, with its default. Days are calendar days."""

    cell: Literal["rnn", "gru", "lstm"] = "gru"
    layers: Annotated[int, Meta(ge=1, le=8)] = 1
    hidden: Annotated[int, Meta(ge=1, le=512)] = 32
    # Networks that differ in their random draws alone; the forecast is their mean.
    members: Annotated[int, Meta(ge=1, le=64)] = 4
    # Days that end on the issue date and are shown to the networks in training, days before the issue date whose
    # forecasts are compared with what came, and how few days a forecast needs.
    window: Annotated[int, Meta(ge=2, le=366)] = 30
    memory: Annotated[int, Meta(ge=0, le=366)] = 48
    min_days: Annotated[int, Meta(ge=1, le=366)] = 7
    # The longest run of days without tmax that is bridged; what lies before a longer one is not looked at.
    max_gap: Annotated[int, Meta(ge=0, le=60)] = 10
    # Columns that are looked at beside guidance, which is where it is there; "all" for every column of the record.
    predictors: list[str] = []
    # Where the networks begin: with weights learned from many stations, where there are any for them, or at random.
    start: Literal["pooled", "random"] = "pooled"
    epochs: Annotated[int, Meta(ge=1, le=10_000)] = 8
    # How a retraining begins: like the first training; or with the weights of the champion, in fewer and smaller steps
    # and with the champion's odds, until these are so many days old.
    retrain: Literal["cold", "warm"] = "cold"
    warm_epochs: Annotated[int, Meta(ge=1, le=10_000)] = 2
    warm_learning_rate: Annotated[float, Meta(gt=0, le=1)] = 2e-4
    odds_days: Annotated[int, Meta(ge=0)] = 365
    # What a challenger that is not worse than the champion must be to take its place: better by this share of the
    # CRPS, or fresher by this many days.
    better: Annotated[float, Meta(ge=0, le=1)] = 0.01
    fresher: Annotated[int, Meta(ge=0)] = 28
    # Whether, once the held-out days have given the scores and the odds, the networks are trained again on all days.
    refit: bool = True
    batch_size: Annotated[int, Meta(ge=1)] = 128
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 2e-3
    weight_decay: Annotated[float, Meta(ge=0, le=1)] = 1e-2
    clip_norm: Annotated[float, Meta(gt=0)] = 1.0
    guidance: GuidanceRecipe = GuidanceRecipe()

    @property
    def recommended_days(self) -> int:
        """How many days a forecast looks at."""
        return max(self.window, self.min_days + self.memory)

    def __post_init__(self) -> None:
        if self.min_days > self.window:
            raise ValueError(f"min_days ({self.min_days}) must not be more than window ({self.window})")
