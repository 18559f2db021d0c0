"""Files of forecasts: the accepted layouts, the forecast that counts for each day, and the errors."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.readers import RecordError
from app.readers.forecasts import FORECAST, ISSUED, VALID, read_forecasts
from tests.app.readers.forecast_files import LOCATION, as_csv, as_json, join, known
from tests.stations import ROOT


def daily(values, unit="°C", name="temperature_2m_max"):
    """Return a daily column from 2 January 2024 on."""
    return {"time": ("", [f"2024-01-{day:02}" for day in range(2, 2 + len(values))]), name: (unit, values)}


def hours(n_days, step=1):
    return [f"2024-01-{day:02}T{hour:02}:00" for day in range(2, 2 + n_days) for hour in range(0, 24, step)]


@pytest.mark.parametrize(
    "text",
    [
        "date,guidance\n2024-01-02,11\n2024-01-03,\n2024-01-04,13.5\n",
        "valid_date,tmax\n2024/01/04,13.5\n2024/01/02,11\n",  # slashes, order
        "\ufeffValid , Value\r\n2024-01-02, 11\r\n\r\n2024-01-04,13.5\r\n",  # as a spreadsheet saves it
        "other,target_date,forecast\nx,2024-01-02,11\n,2024-01-03,NA\ny,2024-01-04,13.5\n",
        "valid_time,temperature_2m_max\n2024-01-02 00:00:00,11\n2024-01-04T00:00,13.5\n",
        "valid,issued,guidance\n2024-01-02,2024-01-01,11\n2024-01-04,2023-12-30T18:00,13.5\n",
        as_csv(daily([11, None, 13.5])),
        as_csv(daily([51.8, None, 56.3], "°F") | {"x": ("mm", [0, 0, 0])}, location=LOCATION + ",,,,,"),
        as_json(daily=daily([11, None, 13.5]) | {"weathercode": ("wmo code", [3, 3, 3])}),
        as_json(daily=daily([51.8, None, 56.3], "°F")),
    ],
)
def test_every_layout_gives_the_same_forecasts(tmp_path, text):
    record = join(tmp_path, text)
    assert list(record.days.further) == ["guidance"]
    np.testing.assert_allclose(record.days.further["guidance"], [11, np.nan, 13.5, np.nan, np.nan])


def test_units_apply_where_the_file_states_none(tmp_path):
    text = "guidance_spread,date,guidance_wrf,temperature_2m_max_gfs_seamless,guidance\n2,2024-01-02,50,52,54\n"
    record = join(tmp_path, text, units="us")
    assert list(record.days.further) == ["guidance", "guidance_gfs_seamless", "guidance_wrf", "guidance_spread"]
    first = [series[0] for series in record.days.further.values()]
    np.testing.assert_allclose(first, [(54 - 32) / 1.8, (52 - 32) / 1.8, 10, 2 / 1.8])
    for stated in (as_json(daily=daily([10])), as_csv(daily([10]))):
        assert known(join(tmp_path, stated, units="us"))["guidance"][0] == 10


HOUR = st.integers(0, 95)  # from 1 to 4 January 2024


@settings(max_examples=50)
@given(st.dictionaries(st.tuples(st.integers(2, 5), HOUR), st.none() | st.integers(-30, 40), min_size=1, max_size=12))
@example({(3, 23): 1, (3, 24): 2, (3, 47): None, (3, 48): 4})
def test_last_forecast_issued_before_its_day_counts(tmp_path_factory, forecasts):
    """The oracle compares the calendar dates as they are written."""
    lines = [
        f"2024-01-{valid:02},2024-01-{1 + hour // 24:02}T{hour % 24:02}:00,{'' if value is None else value}"
        for (valid, hour), value in forecasts.items()
    ]
    expected, late = {}, []
    for (valid, hour), value in sorted((key, value) for key, value in forecasts.items() if value is not None):
        if 1 + hour // 24 < valid:
            expected[valid] = value
        else:
            late.append((f"2024-01-{valid:02}", "guidance", value))
    text = "\n".join(["valid,issued,guidance", *lines * 2, ""])  # a repeated line is no other forecast
    if not expected:
        with pytest.raises(
            RecordError, match="every forecast was issued on its valid date" if late else "no forecasts"
        ):
            join(tmp_path_factory.getbasetemp(), text)
        return
    record = join(tmp_path_factory.getbasetemp(), text)
    assert known(record) == {"guidance": [*(expected.get(valid) for valid in range(2, 6)), None]}
    reason = f"issued on its valid date or later ({2 * len(late) - 1} more in the file)"
    assert [(str(s.date), *s[1:]) for s in record.set_aside] == [(*first, reason) for first in late[:1]]


def test_each_column_counts_by_itself(tmp_path):
    text = "valid,run,guidance,guidance_b\n2024-01-02,2023-12-31,5,6\n2024-01-02,2024-01-01,,7\n"
    assert [series[0] for series in known(join(tmp_path, text)).values()] == [5, 7]


TIMES = "T23:59:59", " 23", "T2359Z", " 23:59 UTC", "t23:59:59.9+0530", "T23:59-01:00"


ZONES = None, None, "UTC", "UTC", "Asia/Kolkata", "Atlantic/Azores"


@pytest.mark.parametrize(("name", "time", "zone"), list(zip(ISSUED, TIMES, ZONES, strict=True)))
def test_accepted_names_and_times_of_issue(tmp_path, name, time, zone):
    text = f"date,{name},guidance\n2024-01-02,2024-01-01{time},5\n2024-01-02,2024/01/01 22:00,4\n"
    assert known(join(tmp_path, text, timezone=zone))["guidance"][0] == 5
    with pytest.raises(RecordError, match="every forecast was issued on its valid date or later; provide"):
        join(tmp_path, text.replace("01/01", "01/02").replace("01-01", "01-02"), timezone=zone)


def test_an_issue_time_with_an_offset_counts_by_the_stations_own_clock(tmp_path):
    """23:30 UTC is the next day in Berlin, when the forecast is too late, and the same day in New York."""
    text = "date,issued,guidance\n2024-01-02,2024-01-01T23:30Z,5\n2024-01-03,2024-01-02T05:00+01:00,6\n"
    assert known(join(tmp_path, text, timezone="America/New_York"))["guidance"][:2] == [5, 6]
    assert known(join(tmp_path, text, timezone="Europe/Berlin"))["guidance"][:2] == [None, 6]
    with pytest.raises(RecordError, match=r"line 2: issued '2024-01-01T23:30Z' has an offset: .* --timezone Europe/"):
        join(tmp_path, text)


@pytest.mark.parametrize("step", [1, 3, 6])
def test_maximum_of_days_whose_hours_are_all_known(tmp_path, step):
    """As from Open-Meteo's Previous Runs API; the last day is cut off."""
    time = hours(4, step)[:-1]
    n, a_day = len(time), 24 // step
    first = [hour / 4 for hour in range(n)]
    second = [*first[: a_day + 1], None, *first[a_day + 2 :]]
    hourly = {
        "time": ("", time),
        "temperature_2m": ("°C", [99.0] * n),  # of the latest run
        "temperature_2m_previous_day1": ("°C", first),
        "temperature_2m_previous_day1_gfs_seamless": ("°C", second),
        "temperature_2m_previous_day2": ("°C", [98.0] * n),
    }
    ends = [(day * a_day - 1) / 4 for day in (1, 2, 3)]
    expected = {"guidance": [*ends, None, None], "guidance_gfs_seamless": [ends[0], None, ends[2], None, None]}
    latest = daily([97.0])
    assert known(join(tmp_path, as_json(daily=latest, hourly=hourly))) == expected
    assert known(join(tmp_path, as_csv(hourly, latest))) == expected


