"""Lasting steps of tmax: found where they are planted, and not in a changing climate."""

import numpy as np
import pytest

from app.readers import read_record
from models.record.columns import TMAX
from models.record.days import StationDays
from models.record.quality.steps import lasting_step
from tests.models.record.quality.planted import LONG, NAN, planted
from tests.stations import RECORDS

# In 1978 the record of the folder TMAX_RECORDS continues elsewhere.
STEPS = {"sharjah_ae": "1978-01"}


def warmer(days, since, by):
    tmax = days.tmax + np.where(days.dates >= np.datetime64(since), by, 0.0)
    return planted((slice(None), TMAX, tmax), days=days)


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_real_records(record):
    step = lasting_step(read_record(record).days)
    assert (str(step.date.astype("M8[M]")) if step else None) == STEPS.get(record.stem)


@pytest.mark.parametrize("by", [3.0, -3.0])
def test_a_step_of_3_degrees_for_the_last_two_years_is_found(by):
    step = lasting_step(warmer(LONG, "2025-01-01", by))
    assert abs(step.date - np.datetime64("2025-01-01")) <= np.timedelta64(62, "D")
    assert abs(step.size - by) < 0.8
    side = "higher" if by > 0 else "lower"
    assert str(step) == (
        f"tmax has been {abs(step.size):.1f} degC {side} since {step.date.astype('M8[M]')}: has the station moved?"
    )


def test_a_warming_climate_is_no_step():
    century = StationDays(LONG.first, np.tile(LONG.values, (8, 1)))
    warming = np.linspace(0, 5, len(century))
    assert lasting_step(planted((slice(None), TMAX, century.tmax + warming), days=century)) is None
    assert lasting_step(warmer(century, "2060-01-01", 3.0)) is not None


def test_a_small_step_a_short_spell_and_few_months_give_none():
    assert lasting_step(warmer(LONG, "2025-01-01", 1.0)) is None
    assert lasting_step(warmer(LONG, "2026-08-01", 4.0)) is None
    assert lasting_step(LONG.part(0, 600)) is None
    assert lasting_step(planted((slice(None), TMAX, NAN))) is None
    assert lasting_step(planted((slice(None), TMAX, 20.0))) is None
