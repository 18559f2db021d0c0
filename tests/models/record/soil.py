"""Add soil suction to the table of columns as one more row; then read, train, save, load and forecast.

Run by test_columns.py as ``python -m tests.models.record.soil FOLDER``.
"""
# ruff: noqa: E402  # the row is added before anything imports the table

import importlib.util
import sys
from pathlib import Path

ROW = '    Column("rain", DEPTH, (0.0, 1900.0), "log1p", "mean"),\n'
ADDED = '    Column("soil", Dimension("kPa", "psi", lambda psi: psi * 6.89476), (0.0, 200.0)),\n'

spec = importlib.util.find_spec("models.record.columns")
source = Path(spec.origin).read_text()
assert source.count(ROW) == 1
columns = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = columns
exec(compile(source.replace(ROW, ROW + ADDED), spec.origin, "exec"), vars(columns))

import msgspec
import numpy as np

from app.readers import read_record
from app.serving.answer import answer
from app.serving.champions import Champions
from app.store import Store
from app.training.pretrained import pretrained_weights
from app.training.train import train_station
from models.forecast.features import GROUPS
from models.recipe import Recipe
from models.record.columns import COLUMNS, MEASURED
from models.record.days import StationDays
from tests.stations import QUICK, guided_days, observations, write_csv

SOIL = COLUMNS.index("soil")


def station_days():
    """A station where soil suction is high on the day before a warmer one; one value is impossible, one missing."""
    days = guided_days(400, spread=False, wind=False)
    soil = 100 + 2 * np.nan_to_num(days.next_tmax - days.tmax)
    soil[[50, 60]] = 1500, np.nan
    return StationDays(days.first, np.column_stack([days.values, soil.round(1)]), days.further)


def body(days, guidance=None, units="metric", **replaced):
    """Return a question of the last 14 days; of the last day, some values are ``replaced``."""
    asked = observations(days)
    asked[-1] |= replaced
    content = {"observations": asked, "units": units} | ({} if guidance is None else {"guidance": guidance})
    return msgspec.json.encode(content)


def in_us_units(days):
    tmax, tmin, rain, soil = days.values.T
    return StationDays(days.first, np.column_stack([tmax * 1.8 + 32, tmin * 1.8 + 32, rain / 25.4, soil / 6.89476]))


def main(folder):
    record = read_record(write_csv(folder / "hill.csv", station_days()))
    days = record.days
    assert [(s.column, s.value, s.reason) for s in record.set_aside] == [("soil", 1500, "outside 0 to 200")]
    training = train_station("hill", record, QUICK)
    model = training.model
    assert COLUMNS == ("tmax", "tmin", "rain", "soil")
    assert model.station_only.columns == COLUMNS
    assert model.columns == (*COLUMNS, "guidance")
    assert training.manifest.units["soil"] == MEASURED[SOIL].unit("metric") == "kPa"
    widening = model.station_only.calibration.widening
    assert widening.shape == (4 + len(GROUPS), 2)
    assert widening[SOIL].all()

    store = Store(folder / "store")
    training.promote_in(store, "test")
    champions = Champions(store)
    plain = StationDays(days.first, days.values)
    latest = np.where(days.dates == days.last, days.further["guidance"], np.nan)
    guided = StationDays(days.first, days.values, {"guidance": latest})
    for given, expected in ((float(latest[-1]), model.predict(guided)), (None, model.predict(plain))):
        found = answer(champions, body(plain, given))
        assert (found.tmax, [interval.low for interval in found.intervals]) == (
            round(expected.tmax, 2),
            [round(expected.interval(level)[0], 2) for level in (0.8, 0.9)],
        )
        assert not [flag for flag in found.flags if "soil" in flag]
        low = answer(champions, body(plain, given, soil=60.0))
        assert (low.tmax, low.input_digest) != (found.tmax, found.input_digest)
        unknown = answer(champions, body(plain, given, soil=None))
        assert f"filled {days.last} soil" in unknown.flags

    us = answer(champions, body(in_us_units(plain), units="us"))
    assert abs(us.tmax - (model.predict(plain).tmax * 1.8 + 32)) < 0.01
    impossible = answer(champions, body(plain, soil=-29.9))
    assert impossible.flags[0] == f"set aside {days.last} soil -29.9: not a possible value"
    assert impossible.tmax == unknown.tmax
    # The pretrained weights know three columns: the default recipe begins with random ones.
    assert pretrained_weights(Recipe()) == (None, None)
    print("read, trained, saved, loaded, asked")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
