"""Trials, challenges and backtests of stations with guidance that begins late, ends early or has gaps."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from models.forecast.setup import Setup
from models.record.columns import PredictorError
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
    predictors = {name: series.copy() for name, series in days.predictors.items()}
    for series in predictors.values():
        series[rows] = NAN
    return replace(days, predictors=predictors)


def champion_of(days, recipe):
    trial = Trial.run("hill", days, Setup(recipe))
    return Champion(trial.final(), trial.comparison.issued[-1])


def test_leaks_and_predictors_without_guidance_are_rejected():
    days = guided_days(200)
    with pytest.raises(PredictorError, match="guidance is not a forecast"):
        Trial.run("hill", replace(days, predictors={"guidance": days.next_tmax}), QUICKLY)
    windy = replace(days, predictors={"wind": days.predictors["wind"]})
    with pytest.raises(PredictorError, match="wind: predictors only correct guidance"):
        Trial.run("hill", windy, Setup(msgspec.structs.replace(QUICK, predictors=["wind"])))
    everything = Trial.run("hill", windy, Setup(msgspec.structs.replace(QUICK, predictors=["all"])))
    assert everything.model.predictors == ()


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
