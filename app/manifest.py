"""What is known of a model without opening it: the file ``manifest.json`` beside each ``model.joblib``."""

import platform
from importlib.metadata import version
from typing import Any

import msgspec

from models.verification import Scores

# The libraries whose versions say how a model came to be.
LIBRARIES = ("numpy", "pandas", "scikit-learn", "joblib")


class Span(msgspec.Struct, frozen=True):
    """The days of the record, ISO dates."""

    first: str
    last: str


class Rows(msgspec.Struct, frozen=True):
    """How many issue days did what."""

    training: int
    held_out: int
    stopping: int = 0


class SetAsideValue(msgspec.Struct, frozen=True):
    """A value of the record that was not believed, in degC or mm, and why."""

    date: str
    column: str
    value: float
    reason: str


class Judged(msgspec.Struct, frozen=True):
    """What made a model the champion: its scores on days that neither it nor the champion before had seen.

    Attributes
    ----------
    days : the issue days, first and last
    scores : of "challenger", "champion" (where there was one), and the baselines
    """

    days: Span
    reason: str
    scores: dict[str, Scores]


class Manifest(msgspec.Struct, frozen=True):
    """One trained model. Fields that are added get defaults, so that old manifests stay readable.

    Attributes
    ----------
    rows, scores, held_out, scores_by_season : of the training that the odds come from; of a model that began with the
        weights of another, they are that one's
    pooled_start : digest of what was learned from many stations together, with which the correction of guidance began
    start : digest of the weights that the networks began with, or of the model whose; None where they were drawn
    """

    format: int
    station: str
    created: str
    sha256: str
    recipe: dict[str, Any]
    seed: int
    columns: list[str]
    span: Span
    trained_through: str
    rows: Rows
    scores: dict[str, Scores]
    data_digest: str
    units: dict[str, str]
    set_aside: list[SetAsideValue]
    libraries: dict[str, str]
    held_out: Span | None = None
    scores_by_season: dict[str, dict[str, Scores]] = {}
    judged: Judged | None = None
    start: str | None = None
    pooled_start: str | None = None


def library_versions() -> dict[str, str]:
    """Return the versions that a model is made with."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}
