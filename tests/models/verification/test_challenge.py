"""Challenges: the days that judge, the model that results, and records that cannot be judged."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from models.forecast.guidance.guided import GuidedForecaster
from models.forecast.guidance.shared import SharedCorrector
from models.forecast.setup import Setup
from models.recipe import GuidanceRecipe
from models.record.columns import RAIN, TMAX, TMIN
from models.record.days import ONE_DAY, StationDays
from models.record.split import MIN_ROWS, n_usable, usable_rows
from models.verification import challenge as module
from models.verification.challenge import MIN_JUDGED_DAYS, Champion, challenge
from models.verification.promotion import CHALLENGER, CHAMPION, Extent, judge
from models.verification.trial import Trial, retrained
from tests.models.verification.states import assert_same_model
from tests.stations import QUICK, guided_days, synthetic_days

DAYS = synthetic_days(1500, seed=2)
KNOWN = DAYS.part(0, 1200)
RECIPE = msgspec.structs.replace(QUICK, epochs=6, learning_rate=1e-2)
TINY = GuidanceRecipe(days=7, hidden=2, folds=2, members=1, epochs=1)
GUIDED = msgspec.structs.replace(QUICK, members=1, guidance=TINY)
WARM = msgspec.structs.replace(RECIPE, retrain="warm", warm_epochs=1)
BASELINES = ["persistence", "climatology"]


def champion_of(days, recipe=RECIPE, **more):
    trial = Trial.run("hill", days, Setup(recipe, **more))
    return Champion(trial.final(), trial.comparison.issued[-1])


def challenged(days, champion, recipe=RECIPE, **more):
    return challenge("hill", days, Setup(recipe), champion, **more)


def changed(days, change):
    """Return the same days with other values."""
    values = days.values.copy()
    change(values)
    return StationDays(days.first, values)


@pytest.fixture(scope="module")
def champion():
    return champion_of(KNOWN)


@pytest.fixture(scope="module")
def cold(champion):
    """A challenge by 300 new days."""
    return challenged(DAYS, champion)


@pytest.fixture
def few_rechecked(monkeypatch):
    """Shorten the check that the record is the champion's, to save time."""
    monkeypatch.setattr(module, "RECHECKED_DAYS", 60)


class TestChampion:
    def test_it_has_seen_its_training_and_its_calibration(self, champion):
        assert champion.seen_through == champion.model.trained_through == KNOWN.last
        held_out = champion_of(KNOWN, msgspec.structs.replace(RECIPE, refit=False))
        assert held_out.seen_through == held_out.held_out_through + ONE_DAY > held_out.model.trained_through
        few = challenged(DAYS.part(0, 1201), held_out)
        assert few.verdict == (False, "too few days are new to the champion: 1; at least 28 are needed")

    def test_only_networks_that_fit_the_recipe_recently_calibrated_and_without_guidance_continue_warm(self, champion):
        def can_continue(days=DAYS, **changes):
            return champion.can_continue(days, Setup(msgspec.structs.replace(WARM, **changes)))

        age = int((DAYS.last - champion.held_out_through) / ONE_DAY)
        assert can_continue()
        assert can_continue(calibration_days=age)
        assert not can_continue(calibration_days=age - 1)
        assert not can_continue(retrain="cold")
        for other in ({"hidden": 5}, {"members": 3}, {"layers": 2}, {"cell": "lstm"}, {"memory": 5}):
            assert not can_continue(**other)
        assert not can_continue(replace(DAYS, further={"guidance": DAYS.tmax}))


