"""What is normal: recovered from synthetic weather whose normal is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.climatology import Climatology, day_of_year, season

NAN = np.nan


def dates(first, last):
    return np.arange(first, last, dtype="M8[D]")


def angle(days):
    return 2 * np.pi * day_of_year(days) / 365.25


def normal(days):
    return 12 + 9 * np.cos(angle(days) - 3.4) + 1.5 * np.sin(2 * angle(days))


def deviation(days):
    return 3 + 1.2 * np.cos(angle(days))


def weather(days, trend=0.0, seed=0):
    """The normal, a trend in degC a decade from the middle of the record on, and independent days."""
    decades = (days - days[len(days) // 2]).astype(float) / 3652.5
    return normal(days) + trend * decades + deviation(days) * np.random.default_rng(seed).normal(size=len(days))


def test_it_finds_the_mean_and_the_spread_that_are_there():
    record = dates("1991-01-01", "2021-01-01")
    fitted = Climatology.fit(record, weather(record))
    year = dates("2024-01-01", "2025-01-01")
    # 30 years of 365 days give each of nine coefficients a standard error of about 0.05 degC.
    mean, spread = fitted.on(year)
    np.testing.assert_allclose(mean - fitted.trend * 1.85, normal(year), atol=0.25)
    np.testing.assert_allclose(spread, deviation(year), rtol=0.1)
    np.testing.assert_allclose(fitted.anomaly(year, mean + 2 * spread), np.full(len(year), 2.0))


def test_a_century_tells_its_trend():
    record = dates("1920-01-01", "2020-01-01")
    assert Climatology.fit(record, weather(record, trend=0.3)).trend == pytest.approx(0.3, abs=0.03)
    assert Climatology.fit(record, weather(record)).trend == pytest.approx(0.0, abs=0.03)


def test_a_few_years_do_not_tell_a_trend_from_the_weather():
    """The shorter the record the less of what looks like a trend is believed; of four years hardly anything is."""
    believed = []
    for years in (4, 10, 30, 60):
        record = dates(f"{2020 - years}-01-01", "2020-01-01")
        believed.append(Climatology.fit(record, weather(record, trend=1.0)).trend)
    assert (np.diff(believed) > 0).all()
    assert believed[0] < 0.02
    assert believed[-1] > 0.9


def test_the_trend_carries_on_after_the_record():
    record = dates("1960-01-01", "2020-01-01")
    fitted = Climatology.fit(record, weather(record, trend=0.4))
    (now, later), _ = fitted.on(np.array(["2020-02-01", "2030-02-01"], dtype="M8[D]"))
    assert later - now == pytest.approx(fitted.trend, rel=0.01)


def test_the_southern_hemisphere_is_warmest_half_a_year_later():
    record = dates("2000-01-01", "2010-01-01")
    warm = np.cos(angle(record) - 2 * np.pi * 200 / 365.25)
    north, south = (Climatology.fit(record, 15 + 8 * side * warm) for side in (1, -1))
    assert north.warmest % (2 * np.pi) == pytest.approx(2 * np.pi * 200 / 365.25, abs=0.02)
    assert (south.warmest - north.warmest) % (2 * np.pi) == pytest.approx(np.pi, abs=0.02)


@pytest.mark.parametrize("n", [1, 2, 30, 120])
@pytest.mark.parametrize("first", ["2023-01-20", "2023-06-20"])
def test_a_few_weeks_are_enough_for_something_sane(first, n):
    """What was not seen of the year is not made up: its normal stays among what weather is, its spread above zero."""
    record = np.datetime64(first) + np.arange(n)
    values = weather(record)
    fitted = Climatology.fit(record, values)
    year = dates("2024-01-01", "2025-01-01")
    mean, spread = fitted.on(year)
    assert (np.abs(mean - values.mean()) < 20).all()
    assert (spread >= 0.1).all()
    assert (spread < 10).all()
    assert np.abs(fitted.on(record)[0] - values).mean() <= np.abs(values - values.mean()).mean() + 0.5


def test_what_was_not_observed_has_no_part():
    record = dates("2010-01-01", "2014-01-01")
    values = weather(record)
    missing = np.random.default_rng(1).random(len(record)) < 0.4
    with_holes = Climatology.fit(record, np.where(missing, NAN, values))
    without = Climatology.fit(record[~missing], values[~missing])
    np.testing.assert_array_equal(with_holes.mean, without.mean)
    np.testing.assert_array_equal(with_holes.spread, without.spread)
    assert (with_holes.trend, with_holes.origin) == (without.trend, without.origin)


def test_without_any_observation_there_is_still_a_number():
    record = dates("2010-01-01", "2011-01-01")
    fitted = Climatology.fit(record, np.full(len(record), NAN))
    mean, spread = fitted.on(record)
    assert not mean.any()
    assert (spread > 0).all()


def test_a_spread_never_falls_to_nothing():
    """Where no summer day is off the normal, that is luck, and dividing by it would make a storm of a breeze."""
    record = dates("2000-01-01", "2010-01-01")
    values = np.where(np.cos(angle(record)) > 0.5, weather(record), normal(record))
    fitted = Climatology.fit(record, values)
    _, spread = fitted.on(record)
    assert spread.min() == pytest.approx(0.3 * fitted.spread[0])
    still = Climatology.fit(record, np.full(len(record), 10.0))
    mean, spread = still.on(record)
    np.testing.assert_allclose(spread, 0.1)
    np.testing.assert_allclose(mean, 10.0, atol=1e-6)


def test_the_season_has_no_jump_at_the_new_year():
    days = dates("2023-01-01", "2026-01-01")
    waves = season(day_of_year(days), waves=2)
    assert waves.shape == (len(days), 4)
    assert np.abs(np.diff(waves, axis=0)).max() < 0.06
    np.testing.assert_allclose(waves[0], [0, 1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(season(np.array([91.3125]), 2, since=np.pi / 2)[0], [0, 1, 0, 1], atol=1e-12)


@given(st.dates())
def test_the_day_of_the_year_is_that_of_the_calendar(date):
    assert day_of_year(np.array([date], dtype="M8[D]"))[0] == date.timetuple().tm_yday - 1
