"""weewx's monthly text reports: months, units, cells that are missing or run together, and what is not a report."""

from math import nan

import numpy as np
import pytest

from app.readers import weewx_reports
from app.readers.record import RecordError
from app.readers.series import Options

HEAD = """\
                   MONTHLY CLIMATOLOGICAL SUMMARY for {period}


NAME: Hill Farm
ELEV: 650 meters    LAT: 33-00.00 S    LONG: 026-00.00 E


                   TEMPERATURE ({temperature}), RAIN ({rain}), WIND SPEED ({wind})

                                         HEAT   COOL         AVG
      MEAN                               DEG    DEG          WIND                   DOM
DAY   TEMP   HIGH   TIME    LOW   TIME   DAYS   DAYS   RAIN  SPEED   HIGH   TIME    DIR
---------------------------------------------------------------------------------------
"""
TOTALS = "-" * 87 + "\n      19.6   36.1     04    9.5     09   19.3   59.9   50.0   17.2  110.2     29    158\n    \n"
ROW = " 28   15.5   20.0  14:10   10.0  23:35    2.9    0.0    1.5   36.0   72.0  21:05    224\n"
YEARLY = "                     CLIMATOLOGICAL SUMMARY for year 2018\n\nNAME: Hill Farm\n\n 2018 01   25.3   15.1\n"
COLUMNS = ("tmean", "tmax", "tmin", "rain", "wind_speed", "wind_gust", "wind_direction")


def report(rows=ROW, period="Feb 2018", temperature="°C", rain="mm", wind="km/h", totals=TOTALS):
    return HEAD.format(period=period, temperature=temperature, rain=rain, wind=wind) + rows + totals


def read(text):
    series = weewx_reports.read(text, "noaa.txt", Options())
    for one in series:
        assert all(len(values) == len(one.times) == len(one.places) for values in one.columns.values())
    return series


def refused(text):
    with pytest.raises(RecordError) as refusal:
        weewx_reports.read(text, "noaa.txt", Options())
    assert str(refusal.value).startswith("noaa.txt: ")
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def values(series):
    return [series.columns[name].tolist() for name in COLUMNS]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_a_report_is_recognised(encoding):
    assert weewx_reports.recognises(report().encode(encoding))
    assert weewx_reports.recognises(YEARLY.encode(encoding))
    assert not weewx_reports.recognises("date,tmax,tmin\n2018-01-01,20,10\n".encode(encoding))


def test_months_follow_one_another_in_one_file():
    text = report() + report(ROW.replace(" 28 ", " 01 ") + ROW.replace(" 28 ", " 31 "), "Mar 2018")
    for ends in ("\n", "\r\n"):
        (series,) = read(text.replace("\n", ends))
        assert series.station == "Hill Farm"
        assert series.times.astype("M8[D]").astype(str).tolist() == ["2018-02-28", "2018-03-01", "2018-03-31"]
        assert series.places.tolist() == ["line 14", "line 31", "line 32"]
        assert values(series) == [[15.5] * 3, [20.0] * 3, [10.0] * 3, [1.5] * 3, [10.0] * 3, [20.0] * 3, [224.0] * 3]
        assert series.notes == ()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("°F", "in", "mph"), [-9.16667, -6.66667, -12.22222, 38.1, 16.09344, 32.18688, 224.0]),
        (("F", "inch", "knots"), [-9.16667, -6.66667, -12.22222, 38.1, 18.52, 37.04, 224.0]),
        (("Â°C", "cm", "m/s"), [15.5, 20.0, 10.0, 15.0, 36.0, 72.0, 224.0]),
    ],
)
def test_units_are_those_of_the_head(labels, expected):
    (series,) = read(report(temperature=labels[0], rain=labels[1], wind=labels[2]))
    np.testing.assert_allclose(np.ravel(values(series)), expected, rtol=1e-5)


