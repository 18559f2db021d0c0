"""Train a station's model and make it the champion."""

from pathlib import Path

import click

from app.readers import read_record
from app.store import Store
from app.training import train_station
from models.recipe import Recipe
from models.station_days import Units
from scripts.console import Command, data_options, messages, output, store_option
from scripts.recipes import Epochs, recipe_options
from scripts.tables import calibration_table, score_table, season_table

EMBEDDED = Path(__file__).parent.parent / "data" / "seattle.csv"

# Set-aside values named on the terminal; the manifest has them all.
NAMED = 3


@click.command(cls=Command)
@data_options(default=EMBEDDED)
@click.option("--station", help="Name of the station. Default: the file's own.")
@recipe_options
@store_option
def train(
    data: Path, record_format: str, units: Units, station: str | None, recipe: Recipe, seed: int, store: Store
) -> None:
    """Train a station's model on its record, print its scores, and make it the champion."""
    if data == EMBEDDED and units != "metric":
        raise click.UsageError("the embedded station is metric; --units goes with --data")
    record = read_record(data, record_format, units)
    name = station or record.station
    store.check_writable(name)
    with Epochs(name, recipe, recipe.members * (1 + recipe.refit)) as epochs:
        trained = train_station(name, record, recipe, seed, epochs.show)
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
