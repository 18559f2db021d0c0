import numpy as np
import pytest

from app.readers import RecordError, read_record
from tests.conftest import SHARED, synthetic_days, write_csv


def read(tmp_path, text, name="Hill Top.csv", **options):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_record(path, **options)


def test_the_plain_shape(tmp_path):
    record = read(tmp_path, "date,tmax,tmin,rain\n2024-01-01,10,1.5,0\n2024-01-03,12,,\n")
    assert record.station == "hill_top"
    np.testing.assert_array_equal(record.days.values, [[10, 1.5, 0], [np.nan] * 3, [12, np.nan, np.nan]])
    assert record.set_aside == ()


def test_the_shape_of_the_study(tmp_path):
    """No name above the dates, degF and inches, and the next row's tmax in a column that is not looked at."""
    text = ",tmax,tmin,rain,tmax_tomorrow\n1970-01-01,68.0,50.0,0.5,52.0\n1970-01-02,52.0,32.0,0.0,99.0\n"
    days = read(tmp_path, text, units="us").days
    np.testing.assert_allclose(days.values[0], [20, 10, 12.7])
    assert str(days.first) == "1970-01-01"


@pytest.mark.parametrize(
    "text",
    [
        "date,tmax\n2012/01/01,1\n2012/01/02,2\n",  # slashes
        "DATE, Tmax \n2012-01-02,2\n2012-01-01, 1\n",  # capitals, spaces, order
        "\ufeffdate,tmax\r\n2012-01-01,1\r\n2012-01-02,2\r\n",  # as a spreadsheet saves it
        "tmax,x,date\n1,?,2012-01-01\n\n2,,2012-01-02\n\n",  # other columns, blank lines
        "date,tmax,tmin\n2012-01-01,1,NA\n2012-01-02,2\n",  # short rows
        ",date,tmax\n0,2012-01-01,1\n1,2012-01-02,2\n",  # with the row numbers of a data frame
    ],
)
def test_shapes_that_are_read_alike(tmp_path, text):
    days = read(tmp_path, text).days
    assert str(days.first) == "2012-01-01"
    np.testing.assert_array_equal(days.values, [[1, np.nan, np.nan], [2, np.nan, np.nan]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file, or its first line, is empty"),
        ("date,tmax\n", "no row below the header"),
        ("date;tmax\n2024-01-01;1\n", "line 1 must name one column 'date'; it names: date;tmax"),
        ("date,tmin\n2024-01-01,1\n", "line 1 must name one column 'tmax'"),
        ("date,tmax,tmax\n2024-01-01,1,2\n", "line 1 must name one column 'tmax'"),
        ("date,tmax\n2024-01-01,1\n\n2024-02-30,2\n", "line 4: date '2024-02-30' is not a date"),
        ("date,tmax\n01.02.2024,1\n", "line 2: date '01.02.2024' is not a date"),
        ("date,tmax\n,1\n", "line 2: date '' is not a date"),
        ("date,tmax,tmin\n2024-01-01,1,2\n2024-01-02,1,warm\n", "line 3: tmin 'warm' is not a number"),
        ("date,tmax\n2024-01-01,inf\n", "line 2: tmax 'inf' is not a number"),
        ("date,tmax\n2024-01-01,\n", "not one day has a tmax"),
        ("date,tmax\n2024-07-01,90\n2024-07-02,88\n", r"2 of 2 temperatures are impossible in degC .*--units us"),
        (
            "date,tmax,tmin\n2024-07-01,20,70\n2024-07-02,21,71\n",
            "2 of 4 temperatures .*tmin of 2024-07-01.*--units us",
        ),
        ("date,tmax\n2024-07-01,-9999\n2024-07-02,8\n", "leave unknown values empty"),
        (b"\xff\xfe\x00d", "not UTF-8 text"),
        ("date,tmax\n2024-01-01,1,5,6\n2024-01-02,1,2\n", "not valid CSV"),
    ],
)
def test_what_is_no_record_is_an_error_that_names_the_place(tmp_path, text, message):
    with pytest.raises(RecordError, match=message) as caught:
        read(tmp_path, text)
    assert "Hill Top.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_repeated_dates_are_set_aside(tmp_path):
    record = read(tmp_path, "date,tmax,tmin\n2024-01-01,1,0\n2024-01-02,2,0\n2024-01-01,7,\n")
    np.testing.assert_array_equal(record.days.tmax, [1, 2])
    assert [(str(s.date), s.column, s.value, s.reason) for s in record.set_aside] == [
        ("2024-01-01", "tmax", 7.0, "date repeated")
    ]


def test_a_few_impossible_values_are_set_aside(tmp_path):
    days = synthetic_days(400)
    days.values[7] = [70, 5, 0]
    record = read_record(write_csv(tmp_path / "hill.csv", days))
    assert [(s.column, s.value) for s in record.set_aside] == [("tmax", 70.0)]
    assert np.isnan(record.days.tmax[7])


def test_the_digest_is_of_the_days_not_of_the_file(tmp_path):
    one = read(tmp_path, "date,tmax\n2024-01-01,1\n2024-01-02,2\n", "a.csv")
    same = read(tmp_path, "tmax,date\n2.0,2024/01/02\n1.0,2024/01/01\n", "b.csv")
    other = read(tmp_path, "date,tmax\n2024-01-01,1\n2024-01-02,2.1\n", "c.csv")
    assert one.digest == same.digest != other.digest


@pytest.mark.skipif(not SHARED.exists(), reason="the records are not part of the project")
def test_real_records_are_read():
    paths = sorted(SHARED.glob("data/stations/*.csv"))
    assert paths
    for path in paths:
        assert len(read_record(path).days) > 1000
    study = read_record(SHARED / "data/clean_weather.csv", units="us")
    assert np.nanmean(study.days.tmax) == pytest.approx((65.5 - 32) / 1.8, abs=2)
