"""No forecast of a backtest depends on a later day, whatever the later days hold."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.forecast.setup import Setup
from models.recipe import GuidanceRecipe, Recipe
from models.record.columns import RAIN
from models.record.days import StationDays
from models.verification.backtest import backtest, backtest_folds
from tests.stations import guided_days

N_FOLDS, N_DAYS = 3, 50
GUIDANCE = GuidanceRecipe(days=7, hidden=2, folds=2, members=1, epochs=1)
RECIPE = Recipe(members=1, hidden=4, epochs=1, window=7, min_days=3, initial_weights="random", guidance=GUIDANCE)
GUIDED = guided_days(500, seed=4)
PLAIN = StationDays(GUIDED.first, GUIDED.values)
FIRST = next(backtest_folds(PLAIN, RECIPE, N_FOLDS, N_DAYS))[0]  # the first row that the first fold does not train on

# Later days, as functions of the true ones.
FUTURES = {
    "warmer": lambda values, _: values + 30,
    "shuffled": lambda values, rng: rng.permutation(values),
    "reversed": lambda values, _: 30 - values,
    "constant": lambda values, _: np.zeros_like(values),
    "unknown": lambda values, rng: np.where(rng.random(values.shape) < 0.5, np.nan, values),
    "extreme": lambda values, rng: np.where(rng.random(values.shape) < 0.5, 56.9, -89.9),
}


def run(days, n_folds=N_FOLDS):
    return backtest("hill", days, Setup(RECIPE), n_folds, N_DAYS)


@pytest.fixture(scope="module")
def untouched():
    return {record: run(record) for record in (PLAIN, GUIDED)}


def changed(days, row, future, seed):
    """Return the record with other values and further columns from ``row`` on."""
    rng = np.random.default_rng(seed)

    def of(series):
        return np.concatenate([series[:row], FUTURES[future](series[row:], rng)])

    values = of(days.values)
    values[:, RAIN] = np.abs(values[:, RAIN])
    return StationDays(days.first, values, {name: of(series) for name, series in days.further.items()})


def assert_same(one, other, names):
    np.testing.assert_array_equal(one.issued, other.issued)
    for name in names:
        assert one.quantiles[name].tobytes() == other.quantiles[name].tobytes(), name


@settings(max_examples=6)
@given(
    st.sampled_from([PLAIN, GUIDED]),
    st.integers(FIRST, len(PLAIN) - 1),
    st.sampled_from([*FUTURES]),
    st.integers(0, 99),
)
@example(PLAIN, FIRST, "warmer", 0)
@example(GUIDED, FIRST, "shuffled", 0)
@example(PLAIN, FIRST + N_DAYS, "extreme", 0)
@example(GUIDED, FIRST + N_DAYS + 1, "unknown", 0)
def test_forecasts_do_not_depend_on_later_days(untouched, days, row, future, seed):
    before, after = untouched[days], run(changed(days, row, future, seed))
    # The last one issued before ``row`` is for ``row`` itself, which may be unknown now.
    n = min(int((before.issued < days.dates[row - 1]).sum()) + 1, int((after.issued < days.dates[row]).sum()))
    assert n >= row - FIRST
    names = [name for name in before.quantiles if name in after.quantiles]
    assert names[:3] == ["gru", "persistence", "climatology"]
    assert_same(before.part(slice(n)), after.part(slice(n)), names)
    # What is changed does train the folds after it.
    if row <= FIRST + N_DAYS and future != "unknown":
        assert not np.array_equal(before.quantiles["gru"][-N_DAYS:], after.quantiles["gru"][-N_DAYS:])


@pytest.mark.parametrize("days", [PLAIN, GUIDED])
def test_an_earlier_backtest_gives_the_same_forecasts(untouched, days):
    earlier = run(days.part(0, len(days) - N_DAYS), N_FOLDS - 1)
    assert_same(earlier, untouched[days].part(slice((N_FOLDS - 1) * N_DAYS)), untouched[days].quantiles)
