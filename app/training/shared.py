"""The shared corrector of guidance: fitted to many stations, kept in the store."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from app.readers import Record
from app.store import SHARED, Store
from app.store.manifest import Manifest, Rows, Span
from models.forecast.guidance.shared import SharedCorrector
from models.forecast.saved import FORMAT, shared_from_state, to_state
from models.recipe import Recipe
from models.record.columns import units_of


class StoredCorrector(NamedTuple):
    """A shared corrector, and the digest of its artefact; "" where it is not stored."""

    corrector: SharedCorrector
    digest: str


def fit_shared(
    records: Sequence[Record], recipe: Recipe, seed: int, through: np.datetime64 | None = None
) -> SharedCorrector:
    """Fit to all records, up to the day ``through`` if given. Raises ValueError where none has enough guidance."""
    stations = [record.days if through is None else record.days.through(through) for record in records]
    return SharedCorrector.fit(stations, recipe, seed)


def store_shared(store: Store, corrector: SharedCorrector, records: Sequence[Record], seed: int) -> StoredCorrector:
    """Publish and promote a shared corrector, unless the store is read-only."""
    if store.read_only:
        return StoredCorrector(corrector, "")
    content = hashlib.sha256("\n".join(sorted(record.digest for record in records)).encode())
    manifest = Manifest(
        format=FORMAT,
        station=SHARED,
        recipe=msgspec.to_builtins(corrector.recipe),
        seed=seed,
        columns=list(corrector.columns),
        span=Span(str(min(r.days.first for r in records)), str(max(r.days.last for r in records))),
        trained_through=str(corrector.whole.through),
        rows=Rows(corrector.n, 0),
        data_digest=f"sha256:{content.hexdigest()}",
        units=units_of(corrector.columns),
    )
    version = store.shared.publish(to_state(corrector), manifest)
    store.shared.promote(version, f"fitted to {corrector.stations} stations")
    return StoredCorrector(corrector, store.shared.manifest(version).sha256)


def load_shared(store: Store) -> StoredCorrector | None:
    """Return the stored shared corrector, None where there is none. Raises ValueError where it is damaged."""
    version = store.shared.champion_or_none()
    if version is None:
        return None
    state, manifest = store.shared.load(version)
    return StoredCorrector(shared_from_state(state), manifest.sha256)
