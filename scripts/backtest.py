"""Backtest: forecast past days with models trained on the days before them, and score the forecasts."""

import csv
import io
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TypeAlias

import click
import msgspec
import numpy as np

from app.readers import Record, groups, read_with_guidance, readable
from app.store.files import replace_file
from app.store.manifest import Span
from app.text import one_line
from app.training.neighbours import Surroundings
from app.training.shared import fit_shared
from app.training.train import setup_for
from models.forecast.guidance.shared import SharedCorrector
from models.recipe import Recipe
from models.record.columns import TEMPERATURE, Units
from models.record.days import ONE_DAY
from models.verification.backtest import backtest as roll_forward
from models.verification.backtest import backtest_folds
from models.verification.comparison import Comparison, Scores
from models.verification.trial import n_networks
from scripts.cli import options
from scripts.cli.console import Command, messages, output, told
from scripts.cli.progress import TrainingProgress
from scripts.cli.tables import scores_table

LEVELS = (0.8, 0.9)  # of the model's intervals in the CSV file
BASELINES = ("persistence", "climatology")
GUIDANCE_BASELINES = ("guidance", "emos")

SharedUntil: TypeAlias = Callable[[np.datetime64], SharedCorrector | None]


class Fold(msgspec.Struct):
    """Days forecast by one model, trained on the days before them."""

    first: str
    last: str
    n: int


class Result(msgspec.Struct):
    """A station in the JSON file; scores are by forecaster, those of the model under the name ``model``."""

    station: str
    model: str
    data_digest: str
    n: int
    tested: Span
    folds: list[Fold]
    scores: dict[str, Scores]
    scores_by_season: dict[str, dict[str, Scores]]


class Results(msgspec.Struct):
    """The JSON file; ``failed`` is file -> reason."""

    units: str
    recipe: Recipe
    seed: int
    fold_days: int
    stations: list[Result]
    failed: dict[str, str]


