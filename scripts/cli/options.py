"""Options shared by the commands."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import click
import msgspec

from app.settings import Settings, SettingsError
from app.store import Store
from models.recipe import Recipe
from models.record.columns import UNITS

F = TypeVar("F", bound=Callable[..., Any])

READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)

EMBEDDED = Path(__file__).parents[2] / "data" / "seattle.csv"  # the embedded station

# What --quick changes in the recipe.
QUICK = {"epochs": 2, "refit_epochs": 1, "members": 1, "guidance": {"epochs": 2, "members": 1, "folds": 2}}

CELLS = get_args(get_type_hints(Recipe)["cell"])


class Neighbours(click.ParamType[int | str]):
    """A number of neighbours, or "auto"."""

    name = "neighbours"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return the number, or "auto"."""
        if value == "auto":
            return "auto"
        try:
            return click.IntRange(0, 100).convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is neither a number from 0 to 100 nor auto", param, ctx)


cell = click.option("--cell", type=click.Choice(CELLS), help="Recurrent cell; overrides the recipe.")
recipe_file = click.option("--recipe", "recipe_file", type=READABLE, help="TOML file of model and training settings.")
seed = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed.")
quick = click.option("--quick", is_flag=True, help="Train only briefly, to check that everything works.")
columns = click.option(
    "--columns", multiple=True, metavar="NAME,...|all", help="Further columns to look at; overrides the recipe."
)
neighbours = click.option(
    "--neighbours", type=Neighbours(), metavar="N|auto", help="Other stations of the records to look at; default: 0."
)
guidance_file = click.option("--guidance", type=READABLE, help="External forecasts of tmax (docs/guidance.md).")
guidance = click.option(
    "--guidance",
    type=click.Path(exists=True, path_type=Path),
    help="External forecasts of tmax (docs/guidance.md): a file, or a folder with one file named after each station.",
)
pool = click.option(
    "--pool", is_flag=True, help="Fit a shared corrector of guidance to all stations first, then adapt it to each."
)

GUIDANCE_FILES = {".csv", ".json"}  # suffixes of guidance files in a folder


station = click.option(
    "--station", help="Name of the station, or which one of several. Default: the id in the file, or the file's name."
)


def store(command: F) -> F:
    """Add ``--store``; the command gets a `Store`."""

    def opened(_ctx: click.Context, _param: click.Parameter, path: Path | None) -> Store:
        try:
            return Store(path or Settings.from_env().store)
        except SettingsError as error:
            raise click.ClickException(str(error)) from None

    return click.option(
        "--store",
        type=click.Path(file_okay=False, path_type=Path),
        callback=opened,
        help="Folder of the model store. Default: TMAX_STORE, else ./store.",
    )(command)


