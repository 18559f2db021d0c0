"""How a model is made: a value that is read from TOML, used by the forecaster and kept in the manifest."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every choice there is, with its default. Days are calendar days."""

    cell: Literal["rnn", "gru", "lstm"] = "gru"
    layers: Annotated[int, Meta(ge=1, le=8)] = 1
    hidden: Annotated[int, Meta(ge=1, le=512)] = 16
    # Days that end on the issue date and are shown to the network, and how few of them a request may bring.
    window: Annotated[int, Meta(ge=2, le=366)] = 14
    min_days: Annotated[int, Meta(ge=1, le=366)] = 7
    # The longest run of days without tmax that is filled by interpolation.
    max_gap: Annotated[int, Meta(ge=0, le=60)] = 5
    epochs: Annotated[int, Meta(ge=1, le=10_000)] = 40
    # Epochs without a better forecast of the stopping rows after which training ends.
    patience: Annotated[int, Meta(ge=1)] = 8
    batch_size: Annotated[int, Meta(ge=1)] = 128
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 3e-3
    clip_norm: Annotated[float, Meta(gt=0)] = 1.0

    def __post_init__(self) -> None:
        if self.min_days > self.window:
            raise ValueError(f"min_days ({self.min_days}) must not be more than window ({self.window})")
