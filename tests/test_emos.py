"""The regression on guidance, against what is known of it and against another optimiser."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from models.climatology import day_of_year
from models.emos import Emos
from models.intervals import PROBABILITIES
from models.station_days import ONE_DAY, StationDays

A, B, S, C, U, V = 1.5, 0.9, 0.6, -0.8, 0.4, 0.7
USUAL = np.log(1.2)
N = 1500
ROWS = np.arange(N - 1)


def season_of(days, rows=ROWS):
    angle = 2 * np.pi * day_of_year(days.dates[rows] + ONE_DAY) / 365.25
    return np.column_stack([np.sin(angle), np.cos(angle)])


def guided(n=N, v=V, seed=0):
    """Days whose tmax is drawn from the regression on guidance of the day before, whose spread has a median of 1.2."""
    rng = np.random.default_rng(seed)
    days = StationDays(np.datetime64("2010-01-01", "D"), np.full((n, 3), np.nan))
    guidance = 12 + rng.normal(0, 7, n)
    spread = np.exp(USUAL + rng.normal(0, 0.5, n))
    waves = season_of(days, np.arange(n))
    width = np.exp(U + v * (np.log(spread) - USUAL))
    tomorrow = A + B * guidance + S * waves[:, 0] + C * waves[:, 1] + width * rng.normal(size=n)
    days.values[1:, 0] = tomorrow[:-1]
    return StationDays(days.first, days.values, {"guidance": guidance, "guidance_spread": spread})


def with_predictors(days, **predictors):
    return StationDays(days.first, days.values, predictors)


DAYS = guided()
GUIDANCE, SPREAD = DAYS.predictors["guidance"], DAYS.predictors["guidance_spread"]


def test_the_parameters_that_made_the_days_are_found():
    """Standard errors are those of the regression: about width / sqrt(n), and of the width sqrt(1 / 2n)."""
    n = 40_000
    days = guided(n)
    emos = Emos.fit(days, np.arange(n - 1))
    np.testing.assert_allclose(emos.place, [A, B, S, C], atol=0.06)
    np.testing.assert_allclose(emos.width, [U, V], atol=0.03)
    assert emos.usual == pytest.approx(USUAL, abs=0.02)


def test_with_one_width_it_is_least_squares():
    emos = Emos.fit(with_predictors(DAYS, guidance=GUIDANCE), ROWS)
    design = np.column_stack([np.ones(len(ROWS)), GUIDANCE[ROWS], season_of(DAYS)])
    expected, (squares,), *_ = np.linalg.lstsq(design, DAYS.next_tmax[ROWS])
    np.testing.assert_allclose(emos.place, expected, atol=1e-8)
    np.testing.assert_allclose(emos.width, [np.log(np.sqrt(squares / len(ROWS))), 0], atol=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_no_other_optimiser_finds_a_greater_likelihood(seed):
    """Of tails that are no normal ones, and with an outlier."""
    rng = np.random.default_rng(seed)
    days = guided(v=rng.normal(0.5, 0.7), seed=seed)
    days.values[1:, 0] += rng.standard_t(3, N - 1)
    days.values[77, 0] += 40
    emos = Emos.fit(days, ROWS)
    observed = days.next_tmax[ROWS]
    design = np.column_stack([np.ones(len(ROWS)), days.predictors["guidance"][ROWS], season_of(days)])
    spread = np.log(days.predictors["guidance_spread"][ROWS]) - emos.usual

    def loss(parameters):
        return -norm.logpdf(observed, design @ parameters[:4], np.exp(parameters[4] + parameters[5] * spread)).mean()

    found = minimize(loss, [0.0, 1.0, 0.0, 0.0, 1.0, 0.0], method="BFGS")
    np.testing.assert_allclose([*emos.place, *emos.width], found.x, atol=1e-3)
    assert loss(np.array([*emos.place, *emos.width])) <= found.fun + 1e-9


def test_the_quantiles_are_those_of_the_normal_distribution():
    emos = Emos.fit(DAYS, ROWS)
    place = emos.place[0] + emos.place[1] * GUIDANCE[ROWS] + season_of(DAYS) @ emos.place[2:]
    width = np.exp(emos.width[0] + emos.width[1] * (np.log(SPREAD[ROWS]) - emos.usual))
    expected = norm.ppf(PROBABILITIES, place[:, None], width[:, None])
    np.testing.assert_allclose(emos.quantiles(DAYS, ROWS), expected, atol=1e-9)


def test_a_spread_that_is_always_the_same_says_nothing():
    plain, same = (
        Emos.fit(with_predictors(DAYS, guidance=GUIDANCE, **spread), ROWS)
        for spread in ({}, {"guidance_spread": np.full(N, 0.7)})
    )
    assert same.width[1] == 0
    for days in (with_predictors(DAYS, guidance=GUIDANCE), DAYS):
        np.testing.assert_allclose(same.quantiles(days, ROWS), plain.quantiles(days, ROWS), atol=1e-6)


def test_a_spread_that_is_never_there_is_none():
    plain, none = (
        Emos.fit(with_predictors(DAYS, guidance=GUIDANCE, **spread), ROWS)
        for spread in ({}, {"guidance_spread": np.full(N, np.nan)})
    )
    np.testing.assert_array_equal(none.quantiles(DAYS, ROWS), plain.quantiles(DAYS, ROWS))


def test_where_the_spread_is_missing_the_usual_one_is_taken():
    emos = Emos.fit(DAYS, ROWS)
    spread = SPREAD.copy()
    spread[5] = np.nan
    said = emos.quantiles(with_predictors(DAYS, guidance=GUIDANCE, guidance_spread=spread), np.array([5, 6]))
    usual = SPREAD.copy()
    usual[5] = np.exp(emos.usual)
    expected = emos.quantiles(with_predictors(DAYS, guidance=GUIDANCE, guidance_spread=usual), np.array([5, 6]))
    np.testing.assert_allclose(said, expected)


@pytest.mark.parametrize("zeros", [slice(3, 40), slice(None)])
def test_no_spread_at_all_is_a_small_one(zeros):
    """Members that agree to the last digit that is given are not sure of it for all that."""
    spread = SPREAD.copy()
    spread[zeros] = 0.0
    days = with_predictors(DAYS, guidance=GUIDANCE, guidance_spread=spread)
    quantiles = Emos.fit(days, ROWS).quantiles(days, ROWS)
    assert np.isfinite(quantiles).all()
    assert np.ptp(quantiles, axis=1).min() > 0.5


def test_where_there_is_no_guidance_it_says_nothing_and_learns_nothing():
    guidance = GUIDANCE.copy()
    guidance[100:200] = np.nan
    holed = with_predictors(DAYS, guidance=guidance, guidance_spread=SPREAD)
    emos = Emos.fit(holed, ROWS)
    quantiles = emos.quantiles(holed, ROWS)
    assert np.isnan(quantiles[100:200]).all()
    assert np.isfinite(np.delete(quantiles, slice(100, 200), axis=0)).all()
    other = Emos.fit(DAYS, np.delete(ROWS, slice(100, 200)))
    np.testing.assert_array_equal(emos.place, other.place)
    np.testing.assert_array_equal(emos.width, other.width)
    with pytest.raises(ValueError, match="no day with guidance"):
        Emos.fit(with_predictors(DAYS), ROWS)


def test_it_knows_its_rows_alone():
    training = ROWS[:1000]
    later = StationDays(DAYS.first, DAYS.values.copy(), {k: v.copy() for k, v in DAYS.predictors.items()})
    later.values[1001:] += 30
    later.predictors["guidance"][1000:] -= 20
    later.predictors["guidance_spread"][1000:] *= 9
    for name in ("place", "width", "usual"):
        np.testing.assert_array_equal(*(getattr(Emos.fit(days, training), name) for days in (DAYS, later)))


def test_several_forecasts_are_the_mean_of_those_there():
    warm, cold = GUIDANCE + 1, GUIDANCE - 1
    cold[7] = np.nan
    emos = Emos.fit(with_predictors(DAYS, guidance=GUIDANCE), ROWS)
    both = emos.quantiles(with_predictors(DAYS, guidance_a=warm, guidance_b=cold), ROWS)
    np.testing.assert_allclose(both[8:], emos.quantiles(with_predictors(DAYS, guidance=GUIDANCE), ROWS)[8:])
    np.testing.assert_allclose(both[7], emos.quantiles(with_predictors(DAYS, guidance=warm), np.array([7]))[0])


def test_guidance_that_is_always_right_or_always_the_same_does_no_harm():
    right = with_predictors(DAYS, guidance=DAYS.next_tmax, guidance_spread=SPREAD)
    quantiles = Emos.fit(right, ROWS).quantiles(right, ROWS)
    np.testing.assert_allclose(quantiles, np.tile(DAYS.next_tmax[ROWS, None], 199), atol=0.01)
    same = with_predictors(DAYS, guidance=np.full(N, 20.0))
    quantiles = Emos.fit(same, ROWS).quantiles(same, ROWS)
    assert np.abs(quantiles[:, 99].mean() - DAYS.next_tmax[ROWS].mean()) < 0.1
