"""Forecast a station's past as it would have been forecast then, and see how good that would have been."""

import csv
import io
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import click
import msgspec
import numpy as np

from app.files import replace_file
from app.manifest import Span
from app.pooling import learn_together
from app.readers import Record, read_record, station_name
from app.report import backtest_report
from app.starts import start_for
from models.backtest import backtest as roll_forward
from models.backtest import folds as cut_folds
from models.backtest import teaching_rows
from models.correctors import Pooled
from models.recipe import Recipe
from models.station_days import ONE_DAY, UNIT_NAMES, Units
from models.verification import Scores, Verification
from scripts.console import Command, messages, output
from scripts.recipes import (
    Epochs,
    files_options,
    guidance_folder_option,
    guidance_of,
    networks_of,
    output_option,
    pool_option,
    recipe_options,
)
from scripts.tables import scores_table

# Of the model, in the CSV file.
LEVELS = (0.8, 0.9)
BESIDE = ("persistence", "climatology")
BESIDE_GUIDANCE = ("guidance", "emos")


class Fold(msgspec.Struct):
    """Days that were forecast by one model, which was trained before the first of them."""

    first: str
    last: str
    n: int


class Result(msgspec.Struct):
    """A station's part of the JSON file; scores are by forecaster, the model first."""

    station: str
    model: str
    data_digest: str
    n: int
    tested: Span
    folds: list[Fold]
    scores: dict[str, Scores]
    scores_by_season: dict[str, dict[str, Scores]]


class Results(msgspec.Struct):
    """What the JSON file holds; ``failed`` is the reason by file."""

    units: str
    recipe: Recipe
    seed: int
    fold_days: int
    stations: list[Result]
    failed: dict[str, str]


@click.command(cls=Command)
@files_options
@guidance_folder_option
@pool_option
@recipe_options
@click.option("--folds", type=click.IntRange(min=1), default=5, show_default=True, help="How often to train anew.")
@click.option(
    "--days", type=click.IntRange(min=1), default=365, show_default=True, help="Calendar days forecast in each fold."
)
@output_option("--report", "HTML page of all stations, in degC.")
@output_option("--json", "JSON file of all scores, in degC.")
@output_option("--forecasts", "CSV file of every forecast beside what was observed, in degC.")
def backtest(
    files: list[Path],
    record_format: str,
    units: Units,
    guidance: Path | None,
    pool: bool,
    recipe: Recipe,
    seed: int,
    folds: int,
    days: int,
    report: Path | None,
    json: Path | None,
    forecasts: Path | None,
) -> None:
    """Roll forward over the newest part of each FILE: train on the days before a fold, forecast its days, go on.

    A file that cannot be read, or is too short, is told of, and the others go on; the exit status is 1 then. The files
    that are written are written anew after each station. Whatever the units of the records, all that is written is in
    degC.

    Weights learned from many stations, where networks begin unless the recipe says start = "random", may know later
    days of these stations; a station that was among them should be tested with random ones.
    """
    guided_by = guidance_of(guidance, files)
    read = {path.resolve() for path in (*files, *guided_by.values())}
    outputs = [path.resolve() for path in (report, json, forecasts) if path]
    if len({*outputs, *read}) < len(outputs) + len(read):
        raise click.UsageError("each file that is written must be another, and none of the records or their guidance")
    results = Results(UNIT_NAMES["metric"]["tmax"], recipe, seed, days, [], {})
    verifications: list[Verification] = []

    def read_one(path: Path) -> Record:
        return read_record(path, record_format, units, recipe.predictors, guided_by.get(station_name(path)))

    @cache
    def together(through: np.datetime64) -> Pooled | None:
        records = []
        for path in files:
            with suppress(ValueError, OSError):  # it is told of when its turn comes
                records.append(read_one(path))
        try:
            return learn_together(records, recipe, seed, through)
        except ValueError as error:
            messages.print(f"up to {through} each by itself: {error}")
            return None

    for path in files:
        try:
            record = read_one(path)
            check_new(record.station, results)
            verification, result = backtest_station(record, recipe, seed, folds, days, together if pool else None)
        except (ValueError, ArithmeticError, MemoryError, OSError) as error:
            reason = " ".join(str(error).split()).removeprefix(f"{path}: ")
            results.failed[str(path)] = reason
            messages.print(f"Error: {path}: {reason}")
        else:
            results.stations.append(result)
            verifications.append(verification)
            print_tables(result)
        if verifications:
            write(results, verifications, report, json, forecasts)
    if len(results.stations) > 1:
        models = {result.station: result.scores[result.model] for result in results.stations}
        output.print(scores_table(f"{recipe.cell} at each station", models))
    if results.failed:
        raise SystemExit(1)


