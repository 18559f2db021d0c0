"""Joining forecasts to a record: the rows they go into, the units, and the impossible ones."""

import numpy as np
import pytest

from app.readers import Record, RecordError, read_record
from models.record.days import StationDays
from tests.app.readers.forecast_files import DAYS, as_json, join, known
from tests.stations import synthetic_days, write_csv


def test_forecast_goes_into_the_row_of_the_day_before_its_valid_date(tmp_path):
    record = join(tmp_path, "date,guidance\n2024-01-01,10\n2024-01-02,11\n2024-01-06,15\n2024-01-07,16\n")
    # Nothing was known the day before the first day; the last row holds the forecast for the day after the record.
    assert known(record) == {"guidance": [11, None, None, None, 15]}
    np.testing.assert_array_equal(record.days.values, DAYS.values)
    assert (record.station, record.set_aside) == ("hill", ())
    assert DAYS.further == {}


def test_forecasts_of_the_file_replace_those_of_the_record(tmp_path):
    own = np.array([1.0, 2.0, 3.0, np.nan, np.nan])
    record = Record("hill", StationDays(DAYS.first, DAYS.values, {"guidance": own, "next_wind": np.ones(5)}))
    joined = join(tmp_path, "date,guidance\n2024-01-02,11\n2024-01-03,\n2024-01-05,14\n", record=record)
    assert known(joined) == {"guidance": [11, 2, 3, 14, None], "next_wind": [1] * 5}
    np.testing.assert_array_equal(own, [1, 2, 3, np.nan, np.nan])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "date,guidance\n2023-01-02,1\n2023-01-05,2\n",
            "the forecasts are valid from 2023-01-02 to 2023-01-05, none from 2024-01-02 to 2024-01-06, the days after",
        ),
        (
            "date,guidance\n2024-01-02,70\n2024-01-03,71\n",
            r"2 of 2 forecasts are impossible in degC \(guidance on 2024-01-02 is 70\.0\); if the file is in degF, add",
        ),
        ("date,guidance\n2024-01-02,-9999\n2024-01-03,1\n", "1 of 2 forecasts are impossible.*leave unknown values em"),
        (
            as_json(daily={"time": ("", ["2024-01-02"]), "temperature_2m_max": ("°C", [99])}),  # the unit is stated
            "1 of 1 forecasts are impossible.*leave unknown values empty",
        ),
    ],
)
def test_errors_are_one_line_that_names_the_file(tmp_path, text, message):
    with pytest.raises(RecordError, match=message) as caught:
        join(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'f.csv'}: ")
    assert "\n" not in str(caught.value)


def test_a_few_impossible_forecasts_are_set_aside(tmp_path):
    record = Record("hill", synthetic_days(300))
    lines = [f"{date},{20 if n else 70},{2 if n > 1 else -1}" for n, date in enumerate(record.days.dates[1:])]
    joined = join(tmp_path, "\n".join(["date,guidance,guidance_spread", *lines, ""]), record=record)
    # They are listed with the date of their row.
    assert [(s.date, s.column, s.value) for s in joined.set_aside] == [
        (record.days.dates[0], "guidance", 70.0),
        (record.days.dates[0], "guidance_spread", -1.0),
        (record.days.dates[1], "guidance_spread", -1.0),
    ]
    assert np.isnan(joined.days.further["guidance"][[0, -1]]).all()
    assert (joined.days.further["guidance"][1:-1] == 20).all()


def test_named_columns_may_be_in_either_file(tmp_path):
    record, guidance = tmp_path / "hill.csv", tmp_path / "f.csv"
    record.write_text("date,tmax,next_wind,note\n2024-01-01,1,5,a\n2024-01-02,2,6,b\n")
    guidance.write_text("date,guidance_wrf\n2024-01-02,11\n")
    both = read_record(record, columns=["guidance_wrf", "next_wind"], guidance=guidance)
    assert known(both) == {"guidance_wrf": [11, None], "next_wind": [5, 6]}
    assert known(read_record(record, guidance=guidance)) == {"guidance_wrf": [11, None]}
    for name in ("guidance", "guidance_spread", "next_rain"):
        with pytest.raises(RecordError, match=rf"hill.* no column '{name}'; beside the known ones the record has:"):
            read_record(record, columns=[name], guidance=guidance)


def test_units_apply_to_both_files(tmp_path):
    days = synthetic_days(10)
    (tmp_path / "f.csv").write_text(f"date,guidance\n{days.dates[1]},50\n")
    record = read_record(write_csv(tmp_path / "hill.csv", days), units="us", guidance=tmp_path / "f.csv")
    assert record.days.further["guidance"][0] == pytest.approx(10)
    assert record.days.tmax[0] == pytest.approx((days.tmax[0] - 32) / 1.8)
