"""The start that is learned from many stations: what it is made of, where it is written, and how it is loaded."""

import re

import numpy as np
import pytest
from click.testing import CliRunner

from app.starts import start_for, start_name
from models.backtest import learn
from models.recipe import Recipe
from models.station_days import StationDays
from scripts.pretrain import earlier_days
from scripts.pretrain import pretrain as command
from tests.conftest import run_script, synthetic_days, write_csv

RECIPE = Recipe(members=2, hidden=4, window=7, min_days=3)
TOML = "members = 2\nhidden = 4\nwindow = 7\nmin_days = 3\n"
CHOSEN = ("--epochs", 1, "--years", 1.5)
SHARE = 0.8


def stations(folder, later=0.0):
    """Write two records of different length; ``later`` is added to all days that are not to be looked at."""
    for seed, n in enumerate((700, 400)):
        days = synthetic_days(n, seed=seed, first=f"201{seed}-03-01")
        span = min(n, round(1.5 * 365.25))
        cut = n - span + int(SHARE * span)
        days.values[cut:] += later
        write_csv(folder / f"station{seed}.csv", days)
    (folder / "recipe.toml").write_text(TOML)


def pretrain(folder, out, *more):
    done = run_script(
        "pretrain", folder / "station0.csv", folder / "station1.csv", "--recipe", folder / "recipe.toml",
        "--share", SHARE, *CHOSEN, "--out", out, *more,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrain")
    stations(folder)
    (folder / "told").write_text(pretrain(folder, folder / start_name(RECIPE)))
    return folder


def test_the_file_holds_the_weights_of_each_network(folder):
    with np.load(folder / "start-gru-4.npz", allow_pickle=False) as arrays:
        assert {name.partition(".")[0] for name in arrays.files} == {"member0", "member1"}
        assert {arrays[name].dtype for name in arrays.files} == {np.dtype(np.float32)}
        assert all(np.isfinite(arrays[name]).all() for name in arrays.files)
        assert (arrays["member0.head.W"] != arrays["member1.head.W"]).all()


def test_it_is_told_which_days_were_seen(folder):
    told = (folder / "told").read_text()
    first, second = re.findall(r"station\d\.csv: (\d+) days of (\S+) to (\S+)", told)
    # The second record is shorter than a year and a half.
    assert first[1:] == tuple(str(np.datetime64("2010-03-01") + day) for day in (700 - 548, 700 - 548 + 438 - 1))
    assert second[1:] == tuple(str(np.datetime64("2011-03-01") + day) for day in (0, 320 - 1))
    assert "network 2/2, epoch 1/1" in told
    assert f"learned from {int(first[0]) + int(second[0])} days" in told
    assert "data/start-gru-4.npz" in told


def test_training_begins_there(folder):
    start = start_for(RECIPE, folder)
    assert len(start) == 2
    days = synthetic_days(300, seed=7)
    recipe = Recipe(**{name: getattr(RECIPE, name) for name in RECIPE.__struct_fields__} | {"epochs": 1})
    begun = learn("hill", days, recipe, start=start).forecaster
    for member, parameters in enumerate(start):
        mine = {name: value for name, value in begun.weights.items() if name.startswith(f"member{member}.")}
        assert {name: value.shape for name, value in mine.items()} == {
            f"member{member}.{name}": value.shape for name, value in parameters.items()
        }
        # A few steps from there, and far from where a random draw begins.
        for name, value in parameters.items():
            if name.endswith("W"):
                assert 0 < np.abs(mine[f"member{member}.{name}"] - value).max() < 0.1


def test_more_networks_than_there_are_begin_where_others_do(folder):
    recipe = Recipe(members=3, hidden=4, window=7, min_days=3)
    first, _, third = start_for(recipe, folder)
    assert all(np.array_equal(first[name], third[name]) for name in first)


@pytest.mark.parametrize("other", [{"hidden": 5}, {"cell": "lstm"}, {"layers": 2}, {"start": "random"}])
def test_networks_of_another_kind_begin_at_random(folder, other):
    assert start_for(Recipe(**{"hidden": 4, "window": 7, "min_days": 3} | other), folder) == []


def test_the_same_seed_makes_the_same_bytes_and_later_days_do_not_matter(folder, tmp_path):
    stations(tmp_path, later=3.0)
    pretrain(tmp_path, tmp_path / "again.npz", "--seed", 0)
    assert (tmp_path / "again.npz").read_bytes() == (folder / "start-gru-4.npz").read_bytes()


def test_another_seed_or_share_makes_another_start(folder, tmp_path):
    written = (folder / "start-gru-4.npz").read_bytes()
    for more in (("--seed", 1), ("--share", 0.85)):
        pretrain(folder, tmp_path / "other.npz", *more)
        assert (tmp_path / "other.npz").read_bytes() != written


def test_the_earlier_days_are_a_share_by_calendar_and_by_observation():
    days = synthetic_days(1000)
    assert len(earlier_days(days, 30, 0.85)) == 850
    assert len(earlier_days(days, 30, 1.0)) == 1000
    recent = earlier_days(days, 1, 0.85)
    assert (recent.first, len(recent)) == (days.dates[-365], int(0.85 * 365))
    for absent, n in ((slice(0, 400), 850), (slice(700, 950), 637)):
        values = days.values.copy()
        values[absent] = np.nan
        assert len(earlier_days(StationDays(days.first, values), 30, 0.85)) == n


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "FOLDER/x.npz"], "no record is named"),
        (["FOLDER/station0.csv"], "Missing option '--out'"),
        (["FOLDER/station0.csv", "--out", "FOLDER/none/x.npz"], "No such file or directory"),
        (["FOLDER/station0.csv", "--out", "FOLDER/x.npz", "--share", "1.1"], "is not in the range"),
        (["FOLDER/station0.csv", "--out", "FOLDER/x.npz", "--recipe", "FOLDER/two.toml"], "begin at random"),
        (["FOLDER/station0.csv", "--out", "FOLDER/station0.csv"], "--out is one of the records"),
    ],
)
def test_wrong_usage_is_told(folder, arguments, message):
    (folder / "two.toml").write_text("layers = 2\n")
    done = CliRunner().invoke(command, [a.replace("FOLDER", str(folder)) for a in arguments])
    assert done.exit_code == 2, done.output
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    assert message in last
    assert not (folder / "x.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["station0.csv", "short.csv"], "short.csv: 0 usable days are too few: at least 120 are needed"),
        (["recipe.toml"], "recipe.toml: line 1 must name"),
    ],
)
def test_what_goes_wrong_is_one_line_and_no_file(folder, arguments, message):
    (folder / "short.csv").write_text("date,tmax\n2001-01-01,3\n")
    done = run_script("pretrain", *(folder / name for name in arguments), "--out", folder / "x.npz")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    assert message in last
    assert not (folder / "x.npz").exists()