class TestChallenge:
    def test_it_is_a_trial_on_the_days_before_a_verdict_on_the_new_days_and_the_final_training(self, champion, cold):
        setup, new = Setup(RECIPE), np.arange(1199, 1499)
        trial = Trial.run("hill", KNOWN, setup)
        quantiles = {
            CHALLENGER: trial.final().quantiles(DAYS, new),
            CHAMPION: champion.model.quantiles(DAYS, new),
        }
        assert list(cold.comparison.quantiles) == [CHAMPION, CHALLENGER, *BASELINES]
        assert cold.comparison.model == CHALLENGER
        for name, expected in quantiles.items():
            np.testing.assert_allclose(cold.comparison.quantiles[name], expected, atol=1e-4)
        np.testing.assert_array_equal(cold.comparison.issued, DAYS.dates[new])
        np.testing.assert_array_equal(cold.comparison.observed, DAYS.tmax[new + 1])
        assert cold.verdict == judge(cold.comparison, RECIPE, new_days=300)
        assert (cold.verdict.promote, cold.retrain) == (True, "cold"), cold.verdict.reason
        np.testing.assert_array_equal(cold.trial.comparison.issued, trial.comparison.issued)
        assert_same_model(cold.model, retrained(trial.model, DAYS, setup))
        assert cold.model.trained_through == DAYS.last

    def test_the_first_model_is_that_of_a_training_judged_on_its_held_out_days(self):
        found, trial = challenged(DAYS, None), Trial.run("hill", DAYS, Setup(RECIPE))
        assert list(found.comparison.quantiles) == [CHALLENGER, *BASELINES]
        expected = trial.comparison.quantiles | {CHALLENGER: trial.comparison.quantiles["gru"]}
        del expected["gru"]
        np.testing.assert_equal(found.comparison.quantiles, expected)
        np.testing.assert_array_equal(found.comparison.issued, DAYS.dates[trial.split.held_out])
        assert found.verdict == judge(found.comparison, RECIPE)
        assert (found.verdict.promote, found.retrain) == (True, "cold"), found.verdict.reason
        assert_same_model(found.model, trial.final())

    def test_a_rejected_model_is_not_returned(self, champion):
        strict = msgspec.structs.replace(RECIPE, min_skill=1.0, min_new_days=10_000)
        found = challenged(DAYS.part(0, 1240), champion, strict)
        assert found.verdict.reason.startswith("neither 100 % better than the champion nor trained on 10000 more days")
        assert (found.model, found.retrain) == (None, "cold")
        short = changed(KNOWN, lambda v: v.__setitem__((slice(None), TMAX), np.tile([20.0, 20.1], 600)))
        first = challenged(short, None)
        assert not first.verdict.promote
        assert first.model is None

    @pytest.mark.usefixtures("few_rechecked")
    @pytest.mark.parametrize("recipe", [RECIPE, WARM])
    def test_judged_days_have_trained_nothing(self, champion, recipe):
        """The forecasts from the days before the first difference are the same."""
        other = changed(DAYS, lambda v: v.__setitem__(slice(1300, 1500), synthetic_days(200, seed=3).values))
        one, two = (challenged(days, champion, recipe).comparison for days in (DAYS.part(0, 1400), other))
        for name, quantiles in one.quantiles.items():
            np.testing.assert_array_equal(quantiles[:100], two.quantiles[name][:100])
            assert not np.array_equal(quantiles[101:199], two.quantiles[name][101:199]) or name == "climatology"

    @pytest.mark.usefixtures("few_rechecked")
    def test_warm_retraining_continues_the_champion_and_keeps_its_calibration(self, champion):
        found = challenged(DAYS, champion, WARM)
        assert (found.verdict.promote, found.retrain, found.trial) == (True, "warm", None), found.verdict.reason
        setup = Setup(WARM, 0, champion.model.station_only.members, stage="warm")
        judged = retrained(champion.model, KNOWN, setup).quantiles(DAYS, np.arange(1199, 1499))
        np.testing.assert_allclose(found.comparison.quantiles[CHALLENGER], judged, atol=1e-4)
        expected = retrained(champion.model, DAYS, setup)
        assert expected.station_only.calibration is champion.model.station_only.calibration
        assert_same_model(found.model, expected)
        assert not np.array_equal(found.model.weights["member0.head.W"], champion.model.weights["member0.head.W"])

    @pytest.mark.usefixtures("few_rechecked")
    def test_columns_are_those_of_the_calibration(self):
        """tmin begins with the new days, of which the calibration knows nothing."""
        late = changed(DAYS, lambda v: v.__setitem__((slice(0, 1100), TMIN), np.nan)).part(0, 1260)
        found = challenged(late, champion_of(late.part(0, 1200)))
        assert found.verdict.promote, found.verdict.reason
        assert found.model.columns == found.trial.model.columns == ("tmax", "rain")


