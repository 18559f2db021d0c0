"""A model that corrects guidance: better than it, never worse without it, and honest about what it does not know."""

import copy
import io
from dataclasses import replace

import joblib
import msgspec
import numpy as np
import pytest

from app.readers import read_record
from models.backtest import backtest, learn, teaching_rows
from models.challenge import challenge
from models.forecast import SequenceError
from models.forecaster import Forecaster
from models.formats import from_state
from models.guided import MIN_GUIDED, Guided, guided_rows, running_error
from models.intervals import MEDIAN
from models.pooling import pool
from models.predictors import PredictorError
from models.station_days import ONE_DAY, StationDays
from tests.conftest import QUICK, SHARED, guided_days, synthetic_days

NAN = np.nan


@pytest.fixture(scope="module")
def days(days_with_guidance):
    return days_with_guidance


@pytest.fixture(scope="module")
def model(guided):
    return guided.learned.forecaster


def without(days, rows, names=("guidance",)):
    predictors = {name: column.copy() for name, column in days.predictors.items()}
    for name in names:
        predictors[name][rows] = NAN
    return replace(days, predictors=predictors)


def mae(quantiles, days, rows):
    return np.abs(quantiles[:, MEDIAN] - days.next_tmax[rows]).mean()


def width(forecast):
    low, high = forecast.interval(0.8)
    return high - low


def test_it_beats_the_guidance_its_mean_bias_and_the_stations_own_past(guided, days):
    assert isinstance(guided.learned.forecaster, Guided)
    verification = guided.learned.verification
    scores = verification.scores()
    rows = np.searchsorted(days.dates, verification.issued)
    debiased = days.predictors["guidance"][rows] + 2.8 - verification.observed
    assert scores["gru"].mae < 0.95 * np.abs(debiased).mean()
    assert scores["gru"].mae < 0.5 * scores["persistence"].mae
    assert scores["gru"].skill_guidance > 0.5
    assert set(scores) == {"gru", "persistence", "climatology", "guidance", "emos"}
    assert scores["gru"].crps < scores["emos"].crps
    assert scores["gru"].coverage_80 == pytest.approx(0.8, abs=0.1)


def test_without_guidance_for_the_day_it_is_the_station_only_model(model, days):
    alone = model.station_only.predict(days)
    blank = model.predict(without(days, -1))
    assert blank.odds.quantiles.tobytes() == alone.odds.quantiles.tobytes()
    assert blank.notes == (f"no guidance for {days.last + ONE_DAY}: forecast from the station's own past alone",)
    assert width(blank) > 2 * width(model.predict(days))
    assert model.predict(days).notes == ()
    # Days that have never heard of guidance are answered too.
    assert model.predict(StationDays(days.first, days.values)).tmax == alone.tmax


def test_the_station_only_part_is_what_it_would_be_without_guidance(guided, days):
    plain = learn("hill", StationDays(days.first, days.values), QUICK).forecaster
    assert isinstance(plain, Forecaster)
    rows = np.arange(1000, 1100)
    found = guided.learned.forecaster.station_only.quantiles(days, rows)
    np.testing.assert_array_equal(found, plain.quantiles(days, rows))


def test_many_days_at_once_are_as_one_by_one(model, days):
    holed = without(days, [1100, 1103])
    rows = np.arange(1095, 1110)
    table = model.quantiles(holed, rows)
    for row, quantiles in zip(rows, table, strict=True):
        np.testing.assert_allclose(model.predict(holed.part(0, row + 1)).odds.quantiles, quantiles, atol=1e-4)


def test_nothing_of_later_days_is_seen(days):
    rows = guided_rows(days)[:600]
    alone = learn("hill", days.part(0, 700), QUICK).forecaster.station_only
    later = StationDays(days.first, days.values.copy(), {n: c.copy() for n, c in days.predictors.items()})
    for table in (later.values, *later.predictors.values()):
        table[int(rows[-1]) + 2 :] = 33.0
    one, other = Guided.fit(days, rows, alone), Guided.fit(later, rows, alone)
    assert joblib.hash(one.to_state()) == joblib.hash(other.to_state())
    assert one.corrected_through == days.dates[rows[-1]] + ONE_DAY


