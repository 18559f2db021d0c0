"""The table of columns: units, limits, transforms and fills; measured columns, guidance and named columns."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.record.columns import (
    COLUMNS,
    MEASURED,
    RAIN,
    TEMPERATURES,
    TMAX,
    TMIN,
    UNITS,
    ColumnError,
    chosen_columns,
    column,
    from_celsius,
    impossible,
    is_guidance,
    is_spread,
    measured_to_metric,
    neighbour_of,
    own_name,
    quantity,
    to_celsius,
    units_of,
)
from tests.stations import ROOT

NAN = np.nan


def test_measured_columns():
    assert [(c.name, c.unit("metric"), c.unit("us"), c.limits, c.transform, c.fill) for c in MEASURED] == [
        ("tmax", "degC", "degF", (-90, 57), "anomaly", "autoregression"),
        ("tmin", "degC", "degF", (-90, 57), "anomaly", "regression"),
        ("rain", "mm", "inch", (0, 1900), "log1p", "mean"),
    ]
    assert COLUMNS == ("tmax", "tmin", "rain")
    assert (TMAX, TMIN, RAIN) == (0, 1, 2)
    assert TEMPERATURES == (TMAX, TMIN)
    assert [column(name) for name in COLUMNS] == list(MEASURED)


@pytest.mark.parametrize(
    ("name", "unit", "us_unit", "us", "metric", "limits"),
    [
        ("tmin", "degC", "degF", [-40, 212], [-40, 100], (-90, 57)),
        ("rain", "mm", "inch", [0, 1], [0, 25.4], (0, 1900)),
        ("guidance", "degC", "degF", [32, 50], [0, 10], (-90, 57)),
        ("guidance_gfs", "degC", "degF", [32, 50], [0, 10], (-90, 57)),
        ("guidance_spread", "degC", "degF", [0, 1.8], [0, 1], (0, np.inf)),
        ("guidance_gfs_spread", "degC", "degF", [0, 1.8], [0, 1], (0, np.inf)),
        ("pressure", "hPa", "inHg", [0, 30], [0, 1015.9167], (450, 1090)),
        ("next_tmin", "degC", "degF", [32, 50], [0, 10], (-np.inf, np.inf)),
        ("next_wind", "", "", [32, 50], [32, 50], (-np.inf, np.inf)),
    ],
)
def test_units_and_limits_of_measured_and_further_columns(name, unit, us_unit, us, metric, limits):
    found = column(name)
    assert (found.name, found.unit("metric"), found.unit("us"), found.limits) == (name, unit, us_unit, limits)
    np.testing.assert_allclose(found.to_metric(np.array(us), "us"), metric, atol=1e-12)
    np.testing.assert_array_equal(found.to_metric(us, "metric"), us)
    assert units_of([name, "next_wind"], "us") == {name: us_unit, "next_wind": ""}


def test_a_column_at_an_hour_or_of_a_neighbour_is_that_of_its_quantity():
    for name, of in (("pressure_9", "pressure"), ("old/hill/tmax", "tmax"), ("hill/pressure_21", "pressure")):
        assert column(name) is quantity(of)
    assert column("hill/guidance_gfs_spread") == column("guidance_gfs_spread")
    names = ("tmax", "pressure_9", "hill/tmax", "old/hill/pressure_9")
    assert [neighbour_of(name) for name in names] == ["", "", "hill", "old/hill"]
    assert [own_name(name) for name in names] == ["tmax", "pressure_9", "tmax", "pressure_9"]
    assert [quantity(name) for name in ("pressure_24", "next_wind", "hill/tmax")] == [None] * 3


@given(st.floats(-1000, 1000), st.sampled_from(UNITS))
def test_measured_values_are_converted_column_by_column(value, units):
    assert from_celsius(to_celsius(value, units), units) == pytest.approx(value, abs=1e-9)
    table = np.array([[value, NAN, 1.0]])
    expected = [[to_celsius(value, units), NAN, 1.0 if units == "metric" else 25.4]]
    np.testing.assert_allclose(measured_to_metric(table, units), expected)


def test_guidance_is_always_chosen_and_other_columns_by_name():
    available = ["date", *COLUMNS, "tmax_tomorrow", "next_wind", "guidance_spread", "guidance_gfs", "guidance"]
    assert chosen_columns(available, ()) == ("guidance", "guidance_gfs", "guidance_spread")
    assert chosen_columns(available, ["next_wind"]) == ("guidance", "guidance_gfs", "guidance_spread", "next_wind")
    with_all = ("guidance", "guidance_gfs", "guidance_spread", "next_wind", "tmax_tomorrow")
    assert chosen_columns(available, ["all"]) == chosen_columns(available, ["all", "next_wind"]) == with_all
    with pytest.raises(ColumnError, match=r"no column 'hail'; .* the record has: guidance, guidance_gfs, guidance_s"):
        chosen_columns(available, ["next_wind", "hail"])
    with pytest.raises(ColumnError, match=r"no column 'tmin'; .* the record has: none"):
        chosen_columns(COLUMNS, ["tmin"])


def test_a_spread_is_not_guidance():
    names = ("guidance", "guidance_a", "guidance_spread", "guidance_a_spread", "spread", "tmax", "wind_guidance")
    assert [name for name in names if is_guidance(name)] == ["guidance", "guidance_a"]
    assert [name for name in names if is_spread(name)] == ["guidance_spread", "guidance_a_spread"]


NEAR_THE_LIMITS = st.sampled_from([NAN, -90.1, -90, -0.1, 0, 10, 20, 57, 57.1, 1900, 1900.1, -9999])


@given(st.lists(st.tuples(*[NEAR_THE_LIMITS] * 6), min_size=1, max_size=8))
def test_impossible_values_are_outside_their_limits_or_tmin_above_tmax(rows):
    names = (*COLUMNS, "guidance", "guidance_spread", "next_wind")
    expected = set()
    for row, cells in enumerate(rows):
        outside = {
            name
            for name, value in zip(names, cells, strict=True)
            if value < column(name).limits[0] or value > column(name).limits[1]
        }
        if cells[TMIN] > cells[TMAX] and not outside & {"tmax", "tmin"}:
            expected |= {(row, name, "tmin above tmax") for name in ("tmax", "tmin")}
        reasons = {"rain": "outside 0 to 1900", "guidance_spread": "below 0"}
        expected |= {(row, name, reasons.get(name, "outside -90 to 57")) for name in outside}
    table = np.array(rows, dtype=float)
    further = dict(zip(names[3:], table[:, 3:].T, strict=True))
    found = list(impossible(table[:, :3], further))
    assert len(found) == len(expected)
    assert set(found) == expected


def test_a_new_quantity_is_one_row_of_the_table(tmp_path):
    """See soil.py: a process of its own, as the table is read on import."""
    command = [sys.executable, "-m", "tests.models.record.soil", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (0, "read, trained, saved, loaded, asked\n"), done.stderr
