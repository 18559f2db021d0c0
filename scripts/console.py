"""What the command lines share: options, one-line errors, where output goes."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click
import msgspec
from rich.console import Console

from app.settings import Settings, SettingsError
from app.store import Store
from models.station_days import UNITS

F = TypeVar("F", bound=Callable[..., Any])

# What is not a terminal has no width; tables must not be cut there.
PIPE_WIDTH = 200


def _console(stream: TextIO) -> Console:
    # What is printed is data: brackets in it are no markup, and numbers need no colour.
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, width=width, soft_wrap=True, markup=False, emoji=False, highlight=False)


# Tables and forecasts go to standard output, everything else to standard error.
output = _console(sys.stdout)
messages = _console(sys.stderr)


class Command(click.Command):
    """A command whose failures are one line on standard error and exit status 1, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run, and turn the errors that the application raises into a line."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # whoever reads the output has had enough; click ends quietly
        except (ValueError, ArithmeticError, MemoryError, OSError, msgspec.MsgspecError) as error:
            raise click.ClickException(" ".join(str(error).split())) from error


class Group(click.Group):
    """A group of such commands."""

    command_class = Command


def reading_options(command: F) -> F:
    """Add the options that say how to read a record."""
    # The readers bring pandas, which a command that reads no record should not wait for.
    from app.readers import READERS  # noqa: PLC0415

    for option in (
        click.option(
            "--units", type=click.Choice(UNITS), default="metric", show_default=True, help="Units of a plain CSV."
        ),
        click.option(
            "--format",
            "record_format",
            type=click.Choice(["auto", *READERS]),
            default="auto",
            show_default=True,
            help="Format of the file.",
        ),
    ):
        command = option(command)
    return command


def data_options(command: F) -> F:
    """Add the options that name a record and say how to read it."""
    data = click.option(
        "--data",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        required=True,
        help="The station's record.",
    )
    return data(reading_options(command))


def store_option(command: F) -> F:
    """Add ``--store``, which is given as a `Store`."""

    def opened(_ctx: click.Context, _param: click.Parameter, path: Path | None) -> Store:
        try:
            return Store(path or Settings.from_env().store)
        except SettingsError as error:
            raise click.ClickException(str(error)) from None

    return click.option(
        "--store",
        type=click.Path(file_okay=False, path_type=Path),
        callback=opened,
        help="Folder of the models. Default: TMAX_STORE, else ./store.",
    )(command)
