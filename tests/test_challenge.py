"""The gate: what takes the champion's place, and what does not, with reasons that a person understands."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from models.backtest import learn
from models.challenge import BLOCK, CHALLENGER, CHAMPION, MIN_JUDGED, _least, challenge, judge
from models.guided import Guided
from models.intervals import PROBABILITIES
from models.recipe import Recipe
from models.sequence import usable_rows
from models.station_days import COLUMNS, ONE_DAY, RAIN, TMAX, TMIN, StationDays
from models.verification import Verification
from tests.conftest import QUICK, guided_days, synthetic_days

DAYS = synthetic_days(1500, seed=2)
RECIPE = msgspec.structs.replace(QUICK, epochs=6, learning_rate=1e-2)
WARM = msgspec.structs.replace(RECIPE, retrain="warm", warm_epochs=1)


@pytest.fixture(scope="module")
def champion():
    """Trained on the first 1,200 days."""
    return learn("hill", DAYS.part(0, 1200), RECIPE).forecaster


def changed(days, change):
    """Return the same days with other values."""
    values = days.values.copy()
    change(values)
    return StationDays(days.first, values)


def judged(n=60, noise=0.0, **off):
    """Forecasts that are off by so many degC, on every day, with a standard normal distribution around them."""
    rng = np.random.default_rng(0)
    observed = rng.normal(15, 5, n)
    spread = np.linspace(-2, 2, len(PROBABILITIES))
    quantiles = {
        name: observed[:, None] + error + noise * rng.normal(size=(n, 1)) + spread for name, error in off.items()
    }
    issued = np.datetime64("2024-01-01") + np.arange(n) * ONE_DAY
    return Verification("hill", issued, observed, quantiles)


BESIDE = {"persistence": 3.0, "climatology": 4.0}


class TestJudge:
    def test_one_that_is_better_by_the_margin_is_promoted(self):
        verdict = judge(judged(challenger=0.5, champion=1.0, **BESIDE), RECIPE)
        assert verdict.promote
        assert verdict.reason.startswith("better than the champion: CRPS 0.")

    def test_one_that_is_worse_is_not_however_fresh(self):
        verdict = judge(judged(challenger=1.0, champion=0.9, **BESIDE), RECIPE, fresher=1000)
        assert not verdict.promote
        assert "worse than the champion" in verdict.reason

    def test_one_that_is_as_good_must_be_fresher(self):
        same = judged(challenger=1.0, champion=1.0, **BESIDE)
        fresh, stale = (judge(same, RECIPE, fresher) for fresher in (RECIPE.fresher, RECIPE.fresher - 1))
        assert fresh.promote
        assert "28 days fresher" in fresh.reason
        assert not stale.promote
        assert "neither better by 1 % nor fresher by 28 days (27)" in stale.reason

    def test_what_may_be_chance_is_not_worse(self):
        """Both are off by 2 degC at random on 60 days: one of them is a little worse, and fresher."""
        noisy = judged(noise=2.0, challenger=0.0, champion=0.0, persistence=6.0, climatology=6.0)
        turned = replace(noisy, quantiles=noisy.quantiles | {
            CHALLENGER: noisy.quantiles[CHAMPION], CHAMPION: noisy.quantiles[CHALLENGER]
        })  # fmt: skip
        assert judge(noisy, RECIPE, fresher=30).promote
        assert judge(turned, RECIPE, fresher=30).promote

    @pytest.mark.parametrize("name", ["persistence", "climatology"])
    def test_one_that_loses_to_a_baseline_is_not_promoted_even_if_the_champion_loses_more(self, name):
        verdict = judge(judged(challenger=1.0, champion=2.0, **(BESIDE | {name: 0.9})), RECIPE, fresher=1000)
        assert not verdict.promote
        assert f"loses to {name} on 60 days" in verdict.reason

    def test_the_first_must_beat_the_baselines(self):
        assert judge(judged(challenger=1.0, **BESIDE), RECIPE).promote
        assert not judge(judged(challenger=3.5, **BESIDE), RECIPE).promote

    @pytest.mark.parametrize("also", [{}, {"champion": 2.0}])
    def test_one_that_loses_to_guidance_as_it_is_is_not_promoted(self, also):
        verdict = judge(judged(challenger=1.0, guidance=0.9, emos=2.0, **also, **BESIDE), RECIPE, fresher=1000)
        assert not verdict.promote
        assert verdict.reason.startswith("loses to guidance on 60 days that it has not seen: CRPS 0.")

    @pytest.mark.parametrize("also", [{}, {"champion": 2.0}])
    def test_one_that_is_worse_than_the_regression_on_guidance_is_not_promoted(self, also):
        verdict = judge(judged(challenger=1.0, guidance=1.5, emos=0.9, **also, **BESIDE), RECIPE, fresher=1000)
        assert not verdict.promote
        assert verdict.reason.startswith("worse than a regression on guidance (EMOS): CRPS 0.")
        assert verdict.reason.endswith("on 60 days that it has not seen, which is no chance (95 %)")

    @pytest.mark.parametrize("also", [{}, {"champion": 6.0}])
    def test_it_may_be_worse_than_the_regression_by_chance(self, also):
        beside = {"guidance": 6.0, "persistence": 6.0, "climatology": 6.0}
        noisy = judged(noise=2.0, challenger=0.0, emos=0.0, **also, **beside)
        turned = replace(noisy, quantiles=noisy.quantiles | {
            CHALLENGER: noisy.quantiles["emos"], "emos": noisy.quantiles[CHALLENGER]
        })  # fmt: skip
        assert judge(noisy, RECIPE).promote
        assert judge(turned, RECIPE).promote

    def test_the_reason_names_what_there_was_to_beat(self):
        plain, guided = judged(challenger=1.0, **BESIDE), judged(challenger=1.0, guidance=1.5, emos=1.2, **BESIDE)
        said = "on 60 days that it has not seen"
        assert judge(plain, RECIPE) == (True, f"better than persistence and climatology {said}")
        assert judge(guided, RECIPE) == (True, f"better than guidance, persistence and climatology {said}")

    @pytest.mark.parametrize("also", [{}, {"champion": 1.0}, {"guidance": 2.0, "emos": 1.0}])
    def test_what_is_no_number_is_not_promoted(self, also):
        broken = judged(challenger=1.0, **also, **BESIDE)
        broken.quantiles[CHALLENGER][7] = np.nan
        assert not judge(broken, RECIPE, fresher=1000).promote


class TestLeast:
    def test_it_is_the_lower_bound_of_the_mean(self):
        """Of 2,000 means of 400 normal numbers, 5 % lie below the true mean less 1.645 standard errors."""
        rng = np.random.default_rng(1)
        above = [_least(rng.normal(0.0, 1.0, 400)) > 0 for _ in range(400)]
        assert np.mean(above) == pytest.approx(0.05, abs=0.035)

    def test_days_that_resemble_each_other_count_less(self):
        """Each number seven times in a row: the mean of 400 is only as sure as that of 57."""
        rng = np.random.default_rng(2)
        alone = rng.normal(0.0, 1.0, 399)
        alike = np.repeat(alone[: 399 // BLOCK], BLOCK)
        assert alike.mean() - _least(alike) > 1.7 * (alone.mean() - _least(alone))

    def test_the_same_days_give_the_same_bound(self):
        series = np.random.default_rng(3).normal(size=50)
        assert _least(series) == _least(series.copy())
        assert _least(np.full(30, 0.5)) == pytest.approx(0.5)


class TestChallenge:
    def test_new_days_make_a_fresher_champion(self, champion):
        found = challenge("hill", DAYS, RECIPE, champion=champion)
        assert found.verdict.promote, found.verdict.reason
        assert found.forecaster.trained_through == DAYS.last
        assert list(found.verification.quantiles) == [CHAMPION, CHALLENGER, "persistence", "climatology"]
        # Judged are the days that the champion has not seen, all of them and no other.
        assert found.verification.issued[0] + ONE_DAY == champion.trained_through + ONE_DAY
        assert found.verification.issued[-1] + ONE_DAY == DAYS.last
        assert found.learned is not None

    @pytest.mark.parametrize("known", [True, False])
    def test_guidance_is_among_what_judges(self, champion, known):
        """It is right to half a degree."""
        said = DAYS.next_tmax + np.random.default_rng(5).normal(0, 0.5, len(DAYS))
        days = replace(DAYS, predictors={"guidance": said})
        found = challenge("hill", days, RECIPE, champion=champion if known else None)
        others = ["persistence", "climatology", "guidance", "emos"]
        assert list(found.verification.quantiles)[-4:] == others
        crps = {name: scores.crps for name, scores in found.verification.scores().items()}
        assert crps["emos"] == pytest.approx(0.5 / np.sqrt(np.pi), rel=0.2)
        assert crps["emos"] < crps["guidance"] + 0.02 < crps["persistence"] < crps["climatology"]

    @pytest.mark.parametrize("recipe", [RECIPE, WARM])
    def test_what_judges_has_trained_nothing(self, champion, recipe):
        """Other new days: the challenger that is judged has the same odds and says the same from the first of them."""
        other = changed(DAYS, lambda v: v.__setitem__(slice(1300, 1500), [44.0, 3.0, 99.0]))
        one, two = (
            challenge("hill", days.part(0, 1400), recipe, champion=champion, warm=recipe is WARM)
            for days in (DAYS, other)
        )
        same = slice(0, 90)
        for name in (CHALLENGER, CHAMPION, "persistence", "climatology"):
            np.testing.assert_array_equal(
                one.verification.quantiles[name][same], two.verification.quantiles[name][same]
            )

    def test_a_warm_start_keeps_the_odds_and_the_recipe(self, champion):
        found = challenge("hill", DAYS, WARM, champion=champion, warm=True)
        assert found.verdict.promote, found.verdict.reason
        assert found.learned is None
        assert found.forecaster.odds is champion.odds
        assert found.forecaster.recipe == WARM
        assert found.forecaster.trained_through == DAYS.last
        assert not np.array_equal(found.forecaster.weights["member0.head.W"], champion.weights["member0.head.W"])

    def test_other_networks_cannot_start_warm(self, champion):
        other = msgspec.structs.replace(WARM, hidden=5)
        found = challenge("hill", DAYS, other, champion=champion, warm=True)
        assert found.learned is not None
        assert found.forecaster.recipe == other

    def test_too_few_new_days(self, champion):
        few, enough = (challenge("hill", DAYS.part(0, 1200 + n), RECIPE, champion=champion) for n in (27, MIN_JUDGED))
        assert few.verdict == (False, "too few days that the champion has not seen: 27, 28 are needed to judge")
        assert few.forecaster is few.verification is None
        assert enough.verification is not None

    @pytest.mark.parametrize("gap", [2, 300])
    def test_too_few_days_from_which_the_champion_can_forecast(self, gap):
        """It asks for ten days without a gap, of which there are hardly any or none; the new recipe bridges gaps."""
        strict = msgspec.structs.replace(RECIPE, max_gap=0, min_days=8)
        first = learn("hill", DAYS.part(0, 1200), strict).forecaster
        gappy = changed(DAYS, lambda v: v.__setitem__((slice(1202, 1202 + gap, 7), TMAX), np.nan))
        found = challenge("hill", gappy.part(0, 1240 if gap > 2 else 1230), RECIPE, champion=first)
        assert not found.verdict.promote
        assert found.verification is None
        assert "too few" in found.verdict.reason

    def test_without_a_last_training_a_day_more_makes_nothing_fresher(self):
        """The champion has seen the days that gave its odds, too."""
        recipe = msgspec.structs.replace(RECIPE, refit=False)
        first = learn("hill", DAYS.part(0, 1200), recipe)
        through = first.verification.issued[-1] + ONE_DAY
        assert through > first.forecaster.trained_through
        found = challenge("hill", DAYS.part(0, 1201), recipe, champion=first.forecaster, seen_through=through)
        assert "too few days that the champion has not seen: 1," in found.verdict.reason

    def test_the_first_model_is_judged_by_the_days_held_out(self):
        found = challenge("hill", DAYS, Recipe(members=1))
        assert found.verdict.promote, found.verdict.reason
        assert CHAMPION not in found.verification.quantiles


class TestWhatIsWrongWithARecord:
    """Each is found, with a champion of the true record in place."""

    @staticmethod
    def refused(days, champion):
        found = challenge("hill", days, RECIPE, champion=champion)
        assert not found.verdict.promote
        assert found.forecaster is None
        return found.verdict.reason

    @pytest.mark.parametrize("columns", [[TMAX], [TMAX, TMIN, RAIN]])
    def test_shuffled(self, champion, columns):
        order = np.random.default_rng(0).permutation(len(DAYS))
        shuffled = changed(DAYS, lambda v: v.__setitem__((slice(None), columns), v[order][:, columns]))
        assert "are the days of the record in order?" in self.refused(shuffled, champion)

    def test_shuffled_within_each_month(self, champion):
        """The season is left, and a normal that looks as if today told of tomorrow."""
        month = np.arange(len(DAYS)) // 30
        order = np.lexsort((np.random.default_rng(0).random(len(DAYS)), month))
        shuffled = changed(DAYS, lambda v: v.__setitem__(slice(None), v[order]))
        assert self.refused(shuffled, champion)

    def test_fahrenheit_read_as_celsius(self, champion):
        hot = changed(DAYS, lambda v: v.__setitem__((slice(None), [TMAX, TMIN]), v[:, [TMAX, TMIN]] * 1.8 + 32))
        reason = self.refused(hot, champion)
        assert "not the one that the champion learned from" in reason
        assert "look like degF that were read as degC (--units us)" in reason

    def test_fahrenheit_from_some_day_on(self, champion):
        def hot(v):
            v[1200:, [TMAX, TMIN]] = v[1200:, [TMAX, TMIN]] * 1.8 + 32

        assert "look like degF" in self.refused(changed(DAYS, hot), champion)

    def test_celsius_read_as_fahrenheit(self, champion):
        cold = changed(DAYS, lambda v: v.__setitem__((slice(None), [TMAX, TMIN]), (v[:, [TMAX, TMIN]] - 32) / 1.8))
        assert "look like degC that were read as degF" in self.refused(cold, champion)

    def test_the_last_year_again(self, champion):
        known = DAYS.part(0, 1200)
        repeated = StationDays(known.first, np.concatenate([known.values, known.values[-365:]]))
        found = challenge("hill", repeated, RECIPE, champion=champion)
        assert not found.verdict.promote
        assert "too few days that the champion has not seen" in found.verdict.reason
        assert any(s.reason.startswith("repeats ") for s in found.set_aside)

    def test_of_another_station(self, champion):
        other = changed(DAYS, lambda v: v.__setitem__((slice(None), [TMAX, TMIN]), v[:, [TMAX, TMIN]] + 15))
        assert "not the one that the champion learned from" in self.refused(other, champion)

    def test_without_the_days_that_the_champion_knows(self, champion):
        assert "too few days up to" in self.refused(DAYS.part(1150, 1500), champion)


def test_columns_are_those_of_the_odds():
    """tmin begins with the new days: the odds know nothing of it, so the networks do not look at it yet."""
    late = changed(DAYS, lambda v: v.__setitem__((slice(0, 1100), TMIN), np.nan))
    first = learn("hill", late.part(0, 1200), RECIPE).forecaster
    found = challenge("hill", late, RECIPE, champion=first)
    assert found.verdict.promote, found.verdict.reason
    assert found.forecaster.columns == found.learned.forecaster.columns == ("tmax", "rain")
    assert set(found.forecaster.columns) < set(COLUMNS)
    assert len(usable_rows(late, RECIPE)) > MIN_JUDGED


def test_a_record_that_has_lost_its_guidance_makes_no_champion(guided, days_with_guidance):
    champion = guided.learned.forecaster
    lost = StationDays(days_with_guidance.first, days_with_guidance.values)
    found = challenge("hill", lost, QUICK, champion=champion)
    assert not found.verdict.promote
    assert found.verdict.reason.startswith(
        "the champion looks at guidance, guidance_spread, wind, which the record lacks"
    )


def test_guidance_that_is_new_makes_a_champion_that_corrects_it():
    known = guided_days(600)
    champion = learn("hill", StationDays(known.first, known.values[:540]), QUICK).forecaster
    found = challenge("hill", known, QUICK, champion=champion)
    assert found.verdict.promote
    assert isinstance(found.forecaster, Guided)
    assert set(found.verification.quantiles) >= {"challenger", "champion", "guidance", "emos"}
    later = challenge("hill", guided_days(640), QUICK, champion=found.forecaster)
    assert later.verdict.promote, later.verdict
    assert isinstance(later.forecaster, Guided)
    assert later.forecaster.corrected_through == guided_days(640).last
