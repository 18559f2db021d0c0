"""Retraining of stations: which are due, what is promoted, and what the store remembers."""

import re
import shutil

import msgspec
import numpy as np
import pytest

from app.readers import Record, read_record
from app.store import Store, StoreError
from app.store.history import digest
from app.store.integrity import verify
from app.text import one_line
from app.training.outcomes import Outcome
from app.training.retrain import Attempt, Workers, files_digest, only_one, retrain, settle, tasks
from app.training.shared import fit_shared, load_shared, store_shared
from app.training.task import Answer, Plan, Task, retrain_station
from models.recipe import GuidanceRecipe
from models.record.columns import TMAX, TMIN
from models.record.days import StationDays
from tests.app.training.records import RECIPE, changeable_days, content_of
from tests.stations import QUICK, guided_days, synthetic_days, write_csv

pytestmark = pytest.mark.usefixtures("serial")

PLAN = Plan(RECIPE)
DAYS = changeable_days(1000, seed=5)


def outcomes_of(store, files, plan=PLAN, guidance=None, say=lambda _: None):
    outcomes = []
    retrain(store, files, plan, Workers(), outcomes.append, guidance, say)
    return {outcome.station: outcome for outcome in outcomes}


@pytest.fixture(scope="module")
def promoted(tmp_path_factory):
    """A store whose station was promoted on its first 800 days."""
    root = tmp_path_factory.mktemp("promoted")
    store, file = Store(root / "store"), write_csv(root / "hill.csv", DAYS.part(0, 800))
    (task,) = tasks(store, [file], PLAN, {}, [].append)
    assert settle(store, task, retrain_station(task)).decision == "promoted"
    return root


@pytest.fixture
def station(promoted, tmp_path):
    """A function that retrains the station on its first n days, and its store."""
    shutil.copytree(promoted, tmp_path, dirs_exist_ok=True)
    store = Store(tmp_path / "store")

    def retrained(n, plan=PLAN):
        return outcomes_of(store, [write_csv(tmp_path / "hill.csv", DAYS.part(0, n))], plan)["hill"]

    return retrained, store.station("hill")


def recipe_with(**changes):
    return Plan(msgspec.structs.replace(RECIPE, **changes))