def test_it_is_the_same_after_it_was_saved(model, days):
    file = io.BytesIO()
    joblib.dump(model.to_state(), file)
    file.seek(0)
    loaded = from_state(joblib.load(file))
    assert isinstance(loaded, Guided)
    assert loaded.predict(days).odds.quantiles.tobytes() == model.predict(days).odds.quantiles.tobytes()
    assert loaded.predictors == ("guidance", "guidance_spread", "wind")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.pop("scaler"), "malformed"),
        (lambda g: g["weights"].popitem(), "not those of the recipe"),
        (lambda g: g.update(regressions=g["regressions"][:2]), "not those of the recipe"),
        (lambda g: g.update(regressions=g["regressions"][:, :, :-1]), "not those of the recipe"),
        (lambda g: g["regressions"].__setitem__((0, 0, 0), NAN), "not finite"),
        (lambda g: g.update(widening=np.full(2, np.inf)), "not finite"),
        (lambda g: g["odds"].update(quantiles=-g["odds"]["quantiles"]), "do not ascend"),
        (lambda g: g["features"].update(bias={}), "not that of a training"),
        (lambda g: g["trust"].update(regression=NAN), "not finite"),
        (lambda g: g.update(trust={}), "malformed"),
    ],
)
def test_a_damaged_state_is_refused(model, change, message):
    state = copy.deepcopy(model.to_state())
    change(state["guidance"])
    with pytest.raises(ValueError, match=message):
        from_state(state)


def test_what_is_missing_is_named_and_makes_the_range_wider(model, days):
    whole = model.predict(days)
    no_wind = model.predict(without(days, -1, ("wind",)))
    assert (days.last, "wind") in no_wind.filled
    assert (days.last, "wind") not in whole.filled
    assert model.widening[0] > 0.05
    no_past = model.predict(without(days, slice(0, -1)))
    assert no_past.notes[0].startswith("guidance is known for 0 of the 13 days before")

    rows = np.arange(900, 1000)
    usual, windless = (
        np.mean(q[:, 179] - q[:, 19])
        for q in (model.quantiles(days, rows), model.quantiles(without(days, rows, ("wind",)), rows))
    )
    assert windless > 1.03 * usual


def test_a_shift_of_the_guidance_is_mostly_recovered_within_30_days(days):
    recipe = msgspec.structs.replace(QUICK, memory=48)
    rows = teaching_rows(days)[:900]
    alone = learn("hill", days.part(0, 950), recipe).forecaster.station_only
    model = Guided.fit(days, rows, alone)
    shifted = without(days, [])
    shifted.predictors["guidance"][1000:] += 3.0
    after = np.arange(1028, 1033)
    off = (model.quantiles(shifted, after) - model.quantiles(days, after))[:, MEDIAN]
    at_first = (model.quantiles(shifted, np.array([1000])) - model.quantiles(days, np.array([1000])))[0, MEDIAN]
    assert at_first > 2.0
    assert np.abs(off).max() < 1.5


def test_the_running_error_of_a_few_days_is_mostly_chance_and_a_lasting_one_is_not():
    widths = np.full((1, 40), 1.0)
    errors = np.random.default_rng(0).logistic(0, 1, (1, 40))
    mean = np.average(errors[0], weights=0.95 ** np.arange(40)[::-1])
    total = (0.95 ** np.arange(40)).sum()
    np.testing.assert_allclose(running_error(errors, widths), mean * total / (total + 20))
    assert running_error(errors + 10, widths)[0] == pytest.approx(10 + mean, rel=0.05)
    unknown = np.full((1, 40), NAN)
    np.testing.assert_array_equal(running_error(unknown, widths), [0])


