"""Records in plain CSV: the accepted layouts, the values set aside, and the errors."""

import csv
from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.readers import (
    Record,
    RecordError,
    column_names,
    groups,
    read_content,
    read_record,
    read_stations,
    station_name,
)
from models.record.columns import COLUMNS, from_celsius
from models.record.days import StationDays
from tests.stations import RECORDS, synthetic_days, write_csv


def read(folder, text, name="Hill Top.csv", **options):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_record(path, **options)


def test_record_of_the_weather_study(tmp_path):
    """No name above the dates, degF and inches, and the next row's tmax in a column that is not used."""
    text = ",tmax,tmin,rain,tmax_tomorrow\n1970-01-01,68.0,50.0,0.5,52.0\n1970-01-03,52.0,32.0,,99.0\n"
    record = read(tmp_path, text, units="us")
    np.testing.assert_allclose(record.days.values, [[20, 10, 12.7], [nan, nan, nan], [100 / 9, 0, nan]], atol=1e-12)
    assert (record.station, str(record.days.first), record.days.further) == ("hill_top", "1970-01-01", {})
    assert record.set_aside == ()
    assert column_names(tmp_path / "Hill Top.csv") == ("", "tmax", "tmin", "rain", "tmax_tomorrow")


TENTHS = st.integers(-300, 400).map(lambda n: n / 10)
# Beside a few dry days, 99.0 and 99.9 mm are codes for a missing value (models/record/quality/codes.py).
RAIN_TENTHS = st.integers(0, 999).filter(lambda n: n not in {990, 999})
DAY = st.tuples(TENTHS, st.none() | st.integers(0, 200), st.none() | RAIN_TENTHS).map(
    lambda day: [day[0], nan if day[1] is None else day[0] - day[1] / 10, nan if day[2] is None else day[2] / 10]
)


@st.composite
def layouts(draw, values):
    """Write days from 1 January 2012 as a CSV file, in any layout; return the text and its units."""
    units = draw(st.sampled_from(["metric", "us"]))
    missing = st.sampled_from(["", "NA", "nan", "null", "None", " "])
    date_name = draw(st.sampled_from(["date", "DATE", ""]))  # an unnamed date comes first
    names = draw(st.permutations(["tmax", "Tmin", " rain", "x", *([date_name] if date_name else [])]))
    names = names if date_name else ["", *names]
    if draw(st.booleans()) and date_name:
        names = ["", *names]  # the row numbers of a data frame
    lines = []
    for row, (tmax, tmin, rain) in enumerate(values):
        of_day = (tmax, tmin, rain) if units == "metric" else (tmax * 1.8 + 32, tmin * 1.8 + 32, rain / 25.4)
        cells = {name: draw(missing) if np.isnan(v) else repr(v) for name, v in zip(COLUMNS, of_day, strict=True)}
        date = draw(st.sampled_from(["2012-01-{:02}", "2012/01/{:02}", " 2012-01-{:02} "])).format(row + 1)
        cells |= {"date": date, "x": "?", "": date if not date_name else str(row)}
        lines.append(",".join(cells[name.strip().lower()] for name in names))
        if draw(st.booleans()):
            lines[-1] = lines[-1].rstrip(", ")  # a short row
        if draw(st.booleans()):
            lines.append("")
    end = draw(st.sampled_from(["\n", "\r\n"]))
    mark = draw(st.sampled_from(["", "\ufeff"]))  # as a spreadsheet saves it
    return mark + end.join([",".join(names), *draw(st.permutations(lines)), ""]), units


@settings(max_examples=40)
@given(st.lists(DAY, min_size=1, max_size=6), st.data())
def test_every_layout_gives_the_same_days(tmp_path_factory, values, data):
    text, units = data.draw(layouts(values))
    record = read(tmp_path_factory.getbasetemp(), text, units=units)
    days = StationDays(np.datetime64("2012-01-01"), np.array(values))
    np.testing.assert_allclose(record.days.values, days.values, atol=1e-9)
    assert record.days.first == days.first
    assert record.days.further == {}
    if units == "metric":  # the digest is of the days, not of the file
        assert record.digest == Record("other", days).digest


