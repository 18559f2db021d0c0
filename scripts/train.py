"""Train and promote the models of one or more stations."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import click
import numpy as np

from app.readers import Record, groups, one_of, read_with_guidance
from app.store import Store
from app.text import one_line
from app.training.neighbours import Surroundings
from app.training.shared import StoredCorrector, fit_shared, load_shared, store_shared
from app.training.train import Training, train_station
from models.forecast.guidance.guided import GuidedForecaster
from models.recipe import Recipe
from models.record.columns import Units, is_guidance, neighbour_of
from models.record.quality.steps import lasting_step
from models.record.split import MIN_GUIDANCE_ROWS, TRAINING_SHARE
from models.verification.trial import n_networks
from scripts.cli import options
from scripts.cli.console import Command, messages, output, told
from scripts.cli.progress import TrainingProgress
from scripts.cli.tables import calibration_table, score_table, season_table

SHOWN = 3  # set-aside values that are printed; the manifest has all of them


@click.command(cls=Command)
@partial(options.files, default=options.EMBEDDED)
@options.station
@options.guidance
@options.pool
@options.recipe
@click.option("--force", is_flag=True, help="Promote even a model that loses to persistence, or has lost days.")
@options.store
def train(
    files: list[Path],
    record_format: str,
    units: Units | None,
    timezone: str | None,
    station: str | None,
    guidance: Path | None,
    pool: bool,
    recipe: Recipe,
    seed: int,
    force: bool,
    store: Store,
) -> None:
    """Train a model on the record of each station, print its scores, and promote it to champion.

    A model that is no better than persistence, or whose record has lost most of the champion's days, is stored only.
    With --pool, a shared corrector of guidance is fitted to all records first; a single record uses the stored one.
    """
    if options.EMBEDDED in files and units == "us":
        raise click.UsageError("the embedded station is metric: leave --units out, or give a record with --data")
    guidance_files = options.guidance_by_station(guidance, files, record_format)
    records: dict[str, Record] = {}
    for record in read_all(files, record_format, units, timezone, station, recipe.columns, guidance_files):
        if record.station in records:
            raise click.UsageError(f"two records have the same station name, {record.station}: rename one of them")
        records[record.station] = record
    for name, record in records.items():
        store.station(name).check_writable()
        told(record)
    shared = shared_corrector(store, list(records.values()), recipe, seed) if pool else None
    surroundings = Surroundings(records.values() if recipe.neighbours else ())
    failed = False
    for name, record in records.items():
        try:
            neighbours = surroundings.chosen(record, recipe)
            joined = surroundings.joined(record, neighbours)
            failed |= not train_one(name, joined, neighbours, recipe, seed, store, shared, force)
        except (ValueError, ArithmeticError, MemoryError, OSError) as error:  # the others are still trained
            reason = one_line(error) or type(error).__name__
            messages.print(f"Error: {name}: {reason.removeprefix(f'{name}: ')}")
            failed = True
    if failed:
        raise SystemExit(1)


def read_all(
    files: list[Path],
    record_format: str,
    units: Units | None,
    timezone: str | None,
    station: str | None,
    columns: Sequence[str],
    guidance: Mapping[str, Path],
) -> Iterator[Record]:
    """Yield the record of each station; the files of one station, and those that belong to it, are one record."""
    together = groups(files, record_format)
    if station and len(together) > 1:
        raise click.UsageError(f"--station is one name for {len(together)} records: leave it out")
    for _, of_station in together:
        found = read_with_guidance(of_station, record_format, units, timezone, columns, guidance)
        if len(found) > 1 or station:
            yield one_of(", ".join(map(str, of_station)), {record.station: record for record in found}, station)
        else:
            yield from found


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
    name: str,
    record: Record,
    neighbours: tuple[str, ...],
    recipe: Recipe,
    seed: int,
    store: Store,
    shared: StoredCorrector | None,
    force: bool,
) -> bool:
    """Train and score the model of one station; return whether it was promoted."""
    days = record.days
    own = {column: series for column, series in days.further.items() if not neighbour_of(column)}
    if further := [f"{column} {np.isfinite(series).sum()}" for column, series in own.items()]:
        messages.print(f"{name}: of {len(days)} days known: {', '.join(further)}")
    if recipe.neighbours:
        messages.print(f"{name}: {'may look at' if neighbours else 'no neighbours'} {', '.join(neighbours)}".strip())
    with TrainingProgress(name, n_networks(days, recipe)) as progress:
        training = train_station(name, record, recipe, seed, shared, progress.show, neighbours)
    guided = isinstance(training.model, GuidedForecaster)
    if any(map(is_guidance, days.further)) and not guided:
        least = math.ceil(MIN_GUIDANCE_ROWS / TRAINING_SHARE)
        messages.print(
            f"{name}: guidance is not used yet: it needs {least} days with guidance, tmax, and tmax on the next day"
        )
    if shared and not training.manifest.shared_corrector:
        why = ", which does not match its columns or recipe" if guided else ": it has too little guidance"
        messages.print(f"{name}: trained without the shared corrector{why}")
    report(training)
    if not force and (objection := training.objection(store)):
        version = training.publish_in(store)
        messages.print(f"{name}: {version} is stored, not promoted: {objection}; --force promotes it")
        return False
    version = training.promote_in(store, reason="scripts.train")
    messages.print(f"{name}: {version} is the champion in {store.root}")
    return True


def report(training: Training) -> None:
    """Print the scores and calibration of a trained station, and its first set-aside values."""
    output.print(score_table(training.manifest))
    output.print(season_table(training.manifest))
    output.print(calibration_table(training.trial.comparison, training.model))
    if set_aside := training.manifest.set_aside:
        shown = "; ".join(f"{s.column} of {s.date}: {s.value:g}, {s.reason}" for s in set_aside[:SHOWN])
        more = "; ... (all are in the manifest)" if len(set_aside) > SHOWN else ""
        messages.print(f"set aside (values, or runs of values): {len(set_aside)}: {shown}{more}")
    if step := lasting_step(training.trial.days):
        messages.print(str(step))


if __name__ == "__main__":
    train()
