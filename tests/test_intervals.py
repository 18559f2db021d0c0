"""Odds: what errors say of the next one, by season."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.climatology import day_of_year
from models.intervals import PROBABILITIES, Distribution, SeasonalErrors

YEAR = np.arange("2024-01-01", "2025-01-01", dtype="M8[D]")
YEARS = np.arange("2015-01-01", "2025-01-01", dtype="M8[D]")


def at(probability):
    return int(np.argmin(np.abs(PROBABILITIES - probability)))


def width(errors, level=0.8):
    """Return how wide the odds are on every day of a year."""
    quantiles = errors.on(YEAR)
    return quantiles[:, at((1 + level) / 2)] - quantiles[:, at((1 - level) / 2)]


class TestDistribution:
    @given(st.lists(st.integers(-600, 600), min_size=1, max_size=12), st.integers(-650, 650))
    def test_quantiles_ascend_and_exceedance_falls(self, tenths, threshold):
        odds = Distribution(np.quantile(tenths, PROBABILITIES) / 10, 100)
        threshold /= 10
        assert (np.diff([odds.quantile(p) for p in np.linspace(0.005, 0.995, 50)]) >= 0).all()
        p = odds.exceedance(threshold)
        assert 0.0 <= p <= 1.0
        assert odds.exceedance(threshold + 1) <= p

    def test_exceedance_of_a_quantile(self):
        odds = Distribution(np.sort(np.random.default_rng(2).normal(15, 4, 199)), 500)
        for probability in (0.005, 0.05, 0.31, 0.5, 0.987, 0.995):
            assert odds.exceedance(odds.quantile(probability)) == pytest.approx(1 - probability)
        assert odds.exceedance(99.0) == 0.0
        assert odds.exceedance(-99.0) == 1.0

    def test_a_level_is_vouched_for_by_enough_errors(self):
        """Of 9 errors the smallest has probability 1/10, the largest 9/10: they hold 80 %."""
        assert Distribution(np.zeros(199), 9).highest_level == pytest.approx(0.8)


class TestSeasonalErrors:
    def test_ranks_get_their_conformal_probability(self):
        """Of n = 199 errors the k-th smallest has probability k / 200: the grid is the sorted errors themselves."""
        errors = np.random.default_rng(0).normal(size=199)
        fitted = SeasonalErrors.fit(errors, np.full(199, YEAR[0]))
        np.testing.assert_allclose(fitted.on(YEAR), np.tile(np.sort(errors), (366, 1)))
        assert fitted.n == 199

    @pytest.mark.parametrize("n", [20, 60, 400])
    def test_coverage_of_new_errors_is_what_it_says(self, n):
        """Averaged over many calibrations a skewed error falls inside as often as promised."""
        rng, inside = np.random.default_rng(1), []
        for _ in range(600):
            fitted = SeasonalErrors.fit(rng.gumbel(size=n), rng.choice(YEARS, n))
            quantiles, new = fitted.on(rng.choice(YEAR, 100)), rng.gumbel(size=100)
            inside.append([(quantiles[:, at((1 - p) / 2)] <= new) & (new <= quantiles[:, at((1 + p) / 2)])
                           for p in (0.5, 0.8)])  # fmt: skip
        np.testing.assert_allclose(np.mean(inside, axis=(0, 2)), [0.5, 0.8], atol=0.02)

    @given(st.integers(1, 200), st.integers(0, 100))
    def test_the_quantiles_of_every_day_ascend(self, n, seed):
        rng = np.random.default_rng(seed)
        fitted = SeasonalErrors.fit(rng.standard_cauchy(n), rng.choice(YEARS, n))
        assert (np.diff(fitted.on(YEAR), axis=1) >= 0).all()
        assert fitted.on(YEAR).shape == (366, 199)

    def test_a_season_of_larger_errors_gets_wider_odds(self):
        """Errors in winter are three times those of summer: the more there are of them, the more it is believed."""
        rng, ratios = np.random.default_rng(3), []
        for years in (1, 10, 100):
            dates = np.tile(YEARS[-10 * 365 :], 10)[: 365 * years]
            size = 2 + np.cos(2 * np.pi * day_of_year(dates) / 365.25)
            widths = width(SeasonalErrors.fit(size * rng.normal(size=len(dates)), dates))
            ratios.append(widths[[*range(15), *range(350, 366)]].mean() / widths[175:205].mean())
            assert widths.argmax() in {*range(40), *range(330, 366)}
            assert 150 < widths.argmin() < 215
        assert 1.0 < ratios[0] < 1.3
        assert ratios[0] < ratios[1] < ratios[2] < 3.0
        assert ratios[2] > 2.0

    def test_few_errors_say_little_of_a_season(self):
        """Twenty errors of which those of winter are larger by luck: odds near those of the whole year."""
        rng = np.random.default_rng(4)
        dates = rng.choice(YEARS, 20, replace=False)
        errors = rng.normal(size=20) * np.where(np.cos(2 * np.pi * day_of_year(dates) / 365.25) > 0, 3, 1)
        pooled = np.quantile(errors, (0.1, 0.9), method="weibull")
        assert np.abs(width(SeasonalErrors.fit(errors, dates)) / np.ptp(pooled) - 1).max() < 0.05

    def test_what_was_assumed_counts_as_so_many_errors(self):
        """400 errors of nothing on one day: half of the year's, and of the day's own 1000 parts in 1400."""
        fitted = SeasonalErrors.fit(np.zeros(400), np.full(400, YEAR[14]), assumed=4 * PROBABILITIES)
        np.testing.assert_allclose(fitted.on(YEAR[14:15])[0], (1000 / 1400) * 0.5 * 4 * PROBABILITIES)
        np.testing.assert_allclose(fitted.on(YEAR[195:196])[0], 0.5 * 4 * PROBABILITIES)

    def test_a_wrong_assumption_is_overcome(self):
        rng = np.random.default_rng(7)
        wide = 5 * np.quantile(rng.normal(size=10_000), PROBABILITIES)
        few, many = (SeasonalErrors.fit(rng.normal(size=n), rng.choice(YEARS, n), wide) for n in (20, 20_000))
        right = 2 * 1.2816
        assert width(few).min() > 4 * right
        np.testing.assert_allclose(width(many), right, rtol=0.15)

    def test_a_season_without_any_error_has_those_of_the_year(self):
        errors = np.random.default_rng(5).normal(size=50)
        fitted = SeasonalErrors.fit(errors, np.full(50, YEAR[14]))
        np.testing.assert_array_equal(fitted.quantiles[6], fitted.quantiles[5])
        np.testing.assert_allclose(fitted.quantiles[6], fitted.quantiles[0])

    def test_the_odds_have_no_jump_at_the_new_year(self):
        rng = np.random.default_rng(6)
        fitted = SeasonalErrors.fit(rng.normal(size=len(YEARS)) * (1 + day_of_year(YEARS)), YEARS)
        steps = np.abs(np.diff(np.vstack([fitted.on(YEARS[-366:]), fitted.on(YEARS[:40])]), axis=0)).max(axis=1)
        new_year = steps[365]
        assert 0 < new_year <= 1.5 * np.sort(steps)[-60]  # as from any day to the next
        leap = fitted.on(np.array(["2024-12-30", "2024-12-31", "2025-01-01"], dtype="M8[D]"))
        assert np.abs(np.diff(leap, axis=0)).max() <= steps.max() * 1.01

    def test_in_the_middle_of_a_month_the_odds_are_those_of_the_month(self):
        quantiles = np.arange(12.0)[:, None] + np.linspace(0, 0.5, 199)
        fitted = SeasonalErrors(quantiles, 100)
        middle = np.array(["2023-01-16", "2023-07-17", "2023-12-17"], dtype="M8[D]")
        np.testing.assert_allclose(fitted.on(middle)[:, 0], [0, 6, 11], atol=0.1)
        between = np.array(["2023-03-02", "2023-01-01"], dtype="M8[D]")
        np.testing.assert_allclose(fitted.on(between)[:, 0], [1.5, 5.5], atol=0.05)
