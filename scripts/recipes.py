"""What the commands that train share: how files are read, which recipe is followed, and how far the training is."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, get_args, get_type_hints

import click
import msgspec
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.readers import station_name
from models.nn import Epoch
from models.recipe import Recipe
from scripts.console import messages, reading_options

READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)

# What --quick makes of a recipe.
QUICK = {"epochs": 2, "members": 1, "guidance": {"epochs": 2, "members": 1, "folds": 2}}

CELLS = get_args(get_type_hints(Recipe)["cell"])
cell_option = click.option("--cell", type=click.Choice(CELLS), help="Kind of recurrent cell; overrides the recipe.")
recipe_option = click.option(
    "--recipe", "recipe_file", type=READABLE, help="TOML file that says how the model is made."
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of every random draw."
)
quick_option = click.option("--quick", is_flag=True, help="A few epochs, to see that everything works.")
predictors_option = click.option(
    "--predictors",
    multiple=True,
    metavar="NAME,...|all",
    help="Columns that are looked at beside guidance; overrides the recipe.",
)
guidance_option = click.option("--guidance", type=READABLE, help="Somebody's forecasts of tmax (docs/guidance.md).")
guidance_folder_option = click.option(
    "--guidance",
    type=click.Path(exists=True, path_type=Path),
    help="Somebody's forecasts of tmax (docs/guidance.md); of several stations a folder, with a file named after each.",
)

pool_option = click.option(
    "--pool", is_flag=True, help="Learn to correct guidance from all stations together, then adapt it to each."
)

# What a file of guidance in a folder may end with.
GUIDANCE_FILES = {".csv", ".json"}


def recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how to train; the command is given ``recipe`` and ``seed``."""

    @cell_option
    @recipe_option
    @predictors_option
    @seed_option
    @quick_option
    @wraps(command)
    def with_recipe(
        cell: str | None, recipe_file: Path | None, predictors: Sequence[str], quick: bool, **given: Any
    ) -> None:
        overrides = {"cell": cell, "predictors": column_list(predictors), **(QUICK if quick else {})}
        command(recipe=read_recipe(recipe_file, overrides), **given)

    return with_recipe


def column_list(given: Sequence[str]) -> list[str] | None:
    """Return the names in lists with commas, as a reader knows them, each once; None where no list is given."""
    if not given:
        return None
    return list(dict.fromkeys(name for names in given for part in names.split(",") if (name := part.strip().lower())))


def guidance_of(guidance: Path | None, records: Sequence[Path]) -> dict[str, Path]:
    """Return by station which file of guidance belongs to it: the one there is, or of a folder the one of its name.

    Raises
    ------
    click.UsageError : where it can't be told which belongs to whom, or none does
    """
    if guidance is None:
        return {}
    own, stations = {path.resolve() for path in records}, {station_name(path) for path in records}
    if guidance.is_file():
        if len(stations) > 1:
            raise click.UsageError(f"--guidance is one file for {len(stations)} stations: name a folder of such files")
        if guidance.resolve() in own:
            raise click.UsageError(
                f"--guidance is the record itself, whose own guidance is read without it: {guidance}"
            )
        return dict.fromkeys(stations, guidance)
    found: dict[str, Path] = {}
    for file in sorted(guidance.iterdir()):
        station = station_name(file)
        if station in stations and file.suffix.lower() in GUIDANCE_FILES and file.resolve() not in own:
            if station in found:
                raise click.UsageError(f"{found[station]} and {file} are both of station {station}: leave one of them")
            found[station] = file
    if not found:
        raise click.UsageError(f"no file in {guidance} has the name of a station, such as {min(stations)}.csv or .json")
    return found


def read_recipe(path: Path | None, overrides: Mapping[str, object]) -> Recipe:
    """Read a recipe, or take the default one; what is given on the command line, and is not None, wins."""
    try:
        chosen = msgspec.toml.decode(path.read_bytes()) if path else {}
        for name, value in overrides.items():
            before = chosen.get(name)
            if value is not None:
                chosen[name] = before | value if isinstance(value, dict) and isinstance(before, dict) else value
        return msgspec.convert(chosen, Recipe)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path or 'recipe'}: {error}") from None


def files_options(command: Callable[..., None], default: Path | None = None) -> Callable[..., None]:
    """Add FILE... and ``--data``, which name records, and how to read them; the command is given ``files``."""
    what = "A station's record, as FILE; may be repeated." + (" Default: the embedded station." if default else "")

    @click.argument("named", metavar="[FILE]...", nargs=-1, type=READABLE)
    @click.option("--data", multiple=True, type=READABLE, help=what)
    @reading_options
    @wraps(command)
    def with_files(named: Sequence[Path], data: Sequence[Path], **given: Any) -> None:
        files = list({path.resolve(): path for path in (*data, *named)}.values())
        if default and not files:
            files = [default]
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

    def __init__(self, label: str, networks: Sequence[int], told: int = 1) -> None:
        """Begin; ``networks`` are the epochs of each, in their order."""
        self.label, self.told = label, told
        self.epochs, self.network = networks, 0
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[now]}"),
            TimeElapsedColumn(),
            console=messages,
            transient=True,
            disable=not messages.is_terminal,
        )
        self.task = self.progress.add_task(f"training {label}", total=sum(networks), now="")

    def __enter__(self) -> "Epochs":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def show(self, epoch: Epoch) -> None:
        """Tell of an epoch that has ended."""
        self.network += epoch.number == 1
        of = self.epochs[min(self.network, len(self.epochs)) - 1]
        now = f"network {self.network}/{len(self.epochs)}, epoch {epoch.number}/{of}, loss {epoch.training_loss:.4f}"
        self.progress.update(self.task, advance=1, now=now)
        if not messages.is_terminal and epoch.number == of and self.network % self.told == 0:
            messages.print(f"{self.label}: {now}")


def networks_of(recipe: Recipe, guided: bool = False, pooled: bool = False) -> list[int]:
    """Return the epochs of each network that is trained for a station, in the order in which they are."""
    guidance = recipe.guidance
    epochs = recipe.warm_epochs if pooled else guidance.epochs
    correctors = [epochs] * (guidance.folds * guidance.members if guided else 0)
    return ([recipe.epochs] * recipe.members) * (1 + recipe.refit) + correctors * (1 + recipe.refit)
