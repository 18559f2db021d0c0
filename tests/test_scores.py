"""Expected values are worked by hand; then what must hold for any forecasts; then the scores of another package.

Hand-worked points: forecasts 10, 12, 15, 9 and observations 11, 12, 12, 11 have the errors -1, 0, 3, -2.
"""

import math
from statistics import NormalDist

import numpy as np
import pytest
import scoringrules
from hypothesis import given
from hypothesis import strategies as st

from models import scores

FORECAST = np.array([10.0, 12.0, 15.0, 9.0])
OBSERVED = np.array([11.0, 12.0, 12.0, 11.0])

# Both give the quantiles of 0.25, 0.5 and 0.75; the observations are too high for the first row, inside the second.
PROBABILITIES = np.array([0.25, 0.5, 0.75])
QUANTILES = np.array([[8.0, 10.0, 12.0], [9.0, 10.0, 13.0]])
OUTCOMES = np.array([14.0, 12.0])

# Tenths, as stations report them: equal values are common.
temperatures = st.integers(-600, 600).map(lambda tenths: tenths / 10)
pairs = st.lists(st.tuples(temperatures, temperatures), min_size=1, max_size=50).map(lambda rows: np.array(rows).T)


def grid(k):
    """K probabilities, evenly spaced, symmetric about 0.5."""
    return (np.arange(k) + 0.5) / k


@st.composite
def quantile_forecasts(draw):
    """Ascending quantiles (n, K) at evenly spaced probabilities, and observations (n,)."""
    n, k = draw(st.integers(1, 10)), draw(st.integers(1, 12))
    cells = st.lists(temperatures, min_size=n * (k + 1), max_size=n * (k + 1))
    table = np.array(draw(cells)).reshape(n, k + 1)
    return np.sort(table[:, :k], axis=1), grid(k), table[:, k]


def random_forecasts(n=300, k=19, seed=0):
    rng = np.random.default_rng(seed)
    return np.sort(rng.normal(15, 8, (n, k)), axis=1), grid(k), rng.normal(15, 8, n)


# By hand


def test_mean_absolute_error():
    # (1 + 0 + 3 + 2) / 4
    assert scores.mean_absolute_error(FORECAST, OBSERVED) == 1.5


def test_root_mean_squared_error():
    # (1 + 0 + 9 + 4) / 4 = 3.5
    assert scores.root_mean_squared_error(FORECAST, OBSERVED) == pytest.approx(math.sqrt(3.5))


def test_bias_is_above_zero_where_forecasts_are_too_warm():
    # (-1 + 0 + 3 - 2) / 4 = 0; all forecasts 1 warmer: 1
    assert scores.bias(FORECAST, OBSERVED) == 0.0
    assert scores.bias(FORECAST + 1, OBSERVED) == 1.0


def test_error_standard_deviation_does_not_see_the_bias():
    # the bias is 0, so that it is the RMSE, and stays so where all forecasts are 1 warmer
    assert scores.error_standard_deviation(FORECAST, OBSERVED) == pytest.approx(math.sqrt(3.5))
    assert scores.error_standard_deviation(FORECAST + 1, OBSERVED) == pytest.approx(math.sqrt(3.5))


def test_error_percentiles():
    # Sorted: -2, -1, 0, 3, at positions 0 to 3. 5 % is position 0.15: -2 + 0.15 * 1; 25 % is 0.75: -2 + 0.75 * 1;
    # 50 % is 1.5: -1 + 0.5 * 1; 75 % is 2.25: 0 + 0.25 * 3; 95 % is 2.85: 0 + 0.85 * 3.
    np.testing.assert_allclose(scores.error_percentiles(FORECAST, OBSERVED), [-1.85, -1.25, -0.5, 0.75, 2.55])
    np.testing.assert_array_equal(scores.error_percentiles(FORECAST, OBSERVED, (0, 100)), [-2, 3])


@pytest.mark.parametrize(
    ("limit", "within", "missed_by"),
    [(0.0, 0.25, 1.0), (1.0, 0.5, 0.75), (1.5, 0.5, 0.5), (2.0, 0.75, 0.5), (3.0, 1.0, 0.25), (5.0, 1.0, 0.0)],
)
def test_shares_within_and_missed_by_a_limit(limit, within, missed_by):
    """Of the sizes 0, 1, 2, 3 one that is exactly the limit counts in both."""
    assert scores.share_within(FORECAST, OBSERVED, limit) == within
    assert scores.share_missed_by(FORECAST, OBSERVED, limit) == missed_by


