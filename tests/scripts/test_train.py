"""`scripts.train`: what is printed, what is stored, and how failures are reported."""

import re

import msgspec
import numpy as np
import pytest

from app.readers import read_record
from app.store import Store
from models.recipe import GuidanceRecipe
from models.record.days import StationDays
from scripts.cli.options import QUICK
from tests.app.training.records import RECIPE, changeable_days, toml
from tests.processes import call_script
from tests.stations import ROOT, synthetic_days, write_csv


def champion(folder, station="hill"):
    """Return the state and the manifest of a champion."""
    store = Store(folder).station(station)
    return store.load(store.champion())


def test_scores_are_printed_to_stdout_and_progress_to_stderr(tmp_path, record):
    done = call_script("train", "--data", record, "--quick", "--store", tmp_path)
    assert done.returncode == 0, done.stderr
    _, manifest = champion(tmp_path)
    for name, scores in manifest.scores.items():
        assert re.search(rf"{name} +{scores.mae:.2f} +{scores.rmse:.2f} ", done.stdout)
    for text in ("80 % interval", "by season", "Dec-Feb", "calibration on the held-out days", "widening without rain"):
        assert text in done.stdout
    # One network is trained for the trial, and continued on all days for the final model.
    last_epochs = re.findall(r"network (\d)/2, epoch (\d)/\2, loss \d", done.stderr)
    assert last_epochs == [("1", "2"), ("2", "1")]
    version = Store(tmp_path).station("hill").champion()
    assert done.stderr.splitlines()[-1] == f"hill: {version} is the champion in {tmp_path}"


def test_a_terminal_shows_a_progress_bar(tmp_path, record, on_terminal):
    shown = on_terminal("train", "--data", record, "--quick", "--store", tmp_path, columns=120)
    assert "━" in shown
    assert "network 2/2, epoch 1/1" in shown
    assert Store(tmp_path).station("hill").champion() in shown


