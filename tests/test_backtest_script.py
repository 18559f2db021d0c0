"""The backtest sees nothing of the future, and its command writes what it says."""

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.readers import read_record
from models.backtest import backtest, folds
from models.recipe import Recipe
from models.sequence import issue_rows
from models.station_days import StationDays
from models.verification import Scores, Verification
from scripts.backtest import as_csv
from scripts.backtest import backtest as command
from tests.conftest import ROOT, run_script, synthetic_days, write_csv

TINY = Recipe(members=1, hidden=4, epochs=1, window=7, min_days=3, start="random")
N_FOLDS, N_DAYS = 3, 50
DAYS = synthetic_days(500, seed=4)
FIRST = next(folds(DAYS, TINY, N_FOLDS, N_DAYS))[0]  # the first row that the training of the first fold does not see
FILES = ("r.html", "r.json", "r.csv")


def run(days):
    return backtest("hill", days, TINY, 0, N_FOLDS, N_DAYS)


@pytest.fixture(scope="module")
def untouched():
    return run(DAYS)


def warmer(future, _):
    return future + np.array([30.0, 20.0, 0.0])


def shuffled(future, rng):
    return rng.permutation(future)


def upside_down(future, _):
    return future * [-1.0, -1.0, 0.0] + [20.0, 5.0, 40.0]


def one_value(future, _):
    return np.zeros_like(future)


def unknown(future, rng):
    return np.where(rng.random(future.shape) < 0.5, np.nan, future)


def absurd(future, rng):
    return np.where(rng.random(future.shape) < 0.5, 56.9, -89.9) * [1.0, 1.0, 0.0] + [0.0, 0.0, 1899.0]


FUTURES = (warmer, shuffled, upside_down, one_value, unknown, absurd)


def tampered(row, future, seed=0):
    """The record with another ``future`` from ``row`` on."""
    values = DAYS.values.copy()
    values[row:] = future(values[row:], np.random.default_rng(seed))
    return StationDays(DAYS.first, values)


def assert_same_forecasts(other, untouched, row):
    """What was forecast before ``row`` was known is the same, bit by bit; if anything is not forecast, it came later.

    The forecast for ``row`` itself is compared too, where it was observed in both records.
    """
    before = untouched.part(untouched.issued < DAYS.dates[row])
    if other.issued[min(len(before.issued), len(other.issued)) - 1] != before.issued[-1]:
        before = before.part(slice(-1))
    same = other.part(slice(len(before.issued)))
    np.testing.assert_array_equal(same.issued, before.issued)
    assert list(same.quantiles) == ["gru", "persistence", "climatology"]
    for name, quantiles in before.quantiles.items():
        assert same.quantiles[name].tobytes() == quantiles.tobytes(), name


@pytest.mark.parametrize("fold", range(N_FOLDS))
@pytest.mark.parametrize("future", FUTURES)
def test_a_fold_learns_nothing_from_its_own_days(untouched, future, fold):
    """The first forecast of a fold is issued on the day before ``row``, by what was learned without any later row."""
    row = FIRST + fold * N_DAYS
    other = run(tampered(row, future))
    assert_same_forecasts(other, untouched, row)
    # What is changed does matter later on: all but the last fold are learned from again.
    if fold < N_FOLDS - 1:
        common, here, there = np.intersect1d(untouched.issued, other.issued, return_indices=True)
        later = common >= DAYS.dates[row + N_DAYS]
        for name in untouched.quantiles:
            assert (untouched.quantiles[name][here][later] != other.quantiles[name][there][later]).any(axis=1).all()


@settings(max_examples=25)
@given(st.integers(FIRST, len(DAYS) - 1), st.sampled_from(FUTURES), st.integers(0, 99))
@example(FIRST + N_DAYS - 1, warmer, 0)
@example(FIRST + N_DAYS + 1, warmer, 0)
@example(len(DAYS) - 1, warmer, 0)
def test_no_forecast_knows_a_day_after_it_was_issued(untouched, row, future, seed):
    assert_same_forecasts(run(tampered(row, future, seed)), untouched, row)


def test_the_folds_follow_each_other_and_begin_where_the_training_ends():
    found = list(folds(DAYS, TINY, N_FOLDS, N_DAYS))
    assert [end for end, _ in found] == [FIRST + fold * N_DAYS for fold in range(N_FOLDS)]
    every = FIRST - 1 + np.arange(N_FOLDS * N_DAYS)
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in found]), every)
    assert len(DAYS) - 2 == every[-1]


