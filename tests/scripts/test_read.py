"""`scripts.read`: it shows what is read from a file, as CSV that reads back to the same days."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.readers import Record, read_content
from models.record.columns import COLUMNS, FURTHER
from models.record.days import StationDays
from scripts.read import write
from tests.processes import call_script, run_script
from tests.stations import ROOT

GOLDEN = ROOT / "tests" / "app" / "readers" / "golden"
BASE = {"tmax": 20.0, "tmin": 5.0, "rain": 10.0}  # far enough apart for any values within 5 of them
FILES = [
    "ghcn/access_plain.csv",
    "ambient/AWN-export.csv",
    "meteoswiss/idaweb.txt",
    "plain/german.csv",
    "knmi/result.txt",
]


def printed(record):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        write(record)
    return out.getvalue()


@st.composite
def records(draw):
    """A record in tenths, with gaps, guidance and further columns; tmax is known on the first and the last day."""
    n = draw(st.integers(2, 12))
    tenths = arrays(float, n, elements=st.integers(-50, 50).map(lambda tenth: tenth / 10) | st.just(np.nan))
    values = np.column_stack([np.round(BASE[name] + draw(tenths), 1) for name in COLUMNS])
    values[[0, -1], 0] = 21.5
    first = np.datetime64("1900-01-01") + draw(st.integers(0, 45_000))
    further = {"pressure_9": 985 + draw(tenths), draw(st.sampled_from(FURTHER[2:])).name: 6 + draw(tenths)}
    further = {name: series.round(1) for name, series in further.items() if np.isfinite(series).any()}
    guidance = {"guidance": (20 + draw(tenths)).round(1)}
    return Record("hill", StationDays(first, values, guidance | further))


@settings(max_examples=60)
@given(records())
def test_the_output_reads_back_to_the_same_days(record):
    again = read_content(printed(record).encode(), "hill.csv")
    assert again.days.first == record.days.first
    np.testing.assert_array_equal(again.days.values, record.days.values)
    known = {name: series for name, series in record.days.further.items() if not limits_hide(name, series)}
    for name, series in known.items():
        np.testing.assert_array_equal(again.days.further[name], series)


def limits_hide(name, series):
    """Whether a value is beyond the limits of its quantity, and so missing when it is read."""
    column = next((column for column in FURTHER if column.name == name), None)
    return column and np.any((series < column.limits[0]) | (series > column.limits[1]))


@pytest.mark.parametrize("file", FILES)
def test_a_converted_file_converts_to_itself(file, tmp_path):
    once = call_script("read", GOLDEN / file)
    assert once.returncode == 0, once.stderr
    (tmp_path / "once.csv").write_text(once.stdout)
    twice = call_script("read", tmp_path / "once.csv")
    assert twice.stdout == once.stdout
    assert "format: csv; station: once; temperatures in the file: metric" in twice.stderr


def test_the_days_are_on_standard_output_and_the_rest_on_standard_error(tmp_path):
    """By a real process."""
    first = np.datetime64("2021-06-01")
    rows = "".join(f"{first + day};{51 + day % 30};{41 + day % 30};0,5;30,1;7;9\n" for day in range(60))
    late = "2021-07-30;99;60;0;30,1;7;9\n2021-07-31;140;50;;;;\n2021-08-01;70;50;;;;\n2021-08-02;;;;;;\n"
    (tmp_path / "hill.csv").write_text(f"date;tmax;tmin;rain;pressure;UV;uv2\n{rows}{late}")
    done = run_script("read", tmp_path / "hill.csv", "--units", "us")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "date,tmax,tmin,rain,pressure"
    assert lines[1] == "2021-06-01,10.5556,5,12.7,1019.303"
    assert lines[-2:] == ["2021-07-31,,10,,", "2021-08-01,21.1111,10,,"]
    assert done.stderr.splitlines() == [
        "format: csv; station: hill; temperatures in the file: us",
        "62 days from 2021-06-01 to 2021-08-01: tmax on 61, tmin on 62, rain on 60, pressure on 60",
        "units of the output: tmax degC, tmin degC, rain mm, pressure hPa",
        "not used: UV, uv2",
        "1 empty day after 2021-08-01 left out",
        "set aside: tmax of 2021-07-30: 37.2222, date repeated",
        "set aside: tmin of 2021-07-30: 15.5556, date repeated",
        "set aside: rain of 2021-07-30: 0, date repeated",
        "set aside: tmax of 2021-07-31: 60, outside -90 to 57",
    ]


def test_one_of_several_stations_is_chosen_by_name(fails):
    several = GOLDEN / "plain" / "two_stations.csv"
    fails(call_script("read", several), 1, "2 stations: choose one with --station: meadow, summit")
    fails(call_script("read", several, "--station", "valley"), 1, "none is 'valley'")
    done = call_script("read", several, "--station", "summit")
    assert done.returncode == 0
    assert done.stderr.startswith("stations: meadow, summit\nformat: csv; station: summit;")
    expected = GOLDEN / "plain" / "two_stations.csv.expected.csv"
    days = read_content(done.stdout.encode(), "x.csv").days
    np.testing.assert_array_equal(days.values, read_content(expected.read_bytes(), "x.csv").days.values)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kelvin.csv", "the temperatures look like Kelvin"),
        ("date_both_ways.csv", "line 2: date '01/02/2021' can be read two ways"),
        ("prose.txt", "no table of days is known here"),
    ],
)
def test_a_refused_file_is_one_line(name, message, fails):
    done = call_script("read", GOLDEN / "errors" / name)
    fails(done, 1, message)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert name in done.stderr


def test_a_format_that_is_named_must_fit(fails):
    file = GOLDEN / "knmi" / "result.txt"
    assert call_script("read", file, "--format", "knmi").stdout == call_script("read", file).stdout
    assert call_script("read", file, "--format", "dwd").returncode == 1
    fails(call_script("read", file, "--format", "knmy"), 2, "'knmy' is not one of 'auto', ")
    fails(call_script("read", file, "--timezone", "Europe/Berlim"), 2, "no time zone 'Europe/Berlim'")


def test_a_terminal_gets_no_escapes_from_a_file(tmp_path, on_terminal):
    escape, title = "\x1b[31m", "\x1b]0;title\x07"
    (tmp_path / "one.csv").write_text(f"date,tmax,{escape}snow drift,{title}UV\n2021-06-01,20,1,2\n2021-06-02,21,1,2\n")
    (tmp_path / "two.csv").write_text(
        f"station,date,tmax\nhill{escape},2021-06-01,20\nhill{escape},2021-06-02,21\nlake{title},2021-06-01,20\n"
    )
    shown = on_terminal("read", tmp_path / "one.csv", columns=100)
    assert "snow drift" in shown
    assert "UV" in shown
    assert not {"\x1b", "\x07"} & set(shown)
    shown = on_terminal("read", tmp_path / "two.csv", "--station", "hill_31m", columns=100)
    assert "stations: hill_31m, lake_0_title" in shown
    assert not {"\x1b", "\x07"} & set(shown)
