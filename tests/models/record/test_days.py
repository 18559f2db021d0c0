"""Station-days on an unbroken calendar, and the check of columns."""

from dataclasses import replace

import numpy as np
import pytest

from models.record.columns import ColumnError
from models.record.days import StationDays, check_columns
from tests.stations import guided_days

NAN = np.nan
GUIDED = guided_days(200)


def test_an_absent_day_is_a_missing_row():
    dates = np.array(["2024-02-27", "2024-02-28", "2024-03-01"], dtype="M8[D]")
    values, guidance = np.array([[1.0, 0, 0], [2, 0, 0], [3, 0, 0]]), np.array([7.0, 8, 9])
    days = StationDays.on_calendar(dates, values, {"guidance": guidance})
    assert len(days) == 4
    assert [str(d) for d in days.dates] == ["2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01"]
    assert str(days.last) == "2024-03-01"
    np.testing.assert_array_equal(days.tmax, [1, 2, NAN, 3])
    np.testing.assert_array_equal(days.next_tmax, [2, NAN, 3, NAN])  # the last day has no next one
    np.testing.assert_array_equal(days.column("guidance"), [7, 8, NAN, 9])
    np.testing.assert_array_equal(days.has_guidance, [True, True, False, True])
    assert np.isnan(days.column("next_wind")).all()
    assert not StationDays(days.first, days.values, {"guidance_gfs_spread": days.tmax}).has_guidance.any()


def test_a_part_keeps_its_dates():
    days = StationDays(np.datetime64("2023-12-30", "D"), np.arange(12.0).reshape(4, 3), {"next_wind": np.arange(4.0)})
    part = days.part(1, 3)
    assert [str(d) for d in part.dates] == ["2023-12-31", "2024-01-01"]
    np.testing.assert_array_equal(part.values, [[3, 4, 5], [6, 7, 8]])
    np.testing.assert_array_equal(part.further["next_wind"], [1, 2])
    for date, length in (("2023-12-29", 0), ("2023-12-30", 1), ("2024-01-02", 4), ("2025-01-01", 4)):
        assert len(days.through(np.datetime64(date))) == length


def test_a_column_that_is_the_next_days_tmax_is_rejected():
    check_columns(GUIDED)
    leak = np.where(np.arange(len(GUIDED)) % 12, GUIDED.next_tmax, 0.0)  # all but every twelfth
    with pytest.raises(ColumnError, match="next_wind equals the next day's tmax on 91 % of the days: it is known"):
        check_columns(replace(GUIDED, further={**GUIDED.further, "next_wind": leak}))
    one_equal_day = np.where(np.arange(len(GUIDED)) == 7, GUIDED.next_tmax, NAN)
    check_columns(replace(GUIDED, further={"guidance": one_equal_day}))
