"""`scripts.backtest`: the JSON, CSV and HTML files, the tables, and how failures are reported."""

import json
import re
from itertools import pairwise
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from app.readers import read_record
from models.forecast.setup import Setup
from models.recipe import Recipe
from models.record.days import ONE_DAY, StationDays
from models.verification.backtest import backtest
from tests.processes import call_script, run_script
from tests.stations import ROOT, synthetic_days, write_csv

SEED, FOLDS, DAYS = 3, 2, 60
TINY = 'members = 1\nhidden = 4\nepochs = 1\nrefit_epochs = 2\nwindow = 7\nmin_days = 3\ninitial_weights = "random"\n'
RECIPE = msgspec.toml.decode(TINY, type=Recipe)
ENDS = ["low_80", "high_80", "low_90", "high_90"]
COLUMNS = ["station", "issued", "date", "observed", "tmax", *ENDS, "persistence", "climatology"]
FILES = ("r.html", "r.json", "r.csv")


def options(folder):
    """Return the options of a short backtest that writes all files to a folder."""
    (folder / "tiny.toml").write_text(TINY)
    html, json_, csv = (folder / name for name in FILES)
    chosen = ("--recipe", folder / "tiny.toml", "--folds", FOLDS, "--days", DAYS, "--seed", SEED)
    return [*chosen, "--report", html, "--json", json_, "--forecasts", csv]


@pytest.fixture(scope="module")
def done(tmp_path_factory, rows):
    """A backtest of two stations, the first with gaps, and of a file that is no record; and what it should give."""
    folder = tmp_path_factory.mktemp("backtest")
    days = synthetic_days(500, seed=4)
    days.values[-100:-80] = np.nan
    days.values[-50, 0] = np.nan
    write_csv(folder / "hill.csv", days)
    (folder / "noise.csv").write_text("date,tmax\nyesterday,3\n")
    write_csv(folder / "dale.csv", synthetic_days(400, seed=5))
    command = ["backtest", folder / "hill.csv", "--data", folder / "dale.csv", folder / "noise.csv"]
    records = [read_record(folder / f"{name}.csv") for name in ("dale", "hill")]  # --data comes first
    return SimpleNamespace(
        folder=folder,
        process=call_script(*command, *options(folder)),
        json=json.loads((folder / "r.json").read_text()),
        csv=rows((folder / "r.csv").read_text()),
        records=records,
        comparisons=[backtest(r.station, r.days, Setup(RECIPE, SEED), FOLDS, DAYS) for r in records],
    )