def test_guidance_that_needs_no_correction_gets_none():
    """Errors of pure chance: the forecast is the guidance without its bias, or next to it."""
    days = guided_days(300, bias=-1.5, wind=False, spread=False)
    rng = np.random.default_rng(5)
    days.predictors["guidance"][:] = synthetic_days(301).next_tmax[:300] - 1.5 + rng.normal(0, 1.5, 300)
    learned = learn("hill", days, QUICK)
    rows = np.arange(200, 299)
    off = learned.forecaster.quantiles(days, rows)[:, MEDIAN] - (days.predictors["guidance"][rows] + 1.5)
    assert np.abs(off).mean() < 0.6
    assert learned.forecaster.trust.networks < 0.3


def test_guidance_of_too_few_days_waits(days):
    few = without(days, slice(0, len(days) - MIN_GUIDED))
    assert isinstance(learn("hill", few, QUICK).forecaster, Forecaster)


def test_guidance_that_began_late_is_used_and_judged(days):
    late = without(days, slice(0, len(days) - 100), tuple(days.predictors))
    learned = learn("hill", late, QUICK)
    assert isinstance(learned.forecaster, Guided)
    assert len(learned.split.training) == 84
    assert learned.verification.issued[0] > days.dates[learned.split.training[-1]]
    assert "guidance" in learned.verification.quantiles


def test_a_short_record_is_enough_with_guidance():
    short = guided_days(100)
    assert isinstance(learn("hill", short, QUICK).forecaster, Guided)
    with pytest.raises(ValueError, match="usable days are too few"):
        learn("hill", StationDays(short.first, short.values), QUICK)


def test_tmax_of_the_last_day_is_needed_as_ever(model, days):
    blank = StationDays(days.first, days.values.copy(), days.predictors)
    blank.values[-1] = NAN
    with pytest.raises(SequenceError, match="tmax of the last day"):
        model.predict(blank)


def test_one_day_is_enough_where_there_is_guidance(model, days):
    last = days.part(len(days) - 1, len(days))
    forecast = model.predict(last)
    assert abs(forecast.tmax - model.predict(days).tmax) < 3
    with pytest.raises(SequenceError, match=r"too few days.*; with guidance for 2018-04-15 they would be enough"):
        model.predict(without(last, -1))


def test_columns_that_are_new_to_a_model_do_not_disturb_it(model, days):
    """A provider that is added later, or takes the place of another one under a new name."""
    added = replace(days, predictors={**days.predictors, "guidance_new": days.next_tmax + 9})
    assert model.predict(added).tmax == model.predict(days).tmax
    renamed = replace(days, predictors={"guidance_new": days.predictors["guidance"]})
    assert model.predict(renamed).notes[0].startswith("no guidance for")


def test_a_column_of_a_few_days_is_not_looked_at_yet(days):
    few = np.full(len(days), NAN)
    few[-40:-20] = days.next_tmax[-40:-20] - 6
    both = replace(days, predictors={**days.predictors, "guidance_new": few, "hail": few})
    learned = learn("hill", both, QUICK).forecaster
    assert learned.predictors == ("guidance", "guidance_spread", "wind")


def test_guidance_that_ended_long_ago_is_compared_with_what_came_since(days):
    ended = without(days, slice(90, None), tuple(days.predictors))
    learned = learn("hill", ended, QUICK)
    plain = learn("hill", StationDays(days.first, days.values), QUICK)
    assert len(learned.split.training) == 90
    np.testing.assert_array_equal(learned.verification.issued, plain.verification.issued)
    found, expected = (of.verification.scores()["climatology"] for of in (learned, plain))
    assert found == expected


def test_without_refit_what_is_judged_is_what_is_served(days):
    recipe = msgspec.structs.replace(QUICK, refit=False, epochs=6, learning_rate=1e-2)
    late = without(days, slice(0, 700), tuple(days.predictors))
    champion = learn("hill", StationDays(days.first, days.values[:1100]), recipe).forecaster
    found = challenge("hill", late, recipe, champion=champion)
    assert found.verdict.promote, found.verdict
    assert found.learned.forecaster.corrected_through < champion.trained_through
    assert days.dates[1000] < found.forecaster.corrected_through < days.dates[1100]


