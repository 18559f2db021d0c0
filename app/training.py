"""From a record to a forecaster, its score table and its manifest."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from app.manifest import Manifest, Rows, SetAsideValue, Span, library_versions
from app.readers import Record
from app.store import Store
from models.backtest import PointForecaster, Split, score_table
from models.baselines import Climatology, Persistence
from models.forecaster import FORMAT, Forecaster, usable_rows
from models.nn import Epoch
from models.recipe import Recipe
from models.station_days import UNIT_NAMES


@dataclass(frozen=True, eq=False)
class Trained:
    """A forecaster that is not yet in any store."""

    forecaster: Forecaster
    manifest: Manifest

    def publish_and_promote(self, store: Store, reason: str) -> str:
        """Put the model into a store as the champion, and return its version."""
        version = store.publish(self.manifest.station, self.forecaster.to_state(), self.manifest)
        store.promote(self.manifest.station, version, reason)
        return version


def train_station(
    station: str, record: Record, recipe: Recipe, seed: int, on_epoch: Callable[[Epoch], None] | None = None
) -> Trained:
    """Train a forecaster on a record and score it beside persistence and climatology on days that trained nothing.

    Raises
    ------
    ValueError : where the record is too short
    FloatingPointError : where the recipe makes the training diverge
    """
    days = record.days
    try:
        split = Split.chronological(usable_rows(days, recipe))
    except ValueError as error:
        raise ValueError(f"{station}: {error}") from None
    forecaster = Forecaster.fit(days, split, recipe, seed, on_epoch)
    baselines: dict[str, PointForecaster] = {
        "persistence": Persistence(),
        "climatology": Climatology.fit(days, split),
    }
    manifest = Manifest(
        format=FORMAT,
        station=station,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        sha256="",
        recipe=msgspec.to_builtins(recipe),
        seed=seed,
        columns=list(forecaster.columns),
        span=Span(str(days.first), str(days.last)),
        trained_through=str(forecaster.trained_through),
        rows=Rows(len(split.training), len(split.stopping), len(split.held_out)),
        scores=score_table({recipe.cell: forecaster, **baselines}, days, split.held_out),
        data_digest=record.digest,
        units=UNIT_NAMES["metric"],
        set_aside=[SetAsideValue(str(s.date), s.column, s.value, s.reason) for s in record.set_aside],
        libraries=library_versions(),
    )
    return Trained(forecaster, manifest)
