"""What a forecast must beat."""

import numpy as np
import pytest

from models.baselines import Baseline, Normal, Persistence, baselines
from models.station_days import StationDays
from tests.conftest import synthetic_days

DAYS = synthetic_days(1500)
ROWS = np.arange(1499)


def test_persistence_is_today():
    np.testing.assert_array_equal(Persistence().points(DAYS, np.array([3, 7])), DAYS.tmax[[3, 7]])


def test_the_climatology_finds_a_season_that_is_there():
    dates = np.arange("2001-01-01", "2005-01-01", dtype="M8[D]")
    season = 12 + 9 * np.sin(2 * np.pi * ((dates - dates.astype("M8[Y]")).astype(int)) / 365.25)
    days = StationDays(dates[0], np.column_stack([season, season - 5, np.zeros(len(dates))]))
    training, held_out = np.arange(1200), np.arange(1200, len(days) - 1)
    normal = Normal.fit(days, training)
    np.testing.assert_allclose(normal.points(days, held_out), days.next_tmax[held_out], atol=0.2)


def test_the_climatology_knows_its_rows_and_the_day_after_each_alone():
    training, held_out = ROWS[:1200], ROWS[1200:]
    warmer, colder = (StationDays(DAYS.first, DAYS.values.copy()) for _ in range(2))
    warmer.values[1201:] += 50
    colder.values[1200] -= 50
    fitted, same, other = (Normal.fit(days, training).points(DAYS, held_out) for days in (DAYS, warmer, colder))
    np.testing.assert_array_equal(fitted, same)
    assert not np.allclose(fitted, other)


def test_the_odds_are_those_of_the_errors():
    """The median is the forecast itself, even of one that is always 1 degC too warm; around it are its own errors."""

    class TooWarm:
        def points(self, days, rows):
            return days.next_tmax[rows] + 1.0

    rows, new = ROWS[:1200], ROWS[1200:]
    warm = Baseline(TooWarm()).calibrated(DAYS, rows).quantiles(DAYS, new)
    np.testing.assert_allclose(warm, np.tile(DAYS.next_tmax[new][:, None] + 1.0, 199), atol=1e-9)
    quantiles = Baseline(Persistence()).calibrated(DAYS, rows).quantiles(DAYS, new)
    np.testing.assert_allclose(quantiles[:, 99], DAYS.tmax[new], atol=1e-9)
    inside = (quantiles[:, 19] <= DAYS.next_tmax[new]) & (DAYS.next_tmax[new] <= quantiles[:, 179])
    assert inside.mean() == pytest.approx(0.8, abs=0.05)


def test_what_is_not_calibrated_has_no_odds():
    for baseline in baselines(DAYS, ROWS).values():
        with pytest.raises(ValueError, match="without calibrated odds"):
            baseline.quantiles(DAYS, ROWS)


def guided(n=1500, share=1.0, **names):
    """Days with guidance, 1 degC too cold and off by 2, on the last ``share`` of them; ``names``: of other columns."""
    days = synthetic_days(n)
    rng = np.random.default_rng(1)
    said = days.next_tmax - 1 + rng.normal(0, 2, n)
    said[: round((1 - share) * n)] = np.nan
    predictors = {name: said + offset for name, offset in (names or {"guidance": 0.0}).items()}
    return StationDays(days.first, days.values, predictors)