class TestDecisions:
    def test_new_days_are_judged_once_and_a_rollback_is_respected_until_there_are_more(self, station):
        retrained, hill = station
        first = hill.champion()
        outcome = retrained(840)
        assert (outcome.decision, outcome.champion, outcome.version) == ("promoted", first, hill.champion())
        assert (outcome.retrain, outcome.judged.last, outcome.scores["challenger"].n) == (
            "cold", str(DAYS.dates[838]), 40
        )  # fmt: skip
        manifest = hill.manifest(outcome.version)
        assert manifest.trained_through == str(DAYS.dates[839])
        assert manifest.judged.scores == outcome.scores
        assert manifest.held_out.last < outcome.judged.first  # judged days calibrate nothing
        assert hill.history()[-1].reason == f"retrained: {outcome.reason}"
        for champion in (outcome.version, first):
            if champion == first:
                hill.rollback("by hand")
            again = retrained(840)
            assert (again.decision, again.reason) == ("unchanged", f"already promoted: {outcome.reason}")
            assert hill.champion() == champion
        assert retrained(880).decision == "promoted"
        assert verify(hill) == []

    def test_a_rejection_is_remembered(self, station):
        retrained, hill = station
        before = hill.champion()
        outcome = retrained(801)
        assert (outcome.decision, outcome.retrain, outcome.scores) == ("kept", None, {})
        assert outcome.reason == "too few days are new to the champion: 1; at least 28 are needed"
        again = retrained(801)
        assert (again.decision, again.reason) == ("unchanged", f"already kept: {outcome.reason}")
        assert retrained(801, recipe_with(hidden=3)).decision == "kept"  # another plan is another attempt
        assert hill.champion() == before
        assert len(hill.history()) == 1

    def test_warm_retraining_keeps_the_calibration_until_it_is_old(self, station):
        retrained, hill = station
        first, plan = hill.manifest(hill.champion()), recipe_with(retrain="warm", calibration_days=100)
        outcome = retrained(860, plan)
        assert (outcome.decision, outcome.retrain) == ("promoted", "warm")
        second = hill.manifest(outcome.version)
        for name in ("rows", "model", "scores", "held_out", "scores_by_season"):
            assert getattr(second, name) == getattr(first, name)
        assert second.initial_weights == first.sha256
        assert second.judged.scores["champion"].n == 60
        outcome = retrained(920, plan)
        assert outcome.retrain == "cold"
        cold = hill.manifest(hill.champion())
        assert cold.held_out.last > first.held_out.last
        assert cold.initial_weights is None

    def test_force_promotes_unjudged_even_over_a_damaged_champion(self, station):
        retrained, hill = station
        (hill.folder / "versions" / hill.champion() / "model.joblib").write_bytes(b"damaged")
        outcome = retrained(840)
        assert outcome.decision == "failed"
        assert "does not match its manifest" in outcome.reason
        outcome = retrained(840, msgspec.structs.replace(PLAN, force=True))
        assert (outcome.decision, outcome.reason, outcome.judged) == ("promoted", "forced", None)
        assert hill.history()[-1].reason == "retrained: forced"
        assert retrained(840).decision == "unchanged"

    def test_a_record_that_lost_most_of_its_days_earns_no_promotion_and_one_of_another_window_does(
        self, station, tmp_path
    ):
        _, hill = station
        before, store = hill.champion(), Store(tmp_path / "store")
        outcome = outcomes_of(store, [write_csv(tmp_path / "hill.csv", DAYS.part(600, 900))])["hill"]
        assert (outcome.decision, hill.champion()) == ("kept", before)
        assert outcome.reason == (
            "the record has lost most of the champion's days: 293 usable days (first to last: 300) instead of 793 "
            "(800); if it is meant to be so short, use --force"
        )
        rolled = outcomes_of(store, [write_csv(tmp_path / "hill.csv", DAYS.part(100, 900))])["hill"]
        assert rolled.decision == "promoted", rolled.reason

    def test_a_lasting_step_is_told(self, tmp_path):
        values = DAYS.values.copy()
        values[500:, [TMAX, TMIN]] += 6.0
        file = write_csv(tmp_path / "hill.csv", StationDays(DAYS.first, values))
        outcome = outcomes_of(Store(tmp_path / "store"), [file])["hill"]
        assert outcome.decision == "promoted"
        assert re.search(r"; tmax has been \d\.\d degC higher since 2016-..: has the station moved\?$", outcome.reason)

    def test_a_champion_promoted_meanwhile_is_not_replaced(self, station, tmp_path):
        _, hill = station
        store = Store(tmp_path / "store")
        (task,) = tasks(store, [write_csv(tmp_path / "hill.csv", DAYS.part(0, 840))], PLAN, {}, [].append)
        answer = retrain_station(task)
        by_hand = hill.publish(answer.state, answer.manifest)
        hill.promote(by_hand, "by hand")
        outcome = settle(store, task, answer)
        assert outcome.decision == "failed"
        assert "has changed meanwhile" in outcome.reason
        assert hill.champion() == by_hand

    def test_a_decision_that_cannot_be_recorded_is_still_told(self, station, tmp_path):
        _, hill = station
        (task,) = tasks(
            Store(tmp_path / "store"), [write_csv(tmp_path / "hill.csv", DAYS.part(0, 840))], PLAN, {}, [].append
        )
        answer = retrain_station(task)
        (hill.folder / "retrain.json").unlink()
        (hill.folder / "retrain.json").mkdir()
        outcome = settle(Store(tmp_path / "store"), task, answer)
        assert (outcome.decision, outcome.version) == ("failed", hill.champion())
        assert outcome.reason.startswith("promoted, but the decision could not be recorded: ")

    def test_an_error_of_a_worker_is_an_outcome(self, tmp_path):
        store, task = Store(tmp_path), Task("hill", Record("hill", DAYS), PLAN)
        assert settle(store, task, ZeroDivisionError("by\nzero")) == Outcome("hill", "failed", "by zero")
        assert settle(store, task, KeyError("x")).reason == "KeyError: 'x'"
        assert content_of(tmp_path) == {}


