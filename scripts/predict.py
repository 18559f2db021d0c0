"""Forecast without a server."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import click

from app.readers import column_names, read_record, station_name
from app.serving.champions import Champions, NoModel, ServedModel
from app.store import Store, StoreError
from models.forecast.distribution import Forecast
from models.forecast.saved import Forecaster
from models.record.columns import Units, from_celsius
from models.record.days import StationDays
from models.record.sequence import SequenceError
from scripts.cli import options
from scripts.cli.console import Command, messages

LEVELS = (0.8, 0.9)


@click.command(cls=Command)
@options.data
@click.option("--station", help="Station name. Default: the name of the file.")
@options.guidance_file
@click.option("--every-day", is_flag=True, help="Forecast from every day of the record, not only the last.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="CSV file. Default: standard output.")
@options.store
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
    """Forecast tmax on the day after the end of the record, as CSV in the units of the record."""
    options.guidance_by_station(guidance, [data])
    options.check_outputs((out,), (data, guidance))
    served = served_model(store, station or station_name(data))
    model = served.model
    predictors = [name for name in model.predictors if name in column_names(data)]
    days = read_record(data, record_format, units, predictors, guidance).days
    if served.refused:
        messages.print(
            f"forecast by the earlier champion {served.version}, because the present one was refused: {served.refused}"
        )
    if guidance and not set(days.predictors) & set(model.predictors):
        uses = f"it uses {', '.join(model.predictors)}" if model.predictors else "it was trained without guidance"
        messages.print(f"{guidance} is not used by the model of {served.station}: {uses}")
    forecasts = list(every_forecast(model, days)) if every_day else [model.predict(days)]
    if not forecasts:
        raise click.ClickException(f"{data}: too few days for a forecast")
    if out:
        out.write_text(as_csv(forecasts, units))
    else:
        click.echo(as_csv(forecasts, units), nl=False)
    if every_day:
        without = len(days) - len(forecasts)
        messages.print(
            f"{len(forecasts)} forecasts; none from {without} days: tmax is missing, or too few days precede them"
        )
    else:
        for date, column in forecasts[0].filled:
            messages.print(f"filled {date} {column}")
        for note in forecasts[0].notes:
            messages.print(note)


def served_model(store: Store, station: str) -> ServedModel:
    """Return the model that a server would use. Raises ValueError with the reason where there is none."""
    store.station(station)  # a valid name?
    try:
        return Champions(store).get(station)
    except NoModel as error:
        raise ValueError(": ".join(filter(None, (str(store.root), str(error), error.reason)))) from None
    except StoreError:
        hint = f"python -m scripts.store list --store {store.root} shows the stations"
        raise ValueError(f"no model of station {station!r} in {store.root}; {hint}") from None


def every_forecast(model: Forecaster, days: StationDays) -> Iterator[Forecast]:
    """Yield a forecast from each day of a record that allows one."""
    for end in range(1, len(days) + 1):
        try:
            yield model.predict(days.part(0, end))
        except SequenceError:
            continue


def as_csv(forecasts: list[Forecast], units: Units) -> str:
    """Return one line per forecast."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["issued", "date", "tmax", *(f"{end}_{100 * p:.0f}" for p in LEVELS for end in ("low", "high"))])
    for forecast in forecasts:
        numbers = [forecast.tmax, *(end for level in LEVELS for end in forecast.interval(level))]
        writer.writerow([forecast.issued, forecast.valid, *(f"{from_celsius(n, units):.2f}" for n in numbers)])
    return text.getvalue()


if __name__ == "__main__":
    predict()
