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