def test_tenths_of_a_degree_are_what_they_say():
    """In binary fractions 10.3 - 5.3 is a bit more than 5, 10.2 - 5.2 a bit less; both are errors of 5."""
    forecast, observed = np.array([10.3, 10.2]), np.array([5.3, 5.2])
    assert list((forecast - observed) > 5) == [True, False]
    assert list((forecast - observed) < 5) == [False, True]
    assert scores.share_within(forecast, observed, 5) == 1.0
    assert scores.share_missed_by(forecast, observed, 5) == 1.0


def test_skill():
    assert scores.skill(1.5, 2.0) == 0.25
    assert scores.skill(2.0, 2.0) == 0.0
    assert scores.skill(3.0, 2.0) == -0.5
    assert scores.skill(1.5, 0.0) == 0.0


def test_coverage_counts_the_ends():
    low, high = np.array([0.0, 0.0, 0.0]), np.array([1.0, 1.0, 1.0])
    assert scores.coverage(low, high, np.array([0.0, 1.0, 1.1])) == pytest.approx(2 / 3)
    # 10.3 + 0.3 and 10.4 + 0.3 are a bit more than 10.6 and 10.7
    assert scores.coverage(np.array([10.3 + 0.3]), np.array([11.0]), np.array([10.6])) == 1.0
    assert scores.coverage(np.array([10.0]), np.array([10.7]), np.array([10.4 + 0.3])) == 1.0


def test_interval_score():
    """Widths 4 of level 0.8, so that a degree outside costs 2 / 0.2 = 10: inside 4, 1 below 14, 0.5 above 9."""
    low, high = np.array([10.0, 10.0, 10.0]), np.array([14.0, 14.0, 14.0])
    assert scores.interval_score(low, high, np.array([14.0, 9.0, 14.5]), 0.8) == pytest.approx((4 + 14 + 9) / 3)


def test_pinball_loss():
    # Row 1: 14 is 6, 4, 2 above: 0.25 * 6, 0.5 * 4, 0.75 * 2. Row 2: 12 is 3 and 2 above, 1 below: 0.25 * 3, 0.5 * 2,
    # (1 - 0.75) * 1.
    expected = [(1.5 + 0.75) / 2, (2 + 1) / 2, (1.5 + 0.25) / 2]
    np.testing.assert_allclose(scores.pinball_loss(QUANTILES, PROBABILITIES, OUTCOMES), expected, rtol=1e-15)


def test_crps_is_twice_the_mean_pinball_loss():
    # the six of above: 2 * (1.5 + 0.75 + 2 + 1 + 1.5 + 0.25) / 6
    assert scores.crps_from_quantiles(QUANTILES, PROBABILITIES, OUTCOMES) == pytest.approx(7 / 3)
    # median 10, observed 14: pinball 0.5 * 4
    assert scores.crps_from_quantiles(np.array([[10.0]]), np.array([0.5]), np.array([14.0])) == 4.0


def test_crps_of_a_normal_distribution():
    """Gneiting and Raftery (2007), eq. 21: for a standard normal and an observation of 0, (sqrt(2) - 1) / sqrt(pi)."""
    p = grid(2000)
    quantiles = np.array([[NormalDist().inv_cdf(x) for x in p]])
    expected = (math.sqrt(2) - 1) / math.sqrt(math.pi)
    assert scores.crps_from_quantiles(quantiles, p, np.zeros(1)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("observed", "pit"),
    [
        (7.9, 0.125),  # below all: half of 0.25
        (8.0, 0.25),
        (8.5, 0.3125),  # a quarter of the way from 0.25 to 0.5
        (10.0, 0.5),
        (11.0, 0.625),
        (12.0, 0.75),
        (99.0, 0.875),  # above all: half of the last 0.25
    ],
)
def test_probability_integral_transform(observed, pit):
    actual = scores.probability_integral_transform(QUANTILES[:1], PROBABILITIES, np.array([observed]))
    np.testing.assert_allclose(actual, [pit], rtol=1e-12)


def test_pit_has_each_row_by_its_own_quantiles():
    """14 is above the row 8, 10, 12; 12 is two thirds of the way from 10 to 13: 0.5 + 0.25 * 2 / 3."""
    actual = scores.probability_integral_transform(QUANTILES, PROBABILITIES, OUTCOMES)
    np.testing.assert_allclose(actual, [0.875, 2 / 3], rtol=1e-12)


