"""Neighbours in the commands: `scripts.train`, `scripts.backtest` and `scripts.predict`."""

import json
from dataclasses import replace

import numpy as np
import pytest

from app.readers import read_record
from app.settings import Settings
from app.store import Store
from app.training.neighbours import Surroundings
from app.web import create_app
from models.record.days import StationDays
from scripts.cli.options import read_recipe
from tests.app.training.records import changeable_days
from tests.processes import call_script
from tests.stations import observations, surrounded_days, write_csv

N = 400
TINY = "members = 1\nhidden = 4\nepochs = 1\nrefit_epochs = 1\nwindow = 7\nmin_days = 3\nmemory = 7\n"
TINY += 'initial_weights = "random"\n'


@pytest.fixture
def files(tmp_path):
    """Records of the same weather, the one with some noise and with pressure at 9 h, and a recipe."""
    days, rng = changeable_days(N, seed=5), np.random.default_rng(0)
    values = days.values + rng.normal(0, 0.5, (N, 1)) * [1, 1, 0]
    other = StationDays(days.first, values.round(1), {"pressure_9": rng.normal(1013, 8, N).round(1)})
    (tmp_path / "tiny.toml").write_text(TINY)
    return write_csv(tmp_path / "a.csv", days), write_csv(tmp_path / "b.csv", other)


class TestTrain:
    def test_neighbours_are_printed_and_stored(self, files, tmp_path):
        given = ("--quick", "--force", "--recipe", tmp_path / "tiny.toml", "--store", tmp_path / "store")
        done = call_script("train", *files, "--neighbours", 1, *given)
        assert done.returncode == 0, done.stderr
        store, found = Store(tmp_path / "store"), {}
        for name, other in ("ab", "ba"):
            assert f"{name}: may look at {other}\n" in done.stderr
            manifest = store.station(name).manifest(store.station(name).champion())
            assert manifest.recipe["neighbours"] == 1
            found[name] = manifest.neighbours
        assert found == {"a": {"b": ["pressure_9", "tmax", "tmin"]}, "b": {"a": ["tmax", "tmin"]}}
        # Those of a neighbour are none of its own.
        assert "b: of 400 days known: pressure_9 400\n" in done.stderr
        assert "a: of 400 days known" not in done.stderr

    def test_a_single_record_has_none(self, files, tmp_path):
        given = ("--quick", "--force", "--recipe", tmp_path / "tiny.toml", "--store", tmp_path / "store")
        done = call_script("train", files[0], "--neighbours", "auto", *given)
        assert done.returncode == 0, done.stderr
        assert "a: no neighbours\n" in done.stderr
        station = Store(tmp_path / "store").station("a")
        assert station.manifest(station.champion()).neighbours == {}
        done = call_script("train", *files, *given)
        assert done.returncode == 0, done.stderr
        assert "neighbours" not in done.stderr
        assert station.manifest(station.champion()).neighbours == {}

    @pytest.mark.parametrize("given", ["x", "-1", "101"])
    @pytest.mark.parametrize("command", ["train", "backtest"])
    def test_what_is_neither_a_number_nor_auto_is_refused(self, files, tmp_path, fails, command, given):
        done = call_script(command, *files, "--neighbours", given, TMAX_STORE=str(tmp_path / "store"))
        fails(done, 2, f"'{given}' is neither a number from 0 to 100 nor auto")
        assert not (tmp_path / "store").exists()


class TestBacktest:
    def backtest(self, folder, files, *more):
        given = ("--recipe", folder / "tiny.toml", "--quick", "--folds", 2, "--days", 40)
        outputs = ("--json", folder / "r.json", "--forecasts", folder / "r.csv")
        done = call_script("backtest", *files, *given, *outputs, *more)
        assert done.returncode == 0, done.stderr
        return json.loads((folder / "r.json").read_text()), (folder / "r.csv").read_text().splitlines()

    def test_neighbours_change_the_forecasts_and_the_digest_of_the_data(self, files, tmp_path):
        alone, plain = self.backtest(tmp_path, files)
        near, forecasts = self.backtest(tmp_path, files, "--neighbours", 1)
        assert (alone["recipe"]["neighbours"], near["recipe"]["neighbours"]) == (0, 1)
        a, b = map(read_record, files)
        joined = Surroundings([a, b]).joined(a, ["b"]), Surroundings([a, b]).joined(b, ["a"])
        assert [station["data_digest"] for station in near["stations"]] == [record.digest for record in joined]
        assert [station["data_digest"] for station in alone["stations"]] == [a.digest, b.digest]
        assert len(plain) == len(forecasts) == 1 + 2 * 80
        assert [row for row in plain if row in forecasts] == plain[:1]

    def test_later_days_of_a_neighbour_change_no_forecast(self, files, tmp_path):
        """Its thermometer is stuck on 12 days, too few to be suspect; whether it is on the 15 after them, too."""
        dates, other, since = read_record(files[0]).days.dates, read_record(files[1]).days, N - 20
        other.values[since - 12 : since, :2] = [12.5, 3.5]
        forecasts = []
        for stop in (since, since + 15):
            other.values[since:stop, :2] = [12.5, 3.5]
            write_csv(files[1], other)
            forecasts.append(self.backtest(tmp_path, files, "--neighbours", 1)[1])
        of_a = [[row for row in rows if row.startswith("a,")] for rows in forecasts]
        earlier = [[row for row in rows if row.split(",")[1] < str(dates[since])] for rows in of_a]
        assert len(earlier[0]) > 50
        assert of_a[0] != of_a[1]
        assert earlier[0] == earlier[1]

    def test_auto_and_a_file_that_cannot_be_read(self, files, tmp_path):
        """The others still have each other."""
        (tmp_path / "noise.csv").write_text("date,tmax\nyesterday,3\n")
        given = ("--recipe", tmp_path / "tiny.toml", "--quick", "--folds", 1, "--days", 40, "--neighbours", "auto")
        done = call_script("backtest", *files, tmp_path / "noise.csv", *given, "--json", tmp_path / "r.json")
        assert done.returncode == 1
        assert [line for line in done.stderr.splitlines() if "Error" in line] == [
            f"Error: {tmp_path / 'noise.csv'}: line 2: date 'yesterday' is not a date such as 2012-01-31"
        ]
        assert len(json.loads((tmp_path / "r.json").read_text())["stations"]) == 2


