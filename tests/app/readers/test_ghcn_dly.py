"""NOAA's .dly files: elements, flags, stations, and lines that are not as NOAA writes them."""

from math import nan

import numpy as np
import pytest

from app.readers import ghcn_dly, lines
from app.readers.record import RecordError
from app.readers.series import Options


def line(element, *days, station="USW00094728", month="201402"):
    """Write a line; a day is its value, or its value and its flags of measurement, quality and source."""
    cells = [(day, "   ") if isinstance(day, int) else day for day in days]
    cells += [(-9999, "   ")] * (31 - len(cells))
    return f"{station}{month}{element}" + "".join(f"{value:5}{flags}" for value, flags in cells) + "\n"


def read(text):
    return ghcn_dly.read(text, "x.dly", Options())


def refused(text):
    with pytest.raises(RecordError) as refusal:
        read(text)
    assert str(refusal.value).startswith("x.dly: ")
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file_is_recognised_and_read(mark):
    """Spaces at the ends of lines may be cut off, and lines may end as in Windows."""
    text = (
        mark + line("TMAX", 258, -5, (380, "  I")) + line("TMIN", 180, -150) + line("PRCP", (0, "T 7"), (12, "P 7"), 3)
    )
    cut = "".join(f"{row.rstrip()}\r\n" for row in text.split("\n"))
    for written in (text, cut):
        assert ghcn_dly.recognises(written.encode()[:65536])
        (series,) = read(written)
        assert series.station == "USW00094728"
        assert series.times.astype(str).tolist() == [f"2014-02-0{day}T00:00:00" for day in (1, 2, 3)]
        np.testing.assert_array_equal(series.columns["tmax"], [25.8, -0.5, 38.0])
        np.testing.assert_array_equal(series.columns["tmin"], [18.0, -15.0, nan])
        np.testing.assert_array_equal(series.columns["rain"], [0.0, 1.2, 0.3])
        assert series.places.tolist() == ["line 1"] * 3
        assert series.notes == ()


@pytest.mark.parametrize(
    ("element", "quantity", "value"),
    [("TAVG", "tmean", 10.0), ("SNWD", "snow_depth", 10.0), ("AWND", "wind_speed", 10.0), ("WSF5", "wind_gust", 10.0),
     ("WDF5", "wind_gust_direction", 100.0), ("TSUN", "sunshine", 100 / 60), ("RHAV", "humidity", 100.0),
     ("ASLP", "pressure", 10.0), ("ADPT", "dew_point", 10.0), ("AWDR", "wind_direction", 100.0)],
)  # fmt: skip
def test_elements_become_metric_quantities(element, quantity, value):
    (series,) = read(line("TMAX", 200) + line(element, 100))
    assert series.columns[quantity].tolist() == [value]


def test_values_that_failed_quality_control_are_missing_and_told():
    (series,) = read(line("TMAX", (999, " X7"), 200, (210, " I7")) + line("PRCP", 5, (9000, " O7")))
    np.testing.assert_array_equal(series.columns["tmax"], [nan, 20.0])
    np.testing.assert_array_equal(series.columns["rain"], [0.5, nan])
    assert series.notes == ("3 values failed NOAA's quality control and are missing: tmax 2, rain 1",)


def test_the_gust_is_of_the_element_with_most_values_and_the_others_are_told():
    (series,) = read(line("TMAX", 200, 200) + line("WSF2", 90) + line("WSF5", 120, 130) + line("WT01", 1))
    assert series.columns["wind_gust"].tolist() == [12.0, 13.0]
    assert series.notes == ("elements that are not read: WSF2, WT01",)


def test_months_out_of_order_and_several_stations():
    text = line("TMAX", 210, month="201403") + line("TMAX", 100, station="AE000041196") + "\n" + line("TMAX", 200)
    first, second = read(text)
    assert (first.station, second.station) == ("USW00094728", "AE000041196")
    assert first.times.astype("M8[D]").astype(str).tolist() == ["2014-02-01", "2014-03-01"]
    assert first.columns["tmax"].tolist() == [20.0, 21.0]
    assert first.places.tolist() == ["line 4", "line 1"]


def test_a_leap_day():
    (series,) = read(line("TMAX", *[100] * 29, month="201202"))
    assert str(series.times[-1]) == "2012-02-29T00:00:00"
    assert "line 1: TMAX of 2013-02-29 is 100, but the month has 28 days" in refused(
        line("TMAX", *[100] * 29, month="201302")
    )


@pytest.mark.parametrize(
    "value", ["12.5 ", "  1 2", "--999", " - 12", " 1e3 ", "  \uff11\uff123", "12-3 ", "+12  ", "   - "]
)
def test_a_value_that_is_no_whole_number_is_refused(value):
    text = line("TMAX", 1, 2)
    assert "line 2: TMAX of 2014-02-02 is " in refused(line("TMIN", 1) + text[:29] + value + text[34:])


@pytest.mark.parametrize(
    ("old", "new"),
    [("201402", "201413"), ("201402", "999902"), ("USW", "usw"), ("TMAX", "T AX"), ("-9999   ", "-9999  ")],
)
def test_a_line_that_is_not_of_the_format_is_refused(old, new):
    assert "line 2: " in refused(line("TMIN", 1) + line("TMAX", 1).replace(old, new))


def test_lines_of_other_lengths_are_refused():
    for wrong in (line("TMAX", 1)[:200], f"{line('TMAX', 1)[:-1]}1", "words", "x" * 10_000):
        assert "characters" in refused(line("TMIN", 1) + wrong)


def test_a_line_twice():
    assert len(read(line("TMAX", 200) + line("TMAX", 200))[0].times) == 1
    assert "line 2: TMAX of USW00094728 in 2014-02 is in line 1" in refused(line("TMAX", 200) + line("TMAX", 201))


def test_a_file_without_known_elements_is_refused():
    assert "TMAX" in refused(line("WT01", 1))
    assert "TMAX" in refused("")


@pytest.mark.parametrize(
    ("module", "limit", "message"),
    [
        (ghcn_dly, "MAX_READ", "line 2: more than 1 lines"),
        (ghcn_dly, "MAX_STATIONS", "2 stations; give at most 1"),
        (lines, "MAX_LINES", "more than 1 lines"),
    ],
)
def test_too_much_is_refused(monkeypatch, module, limit, message):
    monkeypatch.setattr(module, limit, 1)
    assert message in refused(line("TMAX", 1) + line("TMAX", 1, station="AE000041196"))


def test_other_texts_are_not_recognised():
    for text in ("date,tmax,tmin\n2014-02-01,20,10\n", "", "USW00094728201402TMAX", "x" * 300):
        assert not ghcn_dly.recognises(text.encode())
