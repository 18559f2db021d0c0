"""Backtest: forecasts of past days by models trained only on the days before them."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from models.forecast.guidance.guided import GuidedForecaster
from models.forecast.guidance.shared import SharedCorrector
from models.forecast.setup import Setup
from models.nn import Array
from models.recipe import Recipe
from models.record.days import StationDays
from models.record.quality import set_aside_suspect
from models.record.split import guidance_rows, min_rows, usable_rows
from models.verification.comparison import Comparison
from models.verification.trial import Probabilistic, Trial


def backtest_folds(days: StationDays, recipe: Recipe, n_folds: int, n_days: int) -> Iterator[tuple[int, Array]]:
    """Split the newest days of a record into chronological folds of ``n_days`` days, without empty folds.

    Yields
    ------
    end : the first row after the fold's training days
    rows : the issue dates of its forecasts; the first is the day before ``end``

    Raises ValueError where too few days are left for training before the first fold.
    """
    ends = [len(days) - n_days * back for back in range(n_folds, 0, -1)]
    before = set_aside_suspect(days.part(0, ends[0]))[0] if ends[0] > 0 else days.part(0, 0)
    if not len(before) or len(usable_rows(before, recipe)) < min_rows(before):
        raise ValueError(
            f"{len(days)} days are too few for {n_folds} folds of {n_days} days: use fewer or shorter folds"
        )
    # With guidance, few days are enough for a forecast.
    usable = np.union1d(usable_rows(days, recipe), guidance_rows(days))
    for end in ends:
        rows = usable[(usable >= end - 1) & (usable < end - 1 + n_days)]
        if len(rows):
            yield end, rows


def backtest(
    station: str,
    days: StationDays,
    setup: Setup,
    n_folds: int = 5,
    n_days: int = 365,
    shared: Callable[[np.datetime64], SharedCorrector | None] | None = None,
) -> Comparison:
    """Roll forward over the folds: train on the days before each fold, then forecast its days.

    Everything fitted, including the selection of suspect values, comes only from the days before a fold; a forecast
    uses the days up to its issue date as recorded. ``shared`` returns the shared corrector fitted up to a given day.

    Raises ValueError where the record is too short or cannot be believed; FloatingPointError where the recipe makes the
    training diverge.
    """
    parts = []
    for end, tested in backtest_folds(days, setup.recipe, n_folds, n_days):
        fold_setup = replace(setup, shared=shared(days.dates[end - 1]) if shared else None)
        trial = Trial.run(station, days.part(0, end), fold_setup)
        model = trial.final()
        guided = isinstance(model, GuidedForecaster)
        rows = tested if guided else np.intersect1d(tested, usable_rows(days, setup.recipe))
        if len(rows):
            forecasters: dict[str, Probabilistic] = {setup.recipe.cell: model, **trial.baselines}
            known = days.part(0, int(rows[-1]) + 2)
            quantiles = {name: forecaster.quantiles(known, rows) for name, forecaster in forecasters.items()}
            parts.append(Comparison(station, setup.recipe.cell, days.dates[rows], days.next_tmax[rows], quantiles))
    return Comparison.joined(parts)
