"""Files of somebody's forecasts: each format, which forecast counts, and on which row of the record it comes to lie."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.readers import Record, RecordError, read_record, with_guidance
from app.readers.guidance import FORECAST, ISSUED, VALID, read_forecasts
from models.station_days import StationDays
from tests.conftest import ROOT, SHARED, synthetic_days, write_csv

# 1 to 5 January 2024.
DAYS = StationDays(np.datetime64("2024-01-01"), np.column_stack([np.arange(5.0), np.full(5, -1.0), np.zeros(5)]))
RECORD = Record("hill", DAYS)
PLACE = "latitude,longitude,elevation,utc_offset_seconds,timezone,timezone_abbreviation\n52.5,13.4,38,3600,x,GMT+1\n\n"
TWO_PLACES = PLACE.replace("\n52.5", "\n1,2,3,4,5,6\n52.5")


def join(tmp_path, text, units="metric", record=RECORD, name="f.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return with_guidance(record, path, units)


def known(record):
    """The predictors by name, with None for what is not known."""
    return {name: [None if np.isnan(v) else v for v in column] for name, column in record.days.predictors.items()}


def open_meteo(**parts):
    """An answer of Open-Meteo's, with the unit of each column in front of its values."""
    answer = {"latitude": 52.5, "longitude": 13.4, "utc_offset_seconds": 3600, "timezone": "Europe/Berlin"}
    for part, columns in parts.items():
        answer[f"{part}_units"] = {name: "iso8601" if name == "time" else unit for name, (unit, _) in columns.items()}
        answer[part] = {name: values for name, (_, values) in columns.items()}
    return json.dumps(answer)


def hours(*days, step=1):
    return [f"{day}T{hour:02}:00" for day in days for hour in range(0, 24, step)]


def test_a_forecast_comes_into_the_row_of_the_day_before_the_one_it_is_for(tmp_path):
    record = join(tmp_path, "date,guidance\n2024-01-01,10\n2024-01-02,11\n2024-01-06,15\n2024-01-07,16\n")
    # Of the first day nothing is known the day before; tomorrow's is in the last row; after tomorrow there is no row.
    assert known(record) == {"guidance": [11, None, None, None, 15]}
    np.testing.assert_array_equal(record.days.values, DAYS.values)
    assert (record.station, record.set_aside) == ("hill", ())
    assert DAYS.predictors == {}


@pytest.mark.parametrize(
    "text",
    [
        "date,guidance\n2024-01-02,11\n2024-01-03,\n2024-01-04,13.5\n",
        "valid_date,tmax\n2024/01/04,13.5\n2024/01/02,11\n",  # slashes, order
        "\ufeffValid , Value\r\n2024-01-02, 11\r\n\r\n2024-01-04,13.5\r\n",  # as a spreadsheet saves it
        "other,target_date,forecast\nx,2024-01-02,11\n,2024-01-03,NA\ny,2024-01-04,13.5\n",
        "valid_time,temperature_2m_max\n2024-01-02 00:00:00,11\n2024-01-04T00:00,13.5\n",
        "valid,issued,guidance\n2024-01-02,2024-01-01,11\n2024-01-04,2023-12-30T18:00Z,13.5\n",
        PLACE + "time,temperature_2m_max (°C)\n2024-01-02,11\n2024-01-03,NaN\n2024-01-04,13.5\n",
        PLACE.replace("\n\n", "\n,,,,,\n")
        + "time,temperature_2m_max (°F),x (mm)\n2024-01-02,51.8,\n2024-01-04,56.3,\n",
        open_meteo(
            daily={
                "time": ("", ["2024-01-02", "2024-01-03", "2024-01-04"]),
                "temperature_2m_max": ("°C", [11, None, 13.5]),
                "weathercode": ("wmo code", [3, 3, 3]),
            }
        ),
        open_meteo(daily={"time": ("", ["2024-01-02", "2024-01-04"]), "temperature_2m_max": ("°F", [51.8, 56.3])}),
    ],
)
def test_files_that_say_the_same(tmp_path, text):
    record = join(tmp_path, text)
    assert list(record.days.predictors) == ["guidance"]
    np.testing.assert_allclose(record.days.predictors["guidance"], [11, np.nan, 13.5, np.nan, np.nan])