class TestPredict:
    """With a model that looks at pressure and at the neighbour dale."""

    DAYS = surrounded_days()
    DALE = StationDays(
        DAYS.first,
        np.column_stack([DAYS.further["dale/tmax"], np.full((len(DAYS), 2), np.nan)]),
        {"pressure": DAYS.further["dale/pressure"]},
    )

    @pytest.fixture
    def folder(self, tmp_path, surrounded):
        """A store, the record of the station without its neighbour, and the records of two neighbours."""
        surrounded.promote_in(Store(tmp_path / "store"), "test")
        own = {name: of for name, of in self.DAYS.further.items() if "/" not in name}
        (tmp_path / "around").mkdir()
        write_csv(tmp_path / "hill.csv", replace(self.DAYS, further=own))
        write_csv(tmp_path / "around" / "hill.csv", replace(self.DAYS, further=own))
        write_csv(tmp_path / "around" / "dale.csv", self.DALE)
        write_csv(tmp_path / "around" / "fell.csv", changeable_days(300, seed=1))
        return tmp_path

    @pytest.fixture
    def predict(self, folder, rows):
        def call(*more):
            done = call_script("predict", "--data", folder / "hill.csv", "--store", folder / "store", *more)
            assert done.returncode == 0, done.stderr
            return rows(done.stdout), done.stderr

        return call

    def asked(self, folder):
        """Return the answer of the service to a question with neighbours."""
        asked, n = observations(self.DAYS), 14
        for i, day in enumerate(asked):
            day |= {name: float(self.DAYS.further[name][-n:][i]) for name in ("pressure", "hail")}
        near = [
            {"date": str(date), "tmax": float(tmax), "pressure": float(pressure)}
            for date, tmax, pressure in zip(
                self.DALE.dates[-n:], self.DALE.tmax[-n:], self.DALE.further["pressure"][-n:], strict=True
            )
        ]
        client = create_app(Settings(store=folder / "store")).test_client()
        return client.post("/predict", json={"observations": asked, "neighbours": {"dale": near}}).json

    @pytest.mark.parametrize("around", ["around", "around/dale.csv"])
    def test_the_forecast_is_that_of_a_question_with_neighbours(self, folder, predict, around):
        """From the records of a folder, whichever else it holds, or from one file."""
        (row,), said = predict("--neighbours", folder / around)
        answer = self.asked(folder)
        assert answer["flags"] == []
        numbers = [answer["tmax"], *(interval[end] for interval in answer["intervals"] for end in ("low", "high"))]
        assert [float(number) for number in list(row.values())[2:]] == pytest.approx(numbers)
        assert (row["issued"], row["date"], said) == (answer["issued"], answer["date"], "")
        (alone,), said = predict()
        assert alone["tmax"] != row["tmax"]
        assert said == "without the neighbour dale\n"

    def test_forecasts_of_every_day_have_the_neighbours_of_that_day(self, folder, predict, surrounded):
        own = {name: of for name, of in self.DAYS.further.items() if "/" not in name}
        write_csv(folder / "hill.csv", replace(self.DAYS, further=own).part(900, 1100))
        found, _ = predict("--neighbours", folder / "around", "--every-day")
        rows = np.arange(950, 1100, 20)
        issued = {row["issued"]: row["tmax"] for row in found}
        assert [issued[str(date)] for date in self.DAYS.dates[rows]] == [
            f"{surrounded.model.predict(self.DAYS.part(0, row + 1)).tmax:.2f}" for row in rows
        ]

    def test_a_file_that_is_no_record_beside_those_of_the_neighbours(self, folder, predict):
        expected, _ = predict("--neighbours", folder / "around")
        (folder / "around" / "noise.csv").write_text("date,tmax\nyesterday,3\n")
        found, said = predict("--neighbours", folder / "around")
        assert found == expected
        assert "noise.csv is left out: line 2: date 'yesterday' is not a date" in said

    def test_a_folder_without_records_is_refused(self, folder, fails):
        (folder / "empty").mkdir()
        given = ("--data", folder / "hill.csv", "--store", folder / "store")
        fails(call_script("predict", *given, "--neighbours", folder / "empty"), 2, "no record found: no file matches")
        fails(call_script("predict", *given, "--neighbours", folder / "nowhere"), 2, "does not exist")


def test_the_recipe_says_as_much_as_the_option(tmp_path):
    for text, given, expected in (
        ("neighbours = 3", None, 3),
        ('neighbours = "auto"', None, "auto"),
        ("neighbours = 3", "auto", "auto"),
        ("neighbours = 3", 0, 0),
        ("", None, 0),
    ):
        (tmp_path / "r.toml").write_text(text)
        assert read_recipe(tmp_path / "r.toml", {"neighbours": given}).neighbours == expected
