"""Ensemble model output statistics: the Gaussian regression on guidance that any other use of it must beat."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from models.climatology import day_of_year, season
from models.guidance import SMALLEST, raw_point
from models.intervals import PROBABILITIES
from models.nn import Array
from models.predictors import SPREAD, predictor
from models.station_days import ONE_DAY, StationDays

# Quantiles of the standard normal distribution.
NORMAL = np.array([NormalDist().inv_cdf(float(p)) for p in PROBABILITIES])

# No forecast is surer than the first standard deviation, degC, nor less sure than the second.
LEAST_WIDTH, GREATEST_WIDTH = 0.001, 1000.0

# A step that lessens the mean negative log-likelihood by less than this is the last one.
ENOUGH, MOST_STEPS = 1e-12, 200


@dataclass(frozen=True, eq=False)
class Emos:
    """Nonhomogeneous Gaussian regression on guidance g and its spread.

    ::

        tmax of tomorrow ~ N(a + b g + s sin(season) + c cos(season), width^2)
        log(width) = u + v (log(spread) - usual)

    Attributes
    ----------
    place : (4,) a, b, s and c, degC but for b
    width : (2,) u and v; v is 0 where the spread is always the same, or there is none
    usual : logarithm of the spread, degC, that is taken where there is none

    References
    ----------
    Gneiting, Raftery, Westveld and Goldman (2005), Calibrated probabilistic forecasting using ensemble model output
    statistics and minimum CRPS estimation.
    """

    place: Array
    width: Array
    usual: float

    @classmethod
    def fit(cls, days: StationDays, rows: Array) -> "Emos":
        """Fit by maximum likelihood to those of ``rows`` that have guidance, and tmax on the day after.

        Raises
        ------
        ValueError : where there is none
        """
        rows = rows[np.isfinite(raw_point(days)[rows]) & np.isfinite(days.next_tmax[rows])]
        if not len(rows):
            raise ValueError("there is no day with guidance to fit a regression on it to")
        spread = _log_spread(days, rows)
        observed = np.isfinite(spread)
        usual = float(np.median(spread[observed])) if observed.any() else 0.0
        return cls(*_fitted(_places(days, rows), _widths(days, rows, usual), days.next_tmax[rows]), usual)

    def quantiles(self, days: StationDays, rows: Array) -> Array:
        """Return the quantiles (n, 199), degC, of tmax on the day after each; ``nan`` where there is no guidance."""
        place = _places(days, rows) @ self.place
        return np.asarray(place[:, None] + _width(_widths(days, rows, self.usual), self.width)[:, None] * NORMAL)


def _places(days: StationDays, rows: Array) -> Array:
    """Return what the place is linear in, (n, 4)."""
    valid = season(day_of_year(days.dates[rows] + ONE_DAY))
    return np.column_stack([np.ones(len(rows)), raw_point(days)[rows], valid])


def _widths(days: StationDays, rows: Array, usual: float) -> Array:
    """Return what the logarithm of the width is linear in, (n, 2)."""
    spread = _log_spread(days, rows)
    return np.column_stack([np.ones(len(rows)), np.where(np.isfinite(spread), spread - usual, 0.0)])


def _log_spread(days: StationDays, rows: Array) -> Array:
    """Return the logarithm of the spread (n,), degC, of no less than `SMALLEST`; ``nan`` where there is none."""
    return np.asarray(np.log(np.maximum(predictor(days, SPREAD)[rows], SMALLEST)))


def _width(widths: Array, coefficients: Array) -> Array:
    return np.asarray(np.exp(np.clip(widths @ coefficients, np.log(LEAST_WIDTH), np.log(GREATEST_WIDTH))))


def _fitted(places: Array, widths: Array, observed: Array) -> tuple[Array, Array]:
    """Maximise the likelihood, by Fisher scoring: place and width have no part in each other's information.

    Given the widths, the place is a weighted regression; given the errors in widths, z, so is the step of the
    logarithm of the widths, of (z^2 - 1) / 2. A step that does not lessen the loss is halved until it does.
    """
    place = _least_squares(places, observed)
    width = np.array([np.log(max(float((observed - places @ place).std()), LEAST_WIDTH)), 0.0])
    loss = _loss(places @ place, _width(widths, width), observed)
    for _ in range(MOST_STEPS):
        now = _width(widths, width)
        place = _least_squares(places / now[:, None], observed / now)
        step = _least_squares(widths, (((observed - places @ place) / now) ** 2 - 1) / 2)
        before = loss
        loss = _loss(places @ place, now, observed)
        while np.abs(step).max() > ENOUGH:
            after = _loss(places @ place, _width(widths, width + step), observed)
            if after < loss:
                width, loss = width + step, after
                break
            step = step / 2
        if before - loss < ENOUGH:
            break
    return place, width


def _least_squares(design: Array, values: Array) -> Array:
    """Solve for the coefficients; of those that do equally well, the smallest: a constant column decides nothing."""
    return np.asarray(np.linalg.lstsq(design, values, rcond=None)[0])


def _loss(place: Array, width: Array, observed: Array) -> float:
    """Return the mean negative log-likelihood, but for a constant."""
    return float((np.log(width) + ((observed - place) / width) ** 2 / 2).mean())
