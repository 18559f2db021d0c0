"""Verification scores against values worked by hand, properties of any forecasts, and the package scoringrules."""

import math
from statistics import NormalDist

import numpy as np
import pytest
import scoringrules
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.verification import scores

# Errors -1, 0, 3 and -2.
FORECAST = np.array([10.0, 12.0, 15.0, 9.0])
OBSERVED = np.array([11.0, 12.0, 12.0, 11.0])

# The first observation is above its quantiles, the second between them.
PROBABILITIES = np.array([0.25, 0.5, 0.75])
QUANTILES = np.array([[8.0, 10.0, 12.0], [9.0, 10.0, 13.0]])
OUTCOMES = np.array([14.0, 12.0])

# Tenths of a degree, as stations report them: equal values are common.
TENTHS = st.integers(-600, 600)
levels = st.floats(0.01, 0.99)
pairs = st.integers(1, 50).flatmap(lambda n: arrays.arrays(int, (2, n), elements=TENTHS)).map(lambda table: table / 10)


@st.composite
def quantile_forecasts(draw):
    """Ascending quantiles (n, K) at evenly spaced probabilities, and observations (n,)."""
    n, k = draw(st.integers(1, 10)), draw(st.integers(1, 12))
    table = draw(arrays.arrays(int, (n, k + 1), elements=TENTHS)) / 10
    return np.sort(table[:, :k], axis=1), grid(k), table[:, k]


def grid(k):
    """K probabilities, evenly spaced, symmetric about 0.5."""
    return (np.arange(k) + 0.5) / k


def normal_quantiles(center, sigma, p):
    return center[:, None] + sigma * np.array([NormalDist().inv_cdf(float(x)) for x in p])