class TestGuidance:
    @pytest.mark.usefixtures("few_rechecked")
    def test_new_guidance_makes_a_champion_that_corrects_it_and_is_judged_with_it(self):
        days = guided_days(500)
        plain = champion_of(StationDays(days.first, days.values[:440]), GUIDED)
        found = challenged(days.part(0, 470), plain, GUIDED)
        assert found.verdict.promote, found.verdict.reason
        assert isinstance(found.model, GuidedForecaster)
        assert list(found.comparison.quantiles) == [CHAMPION, CHALLENGER, *BASELINES, "guidance", "emos"]
        crps = {name: scores.crps for name, scores in found.comparison.scores().items()}
        assert crps["emos"] < crps["guidance"] < crps["climatology"]
        guided = Champion(found.model, found.trial.comparison.issued[-1])
        later = challenged(days, guided, GUIDED)
        assert later.verdict.promote, later.verdict.reason
        assert later.model.corrected_through == days.last

    def test_a_record_without_the_champions_columns_cannot_be_judged(self, guided, days_with_guidance):
        champion = Champion(guided.model, guided.trial.comparison.issued[-1])
        lost = StationDays(days_with_guidance.first, days_with_guidance.values)
        found = challenged(lost, champion, QUICK)
        assert not found.verdict.promote
        assert found.verdict.reason == (
            "the champion uses next_wind, guidance, guidance_spread, which the record lacks: "
            "add --guidance or --columns, or use --force to promote a model without it"
        )

    @pytest.mark.usefixtures("few_rechecked")
    def test_the_judged_challenger_continues_a_shared_corrector_without_the_judged_days(self):
        """The model that serves continues the one of all days."""
        days = guided_days(330, wind=False)
        champion = champion_of(days.part(0, 300), GUIDED)
        before, after = (SharedCorrector.fit([days.part(0, n)], GUIDED, seed=1) for n in (300, 330))
        setup = Setup(GUIDED, shared=after)
        found = challenge("hill", days, setup, champion, before)
        trial = Trial.run("hill", days.part(0, 300), replace(setup, shared=before))
        expected = trial.final().quantiles(days, np.arange(299, 329))
        np.testing.assert_allclose(found.comparison.quantiles[CHALLENGER], expected, atol=1e-4)
        assert found.verdict.promote, found.verdict.reason
        assert_same_model(found.model, retrained(trial.model, days, setup))


