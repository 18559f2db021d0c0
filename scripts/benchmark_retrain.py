"""What retraining costs: stations per CPU-second, and what a second process or a cluster of Dask brings."""

import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import click
import numpy as np
from rich.table import Table

from app.fleet import NOT_INSTALLED, run
from app.readers import read_record
from app.retrain import Answer, Plan, Task, retrain_station
from models.recipe import Recipe
from models.station_days import COLUMNS, ONE_DAY, TMAX, TMIN, StationDays
from scripts.console import Command, messages, output
from scripts.train import EMBEDDED

# Days that are new since the champion was trained.
NEW = 60

# Without it the years that are drawn twice would be doubted, as they would be the same to the digit.
NOISE = 0.3  # degC


@click.command(cls=Command)
@click.option("--stations", type=click.IntRange(min=2), default=2, show_default=True, help="How many are retrained.")
@click.option("--years", type=click.IntRange(min=2), default=30, show_default=True, help="Length of their records.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="How often each is timed.")
def benchmark(stations: int, years: int, rounds: int) -> None:
    """Time the retraining of stations whose years are drawn from those of the embedded one."""
    try:
        from distributed import LocalCluster  # noqa: PLC0415
    except ImportError:
        raise click.ClickException(NOT_INSTALLED.format("dask")) from None

    record = read_record(EMBEDDED).days
    fleet = {f"s{n}": resampled(record, years, np.random.default_rng(n)) for n in range(stations)}
    cold, warm = (Plan(Recipe(retrain=start)) for start in ("cold", "warm"))
    _, champions = timed([task(name, days.part(0, len(days) - NEW), cold) for name, days in fleet.items()], jobs=2)
    again, from_champion = (
        [task(name, days, plan, champions[name]) for name, days in fleet.items()] for plan in (cold, warm)
    )
    seconds = {"first": cpu(champions), "cold": list[float](), "warm": list[float]()}
    walls: dict[str, list[float]] = {"one process": [], "two processes": [], "two workers of Dask": []}
    with LocalCluster(
        n_workers=2, threads_per_worker=1, protocol="tcp://", dashboard_address="127.0.0.1:0", memory_limit=0
    ) as cluster:
        options: list[dict[str, Any]] = [
            {"jobs": 1},
            {"jobs": 2},
            {"backend": "dask", "scheduler": cluster.scheduler_address},
        ]
        for number in range(rounds):
            messages.print(f"round {number + 1} of {rounds}")
            seconds["warm"] += cpu(timed(from_champion, jobs=1)[1])
            for name, how in zip(walls, options, strict=True):
                took, done = timed(again, **how)
                walls[name].append(took)
                if name == "one process":
                    seconds["cold"] += cpu(done)
    table = Table("retraining", "CPU-seconds a station", "stations per CPU-second")
    for start, each in seconds.items():
        table.add_row(start, f"{median(each):.2f}", f"{1 / median(each):.3f}")
    output.print(table)
    one, two, dask = walls.values()
    for text, above, below in (("two processes do the work of", one, two), ("Dask does, of two processes,", two, dask)):
        output.print(f"{text} {median(a / b for a, b in zip(above, below, strict=True)):.2f}")


def resampled(days: StationDays, years: int, rng: np.random.Generator) -> StationDays:
    """Return so many years, each drawn from those of the record, as if they had followed each other."""
    first = np.datetime64("1990-01-01")
    n = int(((first.astype("M8[Y]") + years).astype("M8[D]") - first) / ONE_DAY)
    drawn = rng.integers(0, len(days) // 366, years)
    rows = np.concatenate([year * 365 + np.arange(366) for year in drawn])[:n]
    values = days.values[rows]
    values[:, [TMAX, TMIN]] += rng.normal(0, NOISE, (n, 1))
    return StationDays(first, values.round(1))


def task(name: str, days: StationDays, plan: Plan, champion: Answer | None = None) -> Task:
    """Return what a worker is given; the champion is the model that came of an earlier task."""
    cells = [
        ",".join([str(date), *("" if np.isnan(value) else f"{value:g}" for value in row)])
        for date, row in zip(days.dates, days.values, strict=True)
    ]
    content = "\n".join([",".join(("date", *COLUMNS)), *cells, ""]).encode()
    before = (champion.state, champion.manifest) if champion else (None, None)
    return Task(name, f"{name}.csv", content, plan, "first" if champion else None, *before)


def timed(tasks: Sequence[Task], **options: Any) -> tuple[float, dict[str, Answer]]:
    """Return the seconds that the tasks took, and the answers by station.

    Raises
    ------
    ValueError : where one failed
    """
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
