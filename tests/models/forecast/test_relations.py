"""Neighbours that have moved: how it is noticed, and that they count as missing then."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.forecast.features import Features
from models.forecast.relations import MEAN_DAYS, MIN_DAYS, MIN_DEVIATION, MOVED, Relations
from tests.stations import surrounded_days

NAN = np.nan
N, LONG = 1200, 55
DAYS = surrounded_days(N)
ROWS = np.arange(N - 1)
FEATURES = Features.fit(DAYS, ROWS)
DAYS_SHIFTED, SHIFT = st.integers(1, 2 * MEAN_DAYS), st.floats(0, 3)


def with_dale(tmax, days=DAYS):
    return replace(days, further=days.further | {"dale/tmax": tmax})


def shifted(degrees, since, days=DAYS):
    return with_dale(days.further["dale/tmax"] + degrees * (np.arange(len(days)) >= since), days)


def without_dale(since=0, days=DAYS):
    gone = {name: of.copy() for name, of in days.further.items()}
    for name in ("dale/tmax", "dale/pressure"):
        gone[name][since:] = NAN
    return replace(days, further=gone)


def moved_rows(days, length=LONG, features=FEATURES):
    """Return the rows whose windows of so many days do not see dale any more."""
    ends = np.arange(length - 1, len(days))
    rows = ends[:, None] + np.arange(1 - length, 1)
    found = features.further_windows(features.of(days), rows, np.ones(rows.shape, bool))
    return ends[np.isnan(found[:, :, features.further.of_neighbours[0]]).all(axis=(1, 2))]


def are_moved(relations, *windows):
    return relations.moved(np.stack(windows)[:, :, None])[:, 0].tolist()


@pytest.mark.parametrize("seed", range(3))
def test_no_neighbour_has_moved_on_the_training_days(seed):
    """One that is ahead of the station, and others that are as warm, but for noise or spells of a few days."""
    rng = np.random.default_rng([seed, 5])
    noise, spells = rng.normal(0, 1.5, N), np.convolve(rng.normal(0, 1, N), 0.6 ** np.arange(9))[:N]
    plain = surrounded_days(N, seed)
    for days in (plain, *(with_dale(plain.tmax + 3 + of, plain) for of in (noise, spells))):
        features = Features.fit(days, ROWS)
        assert len(moved_rows(days, LONG, features)) == 0
        assert days is plain or len(moved_rows(days, MIN_DAYS, features)) == 0


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_shift_is_noticed_within_a_window_the_sooner_the_larger(sign):
    """And for good; not before it happens."""
    since, noticed = 900, []
    for degrees in (4.0, 6.0, 10.0, 15.0):
        rows = moved_rows(shifted(sign * degrees, since))
        np.testing.assert_array_equal(rows, np.arange(rows[0], N))
        noticed.append(rows[0] - since)
    assert noticed == sorted(noticed, reverse=True)
    assert 0 < noticed[-1] < noticed[0] < LONG
    assert len(moved_rows(shifted(sign * 0.1, since))) == 0


def test_a_neighbour_that_was_always_warmer_has_not_moved():
    """What counts is the change of the difference, in any season."""
    warmer = with_dale(DAYS.further["dale/tmax"] + 12.0)
    features = Features.fit(warmer, ROWS)
    assert len(moved_rows(warmer, features=features)) == 0
    assert len(moved_rows(DAYS, features=features)) == N - LONG + 1


@given(DAYS_SHIFTED, DAYS_SHIFTED, SHIFT, SHIFT)
def test_fewer_days_must_differ_by_more(n, other_n, shift, other_shift):
    relations = Relations(np.array([0.5]), np.array([0.1]))
    (least, most), (small, large) = sorted((n, other_n)), sorted((shift, other_shift))
    few, many = (np.full(2 * MEAN_DAYS, NAN) for _ in range(2))
    few[-least:], many[-most:] = 0.5 + small, 0.5 - large
    by_few, by_many = are_moved(relations, few, many)
    assert by_few <= by_many
    limit = MOVED * 0.1 * max(MEAN_DAYS / least, 1) ** 0.5
    if abs(small - limit) > 1e-9:
        assert by_few == (least >= MIN_DAYS and small > limit)


def test_unknown_differences_are_no_move_and_each_neighbour_is_judged_alone():
    relations = Relations(np.zeros(2), np.array([0.1, 0.0]))
    far = np.full((1, LONG, 2), NAN)
    assert not relations.moved(far).any()
    far[0, :, 1] = 2 * MOVED * MIN_DEVIATION
    np.testing.assert_array_equal(relations.moved(far), [[False, True]])
    far[0, MIN_DAYS - 1 :, 1] = NAN
    assert not relations.moved(far).any()


def test_the_usual_difference_is_the_mean_of_months_and_varies_as_these_do():
    """A neighbour that is known on too few days of any has the least deviation."""
    rng = np.random.default_rng(0)
    means = rng.normal(1.0, 0.4, 200)
    difference = np.column_stack([np.repeat(means, MEAN_DAYS), np.full(200 * MEAN_DAYS, NAN)])
    difference += rng.normal(0, 0.1, difference.shape)
    known = difference.copy()
    known[rng.random(len(known)) < 0.3] = NAN
    for table in (difference, known):
        found = Relations.fit(table)
        np.testing.assert_allclose(found.usual, [means.mean(), 0.0], atol=0.01)
        np.testing.assert_allclose(found.deviation, [means.std(), 0.0], atol=0.01)
    difference[:, 1] = np.where(np.arange(len(difference)) % MEAN_DAYS < MIN_DAYS - 1, 5.0, NAN)
    assert Relations.fit(difference).usual[1] == 0.0


class TestForecasts:
    """Those of a model that looks at a neighbour, which has been 6 degC warmer for some weeks."""

    SINCE = 1100
    MOVED, GONE = shifted(6.0, SINCE), without_dale()
    ROWS = np.arange(SINCE + MIN_DAYS, N)

    def test_their_location_is_that_without_its_columns(self, surrounded):
        calibration = surrounded.model.calibration
        calibration = replace(calibration, widening=np.zeros_like(calibration.widening))
        model = replace(surrounded.model, calibration=calibration)
        found, expected = (model.quantiles(days, self.ROWS) for days in (self.MOVED, self.GONE))
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert np.abs(found - model.quantiles(DAYS, self.ROWS)).max() > 0.1

    def test_their_range_is_that_without_its_columns(self, surrounded):
        found, expected = (surrounded.model.quantiles(days, self.ROWS) for days in (self.MOVED, self.GONE))
        np.testing.assert_allclose(found, expected, atol=1e-4)

    def test_one_forecast_agrees_with_those_from_many_days(self, surrounded):
        rows = np.arange(self.SINCE - 5, N, 3)
        for row, quantiles in zip(rows, surrounded.model.quantiles(self.MOVED, rows), strict=True):
            found = surrounded.model.predict(self.MOVED.part(0, row + 1)).distribution.quantiles
            np.testing.assert_allclose(found, quantiles, atol=1e-4)

    def test_a_note_names_it(self, surrounded):
        model = surrounded.model
        assert model.predict(DAYS).notes == ()
        assert model.predict(self.MOVED).notes == (
            "without the neighbour dale: its tmax no longer stands to the station's own as in training",
        )
        assert model.predict(self.MOVED.part(0, self.SINCE)).notes == ()
        assert model.predict(self.GONE).notes == ("without the neighbour dale",)

    def test_it_is_looked_at_again_when_it_is_back(self, surrounded):
        is_back = np.arange(N) >= N - MIN_DAYS
        back = with_dale(np.where(is_back, DAYS.further["dale/tmax"], self.MOVED.further["dale/tmax"]))
        model, last = surrounded.model, np.array([N - 1])
        np.testing.assert_allclose(model.quantiles(back, last), model.quantiles(DAYS, last), atol=1e-4)