def test_a_backtest_made_earlier_said_the_same(untouched):
    earlier = backtest("hill", DAYS.part(0, len(DAYS) - N_DAYS), TINY, 0, N_FOLDS - 1, N_DAYS)
    part = untouched.part(slice((N_FOLDS - 1) * N_DAYS))
    np.testing.assert_array_equal(earlier.issued, part.issued)
    np.testing.assert_array_equal(earlier.observed, part.observed)
    for name, quantiles in part.quantiles.items():
        assert earlier.quantiles[name].tobytes() == quantiles.tobytes()


def with_holes(days):
    """A record with days on which nothing can be forecast, and days whose tmax is not known."""
    values = days.values.copy()
    values[-100:-80] = np.nan
    values[-50, 0] = np.nan
    return StationDays(days.first, values)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two stations, the second in US units, and a file of none between them; and what the command said of them."""
    folder = tmp_path_factory.mktemp("backtest")
    (folder / "tiny.toml").write_text(
        'members = 1\nhidden = 4\nepochs = 1\nwindow = 7\nmin_days = 3\nstart = "random"\n'
    )
    write_csv(folder / "hill.csv", with_holes(DAYS))
    (folder / "noise.csv").write_text("date,tmax\nyesterday,3\n")
    write_csv(folder / "dale.csv", synthetic_days(400, seed=5))
    done = run_script(
        "backtest", folder / "hill.csv", "--data", folder / "dale.csv", folder / "noise.csv",
        "--recipe", folder / "tiny.toml", "--folds", 2, "--days", 60, "--seed", 3,
        "--report", folder / "r.html", "--json", folder / "r.json", "--forecasts", folder / "r.csv",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    (folder / "out").write_text(done.stdout)
    (folder / "err").write_text(done.stderr)
    return folder


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def expected(folder, name):
    days = read_record(folder / f"{name}.csv").days
    return backtest(name, days, TINY, 3, 2, 60)


def test_a_bad_file_is_one_line_and_the_others_are_done(folder):
    told = (folder / "err").read_text()
    assert "Traceback" not in told
    errors = [line for line in told.splitlines() if line.startswith("Error")]
    assert errors == [f"Error: {folder / 'noise.csv'}: line 2: date 'yesterday' is not a date such as 2012-01-31"]
    assert [s["station"] for s in json.loads((folder / "r.json").read_text())["stations"]] == ["dale", "hill"]


def test_tables_go_to_standard_output_and_progress_to_standard_error(folder):
    printed, told = (folder / "out").read_text(), (folder / "err").read_text()
    for word in (
        "hill",
        "dale",
        "persistence",
        "climatology",
        "CRPS",
        "gru by season",
        "Dec-Feb",
        "gru at each station",
    ):
        assert word in printed
    # Two folds of one network each, which is trained again on all days.
    assert [line for line in told.splitlines() if line.startswith("hill: network")] == [
        line for n in (2, 4) for line in told.splitlines() if line.startswith(f"hill: network {n}/4, epoch 1/1, loss ")
    ]
    assert told.count("hill: network") == 2


@pytest.mark.parametrize("name", ["dale", "hill"])
def test_the_json_file_has_every_score(folder, name):
    results = json.loads((folder / "r.json").read_text())
    assert results["units"] == "degC"
    assert (results["seed"], results["fold_days"], results["recipe"]["hidden"]) == (3, 60, 4)
    assert list(results["failed"]) == [str(folder / "noise.csv")]
    verification = expected(folder, name)
    (result,) = (s for s in results["stations"] if s["station"] == name)
    assert result["model"] == "gru"
    assert result["n"] == len(verification.issued) == sum(fold["n"] for fold in result["folds"])
    valid = (verification.issued + 1).astype(str)
    assert result["tested"] == {"first": valid[0], "last": valid[-1]}
    assert (result["folds"][0]["first"], result["folds"][-1]["last"]) == (valid[0], valid[-1])
    assert len(result["folds"]) == 2
    assert list(result["scores"]) == ["gru", "persistence", "climatology"]
    assert_scores(result["scores"], verification)
    seasons = verification.seasons()
    assert list(result["scores_by_season"]) == list(seasons)
    for season, part in seasons.items():
        assert_scores(result["scores_by_season"][season], part)


def assert_scores(written, verification: Verification):
    for name, scores in verification.scores().items():
        assert list(written[name]) == list(Scores.__dataclass_fields__)
        for field, value in written[name].items():
            if field == "skill_guidance":
                assert value is getattr(scores, field) is None
            else:
                assert value == pytest.approx(getattr(scores, field), rel=1e-4, abs=1e-4), field


def test_the_csv_file_has_every_forecast_in_degrees_celsius(folder):
    rows = table(folder / "r.csv")
    assert list(rows[0]) == [
        "station", "issued", "date", "observed", "tmax", "low_80", "high_80", "low_90", "high_90",
        "persistence", "climatology",
    ]  # fmt: skip
    assert [row["station"] for row in rows] == sorted(row["station"] for row in rows)
    for name in ("dale", "hill"):
        v, mine = expected(folder, name), [row for row in rows if row["station"] == name]
        assert [row["issued"] for row in mine] == list(v.issued.astype(str))
        assert [row["date"] for row in mine] == list((v.issued + 1).astype(str))
        columns = {"observed": v.observed, "tmax": v.points["gru"]}
        columns |= {beside: v.points[beside] for beside in ("persistence", "climatology")}
        for level in (80, 90):
            columns[f"low_{level}"], columns[f"high_{level}"] = v.interval("gru", level / 100)
        for column, values in columns.items():
            np.testing.assert_allclose([float(row[column]) for row in mine], values, atol=0.0051)


def test_the_csv_file_has_the_same_columns_for_all_stations(untouched):
    """Those of guidance are there where any station has some, and empty for the others; else they are not."""
    part = untouched.part(slice(3))
    said = part.quantiles["climatology"] + 1.234
    guided = replace(part, station="vale", quantiles=part.quantiles | {"guidance": said, "emos": said - 1})
    plain, both = (list(csv.DictReader(io.StringIO(as_csv(parts)))) for parts in ([part], [part, guided]))
    assert list(plain[0])[-2:] == ["persistence", "climatology"]
    assert list(both[0])[-4:] == ["persistence", "climatology", "guidance", "emos"]
    assert [(row["station"], row["guidance"], row["emos"]) for row in both] == [
        *(("hill", "", "") for _ in range(3)),
        *(("vale", f"{point:.2f}", f"{point - 1:.2f}") for point in guided.points["guidance"]),
    ]
    for row, other in zip(plain, both, strict=False):
        assert row.items() <= other.items()


def test_days_that_cannot_be_forecast_are_left_out(folder):
    days = read_record(folder / "hill.csv").days
    issued = [row["issued"] for row in table(folder / "r.csv") if row["station"] == "hill"]
    first = next(folds(days, TINY, 2, 60))[0] - 1
    tested = range(first, first + 2 * 60)
    possible = set(issue_rows(days, TINY)) & {row for row in tested if not math.isnan(days.next_tmax[row])}
    assert issued == [str(days.dates[row]) for row in sorted(possible)]
    assert len(issued) < len(tested) - 20


def test_guidance_is_that_of_the_station_s_name(tmp_path, folder):
    """In a folder the files of other names, and the records themselves, are nobody's."""
    for name in ("dale", "hill"):
        (tmp_path / f"{name}.csv").write_bytes((folder / f"{name}.csv").read_bytes())
    days = read_record(tmp_path / "dale.csv").days
    said = {"time": [str(date) for date in days.dates], "temperature_2m_max": (days.tmax + 1.5).round(1).tolist()}
    units = {"time": "iso8601", "temperature_2m_max": "°C"}
    (tmp_path / "Dale.JSON").write_text(json.dumps({"daily_units": units, "daily": said}))
    (tmp_path / "vale.csv").write_text("date,guidance\nyesterday,3\n")
    (tmp_path / "hill.txt").write_text("date,guidance\nyesterday,3\n")
    done = run_script(
        "backtest", tmp_path / "hill.csv", tmp_path / "dale.csv", "--guidance", tmp_path,
        "--recipe", folder / "tiny.toml", "--quick", "--folds", 1, "--days", 40, "--json", tmp_path / "r.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    digests = {s["station"]: s["data_digest"] for s in json.loads((tmp_path / "r.json").read_text())["stations"]}
    assert digests == {
        "dale": read_record(tmp_path / "dale.csv", guidance=tmp_path / "Dale.JSON").digest,
        "hill": read_record(tmp_path / "hill.csv").digest,
    }


def test_the_report_is_a_page_of_both_stations(folder):
    page = (folder / "r.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert '<section id="station-2">\n<h2>hill</h2>' in page


def test_us_units_are_for_the_door_alone(tmp_path, folder):
    """The same weather in degF makes the same forecasts in degC, but for what rounding to tenths makes of them."""
    days = synthetic_days(400, seed=5)
    us = StationDays(days.first, np.column_stack([days.values[:, :2] * 1.8 + 32, days.values[:, 2] / 25.4]))
    write_csv(tmp_path / "dale.csv", us)
    done = run_script(
        "backtest", "--data", tmp_path / "dale.csv", "--units", "us", "--recipe", folder / "tiny.toml",
        "--folds", 2, "--days", 60, "--seed", 3, "--forecasts", tmp_path / "r.csv",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    metric = [row for row in table(folder / "r.csv") if row["station"] == "dale"]
    for row, other in zip(table(tmp_path / "r.csv"), metric, strict=True):
        assert row["issued"] == other["issued"]
        assert float(row["observed"]) == pytest.approx(float(other["observed"]), abs=0.011)
        assert float(row["climatology"]) == pytest.approx(float(other["climatology"]), abs=0.1)


def test_what_was_done_is_kept_if_the_last_station_fails(tmp_path, folder):
    write_csv(tmp_path / "short.csv", DAYS.part(0, 130))
    for name in FILES:
        (tmp_path / name).write_text("of the last time")
    (tmp_path / "hill.csv").write_bytes((folder / "dale.csv").read_bytes())
    written = ["--report", tmp_path / "r.html", "--json", tmp_path / "r.json", "--forecasts", tmp_path / "r.csv"]
    chosen = ["--recipe", folder / "tiny.toml", "--folds", 2, "--days", 60]
    done = run_script("backtest", tmp_path / "short.csv", *chosen, *written)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == (
        f"Error: {tmp_path / 'short.csv'}: 130 days are too few for 2 folds of 60 days: "
        "fewer or shorter folds leave more to train on"
    )
    assert {(tmp_path / name).read_text() for name in FILES} == {"of the last time"}
    again = [tmp_path / "hill.csv", folder / "hill.csv", tmp_path / "short.csv"]
    done = run_script("backtest", *again, *chosen, *written)
    assert done.returncode == 1, done.stderr
    assert f"Error: {folder / 'hill.csv'}: another file is of a station named hill too" in done.stderr
    assert "Error: " + str(tmp_path / "short.csv") in done.stderr
    results = json.loads((tmp_path / "r.json").read_text())
    assert [s["station"] for s in results["stations"]] == ["hill"]
    assert list(results["failed"]) == [str(path) for path in again[1:]]
    assert {row["station"] for row in table(tmp_path / "r.csv")} == {"hill"}
    assert "<h2>hill</h2>" in (tmp_path / "r.html").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "hill.csv", "short.csv"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no record is named"),
        (["nowhere.csv"], "does not exist"),
        (["pyproject.toml", "--folds", "0"], "is not in the range"),
        (["pyproject.toml", "--days", "0"], "is not in the range"),
        (["pyproject.toml", "--json", "FOLDER/none/r.json"], "No such file or directory: FOLDER/none"),
        (["pyproject.toml", "--report", "FOLDER"], "FOLDER is not a file that can be replaced"),
        (["pyproject.toml", "--json", "FOLDER/r", "--report", "FOLDER/r"], "must be another"),
        (["FOLDER/r", "--forecasts", "FOLDER/../FOLDER_NAME/r"], "none of the records"),
        (["pyproject.toml", "--cell", "perceptron"], "is not one of"),
        (["pyproject.toml", "FOLDER/r", "--guidance", "FOLDER/f.csv"], "one file for 2 stations: name a folder"),
        (["FOLDER/r", "--guidance", "FOLDER/../FOLDER_NAME/r"], "--guidance is the record itself"),
        (["FOLDER/x", "--guidance", "FOLDER"], "no file in FOLDER has the name of a station, such as x.csv or .json"),
        (["FOLDER/f", "--guidance", "FOLDER", "--json", "FOLDER/f.csv"], "none of the records or their guidance"),
        (["FOLDER/two", "--guidance", "FOLDER"], "two.csv and FOLDER/two.json are both of station two"),
    ],
)
def test_wrong_usage_is_told_before_the_work_begins(tmp_path, arguments, message):
    for name in ("r", "x", "f", "f.csv", "two", "two.csv", "two.json"):
        (tmp_path / name).write_text("date,tmax\n")
    names = {"FOLDER_NAME": tmp_path.name, "FOLDER": str(tmp_path), "pyproject.toml": str(ROOT / "pyproject.toml")}
    for key, value in names.items():
        arguments, message = [a.replace(key, value) for a in arguments], message.replace(key, value)
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 2, done.output
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    assert message in last
