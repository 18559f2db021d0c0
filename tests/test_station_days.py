import numpy as np
import pytest

from models.station_days import StationDays, from_celsius, set_aside_the_impossible, to_celsius, to_metric

NAN = np.nan


def dates(*text):
    return np.array(text, dtype="M8[D]")


def test_an_absent_day_is_a_gap_not_the_next_row():
    days = StationDays.on_calendar(
        dates("2024-02-27", "2024-02-28", "2024-03-01"), np.array([[1.0, 0, 0], [2, 0, 0], [3, 0, 0]])
    )
    assert [str(d) for d in days.dates] == ["2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01"]
    np.testing.assert_array_equal(days.tmax, [1, 2, NAN, 3])
    # What follows 28 February 2024 is the 29th, which nobody observed; the last day has no next one.
    np.testing.assert_array_equal(days.next_tmax, [2, NAN, 3, NAN])
    assert str(days.last) == "2024-03-01"


def test_a_part_keeps_its_dates():
    days = StationDays(np.datetime64("2023-12-30", "D"), np.arange(12.0).reshape(4, 3))
    part = days.part(1, 3)
    assert [str(d) for d in part.dates] == ["2023-12-31", "2024-01-01"]
    np.testing.assert_array_equal(part.values, [[3, 4, 5], [6, 7, 8]])


def test_units_are_converted():
    us = np.array([[212.0, 32.0, 1.0], [-40.0, NAN, NAN]])
    np.testing.assert_allclose(to_metric(us, "us"), [[100, 0, 25.4], [-40, NAN, NAN]])
    assert to_metric(us, "metric") is us
    assert from_celsius(to_celsius(73.4, "us"), "us") == pytest.approx(73.4)


def test_the_impossible_is_set_aside_and_named():
    days = StationDays(
        np.datetime64("2024-01-01", "D"),
        np.array([[20.0, 10, 0], [60, 10, 0], [20, 21, 5], [20, 10, -1], [50.0, NAN, 1825], [-999, 3, 0]]),
    )
    kept, dropped = set_aside_the_impossible(days)
    assert [(str(s.date), s.column, s.value) for s in dropped] == [
        ("2024-01-02", "tmax", 60.0),
        ("2024-01-04", "rain", -1.0),
        ("2024-01-06", "tmax", -999.0),
        ("2024-01-03", "tmax", 20.0),
        ("2024-01-03", "tmin", 21.0),
    ]
    np.testing.assert_array_equal(
        kept.values, [[20, 10, 0], [NAN, 10, 0], [NAN, NAN, 5], [20, 10, NAN], [50, NAN, 1825], [NAN, 3, 0]]
    )
    assert days.values[1, 0] == 60  # the record that was given is not changed