def reading(command: F) -> F:
    """Add the options for reading a record."""
    # Imported here: it imports pandas, which is slow and not needed by every command.
    from app.readers import FORMAT_NAMES  # noqa: PLC0415

    for option in (
        click.option("--units", type=click.Choice(UNITS), help="Units, where the file does not say. Default: metric."),
        click.option(
            "--format", "record_format", type=click.Choice(["auto", *FORMAT_NAMES]), default="auto", show_default=True,
            metavar="FORMAT", help="Format of the record (docs/data.md lists them).",
        ),
        click.option(
            "--timezone", metavar="ZONE", callback=_zone,
            help="The station's time zone, such as Europe/Berlin, for files that hold instants.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def _zone(_ctx: click.Context, _param: click.Parameter, name: str | None) -> str | None:
    from app.readers.clock import zone  # noqa: PLC0415  # as in `reading`

    if name:
        try:
            zone(name)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return name


def data(command: F) -> F:
    """Add ``--data``, the file of one record, and the options for reading it."""
    return click.option("--data", type=READABLE, required=True, help="Record of the station.")(reading(command))


def files(command: Callable[..., None], default: Path | None = None) -> Callable[..., None]:
    """Add FILE... and ``--data``, and the options for reading these records; the command gets ``files``."""
    what = "Record of a station, as FILE; may be repeated." + (" Default: the embedded station." if default else "")

    @click.argument("named", metavar="[FILE]...", nargs=-1, type=READABLE)
    @click.option("--data", multiple=True, type=READABLE, help=what)
    @reading
    @wraps(command)
    def with_files(named: Sequence[Path], data: Sequence[Path], **given: Any) -> None:
        files = list({path.resolve(): path for path in (*data, *named)}.values())
        if default and not files:
            files = [default]
        if not files:
            raise click.UsageError("no record given: name at least one FILE")
        command(files=files, **given)

    return with_files


def recipe(command: Callable[..., None]) -> Callable[..., None]:
    """Add the training options; the command gets ``recipe`` and ``seed``."""

    @cell
    @recipe_file
    @columns
    @neighbours
    @seed
    @quick
    @wraps(command)
    def with_recipe(
        cell: str | None,
        recipe_file: Path | None,
        columns: Sequence[str],
        neighbours: int | str | None,
        quick: bool,
        **given: Any,
    ) -> None:
        overrides: dict[str, object] = {"cell": cell, "columns": column_list(columns), "neighbours": neighbours}
        overrides |= QUICK if quick else {}
        command(recipe=read_recipe(recipe_file, overrides), **given)

    return with_recipe


def column_list(given: Sequence[str]) -> list[str] | None:
    """Return the names in comma-separated lists, in lower case, without duplicates; None without a list."""
    if not given:
        return None
    return list(dict.fromkeys(name for names in given for part in names.split(",") if (name := part.strip().lower())))


def read_recipe(path: Path | None, overrides: Mapping[str, object]) -> Recipe:
    """Read a recipe, or take the default one, and apply the overrides that are not None."""
    try:
        chosen = msgspec.toml.decode(path.read_bytes()) if path else {}
        for name, value in overrides.items():
            before = chosen.get(name)
            if value is not None:
                chosen[name] = before | value if isinstance(value, dict) and isinstance(before, dict) else value
        return msgspec.convert(chosen, Recipe)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise click.ClickException(f"{path or 'recipe'}: {error}") from None


def guidance_by_station(guidance: Path | None, records: Sequence[Path], record_format: str = "auto") -> dict[str, Path]:
    """Return the guidance file of each station: the given file, or the one in a folder that is named after the station.

    Raises click.UsageError where the assignment is ambiguous, or the folder has no file for any station.
    """
    from app.readers import groups, station_name  # noqa: PLC0415  # as in `reading`

    if guidance is None:
        return {}
    own, stations = {path.resolve() for path in records}, {name for name, _ in groups(records, record_format)}
    if guidance.is_file():
        if len(stations) > 1:
            raise click.UsageError(f"--guidance is one file for {len(stations)} stations: give a folder of such files")
        if guidance.resolve() in own:
            raise click.UsageError(f"--guidance is the record itself, whose guidance is read anyway: {guidance}")
        return dict.fromkeys(stations, guidance)
    found: dict[str, Path] = {}
    for file in sorted(guidance.iterdir()):
        station = station_name(file)
        if station in stations and file.suffix.lower() in GUIDANCE_FILES and file.resolve() not in own:
            if station in found:
                raise click.UsageError(f"{found[station]} and {file} are both for station {station}: remove one")
            found[station] = file
    if not found:
        if any(file.resolve() in own for file in guidance.iterdir()):
            raise click.UsageError(
                f"--guidance is the folder of the records, whose guidance is read anyway: {guidance}"
            )
        raise click.UsageError(f"no file in {guidance} is named after a station, such as {min(stations)}.csv or .json")
    return found


def output_file(name: str, what: str, required: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add an option for an output file; a file that cannot be written is rejected before the work begins."""

    def possible(_ctx: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
        if path:
            if path.exists() and not path.is_file():
                raise click.BadParameter(f"{path} is not a regular file")
            try:
                with tempfile.TemporaryFile(dir=path.parent):
                    pass
            except OSError as error:
                raise click.BadParameter(f"{path} cannot be written: {error.strerror}: {path.parent}") from None
        return path

    return click.option(name, type=click.Path(path_type=Path), callback=possible, required=required, help=what)


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Raise click.UsageError where an output file is also an input file, or named twice."""
    taken = {path.resolve(): "an output would overwrite the input" for path in inputs if path}
    for path in filter(None, outputs):
        if path.resolve() in taken:
            raise click.UsageError(f"{taken[path.resolve()]} {path}: name another file")
        taken[path.resolve()] = "two outputs would be written to"