def test_pit_where_quantiles_are_equal_is_the_middle_of_the_jump():
    """Quantiles of 0.2, 0.4 and 0.6 are 10.6: there F jumps from 0.2 to 0.6; rounding does not decide on the side."""
    quantiles = np.array([[10.6, 10.3 + 0.3, 10.6, 11.0]])
    p = np.array([0.2, 0.4, 0.6, 0.8])
    for observed in (10.6, 10.3 + 0.3):
        pit = scores.probability_integral_transform(np.sort(quantiles, axis=1), p, np.array([observed]))
        np.testing.assert_allclose(pit, [0.4], rtol=1e-12)


def test_pit_of_a_single_quantile():
    """Of the median alone nothing but the side is known."""
    medians, p = np.full((3, 1), 10.0), np.array([0.5])
    pit = scores.probability_integral_transform(medians, p, np.array([9.0, 10.0, 11.0]))
    np.testing.assert_array_equal(pit, [0.25, 0.5, 0.75])


def test_pit_histogram():
    # 0 and 0.2 in the first quarter; 0.25 is the lower edge of the second; 1 is the upper edge of the last
    np.testing.assert_array_equal(scores.pit_histogram(np.array([0, 0.2, 0.25, 1.0]), 4), [0.5, 0.25, 0, 0.25])
    # the bins reach from 0 to 1 wherever the values are: 0.55 is in the sixth tenth
    np.testing.assert_array_equal(scores.pit_histogram(np.array([0.55, 0.55])), np.eye(10)[5])


# Of any forecasts


@given(pairs)
def test_squared_error_is_squared_bias_and_variance(pair):
    parts = scores.bias(*pair) ** 2 + scores.error_standard_deviation(*pair) ** 2
    assert scores.root_mean_squared_error(*pair) ** 2 == pytest.approx(parts, abs=1e-9)


@given(pairs)
def test_bias_is_within_mae_and_mae_within_rmse(pair):
    mae = scores.mean_absolute_error(*pair)
    assert abs(scores.bias(*pair)) <= mae + 1e-9
    assert mae <= scores.root_mean_squared_error(*pair) + 1e-9


@given(pairs, st.integers(0, 200).map(lambda tenths: tenths / 10))
def test_shares_complement_each_other(pair, limit):
    exactly = np.isclose(np.abs(pair[0] - pair[1]), limit, rtol=0, atol=scores.ROUNDING).mean()
    both = scores.share_within(*pair, limit) + scores.share_missed_by(*pair, limit)
    assert both == pytest.approx(1 + exactly)


@given(pairs)
def test_error_percentiles_ascend_between_the_extremes(pair):
    lowest, *_, highest = percentiles = scores.error_percentiles(*pair, (0, 5, 25, 50, 75, 95, 100))
    assert (np.diff(percentiles) >= -1e-9).all()
    assert (lowest, highest) == ((pair[0] - pair[1]).min(), (pair[0] - pair[1]).max())


@given(st.lists(temperatures, min_size=1, max_size=40), st.floats(0.01, 0.99), temperatures)
def test_no_number_has_a_smaller_pinball_loss_than_the_quantile(observed, probability, other):
    observed = np.array(observed)

    def loss(value):
        return scores.pinball_loss(np.full((len(observed), 1), value), np.array([probability]), observed)[0]

    assert loss(np.quantile(observed, probability, method="inverted_cdf")) <= loss(other) + 1e-9


@given(pairs)
def test_pinball_loss_of_the_median_is_half_the_mean_absolute_error(pair):
    median, observed = pair
    loss = scores.pinball_loss(median[:, None], np.array([0.5]), observed)
    assert loss == pytest.approx([scores.mean_absolute_error(median, observed) / 2])


@given(pairs, st.floats(0.01, 0.99))
def test_interval_score_of_what_is_inside_is_the_width(pair, level):
    low, high = np.sort(pair, axis=0)
    for inside in (low, (low + high) / 2, high):
        assert scores.interval_score(low, high, inside, level) == pytest.approx((high - low).mean(), abs=1e-9)


@given(quantile_forecasts(), st.floats(0.01, 0.99))
def test_interval_score_is_the_pinball_loss_of_both_ends(forecasts, level):
    """Of (1 - level) / 2 and (1 + level) / 2, by half of 1 - level (Gneiting and Raftery 2007, section 6.2)."""
    quantiles, _, observed = forecasts
    ends = quantiles[:, [0, -1]]
    losses = scores.pinball_loss(ends, np.array([(1 - level) / 2, (1 + level) / 2]), observed)
    assert scores.interval_score(*ends.T, observed, level) == pytest.approx(losses.sum() * 2 / (1 - level), abs=1e-9)


@given(quantile_forecasts())
def test_crps_is_never_below_zero(forecasts):
    assert scores.crps_from_quantiles(*forecasts) >= 0.0


