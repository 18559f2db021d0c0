"""The baselines that a forecast must beat: persistence, climatology, raw guidance and EMOS."""

from dataclasses import replace

import numpy as np
import pytest

from models.forecast.calibration import SeasonalErrors
from models.record.days import StationDays
from models.verification.baselines import Baseline, Persistence, SeasonalNormal, baselines
from tests.stations import synthetic_days

DAYS = synthetic_days(1500)
ROWS = np.arange(1499)
TRAINING, HELD_OUT = ROWS[:1200], ROWS[1200:]


def guided(n=1500, share=1.0, **names):
    """Days with guidance, 1 degC too cold and off by 2, on the last ``share`` of them; ``names``: other columns."""
    days = synthetic_days(n)
    guidance = days.next_tmax - 1 + np.random.default_rng(1).normal(0, 2, n)
    guidance[: round((1 - share) * n)] = np.nan
    return replace(days, further={name: guidance + offset for name, offset in (names or {"guidance": 0}).items()})


class TestWithoutGuidance:
    def test_persistence_is_the_tmax_of_the_issue_date(self):
        np.testing.assert_array_equal(Persistence().points(DAYS, np.array([3, 7])), DAYS.tmax[[3, 7]])

    def test_climatology_recovers_a_season(self):
        dates = np.arange("2001-01-01", "2005-01-01", dtype="M8[D]")
        season = 12 + 9 * np.sin(2 * np.pi * ((dates - dates.astype("M8[Y]")).astype(int)) / 365.25)
        days = StationDays(dates[0], np.column_stack([season, season - 5, np.zeros(len(dates))]))
        rows = np.arange(1200, len(days) - 1)
        points = SeasonalNormal.fit(days, TRAINING).points(days, rows)
        np.testing.assert_allclose(points, days.next_tmax[rows], atol=0.2)

    def test_climatology_is_fitted_to_the_day_after_each_training_row_only(self):
        def points(changed, by):
            days = StationDays(DAYS.first, DAYS.values.copy())
            days.values[changed] += by
            return SeasonalNormal.fit(days, TRAINING).points(DAYS, HELD_OUT)

        fitted = SeasonalNormal.fit(DAYS, TRAINING).points(DAYS, HELD_OUT)
        np.testing.assert_array_equal(points(slice(1201, None), 50), fitted)
        assert not np.allclose(points(1200, -50), fitted)

    def test_the_distribution_has_the_forecast_as_median_and_the_forecasts_errors_around_it(self):
        class TooWarm:
            def points(self, days, rows):
                return days.next_tmax[rows] + 1.0

        observed = DAYS.next_tmax[HELD_OUT]
        warm = Baseline(TooWarm()).calibrated(DAYS, TRAINING).quantiles(DAYS, HELD_OUT)
        np.testing.assert_allclose(warm, np.tile(observed[:, None] + 1.0, 199), atol=1e-9)
        quantiles = Baseline(Persistence()).calibrated(DAYS, TRAINING).quantiles(DAYS, HELD_OUT)
        past = DAYS.next_tmax[TRAINING] - DAYS.tmax[TRAINING]
        errors = SeasonalErrors.fit(past, DAYS.dates[TRAINING + 1]).on(DAYS.dates[HELD_OUT + 1])
        np.testing.assert_allclose(quantiles, DAYS.tmax[HELD_OUT, None] + errors - errors[:, [99]], atol=1e-9)
        inside = (quantiles[:, 19] <= observed) & (observed <= quantiles[:, 179])
        assert inside.mean() == pytest.approx(0.8, abs=0.05)

    def test_an_uncalibrated_baseline_gives_no_distribution(self):
        found = baselines(guided(), ROWS)
        assert list(found) == ["persistence", "climatology", "guidance", "emos"]
        for baseline in found.values():
            with pytest.raises(ValueError, match="not calibrated; call calibrated"):
                baseline.quantiles(DAYS, ROWS)


