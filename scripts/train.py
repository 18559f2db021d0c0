"""Train a station's model and make it the champion."""

import math
from functools import partial
from pathlib import Path

import click
import numpy as np

from app.pooling import NothingPooled, Together, keep_pooled, kept_pooled, learn_together
from app.readers import Record, read_record, station_name
from app.store import Store
from app.training import train_station
from models.backtest import TRAINING_SHARE, teaching_rows
from models.guided import MIN_GUIDED
from models.predictors import is_guidance
from models.recipe import Recipe
from models.station_days import Units
from scripts.console import Command, messages, output, store_option
from scripts.recipes import (
    Epochs,
    files_options,
    guidance_folder_option,
    guidance_of,
    networks_of,
    pool_option,
    recipe_options,
)
from scripts.tables import calibration_table, score_table, season_table

EMBEDDED = Path(__file__).parent.parent / "data" / "seattle.csv"

# Set-aside values named on the terminal; the manifest has them all.
NAMED = 3


@click.command(cls=Command)
@partial(files_options, default=EMBEDDED)
@click.option("--station", help="Name of the station. Default: the file's own.")
@guidance_folder_option
@pool_option
@recipe_options
@store_option
def train(
    files: list[Path],
    record_format: str,
    units: Units,
    station: str | None,
    guidance: Path | None,
    pool: bool,
    recipe: Recipe,
    seed: int,
    store: Store,
) -> None:
    """Train a station's model on its record, print its scores, and make it the champion.

    Of several records each makes a model. With --pool they are learned from together first, where there is guidance;
    a single one begins with what the store has of an earlier --pool.
    """
    if EMBEDDED in files and units != "metric":
        raise click.UsageError("the embedded station is metric; --units goes with --data")
    if station and len(files) > 1:
        raise click.UsageError("--station names one station, and there are several records")
    guided_by = guidance_of(guidance, files)
    records = {
        station or station_name(path): read_record(
            path, record_format, units, recipe.predictors, guided_by.get(station_name(path))
        )
        for path in files
    }
    if len(records) < len(files):
        raise click.UsageError("two records are of a station of one name: rename one of them")
    for name in records:
        store.check_writable(name)
    together = None
    if pool:
        together = together_of(store, list(records.values()), recipe, seed)
    for name, record in records.items():
        train_one(name, record, recipe, seed, store, together)


def together_of(store: Store, records: list[Record], recipe: Recipe, seed: int) -> Together | None:
    """Learn from several records together; for a single one, return what was learned before, if anything was."""
    if len(records) == 1:
        try:
            return kept_pooled(store)
        except NothingPooled as error:
            messages.print(f"by itself: {error}")
            return None
    together = keep_pooled(store, learn_together(records, recipe, seed), records, seed)
    messages.print(f"learned from {together.pooled.n} days of {together.pooled.stations} stations together")
    return together


def train_one(name: str, record: Record, recipe: Recipe, seed: int, store: Store, together: Together | None) -> None:
    """Train, score and promote the model of one station."""
    for predictor, column in record.days.predictors.items():
        messages.print(f"{name}: {predictor} is known on {np.isfinite(column).sum()} of {len(column)} days")
    if record.days.predictors and not any(map(is_guidance, record.days.predictors)):
        messages.print(f"{name}: they are not used, as there is no guidance that they could help to correct")
    guided = bool(len(teaching_rows(record.days)))
    if record.days.predictors and not guided and any(map(is_guidance, record.days.predictors)):
        least = math.ceil(MIN_GUIDED / TRAINING_SHARE)
        messages.print(f"{name}: guidance is not used yet: {least} days are needed that have it, and tmax on both days")
    if guided and together and not together.pooled.fits(tuple(record.days.predictors), recipe):
        predictors = ", ".join(together.pooled.predictors)
        messages.print(
            f"{name} begins by itself: what was learned together is of other predictors ({predictors}) or networks"
        )
        together = None
    with Epochs(name, networks_of(recipe, guided, together is not None)) as epochs:
        trained = train_station(name, record, recipe, seed, epochs.show, together)
    for table in (score_table(trained.manifest), season_table(trained.manifest), calibration_table(trained.learned)):
        output.print(table)
    set_aside = trained.manifest.set_aside
    if set_aside:
        shown = "; ".join(f"{s.column} of {s.date}: {s.value:g}, {s.reason}" for s in set_aside[:NAMED])
        more = " ..." if len(set_aside) > NAMED else ""
        messages.print(f"set aside {len(set_aside)}: {shown}{more}")
    version = trained.publish_and_promote(store, reason="scripts.train")
    messages.print(f"{name}: {version} is the champion in {store.root}")


if __name__ == "__main__":
    train()