@given(pairs, st.integers(1, 50))
def test_crps_of_a_certain_forecast_is_its_absolute_error(pair, k):
    point, observed = pair
    certain = np.repeat(point[:, None], k, axis=1)
    crps = scores.crps_from_quantiles(certain, grid(k), observed)
    assert crps == pytest.approx(scores.mean_absolute_error(point, observed), abs=1e-9)


def test_crps_of_a_forecast_that_grows_certain_approaches_its_absolute_error():
    p = grid(199)
    standard = np.array([NormalDist().inv_cdf(x) for x in p])
    differences = [
        abs(scores.crps_from_quantiles(FORECAST[:, None] + sigma * standard, p, OBSERVED) - 1.5)
        for sigma in (1.0, 0.1, 0.01)
    ]
    assert differences == sorted(differences, reverse=True)
    assert differences[-1] < 0.01


@given(quantile_forecasts())
def test_pit_is_a_probability_and_ascends_with_the_observation(forecasts):
    quantiles, probabilities, observed = forecasts
    pit = scores.probability_integral_transform(quantiles, probabilities, observed)
    warmer = scores.probability_integral_transform(quantiles, probabilities, observed + 0.5)
    assert ((pit > 0) & (pit < 1)).all()
    assert (warmer >= pit - 1e-9).all()
    assert scores.pit_histogram(pit).sum() == pytest.approx(1.0)


@given(quantile_forecasts())
def test_pit_of_a_quantile_is_its_probability(forecasts):
    """Where it differs from the others; the mean of the probabilities of those that are equal where not."""
    quantiles, probabilities, _ = forecasts
    for column in quantiles.T:
        equal = np.abs(quantiles - column[:, None]) <= scores.ROUNDING
        expected = (equal * probabilities).sum(axis=1) / equal.sum(axis=1)
        pit = scores.probability_integral_transform(quantiles, probabilities, column)
        np.testing.assert_allclose(pit, expected, rtol=1e-9)


def normal_quantiles(center, sigma):
    p = np.arange(1, 200) / 200
    return center[:, None] + sigma * np.array([NormalDist().inv_cdf(x) for x in p]), p


def test_pit_of_honest_odds_is_uniform():
    """20,000 draws: the share of a bin has the standard deviation sqrt(0.1 * 0.9 / 20000), 0.002."""
    rng = np.random.default_rng(3)
    center = rng.normal(15, 8, 20_000)
    pit = scores.probability_integral_transform(*normal_quantiles(center, 2.0), rng.normal(center, 2.0))
    np.testing.assert_allclose(scores.pit_histogram(pit), 0.1, atol=0.01)
    assert pit.mean() == pytest.approx(0.5, abs=0.01)
    assert pit.var() == pytest.approx(1 / 12, abs=0.003)


def test_pit_of_honest_odds_on_few_values_has_its_mean():
    """A die, whose quantiles are equal in groups: no value between is drawn at random, but the mean stays 0.5."""
    p = np.arange(1, 200) / 200
    quantiles = np.tile(np.ceil(p * 6 - 1e-9), (6, 1))
    pit = scores.probability_integral_transform(quantiles, p, np.arange(1.0, 7.0))
    np.testing.assert_allclose(pit, (np.arange(6) + 0.5) / 6, atol=0.005)
    assert pit.mean() == pytest.approx(0.5, abs=1e-3)


def test_pit_histogram_shows_what_is_wrong_with_the_odds():
    rng = np.random.default_rng(4)
    center = np.zeros(5000)
    observed = rng.normal(center, 2.0)

    def shape(shift, sigma):
        return scores.pit_histogram(
            scores.probability_integral_transform(*normal_quantiles(center + shift, sigma), observed), 5
        )

    too_narrow, too_wide, too_warm = shape(0, 1.0), shape(0, 4.0), shape(1.0, 2.0)
    assert min(too_narrow[[0, -1]]) > 0.3 > max(too_narrow[1:-1])
    assert max(too_wide[[0, -1]]) < 0.1 < min(too_wide[1:-1])
    assert (np.diff(too_warm) < 0).all()


# Of another package


def test_pinball_loss_agrees_with_scoringrules():
    quantiles, p, observed = random_forecasts()
    expected = scoringrules.quantile_score(observed[:, None], quantiles, p).mean(axis=0)
    np.testing.assert_allclose(scores.pinball_loss(quantiles, p, observed), expected, rtol=1e-12)


def test_crps_agrees_with_scoringrules():
    quantiles, p, observed = random_forecasts()
    expected = scoringrules.crps_quantile(observed, quantiles, p).mean()
    assert scores.crps_from_quantiles(quantiles, p, observed) == pytest.approx(expected, rel=1e-12)


