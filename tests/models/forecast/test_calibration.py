"""Seasonal error distributions: conformal probabilities, shrinkage, and their course through the year."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.forecast.calibration import SeasonalErrors
from models.forecast.climatology import day_of_year
from models.forecast.distribution import PROBABILITIES

YEAR = np.arange("2024-01-01", "2025-01-01", dtype="M8[D]")
YEARS = np.arange("2015-01-01", "2025-01-01", dtype="M8[D]")


def width(errors, level=0.8):
    """Return the width of the central interval on every day of a year."""
    low, high = np.searchsorted(PROBABILITIES, [(1 - level) / 2 - 1e-9, (1 + level) / 2 - 1e-9])
    quantiles = errors.on(YEAR)
    return quantiles[:, high] - quantiles[:, low]


def test_ranks_have_their_conformal_probability():
    """Of 199 errors the k-th smallest has probability k / 200: the quantiles are the sorted errors."""
    errors = np.random.default_rng(0).normal(size=199)
    fitted = SeasonalErrors.fit(errors, np.full(199, YEAR[0]))
    np.testing.assert_allclose(fitted.on(YEAR), np.tile(np.sort(errors), (366, 1)))
    assert fitted.n == 199


@pytest.mark.parametrize("n", [20, 60, 400])
def test_new_errors_are_covered_as_often_as_stated(n):
    """On average over many calibrations with skewed errors, whose distribution is known."""
    rng, covered = np.random.default_rng(1), []
    for _ in range(120):
        quantiles = SeasonalErrors.fit(rng.gumbel(size=n), rng.choice(YEARS, n)).on(rng.choice(YEAR, 5))
        probability = np.exp(-np.exp(-quantiles))
        covered.append(probability[:, [149, 179]] - probability[:, [49, 19]])
    np.testing.assert_allclose(np.mean(covered, axis=(0, 1)), [0.5, 0.8], atol=0.02)


@settings(max_examples=40)
@given(st.integers(1, 200), st.integers(0, 100))
def test_the_quantiles_of_every_day_ascend(n, seed):
    rng = np.random.default_rng(seed)
    quantiles = SeasonalErrors.fit(rng.standard_cauchy(n), rng.choice(YEARS, n)).on(YEAR)
    assert quantiles.shape == (366, 199)
    assert (np.diff(quantiles, axis=1) >= 0).all()


def test_quantiles_that_do_not_ascend_are_rejected():
    for quantiles in (np.zeros((12, 3)), np.zeros(199), np.tile(np.arange(199.0)[::-1], (12, 1))):
        with pytest.raises(ValueError, match="do not ascend"):
            SeasonalErrors(quantiles, 100)


def test_the_width_follows_the_season_the_more_errors_show_it():
    """Winter errors are three times those of summer."""
    rng, ratios = np.random.default_rng(3), []
    for years in (1, 10, 100):
        dates = np.tile(YEARS[-10 * 365 :], 10)[: 365 * years]
        size = 2 + np.cos(2 * np.pi * day_of_year(dates) / 365.25)
        widths = width(SeasonalErrors.fit(size * rng.normal(size=len(dates)), dates))
        ratios.append(widths[[*range(15), *range(350, 366)]].mean() / widths[175:205].mean())
        assert widths.argmax() in {*range(40), *range(330, 366)}
        assert 150 < widths.argmin() < 215
    assert 1.0 < ratios[0] < 1.3
    assert 2.0 < ratios[2] < 3.0
    assert ratios[0] < ratios[1] < ratios[2]
    # Twenty errors, of which those in winter happen to be larger, hardly change the width of the year.
    dates = rng.choice(YEARS, 20, replace=False)
    errors = rng.normal(size=20) * np.where(np.cos(2 * np.pi * day_of_year(dates) / 365.25) > 0, 3, 1)
    of_year = np.ptp(np.quantile(errors, (0.1, 0.9), method="weibull"))
    np.testing.assert_allclose(width(SeasonalErrors.fit(errors, dates)), of_year, rtol=0.05)


def test_the_assumed_quantiles_count_as_400_errors():
    """400 errors of zero on one day: half of the year's quantiles, and of that day's own 1000 parts in 1400."""
    fitted = SeasonalErrors.fit(np.zeros(400), np.full(400, YEAR[14]), assumed=4 * PROBABILITIES)
    np.testing.assert_allclose(fitted.on(YEAR[14:15])[0], (1000 / 1400) * 0.5 * 4 * PROBABILITIES)
    np.testing.assert_allclose(fitted.on(YEAR[195:196])[0], 0.5 * 4 * PROBABILITIES)
    rng = np.random.default_rng(7)
    wide = 5 * np.quantile(rng.normal(size=10_000), PROBABILITIES)
    many = SeasonalErrors.fit(rng.normal(size=20_000), rng.choice(YEARS, 20_000), wide)
    np.testing.assert_allclose(width(many), 2 * 1.2816, rtol=0.15)


def test_quantiles_are_interpolated_between_the_middles_of_the_months():
    fitted = SeasonalErrors(np.arange(12.0)[:, None] + np.linspace(0, 0.5, 199), 100)
    for date, quantile in (("01-16", 0), ("07-17", 6), ("12-17", 11), ("03-02", 1.5), ("01-01", 5.5)):
        assert fitted.on(np.array([f"2023-{date}"], dtype="M8[D]"))[0, 0] == pytest.approx(quantile, abs=0.1)
    # No jump at New Year: in these units it lies 0.25 days after the last day of a leap year, 1.25 of any other.
    days = np.arange("2023-12-20", "2025-01-15", dtype="M8[D]")
    steps = np.abs(np.diff(fitted.on(days)[:, 0]))
    of_december = steps[days[1:].astype("M8[M]") == np.datetime64("2024-12")]
    new_years = steps[days[1:] == days[1:].astype("M8[Y]")]
    np.testing.assert_allclose(new_years, of_december[-1] * np.array([1.25, 0.25]))