def test_several_forecasters_and_a_spread(tmp_path):
    text = "guidance_spread,date,guidance_wrf,temperature_2m_max_gfs_seamless,guidance\n2,2024-01-02,50,52,54\n"
    record = join(tmp_path, text, units="us")
    assert list(record.days.predictors) == ["guidance", "guidance_gfs_seamless", "guidance_wrf", "guidance_spread"]
    first = [column[0] for column in record.days.predictors.values()]
    np.testing.assert_allclose(first, [(54 - 32) / 1.8, (52 - 32) / 1.8, 10, 2 / 1.8])


def test_units_are_for_files_that_do_not_say_their_own(tmp_path):
    assert known(join(tmp_path, "date,tmax\n2024-01-02,50\n", units="us"))["guidance"][0] == pytest.approx(10)
    own = open_meteo(daily={"time": ("", ["2024-01-02"]), "temperature_2m_max": ("°C", [10])})
    assert known(join(tmp_path, own, units="us"))["guidance"][0] == 10
    own = PLACE + "time,temperature_2m_max (°C)\n2024-01-02,10\n"
    assert known(join(tmp_path, own, units="us"))["guidance"][0] == 10


class TestWhichForecastCounts:
    ISSUED = (
        "valid,issued,guidance\n"
        "2024-01-03,2024-01-02T06:00Z,6\n"
        "2024-01-03,2024-01-02T18:00Z,18\n"  # the latest of the day before
        "2024-01-03,2024-01-02 12:00,12\n"
        "2024-01-03,2024-01-01,1\n"
        "2024-01-03,2024-01-03T00:00Z,99\n"  # of its own day
        "2024-01-03,2024-01-04,98\n"
    )

    def test_the_latest_of_those_made_before_the_day(self, tmp_path):
        assert known(join(tmp_path, self.ISSUED)) == {"guidance": [None, 18, None, None, None]}

    def test_what_was_made_later_is_counted_and_said(self, tmp_path):
        (late,) = join(tmp_path, self.ISSUED).set_aside
        assert (str(late.date), late.column, late.value) == ("2024-01-03", "guidance", 99.0)
        assert late.reason == "a forecast that was made on its day, or later, as 1 more of the file were"

    def test_an_older_one_counts_where_the_latest_has_none(self, tmp_path):
        text = "valid,run,guidance,guidance_b\n2024-01-02,2023-12-31,5,6\n2024-01-02,2024-01-01,,7\n"
        assert [column[0] for column in known(join(tmp_path, text)).values()] == [5, 7]

    @pytest.mark.parametrize("name", ["issued", "issue", "issue_time", "run", "init", "reference_time"])
    @pytest.mark.parametrize(
        "time",
        [
            "2024-01-01T23:59:59",
            "2024-01-01 23",
            "2024-01-01T2359Z",
            "2024/01/01 23:59 UTC",
            "2024-01-01t23:59:59.9+0530",
        ],
    )
    def test_ways_to_write_when_it_was_made(self, tmp_path, name, time):
        """The calendar date counts as it is written."""
        text = f"date,{name},guidance\n2024-01-02,{time},5\n2024-01-02,2024-01-01T22:00,4\n"
        assert known(join(tmp_path, text))["guidance"][0] == 5
        late = text.replace("2024-01-01", "2024-01-02").replace("2024/01/01", "2024/01/02")
        with pytest.raises(RecordError, match="each of its forecasts was made on its day, or later"):
            join(tmp_path, late)

    def test_a_line_that_was_appended_twice_is_no_other_forecast(self, tmp_path):
        line = "2024-01-02,2024-01-01,5\n"
        assert known(join(tmp_path, f"date,issued,guidance\n{line}{line}"))["guidance"][0] == 5

    def test_what_the_file_has_takes_the_place_of_what_the_record_has(self, tmp_path):
        own = np.array([1.0, 2.0, 3.0, np.nan, np.nan])
        days = StationDays(DAYS.first, DAYS.values, {"guidance": own, "next_wind": np.ones(5)})
        record = join(tmp_path, "date,guidance\n2024-01-02,11\n2024-01-03,\n2024-01-05,14\n", record=Record("h", days))
        assert known(record) == {"guidance": [11, 2, 3, 14, None], "next_wind": [1] * 5}
        np.testing.assert_array_equal(own, [1, 2, 3, np.nan, np.nan])


