"""`scripts.pretrain`: which days train the weights, where they are written, and that they can be loaded."""

import re

import numpy as np
import pytest

from app.training.pretrained import pretrained_file, pretrained_weights
from models.recipe import Recipe
from models.record.days import StationDays
from scripts.pretrain import earlier_days
from tests.processes import call_script
from tests.stations import synthetic_days, write_csv

RECIPE = Recipe(members=2, hidden=4, window=7, min_days=3)
YEARS, SHARE = 1.5, 0.8


def write_stations(folder, later=0.0):
    """Write a recipe and two records of different length; ``later`` is added to all days that are not to be used."""
    for seed, n in enumerate((700, 400)):
        days = synthetic_days(n, seed=seed, first=f"201{seed}-03-01")
        span = min(n, round(YEARS * 365.25))
        days.values[n - span + int(SHARE * span) :] += later
        if not seed:
            days.further["pressure"] = 1013 + np.random.default_rng(1).normal(0, 8, n).round(1)
        write_csv(folder / f"station{seed}.csv", days)
    (folder / "recipe.toml").write_text("members = 2\nhidden = 4\nwindow = 7\nmin_days = 3\n")


def pretrain(folder, out, *more):
    done = call_script(
        "pretrain", folder / "station0.csv", folder / "station1.csv", "--recipe", folder / "recipe.toml",
        "--share", SHARE, "--epochs", 1, "--years", YEARS, "--out", out, *more,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder of the records and the written weights, and what was printed."""
    folder = tmp_path_factory.mktemp("pretrain")
    write_stations(folder)
    return folder, pretrain(folder, pretrained_file(RECIPE, folder))


def test_the_weights_of_each_network_are_loaded_by_trainings(done):
    folder, _ = done
    initial, digest = pretrained_weights(RECIPE, folder)
    assert digest
    assert initial.kinds == ("pressure", "pressure change")  # of the first station; the second has no barometer
    weights = initial.members
    assert [params["layer0.U"].shape for params in weights] == [(4, 12), (4, 12)]
    assert {value.dtype for params in weights for value in params.values()} == {np.dtype(np.float32)}
    assert all(np.isfinite(value).all() for params in weights for value in params.values())
    assert (weights[0]["head.W"] != weights[1]["head.W"]).all()


def test_the_days_that_train_are_reported(done):
    folder, messages = done
    first, second = re.findall(r"station\d\.csv: (\d+) training rows, (\S+) to (\S+)", messages)
    # The second record is shorter than a year and a half.
    assert first[1:] == tuple(str(np.datetime64("2010-03-01") + day) for day in (700 - 548, 700 - 548 + 438 - 1))
    assert second[1:] == tuple(str(np.datetime64("2011-03-01") + day) for day in (0, 320 - 1))
    assert "2 stations: network 2/2, epoch 1/1, loss " in messages
    n, name = int(first[0]) + int(second[0]), "pretrained-gru-4.npz"
    assert f"{folder / name}: trained on {n} rows; to use it for initial weights, save it as data/{name}" in messages


def test_the_bytes_depend_on_the_seed_and_the_share_but_not_on_later_days(done, tmp_path):
    folder, _ = done
    written = pretrained_file(RECIPE, folder).read_bytes()
    write_stations(tmp_path, later=3.0)
    for arguments, same in ((("--seed", 0), True), (("--seed", 1), False), (("--share", 0.85), False)):
        pretrain(tmp_path, tmp_path / "again.npz", *arguments)
        assert ((tmp_path / "again.npz").read_bytes() == written) is same


def test_the_earlier_days_are_a_share_of_calendar_days_and_of_observed_days():
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
    ("arguments", "status", "message"),
    [
        ("--out FOLDER/x.npz", 2, "no record given"),
        ("FOLDER/station0.csv", 2, "Missing option '--out'"),
        ("FOLDER/station0.csv --out FOLDER/none/x.npz", 2, "No such file or directory"),
        ("FOLDER/station0.csv --out FOLDER/x.npz --share 1.1", 2, "is not in the range"),
        ("FOLDER/station0.csv --out FOLDER/x.npz --recipe FOLDER/two.toml", 2, "only networks of one layer"),
        ("FOLDER/station0.csv --out FOLDER/station0.csv", 2, "an output would overwrite the input FOLDER/station0.csv"),
        (
            "FOLDER/station0.csv FOLDER/short.csv --out FOLDER/x.npz",
            1,
            "short.csv: too few usable days: 0, at least 113",
        ),
    ],
)
def test_failures_are_one_line_and_write_no_file(done, fails, arguments, status, message):
    folder, _ = done
    (folder / "two.toml").write_text("layers = 2\n")
    (folder / "short.csv").write_text("date,tmax\n2001-01-01,3\n")
    before = (folder / "station0.csv").read_bytes()
    given, message = (text.replace("FOLDER", str(folder)) for text in (arguments, message))
    fails(call_script("pretrain", *given.split()), status, message)
    assert not (folder / "x.npz").exists()
    assert (folder / "station0.csv").read_bytes() == before