class TestMemory:
    def test_a_station_is_due_when_its_guidance_changes(self, tmp_path):
        store, file = Store(tmp_path / "store"), write_csv(tmp_path / "hill.csv", DAYS.part(0, 800))
        guidance = tmp_path / "guidance.csv"
        guidance.write_text("date,guidance\n2015-01-02,1\n")

        def due(**by_station):
            return next(tasks(store, [file], PLAN, by_station, [].append), None)

        def settled(task):
            settle(store, task, Answer(Outcome("hill", "kept", "test")))

        settled(due())
        assert due() is due(other=guidance) is None
        settled(due(hill=guidance))
        assert due(hill=guidance) is None
        assert due() is not None
        guidance.write_text(guidance.read_text() + "2030-01-01,1\n")
        settled(due(hill=guidance))
        assert due(hill=guidance) is None

    def test_the_digest_of_one_file_is_its_own_and_of_several_depends_on_each(self, tmp_path):
        x, y, xy = (tmp_path / name for name in ("x", "y", "xy"))
        for file in (x, y, xy):
            file.write_text(file.name)
        assert files_digest([x]) == digest(b"x")
        assert len({files_digest(of) for of in ([x], [y], [xy], [x, y], [y, x], [x, y, xy])}) == 6

    def test_a_damaged_memory_is_a_retraining_and_a_missing_default_is_none(self, station):
        retrained, hill = station
        file = hill.folder / "retrain.json"
        file.write_bytes(b"{")
        assert retrained(800).decision == "kept"
        attempt = msgspec.json.decode(file.read_bytes())
        assert msgspec.convert(attempt, Attempt).plan == PLAN
        del attempt["plan"]["pool"], attempt["plan"]["recipe"]["columns"]  # as before there were any
        file.write_bytes(msgspec.json.encode(attempt))
        assert retrained(800).decision == "unchanged"

    @pytest.mark.usefixtures("station")
    def test_two_files_of_one_station_that_do_not_say_so_fail(self, tmp_path):
        other = write_csv(tmp_path / "HILL.csv", DAYS)
        found = []
        assert not list(tasks(Store(tmp_path / "store"), [tmp_path / "hill.csv", other], PLAN, {}, found.append))
        assert [item.decision for item in found] == ["failed"]
        assert "are of station 'hill': keep one, or rename one" in found[0].reason

    def test_a_reason_is_one_line_of_text(self):
        """Even where a file's name is not."""
        assert one_line(ValueError("\udcff.csv:\n  rename one")) == "\\udcff.csv: rename one"

    def test_one_retraining_of_a_store_at_a_time(self, tmp_path):
        store, same = Store(tmp_path), Store(tmp_path)
        with only_one(store):
            with pytest.raises(StoreError, match=r"another retraining of .* is running; wait until it ends"):
                outcomes_of(same, [])
            assert outcomes_of(Store(tmp_path, read_only=True), []) == {}
        assert outcomes_of(same, []) == {}


class TestFolder:
    """Files that are not one station each."""

    @pytest.fixture
    def files(self, tmp_path):
        """A file of two stations; one of a station in two files; one that is no record."""
        hill, lake = synthetic_days(400, seed=1), synthetic_days(400, seed=2)
        rows = [
            f"{name},{date},{tmax},{tmin},{rain}"
            for name, days in (("Hill", hill), ("Lake", lake))
            for date, (tmax, tmin, rain) in zip(days.dates, days.values, strict=True)
        ]
        (folder := tmp_path / "records").mkdir()
        (folder / "two.csv").write_text("\n".join(["station,date,tmax,tmin,rain", *rows, ""]))
        vale = synthetic_days(400, seed=3)
        for name, part in (("early", vale.part(0, 250)), ("late", vale.part(240, 400))):  # ten days are in both
            lines = (f"Vale,{d},{row[0]},{row[1]},{row[2]}" for d, row in zip(part.dates, part.values, strict=True))
            (folder / f"{name}.csv").write_text("\n".join(["station,date,tmax,tmin,rain", *lines, ""]))
        (folder / "note.csv").write_text("nothing\n")
        return sorted(folder.iterdir()), {"hill": hill, "lake": lake, "vale": vale}

    def test_each_station_is_trained_on_its_own_days_and_left_alone_the_next_night(self, files, tmp_path):
        paths, days = files
        store, plan = Store(tmp_path / "store"), msgspec.structs.replace(PLAN, force=True)
        first = outcomes_of(store, paths, plan)
        assert {name: outcome.decision for name, outcome in first.items()} == {
            "hill": "promoted", "lake": "promoted", "note": "failed", "vale": "promoted",
        }  # fmt: skip
        assert "note.csv: no table of days is known here" in first["note"].reason
        for name, of_station in days.items():
            station = store.station(name)
            assert station.manifest(station.champion()).data_digest == Record(name, of_station).digest
        again = outcomes_of(store, paths, PLAN)
        assert {name: outcome.decision for name, outcome in again.items()} == {
            "hill": "unchanged", "lake": "unchanged", "note": "failed", "vale": "unchanged",
        }  # fmt: skip
        with paths[-1].open("a") as two:
            two.write("Lake,2017-01-01,5,1,0\n")
        assert {task.station for task in tasks(store, paths, PLAN, {}, [].append)} == {"hill", "lake"}


