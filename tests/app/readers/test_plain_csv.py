"""Records in plain CSV: the accepted layouts, the values set aside, and the errors."""

import csv
from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.readers import Record, RecordError, column_names, read_record, station_name
from models.record.columns import COLUMNS
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
    assert (record.station, str(record.days.first), record.days.predictors) == ("hill_top", "1970-01-01", {})
    assert record.set_aside == ()
    assert column_names(tmp_path / "Hill Top.csv") == ("", "tmax", "tmin", "rain", "tmax_tomorrow")


TENTHS = st.integers(-300, 400).map(lambda n: n / 10)
DAY = st.tuples(TENTHS, st.none() | st.integers(0, 200), st.none() | st.integers(0, 999)).map(
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
    assert record.days.predictors == {}
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
        ("", "the file or its first line is empty"),
        ("date,tmax\n", "no rows below the header"),
        ("date;tmax\n2024-01-01;1\n", "line 1 must name one column 'date'; it names: date;tmax"),
        ("date,tmin\n2024-01-01,1\n", "line 1 must name one column 'tmax'"),
        ("date,tmax,tmax\n2024-01-01,1,2\n", "line 1 must name one column 'tmax'"),
        ("date,tmax,guidance_é\n2024-01-01,1,2\n", "line 1: rename the column 'guidance_é': predictor names"),
        ("date,tmax,guidance,guidance\n2024-01-01,1,2,2\n", "line 1: rename the column 'guidance'"),
        ("date,tmax\n2024-01-01,1\n\n2024-02-30,2\n", "line 4: date '2024-02-30' is not a date"),
        ("date,tmax\n01.02.2024,1\n", "line 2: date '01.02.2024' is not a date"),
        ("date,tmax\n2024-01/02,1\n", "line 2: date '2024-01/02' is not a date"),
        ("date,tmax\n,1\n", "line 2: date '' is not a date"),
        ("date,tmax,tmin\n2024-01-01,1,2\n2024-01-02,1,warm\n", "line 3: tmin 'warm' is not a number"),
        ("date,tmax\n2024-01-01,inf\n", "line 2: tmax 'inf' is not a number"),
        ("date,tmax\n2024-01-01,\n", "no day has a tmax"),
        ("date,tmax\n2024-07-01,90\n2024-07-02,88\n", r"2 of 2 temperatures are impossible in degC .*add --units us"),
        (
            "date,tmax,tmin\n2024-07-01,20,70\n2024-07-02,21,71\n",
            r"2 of 4 temperatures .*tmin on 2024-07-01 is 70\.0.*--units us",
        ),
        ("date,tmax\n2024-07-01,-9999\n2024-07-02,8\n", "leave unknown values empty"),
        (b"\xff\xfe\x00d", "not UTF-8 text"),
        ("date,tmax\n2024-01-01,1,5,6\n2024-01-02,1,2\n", "not valid CSV"),
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