class TestWorkedByHand:
    def test_scores_of_the_error(self):
        """Mean, mean square and mean size of the errors are 0, 14 / 4 and 6 / 4; a constant error adds to the bias."""
        assert scores.mean_absolute_error(FORECAST, OBSERVED) == 1.5
        assert scores.root_mean_squared_error(FORECAST, OBSERVED) == pytest.approx(math.sqrt(3.5))
        for warmer in (0.0, 1.0):
            assert scores.bias(FORECAST + warmer, OBSERVED) == warmer
            assert scores.error_standard_deviation(FORECAST + warmer, OBSERVED) == pytest.approx(math.sqrt(3.5))

    def test_error_percentiles_are_interpolated(self):
        """Sorted errors -2, -1, 0, 3 at positions 0 to 3: 5 % is at position 0.15, so -2 + 0.15 * 1, and so on."""
        percentiles = scores.error_percentiles(FORECAST, OBSERVED)
        np.testing.assert_allclose(percentiles, [-1.85, -1.25, -0.5, 0.75, 2.55])

    def test_errors_of_exactly_the_limit_count_in_both_shares(self):
        shares = [(f(FORECAST, OBSERVED, 2.0), f(FORECAST, OBSERVED, 2.5)) for f in SHARES]
        assert shares == [(0.75, 0.75), (0.5, 0.25)]
        # In binary 10.3 - 5.3 is above 5 and 10.2 - 5.2 below: both are errors of 5.
        forecast, observed = np.array([10.3, 10.2]), np.array([5.3, 5.2])
        assert list((forecast - observed) > 5) == [True, False]
        assert [f(forecast, observed, 5) for f in SHARES] == [1.0, 1.0]

    def test_skill_is_the_saved_share_of_the_reference_score(self):
        skills = [scores.skill(*pair) for pair in ((0.0, 2.0), (1.5, 2.0), (2.0, 2.0), (3.0, 2.0), (1.5, 0.0))]
        assert skills == [1.0, 0.25, 0.0, -0.5, 0.0]

    def test_coverage_includes_the_ends_of_the_interval(self):
        # 10.3 + 0.3 is above 10.6 in binary, 10.4 + 0.3 above 10.7.
        low, high = np.array([0.0, 0.0, 0.0, 10.3 + 0.3, 10.0]), np.array([1.0, 1.0, 1.0, 11.0, 10.7])
        assert scores.coverage(low, high, np.array([0.0, 1.0, 1.1, 10.6, 10.4 + 0.3])) == 0.8

    def test_interval_score_is_the_width_and_a_penalty_for_observations_outside(self):
        """Width 4 at level 0.8, so that a degree outside costs 2 / 0.2 = 10: inside 4, 1 below 14, 0.5 above 9."""
        low, high = np.full(3, 10.0), np.full(3, 14.0)
        assert scores.interval_score(low, high, np.array([14.0, 9.0, 14.5]), 0.8) == pytest.approx((4 + 14 + 9) / 3)

    def test_crps_is_twice_the_mean_pinball_loss(self):
        """First row 6, 4 and 2 too low: 0.25 * 6, 0.5 * 4, 0.75 * 2; second 3 and 2 too low, 1 too high."""
        pinball = np.array([[1.5, 2.0, 1.5], [0.75, 1.0, 0.25]])
        np.testing.assert_allclose(scores.pinball_loss(QUANTILES, PROBABILITIES, OUTCOMES), pinball.mean(axis=0))
        np.testing.assert_allclose(scores.crps_by_day(QUANTILES, PROBABILITIES, OUTCOMES), 2 * pinball.mean(axis=1))
        assert scores.crps_from_quantiles(QUANTILES, PROBABILITIES, OUTCOMES) == pytest.approx(7 / 3)

    def test_pit_is_linear_between_quantiles_and_half_the_tail_beyond(self):
        expected = {7.9: 0.125, 8.0: 0.25, 8.5: 0.3125, 10.0: 0.5, 11.0: 0.625, 12.0: 0.75, 99.0: 0.875}
        quantiles, observed = np.repeat(QUANTILES[:1], len(expected), axis=0), np.array(list(expected))
        pit = scores.probability_integral_transform(quantiles, PROBABILITIES, observed)
        np.testing.assert_allclose(pit, list(expected.values()))
        # Each row has its own quantiles: 12 is two thirds of the way from 10 to 13.
        pit = scores.probability_integral_transform(QUANTILES, PROBABILITIES, OUTCOMES)
        np.testing.assert_allclose(pit, [0.875, 0.5 + 0.25 * 2 / 3])

    def test_pit_at_equal_quantiles_is_the_middle_of_the_jump(self):
        """F jumps from 0.2 to 0.6 at 10.6, which binary rounding must not split."""
        quantiles = np.sort(np.array([[10.6, 10.3 + 0.3, 10.6, 11.0]] * 2), axis=1)
        p, observed = np.array([0.2, 0.4, 0.6, 0.8]), np.array([10.6, 10.3 + 0.3])
        np.testing.assert_allclose(scores.probability_integral_transform(quantiles, p, observed), 0.4)

    def test_pit_histogram_bins_include_their_lower_edges_and_the_last_its_upper(self):
        np.testing.assert_array_equal(scores.pit_histogram(np.array([0, 0.2, 0.25, 1.0]), 4), [0.5, 0.25, 0, 0.25])
        np.testing.assert_array_equal(scores.pit_histogram(np.array([0.55, 0.55])), np.eye(10)[5])


SHARES = (scores.share_within, scores.share_missed_by)