def test_daily_maxima_of_the_previous_run_come_before_those_of_the_latest(tmp_path):
    columns = daily([9]) | {
        "temperature_2m_max_previous_day1": ("°C", [8]),
        "temperature_2m_max_previous_day1_gfs": ("°C", [7]),
        "temperature_2m_max_previous_day2": ("°C", [6]),
        "temperature_2m_max_member01": ("°C", [5]),  # members of an ensemble are not guidance
    }
    first = {name: series[0] for name, series in known(join(tmp_path, as_json(daily=columns))).items()}
    assert first == {"guidance": 8, "guidance_gfs": 7}
    latest = {name: columns[name] for name in ("time", "temperature_2m_max", "temperature_2m_max_member01")}
    assert known(join(tmp_path, as_json(daily=latest))) == {"guidance": [9, None, None, None, None]}


DAILY, HOURLY = daily([9]), {"time": ("", hours(1)), "temperature_2m_previous_day1": ("°C", [9.0] * 24)}
NOONS = [f"2024-01-{day:02}T12:00" for day in range(2, 26)]
TWO_LOCATIONS = LOCATION.replace("\n52.5", "\n1,2,3,4,5,6\n52.5")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date,guidance\n", "the file holds no forecasts"),
        ("day,guidance\n2024-01-02,1\n", "no table of days is known here: the text begins with 'day,guidance'"),
        ("date,valid_date,tmax\n2024-01-01,2024-01-02,1\n", "the columns date and valid_date have the same meaning"),
        ("date,run,issued,tmax\n2024-01-02,2024-01-01,2024-01-01,1\n", "the columns run and issued have the same mean"),
        ("date,tmin\n2024-01-02,1\n", r"no column holds tmax forecasts \(guidance.*; the columns are: date, tmin"),
        ("time,temperature_2m\n2024-01-02T00:00,1\n", "is of the latest run.*request hourly=temperature_2m_previous_"),
        ("date,tmax,guidance\n2024-01-02,1,2\n", "tmax and guidance would both be guidance: rename one"),
        ("date,tmax,tmax\n2024-01-02,1,2\n", "tmax and tmax would both be guidance: rename one"),
        ("date,guidance_é\n2024-01-02,1\n", "rename the column 'guidance_é' to guidance_ plus letters"),
        ("valid_time,guidance\n2024-01-02T12:00,1\n", "line 2: valid_time '2024-01-02T12:00' is not a date"),
        (
            "date,guidance\n2024-01-02,1\n2024-01-03,1\n\n2024-01-02,2\n",
            "line 5: line 2 also holds a forecast for 2024-01-02: keep only one, or add a column 'issued'",
        ),
        (
            "date,issued,guidance\n2024-01-02,2024-01-01,1\n2024-01-02,2024-01-01T00:00,2\n",
            "line 3: another forecast for 2024-01-02 was issued at the same time, 2024-01-01T00:00:00: keep only one",
        ),
        ("date,issued,guidance\n2024-01-02,yesterday,1\n", "line 2: issued 'yesterday' is not a time such as"),
        ("date,issued,guidance\n2024-01-02,2024-01-01T25:00,1\n", "line 2: issued .* is not a time such as"),
        ("date,guidance\n2024-01-02,\n", "the file holds no forecasts"),
        (as_csv(daily([280], "K")), "temperature_2m_max has the unit '[Kk]': download it in °C or °F"),
        (as_csv(DAILY, location=TWO_LOCATIONS), "the file holds 2 locations: download one file for each"),
        (LOCATION, "no table of days is known here: the text begins with 'latitude,"),
        (as_csv(daily(["warm"])), "line 5: temperature_2m_max 'warm' is not"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("{}", "the file has no Open-Meteo object 'hourly' or 'daily': request"),
        (f"[{as_json(daily=DAILY)}, {as_json(daily=DAILY)}]", "the file holds 2 locations: download one file for each"),
        ('{"error": true, "reason": "Out of range"}', "holds an error message instead of data: Out of range"),
        (as_json(daily=daily([9], "mm", "temperature_2m_mean")), "the columns are: time, temperature_2m_mean"),
        (as_json(hourly=HOURLY | {"time": ("", [])}), "hourly' must be lists of the same length"),
        (as_json(daily=DAILY | {"temperature_2m_max": ("°C", 9)}), "daily' must be lists of the same length"),
        (as_json(daily=daily(["warm"])), r"daily\[0\]: temperature_2m_max 'warm'"),
        (as_json(daily=daily([9], "")), "temperature_2m_max has no unit: download it in °C or °F"),
        ('{"daily_units": ["C"], "daily": {"time": ["2024-01-02"], "temperature_2m_max": [1]}}', "has no unit"),
        (as_json(daily=DAILY | {"time": ("", [1704153600])}), r"daily\[0\]: time '1704153600' is not a date"),
        (as_json(hourly=HOURLY | {"time": ("", list(range(24)))}), "download the file without timeformat=unixtime"),
        (as_json(hourly=HOURLY | {"time": ("", NOONS)}), "1 values per day are too few for a daily maximum"),
        (as_json(hourly=HOURLY | {"time": ("", [hours(1)[1], *hours(1)[1:]])}), r"hourly\[1\]: .* appears twice"),
        (as_json(hourly={"time": ("", hours(1)), "temperature_2m": ("°C", [9] * 24)}), "is of the latest run"),
        (as_json(hourly={name: (unit, v[:9]) for name, (unit, v) in HOURLY.items()}), "no day has all 24 hours"),
        (as_json(hourly={name: (unit, []) for name, (unit, _) in HOURLY.items()}), "the file holds no forecasts"),
    ],
)  # fmt: skip
def test_errors_are_one_line_that_names_the_place(tmp_path, text, message):
    with pytest.raises(RecordError, match=message) as caught:
        join(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'f.csv'}: ")
    assert "\n" not in str(caught.value)


