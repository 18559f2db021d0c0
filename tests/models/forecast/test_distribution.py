"""Predictive distributions: quantiles, intervals, exceedance and its tails."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.forecast.distribution import PROBABILITIES, Distribution, Forecast, missing_values
from models.record.days import StationDays

NAN = np.nan
LOGISTIC = np.log(PROBABILITIES / (1 - PROBABILITIES))

tenths = st.lists(st.integers(-600, 600), min_size=1, max_size=12)
with_ties = tenths.map(lambda values: Distribution(np.quantile(values, PROBABILITIES) / 10, 100))
# Ascending quantiles whose outermost ones are as far apart as those of a logistic distribution of scale 0.7 to 5 degC.
strict = st.builds(
    lambda location, scale, seed: Distribution(
        location + scale * (LOGISTIC + np.sort(np.random.default_rng(seed).uniform(-0.5, 0.5, 199))), 100
    ),
    st.floats(-60, 45),
    st.floats(0.7, 5),
    st.integers(0, 1000),
)


@given(with_ties, st.lists(st.integers(-900, 900), min_size=2, max_size=20))
def test_quantiles_ascend_and_exceedance_falls(distribution, thresholds):
    """Any ascending quantiles, equal ones among them."""
    assert (np.diff([distribution.quantile(p) for p in np.linspace(0.005, 0.995, 50)]) >= 0).all()
    falling = [distribution.exceedance(tenth / 10) for tenth in sorted(thresholds)]
    assert (np.diff(falling) <= 0).all()
    assert 0.0 <= falling[-1] <= falling[0] <= 1.0


@given(strict, st.floats(0.005, 0.995))
def test_exceedance_inverts_the_quantile(distribution, probability):
    assert distribution.exceedance(distribution.quantile(probability)) == pytest.approx(1 - probability, abs=1e-9)


@given(strict, st.floats(0.0, 20.0))
def test_the_tails_are_continuous_fall_and_never_reach_0_or_1(distribution, distance):
    lowest, highest = distribution.quantiles[[0, -1]]
    assert distribution.exceedance(highest) == pytest.approx(0.005)
    assert distribution.exceedance(lowest) == pytest.approx(0.995)
    for outside in (1e-9, distance):
        assert 0.0 < distribution.exceedance(highest + outside) <= 0.005 + 1e-12
        assert 0.995 - 1e-12 <= distribution.exceedance(lowest - outside) < 1.0
    assert distribution.exceedance(highest + 1e-9) == pytest.approx(0.005, rel=1e-6)
    assert distribution.exceedance(lowest - 1e-9) == pytest.approx(0.995, rel=1e-6)
    further = distance + 0.5
    assert distribution.exceedance(highest + further) < distribution.exceedance(highest + distance)
    assert distribution.exceedance(lowest - further) > distribution.exceedance(lowest - distance)


def test_the_tails_are_exponential():
    """Worked by hand: from 2.5 % to 0.5 % beyond is a factor of 5, so as far again is 0.1 %."""
    quantiles = np.linspace(10, 20, 199)
    quantiles[[0, 4, 194, 198]] = 6, 9, 21, 24
    distribution = Distribution(quantiles, 100)
    assert distribution.exceedance(27) == pytest.approx(0.001)
    assert distribution.exceedance(30) == pytest.approx(0.0002)
    assert distribution.exceedance(3) == pytest.approx(0.999)


@pytest.mark.parametrize("different", [0, 194])
def test_equal_quantiles_give_a_steep_tail(different):
    """All quantiles are 15 degC, or the last five: from there the probability falls within 0.1 degC."""
    quantiles = np.full(199, 15.0)
    quantiles[:different] = np.linspace(5, 14, different)
    distribution = Distribution(quantiles, 100)
    above = [distribution.exceedance(15.0 + distance) for distance in (0.0, 0.01, 0.02, 0.1, 20.0)]
    assert above[0] == pytest.approx(0.005)
    assert (np.diff(above) < 0).all()
    assert 0 <= above[-1] <= above[-2] < 1e-6
    if not different:
        assert distribution.exceedance(14.9999) == pytest.approx(0.995, abs=1e-4)
        assert 1 - 1e-6 < distribution.exceedance(14.9) < 1
        assert {distribution.quantile(p) for p in (0.005, 0.5, 0.995)} == {15.0}


@given(with_ties)
def test_intervals_are_central_and_nested(distribution):
    forecast = Forecast(np.datetime64("2024-02-28"), distribution, 14)
    assert str(forecast.valid) == "2024-02-29"
    lows, highs = np.array([forecast.interval(level) for level in np.linspace(0.05, 0.99, 40)]).T
    assert (np.diff(lows) <= 0).all()
    assert (np.diff(highs) >= 0).all()
    assert (lows <= forecast.tmax).all()
    assert (highs >= forecast.tmax).all()
    assert forecast.interval(0.8) == pytest.approx((distribution.quantile(0.1), distribution.quantile(0.9)))
    assert forecast.exceedance(forecast.tmax) == distribution.exceedance(distribution.quantile(0.5))


def test_the_highest_level_is_that_of_all_calibration_errors():
    """Of nine errors the smallest has probability 1/10, the largest 9/10."""
    assert Distribution(np.zeros(199), 9).highest_level == pytest.approx(0.8)


def test_missing_values_are_those_of_the_columns_in_use():
    days = StationDays(np.datetime64("2024-01-01"), np.array([[1, 2, NAN], [NAN, NAN, 3], [1, 2, 3]]))
    found = [(str(date), column) for date, column in missing_values(days, ("tmax", "rain"))]
    assert found == [("2024-01-01", "rain"), ("2024-01-02", "tmax")]
