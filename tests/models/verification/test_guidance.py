"""Trials, challenges and backtests of stations with guidance that begins late, ends early or has gaps."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from models.forecast.setup import Setup
from models.record.columns import COLUMNS, ColumnError
from models.record.days import StationDays
from models.record.split import Split
from models.verification.backtest import backtest
from models.verification.challenge import Champion, challenge
from models.verification.trial import Trial
from tests.stations import QUICK, guided_days

NAN = np.nan
QUICKLY = Setup(QUICK)
ONCE = msgspec.structs.replace(QUICK, refit=False)


def without_guidance(days, rows):
    further = {name: series.copy() for name, series in days.further.items()}
    for series in further.values():
        series[rows] = NAN
    return replace(days, further=further)


def champion_of(days, recipe):
    trial = Trial.run("hill", days, Setup(recipe))
    return Champion(trial.final(), trial.comparison.issued[-1])


def test_leaks_are_rejected_and_named_columns_need_no_guidance():
    days = guided_days(200)
    with pytest.raises(ColumnError, match="guidance equals the next day's tmax"):
        Trial.run("hill", replace(days, further={"guidance": days.next_tmax}), QUICKLY)
    windy = replace(days, further={"next_wind": days.further["next_wind"]})
    assert Trial.run("hill", windy, QUICKLY).model.columns == (*COLUMNS, "next_wind")


def test_guidance_that_ended_long_ago_is_compared_on_the_days_since():
    days = guided_days(400)
    ended = Trial.run("hill", without_guidance(days, slice(90, None)), QUICKLY)
    plain = Trial.run("hill", StationDays(days.first, days.values), QUICKLY)
    assert len(ended.split.guidance_training) == 90
    np.testing.assert_array_equal(ended.comparison.issued, plain.comparison.issued)
    assert "guidance" not in ended.comparison.quantiles
    assert ended.comparison.scores()["climatology"] == plain.comparison.scores()["climatology"]


def test_without_refit_a_promoted_model_is_trained_on_training_rows_only():
    recipe = msgspec.structs.replace(QUICK, refit=False, epochs=6, learning_rate=1e-2)
    days = guided_days(700)
    late = without_guidance(days, slice(0, 300))
    champion = champion_of(StationDays(days.first, days.values[:600]), recipe)
    found = challenge("hill", late, Setup(recipe), champion)
    assert found.verdict.promote, found.verdict
    assert found.trial.days.last == champion.seen_through == days.dates[599]
    assert "guidance" in found.trial.comparison.quantiles
    assert found.trial.comparison.issued[0] >= found.trial.model.corrected_through
    for model, split in ((found.trial.model, found.trial.split), (found.model, Split.of(late, recipe))):
        assert model.corrected_through == days.dates[split.guidance_training[-1] + 1]


def test_the_champion_of_a_short_record_is_challenged():
    champion = champion_of(guided_days(100), ONCE)
    found = challenge("hill", guided_days(160), Setup(ONCE), champion)
    assert found.comparison is not None, found.verdict


def test_a_backtest_uses_guidance():
    scores = backtest("hill", guided_days(400), Setup(ONCE), n_folds=2, n_days=60).scores()
    assert scores["gru"].mae < scores["guidance"].mae


def test_a_fold_without_any_forecast_is_left_out():
    days = guided_days(500)
    days.values[380:] = NAN
    days.values[440:444] = 12.0, 3.0, 0.0
    comparison = backtest("hill", without_guidance(days, slice(0, 430)), QUICKLY, n_folds=2, n_days=100)
    assert (comparison.issued < days.dates[400]).all()
