"""Training of a station model: which rows train and which calibrate, reproducibility, and skill."""

from dataclasses import replace

import joblib
import msgspec
import numpy as np
import pytest

from app.training.train import setup_for
from models.forecast.distribution import MEDIAN
from models.forecast.features import N_FIRST
from models.forecast.networks import InitialWeights, TrainingSet
from models.forecast.saved import to_state
from models.forecast.setup import Setup
from models.forecast.station import CORRECTION_PRIOR_DAYS, StationForecaster
from models.recipe import Recipe
from models.record.columns import RAIN, TMAX, TMIN
from models.record.days import ONE_DAY, StationDays
from models.record.split import Split, usable_rows
from models.verification.trial import Trial
from tests.models.forecast.gaps import changed, width, with_gaps
from tests.stations import QUICK, synthetic_days

NAN = np.nan
QUICKLY = Setup(QUICK)


def saved(model):
    """Return the digest of everything that is saved of a model."""
    return joblib.hash(to_state(model))


@pytest.fixture(scope="module")
def split(days):
    return Split.of(days, QUICK)


@pytest.fixture(scope="module")
def fitted(days, split):
    """Trained, not yet calibrated."""
    return StationForecaster.fit(days, split.training, QUICKLY)


def test_days_after_the_training_rows_have_no_influence(days, split, fitted):
    """Of the day after the last row, only tmax is known."""
    last = split.training[-1]
    other = changed(days, (slice(last + 2, None), slice(None), [60.0, NAN, 7.0]), (last + 1, [TMIN, RAIN], NAN))
    assert saved(StationForecaster.fit(other, split.training, QUICKLY)) == saved(fitted)
    assert fitted.trained_through == days.dates[last] + ONE_DAY
    with pytest.raises(ValueError, match="not calibrated: call calibrated"):
        fitted.predict(days)
    with pytest.raises(ValueError, match="not calibrated: call calibrated"):
        fitted.quantiles(days, np.array([20]))


def test_held_out_rows_calibrate_only(days, trained, fitted):
    trial = trained.trial
    assert saved(replace(trial.model, calibration=None)) == saved(fitted)
    first = int(trial.split.held_out[0]) + 1
    shuffled = days.values[np.random.default_rng(0).permutation(np.arange(first, len(days)))]
    other = fitted.calibrated(changed(days, (slice(first, None), slice(None), shuffled)), trial.split.held_out)
    assert not np.array_equal(other.calibration.errors.quantiles, trial.model.calibration.errors.quantiles)


def test_the_final_model_is_trained_on_all_days_and_keeps_its_calibration(days, trained):
    rows = usable_rows(days, QUICK)
    assert QUICK.refit
    assert trained.model.trained_through == days.last == days.dates[rows[-1]] + ONE_DAY
    continued = Setup(QUICK, initial=InitialWeights(trained.trial.model.members, ()), stage="refit")
    on_all_days = StationForecaster.fit(days, rows, continued)
    calibrated = replace(on_all_days, calibration=trained.trial.model.calibration)
    assert saved(calibrated) == saved(trained.model)
    assert saved(calibrated) != saved(replace(trained.trial.model, trained_through=days.last))
    once = msgspec.structs.replace(QUICK, refit=False)
    assert replace(trained.trial, setup=Setup(once)).final() is trained.trial.model


def test_the_seed_determines_the_model(days, trained, retrained):
    again = Trial.run("hill", days, QUICKLY).final()
    assert saved(again) == saved(trained.model)
    assert saved(retrained.model) != saved(trained.model)


def test_a_member_does_not_depend_on_the_number_of_members(days):
    rows = usable_rows(days, QUICK)[:300]
    three, one = (
        StationForecaster.fit(days, rows, Setup(msgspec.structs.replace(QUICK, members=n))).weights for n in (3, 1)
    )
    assert len(three) == 3 * len(one)
    for name, weights in one.items():
        np.testing.assert_array_equal(weights, three[name])