class TestProperties:
    @given(pairs, st.integers(0, 200), levels)
    def test_scores_of_any_point_forecasts_are_consistent(self, pair, tenths, level):
        forecast, observed = pair
        mae, rmse = scores.mean_absolute_error(*pair), scores.root_mean_squared_error(*pair)
        assert rmse**2 == pytest.approx(scores.bias(*pair) ** 2 + scores.error_standard_deviation(*pair) ** 2, abs=1e-9)
        assert abs(scores.bias(*pair)) <= mae + 1e-9
        assert mae <= rmse + 1e-9
        percentiles = scores.error_percentiles(*pair, (0, 5, 25, 50, 75, 95, 100))
        assert (np.diff(percentiles) >= -1e-9).all()
        assert (percentiles[0], percentiles[-1]) == ((forecast - observed).min(), (forecast - observed).max())
        exactly = np.isclose(np.abs(forecast - observed), tenths / 10, rtol=0, atol=scores.ROUNDING).mean()
        assert sum(share(*pair, tenths / 10) for share in SHARES) == pytest.approx(1 + exactly)
        # The forecast as a distribution without spread, and as an interval with the observation inside.
        point = forecast[:, None]
        assert scores.pinball_loss(point, np.array([0.5]), observed) == pytest.approx([mae / 2])
        assert scores.crps_from_quantiles(np.repeat(point, 7, axis=1), grid(7), observed) == pytest.approx(mae)
        low, high = np.sort(pair, axis=0)
        for inside in (low, (low + high) / 2, high):
            assert scores.interval_score(low, high, inside, level) == pytest.approx((high - low).mean(), abs=1e-9)

    @given(quantile_forecasts(), levels)
    def test_scores_of_any_distributions_agree_with_scoringrules(self, forecasts, level):
        quantiles, p, observed = forecasts
        pinball = scoringrules.quantile_score(observed[:, None], quantiles, p).mean(axis=0)
        np.testing.assert_allclose(scores.pinball_loss(*forecasts), pinball, atol=1e-9)
        crps = scoringrules.crps_quantile(observed, quantiles, p)
        np.testing.assert_allclose(scores.crps_by_day(*forecasts), crps, atol=1e-9)
        assert scores.crps_from_quantiles(*forecasts) == pytest.approx(crps.mean(), abs=1e-9)
        low, high = quantiles[:, 0], quantiles[:, -1]
        expected = scoringrules.interval_score(observed, low, high, 1 - level).mean()
        assert scores.interval_score(low, high, observed, level) == pytest.approx(expected, abs=1e-9)

    def test_crps_of_many_quantiles_approaches_the_closed_form(self):
        center, p = np.linspace(-5, 5, 21), grid(2000)
        for sigma in (2.0, 0.01):
            crps = scores.crps_from_quantiles(normal_quantiles(center, sigma, p), p, np.zeros(21))
            assert crps == pytest.approx(scoringrules.crps_normal(np.zeros(21), center, sigma).mean(), rel=1e-3)

    @given(arrays.arrays(int, st.integers(1, 40), elements=TENTHS), levels, TENTHS)
    def test_the_quantile_minimises_the_pinball_loss(self, observed, probability, other):
        def loss(value):
            return scores.pinball_loss(np.full((len(observed), 1), value), np.array([probability]), observed)[0]

        assert loss(np.quantile(observed, probability, method="inverted_cdf")) <= loss(other) + 1e-9

    @given(quantile_forecasts())
    def test_pit_is_a_probability_that_rises_with_the_observation(self, forecasts):
        """At a quantile it is its probability, or the mean of the probabilities of all equal quantiles."""
        quantiles, p, observed = forecasts
        pit = scores.probability_integral_transform(*forecasts)
        assert ((pit > 0) & (pit < 1)).all()
        assert (scores.probability_integral_transform(quantiles, p, observed + 0.5) >= pit - 1e-9).all()
        assert scores.pit_histogram(pit).sum() == pytest.approx(1.0)
        for column in quantiles.T:
            equal = np.abs(quantiles - column[:, None]) <= scores.ROUNDING
            expected = (equal * p).sum(axis=1) / equal.sum(axis=1)
            np.testing.assert_allclose(scores.probability_integral_transform(quantiles, p, column), expected)

    def test_pit_histogram_shows_calibration(self):
        """Of 20,000 draws the share of a bin has the standard deviation sqrt(0.2 * 0.8 / 20000), 0.003."""
        rng = np.random.default_rng(3)
        center = rng.normal(15, 8, 20_000)
        observed, p = rng.normal(center, 2.0), np.arange(1, 200) / 200

        def histogram(bias, sigma):
            quantiles = normal_quantiles(center + bias, sigma, p)
            return scores.pit_histogram(scores.probability_integral_transform(quantiles, p, observed), 5)

        np.testing.assert_allclose(histogram(0.0, 2.0), 0.2, atol=0.012)
        narrow, wide, warm = histogram(0.0, 1.0), histogram(0.0, 4.0), histogram(1.0, 2.0)
        assert min(narrow[[0, -1]]) > 0.3 > max(narrow[1:-1])
        assert max(wide[[0, -1]]) < 0.1 < min(wide[1:-1])
        assert (np.diff(warm) < 0).all()


