"""Train a station's model and make it the champion."""

from pathlib import Path

import click
import msgspec
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.readers import read_record
from app.store import Store
from app.training import train_station
from models.nn import CELLS, Epoch
from models.recipe import Recipe
from models.station_days import Units
from scripts.console import Command, data_options, messages, output, store_option
from scripts.tables import score_table

EMBEDDED = Path(__file__).parent.parent / "data" / "seattle.csv"

# Set-aside values named on the terminal; the manifest has them all.
NAMED = 3


@click.command(cls=Command)
@data_options(default=EMBEDDED)
@click.option("--station", help="Name of the station. Default: the file's own.")
@click.option("--cell", type=click.Choice(list(CELLS)), help="Kind of recurrent cell; overrides the recipe.")
@click.option(
    "--recipe",
    "recipe_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file that says how the model is made.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of every random draw.")
@click.option("--quick", is_flag=True, help="A few epochs, to see that everything works.")
@store_option
def train(
    data: Path,
    record_format: str,
    units: Units,
    station: str | None,
    cell: str | None,
    recipe_file: Path | None,
    seed: int,
    quick: bool,
    store: Store,
) -> None:
    """Train a station's model on its record, print its scores, and make it the champion."""
    if data == EMBEDDED and units != "metric":
        raise click.UsageError("the embedded station is metric; --units goes with --data")
    recipe = read_recipe(recipe_file, {"cell": cell, "epochs": 3 if quick else None})
    record = read_record(data, record_format, units)
    name = station or record.station
    store.check_writable(name)
    with Epochs(name, recipe.epochs) as epochs:
        trained = train_station(name, record, recipe, seed, epochs.show)
    output.print(score_table(trained.manifest))
    if record.set_aside:
        shown = "; ".join(f"{s.column} of {s.date}: {s.value:g}, {s.reason}" for s in record.set_aside[:NAMED])
        more = " ..." if len(record.set_aside) > NAMED else ""
        messages.print(f"set aside {len(record.set_aside)} value(s): {shown}{more}")
    version = trained.publish_and_promote(store, reason="scripts.train")
    messages.print(f"{name}: {version} is the champion in {store.root}")


def read_recipe(path: Path | None, overrides: dict[str, object]) -> Recipe:
    """Read a recipe, or take the default one; what is given on the command line wins."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        chosen = msgspec.toml.decode(path.read_bytes()) if path else {}
        return msgspec.convert(chosen | given, Recipe)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path or 'recipe'}: {error}") from None


class Epochs:
    """Shows how far the training is: a bar on a terminal, a line every ten epochs elsewhere."""

    def __init__(self, station: str, total: int) -> None:
        self.station = station
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("epoch {task.completed}/{task.total}  {task.fields[loss]}"),
            TimeElapsedColumn(),
            console=messages,
            transient=True,
            disable=not messages.is_terminal,
        )
        self.task = self.progress.add_task(f"training {station}", total=total, loss="")

    def __enter__(self) -> "Epochs":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def show(self, epoch: Epoch) -> None:
        """Tell of an epoch that has ended."""
        self.progress.update(self.task, completed=epoch.number, loss=f"loss {epoch.stopping_loss:.4f}")
        if not messages.is_terminal and epoch.number % 10 == 1:
            messages.print(f"{self.station}: epoch {epoch.number}, loss {epoch.stopping_loss:.4f}")


if __name__ == "__main__":
    train()
