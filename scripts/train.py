"""Train and promote the models of one or more stations."""

import math
from functools import partial
from pathlib import Path

import click
import numpy as np

from app.readers import Record, read_record, station_name
from app.store import Store
from app.training.outcomes import one_line
from app.training.shared import StoredCorrector, fit_shared, load_shared, store_shared
from app.training.train import Training, train_station
from models.forecast.guidance.guided import GuidedForecaster
from models.recipe import Recipe
from models.record.columns import Units, is_guidance
from models.record.split import MIN_GUIDANCE_ROWS, TRAINING_SHARE
from models.verification.trial import n_networks
from scripts.cli import options
from scripts.cli.console import Command, messages, output
from scripts.cli.progress import TrainingProgress
from scripts.cli.tables import calibration_table, score_table, season_table

SHOWN = 3  # set-aside values that are printed; the manifest has all of them


@click.command(cls=Command)
@partial(options.files, default=options.EMBEDDED)
@click.option("--station", help="Station name. Default: the name of the file.")
@options.guidance
@options.pool
@options.recipe
@options.store
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
    """Train a model on the record of each station, print its scores, and promote it to champion.

    With --pool, a shared corrector of guidance is fitted to all records first; a single record uses the stored one.
    """
    if options.EMBEDDED in files and units != "metric":
        raise click.UsageError("the embedded station is metric: leave --units out, or give a record with --data")
    if station and len(files) > 1:
        raise click.UsageError(f"--station is one name for {len(files)} records: leave it out")
    guidance_files = options.guidance_by_station(guidance, files)
    records = {
        station or station_name(path): read_record(
            path, record_format, units, recipe.predictors, guidance_files.get(station_name(path))
        )
        for path in files
    }
    if len(records) < len(files):
        raise click.UsageError("two records have the same station name: rename one of them")
    for name in records:
        store.station(name).check_writable()
    shared = shared_corrector(store, list(records.values()), recipe, seed) if pool else None
    failed = False
    for name, record in records.items():
        try:
            train_one(name, record, recipe, seed, store, shared)
        except (ValueError, ArithmeticError, MemoryError, OSError) as error:  # the others are still trained
            reason = one_line(error) or type(error).__name__
            messages.print(f"Error: {name}: {reason.removeprefix(f'{name}: ')}")
            failed = True
    if failed:
        raise SystemExit(1)


def shared_corrector(store: Store, records: list[Record], recipe: Recipe, seed: int) -> StoredCorrector | None:
    """Fit a shared corrector to several records and store it; for a single record return the stored one, if any."""
    if len(records) == 1:
        stored = load_shared(store)
        if stored is None:
            messages.print("no shared corrector in the store; training this station alone")
        return stored
    stored = store_shared(store, fit_shared(records, recipe, seed), records, seed)
    messages.print(f"shared corrector fitted to {stored.corrector.n} days of {stored.corrector.stations} stations")
    return stored


def train_one(
    name: str, record: Record, recipe: Recipe, seed: int, store: Store, shared: StoredCorrector | None
) -> None:
    """Train, score and promote the model of one station."""
    days = record.days
    for predictor, series in days.predictors.items():
        messages.print(f"{name}: {predictor} is available on {np.isfinite(series).sum()} of {len(series)} days")
    with TrainingProgress(name, n_networks(days, recipe)) as progress:
        training = train_station(name, record, recipe, seed, shared, progress.show)
    guided = isinstance(training.model, GuidedForecaster)
    if any(map(is_guidance, days.predictors)) and not guided:
        least = math.ceil(MIN_GUIDANCE_ROWS / TRAINING_SHARE)
        messages.print(
            f"{name}: guidance is not used yet: it needs {least} days with guidance, tmax, and tmax on the next day"
        )
    if shared and not training.manifest.shared_corrector:
        why = ", which does not match its predictors or recipe" if guided else ": it has too little guidance"
        messages.print(f"{name}: trained without the shared corrector{why}")
    report(training)
    version = training.promote_in(store, reason="scripts.train")
    messages.print(f"{name}: {version} is the champion in {store.root}")


def report(training: Training) -> None:
    """Print the scores and calibration of a trained station, and its first set-aside values."""
    output.print(score_table(training.manifest))
    output.print(season_table(training.manifest))
    output.print(calibration_table(training.trial.comparison, training.model))
    if set_aside := training.manifest.set_aside:
        shown = "; ".join(f"{s.column} of {s.date}: {s.value:g}, {s.reason}" for s in set_aside[:SHOWN])
        more = "; ... (all are in the manifest)" if len(set_aside) > SHOWN else ""
        messages.print(f"set aside {len(set_aside)} values or runs of values: {shown}{more}")


if __name__ == "__main__":
    train()
