"""Benchmark of retraining: stations per CPU-second, and the speed-up of a second process or a Dask cluster."""

import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import click
import msgspec
import numpy as np
from rich.table import Table

from app.readers import Record, read_record
from app.training.task import Answer, Plan, Task, retrain_station
from app.training.workers import NOT_INSTALLED, run
from models.recipe import Recipe
from models.record.columns import TEMPERATURES
from models.record.days import ONE_DAY, StationDays
from scripts.cli.console import Command, messages, output
from scripts.cli.options import EMBEDDED

NEW_DAYS = 60  # since the champion was trained
NOISE = 0.3  # degC; without it, years that are drawn twice would be suspect as copies


@click.command(cls=Command)
@click.option("--stations", type=click.IntRange(min=2), default=2, show_default=True, help="Stations to retrain.")
@click.option("--years", type=click.IntRange(min=2), default=30, show_default=True, help="Years per record.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Timings of each.")
def benchmark(stations: int, years: int, rounds: int) -> None:
    """Time the retraining of stations with records drawn from the years of the embedded station."""
    try:
        from distributed import LocalCluster  # noqa: PLC0415
    except ImportError:
        raise click.ClickException(NOT_INSTALLED) from None

    record = read_record(EMBEDDED).days
    records = {f"s{n}": resampled(record, years, np.random.default_rng(n)) for n in range(stations)}
    cold, warm = (Plan(Recipe(retrain=kind)) for kind in ("cold", "warm"))
    _, champions = timed(
        [task(name, days.part(0, len(days) - NEW_DAYS), cold) for name, days in records.items()], jobs=2
    )
    again, from_champion = (
        [task(name, days, plan, champions[name]) for name, days in records.items()] for plan in (cold, warm)
    )
    seconds = {"first": cpu(champions), "cold": list[float](), "warm": list[float]()}
    walls: dict[str, list[float]] = {"one process": [], "two processes": [], "two Dask workers": []}
    with LocalCluster(
        n_workers=2, threads_per_worker=1, protocol="tcp://", dashboard_address="127.0.0.1:0", memory_limit=0
    ) as cluster:
        dask = {"backend": "dask", "scheduler": cluster.scheduler_address}
        options: list[dict[str, Any]] = [{"jobs": 1}, {"jobs": 2}, dask]
        for number in range(rounds):
            messages.print(f"round {number + 1} of {rounds}")
            seconds["warm"] += cpu(timed(from_champion, jobs=1)[1])
            for name, how in zip(walls, options, strict=True):
                took, done = timed(again, **how)
                walls[name].append(took)
                if name == "one process":
                    seconds["cold"] += cpu(done)
    table = Table("retraining", "CPU-seconds per station", "stations per CPU-second")
    for kind, each in seconds.items():
        table.add_row(kind, f"{median(each):.2f}", f"{1 / median(each):.3f}")
    output.print(table)
    one, two, of_dask = walls.values()
    for text, above, below in (
        ("speed-up of two processes:", one, two),
        ("speed of two Dask workers relative to two processes:", two, of_dask),
    ):
        output.print(f"{text} {median(a / b for a, b in zip(above, below, strict=True)):.2f}")


def resampled(days: StationDays, years: int, rng: np.random.Generator) -> StationDays:
    """Return a record of ``years`` years, each drawn from ``days``, with noise."""
    first = np.datetime64("1990-01-01")
    n = int(((first.astype("M8[Y]") + years).astype("M8[D]") - first) / ONE_DAY)
    drawn = rng.integers(0, len(days) // 366, years)
    rows = np.concatenate([year * 365 + np.arange(366) for year in drawn])[:n]
    values = days.values[rows]
    values[:, TEMPERATURES] += rng.normal(0, NOISE, (n, 1))
    return StationDays(first, values.round(1))


def task(name: str, days: StationDays, plan: Plan, champion: Answer | None = None) -> Task:
    """Return a worker's task; ``champion`` is the answer to an earlier one."""
    task = Task(name, Record(name, days), plan)
    if champion is None:
        return task
    return msgspec.structs.replace(task, version="first", state=champion.state, manifest=champion.manifest)


def timed(tasks: Sequence[Task], **options: Any) -> tuple[float, dict[str, Answer]]:
    """Return the wall-clock time of the tasks, s, and the answers by station. Raises ValueError where one failed."""
    began = time.perf_counter()
    found = {given.station: answer for given, answer in run(retrain_station, tasks, **options)}
    took = time.perf_counter() - began
    for station, answer in found.items():
        if isinstance(answer, Exception):
            raise ValueError(f"{station}: {answer}")
    return took, found  # type: ignore[return-value]


def cpu(done: dict[str, Answer]) -> list[float]:
    """Return the CPU-seconds of each station."""
    return [answer.outcome.seconds for answer in done.values()]


if __name__ == "__main__":
    benchmark()