class TestGuidance:
    @pytest.fixture
    def files(self, tmp_path):
        """A record, and forecasts of its days in a file of the same name."""
        guidance = tmp_path / "guidance" / "hill.csv"
        guidance.parent.mkdir()
        forecasts = (DAYS.tmax + np.random.default_rng(0).normal(1, 1, len(DAYS)))[1:200]
        rows = (f"{date},{forecast:.1f}\n" for date, forecast in zip(DAYS.dates[1:200], forecasts, strict=True))
        guidance.write_text("date,guidance\n" + "".join(rows))
        return write_csv(tmp_path / "hill.csv", DAYS.part(0, 200)), guidance

    def test_a_worker_gets_the_content_of_both_files(self, files, tmp_path):
        file, guidance = files
        (task,) = tasks(Store(tmp_path / "store"), [file], Plan(QUICK, force=True), {"hill": guidance}, [].append)
        expected = read_record(file, guidance=guidance)
        assert np.isfinite(expected.days.further["guidance"]).sum() == 199
        file.unlink()
        guidance.unlink()
        assert retrain_station(task).manifest.data_digest == expected.digest

    def test_an_invalid_file_fails_its_station(self, files, tmp_path):
        file, guidance = files
        guidance.write_text("date,guidance\n2015-01-02,warm\n")
        for reason in (f"{guidance}: line 2: guidance 'warm' is not a number", str(guidance)):
            outcome = outcomes_of(Store(tmp_path / "store"), [file], PLAN, {"hill": guidance})["hill"]
            assert outcome.decision == "failed"
            assert reason in outcome.reason
            guidance.unlink(missing_ok=True)


class TestPool:
    RECIPE = msgspec.structs.replace(
        QUICK, members=1, guidance=GuidanceRecipe(days=7, hidden=2, folds=2, members=1, epochs=1)
    )
    PLAN = Plan(RECIPE, pool=True)

    @pytest.fixture
    def store(self, tmp_path):
        """A store with a shared corrector."""
        store, path = Store(tmp_path / "store"), write_csv(tmp_path / "dale.csv", guided_days(200, 1, wind=False))
        store_shared(store, fit_shared([read_record(path)], self.RECIPE, 0), [read_record(path)], 0)
        return store

    def test_a_dry_run_gives_the_verdict_of_a_real_run_and_leaves_every_byte(self, store, tmp_path, monkeypatch):
        monkeypatch.setattr("models.verification.challenge.RECHECKED_DAYS", 60)  # to save time
        file, frozen = tmp_path / "hill.csv", Store(store.root, read_only=True)
        for n in (250, 285):  # a first model, and a challenger
            write_csv(file, guided_days(n, wind=False))
            before = content_of(store.root)
            dry, alone = (outcomes_of(frozen, [file], plan)["hill"] for plan in (self.PLAN, Plan(self.RECIPE)))
            assert content_of(store.root) == before
            real = outcomes_of(store, [file], self.PLAN)["hill"]
            assert dry == msgspec.structs.replace(real, version=None, seconds=dry.seconds)
            # A challenger is judged without it, as it may have seen the judged days.
            assert (dry.scores["challenger"] == alone.scores["challenger"]) == (n == 285)
            if n == 250:
                assert real.decision == "promoted", real.reason
                manifest = store.station("hill").manifest(real.version)
                assert manifest.shared_corrector == load_shared(store).digest
        assert len(store.shared.versions()) == 1

    def test_a_dry_run_of_several_stations_fits_a_shared_corrector_without_storing_it(self, tmp_path):
        files = [write_csv(tmp_path / f"{seed}.csv", guided_days(200, seed, wind=False)) for seed in range(2)]
        store, told = Store(tmp_path / "store"), []
        dry = outcomes_of(Store(store.root, read_only=True), files, self.PLAN, say=told.append)
        assert not store.root.exists()
        real = outcomes_of(store, files, self.PLAN, say=told.append)
        assert load_shared(store)
        assert not told
        for station, outcome in real.items():
            assert dry[station] == msgspec.structs.replace(outcome, version=None, seconds=dry[station].seconds)

    def test_without_a_shared_corrector_it_is_trained_alone_and_a_dry_run_makes_no_store(self, tmp_path):
        file, told = write_csv(tmp_path / "hill.csv", guided_days(250, wind=False)), []
        store = Store(tmp_path / "none", read_only=True)
        outcomes = outcomes_of(store, [file], self.PLAN, say=told.append)
        assert outcomes["hill"].decision == "promoted"
        assert told == [
            "training each station alone: no shared corrector in the store; run --pool with several records to fit one"
        ]
        assert not store.root.exists()

    def test_a_damaged_champion_costs_the_others_no_shared_corrector(self, tmp_path):
        store, told = Store(tmp_path / "store"), []
        for n in (200, 240):
            files = [
                write_csv(tmp_path / f"{name}.csv", guided_days(n, seed, wind=False))
                for seed, name in enumerate(("hill", "lake"))
            ]
            if n == 240:
                hill = store.station("hill")
                hill.promote(hill.publish({"format": 1}, hill.manifest(hill.champion())), "an earlier program")
            outcomes = outcomes_of(store, files, self.PLAN, say=told.append)
        assert outcomes["hill"].reason.startswith("the model has format 1")
        assert outcomes["lake"].scores
        assert not told