def test_a_file_that_cannot_be_read_is_reported_and_skipped(done):
    assert done.process.returncode == 1
    noise, reason = done.folder / "noise.csv", "line 2: date 'yesterday' is not a date such as 2012-01-31"
    assert [line for line in done.process.stderr.splitlines() if "Error" in line] == [f"Error: {noise}: {reason}"]
    assert done.json["failed"] == {str(noise): reason}
    page = (done.folder / "r.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert re.findall("<h2>(dale|hill)</h2>", page) == ["dale", "hill"]


def test_tables_go_to_stdout_and_progress_to_stderr(done):
    headings = ("hill: next-day", "dale: next-day", "gru by season", "gru by station")
    for text in (*headings, "persistence", "climatology", "CRPS", "Dec-Feb"):
        assert text in done.process.stdout
    # Two folds of one network each, which is continued on all days: a line per fold.
    progress = [line for line in done.process.stderr.splitlines() if line.startswith("hill: network")]
    assert [line.partition(", loss ")[0] for line in progress] == [f"hill: network {n}/4, epoch 2/2" for n in (2, 4)]


def test_the_json_file_holds_every_score_and_its_origin(done):
    found = done.json
    assert (found["units"], found["seed"], found["fold_days"]) == ("degC", SEED, DAYS)
    assert found["recipe"] == msgspec.to_builtins(RECIPE)
    for station, record, comparison in zip(found["stations"], done.records, done.comparisons, strict=True):
        valid = (comparison.issued + ONE_DAY).astype(str)
        starts = record.days.last + ONE_DAY * (1 - DAYS * np.arange(FOLDS, -1, -1))
        ends = np.searchsorted(valid, starts.astype(str))
        folds = [{"first": valid[a], "last": valid[b - 1], "n": b - a} for a, b in pairwise(ends)]
        assert station == {
            "station": record.station,
            "model": "gru",
            "data_digest": record.digest,
            "n": len(valid),
            "tested": {"first": valid[0], "last": valid[-1]},
            "folds": folds,
            "scores": msgspec.to_builtins(comparison.scores()),
            "scores_by_season": msgspec.to_builtins(comparison.scores_by_season()),
        }


def test_the_csv_file_holds_every_forecast(done):
    assert list(done.csv[0]) == COLUMNS
    expected = []
    for c in done.comparisons:
        low_80, high_80, low_90, high_90 = *c.interval("gru", 0.8), *c.interval("gru", 0.9)
        numbers = (c.observed, c.points["gru"], low_80, high_80, low_90, high_90)
        columns = np.column_stack([*numbers, c.points["persistence"], c.points["climatology"]])
        expected += [
            [c.station, str(issued), str(issued + ONE_DAY), *(f"{value:.2f}" for value in values)]
            for issued, values in zip(c.issued, columns, strict=True)
        ]
    assert [[*row.values()] for row in done.csv] == expected


def test_guidance_is_read_from_the_file_named_after_the_station(tmp_path, rows):
    """Records in us units; other files in the folder, and the records themselves, are no guidance."""
    days = synthetic_days(400, seed=5)
    us = StationDays(days.first, (days.values / [1, 1, 25.4] * [1.8, 1.8, 1] + [32, 32, 0]).round(2))
    hill, dale = (write_csv(tmp_path / f"{name}.csv", us) for name in ("hill", "dale"))
    daily = {"time": [str(date) for date in days.dates], "temperature_2m_max": (days.tmax + 1.5).round(1).tolist()}
    units = {"time": "iso8601", "temperature_2m_max": "°C"}
    (tmp_path / "Dale.JSON").write_text(json.dumps({"daily_units": units, "daily": daily}))
    for other in ("vale.csv", "hill.txt"):
        (tmp_path / other).write_text("date,guidance\nyesterday,3\n")
    given = ("--guidance", tmp_path, "--units", "us", *options(tmp_path), "--folds", 1, "--quick")
    process = call_script("backtest", hill, dale, *given)
    assert process.returncode == 0, process.stderr
    assert [station["data_digest"] for station in json.loads((tmp_path / "r.json").read_text())["stations"]] == [
        read_record(hill, units="us").digest,
        read_record(dale, units="us", guidance=tmp_path / "Dale.JSON").digest,
    ]
    found = rows((tmp_path / "r.csv").read_text())
    assert list(found[0]) == [*COLUMNS, "guidance", "emos"]
    observed = dict(zip(days.dates.astype(str), days.tmax, strict=True))
    for row in found:
        assert float(row["observed"]) == pytest.approx(observed[row["date"]], abs=0.011)
        guided = row["station"] == "dale"
        assert row["guidance"] == (f"{observed[row['date']] + 1.5:.2f}" if guided else "")
        assert bool(row["emos"]) == guided


def test_failed_stations_leave_the_results_of_the_others(tmp_path, done, rows):
    """A real process; where all stations fail, the files of an earlier backtest stay."""
    short, again = write_csv(tmp_path / "short.csv", synthetic_days(130)), done.folder / "hill.csv"
    first = tmp_path / "hill.csv"
    first.write_bytes((done.folder / "dale.csv").read_bytes())
    for name in FILES:
        (tmp_path / name).write_text("earlier")
    too_short = f"Error: {short}: 130 days are too few for 2 folds of 60 days: use fewer or shorter folds"
    process = run_script("backtest", short, *options(tmp_path))
    told = "short: read as csv: tmax, tmin, rain"
    assert (process.returncode, process.stdout, process.stderr) == (1, "", f"{told}\n{too_short}\n")
    assert {(tmp_path / name).read_text() for name in FILES} == {"earlier"}
    process = call_script("backtest", first, again, short, *options(tmp_path))
    assert process.returncode == 1
    same_name = f"Error: {again}: another file is also of station 'hill': keep one, or rename one"
    assert [line for line in process.stderr.splitlines() if "Error" in line] == [same_name, too_short]
    found = json.loads((tmp_path / "r.json").read_text())
    assert [station["station"] for station in found["stations"]] == ["hill"]
    assert list(found["failed"]) == [str(again), str(short)]
    assert {row["station"] for row in rows((tmp_path / "r.csv").read_text())} == {"hill"}
    assert "<h2>hill</h2>" in (tmp_path / "r.html").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "hill.csv", "short.csv", "tiny.toml"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "no record given: name at least one FILE"),
        ("nowhere.csv", "does not exist"),
        ("pyproject.toml --folds 0", "is not in the range"),
        ("pyproject.toml --days 0", "is not in the range"),
        ("pyproject.toml --cell perceptron", "is not one of"),
        ("pyproject.toml --json FOLDER/none/r.json", "cannot be written: No such file or directory: FOLDER/none"),
        ("pyproject.toml --report FOLDER", "FOLDER is not a regular file"),
        ("pyproject.toml --json FOLDER/r --report FOLDER/r", "two outputs would be written to"),
        ("FOLDER/r --forecasts FOLDER/../FOLDER_NAME/r", "an output would overwrite the input"),
        ("FOLDER/f --guidance FOLDER --json FOLDER/f.csv", "f.csv: name another file"),
        ("pyproject.toml FOLDER/r --guidance FOLDER/f.csv", "--guidance is one file for 2 stations: give a folder"),
        ("FOLDER/r --guidance FOLDER/../FOLDER_NAME/r", "--guidance is the record itself"),
        ("FOLDER/x --guidance FOLDER", "--guidance is the folder of the records"),
        ("pyproject.toml --guidance FOLDER", "no file in FOLDER is named after a station, such as pyproject.csv or"),
        ("FOLDER/two --guidance FOLDER", "two.csv and FOLDER/two.json are both for station two"),
    ],
)
def test_wrong_usage_is_reported_before_the_work_begins(tmp_path, fails, arguments, message):
    for name in ("r", "x", "f", "f.csv", "two", "two.csv", "two.json"):
        (tmp_path / name).write_text("date,tmax\n")
    names = {"FOLDER_NAME": tmp_path.name, "FOLDER": str(tmp_path), "pyproject.toml": str(ROOT / "pyproject.toml")}
    for key, value in names.items():
        arguments, message = arguments.replace(key, value), message.replace(key, value)
    fails(call_script("backtest", *arguments.split()), 2, message)
