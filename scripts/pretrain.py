"""Pretrain on many stations, to give initial weights to the networks of each."""

from datetime import datetime
from pathlib import Path

import click
import numpy as np

from app.readers import read_record
from app.training.pretrained import pretrained_file, write_weights
from models.forecast.climatology import DAYS_PER_YEAR
from models.forecast.networks import TrainingSet, train_members
from models.recipe import Recipe
from models.record.columns import Units
from models.record.days import StationDays
from models.record.quality import set_aside_suspect
from models.record.split import MIN_ROWS, TRAINING_SHARE, usable_rows
from scripts.cli import options
from scripts.cli.console import Command, messages
from scripts.cli.progress import TrainingProgress

SHARE, YEARS = click.FloatRange(0, 1, min_open=True), click.FloatRange(0, min_open=True)


@click.command(cls=Command)
@options.files
@options.output_file("--out", "NumPy archive (.npz) of the weights.", required=True)
@click.option("--years", type=YEARS, default=30, show_default=True, help="Last years of each record to use.")
@click.option(
    "--share", type=SHARE, default=TRAINING_SHARE, show_default=True, help="Earliest share of these years to train on."
)
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Use no later day of any record.")
@click.option("--epochs", type=click.IntRange(min=1), default=20, show_default=True, help="Passes over all stations.")
@click.option("--batch-size", type=click.IntRange(min=1), default=256, show_default=True, help="Rows per step.")
@click.option("--learning-rate", type=click.FloatRange(0, 1, min_open=True), help="Default: that of the recipe.")
@options.recipe_file
@options.cell
@options.seed
def pretrain(
    files: list[Path],
    record_format: str,
    units: Units | None,
    timezone: str | None,
    out: Path,
    share: float,
    years: float,
    until: datetime | None,
    epochs: int,
    batch_size: int,
    learning_rate: float | None,
    recipe_file: Path | None,
    cell: str | None,
    seed: int,
) -> None:
    """Train the recipe's networks on the earlier days of all FILEs together, from random weights.

    The later days of each record are held out, so that the weights can be evaluated on them; with --until they are held
    out at all stations at once, since neighbouring stations share their weather.
    """
    options.check_outputs((out,), files)
    overrides = {"cell": cell, "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    recipe = options.read_recipe(recipe_file, overrides)
    if recipe.layers > 1:
        raise click.UsageError(f"only networks of one layer can be pretrained; the recipe has {recipe.layers}")
    sets = []
    for path in files:
        days = read_record(path, record_format, units, timezone=timezone).days
        if until:
            days = days.through(np.datetime64(until.date()))
        days = earlier_days(days, years, share)
        sets.append(training_set(path, days, recipe))
        messages.print(f"{path}: {len(sets[-1].x)} training rows, {days.first} to {days.last}")
    together = TrainingSet.joined(sets)
    del sets  # as large as the joined set
    with TrainingProgress(f"{len(files)} stations", recipe.members) as progress:
        weights = train_members(together, recipe, seed, progress.show)
    write_weights(out, weights, together.kinds)
    used_as = f"data/{pretrained_file(recipe).name}"
    messages.print(f"{out}: trained on {len(together.x)} rows; to use it for initial weights, save it as {used_as}")


def earlier_days(days: StationDays, years: float, share: float) -> StationDays:
    """Return the first ``share`` of the last ``years``, of calendar days or of observed days, whichever ends first."""
    recent = days.part(max(0, len(days) - round(years * DAYS_PER_YEAR)), len(days))
    observed = np.flatnonzero(~np.isnan(recent.values).all(axis=1))
    cut = np.append(observed, len(recent))[int(share * len(observed))]
    return recent.part(0, min(int(share * len(recent)), int(cut)))


def training_set(path: Path, days: StationDays, recipe: Recipe) -> TrainingSet:
    """Return the training set of a station. Raises ValueError where it has too few rows."""
    believed = set_aside_suspect(days)[0] if len(days) else days
    rows = usable_rows(believed, recipe)
    if len(rows) < MIN_ROWS:
        raise ValueError(f"{path}: too few usable days: {len(rows)}, at least {MIN_ROWS} are needed")
    return TrainingSet.of(believed, rows, recipe)[0]


if __name__ == "__main__":
    pretrain()
