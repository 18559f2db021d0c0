"""The seasonal normal, its spread and its trend, recovered from synthetic weather whose normal is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.forecast.climatology import Climatology, day_of_year, season

NAN = np.nan


def dates(first, last):
    return np.arange(first, last, dtype="M8[D]")


YEAR = dates("2024-01-01", "2025-01-01")


def angle(days):
    return 2 * np.pi * day_of_year(days) / 365.25


def normal(days):
    return 12 + 9 * np.cos(angle(days) - 3.4) + 1.5 * np.sin(2 * angle(days))


def deviation(days):
    return 3 + 1.2 * np.cos(angle(days))


def weather(days, trend=0.0):
    """The normal, a trend in degC per decade about the middle of the record, and independent days."""
    decades = (days - days[len(days) // 2]).astype(float) / 3652.5
    return normal(days) + trend * decades + deviation(days) * np.random.default_rng(0).normal(size=len(days))


def test_mean_and_spread_are_recovered():
    record = dates("1991-01-01", "2021-01-01")
    fitted = Climatology.fit(record, weather(record))
    # 30 years of 365 days give each of nine coefficients a standard error of about 0.05 degC.
    mean, spread = fitted.on(YEAR)
    np.testing.assert_allclose(mean - fitted.trend * 1.85, normal(YEAR), atol=0.25)
    np.testing.assert_allclose(spread, deviation(YEAR), rtol=0.1)
    np.testing.assert_allclose(fitted.anomaly(YEAR, mean + 2 * spread), np.full(len(YEAR), 2.0))


def test_the_trend_is_recovered_and_shrunk_in_short_records():
    century = dates("1920-01-01", "2020-01-01")
    fitted = Climatology.fit(century, weather(century, trend=0.3))
    assert fitted.trend == pytest.approx(0.3, abs=0.03)
    assert Climatology.fit(century, weather(century)).trend == pytest.approx(0.0, abs=0.03)
    (now, later), _ = fitted.on(np.array(["2020-02-01", "2030-02-01"], dtype="M8[D]"))
    assert later - now == pytest.approx(fitted.trend, rel=0.01)  # it continues after the record
    short = []
    for years in (4, 10, 30, 60):
        record = dates(f"{2020 - years}-01-01", "2020-01-01")
        short.append(Climatology.fit(record, weather(record, trend=1.0)).trend)
    assert (np.diff(short) > 0).all()
    assert short[0] < 0.02
    assert short[-1] > 0.9


def test_the_southern_hemisphere_is_warmest_half_a_year_later():
    record, peak = dates("2000-01-01", "2010-01-01"), 2 * np.pi * 200 / 365.25
    north, south = (Climatology.fit(record, 15 + 8 * sign * np.cos(angle(record) - peak)) for sign in (1, -1))
    assert north.warmest % (2 * np.pi) == pytest.approx(peak, abs=0.02)
    assert (south.warmest - north.warmest) % (2 * np.pi) == pytest.approx(np.pi, abs=0.02)


@pytest.mark.parametrize("n", [1, 2, 30, 120])
@pytest.mark.parametrize("first", ["2023-01-20", "2023-06-20"])
def test_part_of_a_year_gives_plausible_normals(first, n):
    record = np.datetime64(first) + np.arange(n)
    values = weather(record)
    fitted = Climatology.fit(record, values)
    mean, spread = fitted.on(YEAR)
    assert (np.abs(mean - values.mean()) < 20).all()
    assert (spread >= 0.1).all()
    assert (spread < 10).all()
    assert np.abs(fitted.on(record)[0] - values).mean() <= np.abs(values - values.mean()).mean() + 0.5


def test_missing_values_have_no_influence():
    record = dates("2010-01-01", "2014-01-01")
    missing = np.random.default_rng(1).random(len(record)) < 0.4
    gappy = Climatology.fit(record, np.where(missing, NAN, weather(record)))
    without = Climatology.fit(record[~missing], weather(record)[~missing])
    np.testing.assert_array_equal(gappy.on(YEAR), without.on(YEAR))
    mean, spread = Climatology.fit(record, np.full(len(record), NAN)).on(record)
    assert not mean.any()
    assert (spread > 0).all()


def test_the_spread_has_lower_limits():
    """Here no summer day differs from the normal, and dividing by a spread of zero would make a storm of a breeze."""
    record = dates("2000-01-01", "2010-01-01")
    fitted = Climatology.fit(record, np.where(np.cos(angle(record)) > 0.5, weather(record), normal(record)))
    assert fitted.on(record)[1].min() == pytest.approx(0.3 * fitted.spread[0])
    mean, spread = Climatology.fit(record, np.full(len(record), 10.0)).on(record)
    np.testing.assert_allclose(spread, 0.1)
    np.testing.assert_allclose(mean, 10.0, atol=1e-6)


def test_the_season_has_no_jump_at_new_year():
    days = dates("2023-01-01", "2026-01-01")
    waves = season(day_of_year(days), waves=2)
    assert waves.shape == (len(days), 4)
    assert np.abs(np.diff(waves, axis=0)).max() < 0.06
    np.testing.assert_allclose(waves[0], [0, 1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(season(np.array([91.3125]), 2, since=np.pi / 2)[0], [0, 1, 0, 1], atol=1e-12)


@given(st.dates())
def test_the_day_of_the_year_is_that_of_the_calendar(date):
    assert day_of_year(np.array([date], dtype="M8[D]"))[0] == date.timetuple().tm_yday - 1