VALID_FILES = (
    "valid,issued,guidance,guidance_b\n2024-01-02,2024-01-01T06:00Z,6.5,\n2024-01-03,2024-01-02,7,1\n",
    as_csv(daily([21.8, None])),
    as_json(daily=DAILY),
    as_json(hourly=HOURLY),
)
PIECES = ["", "\n", ",", '"', "x", "-", "9", "[", "{}", "null", "\n\n", "\x00", "é", VALID_FILES[0]]


@settings(max_examples=100)
@given(st.sampled_from(VALID_FILES), st.data())
def test_damaged_files_are_read_or_refused_in_one_line(tmp_path_factory, text, data):
    for _ in range(data.draw(st.integers(1, 3))):
        at, n = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 12))
        text = text[:at] + data.draw(st.sampled_from(PIECES)) + text[at + n :]
    message = ""
    try:
        record = join(tmp_path_factory.getbasetemp(), text)
    except RecordError as error:
        message = str(error)
    if message:
        assert re.fullmatch(rf"{tmp_path_factory.getbasetemp()}/f.csv: .+", message)
    else:
        assert all(series.shape == (5,) for series in record.days.further.values())


class TestDocument:
    """``docs/guidance.md`` describes the files as they are read."""

    TEXT = (ROOT / "docs" / "guidance.md").read_text()

    def test_names_every_accepted_column(self):
        for name in (*VALID, *ISSUED, *FORECAST):
            assert f"`{name}`" in self.TEXT

    def test_example_is_read_as_described(self, tmp_path):
        (tmp_path / "f.csv").write_text(self.TEXT[self.TEXT.index("valid,issued,guidance\n") :].split("```")[0])
        forecasts = read_forecasts(tmp_path / "f.csv", "metric")
        assert [str(day) for day in forecasts.valid] == ["2026-11-21", "2026-11-22"]
        assert (forecasts.columns["guidance"].tolist(), forecasts.late) == ([8.4, 10.2], ())
