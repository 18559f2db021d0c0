"""From a record to a forecaster, its scores and its manifest."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from app.manifest import Manifest, Rows, SetAsideValue, Span, library_versions
from app.pooling import Together
from app.readers import Record
from app.starts import start_digest, start_for
from app.store import Store
from models.backtest import Learned, learn
from models.forecaster import Forecaster
from models.formats import from_state
from models.guided import Guided
from models.nn import Epoch
from models.predictors import unit
from models.recipe import Recipe
from models.station_days import UNIT_NAMES, SetAside


@dataclass(frozen=True, eq=False)
class Trained:
    """A forecaster that is not yet in any store."""

    learned: Learned
    manifest: Manifest

    def publish_and_promote(self, store: Store, reason: str) -> str:
        """Put the model into a store as the champion, and return its version."""
        state = self.learned.forecaster.to_state()
        from_state(state)  # what could not be served takes nobody's place
        version = store.publish(self.manifest.station, state, self.manifest)
        store.promote(self.manifest.station, version, reason)
        return version


def train_station(
    station: str,
    record: Record,
    recipe: Recipe,
    seed: int,
    on_epoch: Callable[[Epoch], None] | None = None,
    together: Together | None = None,
) -> Trained:
    """Train a forecaster on a record and score it beside the baselines on days that trained nothing.

    Parameters
    ----------
    together : what many stations teach of guidance, for the correction to begin with

    Raises
    ------
    ValueError : where the record is too short
    FloatingPointError : where the recipe makes the training diverge
    """
    try:
        learned = learn(
            station, record.days, recipe, seed, on_epoch, start_for(recipe), together.pooled if together else None
        )
    except ValueError as error:
        raise ValueError(f"{station}: {error}") from None
    scored = scored_by(learned) | starts_of(learned.forecaster, together)
    return Trained(learned, manifest_of(station, record, learned.forecaster, seed, learned.set_aside, **scored))


def manifest_of(
    station: str,
    record: Record,
    forecaster: Forecaster | Guided,
    seed: int,
    set_aside: Iterable[SetAside],
    **scored: Any,
) -> Manifest:
    """Describe a forecaster; ``scored`` are the manifest's fields that say how good it is."""
    return Manifest(
        format=forecaster.format,
        station=station,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        sha256="",
        recipe=msgspec.to_builtins(forecaster.recipe),
        seed=seed,
        columns=[*forecaster.columns, *forecaster.predictors],
        span=Span(str(record.days.first), str(record.days.last)),
        trained_through=str(forecaster.trained_through),
        data_digest=record.digest,
        units=UNIT_NAMES["metric"] | {name: unit(name, "metric") for name in forecaster.predictors},
        set_aside=[SetAsideValue(str(s.date), s.column, s.value, s.reason) for s in (*record.set_aside, *set_aside)],
        libraries=library_versions(),
        **scored,
    )


def starts_of(forecaster: Forecaster | Guided, together: Together | None) -> dict[str, Any]:
    """Return the fields of a manifest that say where a model began."""
    fits = together and together.pooled.fits(forecaster.predictors, forecaster.recipe)
    return {
        "start": start_digest(forecaster.recipe),
        "pooled_start": together.digest if together and fits else None,
    }


def scored_by(learned: Learned) -> dict[str, Any]:
    """Return the fields of a manifest that come from the days which trained nothing."""
    verification = learned.verification
    return {
        "rows": Rows(len(learned.split.training), len(learned.split.held_out)),
        "scores": verification.scores(),
        "held_out": Span(str(verification.issued[0]), str(verification.issued[-1])),
        "scores_by_season": {name: part.scores() for name, part in verification.seasons().items()},
    }
