"""The stations of one training as each other's neighbours: which may be looked at, and which are."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from app.readers import Record
from app.training.neighbours import Surroundings
from app.training.train import train_station
from models.forecast.neighbours import MOST, with_neighbours
from models.forecast.setup import Setup
from models.record.days import StationDays
from models.record.split import Split
from models.verification.trial import Trial
from tests.models.verification.states import assert_same_model
from tests.stations import QUICK, synthetic_days

NAN = np.nan
N = 600
HILL = synthetic_days(N + 1, seed=4)
RECIPE = msgspec.structs.replace(QUICK, members=1, refit=False, epochs=6, learning_rate=1e-2)
AUTO = msgspec.structs.replace(RECIPE, neighbours="auto")


def with_at_most(n):
    return msgspec.structs.replace(RECIPE, neighbours=n)


def station_days(tmax, seed):
    rng = np.random.default_rng([seed, 3])
    rain = np.where(rng.random(len(tmax)) < 0.3, rng.exponential(5, len(tmax)), 0.0)
    return StationDays(HILL.first, np.column_stack([tmax, tmax - rng.uniform(4, 12, len(tmax)), rain]).round(1))


def ahead(noise, seed=0):
    """A station whose tmax of today is that of tomorrow at the hill, with noise."""
    return station_days(HILL.next_tmax[:N] + np.random.default_rng([seed, 7]).normal(0, noise, N), seed)


def unrelated(seed):
    """A station with the same season and other weather."""
    return synthetic_days(N, seed=100 + seed)


HERE = Record("hill", HILL.part(0, N))


def around(**others):
    return Surroundings([HERE, *(Record(name, days) for name, days in others.items())])


class TestSurroundings:
    def test_the_nearest_are_chosen_and_no_more_than_the_recipe_allows(self):
        found = around(vale=ahead(3.0), dale=ahead(1.0), fell=unrelated(0))
        assert found.chosen(HERE, with_at_most(1)) == ("dale",)
        assert found.chosen(HERE, with_at_most(2)) == ("dale", "vale")
        assert found.chosen(HERE, with_at_most(100)) == found.chosen(HERE, AUTO) == ("dale", "vale", "fell")
        assert found.chosen(HERE, RECIPE) == ()
        assert Surroundings([]).chosen(HERE, AUTO) == ()
        many = around(**{f"s{i}": unrelated(i) for i in range(MOST + 2)})
        assert len(many.chosen(HERE, AUTO)) == MOST < len(many.chosen(HERE, with_at_most(MOST + 1)))

    def test_a_station_is_not_its_own_neighbour(self):
        found = around(dale=ahead(1.0))
        assert found.chosen(HERE, AUTO) == ("dale",)
        assert {*found.joined(HERE, ("hill", "dale")).days.further} == {"dale/tmax", "dale/tmin"}

    def test_a_record_that_cannot_be_believed_is_nobodys_neighbour_and_has_none(self):
        stuck = StationDays(HILL.first, np.full((N, 3), 20.0))
        found = around(stuck=stuck, dale=ahead(1.0))
        assert found.chosen(HERE, AUTO) == ("dale",)
        assert found.joined(HERE, ("stuck",)).days.further == {}
        assert found.chosen(Record("stuck", stuck), AUTO) == ()

    def test_a_record_is_joined_by_date_to_those_that_exist(self):
        own = Record("hill", replace(HERE.days, further={"humidity": np.ones(N)}))
        dale = ahead(1.0).part(100, 500)
        dale.further["pressure_9"] = np.arange(400.0)
        joined = around(dale=dale, fell=unrelated(0)).joined(own, ("dale", "gone"))
        assert [*joined.days.further] == ["humidity", "dale/tmax", "dale/tmin", "dale/pressure_9"]
        np.testing.assert_array_equal(joined.days.further["dale/tmax"][100:500], dale.tmax)
        assert np.isnan(joined.days.further["dale/tmax"][[0, 99, 500, -1]]).all()
        assert joined.days.values is own.days.values
        assert [*own.days.further] == ["humidity"]
        assert joined.station == "hill"
        assert joined.digest != own.digest  # it trains another model

    @pytest.mark.parametrize("until", [None, HILL.dates[300]])
    def test_only_training_rows_choose(self, until):
        """On these one neighbour is the nearest, in the first year the other one: only whole years count, if any."""
        is_training = np.arange(N)[:, None] < (int(0.85 * N) if until is None else 300)
        first = replace(HERE.days, values=np.where(is_training, ahead(1.0, 1).values, unrelated(1).values))
        later = replace(HERE.days, values=np.where(is_training, ahead(1.5, 2).values, ahead(0.1, 2).values))
        found = around(first=first, later=later)
        assert found.chosen(HERE, with_at_most(1), until) == ("first",)
        if until is not None:
            assert found.chosen(HERE, with_at_most(1), HERE.days.last) == ("later",)

    @pytest.mark.parametrize("until", [None, HILL.dates[300]])
    def test_later_values_of_a_neighbour_choose_nothing(self, until):
        """Whatever they are: here dale gets warmer and warmer, but is as good a neighbour as it was before."""
        since = int(0.85 * N) + 10 if until is None else 310
        dale, vale = ahead(2.0, 1), ahead(2.2, 2)
        before = around(dale=dale, vale=vale).chosen(HERE, AUTO, until)
        assert before == ("dale", "vale")
        dale.values[since:, :2] += np.linspace(0, 15, N - since)[:, None]
        assert around(dale=dale, vale=vale).chosen(HERE, AUTO, until) == before


def trained(recipe, **others):
    found = around(**others)
    chosen = found.chosen(HERE, recipe)
    return train_station("hill", found.joined(HERE, chosen), recipe, 0, neighbours=chosen)


def trial(days, recipe=RECIPE, neighbours=("dale",)):
    return Trial.run("hill", days, Setup(recipe, neighbours=neighbours))


NOISE = with_neighbours(HERE.days, {f"s{i}": unrelated(i) for i in range(4)})
TELLING = with_neighbours(HERE.days, {"dale": ahead(1.0)})


class TestTraining:
    def test_auto_keeps_a_neighbour_that_helps(self):
        alone, near = trained(RECIPE, dale=ahead(1.0)), trained(AUTO, dale=ahead(1.0))
        assert near.manifest.neighbours == {"dale": ["tmax", "tmin"]}
        assert near.model.neighbours == {"dale": ("tmax", "tmin")}
        assert alone.manifest.neighbours == alone.model.neighbours == {}
        assert near.trial.crps < 0.9 * alone.trial.crps

    def test_auto_drops_neighbours_that_do_not(self):
        found = trained(AUTO, **{f"s{i}": unrelated(i) for i in range(4)})
        assert found.manifest.neighbours == found.model.neighbours == {}
        assert not any("/" in name for name in found.trial.days.further)

    @pytest.mark.parametrize("days", [NOISE, TELLING], ids=["noise", "telling"])
    def test_auto_is_the_better_of_both(self, days):
        names = tuple(dict.fromkeys(name.partition("/")[0] for name in days.further))
        found, near, alone = trial(days, AUTO, names), trial(days, RECIPE, names), trial(days, RECIPE, ())
        assert found.crps == min(near.crps, alone.crps)
        assert bool(found.model.neighbours) == (near.crps < alone.crps)
        assert {*near.model.neighbours} == {*names}

    def test_refit_keeps_the_choice(self):
        recipe = msgspec.structs.replace(AUTO, refit=True)
        near, far = trial(TELLING, recipe), trial(NOISE, recipe, ("s0", "s1", "s2", "s3"))
        assert near.final().neighbours == near.model.neighbours
        assert near.final().trained_through == HERE.days.last
        assert far.final().neighbours == far.model.neighbours == {}

    def test_neighbours_that_are_not_named_are_not_looked_at(self):
        assert_same_model(trial(TELLING, RECIPE, ()).model, trial(HERE.days, RECIPE, ()).model)


FUTURES = {
    "warmer": lambda values: values + 12.0,
    "constant": np.zeros_like,
    "reversed": lambda values: 30 - values,
    "unknown": lambda values: np.full_like(values, NAN),
}
SPLIT = Split.of(HERE.days, RECIPE)
FROM = int(SPLIT.training[-1]) + 1  # the first row that trains nothing, but for its tmax


@pytest.fixture(scope="module")
def untouched():
    return trial(TELLING)


class TestLeakage:
    """No value of a neighbour after the issue date changes a forecast."""

    @pytest.fixture(params=[(future, row) for future in FUTURES for row in (FROM, FROM + 40)], ids=str)
    def changed(self, request):
        future, row = request.param
        further = {
            name: np.append(series[:row], FUTURES[future](series[row:])) for name, series in TELLING.further.items()
        }
        return replace(TELLING, further=further), row

    def test_it_trains_nothing_and_changes_no_earlier_forecast(self, untouched, changed):
        days, row = changed
        found = trial(days)
        assert_same_model(replace(found.model, calibration=untouched.model.calibration), untouched.model)
        before, after = np.arange(100, row), np.arange(row, N - 1)
        one, other = (untouched.model.quantiles(of, before) for of in (TELLING, days))
        assert one.tobytes() == other.tobytes()
        one, other = (untouched.model.quantiles(of, after) for of in (TELLING, days))
        assert (np.abs(one - other).max(axis=1) > 1e-3).any()

    def test_one_forecast_depends_on_its_days_only(self, untouched):
        for row in (FROM, FROM + 30):
            whole = untouched.model.predict(TELLING.part(0, row + 1)).distribution.quantiles
            recent = untouched.model.predict(TELLING.part(row - 13, row + 1)).distribution.quantiles
            assert whole.tobytes() == recent.tobytes()
