"""Standard output, standard error, and one-line error messages."""

import logging
import sys
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console

from app.text import one_line

if TYPE_CHECKING:  # pandas is slow to import
    from app.readers import Record

PIPE_WIDTH = 200  # a pipe has no width, and tables must not be cut there


def _console(stderr: bool = False) -> Console:
    # Output is data: brackets are not markup, and numbers are not highlighted.
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(stderr=stderr, width=width, soft_wrap=True, markup=False, emoji=False, highlight=False)


# The log is for servers; a command prints its errors.
logging.getLogger("app").addHandler(logging.NullHandler())

# Tables and forecasts go to standard output, everything else to standard error.
output = _console()
messages = _console(stderr=True)


def told(record: "Record") -> None:
    """Print what the user should know of the reading of a record."""
    messages.print(f"{record.station}: read as {record.format}: {', '.join(record.columns)}")
    for note in record.notes:
        messages.print(f"{record.station}: {note}")


class Command(click.Command):
    """A command that reports a failure in one line on standard error, with exit status 1 and no traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and convert errors of the application into a ClickException."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # the reader closed the pipe; click exits quietly
        except (ValueError, ArithmeticError, MemoryError, OSError, msgspec.MsgspecError) as error:
            raise click.ClickException(one_line(error)) from error


class Group(click.Group):
    """A group whose commands are each a `Command`."""

    command_class = Command