class TestHours:
    """Of Open-Meteo's Previous Runs API: hour by hour what was said a day before."""

    def of_two_models(self, step=1):
        time = hours("2024-01-02", "2024-01-03", "2024-01-04", step=step)
        n = len(time)
        first = [hour / 4 for hour in range(n)]
        second = [*first[: n // 3 + 1], None, *first[n // 3 + 2 :]]  # of the second day one hour is not known
        return {
            "time": ("", time),
            "temperature_2m": ("°C", [99.0] * n),  # of the latest run, no forecast of the day before
            "temperature_2m_previous_day1": ("°C", first),
            "temperature_2m_previous_day1_gfs_seamless": ("°C", second),
            "temperature_2m_previous_day2": ("°C", [98.0] * n),
        }

    @pytest.mark.parametrize("step", [1, 3, 6])
    def test_the_highest_of_a_day_of_which_all_hours_are_known(self, tmp_path, step):
        a_day = 24 // step
        ends = [(n * a_day - 1) / 4 for n in (1, 2, 3)]
        expected = {"guidance": [*ends, None, None], "guidance_gfs_seamless": [ends[0], None, ends[2], None, None]}
        columns = self.of_two_models(step)
        daily = {"time": ("", ["2024-01-02"]), "temperature_2m_max": ("°C", [97.0])}  # the latest run's, too
        assert known(join(tmp_path, open_meteo(daily=daily, hourly=columns))) == expected
        names = ",".join(f"{name} ({unit})" if unit else name for name, (unit, _) in columns.items())
        rows = zip(*(values for _, values in columns.values()), strict=True)
        lines = [names, *(",".join("NaN" if cell is None else str(cell) for cell in row) for row in rows)]
        text = "\n".join([*lines, "", "time,temperature_2m_max (°C)", "2024-01-02,97.0", ""])
        assert known(join(tmp_path, PLACE + text)) == expected

    def test_a_day_that_is_cut_off_does_not_count(self, tmp_path):
        time = hours("2024-01-02", "2024-01-03")[:-1]
        columns = {"time": ("", time), "temperature_2m_previous_day1": ("°F", [50.0] * len(time))}
        assert known(join(tmp_path, open_meteo(hourly=columns)))["guidance"] == [pytest.approx(10), *[None] * 4]

    def test_a_day_s_highest_of_the_day_before_comes_before_the_latest_run_s(self, tmp_path):
        columns = {
            "time": ("", ["2024-01-02"]),
            "temperature_2m_max": ("°C", [9]),
            "temperature_2m_max_previous_day1": ("°C", [8]),
            "temperature_2m_max_previous_day1_gfs": ("°C", [7]),
            "temperature_2m_max_previous_day2": ("°C", [6]),
        }
        first = {name: column[0] for name, column in known(join(tmp_path, open_meteo(daily=columns))).items()}
        assert first == {"guidance": 8, "guidance_gfs": 7}

    def test_members_of_an_ensemble_are_not_guidance_each(self, tmp_path):
        columns = {"time": ("", ["2024-01-02"]), "temperature_2m_max": ("°C", [9])}
        columns |= {f"temperature_2m_max_member{n:02}": ("°C", [n]) for n in range(1, 4)}
        assert list(known(join(tmp_path, open_meteo(daily=columns)))) == ["guidance"]


DAILY = {"time": ("", ["2024-01-02"]), "temperature_2m_max": ("°C", [9])}
HOURS = hours("2024-01-02")
NOONS = [f"2024-01-{day:02}T12:00" for day in range(2, 26)]
HOURLY = {"time": ("", HOURS), "temperature_2m_previous_day1": ("°C", [9.0] * 24)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file, or its first line, is empty"),
        ("date,guidance\n", "there is no forecast in it"),
        (b"\xff\xfe\x00d", "not UTF-8 text"),
        ("day,guidance\n2024-01-02,1\n", "no column says which day a forecast is for: name it date, valid"),
        ("date,valid_date,guidance\n2024-01-01,2024-01-02,1\n", "the columns date and valid_date may mean the same"),
        ("date,run,issued,tmax\n2024-01-02,2024-01-01,2024-01-01,1\n", "the columns run and issued may mean the same"),
        ("date,tmin\n2024-01-02,1\n", r"no column is a forecast of tmax \(guidance.*; it has: date, tmin"),
        ("time,temperature_2m\n2024-01-02T00:00,1\n", "what the latest run says.*temperature_2m_previous_day1"),
        ("date,tmax,guidance\n2024-01-02,1,2\n", "tmax and guidance would both be guidance: rename one"),
        ("date,tmax,tmax\n2024-01-02,1,2\n", "tmax and tmax would both be guidance: rename one"),
        ("date,guidance_é\n2024-01-02,1\n", "'guidance_é' is to be renamed"),
        ("date,guidance\n2024-01-02,1\n02.01.2024,2\n", "line 3: date '02.01.2024' is not a date"),
        ("valid_time,guidance\n2024-01-02T12:00,1\n", "line 2: valid_time '2024-01-02T12:00' is not a date"),
        ("date,guidance\n2024-01-02,warm\n", "line 2: guidance 'warm' is not a number"),
        (
            "date,guidance\n2024-01-02,1\n2024-01-03,1\n\n2024-01-02,2\n",
            "line 5: there is a forecast for 2024-01-02 in line 2 too: say when each was made in a column named issued",
        ),
        (
            "date,issued,guidance\n2024-01-02,2024-01-01,1\n2024-01-02,2024-01-01T00:00,2\n",
            "line 3: there is another forecast for 2024-01-02 that was made at the same time",
        ),
        ("date,issued,guidance\n2024-01-02,yesterday,1\n", "line 2: issued 'yesterday' is not a time such as"),
        ("date,issued,guidance\n2024-01-02,2024-01-01T25:00,1\n", "line 2: issued .* is not a time such as"),
        ("date,guidance\n2024-01-02,\n", "there is no forecast in it"),
        (
            "date,guidance\n2023-01-02,1\n2023-01-05,2\n",
            "forecasts for 2023-01-02 to 2023-01-05, and none for 2024-01-02 to 2024-01-06.*is it of another station",
        ),
        (
            "date,guidance\n2024-01-02,70\n2024-01-03,71\n",
            r"2 of 2 forecasts are impossible in degC \(guidance for 2024-01-02 is 70.0\).*--units us",
        ),
        ("date,guidance\n2024-01-02,-9999\n2024-01-03,1\n", "1 of 2 .*impossible.*leave unknown values empty"),
        ("date,guidance\n2024-01-02,1,2,3\n2024-01-03,1\n", "not valid CSV"),
        (PLACE + "time,temperature_2m_max (K)\n2024-01-02,280\n", "temperature_2m_max must be in °C or °F"),
        (TWO_PLACES + "time,temperature_2m_max (°C)\n2024-01-02,1\n", "it holds 2 places: download a file for each"),
        (PLACE, "there is no forecast in it, only the place"),
        (PLACE + "time,temperature_2m_max (°C)\n2024-01-02,1,2\n", "not valid CSV: .* line 5"),
        (PLACE + "time,temperature_2m_max (°C)\n2024-01-02,warm\n", "line 5: temperature_2m_max 'warm' is not"),
        ("{", "not valid JSON"),
        ("{}", "it has neither of Open-Meteo's parts hourly and daily: ask"),
        (f"[{open_meteo(daily=DAILY)}, {open_meteo(daily=DAILY)}]", "it holds 2 places: download a file for each"),
        ('{"error": true, "reason": "Out of allowed range"}', "no forecasts, but an error: Out of allowed range"),
        (open_meteo(hourly=HOURLY | {"time": ("", [])}), "hourly is not made of lists of one length"),
        (open_meteo(daily=DAILY | {"temperature_2m_max": ("°C", 9)}), "daily is not made of lists of one length"),
        (open_meteo(daily=DAILY | {"temperature_2m_max": ("°C", ["warm"])}), r"daily\[0\]: temperature_2m_max 'warm'"),
        (open_meteo(daily=DAILY | {"temperature_2m_max": ("", [9])}), "must be in °C or °F, but its unit is ''"),
        (open_meteo(daily=DAILY | {"temperature_2m_max": ("°C", [99])}), "1 of 1 .*leave unknown values empty"),
        (open_meteo(daily=DAILY | {"time": ("", [1704153600])}), r"daily\[0\]: time '1704153600' is not a date"),
        (open_meteo(hourly=HOURLY | {"time": ("", list(range(24)))}), "without timeformat=unixtime"),
        (open_meteo(hourly=HOURLY | {"time": ("", NOONS)}), "1 hours of a day do not tell its highest temperature"),
        ('{"daily_units": ["C"], "daily": {"time": ["2024-01-02"], "temperature_2m_max": [1]}}', "must be in °C or °F"),
        (open_meteo(hourly=HOURLY | {"time": ("", [HOURS[1], *HOURS[1:]])}), r"hourly\[1\]: .* comes twice"),
        (open_meteo(hourly={"time": ("", HOURS), "temperature_2m": ("°C", [9] * 24)}), "what the latest run says"),
        (
            open_meteo(hourly={name: (unit, values[:9]) for name, (unit, values) in HOURLY.items()}),
            "of no day all 24 hours are there",
        ),
        (open_meteo(hourly={name: (unit, []) for name, (unit, _) in HOURLY.items()}), "there is no forecast in it"),
    ],
)  # fmt: skip
def test_what_cannot_be_joined_is_one_line_that_names_the_place(tmp_path, text, message):
    with pytest.raises(RecordError, match=message) as caught:
        join(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "f.csv"))
    assert "\n" not in str(caught.value)