def test_the_training_set_is_standardised_and_its_target_exact(days):
    rows = usable_rows(days, QUICK)
    training_set, features, _ = TrainingSet.of(days, rows, QUICK)
    assert training_set.x.shape == (len(rows), QUICK.window, N_FIRST)
    np.testing.assert_allclose(training_set.x[:, -1].mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(training_set.x[:, -1].std(axis=0), 1, atol=1e-4)
    daily = features.of(days)
    found = daily.guess[rows] + daily.spread[rows] * training_set.target[:, 0]
    np.testing.assert_allclose(found, days.tmax[rows + 1], atol=1e-4)


def test_a_useful_correction_is_kept_and_a_harmful_one_is_not(days, split, fitted):
    """The same networks with the sign of their location changed: what one gains in weight the other loses."""
    opposite = {
        name: value * np.array([-1, 1], value.dtype) if ".head." in name else value
        for name, value in fitted.weights.items()
    }
    kept, harmful = (
        model.calibrated(days, split.calibration).calibration.shrinkage_weight
        for model in (fitted, replace(fitted, weights=opposite))
    )
    unrelated = CORRECTION_PRIOR_DAYS / (CORRECTION_PRIOR_DAYS + len(split.calibration))
    assert 0 < harmful < 1
    assert 0 < kept < 1
    assert kept + harmful == pytest.approx(2 * unrelated, abs=1e-6)
    assert kept != pytest.approx(unrelated, abs=1e-3)


def test_days_before_a_long_gap_have_no_influence_on_the_calibration(days, fitted):
    after = 1001 + QUICK.max_gap
    gappy = changed(days, (slice(1000, after), TMAX, NAN))
    other = changed(gappy, (slice(990, 1000), slice(None), [40.0, 30.0, 80.0]))
    rows = np.arange(after + QUICK.min_days - 1, after + QUICK.min_days + 4)
    one, two = (fitted.calibrated(d, rows).calibration for d in (gappy, other))
    assert joblib.hash(one) == joblib.hash(two)


def setup_of(initial_weights, **recipe):
    return setup_for(Recipe(initial_weights=initial_weights, **recipe), seed=0)[0]


def relative_error(quantiles, days, rows):
    """Return the mean absolute error relative to that of persistence."""
    observed = days.next_tmax[rows]
    return np.abs(quantiles[:, MEDIAN] - observed).mean() / np.abs(days.tmax[rows] - observed).mean()


def coverage(quantiles, observed):
    """Return the share within the central interval of 80 %."""
    return ((quantiles[:, 19] <= observed) & (observed <= quantiles[:, 179])).mean()


@pytest.mark.parametrize("initial_weights", ["random", "pretrained"])
class TestSkill:
    def test_it_learns_all_that_can_be_learned(self, initial_weights):
        """The weather keeps 0.7 of its anomaly; what cannot be known is normal, with 2.5 degC."""
        days = synthetic_days(2500, seed=5)
        more = {"hidden": 16, "epochs": 20} if initial_weights == "random" else {}
        setup = setup_of(initial_weights, members=2, **more)
        split = Split.of(days, setup.recipe)
        rows, observed = split.held_out, days.next_tmax[split.held_out]
        model = StationForecaster.fit(days, split.training, setup).calibrated(days, rows)
        quantiles = model.quantiles(days, rows)
        normal = 15 - 10 * np.cos(2 * np.pi * np.arange(len(days) + 1) / 365.25)
        best = normal[rows + 1] + 0.7 * (days.tmax[rows] - normal[rows])
        assert relative_error(quantiles, days, rows) < 0.98
        assert np.abs(quantiles[:, MEDIAN] - observed).mean() < 1.03 * np.abs(best - observed).mean()
        assert width(quantiles).mean() == pytest.approx(2 * 1.2816 * 2.5, rel=0.12)

    def test_200_days_are_enough(self, initial_weights):
        """On the 30 held-out days, and in the following season, which is not in the record; mean of five stations."""
        setup, held_out, later, inside = setup_of(initial_weights, members=1), [], [], []
        for station in range(5):
            days = synthetic_days(700, seed=station).part(73 * station, 73 * station + 320)
            trial = Trial.run("hill", days.part(0, 207), setup)
            assert len(trial.split.training) + len(trial.split.held_out) == 200
            scores = trial.comparison.scores()
            held_out.append(scores["gru"].mae / scores["persistence"].mae)
            rows = np.arange(207, 299)
            quantiles = trial.final().quantiles(days, rows)
            later.append(relative_error(quantiles, days, rows))
            inside.append(coverage(quantiles, days.next_tmax[rows]))
        assert np.mean(held_out) < 1.1
        assert np.mean(later) < 1.1, later
        assert np.mean(inside) > 0.6, inside

    def test_40_percent_missing_and_neither_tmin_nor_rain_are_enough(self, initial_weights):
        """Five such years, scored on three complete ones of the same weather."""
        days = synthetic_days(3000, seed=11)
        record = changed(with_gaps(days.part(0, 1800), 0.4), (slice(None), [TMIN, RAIN], NAN))
        model = Trial.run("hill", record, setup_of(initial_weights, members=1)).final()
        assert model.columns == ("tmax",)
        rows = np.arange(1850, 2950)
        quantiles = model.quantiles(days, rows)
        assert relative_error(quantiles, days, rows) < 1.03
        assert coverage(quantiles, days.next_tmax[rows]) == pytest.approx(0.8, abs=0.06)


def test_a_mistyped_century_changes_little(days, trained):
    """One date 40,000 days before the others makes a century of missing days."""
    dates = np.append(days.first - 40_000 * ONE_DAY, days.dates)
    far = StationDays.on_calendar(dates, np.vstack([days.values[:1], days.values]))
    np.testing.assert_array_equal(usable_rows(far, QUICK) - 40_000, usable_rows(days, QUICK))
    model = Trial.run("hill", far, QUICKLY).final()
    assert model.columns == ("tmax", "tmin", "rain")
    assert model.predict(far).tmax == pytest.approx(trained.model.predict(days).tmax, abs=0.1)


def test_constant_weather_is_forecast_to_stay(days, split):
    still = StationDays(days.first, np.full_like(days.values, 10.0))
    model = StationForecaster.fit(still, split.training, QUICKLY).calibrated(still, split.held_out)
    assert model.columns == ("tmax",)
    assert model.predict(still).tmax == pytest.approx(10.0, abs=0.05)
