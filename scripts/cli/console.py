"""Standard output, standard error, and one-line error messages."""

import logging
import sys
from typing import Any

import click
import msgspec
from rich.console import Console

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


class Command(click.Command):
    """A command that reports a failure in one line on standard error, with exit status 1 and no traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and convert errors of the application into a ClickException."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # the reader closed the pipe; click exits quietly
        except (ValueError, ArithmeticError, MemoryError, OSError, msgspec.MsgspecError) as error:
            raise click.ClickException(" ".join(str(error).split())) from error


class Group(click.Group):
    """A group whose commands are each a `Command`."""

    command_class = Command