def test_a_few_forecasts_that_no_temperature_can_be_are_set_aside(tmp_path):
    record = Record("hill", synthetic_days(300))
    lines = [f"{date},{20 if n else 70},{2 if n > 1 else -1}" for n, date in enumerate(record.days.dates[1:])]
    found = join(tmp_path, "\n".join(["date,guidance,guidance_spread", *lines, ""]), record=record)
    # They are named by the row in which they would be.
    assert [(str(s.date), s.column, s.value) for s in found.set_aside] == [
        (str(record.days.dates[0]), "guidance", 70.0),
        (str(record.days.dates[0]), "guidance_spread", -1.0),
        (str(record.days.dates[1]), "guidance_spread", -1.0),
    ]
    assert np.isnan(found.days.predictors["guidance"][[0, -1]]).all()
    assert (found.days.predictors["guidance"][1:-1] == 20).all()


class TestWithARecord:
    """A record and its guidance, read together."""

    @pytest.fixture
    def files(self, tmp_path):
        record = "date,tmax,next_wind,note\n2024-01-01,1,5,a\n2024-01-02,2,6,b\n"
        (tmp_path / "hill.csv").write_text(record)
        (tmp_path / "f.csv").write_text("date,guidance_wrf\n2024-01-02,11\n")
        return tmp_path / "hill.csv", tmp_path / "f.csv"

    def test_what_is_named_may_be_in_either(self, files):
        record, guidance = files
        read = read_record(record, predictors=["guidance_wrf", "next_wind"], guidance=guidance)
        assert known(read) == {"guidance_wrf": [11, None], "next_wind": [5, 6]}
        assert list(read_record(record, guidance=guidance).days.predictors) == ["guidance_wrf"]
        assert read.digest != read_record(record).digest

    @pytest.mark.parametrize("name", ["guidance", "guidance_spread", "next_rain"])
    def test_what_is_in_neither_is_an_error(self, files, name):
        record, guidance = files
        with pytest.raises(RecordError, match=rf"hill.csv.*there is no column '{name}'"):
            read_record(record, predictors=[name], guidance=guidance)

    def test_the_units_are_those_of_both(self, tmp_path):
        days = synthetic_days(10)
        write_csv(tmp_path / "hill.csv", days)
        (tmp_path / "f.csv").write_text(f"date,guidance\n{days.dates[1]},50\n")
        read = read_record(tmp_path / "hill.csv", units="us", guidance=tmp_path / "f.csv")
        assert read.days.predictors["guidance"][0] == pytest.approx(10)


