"""What the commands that train share: how files are read, which recipe is followed, and how far the training is."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, get_args, get_type_hints

import click
import msgspec
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from models.nn import Epoch
from models.recipe import Recipe
from scripts.console import messages, reading_options

READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)

# What --quick makes of a recipe.
QUICK = {"epochs": 2, "members": 1}

CELLS = get_args(get_type_hints(Recipe)["cell"])
cell_option = click.option("--cell", type=click.Choice(CELLS), help="Kind of recurrent cell; overrides the recipe.")
recipe_option = click.option(
    "--recipe", "recipe_file", type=READABLE, help="TOML file that says how the model is made."
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of every random draw."
)
quick_option = click.option("--quick", is_flag=True, help="A few epochs, to see that everything works.")


def recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how to train; the command is given ``recipe`` and ``seed``."""

    @cell_option
    @recipe_option
    @seed_option
    @quick_option
    @wraps(command)
    def with_recipe(cell: str | None, recipe_file: Path | None, quick: bool, **given: Any) -> None:
        command(recipe=read_recipe(recipe_file, {"cell": cell, **(QUICK if quick else {})}), **given)

    return with_recipe


def read_recipe(path: Path | None, overrides: Mapping[str, object]) -> Recipe:
    """Read a recipe, or take the default one; what is given on the command line, and is not None, wins."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        chosen = msgspec.toml.decode(path.read_bytes()) if path else {}
        return msgspec.convert(chosen | given, Recipe)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path or 'recipe'}: {error}") from None


def files_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add FILE... and ``--data``, which name records, and how to read them; the command is given ``files``."""

    @click.argument("named", metavar="[FILE]...", nargs=-1, type=READABLE)
    @click.option("--data", multiple=True, type=READABLE, help="A station's record, as FILE; may be repeated.")
    @reading_options
    @wraps(command)
    def with_files(named: Sequence[Path], data: Sequence[Path], **given: Any) -> None:
        files = list({path.resolve(): path for path in (*data, *named)}.values())
        if not files:
            raise click.UsageError("no record is named")
        command(files=files, **given)

    return with_files


def output_option(name: str, what: str, required: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add an option that names a file to write, which is seen to be possible before the work begins."""

    def possible(_ctx: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
        if path:
            if path.exists() and not path.is_file():
                raise click.BadParameter(f"{path} is not a file that can be replaced")
            try:
                with tempfile.TemporaryFile(dir=path.parent):
                    pass
            except OSError as error:
                raise click.BadParameter(f"{path} cannot be written: {error.strerror}: {path.parent}") from None
        return path

    return click.option(name, type=click.Path(path_type=Path), callback=possible, required=required, help=what)


class Epochs:
    """Shows how far the training is: a bar on a terminal, a line after each ``told`` of the networks elsewhere."""

    def __init__(self, label: str, recipe: Recipe, networks: int, told: int = 1) -> None:
        self.label = label
        self.epochs, self.networks, self.told = recipe.epochs, networks, told
        self.done = 0
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[now]}"),
            TimeElapsedColumn(),
            console=messages,
            transient=True,
            disable=not messages.is_terminal,
        )
        self.task = self.progress.add_task(f"training {label}", total=self.epochs * networks, now="")

    def __enter__(self) -> "Epochs":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def show(self, epoch: Epoch) -> None:
        """Tell of an epoch that has ended."""
        self.done += 1
        network = -(-self.done // self.epochs)
        now = f"network {network}/{self.networks}, epoch {epoch.number}/{self.epochs}, loss {epoch.training_loss:.4f}"
        self.progress.update(self.task, completed=self.done, now=now)
        if not messages.is_terminal and epoch.number == self.epochs and network % self.told == 0:
            messages.print(f"{self.label}: {now}")
