"""Spells in another unit within a record: found in real records at any time of year, and in none without them."""

import numpy as np
import pytest

from app.readers import read_record
from models.record.columns import POSSIBLE_TEMPERATURES, TMAX, TMIN, from_celsius, to_celsius
from models.record.quality import set_aside_suspect
from models.record.quality.units import spells
from tests.models.record.quality.planted import planted
from tests.stations import RECORDS, ROOT

FLINT, VALDEZ, OAKLAND = (
    read_record(ROOT / "tests" / "data" / f"{name}.csv").days for name in ("flint", "valdez", "oakland")
)
BOTH = [TMAX, TMIN]


def degf(temperatures):
    """degC as degF; what is impossible then has been set aside by the reader."""
    wrong = from_celsius(temperatures, "us")
    return np.where(wrong > POSSIBLE_TEMPERATURES[1], np.nan, wrong)


def degc(temperatures):
    """degC as if it were degF."""
    return to_celsius(temperatures, "us")


def with_spell(days, start, n, convert):
    rows = slice(start, start + n)
    return planted((rows, BOTH, convert(days.values[rows, BOTH])), days=days)


def row_of(days, date):
    return int((np.datetime64(date) - days.first).astype(int))


def found_days(days):
    """The rows of all findings, and how many there are of each column."""
    findings = spells(days.dates, days.values)
    rows = {int(row) for finding in findings for row in finding.rows}
    return rows, [sum(f.column == column for f in findings) for column in BOTH]


@pytest.mark.parametrize("n", [21, 59, 180])
@pytest.mark.parametrize(
    ("date", "convert", "name"),
    [
        ("2012-12-28", degf, "degF read as degC"),
        ("2013-04-01", degf, "degF read as degC"),
        ("2014-07-05", degf, "degF read as degC"),
        ("2013-04-01", degc, "degC read as degF"),
        ("2014-07-05", degc, "degC read as degF"),
    ],
)
def test_a_spell_is_found_in_winter_and_in_summer(date, n, convert, name):
    start = row_of(FLINT, date)
    wrong = with_spell(FLINT, start, n, convert)
    planted_rows = {r for r in range(start, start + n) if np.isfinite(wrong.values[r, BOTH]).any()}
    rows, counts = found_days(wrong)
    assert counts in ([1, 1], [0, 1])  # in summer, tmax in degF is impossible and already set aside
    assert len(rows & planted_rows) >= 0.95 * len(planted_rows)
    assert len(rows - planted_rows) <= 8
    (reason,) = {finding.reason for finding in spells(wrong.dates, wrong.values)}
    assert reason.startswith(f"looks like {name} from ")
    assert reason.endswith(": only converted it fits the rest of the record")


@pytest.mark.parametrize("days", [FLINT, VALDEZ, OAKLAND, FLINT.part(0, 365), VALDEZ.part(200, 350)])
@pytest.mark.parametrize("convert", [degf, degc])
def test_half_of_a_record_is_found(days, convert):
    half = len(days) // 2
    wrong = with_spell(days, half, len(days) - half, convert)
    rows, _ = found_days(wrong)
    planted_rows = {r for r in range(half, len(days)) if np.isfinite(wrong.values[r, BOTH]).any()}
    assert len(rows & planted_rows) >= 0.9 * len(planted_rows)
    assert len(rows - planted_rows) <= 8


@pytest.mark.parametrize("start", range(0, 1400, 100))
def test_a_week_in_degf_is_set_aside_by_this_check_or_the_next(start):
    kept, _ = set_aside_suspect(with_spell(OAKLAND, start, 7, degf))
    clean, _ = set_aside_suspect(OAKLAND)
    left = np.isfinite(kept.values[start : start + 7, BOTH]).sum()
    assert left <= 0.2 * np.isfinite(clean.values[start : start + 7, BOTH]).sum()


def test_two_spells_are_two_findings_and_missing_days_interrupt_none():
    wrong = with_spell(with_spell(FLINT, 100, 40, degf), 1060, 20, degf)
    wrong = planted((slice(110, 115), BOTH, np.nan), days=wrong)
    rows, counts = found_days(wrong)
    assert counts == [2, 2]
    assert len(rows) >= 52


def test_a_spell_across_the_end_of_the_year_is_set_aside():
    start = row_of(FLINT, "2012-12-28")
    kept, listed = set_aside_suspect(with_spell(FLINT, start, 7, degf))
    assert np.isnan(kept.values[start : start + 7, BOTH]).all()
    assert [s.column for s in listed] == ["tmax", "tmin"]


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_real_heat_and_cold_are_not_found(record):
    days, rng = read_record(record).days, np.random.default_rng(1)
    assert not spells(days.dates, days.values)
    for n in (182, 365, 1095):
        for start in rng.integers(0, max(1, len(days) - n), 4):
            part = days.part(int(start), int(start) + n)
            assert not spells(part.dates, part.values), part.first
