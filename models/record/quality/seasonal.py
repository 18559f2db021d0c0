"""A robust seasonal climate of part of a year or more: harmonics of the annual cycle, which errors do not bend."""

import numpy as np

from models.nn import Array
from models.record.quality.series import DAYS_OF_LEAP_YEAR, leap_day_of_year

WAVES = 2  # harmonics of the annual cycle
WAVE_PRIOR_DAYS = 10.0  # ridge penalty of the harmonics, in days: part of a year does not determine them
CUT = 7.5  # median absolute deviations at which a value no longer counts (Lanzante 1996)
FIRST_STEPS, STEPS = 5, 4  # of the iteration: least absolute deviations, then the biweight
ENOUGH = 5000  # values at most that are fitted, evenly spaced: more change the normal by less than 0.1 degC
MIN_SPREAD_SHARE, MIN_SPREAD = 0.5, 1.0  # least spread: share of its median, and degC


def climate(dates: Array, values: Array) -> tuple[Array, Array]:
    """Return the seasonal normal of temperatures (N,) on each date, and the standard deviation around it, (N,) each.

    The normal minimises absolute deviations first, then Tukey's biweight of the residuals; the spread is fitted to the
    absolute residuals that count. ``values`` are ``nan`` where missing; all results are ``nan`` without any value.

    Reference: Lanzante (1996), Resistant, robust and non-parametric techniques for the analysis of climate data.
    """
    waves = _waves(leap_day_of_year(dates))
    observed = np.flatnonzero(np.isfinite(values))
    observed = observed[:: -(-len(observed) // ENOUGH) or 1]
    design, known = waves[observed], values[observed]
    if not len(known):
        return np.full(len(dates), np.nan), np.full(len(dates), np.nan)
    coefficients, weight = np.array([np.median(known), *np.zeros(2 * WAVES)]), np.ones(len(known))
    for step in range(FIRST_STEPS + STEPS):
        size = np.abs(known - design @ coefficients)
        typical = max(float(np.median(size)), 1e-9)  # 0 where most values are equal
        if step < FIRST_STEPS:
            weight = typical / np.maximum(size, 0.1 * typical)
        else:
            weight = np.maximum(1 - (size / (CUT * typical)) ** 2, 0.0) ** 2
        coefficients = _fit(design, known, weight)
    size = np.abs(known - design @ coefficients)
    # The mean absolute value of a normal variable is sqrt(2 / pi) of its standard deviation.
    spread = waves @ _fit(design, size * np.sqrt(np.pi / 2), (weight > 0).astype(float))
    least = max(MIN_SPREAD, MIN_SPREAD_SHARE * float(np.median(spread)))
    return waves @ coefficients, np.maximum(spread, least)


def _waves(day: Array) -> Array:
    """Return the constant and the harmonics (n, 1 + 2 WAVES) of days of the leap year."""
    angle = 2 * np.pi * day[:, None] / DAYS_OF_LEAP_YEAR * np.arange(1, WAVES + 1)
    return np.concatenate([np.ones((len(day), 1)), np.sin(angle), np.cos(angle)], axis=1)


def _fit(design: Array, values: Array, weight: Array) -> Array:
    """Return the coefficients of a weighted least squares fit, with a ridge penalty on the harmonics."""
    prior = np.diag([1e-6, *np.full(design.shape[1] - 1, WAVE_PRIOR_DAYS)])
    weighted = design.T * weight
    return np.asarray(np.linalg.solve(weighted @ design + prior, weighted @ values))
