"""Learn from many stations where the networks of each of them begin."""

from pathlib import Path

import click
import numpy as np

from app.readers import read_record
from app.starts import start_name, write_start
from models.backtest import MIN_ROWS, TRAINING_SHARE
from models.forecaster import Examples, trained_members
from models.quality import set_aside_the_doubtful
from models.recipe import Recipe
from models.sequence import usable_rows
from models.station_days import StationDays, Units
from scripts.console import Command, messages
from scripts.recipes import Epochs, cell_option, files_options, output_option, read_recipe, recipe_option, seed_option

DAYS_A_YEAR = 365.25


@click.command(cls=Command)
@files_options
@output_option("--out", "NumPy archive (.npz) of the weights.", required=True)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=TRAINING_SHARE,
    show_default=True,
    help="Share of the days of each record to learn from, the earliest of them.",
)
@click.option(
    "--years",
    type=click.FloatRange(0, min_open=True),
    default=30,
    show_default=True,
    help="How much of the end of each record these days are a share of.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=20, show_default=True, help="Passes over all stations.")
@click.option("--batch-size", type=click.IntRange(min=1), default=256, show_default=True, help="Rows of a step.")
@click.option("--learning-rate", type=click.FloatRange(0, 1, min_open=True), help="Default: the recipe's.")
@recipe_option
@cell_option
@seed_option
def pretrain(
    files: list[Path],
    record_format: str,
    units: Units,
    out: Path,
    share: float,
    years: float,
    epochs: int,
    batch_size: int,
    learning_rate: float | None,
    recipe_file: Path | None,
    cell: str | None,
    seed: int,
) -> None:
    """Train the recipe's networks on the earlier days of all FILEs at once, from random weights.

    The later days of each record are not looked at, so that they can show what such a start is worth.
    """
    if out.resolve() in {path.resolve() for path in files}:
        raise click.UsageError("--out is one of the records")
    overrides = {"cell": cell, "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    recipe = read_recipe(recipe_file, overrides)
    if recipe.layers > 1:
        raise click.UsageError("networks of more than one layer begin at random")
    examples = []
    for path in files:
        days = earlier_days(read_record(path, record_format, units).days, years, share)
        examples.append(station_examples(path, days, recipe))
        messages.print(f"{path}: {len(examples[-1].x)} days of {days.first} to {days.last}")
    x, target = (np.concatenate([getattr(e, name) for e in examples]) for name in ("x", "target"))
    del examples  # as large as the windows themselves
    with Epochs(f"{len(files)} stations", [recipe.epochs] * recipe.members) as progress:
        weights = trained_members(x, target, recipe, seed, progress.show)
    write_start(out, weights)
    messages.print(f"{out}: learned from {len(x)} days; training begins there if it is data/{start_name(recipe)}")


def earlier_days(days: StationDays, years: float, share: float) -> StationDays:
    """Return the first ``share`` of the last ``years``: by the calendar, or by what was observed, whichever is less."""
    recent = days.part(max(0, len(days) - round(years * DAYS_A_YEAR)), len(days))
    observed = np.flatnonzero(~np.isnan(recent.values).all(axis=1))
    cut = np.append(observed, len(recent))[int(share * len(observed))]
    return recent.part(0, min(int(share * len(recent)), int(cut)))


def station_examples(path: Path, days: StationDays, recipe: Recipe) -> Examples:
    """Return what a station has to learn from.

    Raises
    ------
    ValueError : where it is too little
    """
    believed = set_aside_the_doubtful(days)[0] if len(days) else days
    rows = usable_rows(believed, recipe)
    if len(rows) < MIN_ROWS:
        raise ValueError(f"{path}: {len(rows)} usable days are too few: at least {MIN_ROWS} are needed")
    return Examples.of(believed, rows, recipe)


if __name__ == "__main__":
    pretrain()