def test_digest_depends_on_every_part_of_the_days():
    values = np.arange(6.0).reshape(2, 3)
    first = np.datetime64("2012-01-01")
    others = [(first, values), (first + 1, values), (first, np.where(values == 5, 5.1, values))]
    others += [(first, values, {name: np.full(2, x)}) for name in ("guidance", "guidance_b") for x in (1.0, 2.0)]
    assert len({Record("hill", StationDays(*parts)).digest for parts in others}) == len(others)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_real_record_is_read_as_written(path):
    record = read_record(path)
    dates = [str(date) for date in record.days.dates]
    with path.open() as file:
        written = {row["date"]: [float(row[name] or "nan") for name in COLUMNS] for row in csv.DictReader(file)}
    assert (dates[0], dates[-1]) == (min(written), max(written))
    np.testing.assert_array_equal(record.days.values, [written.get(date, [nan] * 3) for date in dates])
    assert record.station == station_name(path) == path.stem
    assert record.set_aside == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("date,tmax\n", "there are no rows below line 1"),
        ("when,what\n2024-01-01,1\n", "no table of days is known here: the text begins with 'when,what'; then"),
        ("date,tmin\n2024-01-01,1\n", "no column holds the highest temperature of the day, tmax; found: tmin"),
        ("date,tmax,tmax\n2024-01-01,1,2\n", "line 1: column 2 'tmax' and column 3 'tmax' both look like tmax"),
        ("date,tmax,guidance_é\n2024-01-01,1,2\n", "line 1: rename the column 'guidance_é': the names of named"),
        ("date,tmax,guidance,guidance\n2024-01-01,1,2,2\n", "line 1: rename the column 'guidance'"),
        ("date,tmax\n2024-01-01,1\n\n2024-02-30,2\n", "line 4: date '2024-02-30' is not a date"),
        ("date,tmax\n01/02/2024,1\n", "line 2: date '01/02/2024' can be read two ways"),
        ("date,tmax\n31/01/2024,1\n01/31/2024,2\n", "line 2 '31/01/2024' has the day first, line 3 '01/31/2024' the m"),
        ("date,tmax\n2024-01,1\n2024-02,2\n", "line 2: date '2024-01' is a month: .* download daily values"),
        ("date,tmax\n45292,1\n45293,2\n", "line 2: date '45292' is a spreadsheet's number of a day"),
        ("date,tmax\n,1\n", "line 2: date '' is not a date"),
        ("date,tmax,tmin\n2024-01-01,1,2\n2024-01-02,1,warm\n", "line 3: tmin 'warm' is not a number"),
        ("date,tmax\n2024-01-01,inf\n", "line 2: tmax 'inf' is not a number"),
        ("date,tmax\n2024-01-01,\n", "no day has a tmax"),
        ("date,tmax\n2024-07-01,90\n2024-07-02,88\n", r"2 of 2 temperatures are impossible .*add --units us"),
        ("date,tmax\n2024-07-01,290.1\n2024-07-02,288.2\n", "look like Kelvin"),
        ("date,tmax (K)\n2024-07-01,290.1\n2024-07-02,288.2\n", "is in Kelvin: convert it to degC"),
        ("date,tmax\n2024-07-01,350.5\n2024-07-02,388.5\n", "leave unknown values empty"),
        (
            "date,tmax\n" + "".join(f"2024-07-0{i},2\n2024-07-0{i},9\n" for i in range(1, 9)),
            "line 3: tmax of 2024-07-01 is 9",
        ),
        ("PK\x03\x04nothing", "the archive is damaged"),
        (b"\x89PNG\r\n", "this is a picture"),
        (b"d\x00\x01\x00\x00\x00\x01t", "this is no text"),
        ("<!doctype html><html>", "this is a web page"),
        (
            ",".join(map(str, range(100_000))) + "\n",
            r"line 1 has [0-9]+,[0-9]+ columns or more; at most 2,000 are read",
        ),
        ('date,tmax\n2024-01-01,1\n2024-01-02,"2\n2024-01-03,3\n', "the rows below line 1 are no table"),
    ],
)
def test_errors_are_one_line_that_names_the_place(tmp_path, text, message):
    with pytest.raises(RecordError, match=message) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'Hill Top.csv'}: ")
    assert "\n" not in str(caught.value)


