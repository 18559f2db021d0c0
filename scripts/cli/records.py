"""The files of a folder of records."""

import glob
from pathlib import Path

import click

from app.readers.source import NO_TABLE
from scripts.cli.console import messages

# Of files in a folder of records; other files are left alone.
SUFFIXES = {".csv", ".txt", ".tsv", ".dat", ".dly", ".json", ".gz", ".zip", ".sdb", ".db", ".sqlite"}


def records(data: str) -> list[Path]:
    """Return the records in a folder, or that match a pattern, sorted.

    A link out of the folder is not followed. Raises click.UsageError where there are none.
    """
    folder = Path(data)
    if folder.is_dir():
        files = [path for path in sorted(folder.iterdir()) if is_record(path)]
        for path in [path for path in files if not path.resolve().is_relative_to(folder.resolve())]:
            messages.print(f"{path} is a link out of the folder and is not read")
            files.remove(path)
    else:
        files = sorted(path for path in map(Path, glob.glob(data, recursive=True)) if path.is_file())  # noqa: PTH207
    if not files:
        pattern = f"{folder}/*.csv, *.txt, ..." if folder.is_dir() else data
        raise click.UsageError(f"no record found: no file matches {pattern}")
    return files


def is_record(path: Path) -> bool:
    """Whether a file in a folder may be a record, by its name."""
    named = path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not NO_TABLE.match(path.name)
    return named and path.is_file()