class TestUnsuitableRecords:
    @staticmethod
    def refused(days, champion, recipe=RECIPE):
        found = challenged(days, champion, recipe)
        assert not found.verdict.promote
        assert found.model is None
        return found.verdict.reason

    def test_too_few_new_days(self, champion):
        found = challenged(DAYS.part(0, 1200 + MIN_JUDGED_DAYS - 1), champion)
        assert found.verdict == (False, "too few days are new to the champion: 27; at least 28 are needed")
        assert found.comparison is found.retrain is None
        assert challenged(DAYS.part(0, 1200 + MIN_JUDGED_DAYS), champion).comparison is not None

    @pytest.mark.usefixtures("few_rechecked")
    def test_too_few_days_that_the_champion_can_forecast(self):
        """It needs eight days without a gap; the new recipe bridges gaps."""
        strict = champion_of(KNOWN, msgspec.structs.replace(RECIPE, max_gap=0, min_days=8))
        incomplete = changed(DAYS, lambda v: v.__setitem__((slice(1202, 1500, 7), TMAX), np.nan)).part(0, 1240)
        assert self.refused(incomplete, strict).startswith("the champion can forecast too few of the new days: 2;")
        gaps = changed(DAYS, lambda v: v.__setitem__((slice(0, 1200, 7), TMAX), np.nan)).part(0, 1240)
        assert self.refused(gaps, strict) == "the champion can forecast none of its training days"

    @pytest.mark.parametrize("columns", [[TMAX], [TMAX, TMIN, RAIN]])
    def test_shuffled_days(self, champion, columns):
        order = np.random.default_rng(0).permutation(len(DAYS))
        shuffled = changed(DAYS, lambda v: v.__setitem__((slice(None), columns), v[order][:, columns]))
        for of in (champion, None):
            assert "check that the days of the record are in order" in self.refused(shuffled, of)
        # Shuffled within each month, the season is left.
        by_month = np.lexsort((np.random.default_rng(0).random(len(DAYS)), np.arange(len(DAYS)) // 30))
        assert self.refused(changed(DAYS, lambda v: v.__setitem__(slice(None), v[by_month])), champion)

    @pytest.mark.parametrize(
        ("convert", "hint"),
        [
            (lambda t: t * 1.8 + 32, "; its temperatures look like degF read as degC (--units us)"),
            (lambda t: (t - 32) / 1.8, "; its temperatures look like degC read as degF (--units metric)"),
            (lambda t: t + 15, "; is it another station's?"),
        ],
        ids=["degF read as degC", "degC read as degF", "another station"],
    )
    def test_a_record_other_than_the_champions(self, champion, convert, hint):
        def converted(first):
            rows = np.s_[first:, [TMAX, TMIN]]
            return changed(DAYS, lambda v: v.__setitem__(rows, convert(v[rows])))

        if "--units us" in hint:
            with pytest.raises(ValueError, match=r"the temperatures look like degF: .* say --units us"):
                challenged(converted(0), champion)
        else:
            reason = self.refused(converted(0), champion)
            assert reason.startswith("the record does not match the one that trained the champion: from ")
            assert reason.endswith(hint)
        if "look like" in hint:  # from the new days on only
            found = challenged(converted(1200), champion)
            assert found.verdict.reason.startswith("too few days are new to the champion: ")
            assert "looks like deg" in found.set_aside[0].reason

    def test_a_repeated_year(self, champion):
        repeated = StationDays(KNOWN.first, np.concatenate([KNOWN.values, KNOWN.values[-365:]]))
        found = challenged(repeated, champion)
        assert "too few days are new to the champion" in found.verdict.reason
        assert any(s.reason.startswith("repeats ") for s in found.set_aside)

    def test_a_short_record_is_not_called_out_of_order(self, champion):
        assert self.refused(DAYS.part(0, 20), champion).startswith("too few days are new to the champion: 0;")
        assert self.refused(DAYS.part(1190, 1240), champion).startswith("too few days up to the champion's last")
        with pytest.raises(ValueError, match="too few usable days"):
            challenged(DAYS.part(0, 20), None)

    def test_a_record_that_has_lost_most_of_its_days(self, champion):
        """A window of as many days that begins later is judged; a shorter one is not."""
        known = replace(champion, extent=Extent(n_usable(KNOWN, RECIPE), len(KNOWN)))
        assert self.refused(DAYS.part(1000, 1500), known) == (
            "the record has lost most of the champion's days: 493 usable days (first to last: 500) instead of 1193 "
            "(1200); if it is meant to be so short, use --force"
        )
        assert challenged(DAYS.part(300, 1500), known).comparison is not None

    def test_a_record_without_the_champions_days(self, champion):
        late = DAYS.part(1150, 1500)
        n = int((late.dates[usable_rows(late, RECIPE)] < KNOWN.last).sum())
        assert self.refused(late, champion) == (
            f"too few days up to the champion's last, {KNOWN.last}: {n}; at least {MIN_ROWS} are needed"
        )
