"""Retrain the models of many stations, and promote those that earn it."""

import glob
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from app.files import replace_file
from app.fleet import Backend, run
from app.report import retraining_report
from app.retrain import Plan, Task, only_one, retrain_station, settle, tasks, together_for
from app.rounds import Outcome, reason
from app.store import Store
from models.recipe import Recipe
from models.station_days import Units
from scripts.console import Command, messages, output, reading_options, store_option
from scripts.metrics import outcomes_json, write_metrics
from scripts.recipes import guidance_folder_option, guidance_of, output_option, pool_option, recipe_options
from scripts.tables import retraining_table


@click.command(cls=Command)
@click.option("--data", required=True, help="Folder of records (*.csv), or a pattern in quotes: 'records/*.csv'.")
@reading_options
@guidance_folder_option
@pool_option
@recipe_options
@click.option(
    "--jobs", type=click.IntRange(min=1), default=os.cpu_count(), help="Processes. Default: one for each core."
)
@click.option("--backend", type=click.Choice(get_args(Backend)), default="loky", show_default=True, help="Who works.")
@click.option("--scheduler", help="Address of a cluster, of Dask (tcp://host:8786) or Ray.")
@click.option("--force", is_flag=True, help="Promote whatever is trained, even of an unchanged record.")
@click.option("--dry-run", is_flag=True, help="Train and judge, but change nothing in the store.")
@click.option(
    "--max-failures", type=click.IntRange(min=0), default=0, show_default=True, help="More are exit status 1."
)
@output_option("--report", "HTML page of what came of it.")
@output_option("--json", "The same for machines.")
@output_option("--metrics", "Prometheus text file (*.prom).")
@store_option
def retrain(
    data: str,
    record_format: str,
    units: Units,
    guidance: Path | None,
    pool: bool,
    recipe: Recipe,
    seed: int,
    jobs: int,
    backend: Backend,
    scheduler: str | None,
    force: bool,
    dry_run: bool,
    max_failures: int,
    report: Path | None,
    json: Path | None,
    metrics: Path | None,
    store: Store,
) -> None:
    """Train a challenger for each station whose record or guidance has changed, and promote those that earn it.

    The station is named by its file. A challenger is judged beside the champion on the days that neither has seen. What
    is finished is kept when the work is interrupted, and the next run goes on from there.
    """
    if scheduler and backend == "loky":
        raise click.UsageError("--scheduler is for --backend dask or ray")
    files = records(data)
    guided_by = guidance_of(guidance, files)
    plan = Plan(recipe, seed, record_format, units, force, pool)
    outcomes: list[Outcome] = []
    began, stopped = datetime.now(UTC), ""
    with nullcontext() if dry_run else only_one(store), Stations(len(files)) as progress:

        def note(outcome: Outcome) -> None:
            outcomes.append(outcome)
            progress.show(outcome)

        def changed() -> Iterator[Task]:
            for item in tasks(store, files, plan, dry_run, guided_by):
                if isinstance(item, Task):
                    yield item
                else:
                    note(item)

        def due() -> Iterable[Task]:
            if not pool:
                return changed()
            all_due = list(changed())
            if not all_due:
                return []
            try:
                return together_for(None if dry_run else store, files, plan, all_due, guided_by)
            except ValueError as error:
                messages.print(f"each by itself: {error}")
                return all_due

        try:
            with closing(run(retrain_station, due(), backend, jobs, scheduler)) as answers:
                for task, answer in answers:
                    note(settle(None if dry_run else store, task, answer))
        except KeyboardInterrupt:
            stopped = "interrupted"
        except ValueError as error:  # of the backend; what goes wrong with a station is an outcome
            stopped = str(error)
    seconds = (datetime.now(UTC) - began).total_seconds()
    failures = sum(outcome.decision == "failed" for outcome in outcomes)
    if metrics:
        write_metrics(metrics, outcomes, began, seconds, success=not stopped and failures <= max_failures)
    if json:
        replace_file(json, outcomes_json(outcomes, began, seconds))
    if report:
        replace_file(report, retraining_report(outcomes, began, seconds).encode())
    output.print(retraining_table(outcomes))
    if dry_run:
        messages.print("dry run: the store is as it was")
    if stopped:
        done = f"{len(outcomes)} of {len(files)} stations are done, and the next run goes on from there"
        raise click.ClickException(f"{stopped}; {done}")
    if failures > max_failures:
        raise click.ClickException(f"{failures} of {len(files)} stations failed; --max-failures is {max_failures}")


def records(data: str) -> list[Path]:
    """Return the records that a folder holds, or that a pattern names, sorted.

    Raises
    ------
    click.UsageError : where there are none
    """
    pattern = f"{glob.escape(data)}/*.csv" if Path(data).is_dir() else data
    files = sorted(path for path in map(Path, glob.glob(pattern, recursive=True)) if path.is_file())  # noqa: PTH207
    if not files:
        raise click.UsageError(f"no record is found: {pattern}")
    return files


class Stations:
    """Shows how far the stations are: a bar with an estimate of what is left on a terminal, a line each elsewhere."""

    def __init__(self, total: int) -> None:
        self.began = time.monotonic()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            console=messages,
            transient=True,
            disable=not messages.is_terminal,
        )
        self.task = self.progress.add_task("retraining", total=total)
        self.done, self.total = 0, total

    def __enter__(self) -> "Stations":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def show(self, outcome: Outcome) -> None:
        """Tell of a station that has ended."""
        self.done += 1
        self.progress.update(self.task, completed=self.done, description=outcome.station)
        if outcome.decision == "failed" or (not messages.is_terminal and outcome.decision != "unchanged"):
            left = (time.monotonic() - self.began) / self.done * (self.total - self.done)
            how_far = f"{self.done} of {self.total}, {left / 60:.0f} min left"
            messages.print(f"{outcome.station}: {outcome.decision}: {reason(outcome)} ({how_far})")


if __name__ == "__main__":
    retrain()
