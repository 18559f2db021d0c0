"""The shared corrector of guidance: which stations and days train it, and which stations may continue it."""

from dataclasses import replace
from types import SimpleNamespace

import joblib
import msgspec
import numpy as np
import pytest

from models.forecast.distribution import MEDIAN
from models.forecast.guidance.correctors import fold_boundaries
from models.forecast.guidance.shared import FoldedCorrectors, SharedCorrector
from models.forecast.saved import to_state
from models.forecast.setup import Setup
from models.record.days import ONE_DAY
from models.record.split import Split
from models.verification.trial import Trial
from tests.stations import QUICK, guided_days, synthetic_days

ALONE = Setup(QUICK)


def saved(model):
    """Return the digest of everything that is saved of a model."""
    return joblib.hash(to_state(model))


def test_each_corrector_is_trained_without_its_fold_at_all_stations():
    rng, dates = np.random.default_rng(0), np.datetime64("2024-01-01") + np.arange(120)
    x, target = rng.normal(size=(120, 9, 3)), rng.normal(size=120)
    fold = np.searchsorted(fold_boundaries(dates, 3), dates, side="right")

    def fitted(target):
        return FoldedCorrectors.fit([SimpleNamespace(dates=dates, x=x, target=target)] * 2, QUICK, 0)

    before = fitted(target)
    assert before.through == dates[-1] + ONE_DAY
    for k in range(3):
        after = fitted(np.where(fold == k, target + 50.0, target))
        same = [
            np.array_equal(one.regression, other.regression)
            for one, other in zip(before.correctors, after.correctors, strict=True)
        ]
        assert same == [j == k for j in range(3)]


def test_days_held_out_at_any_station_train_only_the_whole(two_stations):
    stations = [two_stations[0], two_stations[1].part(0, 250)]
    shared = SharedCorrector.fit(stations, QUICK)
    held_out_from = min(days.dates[Split.of(days, QUICK).held_out[0]] for days in stations)
    assert shared.earlier.through == held_out_from < shared.whole.through == stations[0].last
    later = [replace(days, values=days.values.copy()) for days in stations]
    for days in later:
        days.values[days.dates > held_out_from] += 5.0
    before, after = to_state(shared), to_state(SharedCorrector.fit(later, QUICK))
    assert joblib.hash(before["earlier"]) == joblib.hash(after["earlier"])
    assert joblib.hash(before["whole"]) != joblib.hash(after["whole"])


def test_stations_with_other_columns_a_leak_or_no_guidance_are_left_out(two_stations, shared):
    assert (shared.stations, shared.n) == (2, 2 * 299)
    assert shared.columns == ("guidance", "guidance_spread", "next_wind")
    leaks = guided_days(300, 3)
    leaks = replace(leaks, further=leaks.further | {"guidance": leaks.next_tmax})
    others = [guided_days(300, 5, wind=False), leaks, synthetic_days(300), two_stations[0].part(0, 0)]
    assert saved(SharedCorrector.fit([*two_stations, *others], QUICK)) == saved(shared)
    with pytest.raises(ValueError, match="no station has enough guidance to train a shared corrector"):
        SharedCorrector.fit([synthetic_days(300)], QUICK)


def test_a_station_continues_correctors_that_match_and_know_none_of_its_held_out_days(shared):
    columns, through = shared.columns, shared.earlier.through
    assert shared.correctors_for(columns, QUICK, None) is shared.whole
    assert shared.correctors_for(columns, QUICK, through) is shared.earlier
    assert shared.correctors_for(columns, QUICK, through - ONE_DAY) is None
    assert shared.correctors_for(("guidance",), QUICK, None) is None
    for changed in ({"cell": "lstm"}, {"guidance": msgspec.structs.replace(QUICK.guidance, folds=4)}):
        assert shared.correctors_for(columns, msgspec.structs.replace(QUICK, **changed), None) is None
    same_networks = msgspec.structs.replace(QUICK, hidden=9, members=3, epochs=7)
    assert shared.correctors_for(columns, same_networks, None) is shared.whole


def test_a_trial_does_not_continue_correctors_that_know_its_held_out_days(shared):
    """A station that was not among those that trained, and whose record ends earlier."""
    shorter = guided_days(200, 5)
    alone, continued = (Trial.run("x", shorter, setup) for setup in (ALONE, Setup(QUICK, shared=shared)))
    assert saved(alone.model) == saved(continued.model)
    assert continued.final().used_shared


def test_a_shared_corrector_of_other_columns_changes_nothing(shared):
    others = guided_days(150, 5, wind=False)
    one, other = (Trial.run("x", others, setup).model for setup in (ALONE, Setup(QUICK, shared=shared)))
    assert saved(one) == saved(other)


def test_a_shared_corrector_improves_a_station_with_few_days():
    short = guided_days(160, seed=9, first="2016-01-01")
    shared = SharedCorrector.fit([*(guided_days(400, seed) for seed in range(3)), short], QUICK)
    later, rows = guided_days(500, seed=9, first="2016-01-01"), np.arange(200, 499)
    alone, continued = (
        np.abs(Trial.run("x", short, setup).final().quantiles(later, rows)[:, MEDIAN] - later.next_tmax[rows]).mean()
        for setup in (ALONE, Setup(QUICK, shared=shared))
    )
    assert continued < alone
