"""The EMOS regression on guidance, against closed forms and another optimiser."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from models.forecast.climatology import day_of_year
from models.forecast.distribution import PROBABILITIES
from models.record.days import ONE_DAY, StationDays
from models.verification.emos import Emos

N = 1500
ROWS = np.arange(N - 1)


def generated(seed=0):
    """Days drawn from the regression on the guidance of the day before, with heavy tails and an outlier."""
    rng = np.random.default_rng(seed)
    days = StationDays(np.datetime64("2010-01-01", "D"), np.full((N, 3), np.nan))
    guidance, spread = 12 + rng.normal(0, 7, N), 1.2 * np.exp(rng.normal(0, 0.5, N))
    location = 1.5 + 0.9 * guidance + season(days, np.arange(N)) @ [0.6, -0.8]
    tomorrow = location + 1.5 * (spread / 1.2) ** rng.normal(0.7, 0.5) * rng.standard_t(4, N)
    tomorrow[77] += 40
    days.values[1:, 0] = tomorrow[:-1]
    return StationDays(days.first, days.values, {"guidance": guidance, "guidance_spread": spread})


def season(days, rows=ROWS):
    angle = 2 * np.pi * day_of_year(days.dates[rows] + ONE_DAY) / 365.25
    return np.column_stack([np.sin(angle), np.cos(angle)])


def with_further(**columns):
    return replace(DAYS, further=columns)


DAYS = generated()
GUIDANCE, SPREAD = DAYS.further["guidance"], DAYS.further["guidance_spread"]


@pytest.mark.parametrize("seed", range(3))
def test_the_fit_has_the_greatest_likelihood_of_the_documented_model(seed):
    days = generated(seed)
    emos = Emos.fit(days, ROWS)
    assert emos.usual == pytest.approx(np.median(np.log(days.further["guidance_spread"][ROWS])))
    design = np.column_stack([np.ones(len(ROWS)), days.further["guidance"][ROWS], season(days)])
    log_spread = np.log(days.further["guidance_spread"][ROWS]) - emos.usual

    def model(p):
        return norm(design @ p[:4], np.exp(p[4] + p[5] * log_spread))

    def loss(p):
        return -model(p).logpdf(days.next_tmax[ROWS]).mean()

    found, fitted = minimize(loss, [0.0, 1.0, 0.0, 0.0, 1.0, 0.0], method="BFGS"), [*emos.location, *emos.log_scale]
    np.testing.assert_allclose(fitted, found.x, atol=1e-3)
    assert loss(np.array(fitted)) <= found.fun + 1e-9
    expected = model(np.array(fitted)).ppf(PROBABILITIES[:, None]).T
    np.testing.assert_allclose(emos.quantiles(days, ROWS), expected, atol=1e-9)


@pytest.mark.parametrize("spread", [{}, {"guidance_spread": np.full(N, 0.7)}, {"guidance_spread": np.full(N, np.nan)}])
def test_without_a_varying_spread_it_is_least_squares(spread):
    emos = Emos.fit(with_further(guidance=GUIDANCE, **spread), ROWS)
    design = np.column_stack([np.ones(len(ROWS)), GUIDANCE[ROWS], season(DAYS)])
    coefficients, (squares,), *_ = np.linalg.lstsq(design, DAYS.next_tmax[ROWS])
    np.testing.assert_allclose(emos.location, coefficients, atol=1e-7)
    np.testing.assert_allclose(emos.log_scale, [np.log(np.sqrt(squares / len(ROWS))), 0], atol=1e-7)
    # A spread that appears later changes nothing.
    bare = with_further(guidance=GUIDANCE)
    np.testing.assert_allclose(emos.quantiles(DAYS, ROWS), emos.quantiles(bare, ROWS))


def test_a_missing_spread_counts_as_the_usual_one():
    emos = Emos.fit(DAYS, ROWS)
    spreads = [np.where(np.arange(N) == 5, value, SPREAD) for value in (np.nan, np.exp(emos.usual))]
    of_nan, of_usual = (
        emos.quantiles(with_further(guidance=GUIDANCE, guidance_spread=s), np.array([5, 6])) for s in spreads
    )
    np.testing.assert_allclose(of_nan, of_usual)


@pytest.mark.parametrize("zeros", [slice(3, 40), slice(None)])
def test_a_zero_spread_is_not_certainty(zeros):
    spread = SPREAD.copy()
    spread[zeros] = 0.0
    days = with_further(guidance=GUIDANCE, guidance_spread=spread)
    quantiles = Emos.fit(days, ROWS).quantiles(days, ROWS)
    assert np.isfinite(quantiles).all()
    assert np.ptp(quantiles, axis=1).min() > 0.5


def test_days_without_guidance_train_nothing_and_get_no_forecast():
    guidance = GUIDANCE.copy()
    guidance[100:200] = np.nan
    incomplete = with_further(guidance=guidance, guidance_spread=SPREAD)
    emos, other = Emos.fit(incomplete, ROWS), Emos.fit(DAYS, np.delete(ROWS, slice(100, 200)))
    for name in ("location", "log_scale", "usual"):
        np.testing.assert_array_equal(getattr(emos, name), getattr(other, name))
    missing = np.isnan(emos.quantiles(incomplete, ROWS))
    np.testing.assert_array_equal(missing, np.tile((ROWS[:, None] >= 100) & (ROWS[:, None] < 200), 199))
    with pytest.raises(ValueError, match="no day has both guidance and tmax on the next day"):
        Emos.fit(with_further(), ROWS)


def test_days_beyond_the_training_rows_train_nothing():
    later = StationDays(DAYS.first, DAYS.values.copy(), {k: v.copy() for k, v in DAYS.further.items()})
    later.values[1001:] += 30
    later.further["guidance"][1000:] -= 20
    later.further["guidance_spread"][1000:] *= 9
    one, other = (Emos.fit(days, ROWS[:1000]) for days in (DAYS, later))
    for name in ("location", "log_scale", "usual"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_perfect_and_constant_guidance_are_handled():
    perfect = with_further(guidance=DAYS.next_tmax, guidance_spread=SPREAD)
    emos = Emos.fit(perfect, ROWS)
    np.testing.assert_allclose(emos.quantiles(perfect, ROWS), np.tile(DAYS.next_tmax[ROWS, None], 199), atol=0.01)
    constant = with_further(guidance=np.full(N, 20.0))
    quantiles = Emos.fit(constant, ROWS).quantiles(constant, ROWS)
    assert quantiles[:, 99].mean() == pytest.approx(DAYS.next_tmax[ROWS].mean(), abs=0.1)
