"""The retraining of one station in a worker: plain values in, plain values out, without the store."""

import time
from typing import Any

import msgspec
import numpy as np

from app.readers import Record
from app.store.manifest import Judged, Manifest, Span
from app.training.outcomes import Outcome
from app.training.shared import StoredCorrector
from app.training.train import (
    checked_state,
    extent_of,
    manifest_of,
    origin_fields,
    setup_for,
    train_station,
    trial_fields,
)
from models.forecast.saved import from_state, shared_from_state
from models.recipe import Recipe
from models.record.columns import Units
from models.record.days import ONE_DAY
from models.verification.challenge import Challenge, Champion, challenge


class Plan(msgspec.Struct, frozen=True):
    """How stations are retrained."""

    recipe: Recipe
    seed: int = 0
    record_format: str = "auto"
    units: Units | None = None  # of files that do not state theirs
    timezone: str | None = None  # of the stations, for files that hold instants
    force: bool = False  # promote every trained model without judging it
    pool: bool = False  # first fit a shared corrector to all stations


class Task(msgspec.Struct, frozen=True):
    """The input of a worker."""

    station: str
    record: Record
    plan: Plan
    content: str = ""  # digest of the files of the record
    guidance: str = ""  # digest of the file of guidance, if any
    stations: int = 1  # number of stations in the files of the record
    neighbours: tuple[str, ...] = ()  # that a challenger may look at
    # of the champion, if any
    version: str | None = None
    state: dict[str, Any] | None = None
    manifest: Manifest | None = None
    shared: dict[str, Any] | None = None  # state of the shared corrector, if any
    shared_digest: str = ""  # of its artefact
    shared_before: dict[str, Any] | None = None  # the same, fitted without the days that are new to the champions

    @property
    def champion(self) -> Champion | None:
        """The champion, if any."""
        if self.state is None or self.manifest is None or self.manifest.held_out is None:
            return None
        held_out_through = np.datetime64(self.manifest.held_out.last)
        return Champion(from_state(self.state), held_out_through, extent_of(self.manifest))

    @property
    def seen_through(self) -> np.datetime64 | None:
        """See `Champion.seen_through`; from the manifest alone, since the champion may be damaged."""
        if self.manifest is None or self.manifest.held_out is None:
            return None
        held_out_through = np.datetime64(self.manifest.held_out.last)
        return max(np.datetime64(self.manifest.trained_through), held_out_through + ONE_DAY)


class Answer(msgspec.Struct, frozen=True):
    """The output of a worker: the outcome, and the model if it is to be promoted."""

    outcome: Outcome
    state: dict[str, Any] | None = None
    manifest: Manifest | None = None


def retrain_station(task: Task) -> Answer:
    """Train and judge a challenger; this runs in a worker.

    Raises ValueError where the record is too short; ArithmeticError where the training diverges.
    """
    began, plan = time.process_time(), task.plan
    record = task.record
    shared = StoredCorrector(shared_from_state(task.shared), task.shared_digest) if task.shared else None
    if plan.force:
        training = train_station(task.station, record, plan.recipe, plan.seed, shared, neighbours=task.neighbours)
        outcome = Outcome(task.station, "promoted", "forced", task.version, retrain="cold", seconds=_since(began))
        return Answer(outcome, checked_state(training.model), training.manifest)
    setup, weights_digest = setup_for(plan.recipe, plan.seed, shared, neighbours=task.neighbours)
    before = shared_from_state(task.shared_before) if task.shared_before else None
    found = challenge(task.station, record.days, setup, task.champion, before)
    judged = _judged(found)
    outcome = Outcome(
        task.station,
        "promoted" if found.verdict.promote else "kept",
        f"{found.verdict.reason}; {found.step}" if found.step else found.verdict.reason,
        task.version,
        judged=judged.days if judged else None,
        scores=judged.scores if judged else {},
        retrain=found.retrain,
        seconds=_since(began),
    )
    if not found.model:
        return Answer(outcome)
    if found.trial:
        fields = trial_fields(found.trial) | origin_fields(found.model, weights_digest, shared)
    else:  # warm: the champion's calibration is kept
        assert task.manifest is not None  # noqa: S101
        kept = ("rows", "model", "scores", "held_out", "scores_by_season")
        fields = {name: getattr(task.manifest, name) for name in kept} | {"initial_weights": task.manifest.sha256}
    manifest = manifest_of(task.station, record, found.model, plan.seed, found.set_aside, judged=judged, **fields)
    return Answer(outcome, checked_state(found.model), manifest)


def _since(began: float) -> float:
    return round(time.process_time() - began, 3)


def _judged(found: Challenge) -> Judged | None:
    if found.comparison is None:
        return None
    issued = found.comparison.issued
    return Judged(Span(str(issued[0]), str(issued[-1])), found.verdict.reason, found.comparison.scores())