class TestGuidance:
    def test_guidance_is_a_baseline_where_it_is_recent_and_frequent(self):
        """30 days of the last year, and half of those since its first."""

        def is_baseline(days):
            found = list(baselines(days, ROWS))
            assert found in (["persistence", "climatology"], ["persistence", "climatology", "guidance", "emos"])
            return "guidance" in found

        def without(days, missing):
            days.further["guidance"][missing] = np.nan
            return days

        spread_only = replace(DAYS, further={"guidance_spread": np.ones(1500), "next_wind": np.ones(1500)})
        assert not is_baseline(DAYS)
        assert not is_baseline(spread_only)
        # tmax after the last day of all is unknown.
        assert [is_baseline(guided(share=(n + 1) / 1500)) for n in (29, 30)] == [False, True]
        assert [is_baseline(without(guided(share=201 / 1500), slice(1310, 1310 + n))) for n in (100, 101)] == [
            True,
            False,
        ]
        assert not is_baseline(without(guided(), slice(1200, None)))  # it ended

    def test_raw_guidance_is_the_unnamed_column_or_the_mean_of_the_known_named_ones(self):
        rows = np.array([1300, 1301])
        two = guided(guidance_a=0.0, guidance_b=3.0)
        raw = two.further["guidance_a"][rows]
        two.further["guidance_b"][1301] = np.nan
        for days, expected in ((two, raw + np.array([1.5, 0.0])), (guided(guidance=0.0, guidance_a=5.0), raw)):
            found = baselines(days, TRAINING)
            np.testing.assert_allclose(found["guidance"].forecast.points(days, rows), expected)
            same = replace(days, further={"guidance": np.full(1500, np.nan)})
            same.further["guidance"][rows] = expected
            emos = found["emos"].regression
            np.testing.assert_allclose(emos.quantiles(days, rows), emos.quantiles(same, rows))

    def test_climatology_replaces_missing_guidance(self):
        """For both, with its own distribution in the case of EMOS, whose errors are those of days with guidance."""
        days = guided()
        days.further["guidance"][1450:1460] = np.nan
        missing, known = np.arange(1450, 1460), np.arange(1460, 1490)
        found = {name: b.calibrated(days, ROWS[1000:1400]) for name, b in baselines(days, ROWS[:1000]).items()}
        usual = found["climatology"].quantiles(days, missing)
        np.testing.assert_allclose(found["guidance"].quantiles(days, missing)[:, 99], usual[:, 99])
        np.testing.assert_array_equal(found["emos"].quantiles(days, missing), usual)
        np.testing.assert_array_equal(found["emos"].quantiles(replace(days, further={}), missing), usual)
        width = np.ptp(found["emos"].quantiles(days, known)[:, [19, 179]], axis=1)
        assert width.max() < np.ptp(usual[:, [19, 179]], axis=1).min()

    def test_emos_is_the_most_accurate_baseline_and_all_are_calibrated(self):
        days, new = guided(6000), np.arange(4500, 5999)
        observed, errors = days.next_tmax[new], {}
        for name, baseline in baselines(days, np.arange(3000)).items():
            quantiles = baseline.calibrated(days, np.arange(3000, 4500)).quantiles(days, new)
            inside = (quantiles[:, 19] <= observed) & (observed <= quantiles[:, 179])
            # Fewer around raw guidance, whose bias is left in the median.
            assert inside.mean() == pytest.approx(0.75 if name == "guidance" else 0.8, abs=0.04), name
            errors[name] = np.abs(quantiles[:, 99] - observed).mean()
        assert errors["emos"] < errors["guidance"] < errors["persistence"] < errors["climatology"]
        # The best combination of guidance with an error of 2 degC and a season with weather of 3.5 degC.
        assert errors["emos"] == pytest.approx(np.sqrt(2 / np.pi / (1 / 2**2 + 1 / 3.5**2)), rel=0.05)
