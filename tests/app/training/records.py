"""Records whose models beat the baselines after a short training, and the recipe of these models."""

import json

import msgspec
import numpy as np

from models.record.days import StationDays
from tests.stations import QUICK

RECIPE = msgspec.structs.replace(QUICK, epochs=6, learning_rate=1e-2)


def changeable_days(n, seed):
    """Weather with so little persistence that a model beats that baseline on any forty days."""
    rng = np.random.default_rng(seed)
    weather = np.zeros(n)
    for day in range(1, n):
        weather[day] = 0.4 * weather[day - 1] + rng.normal(0, 3)
    tmax = 15 - 10 * np.cos(2 * np.pi * np.arange(n) / 365.25) + weather
    rain = np.where(rng.random(n) < 0.3, rng.exponential(5, n), 0.0)
    values = np.column_stack([tmax, tmax - rng.uniform(4, 12, n), rain])
    return StationDays(np.datetime64("2015-01-01"), values.round(1))


def toml(recipe):
    """Numbers, strings, lists and booleans are written in TOML as in JSON."""
    plain = msgspec.to_builtins(recipe)
    parts = {name: plain.pop(name) for name in list(plain) if isinstance(plain[name], dict)}
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in plain.items()]
    for part, values in parts.items():
        lines += [f"[{part}]\n", *(f"{name} = {json.dumps(value)}\n" for name, value in values.items())]
    return "".join(lines)


def content_of(folder):
    """Every file and folder below a folder, and the bytes of the files."""
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}
