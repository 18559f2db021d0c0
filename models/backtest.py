"""Which days train and which are held out; how a station is learned; and what would have been forecast in the past."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from models.baselines import Baseline, baselines
from models.correctors import Pooled
from models.forecaster import Forecaster
from models.guided import MIN_GUIDED, Guided, guided_rows
from models.nn import Array, Epoch, Parameters
from models.predictors import check_not_the_answer, check_there_is_guidance
from models.quality import set_aside_the_doubtful
from models.recipe import Recipe
from models.sequence import usable_rows
from models.station_days import SetAside, StationDays
from models.verification import Verification

# Of the usable days, in order of time; the rest is held out.
TRAINING_SHARE = 0.85

# Fewer usable days than this say nothing about a year.
MIN_ROWS = 120


class Forecasting(Protocol):
    """Whatever forecasts with odds: the model and the baselines beside it."""

    def calibrated(self, days: StationDays, rows: Array) -> "Forecasting":
        """Return the same with the odds that its errors on ``rows`` show."""

    def quantiles(self, days: StationDays, rows: Array) -> Array:
        """Forecast from each of ``rows``: (n, 199) degC, at `models.intervals.PROBABILITIES`."""


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of the issue days, cut in order of time: no model is judged on days before those it learned from.

    Attributes
    ----------
    training : fit the weights, the climatology and the scaler
    held_out : train nothing; calibrate the odds and give the scores
    """

    training: Array
    held_out: Array

    @classmethod
    def chronological(cls, rows: Array, least: int = MIN_ROWS) -> "Split":
        """Cut the usable rows, which ascend, at `TRAINING_SHARE`.

        Raises
        ------
        ValueError : where there are fewer than ``least``
        """
        if len(rows) < least:
            raise ValueError(
                f"{len(rows)} usable days are too few to train on: at least {least} are needed that have tmax, "
                "have it on the next calendar day too, and have no long gap in the days before"
            )
        cut = int(TRAINING_SHARE * len(rows))
        return cls(rows[:cut], rows[cut:])

    def with_guidance(self, guided: Array) -> "Split":
        """Cut the rows that have guidance at the same place, or where enough of them are before it."""
        training = guided[guided <= self.training[-1]]
        if len(training) < MIN_GUIDED:
            training = guided[: int(TRAINING_SHARE * len(guided))]
        rows = np.union1d(self.held_out, guided)
        return Split(training, rows[rows > max(self.training[-1], training[-1])])


@dataclass(frozen=True, eq=False)
class Learned:
    """What was learned from a record.

    Attributes
    ----------
    forecaster : trained on all days where the recipe says ``refit``, else on the training days; the odds are those
        that the held-out days gave the networks which had not seen them. Where there is guidance it corrects that
    verification : of the networks that had not seen the held-out days, on these, beside the baselines; the odds of
        each half of them are from the errors of the other half, so that no day vouches for itself
    baselines : calibrated on the held-out days
    set_aside : values that were doubted, by the whole record, and neither learned from nor scored
    """

    forecaster: Forecaster | Guided
    split: Split
    verification: Verification
    baselines: dict[str, Baseline]
    set_aside: list[SetAside]


def learn(
    station: str,
    days: StationDays,
    recipe: Recipe,
    seed: int = 0,
    on_epoch: Callable[[Epoch], None] | None = None,
    start: Sequence[Parameters] = (),
    pooled: Pooled | None = None,
) -> Learned:
    """Train a forecaster on a record, and judge it on days that trained nothing.

    Parameters
    ----------
    on_epoch : told of each epoch of each network as it ends
    start : parameters where the networks begin; drawn at random where there are none
    pooled : where the correction of guidance begins, if it has the same predictors

    Raises
    ------
    ValueError : where the record is too short, a predictor is the next day's tmax itself, or there is no guidance
        for predictors to help with
    FloatingPointError : where the recipe makes the training diverge
    """
    check_there_is_guidance(days, recipe.predictors)
    check_not_the_answer(days)
    days, set_aside = set_aside_the_doubtful(days)
    rows, guided = usable_rows(days, recipe), teaching_rows(days)
    split = Split.chronological(rows, least_rows(days))
    trial = Forecaster.fit(days, split.training, recipe, seed, on_epoch, start)
    trial = trial.calibrated(days, split.held_out)
    # The odds are those of a model that looks at the same columns.
    final = trial
    if recipe.refit:
        final = Forecaster.fit(days, rows, recipe, seed, on_epoch, start, trial.columns)
        final = replace(final, odds=trial.odds)
    judged: Forecaster | Guided = trial
    forecaster: Forecaster | Guided = final
    if len(guided):
        split = split.with_guidance(guided)
        if pooled and not pooled.fits(tuple(days.predictors), recipe):
            pooled = None
        # What the days that judge have taught must not be judged by them.
        held_back = pooled and pooled.earlier.through <= days.dates[split.held_out[0]]
        judged = forecaster = Guided.fit(
            days, split.training, trial, seed, on_epoch, pooled.earlier if pooled and held_back else None
        )
        if recipe.refit:
            forecaster = Guided.fit(days, guided, final, seed, on_epoch, pooled.whole if pooled else None)
    beside = baselines(days, rows[rows < split.held_out[0]])
    return Learned(
        forecaster,
        split,
        cross_calibrated(station, {recipe.cell: judged, **beside}, days, split.held_out),
        {name: baseline.calibrated(days, split.held_out) for name, baseline in beside.items()},
        set_aside,
    )