def test_the_recipe_is_followed_and_stored(tmp_path, record):
    (tmp_path / "recipe.toml").write_text('hidden = 5\nlayers = 2\nepochs = 1\nmembers = 1\ncell = "lstm"\n')
    done = call_script(
        "train", record, "--recipe", tmp_path / "recipe.toml", "--cell", "rnn", "--seed", 3, "--station", "dale",
        "--force", TMAX_STORE=str(tmp_path / "store"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    state, manifest = champion(tmp_path / "store", "dale")
    assert state["weights"]["member0.layer1.U"].shape == (5, 5)
    assert (manifest.recipe["layers"], manifest.recipe["cell"], manifest.seed) == (2, "rnn", 3)


def test_guidance_is_read_from_its_own_file(tmp_path, days):
    """Options override the recipe, --quick only what it names; the first forecast, for the first day, is not used."""
    days = days.part(0, 400)
    further = {"next_wind": np.arange(len(days)) % 7.0, "next_rain": np.arange(len(days)) % 5.0}
    record = write_csv(tmp_path / "hill.csv", StationDays(days.first, days.values, further))
    forecasts = (f"{days.dates[row]},{tmax + 1 + row % 3}\n" for row, tmax in enumerate(days.tmax))
    guidance = tmp_path / "forecasts.csv"
    guidance.write_text("valid,guidance\n" + "".join(forecasts))
    (tmp_path / "recipe.toml").write_text('columns = ["next_rain"]\n[guidance]\nhidden = 3\n')
    done = call_script(
        "train", record, "--guidance", guidance, "--columns", " Next_Wind ,guidance", "--quick",
        "--recipe", tmp_path / "recipe.toml", "--store", tmp_path / "store",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "hill: of 400 days known: guidance 399, next_wind 400\n" in done.stderr
    _, manifest = champion(tmp_path / "store")
    assert manifest.data_digest == read_record(record, columns=["next_wind"], guidance=guidance).digest
    assert manifest.recipe["columns"] == ["next_wind", "guidance"]
    assert manifest.recipe["guidance"] == {**msgspec.to_builtins(GuidanceRecipe()), **QUICK["guidance"], "hidden": 3}


def test_the_embedded_station_is_the_default_and_short_guidance_is_not_used_yet(tmp_path):
    dates = np.datetime64("2015-06-01") + np.arange(70)
    (tmp_path / "forecasts.csv").write_text("date,tmax\n" + "".join(f"{date},20\n" for date in dates))
    done = call_script("train", "--quick", "--guidance", tmp_path / "forecasts.csv", "--store", tmp_path / "store")
    assert done.returncode == 0, done.stderr
    assert "seattle: of 1461 days known: guidance 70\n" in done.stderr
    assert "seattle: guidance is not used yet: it needs 71 days with guidance, tmax, and tmax on the" in done.stderr
    assert "guidance" not in champion(tmp_path / "store", "seattle")[0]


def test_a_trained_station_beats_persistence_on_later_days(tmp_path, rows):
    """A real record, in degF and inches; three years train, the fourth is forecast from random initial weights."""
    days = read_record(ROOT / "tests" / "data" / "flint.csv").days
    us = StationDays(days.first, (days.values / [1, 1, 25.4] * [1.8, 1.8, 1] + [32, 32, 0]).round(2))
    n = 3 * 365
    (tmp_path / "recipe.toml").write_text(
        'initial_weights = "random"\nhidden = 8\nwindow = 14\nepochs = 12\nlearning_rate = 1e-2\n'
    )
    given = ("--units", "us", "--station", "flint", "--store", tmp_path / "store")
    first = write_csv(tmp_path / "first.csv", us.part(0, n))
    done = call_script("train", first, "--recipe", tmp_path / "recipe.toml", *given)
    assert done.returncode == 0, done.stderr
    last = write_csv(tmp_path / "last.csv", us.part(n - 60, len(us)))
    done = call_script("predict", "--data", last, "--every-day", *given)
    assert done.returncode == 0, done.stderr
    observed = dict(zip(us.dates.astype(str), us.tmax, strict=True))
    later = [row for row in rows(done.stdout) if row["issued"] >= str(us.dates[n - 1]) and row["date"] in observed]
    assert len(later) == len(us) - n
    truth = np.array([observed[row["date"]] for row in later])
    forecast, low, high = (np.array([float(row[name]) for row in later]) for name in ("tmax", "low_80", "high_80"))
    persistence = np.array([observed[row["issued"]] for row in later])
    assert np.abs(forecast - truth).mean() < 0.95 * np.abs(persistence - truth).mean()
    assert np.square(forecast - truth).mean() < 0.9 * np.square(persistence - truth).mean()
    assert 0.7 < ((low <= truth) & (truth <= high)).mean() < 0.9


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("--seed -1", 2, "is not in the range"),
        ("--units us", 2, "the embedded station is metric"),
        ("FOLDER/short.csv FOLDER/hill.csv --station hill", 2, "--station is one name for 2 records"),
        ("FOLDER/hill.csv FOLDER/Hill.csv", 2, "two records have the same station name"),
        ("--guidance FOLDER/window.toml", 1, "FOLDER/window.toml: "),
        ("--columns wind", 1, "data/seattle.csv: no column 'wind'; beside the known"),
        ("--station ../x", 1, "not a station name"),
        ("--data FOLDER/window.toml", 1, "FOLDER/window.toml: no table of days is known here"),
        (
            "--data FOLDER/short.csv",
            1,
            "short: too few usable days to train on: 93 of the 100 with tmax, at least 113 are",
        ),
        ("--recipe FOLDER/unknown.toml", 1, "unknown.toml: Object contains unknown field `hiden`"),
        ("--recipe FOLDER/wrong.toml", 1, "wrong.toml: Expected `int`, got `str` - at `$.hidden`"),
        ("--recipe FOLDER/broken.toml", 1, "broken.toml: "),
        ("--recipe FOLDER/window.toml", 1, "min_days (7) must not be more than window (5)"),
        ("--store /proc/nowhere --quick", 1, "/proc/nowhere"),
    ],
)
def test_failures_are_one_line_and_store_nothing(tmp_path, fails, arguments, status, message):
    for name, n in {"short": 100, "hill": 200, "Hill": 200}.items():
        write_csv(tmp_path / f"{name}.csv", synthetic_days(n))
    recipes = {"unknown": "hiden = 3", "wrong": "hidden = 'many'", "broken": "=", "window": "window = 5"}
    for name, text in recipes.items():
        (tmp_path / f"{name}.toml").write_text(f"{text}\n")
    given, message = (text.replace("FOLDER", str(tmp_path)) for text in (arguments, message))
    done = call_script("train", *given.split(), TMAX_STORE=str(tmp_path / "store"))
    fails(done, status, message)
    assert done.stdout == ""
    assert not list(tmp_path.glob("store/*/versions/*"))


def test_a_station_that_fails_stops_no_other(tmp_path, record):
    short = write_csv(tmp_path / "short.csv", synthetic_days(100))
    done = call_script("train", short, record, "--quick", "--store", tmp_path / "store")
    assert done.returncode == 1
    assert "Error: short: too few usable days to train on: 93 of the 100 with tmax, at least 113" in done.stderr
    assert Store(tmp_path / "store").stations() == ["hill"]


def test_a_model_that_loses_to_persistence_is_stored_and_promoted_only_by_force(tmp_path):
    """Two records and a recipe that trains hardly at all: one has so little persistence that this is enough."""
    slow = np.cumsum(np.random.default_rng(0).normal(0, 1, 600)) * 0.3 + 15
    days = StationDays(np.datetime64("2015-01-01"), np.column_stack([slow, slow - 8, np.zeros(600)]).round(1))
    files = write_csv(tmp_path / "slow.csv", days), write_csv(tmp_path / "hill.csv", changeable_days(600, seed=5))
    (tmp_path / "recipe.toml").write_text(toml(RECIPE))
    store, given = Store(tmp_path / "store"), ("--recipe", tmp_path / "recipe.toml")
    done = call_script("train", *files, *given, "--store", store.root)
    assert done.returncode == 1
    (version,) = store.station("slow").versions()
    scores = store.station("slow").manifest(version).scores
    assert (
        f"slow: {version} is stored, not promoted: no better than persistence on {scores['gru'].n} held-out days: CRPS "
        f"{scores['gru'].crps:.3f} against {scores['persistence'].crps:.3f} degC; --force promotes it\n"
    ) in done.stderr
    assert store.station("slow").champion_or_none() is None
    assert store.station("hill").champion()
    done = call_script("train", files[0], *given, "--force", "--store", store.root)
    assert done.returncode == 0, done.stderr
    assert store.station("slow").champion_or_none()


def test_a_record_that_lost_most_of_its_days_replaces_no_champion(tmp_path):
    store, file, days = Store(tmp_path / "store"), tmp_path / "hill.csv", changeable_days(1000, seed=5)
    (tmp_path / "recipe.toml").write_text(toml(RECIPE))
    for first, arguments, status in ((0, "", 0), (300, "", 0), (700, "", 1), (700, "--force", 0)):
        write_csv(file, days.part(first, len(days)))
        before = store.station("hill").champion_or_none()
        done = call_script(
            "train", file, "--recipe", tmp_path / "recipe.toml", "--store", store.root, *arguments.split()
        )
        assert done.returncode == status, done.stderr
        assert (store.station("hill").champion() == before) == (status == 1)
        lost = "lost most of the champion's days: 293 usable days (first to last: 300) instead of 693 (700); --force"
        assert (lost in done.stderr) == (status == 1)