def test_repeated_dates_and_a_few_impossible_values_are_set_aside(tmp_path):
    record = read(tmp_path, "date,tmax,tmin\n2024-01-01,1,0\n2024-01-02,2,0\n2024-01-01,7,\n")
    np.testing.assert_array_equal(record.days.tmax, [1, 2])
    assert [(str(s.date), *s[1:]) for s in record.set_aside] == [("2024-01-01", "tmax", 7.0, "date repeated")]
    days = synthetic_days(400)
    days.values[7] = [70, 5, 0]
    record = read_record(write_csv(tmp_path / "hill.csv", days))
    assert [(s.date, *s[1:]) for s in record.set_aside] == [(days.dates[7], "tmax", 70.0, "outside -90 to 57")]
    np.testing.assert_array_equal(record.days.values[7], [nan, 5, 0])


@settings(max_examples=60)
@given(st.lists(st.integers(-600, 560), min_size=5, max_size=40), st.sampled_from(["°F", "°C"]), st.integers(1, 2))
def test_a_value_is_converted_once_and_back_to_the_last_printed_digit(hundredths, unit, decimals):
    """As in a record that is read, and a forecast in its units: nothing is converted twice, whatever the user says."""
    written = [f"{n / 10:.{decimals}f}" for n in hundredths]
    rows = "".join(f"{np.datetime64('2021-03-01') + i},{value}\n" for i, value in enumerate(written))
    for units in (None, "us", "metric"):
        record = read_content(f"date,tmax ({unit})\n{rows}".encode(), "f.csv", units=units)
        own = "us" if unit == "°F" else "metric"
        assert record.units == own
        kept = [(text, v) for text, v in zip(written, record.days.tmax, strict=False) if np.isfinite(v)]
        assert [f"{from_celsius(v, own) + 0.0:.{decimals}f}".replace("-0.0", "0.0") for _, v in kept] == [
            text.replace("-0.0", "0.0") if float(text) == 0 else text for text, _ in kept
        ]


ECAD = (
    "EUROPEAN CLIMATE ASSESSMENT & DATASET\n\nSTAID, SOUID,    DATE,   {0}, Q_{0}\n"
    "  7,  7,20210601,  {1},    0\n  7,  7,20210602,  {2},    0\n"
)
TWO = "station,date,tmax,tmin\n" + "".join(
    f"{name},2021-06-0{day},{20 + day + n},10\n" for n, name in enumerate(("Hill", "Lake")) for day in range(1, 8)
)


def folder_of_records(folder):
    """A folder as it grows over the years: one element a file, two stations in a file, a plain record, and a note."""
    for element, first, second in (("TX", 251, 263), ("TN", 112, 98), ("RR", 0, 15)):
        (folder / f"{element}_STAID000007.txt").write_text(ECAD.format(element, first, second))
    (folder / "two.csv").write_text(TWO)
    (folder / "vale.csv").write_text("date,tmax\n2021-06-01,21\n2021-06-02,22\n")
    (folder / "note.csv").write_text("nothing\n")
    return sorted(folder.iterdir())


def test_files_of_one_station_are_read_together_and_stations_are_never_mixed(tmp_path):
    files = folder_of_records(tmp_path)
    together = {name: [path.name for path in of] for name, of in groups(files)}
    assert together == {
        "7": ["RR_STAID000007.txt", "TN_STAID000007.txt", "TX_STAID000007.txt"],
        "hill": ["two.csv"],
        "vale": ["vale.csv"],
        "note": ["note.csv"],
    }
    joined = read_record(tmp_path / "TX_STAID000007.txt")  # those beside it belong to it
    np.testing.assert_array_equal(joined.days.values, [[25.1, 11.2, 0], [26.3, 9.8, 1.5]])
    assert joined.station == "7"
    both = read_stations([tmp_path / "two.csv"])
    assert {name: record.days.tmax[0] for name, record in both.items()} == {"hill": 21, "lake": 22}
    with pytest.raises(RecordError, match=r"two\.csv: 2 stations: choose one with --station: hill, lake"):
        read_record(tmp_path / "two.csv")
    assert read_record(tmp_path / "two.csv", station="Lake").days.tmax[0] == 22
    with pytest.raises(RecordError, match="2 stations, none is 'dale'"):
        read_record(tmp_path / "two.csv", station="dale")
    assert read_record(tmp_path / "vale.csv", station="dale").station == "dale"  # a single one is renamed


