"""Which days train, which stop the training, which are held out; and what the held-out days say of a forecast."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from models import scores
from models.intervals import PROBABILITIES, ErrorDistribution
from models.nn import Array
from models.station_days import StationDays

# Shares of the usable days, in order of time; the rest is held out.
TRAINING_SHARE, STOPPING_SHARE = 0.75, 0.10

# Fewer usable days than this hold too little of the year.
MIN_ROWS = 365


class PointForecaster(Protocol):
    """Whatever forecasts: the network and the baselines beside it."""

    def points(self, days: StationDays, issues: Array) -> Array:
        """Forecast the next calendar day's tmax, degC, for each row number in ``issues``, from days up to it."""


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of the issue days, cut in order of time: no model is judged on days before those it learned from.

    Attributes
    ----------
    training : fit the weights and the scaler
    stopping : say when the training has gone far enough
    held_out : train nothing; calibrate the odds and give the scores
    """

    training: Array
    stopping: Array
    held_out: Array

    @classmethod
    def chronological(cls, rows: Array) -> "Split":
        """Cut the usable rows, which ascend, by the shares of this module.

        Raises
        ------
        ValueError : where there are fewer than `MIN_ROWS`
        """
        if len(rows) < MIN_ROWS:
            raise ValueError(
                f"{len(rows)} usable days are too few to train on: at least {MIN_ROWS} are needed that have tmax, "
                "have it on the next calendar day too, and have no long gap in the days that the network sees"
            )
        first = int(TRAINING_SHARE * len(rows))
        second = int((TRAINING_SHARE + STOPPING_SHARE) * len(rows))
        return cls(rows[:first], rows[first:second], rows[second:])


@dataclass(frozen=True)
class Scores:
    """A row of the score table: degC; skill and coverages have no unit."""

    n: int
    mae: float
    rmse: float
    bias: float
    skill: float
    crps: float
    coverage_80: float
    coverage_90: float


def score_table(forecasters: dict[str, PointForecaster], days: StationDays, held_out: Array) -> dict[str, Scores]:
    """Score each forecaster on the held-out rows; skill is against the one named ``persistence``.

    The odds of each half of the rows come from the errors of the other half, so that no day vouches for itself.
    """
    observed = days.next_tmax[held_out]
    points = {name: forecaster.points(days, held_out) for name, forecaster in forecasters.items()}
    reference = scores.mean_absolute_error(points["persistence"], observed)
    return {name: _score(point, observed, reference) for name, point in points.items()}


def _score(point: Array, observed: Array, reference: float) -> Scores:
    quantiles = _cross_calibrated(point, observed)
    mae = scores.mean_absolute_error(point, observed)
    low_80, high_80, low_90, high_90 = (quantiles[:, round(p * 200) - 1] for p in (0.1, 0.9, 0.05, 0.95))
    return Scores(
        n=len(point),
        mae=mae,
        rmse=scores.root_mean_squared_error(point, observed),
        bias=scores.bias(point, observed),
        skill=scores.skill(mae, reference),
        crps=scores.crps_from_quantiles(quantiles, PROBABILITIES, observed),
        coverage_80=scores.coverage(low_80, high_80, observed),
        coverage_90=scores.coverage(low_90, high_90, observed),
    )


def _cross_calibrated(point: Array, observed: Array) -> Array:
    """Return quantiles (n, 199), each half's from the errors of the other half."""
    first, second = np.array_split(np.arange(len(point)), 2)
    quantiles = np.empty((len(point), len(PROBABILITIES)))
    for rows, others in ((first, second), (second, first)):
        quantiles[rows] = point[rows, None] + ErrorDistribution.fit(observed[others] - point[others]).errors
    return quantiles
