"""Ensemble model output statistics (EMOS): the Gaussian regression on guidance that better corrections must beat."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from models.forecast.climatology import day_of_year, season
from models.forecast.distribution import PROBABILITIES
from models.forecast.guidance.features import SMALLEST, raw_point
from models.nn import Array
from models.record.columns import SPREAD
from models.record.days import ONE_DAY, StationDays

NORMAL = np.array([NormalDist().inv_cdf(float(p)) for p in PROBABILITIES])  # standard normal quantiles
MIN_SCALE, MAX_SCALE = 0.001, 1000.0  # degC, limits of the forecast standard deviation


@dataclass(frozen=True, eq=False)
class Emos:
    """Nonhomogeneous Gaussian regression on guidance g and its spread.

    ::

        tomorrow's tmax ~ N(a + b g + s sin(season) + c cos(season), scale^2)
        log(scale) = u + v (log(spread) - usual)

    Reference: Gneiting, Raftery, Westveld and Goldman (2005), Calibrated probabilistic forecasting using ensemble model
    output statistics and minimum CRPS estimation.
    """

    location: Array  # (4,) a, b, s and c, degC except b
    log_scale: Array  # (2,) u and v; v is 0 where the spread is constant or missing
    usual: float  # log(spread / degC) assumed where the spread is missing

    @classmethod
    def fit(cls, days: StationDays, rows: Array) -> "Emos":
        """Fit by maximum likelihood to the ``rows`` with guidance and tmax on the next day.

        Raises ValueError where there are none.
        """
        rows = rows[np.isfinite(raw_point(days)[rows]) & np.isfinite(days.next_tmax[rows])]
        if not len(rows):
            raise ValueError("no day has both guidance and tmax on the next day to fit a regression to")
        spread = _log_spread(days, rows)
        observed = np.isfinite(spread)
        usual = float(np.median(spread[observed])) if observed.any() else 0.0
        designs = _location_design(days, rows), _scale_design(days, rows, usual)
        return cls(*_maximum_likelihood(*designs, days.next_tmax[rows]), usual)

    def quantiles(self, days: StationDays, rows: Array) -> Array:
        """Return the quantiles (n, 199), degC, of tmax on the next day; ``nan`` where guidance is missing."""
        location = _location_design(days, rows) @ self.location
        scale = _scale(_scale_design(days, rows, self.usual), self.log_scale)
        return np.asarray(location[:, None] + scale[:, None] * NORMAL)


def _location_design(days: StationDays, rows: Array) -> Array:
    """Return the design matrix (n, 4) of the location."""
    valid = season(day_of_year(days.dates[rows] + ONE_DAY))
    return np.column_stack([np.ones(len(rows)), raw_point(days)[rows], valid])


def _scale_design(days: StationDays, rows: Array, usual: float) -> Array:
    """Return the design matrix (n, 2) of the logarithm of the scale."""
    spread = _log_spread(days, rows)
    return np.column_stack([np.ones(len(rows)), np.where(np.isfinite(spread), spread - usual, 0.0)])


def _log_spread(days: StationDays, rows: Array) -> Array:
    """Return the logarithm (n,) of the spread, degC, floored at `SMALLEST`; ``nan`` where it is missing."""
    return np.asarray(np.log(np.maximum(days.column(SPREAD)[rows], SMALLEST)))


def _scale(design: Array, coefficients: Array) -> Array:
    return np.asarray(np.exp(np.clip(design @ coefficients, np.log(MIN_SCALE), np.log(MAX_SCALE))))


def _maximum_likelihood(of_location: Array, of_scale: Array, observed: Array) -> tuple[Array, Array]:
    """Maximise the likelihood, from the least-squares fit as the initial guess."""
    from scipy.optimize import minimize  # noqa: PLC0415  # only training needs SciPy

    n = of_location.shape[1]
    location = np.linalg.lstsq(of_location, observed, rcond=None)[0]
    spread = max(float((observed - of_location @ location).std()), MIN_SCALE)

    def loss(coefficients: Array) -> tuple[float, Array]:
        """Return the mean negative log-likelihood, up to a constant, and its gradient."""
        scale = _scale(of_scale, coefficients[n:])
        z = (observed - of_location @ coefficients[:n]) / scale
        gradient = np.concatenate([-(z / scale) @ of_location, (1 - z * z) @ of_scale]) / len(z)
        return float((np.log(scale) + z * z / 2).mean()), gradient

    initial = np.concatenate([location, [np.log(spread), 0.0]])
    found = minimize(loss, initial, jac=True, method="BFGS", options={"gtol": 1e-10}).x
    return found[:n], found[n:]
