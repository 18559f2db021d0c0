"""Forecast without a server."""

import csv
import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import click
import numpy as np

from app.readers import Record, column_names, groups, read_record, read_stations
from app.serving.believed import flags_of, forecast_from
from app.serving.champions import Champions, NoModel, ServedModel
from app.serving.errors import QuestionError
from app.serving.files import FileQuestion, Options
from app.serving.question import BY_OPTION
from app.store import Store, StoreError
from app.text import one_line
from models.forecast.distribution import Forecast
from models.forecast.neighbours import with_neighbours
from models.record.columns import Units, from_celsius, is_guidance, is_spread
from models.record.days import StationDays
from models.record.sequence import SequenceError
from scripts.cli import options
from scripts.cli.console import Command, messages
from scripts.cli.records import records

LEVELS = (0.8, 0.9)


@click.command(cls=Command)
@options.data
@options.station
@options.guidance_file
@click.option(
    "--neighbours",
    "around",
    type=click.Path(exists=True, path_type=Path),
    help="Records of the neighbours: a folder, or a file of several stations.",
)
@click.option(
    "--accept",
    multiple=True,
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="The values of this day are real, however unlikely; may be repeated.",
)
@click.option("--every-day", is_flag=True, help="Forecast from every day of the record, not only the last.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="CSV file. Default: standard output.")
@options.store
def predict(
    data: Path,
    record_format: str,
    units: Units | None,
    timezone: str | None,
    station: str | None,
    guidance: Path | None,
    around: Path | None,
    accept: Sequence[datetime],
    every_day: bool,
    out: Path | None,
    store: Store,
) -> None:
    """Forecast tmax on the day after the end of the record, as CSV in the units of the record."""
    options.guidance_by_station(guidance, [data], record_format)
    options.check_outputs((out,), (data, guidance))
    served = served_model(store, station or groups([data], record_format)[0][0])
    named = [name for name in served.further if name in column_names(data)]
    record = read_record(data, record_format, units, named, guidance, timezone, station)
    if around:
        looked_at: dict[str, StationDays] = {}
        for file in records(str(around)):
            try:
                others = read_stations([file], record_format, units, timezone=timezone)
            except (ValueError, OSError) as error:
                messages.print(f"{file} is left out: {one_line(error).removeprefix(f'{file}: ')}")
            else:
                looked_at |= {name: other.days for name, other in others.items() if name in served.model.neighbours}
        record = replace(record, days=with_neighbours(record.days, looked_at))
    units = units or record.units
    if served.refused:
        messages.print(
            f"forecast by the earlier champion {served.version}, because the present one was refused: {served.refused}"
        )
    forecasts_used = [name for name in served.further if is_guidance(name) or is_spread(name)]
    if guidance and not set(record.days.further) & set(forecasts_used):
        uses = f"it uses {', '.join(forecasts_used)}" if forecasts_used else "it was trained without guidance"
        messages.print(f"{guidance} is not used by the model of {served.station}: {uses}")
    dates = [day.date() for day in accept]
    try:
        forecasts, said = (every_forecast if every_day else forecast)(served, record, units, dates)
    except QuestionError as error:
        raise click.ClickException(f"{data}: {error.errors[0].detail}") from None
    if not forecasts:
        raise click.ClickException(f"{data}: too few days for a forecast")
    if out:
        out.write_text(as_csv(forecasts, units))
    else:
        click.echo(as_csv(forecasts, units), nl=False)
    for line in said:
        messages.print(line)


def forecast(
    served: ServedModel, record: Record, units: Units, accept: Sequence[date]
) -> tuple[list[Forecast], list[str]]:
    """Return the forecast from the last day with a tmax, and what is to be said of it.

    Raises QuestionError where the last tmax is not believed, or there are too few days.
    """
    options = Options(units=units, accept=tuple(accept))
    question = FileQuestion.of_record(record, options, served, BY_OPTION)
    found, judgement = forecast_from(served, question)
    filled = [f"filled {date} {column}" for date, column in found.filled]
    return [found], [*question.notes, *flags_of(question, judgement), *filled, *found.notes]


def every_forecast(
    served: ServedModel, record: Record, units: Units, accept: Sequence[date]
) -> tuple[list[Forecast], list[str]]:
    """Return the forecasts from all days of a record that allow one, and what is to be said of the others."""
    days, real, forecasts, doubted = record.days, [*map(np.datetime64, accept)], [], 0
    if wrong := [date for date in accept if not days.first <= np.datetime64(date) <= days.last]:
        raise click.UsageError(f"--accept: {wrong[0]} is not a day of the record, {days.first} to {days.last}")
    for last in np.flatnonzero(~np.isnan(days.tmax)).tolist():
        sequence = days.part(max(0, last + 1 - served.longest), last + 1)
        judgement = served.belief.judge(sequence, units, real)
        if judgement.refused:
            doubted += 1
            continue
        with suppress(SequenceError):
            forecasts.append(served.model.predict(judgement.days))
    others = f"{len(forecasts)} forecasts; none from {len(days) - len(forecasts)} days: tmax is missing"
    return forecasts, [f"{others}, or not believed ({doubted} days), or too few days precede them"]


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