class TestGuidance:
    def test_without_guidance_there_is_nothing_more(self):
        for predictors in ({}, {"guidance_spread": np.ones(1500), "next_wind": np.ones(1500)}):
            days = StationDays(DAYS.first, DAYS.values, predictors)
            assert list(baselines(days, ROWS)) == ["persistence", "climatology"]

    @pytest.mark.parametrize(("n", "there"), [(30, True), (29, False)])
    def test_a_month_of_it_is_enough(self, n, there):
        """The last day of all is not followed by any."""
        found = list(baselines(guided(share=(n + 1) / 1500), ROWS))
        assert found == ["persistence", "climatology", "guidance", "emos"][: 4 if there else 2]

    @pytest.mark.parametrize(("missing", "there"), [(100, True), (101, False)])
    def test_it_must_be_there_on_half_of_the_days_since_it_began(self, missing, there):
        days = guided(share=201 / 1500)
        days.predictors["guidance"][1310 : 1310 + missing] = np.nan
        assert ("guidance" in baselines(days, ROWS)) == there

    def test_guidance_that_ended_is_no_baseline_of_what_comes(self):
        days = guided()
        days.predictors["guidance"][1200:] = np.nan
        assert list(baselines(days, ROWS)) == ["persistence", "climatology"]

    def test_it_is_as_it_is(self):
        days = guided()
        new = ROWS[1300:]
        points = baselines(days, ROWS[:1200])["guidance"].forecast.points(days, new)
        np.testing.assert_array_equal(points, days.predictors["guidance"][new])

    def test_of_several_it_is_the_one_without_a_name_or_the_mean_of_those_there(self):
        rows = np.array([1300, 1301])
        days = guided(guidance_a=0.0, guidance_b=3.0)
        said = days.predictors["guidance_a"][rows]
        days.predictors["guidance_b"][1301] = np.nan
        mean = baselines(days, ROWS[:1200])["guidance"].forecast
        np.testing.assert_allclose(mean.points(days, rows), said + np.array([1.5, 0.0]))
        days = guided(guidance=0.0, guidance_a=5.0)
        one = baselines(days, ROWS[:1200])["guidance"].forecast
        np.testing.assert_array_equal(one.points(days, rows), said)

    def test_where_it_is_missing_the_climatology_answers(self):
        """For both, with odds of its own: those of the regression are those of days with guidance."""
        days, rows, held_out = guided(), ROWS[:1000], ROWS[1000:1400]
        days.predictors["guidance"][1450:1460] = np.nan
        missing, there = np.arange(1450, 1460), np.arange(1460, 1490)
        found = {name: b.calibrated(days, held_out) for name, b in baselines(days, rows).items()}
        usual = found["climatology"].quantiles(days, missing)
        np.testing.assert_allclose(found["guidance"].quantiles(days, missing)[:, 99], usual[:, 99])
        np.testing.assert_array_equal(found["emos"].quantiles(days, missing), usual)
        bare = StationDays(days.first, days.values)
        np.testing.assert_array_equal(found["emos"].quantiles(bare, missing), usual)
        width = np.ptp(found["emos"].quantiles(days, there)[:, [19, 179]], axis=1)
        assert width.max() < np.ptp(usual[:, [19, 179]], axis=1).min()

    def test_the_regression_is_better_and_its_odds_hold_what_they_promise(self):
        days, new = guided(6000), np.arange(4500, 5999)
        observed, errors = days.next_tmax[new], {}
        for name, baseline in baselines(days, np.arange(3000)).items():
            quantiles = baseline.calibrated(days, np.arange(3000, 4500)).quantiles(days, new)
            inside = (quantiles[:, 19] <= observed) & (observed <= quantiles[:, 179])
            # Around guidance that is too cold on the mean there are fewer: it is taken as it is.
            assert inside.mean() == pytest.approx(0.75 if name == "guidance" else 0.8, abs=0.04), name
            errors[name] = np.abs(quantiles[:, 99] - observed).mean()
        assert errors["emos"] < errors["guidance"] < errors["persistence"] < errors["climatology"]
        # Of an error of 2 degC and a weather of 3.5 degC, which the regression weighs against each other.
        assert errors["emos"] == pytest.approx(np.sqrt(2 / np.pi / (1 / 2**2 + 1 / 3.5**2)), rel=0.05)

    def test_what_is_not_calibrated_has_no_odds(self):
        for baseline in baselines(guided(), ROWS).values():
            with pytest.raises(ValueError, match="without calibrated odds"):
                baseline.quantiles(guided(), ROWS)
