"""What many stations teach together: it is kept in the store, like a model, under a name that is no station's."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
import numpy as np

from app.manifest import Manifest, Rows, Span, library_versions
from app.readers import Record
from app.store import POOLED, Store
from models.correctors import POOLED_FORMAT, Pooled
from models.pooling import pool
from models.predictors import unit
from models.recipe import Recipe
from models.station_days import StationDays


class NothingPooled(ValueError):  # noqa: N818
    """No stations have been learned from together yet."""


class Together(NamedTuple):
    """What was learned from many stations, and the digest of the artefact that holds it."""

    pooled: Pooled
    digest: str


def learn_together(
    records: Sequence[Record], recipe: Recipe, seed: int, through: np.datetime64 | None = None
) -> Pooled:
    """Learn from all records how to correct guidance; from the days up to ``through``, where that is given.

    Raises
    ------
    ValueError : where they have different predictors, or none has enough guidance
    """
    return pool([up_to(record.days, through) for record in records], recipe, seed)


def up_to(days: StationDays, through: np.datetime64 | None) -> StationDays:
    """Return the days up to one of them; none where it is before them all."""
    if through is None:
        return days
    return days.part(0, max(0, int((through - days.first).astype(int)) + 1))


def keep_pooled(store: Store, pooled: Pooled, records: Sequence[Record], seed: int) -> Together:
    """Put what was learned together into the store, as the version that is in force."""
    content = hashlib.sha256("\n".join(sorted(record.digest for record in records)).encode())
    manifest = Manifest(
        format=POOLED_FORMAT,
        station=POOLED,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        sha256="",
        recipe=msgspec.to_builtins(pooled.recipe),
        seed=seed,
        columns=list(pooled.predictors),
        span=Span(str(min(r.days.first for r in records)), str(max(r.days.last for r in records))),
        trained_through=str(pooled.whole.through),
        rows=Rows(pooled.n, 0),
        scores={},
        data_digest=f"sha256:{content.hexdigest()}",
        units={name: unit(name, "metric") for name in pooled.predictors},
        set_aside=[],
        libraries=library_versions(),
    )
    version = store.publish(POOLED, pooled.to_state(), manifest)
    store.promote(POOLED, version, f"learned from {pooled.stations} stations together")
    return Together(pooled, store.manifest(POOLED, version).sha256)


def kept_pooled(store: Store) -> Together:
    """Return what is in force of what was learned together.

    Raises
    ------
    NothingPooled : where there is nothing yet
    ValueError : where it is damaged
    """
    if not store.champion_file(POOLED).exists():
        raise NothingPooled(
            f"nothing was learned together in {store.root} yet; give several records to --pool for that"
        )
    state, manifest = store.load(POOLED, store.champion(POOLED))
    return Together(Pooled.from_state(state), manifest.sha256)
