"""Retrain many stations, and promote the challengers that pass the verdict."""

import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import click

from app.report.metrics import outcomes_json, write_metrics
from app.store import Store, StoreError
from app.store.files import replace_file
from app.training.retrain import Workers
from app.training.retrain import retrain as retrain_stations
from app.training.task import Plan
from app.training.workers import Backend
from scripts.cli import options
from scripts.cli.console import Command, messages, output
from scripts.cli.progress import StationProgress
from scripts.cli.records import records
from scripts.cli.tables import retraining_table


@click.command(cls=Command)
@click.option("--data", required=True, help="Folder of records, or a quoted pattern: 'records/*.csv'.")
@options.reading
@options.guidance
@options.pool
@options.recipe
@click.option("--jobs", type=click.IntRange(min=1), default=os.cpu_count(), help="Processes. Default: one per core.")
@click.option("--backend", type=click.Choice(get_args(Backend)), default="loky", show_default=True, help="Worker pool.")
@click.option("--scheduler", help="Address of a Dask scheduler (tcp://host:8786).")
@click.option("--force", is_flag=True, help="Promote every challenger unjudged, even where no file has changed.")
@click.option("--dry-run", is_flag=True, help="Train and judge, but leave the store unchanged.")
@click.option(
    "--max-failures",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Exit with status 1 if more stations fail.",
)
@options.output_file("--report", "HTML report of the outcomes.")
@options.output_file("--json", "JSON file of the outcomes.")
@options.output_file("--metrics", "Prometheus text file of the metrics (*.prom).")
@options.store
def retrain(
    data: str,
    guidance: Path | None,
    backend: Backend,
    jobs: int,
    scheduler: str | None,
    dry_run: bool,
    max_failures: int,
    store: Store,
    report: Path | None,
    json: Path | None,
    metrics: Path | None,
    **plan: Any,
) -> None:
    """Train a challenger for each station whose record or guidance has changed, and promote it if it passes.

    A station is named after the id in its file, or else after the file. Challenger and champion are judged on days that
    neither has seen. An interrupted run keeps the finished stations, and the next run continues from there.
    """
    if scheduler and backend == "loky":
        raise click.UsageError("--scheduler needs --backend dask")
    files = records(data)
    guidance_files = options.guidance_by_station(guidance, files, plan["record_format"])
    options.check_outputs((report, json, metrics), (*files, *guidance_files.values()))
    store = Store(store.root, read_only=dry_run)
    began, stopped = datetime.now(UTC), ""
    workers = Workers(backend, jobs, scheduler)
    with StationProgress(len(files)) as progress:
        try:
            retrain_stations(store, files, Plan(**plan), workers, progress.show, guidance_files, messages.print)
        except KeyboardInterrupt:
            stopped = "interrupted"
        except StoreError:
            raise  # nothing was done: the output files of the last run are kept
        except (ValueError, OSError) as error:  # of the workers or the disk; a station's failure is its outcome
            stopped = str(error)
    outcomes = progress.outcomes
    seconds = (datetime.now(UTC) - began).total_seconds()
    failures = sum(outcome.decision == "failed" for outcome in outcomes)
    if metrics:
        write_metrics(metrics, outcomes, began, seconds, success=not stopped and failures <= max_failures)
    if json:
        replace_file(json, outcomes_json(outcomes, began, seconds, dry_run))
    if report:
        from app.report.retraining import retraining_report  # noqa: PLC0415  # plotly is slow to import

        replace_file(report, retraining_report(outcomes, began, seconds, dry_run).encode())
    output.print(retraining_table(outcomes))
    if dry_run:
        messages.print("dry run: the store is unchanged")
    if stopped:
        kept = "" if dry_run else "; the next run continues from there"
        raise click.ClickException(f"{stopped}; {len(outcomes)} of {len(files)} stations are done{kept}")
    if failures > max_failures:
        raise click.ClickException(f"{failures} of {len(outcomes)} stations failed; --max-failures is {max_failures}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service manager stops it like Ctrl-C
    retrain()