class TestInvalidInput:
    def test_point_scores_refuse_empty_and_mismatched_arrays(self):
        both = (scores.mean_absolute_error, scores.root_mean_squared_error, scores.bias, scores.error_percentiles)
        for score in (
            *both,
            scores.error_standard_deviation,
            *(lambda f, o, share=share: share(f, o, 1.0) for share in SHARES),
            lambda f, o: scores.coverage(f, f, o),
            lambda f, o: scores.interval_score(f, f, o, 0.8),
        ):
            with pytest.raises(ValueError, match="nothing to score"):
                score(np.array([]), np.array([]))
            for forecast, shape in ((np.zeros((4, 1)), r"\(4, 1\)"), (np.zeros(3), r"\(3,\)")):
                with pytest.raises(ValueError, match=rf"must be the same: .*{shape}.*\(4,\)"):
                    score(forecast, np.zeros(4))

    @pytest.mark.parametrize(
        "score",
        [scores.pinball_loss, scores.crps_by_day, scores.crps_from_quantiles, scores.probability_integral_transform],
    )
    def test_quantile_scores_refuse_empty_and_mismatched_arrays_and_impossible_probabilities(self, score):
        empty = (np.empty((0, 3)), PROBABILITIES, np.empty(0)), (np.empty((2, 0)), np.empty(0), OUTCOMES)
        for given_ in empty:
            with pytest.raises(ValueError, match="nothing to score"):
                score(*given_)
        for p, observed, shapes in (
            (PROBABILITIES, OUTCOMES[:1], r"\(2, 3\) for \(1,\) and \(3,\)"),
            (PROBABILITIES[:2], OUTCOMES, r"\(2, 3\) for \(2,\) and \(2,\)"),
            (PROBABILITIES, OUTCOMES[:, None], r"\(2, 3\) for \(2, 1\)"),
        ):
            with pytest.raises(ValueError, match=shapes):
                score(QUANTILES, p, observed)
        for impossible in (0.0, 1.0, 25.0):
            with pytest.raises(ValueError, match="between 0 and 1"):
                score(QUANTILES, np.array([0.1, 0.5, impossible]), OUTCOMES)

    def test_pit_refuses_descending_quantiles_and_values_that_are_not_probabilities(self):
        for quantiles, p in [(QUANTILES[:, ::-1], PROBABILITIES), (QUANTILES, PROBABILITIES[::-1])]:
            with pytest.raises(ValueError, match="must ascend"):
                scores.probability_integral_transform(quantiles, p, OUTCOMES)
        with pytest.raises(ValueError, match="nothing to score"):
            scores.pit_histogram(np.array([]))
        for impossible in (-0.1, 1.1, np.nan):
            with pytest.raises(ValueError, match="from 0 to 1"):
                scores.pit_histogram(np.array([0.5, impossible]))

    def test_interval_score_refuses_an_impossible_level_and_crossed_ends(self):
        low, high = np.array([10.0]), np.array([12.0])
        for level in (0.0, 1.0, 80.0):
            with pytest.raises(ValueError, match=f"level={level}"):
                scores.interval_score(low, high, low, level)
        with pytest.raises(ValueError, match="low end above its high end"):
            scores.interval_score(high, low, low, 0.8)
