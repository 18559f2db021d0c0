"""Neighbours: which are the nearest, and which of their columns join those of a station."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.forecast.neighbours import MIN_SHARED, nearest, on_days, tmax_anomalies, with_neighbours, with_only
from models.record.days import StationDays
from tests.stations import synthetic_days

NAN = np.nan
N = 300
DAYS = synthetic_days(N, seed=1)
ANOMALIES = tmax_anomalies(DAYS)
FROM, LENGTH = st.integers(-40, 40), st.integers(1, 60)


def one_column(values, shift=0):
    return StationDays(DAYS.first + shift, np.asarray(values, float)[:, None])


def telling(noise, seed=0):
    """A station whose anomaly of today is that of the next day at the first one, with noise."""
    return one_column(ANOMALIES.next_tmax + noise * np.random.default_rng(seed).normal(size=N))


def random_stations(rng, n=5):
    """Anomalies that tell more or less of the next day, in records of other lengths and with gaps."""
    found = {}
    for name in "abcdefgh"[:n]:
        start, stop = rng.integers(0, N // 4), rng.integers(3 * N // 4, N)
        values = rng.uniform(0.1, 3) * (rng.normal() * ANOMALIES.next_tmax + rng.normal(size=N))[start:stop]
        found[name] = one_column(np.where(rng.random(len(values)) < rng.uniform(0, 0.4), NAN, values), start)
    return found


def by_date(values, days):
    return dict(zip(days.dates.tolist(), values.tolist(), strict=True))


@settings(max_examples=25)
@given(st.integers(0, 999), st.integers(0, 6))
def test_the_nearest_tell_most_of_the_next_day(seed, n):
    """The correlation of today's anomaly with tomorrow's at the station, by a loop over the dates."""
    rng = np.random.default_rng(seed)
    others, rows = random_stations(rng), np.flatnonzero(rng.random(N) < 0.8)
    station = one_column(np.where(rng.random(N) < 0.1, NAN, ANOMALIES.tmax))
    correlation, tomorrow = {}, by_date(station.tmax, station)
    for name, other in others.items():
        today, pairs = by_date(other.tmax, other), []
        for date in DAYS.dates[rows]:
            pair = today.get(date.item(), NAN), tomorrow.get((date + 1).item(), NAN)
            if not np.isnan(pair).any():
                pairs.append(pair)
        if len(pairs) >= MIN_SHARED * len(rows):
            correlation[name] = np.corrcoef(np.transpose(pairs))[0, 1]
    assert nearest(station, rows, others, n) == sorted(correlation, key=correlation.get, reverse=True)[:n]


@settings(max_examples=25)
@given(st.integers(0, 999))
def test_other_rows_have_no_influence(seed):
    rng = np.random.default_rng(seed)
    others, rows = random_stations(rng), np.flatnonzero(rng.random(N) < 0.8)
    expected = nearest(ANOMALIES, rows, others, 5)

    def changed(of, looked_at):
        kept = np.isin(of.dates, looked_at)
        return StationDays(of.first, np.where(kept, of.tmax, rng.choice([NAN, 50.0, -50.0], len(of)))[:, None])

    station = changed(ANOMALIES, DAYS.dates[rows] + 1)
    later = {name: changed(of, DAYS.dates[rows]) for name, of in others.items()}
    assert nearest(station, rows, later, 5) == expected


def test_the_anomaly_of_today_and_not_of_tomorrow_is_compared():
    ahead, same = telling(0.5), one_column(ANOMALIES.tmax)
    two_ahead = one_column([*ahead.tmax[1:], NAN])
    rows = np.arange(N - 1)
    assert nearest(ANOMALIES, rows, {"same": same, "two_ahead": two_ahead, "ahead": ahead}, 1) == ["ahead"]
    # The opposite tells as much, but counts as the least.
    opposite = one_column(-ANOMALIES.next_tmax)
    assert nearest(ANOMALIES, rows, {"opposite": opposite, "ahead": telling(2.0)}, 2) == ["ahead", "opposite"]


@pytest.mark.parametrize("of_station", [False, True])
def test_a_neighbour_is_known_on_half_of_the_rows(of_station):
    """Together with the next day's tmax."""
    rows = np.arange(200)
    least = int(MIN_SHARED * len(rows))
    for known, expected in ((least, ["a"]), (least - 1, [])):
        station, other = ANOMALIES, telling(0.1)
        if of_station:
            station = one_column(np.where(np.arange(N) < known + 1, station.tmax, NAN))
        else:
            other = one_column(np.where(np.arange(N) < known, other.tmax, NAN))
        assert nearest(station, rows, {"a": other}, 3) == expected
    assert nearest(ANOMALIES, rows[:0], {"a": telling(0.1)}, 3) == []


def test_anomalies_are_standardised_and_keep_their_gaps():
    days = StationDays(DAYS.first, DAYS.values.copy())
    days.values[50:60, 0] = NAN
    found = tmax_anomalies(days)
    np.testing.assert_array_equal(np.isnan(found.tmax), np.isnan(days.tmax))
    assert found.first == days.first
    assert abs(np.nanmean(found.tmax)) < 0.1
    assert 0.8 < np.nanstd(found.tmax) < 1.2


@given(FROM, LENGTH)
def test_a_column_is_laid_on_the_days_of_another_record_by_date(shift, n):
    """It may begin and end earlier or later, or not overlap at all."""
    days, other = DAYS.part(0, 30), DAYS.part(0, n)
    other = replace(other, first=days.first + shift)
    values = by_date(other.tmax, other)
    expected = [values.get(date, NAN) for date in days.dates.tolist()]
    np.testing.assert_array_equal(on_days(other.tmax, other, days), expected)


@given(FROM, LENGTH)
def test_neighbours_bring_the_quantities_that_are_looked_at(shift, n):
    own = replace(DAYS.part(0, 30), further={"pressure": np.arange(30.0), "hail": np.ones(30)})
    rng = np.random.default_rng(n)
    names = ("pressure", "pressure_9", "pressure_15", "humidity", "humidity_9", "station_pressure", "tmean", "hail")
    further = {name: rng.random(n) for name in (*names, "guidance", "pressure_x")}
    dale = StationDays(own.first + shift, rng.random((n, 3)), further)
    joined = with_neighbours(own, {"dale": dale, "fell": DAYS.part(0, 10)})
    looked_at = ("tmax", "tmin", "tmean", "pressure", "pressure_9", "pressure_15")
    assert {*joined.further} == {
        "pressure", "hail", *(f"dale/{name}" for name in looked_at), "fell/tmax", "fell/tmin"
    }  # fmt: skip
    for name in looked_at:
        np.testing.assert_array_equal(joined.further[f"dale/{name}"], on_days(dale.column(name), dale, own))
    np.testing.assert_array_equal(joined.values, own.values)
    assert joined.first == own.first
    assert {*own.further} == {"pressure", "hail"}


def test_the_columns_of_some_neighbours_are_kept():
    further = {name: np.full(N, i) for i, name in enumerate(("pressure", "dale/tmax", "dale/pressure", "dale_2/tmax"))}
    days = replace(DAYS, further=further)
    for kept, names in (
        (("dale",), ["pressure", "dale/tmax", "dale/pressure"]),
        (("dale_2", "dale"), [*further]),
        (("fell",), ["pressure"]),
        ((), ["pressure"]),
    ):
        found = with_only(days, iter(kept))
        assert [*found.further] == names
        assert all(found.further[name] is further[name] for name in names)
    assert [*days.further] == [*further]
