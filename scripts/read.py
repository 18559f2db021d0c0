"""Show what is read from a file, as plain metric CSV."""

import csv
import sys
from collections.abc import Iterable
from pathlib import Path

import click
import numpy as np

from app.readers import Record, one_of, read_stations, with_family
from models.record.columns import COLUMNS, Units, quantity
from scripts.cli import options
from scripts.cli.console import Command, messages

SHOWN = 10  # set-aside values that are printed


@click.command(cls=Command)
@click.argument("file", type=options.READABLE)
@options.reading
@click.option("--station", help="Which station, where the file holds several.")
def read(file: Path, record_format: str, units: Units | None, timezone: str | None, station: str | None) -> None:
    """Print the record in FILE as plain CSV in degC and mm; what was recognised and set aside on standard error."""
    records = read_stations(with_family([file]), record_format, units, timezone=timezone)
    if len(records) > 1:
        messages.print(f"stations: {', '.join(records)}")
    record = one_of(str(file), records, station)
    describe(record)
    write(record)


def describe(record: Record) -> None:
    """Print the format, the span, the columns, and what was set aside."""
    days, further = record.days, list(record.days.further)
    messages.print(f"format: {record.format}; station: {record.station}; temperatures in the file: {record.units}")
    known = ", ".join(
        f"{name} on {int(np.isfinite(values).sum())}"
        for name, values in (*zip(COLUMNS, days.values.T, strict=True), *days.further.items())
    )
    messages.print(f"{len(days)} days from {days.first} to {days.last}: {known}")
    units = {name: found.dimension.metric for name in (*COLUMNS, *further) if (found := quantity(name))}
    messages.print(f"units of the output: {', '.join(f'{name} {unit}' for name, unit in units.items())}")
    for note in record.notes:
        messages.print(note)
    for value in record.set_aside[:SHOWN]:
        messages.print(f"set aside: {value.column} of {value.date}: {value.value:g}, {value.reason}")
    if len(record.set_aside) > SHOWN:
        messages.print(f"set aside: {len(record.set_aside) - SHOWN} more")


def write(record: Record) -> None:
    """Write the days to standard output."""
    days = record.days
    writer = csv.writer(sys.stdout, lineterminator="\n")
    columns = dict(zip(COLUMNS, days.values.T, strict=True)) | dict(days.further)
    writer.writerow(["date", *columns])
    for date, row in zip(days.dates, np.column_stack(list(columns.values())), strict=True):
        writer.writerow([date, *cells(row)])


def cells(values: Iterable[float]) -> list[str]:
    """Return values as text, rounded beyond any instrument; empty where missing."""
    return ["" if np.isnan(value) else f"{round(value, 4) + 0.0:.10g}" for value in values]


if __name__ == "__main__":
    read()