def test_wind_in_an_unknown_unit_is_not_read():
    (series,) = read(report(wind="Bft"))
    assert set(series.columns) == {"tmean", "tmax", "tmin", "rain", "wind_direction"}
    assert series.notes == ("wind in 'Bft' is not read",)
    assert "temperature must be in C or F" in refused(report(temperature="K"))
    assert "rain in mm, cm or in" in refused(report(rain="pints"))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            " 28    N/A    N/A    N/A    N/A    N/A    N/A    N/A    1.5    N/A    N/A    N/A    N/A",
            [nan, nan, nan, 1.5],
        ),
        (
            " 28      -      -      -      -      -      -      -    1.5      -      -      -      -",
            [nan, nan, nan, 1.5],
        ),
        (" 28                                                     1.5", [nan, nan, nan, 1.5]),
        (" 28", [nan] * 4),
        (" 28   15.5   20.0          10.0                         1.5", [15.5, 20.0, 10.0, 1.5]),
        ("28 15.5 20.0 2:10 PM 10.0 11:35 PM 2.9 0.0 1.5 36.0 72.0 9:05 PM SW", [15.5, 20.0, 10.0, 1.5]),
        (
            "   28   15,5   20,0  14:10   10,0  23:35  2,9    0,0    1,5   36,0   72,0  21:05    224",
            [15.5, 20.0, 10.0, 1.5],
        ),
        (
            " 28   15.5   20.0  14:10  -10.0  23:35    2.9    0.011111.5-9999.9   72.0  21:05",
            [15.5, 20.0, -10.0, 11111.5],
        ),
    ],
)
def test_cells_missing_shifted_and_run_together(row, expected):
    (series,) = read(report(f"{row}\n"))
    found = [series.columns.get(name, np.array([nan]))[0] for name in ("tmean", "tmax", "tmin", "rain")]
    np.testing.assert_array_equal(found, expected)


def test_a_point_of_the_compass():
    (series,) = read(report(ROW.replace("224", "SSW")))
    assert series.columns["wind_direction"].tolist() == [202.5]


@pytest.mark.parametrize(
    "row",
    [
        " 28    15.5   20.0  14:10   10.0  23:35    2.9    0.0    1.5   36.0   72.0  21:05",  # one cell short, shifted
        " 28   15.5   20.0  14:10   1?.0  23:35    2.9    0.0    1.5   36.0   72.0  21:05    224",
        " 28   15.5   warm  14:10   10.0  23:35    2.9    0.0    1.5   36.0   72.0  21:05    224",
        " 29   15.5   20.0  14:10   10.0  23:35    2.9    0.0    1.5   36.0   72.0  21:05    224",
        " 28   15.5   20.0  14:10   10.0  23:35    2.9    0.0    1.5   36.0   72.0  21:05    224    1.0",
        "some words",
        "x" * 300,
    ],
)
def test_rows_that_do_not_fit_are_refused_with_their_line(row):
    assert "line 14: " in refused(report(f"{row}\n"))


def test_a_day_twice_is_refused():
    assert "line 15: '28' is not a further day of 2018-02" in refused(report(ROW + ROW))


@pytest.mark.parametrize(
    ("period", "month"),
    [("Mär 2018", 3), ("March 2018", 3), ("mars 2018", 3), ("marras 2018", 11), ("août 2018", 8), ("juil. 2018", 7),
     ("juin 2018", 6), ("Dez. 2018", 12), ("červenec 2018", 7), ("červen 2018", 6)],
)  # fmt: skip
def test_months_in_other_languages(period, month):
    (series,) = read(report(period=period))
    assert series.times.astype("M8[M]").tolist() == [np.datetime64(f"2018-{month:02}").item()]


@pytest.mark.parametrize("period", ["2018", "Xyz 2018", "Feb 0018", "Feb 2018 x", ""])
def test_a_title_without_a_month_is_refused(period):
    assert "line 1: " in refused(report(period=period))


def test_the_last_day_of_an_unfinished_month_is_missing():
    days = "".join(ROW.replace(" 28 ", f" {day:02} ") for day in (1, 2)) + " 03\n 04\n"
    (series,) = read(report(days, "Mar 2018") + report())
    np.testing.assert_array_equal(series.columns["tmax"], [20.0, nan, nan, nan, 20.0])
    assert series.notes == ("2018-03-02 was not over when its report was written, and is missing",)


def test_yearly_reports_hold_no_days():
    assert "give the monthly ones" in refused(YEARLY)
    (series,) = read(YEARLY + report() + YEARLY)
    assert len(series.times) == 1
    assert series.notes == ("2 yearly reports hold no days and are not read",)
    assert "no monthly report" in refused("")


def test_stations_are_apart():
    first, second = read(report() + report(period="Feb 2019").replace("Hill Farm", "Mill"))
    assert (first.station, second.station) == ("Hill Farm", "Mill")
    assert second.times.astype("M8[D]").astype(str).tolist() == ["2019-02-28"]


@pytest.mark.parametrize(
    ("lost", "message"),
    [("TEMPERATURE (", "TEMPERATURE (°C), RAIN"), ("DAY   TEMP", "no row of labels"), ("-----", "no dashed line")],
)
def test_a_report_without_a_part_is_refused(lost, message):
    assert message in refused(report(totals="").replace(lost, ""))


def test_text_beyond_any_report_is_refused():
    assert "too long" in refused(report() + "words\n" * 300)
    assert "reports; give each station its own file" in refused(report() * 3001)