def hours(rows, names="time,temperature,rain"):
    """Two days of hours, each with the cells that ``rows`` gives for it."""
    times = [f"2021-01-{day:02}T{hour:02}:00" for day in (1, 2) for hour in range(24)]
    return "\n".join([names, *(f"{time},{cells}" for time in times for cells in rows(time)), ""])


@pytest.mark.parametrize(
    ("text", "options", "tmax", "rain"),
    [
        ("date,tmax\n2021-01-01,50F\n2021-01-02,41 °F\n", {}, [10, 5], None),
        ("date,tmax\n1. marraskuuta 2021,5\n2. marraskuuta 2021,6\n", {}, [5, 6], None),
        ("date,tmax\n1 prosince 2021,5\n2 prosince 2021,6\n", {}, [5, 6], None),
        ("date,tmax\n2021-01-01T00:00:00Z,5\n2021-01-02T00:00:00Z,6\n", {"timezone": "America/New_York"}, [5, 6], None),
        (hours(lambda _: ["5,0.5", "5,0.5"]), {}, [5, 5], [12, 12]),  # each row twice
        (hours(lambda t: [f"{t[11:13]},0"]), {}, [23, 23], [0, 0]),
        (hours(lambda t: [f"{t[11:13]},{100 + 24 * (t > '2021-01-02') + int(t[11:13])}"]), {}, [23, 23], [23, 24]),
        (hours(lambda t: [f"{t[11:13]},0"], "time (UTC),temperature,rain"), {"timezone": "Etc/GMT-1"}, [22, 23], None),
    ],
)
def test_values_units_and_days_are_those_that_the_file_says(text, options, tmax, rain):
    """The rain of rows that come twice counts once; that of a counter is what it has counted."""
    record = read_content(text.encode(), "f.csv", **options)
    np.testing.assert_allclose(record.days.tmax[:2], tmax)
    if rain:
        np.testing.assert_allclose(record.days.column("rain"), rain)


def test_instants_with_offsets_are_moved_to_the_clock_of_the_station():
    text = hours(lambda t: [f"{t[11:13]},0"]).replace(":00,", ":00+03:00,")
    own, berlin = (read_content(text.encode(), "f.csv", timezone=zone) for zone in (None, "Europe/Berlin"))
    assert (own.days.tmax == 23).all()  # the clock of the file
    assert [str(berlin.days.first), *berlin.days.tmax] == ["2021-01-01", 23, 23]
    assert berlin.days.column("tmin").tolist() == [0, 2]  # from 0 h at the other clock on; 22 hours are left of day two


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("date,tmax\n2021-01-01,50 °F\n2021-01-02,10 °C\n", {}, "tmax is partly in .* give it in one unit"),
        ("date,tmax\n2021-01-01,5\n,30\n2021-01-03,6\n", {}, "line 3: date '' is not a date"),
        ("date,tmax,tmin\n2021-01-01,5,1\n2021-01-02,6,1\nX2021-01-03,7,1\n", {}, "line 4: date 'X2021-01-03' is not"),
        (
            hours(lambda _: ["5,0", "15,0"]),
            {},
            r"line 3: tmax of 2021-01-01T00:00:00 is 15, and 5 before; 48 of 48 times",
        ),
        (hours(lambda _: ["5,0"]), {"timezone": "Mars/X"}, "no time zone 'Mars/X': give a name such as Europe/Berlin"),
        ("STATION,DATE,TMAX,TMIN\nUSW00024233,2021-01-01,50,-20\n", {}, "whole degF or tenths of degC: add --units us"),
        ("date,tmax (°C)\n2021-01-01,75\n2021-01-02,77\n", {}, "correct the units that the file states"),
    ],
)
def test_what_is_in_doubt_is_an_error(text, options, message):
    with pytest.raises(RecordError, match=message):
        read_content(text.encode(), "f.csv", **options)


def test_a_file_of_fixed_width_is_named_after_its_station(tmp_path):
    """At every door: by its head alone, as when it is read."""
    line = "USW00024233202101TMAX" + "".join(f"{value:5d}   " for value in [111, 122, *[-9999] * 29])
    file = tmp_path / "vienna.dly"
    file.write_text(f"{line}\n")
    assert groups([file]) == [("usw00024233", (file,))]
    assert read_record(file).station == "usw00024233"
