"""The manifest of a model: the file ``manifest.json`` beside each ``model.joblib``."""

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import msgspec

from models.verification.comparison import Scores

# The libraries whose versions a manifest records.
LIBRARIES = ("numpy", "pandas", "scikit-learn", "joblib")


class Span(msgspec.Struct, frozen=True):
    """The first and the last day, ISO dates."""

    first: str
    last: str


class Rows(msgspec.Struct, frozen=True):
    """The numbers of training rows and of held-out rows."""

    training: int
    held_out: int


class SetAsideValue(msgspec.Struct, frozen=True):
    """A value of the record that was set aside, metric, and the reason."""

    date: str
    column: str
    value: float
    reason: str


class Judged(msgspec.Struct, frozen=True):
    """The comparison that promoted a model, on days that neither it nor the previous champion was trained on."""

    days: Span  # issue dates
    reason: str
    scores: dict[str, Scores]  # of "challenger", "champion" (if there was one), and the baselines


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of `LIBRARIES`."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest of a model, or of a shared corrector."""

    format: int
    station: str
    created: str = msgspec.field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    sha256: str = ""  # of the model file; filled in by the store
    recipe: dict[str, Any]
    seed: int
    columns: list[str]  # the station's own, in use
    neighbours: dict[str, list[str]] = {}  # neighbour -> its columns in use
    span: Span
    trained_through: str
    rows: Rows  # of the trial that calibrated the model; a warm model keeps its champion's calibration
    model: str = ""  # the name of the model in ``scores``
    scores: dict[str, Scores] = {}
    data_digest: str
    units: dict[str, str]
    set_aside: list[SetAsideValue] = []
    libraries: dict[str, str] = msgspec.field(default_factory=library_versions)
    held_out: Span | None = None
    scores_by_season: dict[str, dict[str, Scores]] = {}
    judged: Judged | None = None
    initial_weights: str | None = None  # digest of the weights or the model they come from; None for random weights
    shared_corrector: str | None = None  # digest of the shared corrector that the model's corrector was fitted from