@pytest.mark.skipif(not SHARED.exists(), reason="the files are not part of the project")
def test_files_as_open_meteo_makes_them():
    folder = SHARED / "data" / "formats"
    for name, n in {"openmeteo_forecast_response.json": 8, "openmeteo_download__daily_max_min_precip.csv": 9}.items():
        said = read_forecasts(folder / name, "us")
        assert (len(said.valid), list(said.columns), said.says_unit) == (n, ["guidance"], True)
        assert 14 < said.columns["guidance"][0] < 22
    with pytest.raises(RecordError, match="it has: time, temperature_2m_mean"):
        read_forecasts(folder / "openmeteo_archive_response.json", "metric")


def joined_or_why_not(tmp_path, text):
    try:
        return join(tmp_path, text)
    except RecordError as error:
        return str(error)


SOUND = (
    "valid,issued,guidance,guidance_b\n2024-01-02,2024-01-01T06:00Z,6.5,\n2024-01-03,2024-01-02,7,1\n",
    PLACE + "time,temperature_2m_max (°C)\n2024-01-02,21.8\n2024-01-03,NaN\n",
    open_meteo(daily=DAILY),
    open_meteo(hourly=HOURLY),
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_a_file_holds_it_is_read_or_refused_in_a_line(tmp_path, data):
    text = data.draw(st.sampled_from(SOUND))
    for _ in range(data.draw(st.integers(1, 3))):
        at, n = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 12))
        put = data.draw(
            st.sampled_from(["", "\n", ",", '"', "x", "-", "9", "[", "{}", "null", "\n\n", "\x00", "é", text])
        )
        text = text[:at] + put + text[at + n :]
    found = joined_or_why_not(tmp_path, text)
    if isinstance(found, str):
        assert found.startswith(str(tmp_path / "f.csv"))
        assert "\n" not in found
    else:
        assert all(column.shape == (5,) for column in found.days.predictors.values())


class TestDocument:
    """What ``docs/guidance.md`` says of the files."""

    TEXT = (ROOT / "docs" / "guidance.md").read_text()

    def test_every_name_of_a_column_is_in_it(self):
        for name in (*VALID, *ISSUED, *FORECAST):
            assert f"`{name}`" in self.TEXT

    def test_the_printed_file_is_read_as_it_says(self, tmp_path):
        printed = self.TEXT[self.TEXT.index("valid,issued,guidance\n") :].split("```")[0]
        path = tmp_path / "f.csv"
        path.write_text(printed)
        said = read_forecasts(path, "metric")
        assert [str(day) for day in said.valid] == ["2026-11-21", "2026-11-22"]
        assert (said.columns["guidance"].tolist(), said.late) == ([8.4, 10.2], ())