@click.command(cls=Command)
@options.files
@options.guidance
@options.pool
@options.recipe
@click.option("--folds", type=click.IntRange(min=1), default=5, show_default=True, help="Number of folds.")
@click.option("--days", type=click.IntRange(min=1), default=365, show_default=True, help="Calendar days per fold.")
@options.output_file("--report", "HTML report, in degC.")
@options.output_file("--json", "JSON file of all scores, in degC.")
@options.output_file("--forecasts", "CSV file of all forecasts and observations, in degC.")
def backtest(
    files: list[Path],
    record_format: str,
    units: Units | None,
    timezone: str | None,
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
    """Backtest the last days of each FILE in folds: train on the days before each fold, then forecast its days.

    A file that cannot be read or is too short is reported and skipped; the exit status is then 1. The output files are
    rewritten after each station, in degC whatever the units of the records.

    The pretrained initial weights may have been trained on later days of the same station; test such a station with
    initial_weights = "random" in the recipe.
    """
    guidance_files = options.guidance_by_station(guidance, files, record_format)
    options.check_outputs((report, json, forecasts), (*files, *guidance_files.values()))
    results = Results(TEMPERATURE.metric, recipe, seed, days, [], {})
    comparisons: list[Comparison] = []

    def read(together: tuple[Path, ...]) -> list[Record]:
        return read_with_guidance(together, record_format, units, timezone, recipe.columns, guidance_files)

    stations = groups(files, record_format)
    shared = shared_until([together for _, together in stations], read, recipe, seed) if pool else None
    surroundings = Surroundings(readable([together for _, together in stations], read) if recipe.neighbours else ())
    for _, together in stations:
        name = one_line(", ".join(map(str, together)))
        try:
            for record in read(together):
                if record.station in {result.station for result in results.stations}:
                    raise ValueError(f"another file is also of station {record.station!r}: keep one, or rename one")
                told(record)
                comparison, result = backtest_station(record, recipe, seed, folds, days, shared, surroundings)
                results.stations.append(result)
                comparisons.append(comparison)
                print_tables(result)
        except (ValueError, ArithmeticError, MemoryError, OSError) as error:
            results.failed[name] = one_line(error).removeprefix(f"{name}: ")
            messages.print(f"Error: {name}: {results.failed[name]}")
        if comparisons:
            write(results, comparisons, report, json, forecasts)
    if len(results.stations) > 1:
        models = {result.station: result.scores[result.model] for result in results.stations}
        output.print(scores_table(f"{recipe.cell} by station", models))
    if results.failed:
        raise SystemExit(1)


def shared_until(
    stations: Iterable[tuple[Path, ...]], read: Callable[[tuple[Path, ...]], list[Record]], recipe: Recipe, seed: int
) -> SharedUntil:
    """Return a function that fits the shared corrector to all files, up to the day that it is given."""

    @cache
    def shared(through: np.datetime64) -> SharedCorrector | None:
        try:
            return fit_shared(readable(stations, read), recipe, seed, through)
        except ValueError as error:
            messages.print(f"for the fold trained up to {through}, no shared corrector: {error}")
            return None

    return shared


def backtest_station(
    record: Record,
    recipe: Recipe,
    seed: int,
    n_folds: int,
    n_days: int,
    shared: SharedUntil | None,
    surroundings: Surroundings,
) -> tuple[Comparison, Result]:
    """Backtest a station and score its forecasts; its neighbours are chosen by the days before the first fold."""
    folds = list(backtest_folds(record.days, recipe, n_folds, n_days))
    neighbours = surroundings.chosen(record, recipe, record.days.dates[folds[0][0]]) if folds else ()
    record = surroundings.joined(record, neighbours)
    days = record.days
    networks = [n_networks(days.part(0, end), recipe) for end, _ in folds]
    with TrainingProgress(record.station, sum(networks), every=networks[0] if networks else 1) as progress:
        setup, _ = setup_for(recipe, seed, on_epoch=progress.show, neighbours=neighbours)
        comparison = roll_forward(record.station, days, setup, n_folds, n_days, shared)
    valid = [dates + ONE_DAY for _, rows in folds if len(dates := np.intersect1d(days.dates[rows], comparison.issued))]
    tested = [Fold(str(dates[0]), str(dates[-1]), len(dates)) for dates in valid]
    return comparison, Result(
        station=record.station,
        model=comparison.model,
        data_digest=record.digest,
        n=len(comparison.issued),
        tested=Span(tested[0].first, tested[-1].last),
        folds=tested,
        scores=comparison.scores(),
        scores_by_season=comparison.scores_by_season(),
    )


def print_tables(result: Result) -> None:
    """Print the scores of all forecasters, and those of the model by season."""
    days = f"{result.n} days from {result.tested.first} to {result.tested.last} in {len(result.folds)} fold(s)"
    output.print(scores_table(f"{result.station}: next-day tmax on {days}", result.scores))
    seasons = {name: scores[result.model] for name, scores in result.scores_by_season.items()}
    output.print(scores_table(f"{result.model} by season", seasons))


def write(
    results: Results, comparisons: list[Comparison], report: Path | None, json: Path | None, forecasts: Path | None
) -> None:
    """Write the output files; existing ones are replaced atomically."""
    if json:
        replace_file(json, msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    if forecasts:
        replace_file(forecasts, as_csv(comparisons).encode())
    if report:
        from app.report.page import backtest_report  # noqa: PLC0415  # plotly is slow to import

        replace_file(report, backtest_report(comparisons).encode())


def as_csv(comparisons: list[Comparison]) -> str:
    """Return one line per forecast, degC: the model's with its intervals, and those of the baselines.

    The columns of guidance are empty for stations without any, and absent where no station has any.
    """
    text = io.StringIO()
    ends = [f"{end}_{100 * level:.0f}" for level in LEVELS for end in ("low", "high")]
    beside = [*BASELINES, *(name for name in GUIDANCE_BASELINES if any(name in c.quantiles for c in comparisons))]
    names = ["station", "issued", "date", "observed", "tmax", *ends, *beside]
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    for c in comparisons:
        bounds = [end for level in LEVELS for end in c.interval(c.model, level)]
        columns = {"observed": c.observed, "tmax": c.points[c.model], **dict(zip(ends, bounds, strict=True))}
        columns |= {name: c.points[name] for name in beside if name in c.points}
        for row, issued in enumerate(c.issued):
            numbers = {name: f"{column[row]:.2f}" for name, column in columns.items()}
            writer.writerow({"station": c.station, "issued": issued, "date": issued + ONE_DAY, **numbers})
    return text.getvalue()


if __name__ == "__main__":
    backtest()