def check_new(station: str, results: Results) -> None:
    """Raise ValueError where another file was of a station of this name."""
    if station in {result.station for result in results.stations}:
        raise ValueError(f"another file is of a station named {station} too: rename one of them")


def backtest_station(
    record: Record,
    recipe: Recipe,
    seed: int,
    n_folds: int,
    n_days: int,
    together: Callable[[np.datetime64], Pooled | None] | None = None,
) -> tuple[Verification, Result]:
    """Backtest a station, and score it."""
    days = record.days
    cuts = [(end, days.dates[rows]) for end, rows in cut_folds(days, recipe, n_folds, n_days) if len(rows)]
    issued = [dates for _, dates in cuts]
    networks = [
        networks_of(recipe, bool(len(teaching_rows(days.part(0, end)))), together is not None) for end, _ in cuts
    ]
    with Epochs(record.station, [epochs for fold in networks for epochs in fold], told=len(networks[0])) as epochs:
        verification = roll_forward(
            record.station, days, recipe, seed, n_folds, n_days, epochs.show, start_for(recipe), together
        )
    issued = [dates for fold in issued if len(dates := np.intersect1d(fold, verification.issued))]
    tested = [Fold(str(dates[0] + ONE_DAY), str(dates[-1] + ONE_DAY), len(dates)) for dates in issued]
    return verification, Result(
        station=record.station,
        model=verification.model,
        data_digest=record.digest,
        n=len(verification.issued),
        tested=Span(tested[0].first, tested[-1].last),
        folds=tested,
        scores=verification.scores(),
        scores_by_season={name: part.scores() for name, part in verification.seasons().items()},
    )


def print_tables(result: Result) -> None:
    """Print the scores of a station: of all forecasters, and of the model by season."""
    days = f"{result.n} days from {result.tested.first} to {result.tested.last} in {len(result.folds)} fold(s)"
    output.print(scores_table(f"{result.station}: tmax forecast the day before on {days}", result.scores))
    seasons = {name: scores[result.model] for name, scores in result.scores_by_season.items()}
    output.print(scores_table(f"{result.model} by season", seasons))


def write(
    results: Results,
    verifications: list[Verification],
    report: Path | None,
    json: Path | None,
    forecasts: Path | None,
) -> None:
    """Write the files that are wanted; where one was there, it is replaced once its successor is whole."""
    if json:
        replace_file(json, msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    if forecasts:
        replace_file(forecasts, as_csv(verifications).encode())
    if report:
        replace_file(report, backtest_report(verifications).encode())


def as_csv(verifications: list[Verification]) -> str:
    """Return a line a forecast, degC: the model's with its ranges, and those of the baselines.

    The columns are those of all stations: those of guidance are empty where a station has none, and not there where no
    station has any.
    """
    text = io.StringIO()
    ends = [f"{end}_{100 * level:.0f}" for level in LEVELS for end in ("low", "high")]
    beside = [*BESIDE, *(name for name in BESIDE_GUIDANCE if any(name in v.quantiles for v in verifications))]
    names = ["station", "issued", "date", "observed", "tmax", *ends, *beside]
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    for v in verifications:
        ranges = [end for level in LEVELS for end in v.interval(v.model, level)]
        columns = {"observed": v.observed, "tmax": v.points[v.model], **dict(zip(ends, ranges, strict=True))}
        columns |= {name: v.points[name] for name in beside if name in v.points}
        for row, issued in enumerate(v.issued):
            numbers = {name: f"{column[row]:.2f}" for name, column in columns.items()}
            writer.writerow({"station": v.station, "issued": issued, "date": issued + ONE_DAY, **numbers})
    return text.getvalue()


if __name__ == "__main__":
    backtest()
