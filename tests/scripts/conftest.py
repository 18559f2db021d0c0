"""What the tests of the commands share."""

import csv
import os
import subprocess
import sys

import pytest

from tests.stations import ROOT, write_csv


@pytest.fixture(scope="session")
def record(tmp_path_factory, days):
    """The file of the station ``hill``."""
    return write_csv(tmp_path_factory.mktemp("records") / "hill.csv", days)


@pytest.fixture(scope="session")
def rows():
    """Read a CSV text into dictionaries."""
    return lambda text: list(csv.DictReader(text.splitlines()))


@pytest.fixture
def fails():
    """Check that a command failed, and that its last line on standard error says why."""

    def check(done, status, message):
        assert done.returncode == status, done.stderr
        last = done.stderr.splitlines()[-1]
        assert last.startswith("Error: ")
        assert message in last

    return check


@pytest.fixture
def on_terminal():
    """Run a command in its own process on a terminal; return what the terminal received."""

    def run(name, *arguments, columns):
        command = [f"stty cols {columns};", sys.executable, "-m", f"scripts.{name}", *map(str, arguments)]
        environ = {k: v for k, v in os.environ.items() if k != "COLUMNS"} | {"TERM": "xterm"}
        return subprocess.check_output(
            ["script", "-qec", " ".join(command), os.devnull],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    return run