def teaching_rows(days: StationDays) -> Array:
    """Return the rows (n,) that teach how to correct guidance; none where they are too few to be taught and judged."""
    rows = guided_rows(days)
    rows = rows[~np.isnan(days.next_tmax[rows])]
    return rows if TRAINING_SHARE * len(rows) >= MIN_GUIDED else rows[:0]


def least_rows(days: StationDays) -> int:
    """Return how many usable days there must be to learn from: fewer, where guidance says most of it."""
    return MIN_GUIDED if len(teaching_rows(days)) else MIN_ROWS


def cross_calibrated(station: str, forecasters: dict[str, Forecasting], days: StationDays, rows: Array) -> Verification:
    """Forecast from ``rows``, with odds for each half of them from the errors of the other half."""
    first, second = np.array_split(rows, 2)
    quantiles = {
        name: np.concatenate(
            [
                forecaster.calibrated(days, second).quantiles(days, first),
                forecaster.calibrated(days, first).quantiles(days, second),
            ]
        )
        for name, forecaster in forecasters.items()
    }
    return Verification(station, days.dates[rows], days.next_tmax[rows], quantiles)


def folds(days: StationDays, recipe: Recipe, n_folds: int, n_days: int) -> Iterator[tuple[int, Array]]:
    """Cut the newest part of a record into chronological folds.

    Yields
    ------
    end : the first row that the fold's training must not see
    rows : the issue days that are forecast then: no more than ``n_days`` days, which begin with the day before ``end``

    Raises
    ------
    ValueError : where too little is left to train on before the first fold
    """
    ends = [len(days) - n_days * back for back in range(n_folds, 0, -1)]
    before = days.part(0, max(0, ends[0]))
    if not len(before) or len(usable_rows(before, recipe)) < least_rows(before):
        raise ValueError(
            f"{len(days)} days are too few for {n_folds} folds of {n_days} days: fewer or shorter folds leave more "
            "to train on"
        )
    # With guidance, few days are enough for a forecast.
    usable = np.union1d(usable_rows(days, recipe), teaching_rows(days))
    for end in ends:
        yield end, usable[(usable >= end - 1) & (usable < end - 1 + n_days)]


def backtest(
    station: str,
    days: StationDays,
    recipe: Recipe,
    seed: int = 0,
    n_folds: int = 5,
    n_days: int = 365,
    on_epoch: Callable[[Epoch], None] | None = None,
    start: Sequence[Parameters] = (),
    pooled: Callable[[np.datetime64], Pooled | None] | None = None,
) -> Verification:
    """Roll forward over the folds: learn from the days before each as `learn` does, then forecast its days.

    Whatever is learned, the doubts about values included, comes from the days before a fold alone; a forecast sees the
    days up to its issue date as they are in the record.

    Parameters
    ----------
    pooled : asked for what was learned from many stations up to a day

    Raises
    ------
    ValueError : where the record is too short
    FloatingPointError : where the recipe makes the training diverge
    """
    parts = []
    for end, tested in folds(days, recipe, n_folds, n_days):
        if len(tested):
            together = pooled(days.dates[end - 1]) if pooled else None
            learned = learn(station, days.part(0, end), recipe, seed, on_epoch, start, together)
            guided = isinstance(learned.forecaster, Guided)
            rows = tested if guided else np.intersect1d(tested, usable_rows(days, recipe))
            if not len(rows):
                continue
            forecasters: dict[str, Forecasting] = {recipe.cell: learned.forecaster, **learned.baselines}
            known = days.part(0, int(rows[-1]) + 2)
            quantiles = {name: forecaster.quantiles(known, rows) for name, forecaster in forecasters.items()}
            parts.append(Verification(station, days.dates[rows], days.next_tmax[rows], quantiles))
    return Verification.joined(parts)
