"""From a record to a model, its scores and its manifest."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from app.readers import Record
from app.store import Store
from app.store.files import StoreError
from app.store.manifest import Manifest, Rows, SetAsideValue, Span
from app.store.unpickling import ArtefactRefused
from app.training.pretrained import pretrained_weights
from app.training.shared import StoredCorrector
from models.forecast.networks import OnEpoch
from models.forecast.saved import FORMAT, Forecaster, from_state, to_state
from models.forecast.setup import Setup
from models.recipe import Recipe
from models.record.columns import COLUMNS, units_of
from models.record.days import ONE_DAY
from models.record.quality import SetAside
from models.record.split import n_usable
from models.verification.promotion import Extent, lost_days, no_better_than_persistence
from models.verification.trial import Trial


@dataclass(frozen=True, eq=False)
class Training:
    """A trained station, not yet stored: the trial that scored and calibrated it, and the model to serve."""

    trial: Trial
    model: Forecaster
    manifest: Manifest

    def publish_in(self, store: Store) -> str:
        """Publish the model, and return its version."""
        return store.station(self.manifest.station).publish(checked_state(self.model), self.manifest)

    def promote_in(self, store: Store, reason: str) -> str:
        """Publish and promote the model; return its version."""
        version = self.publish_in(store)
        store.station(self.manifest.station).promote(version, reason)
        return version

    def objection(self, store: Store) -> str | None:
        """Return the reason not to promote the model, if any: its record has lost days, or it loses to persistence."""
        station, days, recipe = store.station(self.manifest.station), self.trial.days, self.trial.setup.recipe
        lost = None
        with suppress(StoreError, ArtefactRefused):  # no champion, or a damaged one, which is to be replaced
            before = extent_of(station.manifest(station.champion()))
            lost = lost_days(Extent(n_usable(days, recipe), len(days)), before)
        return lost or no_better_than_persistence(self.manifest.model, self.manifest.scores)


def train_station(
    station: str,
    record: Record,
    recipe: Recipe,
    seed: int = 0,
    shared: StoredCorrector | None = None,
    on_epoch: OnEpoch = None,
    neighbours: tuple[str, ...] = (),
) -> Training:
    """Train a station on its record, and score it beside the baselines on the held-out rows.

    The ``neighbours`` are those that it may look at, whose columns are in its record. A ``shared`` corrector that fits
    the recipe and columns gives the station's own its initial weights.

    Raises ValueError where the record is too short; FloatingPointError where the recipe makes the training diverge.
    """
    setup, weights_digest = setup_for(recipe, seed, shared, on_epoch, neighbours)
    try:
        trial = Trial.run(station, record.days, setup)
        model = trial.final()
    except ValueError as error:
        raise ValueError(f"{station}: {error}") from None
    fields = trial_fields(trial) | origin_fields(model, weights_digest, shared)
    return Training(trial, model, manifest_of(station, record, model, seed, trial.set_aside, **fields))


def setup_for(
    recipe: Recipe,
    seed: int,
    shared: StoredCorrector | None = None,
    on_epoch: OnEpoch = None,
    neighbours: tuple[str, ...] = (),
) -> tuple[Setup, str | None]:
    """Return the training setup, with pretrained weights if any, and the digest of these."""
    weights, weights_digest = pretrained_weights(recipe)
    corrector = shared.corrector if shared else None
    return Setup(recipe, seed, weights, neighbours=neighbours, shared=corrector, on_epoch=on_epoch), weights_digest


def manifest_of(
    station: str, record: Record, forecaster: Forecaster, seed: int, set_aside: Iterable[SetAside], **fields: Any
) -> Manifest:
    """Describe a model; ``fields`` are those of `trial_fields` and `origin_fields`, and ``judged``."""
    return Manifest(
        format=FORMAT,
        station=station,
        recipe=msgspec.to_builtins(forecaster.recipe),
        seed=seed,
        columns=[*forecaster.columns],
        neighbours={name: list(columns) for name, columns in forecaster.neighbours.items()},
        span=Span(str(record.days.first), str(record.days.last)),
        trained_through=str(forecaster.trained_through),
        data_digest=record.digest,
        units=units_of(dict.fromkeys((*COLUMNS, *forecaster.columns))),
        set_aside=[SetAsideValue(str(s.date), s.column, s.value, s.reason) for s in (*record.set_aside, *set_aside)],
        **fields,
    )


def extent_of(manifest: Manifest) -> Extent:
    """Return the extent of the record that trained a model."""
    calendar = np.datetime64(manifest.span.last) - np.datetime64(manifest.span.first)
    return Extent(manifest.rows.training + manifest.rows.held_out, int(calendar / ONE_DAY) + 1)


def trial_fields(trial: Trial) -> dict[str, Any]:
    """Return the manifest fields of a trial: its rows, and its scores on the held-out ones."""
    comparison = trial.comparison
    return {
        "rows": Rows(trial.split.n_training, len(trial.split.held_out)),
        "model": comparison.model,
        "scores": comparison.scores(),
        "held_out": Span(str(comparison.issued[0]), str(comparison.issued[-1])),
        "scores_by_season": comparison.scores_by_season(),
    }


def origin_fields(model: Forecaster, weights_digest: str | None, shared: StoredCorrector | None) -> dict[str, Any]:
    """Return the manifest fields that name a model's initial weights."""
    used_shared = getattr(model, "used_shared", False)
    return {"initial_weights": weights_digest, "shared_corrector": shared.digest if shared and used_shared else None}


def checked_state(model: Forecaster) -> dict[str, Any]:
    """Return the state of a model, after checking that it can be loaded: above all, that its numbers are finite."""
    state = to_state(model)
    from_state(state)
    return state