def test_a_fold_from_which_nothing_can_be_forecast_is_left_out():
    days = guided_days(500)
    days.values[380:] = NAN
    days.values[440:444] = 12.0, 3.0, 0.0
    only_late = without(days, slice(0, 430), tuple(days.predictors))
    verification = backtest("hill", only_late, QUICK, n_folds=2, n_days=100)
    assert (verification.issued < days.dates[400]).all()


def test_a_champion_of_few_days_is_followed_by_others():
    known = guided_days(100)
    champion = learn("hill", known, QUICK).forecaster
    found = challenge("hill", guided_days(160), QUICK, champion=champion)
    assert found.verification is not None, found.verdict


def test_further_predictors_without_guidance_are_refused(days):
    windy = replace(days, predictors={"wind": days.predictors["wind"]})
    with pytest.raises(PredictorError, match="wind: further predictors help to correct guidance"):
        learn("hill", windy, msgspec.structs.replace(QUICK, predictors=["wind"]))
    everything = msgspec.structs.replace(QUICK, predictors=["all"])
    assert isinstance(learn("hill", windy, everything).forecaster, Forecaster)


def test_a_leak_is_refused(days):
    leak = replace(days, predictors={"guidance": days.next_tmax})
    with pytest.raises(PredictorError, match="guidance is the next day's tmax itself"):
        learn("hill", leak, QUICK)


def test_a_backtest_sees_guidance(days):
    verification = backtest("hill", days, QUICK, n_folds=2, n_days=60)
    scores = verification.scores()
    assert scores["gru"].mae < scores["guidance"].mae


def test_stations_that_are_learned_together_help_one_that_has_few_days():
    stations = [guided_days(500, seed) for seed in range(4)]
    short = guided_days(160, seed=9, first="2016-01-01")
    pooled = pool([*stations, short], QUICK)
    alone, together = (learn("hill", short, QUICK, pooled=p).forecaster for p in (None, pooled))
    later = guided_days(500, seed=9, first="2016-01-01")
    rows = np.arange(200, 499)
    assert mae(together.quantiles(later, rows), later, rows) < mae(alone.quantiles(later, rows), later, rows)


def test_what_is_learned_together_has_seen_no_held_out_day():
    stations = [guided_days(300, seed) for seed in range(2)]
    before = pool(stations, QUICK)
    later = [replace(days, values=days.values.copy()) for days in stations]
    for days in later:
        days.values[260:] += 5.0
    after = pool(later, QUICK)
    assert joblib.hash(before.earlier) == joblib.hash(after.earlier)
    assert joblib.hash(before.whole) != joblib.hash(after.whole)


def test_only_stations_with_the_same_predictors_are_learned_together():
    others = guided_days(300, 5, wind=False)
    pooled = pool([guided_days(300, 1), guided_days(300, 2), others], QUICK)
    assert pooled.predictors == ("guidance", "guidance_spread", "wind")
    assert pooled.stations == 2
    assert not pooled.fits(tuple(others.predictors), QUICK)
    begun, alone = (learn("x", others, QUICK, pooled=start).forecaster for start in (pooled, None))
    assert joblib.hash(begun.to_state()) == joblib.hash(alone.to_state())
    with pytest.raises(ValueError, match="no station has enough guidance"):
        pool([synthetic_days(300)], QUICK)


@pytest.mark.skipif(not SHARED.exists(), reason="the records are not part of the project")
def test_real_guidance_is_bettered():
    record = read_record(SHARED / "data/guidance/magdeburg_de.csv")
    recipe = msgspec.structs.replace(QUICK, guidance=msgspec.structs.replace(QUICK.guidance, epochs=5, hidden=8))
    scores = learn("magdeburg", record.days, recipe).verification.scores()
    assert scores["gru"].mae < 0.97 * scores["guidance"].mae
    assert scores["gru"].crps < scores["emos"].crps