def test_crps_of_many_quantiles_agrees_with_the_closed_form_of_scoringrules():
    center = np.linspace(-5, 5, 21)
    p = grid(2000)
    quantiles = center[:, None] + 2.0 * np.array([NormalDist().inv_cdf(x) for x in p])
    expected = scoringrules.crps_normal(np.zeros(21), center, 2.0).mean()
    assert scores.crps_from_quantiles(quantiles, p, np.zeros(21)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_interval_score_agrees_with_scoringrules(level):
    quantiles, _, observed = random_forecasts()
    low, high = quantiles[:, 3], quantiles[:, -4]
    expected = scoringrules.interval_score(observed, low, high, 1 - level).mean()
    assert scores.interval_score(low, high, observed, level) == pytest.approx(expected, rel=1e-12)


# What is refused

POINT_SCORES = [
    scores.mean_absolute_error,
    scores.root_mean_squared_error,
    scores.bias,
    scores.error_standard_deviation,
    scores.error_percentiles,
    lambda forecast, observed: scores.share_within(forecast, observed, 1.0),
    lambda forecast, observed: scores.share_missed_by(forecast, observed, 1.0),
    lambda forecast, observed: scores.coverage(forecast, forecast, observed),
    lambda forecast, observed: scores.interval_score(forecast, forecast, observed, 0.8),
]
QUANTILE_SCORES = [
    scores.pinball_loss,
    scores.crps_from_quantiles,
    scores.crps_of_days,
    scores.probability_integral_transform,
]


@pytest.mark.parametrize("score", POINT_SCORES)
def test_point_scores_refuse_nothing_and_what_would_be_broadcast(score):
    with pytest.raises(ValueError, match="nothing to score"):
        score(np.array([]), np.array([]))
    with pytest.raises(ValueError, match=r"must be the same: .*\(4, 1\).*\(4,\)"):
        score(np.zeros((4, 1)), np.zeros(4))
    with pytest.raises(ValueError, match=r"must be the same: .*\(4,\).*\(3,\)"):
        score(np.zeros(4), np.zeros(3))


@pytest.mark.parametrize("score", QUANTILE_SCORES)
def test_quantile_scores_refuse_nothing_and_other_shapes(score):
    for quantiles, p, observed in [
        (np.empty((0, 3)), PROBABILITIES, np.empty(0)),
        (np.empty((2, 0)), np.empty(0), OUTCOMES),
    ]:
        with pytest.raises(ValueError, match="nothing to score"):
            score(quantiles, p, observed)
    with pytest.raises(ValueError, match=r"\(2, 3\) for \(1,\) and \(3,\)"):
        score(QUANTILES, PROBABILITIES, OUTCOMES[:1])
    with pytest.raises(ValueError, match=r"\(2, 3\) for \(2,\) and \(2,\)"):
        score(QUANTILES, PROBABILITIES[:2], OUTCOMES)
    with pytest.raises(ValueError, match=r"for \(2, 1\)"):
        score(QUANTILES, PROBABILITIES, OUTCOMES[:, None])


@pytest.mark.parametrize("score", QUANTILE_SCORES)
@pytest.mark.parametrize("impossible", [0.0, 1.0, 25.0])
def test_quantile_scores_refuse_what_is_no_probability(score, impossible):
    with pytest.raises(ValueError, match="between 0 and 1"):
        score(QUANTILES, np.array([0.1, 0.5, impossible]), OUTCOMES)


def test_pit_refuses_what_does_not_ascend():
    for quantiles, p in [(QUANTILES[:, ::-1], PROBABILITIES), (QUANTILES, PROBABILITIES[::-1])]:
        with pytest.raises(ValueError, match="must ascend"):
            scores.probability_integral_transform(quantiles, p, OUTCOMES)


def test_pit_histogram_refuses_nothing_and_what_is_no_probability():
    with pytest.raises(ValueError, match="nothing to score"):
        scores.pit_histogram(np.array([]))
    for impossible in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="from 0 to 1"):
            scores.pit_histogram(np.array([0.5, impossible]))


def test_interval_score_refuses_an_impossible_level_and_crossed_ends():
    low, high = np.array([10.0]), np.array([12.0])
    for level in (0.0, 1.0, 80.0):
        with pytest.raises(ValueError, match=f"level={level}"):
            scores.interval_score(low, high, low, level)
    with pytest.raises(ValueError, match="low end above its high end"):
        scores.interval_score(high, low, low, 0.8)
