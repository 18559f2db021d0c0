"""Synthetic stations, real records, and a recipe that trains quickly."""

import os
from pathlib import Path

import numpy as np

from models.recipe import GuidanceRecipe, Recipe
from models.record.columns import COLUMNS
from models.record.days import StationDays

ROOT = Path(__file__).parent.parent

# Two small networks with random initial weights; they use 14 days, few enough for a test to write down.
QUICK = Recipe(
    hidden=4,
    members=2,
    window=8,
    memory=7,
    max_gap=5,
    epochs=2,
    refit_epochs=1,
    initial_weights="random",
    guidance=GuidanceRecipe(days=14, hidden=4, folds=3, members=1, epochs=2),
)

# The real records of this folder, and those of the folder that TMAX_RECORDS names, where it is set.
RECORDS = sorted((Path(__file__).parent / "data").glob("*.csv"))
if "TMAX_RECORDS" in os.environ:
    RECORDS += sorted(Path(os.environ["TMAX_RECORDS"]).glob("*.csv"))


def synthetic_days(n=1200, seed=0, first="2015-01-01"):
    """A station with a season, weather that lasts a few days, and rain on some of them."""
    rng = np.random.default_rng(seed)
    weather = np.zeros(n)
    for day in range(1, n):
        weather[day] = 0.7 * weather[day - 1] + rng.normal(0, 2.5)
    tmax = 15 - 10 * np.cos(2 * np.pi * np.arange(n) / 365.25) + weather
    tmin = tmax - rng.uniform(4, 12, n)
    rain = np.where(rng.random(n) < 0.3, rng.exponential(5, n), 0.0)
    return StationDays(np.datetime64(first, "D"), np.round(np.column_stack([tmax, tmin, rain]), 1))


def guided_days(n=1200, seed=0, first="2015-01-01", bias=-2.0, spread=True, wind=True):
    """The same with guidance that is too cold, the more so with wind, and whose spread says how certain it is."""
    days = synthetic_days(n + 1, seed, first)
    rng = np.random.default_rng([seed, 1])
    deviation, windy = rng.uniform(0.3, 1.5, n), rng.exponential(1.0, n)
    guidance = days.next_tmax[:n] + bias - 0.8 * windy + deviation * rng.normal(0, 1, n)
    further = {"guidance": guidance.round(1)}
    further |= {"guidance_spread": deviation.round(2)} if spread else {}
    further |= {"next_wind": windy.round(2)} if wind else {}
    return StationDays(days.first, days.values[:n], further)


def surrounded_days(n=1200, seed=0):
    """A station whose pressure, and whose neighbour dale, tell of the next day; a random column tells nothing."""
    days = synthetic_days(n + 1, seed)
    rng = np.random.default_rng([seed, 2])
    ahead = (days.next_tmax - days.tmax)[:n]
    further = {"pressure": 1013 + 2 * ahead, "hail": rng.random(n)}
    further["dale/tmax"] = days.tmax[:n] + 0.5 * ahead + rng.normal(0, 1, n)
    further["dale/pressure"] = 1010 + rng.normal(0, 5, n)
    return StationDays(days.first, days.values[:n], {name: series.round(2) for name, series in further.items()})


def write_csv(path, days):
    table = np.column_stack([days.values, *days.further.values()])
    lines = (
        f"{date}," + ",".join("" if np.isnan(v) else f"{v:g}" for v in row)
        for date, row in zip(days.dates, table, strict=True)
    )
    path.write_text("\n".join([",".join(["date", *COLUMNS, *days.further]), *lines, ""]))
    return path


def observations(days, n=14):
    """The last days as the JSON of a request."""
    return [
        {"date": str(date)} | {k: None if np.isnan(v) else float(v) for k, v in zip(COLUMNS, row, strict=True)}
        for date, row in zip(days.dates[-n:], days.values[-n:], strict=True)
    ]
