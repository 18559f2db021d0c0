"""Forecasts without a server."""

import csv
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import click
import numpy as np

from app.readers import Record, column_names, read_record
from app.store import Store
from models.forecast import Forecast, SequenceError
from models.formats import Served, from_state
from models.station_days import StationDays, Units, from_celsius
from scripts.console import Command, data_options, messages, store_option
from scripts.recipes import guidance_of, guidance_option

LEVELS = (0.8, 0.9)


@click.command(cls=Command)
@data_options
@click.option("--station", help="Whose champion. Default: the file's own name.")
@guidance_option
@click.option("--every-day", is_flag=True, help="One forecast for each day of the record, not only the last.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="CSV file. Default: standard output.")
@store_option
def predict(
    data: Path,
    record_format: str,
    units: Units,
    station: str | None,
    guidance: Path | None,
    every_day: bool,
    out: Path | None,
    store: Store,
) -> None:
    """Forecast the day after the record's last one, as CSV, in the units of the record."""
    guidance_of(guidance, [data])
    for what, named in {"record": data, "guidance": guidance}.items():
        if out and named and out.resolve() == named.resolve():
            raise click.UsageError(f"--out is the {what} itself")
    record = read_record(data, record_format, units, guidance=guidance)
    name = station or record.station
    state, _ = store.load(name, store.champion(name))
    forecaster = from_state(state)
    more = [p for p in forecaster.predictors if p not in record.days.predictors and p in column_names(data)]
    if more:
        record = read_record(data, record_format, units, more, guidance)
    if guidance and not set(record.days.predictors) & set(forecaster.predictors):
        looks_at = ", ".join(forecaster.predictors) or "no guidance: train it with some"
        messages.print(f"{guidance} is of no use: the model of {name} looks at {looks_at}")
    days = looked_at(record, forecaster)
    forecasts = list(every_forecast(forecaster, days)) if every_day else [forecaster.predict(days)]
    if not forecasts:
        raise click.ClickException(f"{data}: on no day are enough days before it known for a forecast")
    with out.open("w", newline="") if out else nullcontext(sys.stdout) as file:
        write_csv(file, forecasts, units)
    if every_day:
        left_out = len(record.days) - len(forecasts)
        messages.print(f"{len(forecasts)} forecasts; on {left_out} days too little was known of the days before")
    else:
        for date, column in forecasts[0].filled:
            messages.print(f"filled {date} {column}")
        for note in forecasts[0].notes:
            messages.print(note)


def looked_at(record: Record, forecaster: Served) -> StationDays:
    """Return the days of a record with those predictors that a model looks at; what the record lacks is missing."""
    not_given = np.full(len(record.days), np.nan)
    known = {name: record.days.predictors.get(name, not_given) for name in forecaster.predictors}
    return replace(record.days, predictors=known)


def every_forecast(forecaster: Served, days: StationDays) -> Iterator[Forecast]:
    """Forecast from every day of a record for which the days before are enough."""
    for end in range(1, len(days) + 1):
        try:
            yield forecaster.predict(days.part(0, end))
        except SequenceError:
            continue


def write_csv(file: TextIO, forecasts: list[Forecast], units: Units) -> None:
    """Write a line a forecast."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["issued", "date", "tmax", *(f"{end}_{100 * p:.0f}" for p in LEVELS for end in ("low", "high"))])
    for forecast in forecasts:
        numbers = [forecast.tmax, *(end for level in LEVELS for end in forecast.interval(level))]
        writer.writerow([forecast.issued, forecast.valid, *(f"{from_celsius(n, units):.2f}" for n in numbers)])


if __name__ == "__main__":
    predict()
