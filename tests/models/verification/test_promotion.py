"""The verdict on a challenger, and the level of its significance test."""

from dataclasses import replace

import numpy as np
import pytest

from models.forecast.distribution import PROBABILITIES
from models.recipe import Recipe
from models.record.days import ONE_DAY
from models.verification.comparison import Comparison
from models.verification.promotion import (
    CHALLENGER,
    CHAMPION,
    EMOS,
    Extent,
    judge,
    lost_days,
    no_better_than_persistence,
)

RECIPE = Recipe(min_skill=0.01, min_new_days=28)
REFERENCES = {"persistence": 3.0, "climatology": 4.0}


def compared(n=60, noise=0.0, **errors):
    """Forecasts with these errors, degC, on every day, and a spread around them."""
    rng = np.random.default_rng(0)
    observed, spread = rng.normal(15, 5, n), np.linspace(-2, 2, len(PROBABILITIES))
    quantiles = {
        name: observed[:, None] + error + noise * rng.normal(size=(n, 1)) + spread for name, error in errors.items()
    }
    return Comparison("hill", CHALLENGER, np.datetime64("2024-01-01") + np.arange(n) * ONE_DAY, observed, quantiles)


def points(**errors):
    """Forecasts without spread, with errors (n,) of their own on each day."""
    (n,) = {len(error) for error in errors.values()}
    quantiles = {name: np.repeat(error[:, None], len(PROBABILITIES), axis=1) for name, error in errors.items()}
    return Comparison("hill", CHALLENGER, np.datetime64("2024-01-01") + np.arange(n) * ONE_DAY, np.zeros(n), quantiles)


@pytest.mark.parametrize(
    ("now", "lost"),
    [
        ((193, 200), True),  # of 7 years
        ((2549, 1000), True),  # guidance: the usable days are those with guidance
        ((1274, 1279), True),
        ((1276, 1279), False),
        ((2600, 2600), False),
    ],
)
def test_a_record_keeps_half_of_the_champions_days(now, lost):
    reason = lost_days(Extent(*now), Extent(2549, 2556))
    assert (reason is not None) == lost
    if lost:
        assert reason == (
            f"the record has lost most of the champion's days: {now[0]} usable days (first to last: {now[1]}) instead "
            "of 2549 (2556)"
        )


@pytest.mark.parametrize(("crps", "promoted"), [(2.9, True), (3.0, False), (3.1, False), (np.nan, False)])
def test_a_first_model_beats_persistence(crps, promoted):
    n = np.ones(60)
    scores = points(challenger=2.0 * n, persistence=3.0 * n, climatology=2.0 * n).scores()
    scores[CHALLENGER] = replace(scores[CHALLENGER], crps=crps)
    reason = no_better_than_persistence(CHALLENGER, scores)
    expected = f"no better than persistence on 60 held-out days: CRPS {crps:.3f} against 3.000 degC"
    assert reason == (None if promoted else expected)


UNSEEN = "on the unseen days"


@pytest.mark.parametrize(
    ("errors", "new_days", "promote", "reason"),
    [
        ({}, 0, True, f"better than persistence and climatology {UNSEEN}"),
        ({"guidance": 1.5, "emos": 1.2}, 0, True, f"better than guidance, persistence and climatology {UNSEEN}"),
        ({"champion": 1.5}, 0, True, f"better than the champion {UNSEEN}: CRPS 0."),
        ({"champion": 1.0}, 28, True, f"as good as the champion {UNSEEN} (CRPS 0."),
        ({"champion": 1.0}, 27, False, "neither 1 % better than the champion nor trained on 28 more days (only 27); "),
        ({"champion": 0.9}, 1000, False, f"worse than the champion {UNSEEN}: CRPS 0."),
        # The references are as hard to beat for the first model as beside a worse champion.
        *(
            ({name: 0.9, **more}, 1000, False, f"worse than {name} {UNSEEN}: CRPS 0.")
            for name in ("guidance", "persistence", "climatology")
            for more in ({}, {"champion": 2.0})
        ),
        *(
            (
                {"guidance": 1.5, "emos": 0.9, **more},
                1000,
                False,
                f"worse than a regression on guidance (EMOS) {UNSEEN}",
            )
            for more in ({}, {"champion": 2.0})
        ),
    ],
)
def test_verdicts_and_their_reasons(errors, new_days, promote, reason):
    verdict = judge(compared(**REFERENCES | {"challenger": 1.0} | errors), RECIPE, new_days)
    assert verdict.promote == promote
    unseen = f"on 60 days that {'neither has' if 'champion' in errors else 'it has not'} seen"
    assert verdict.reason.startswith(reason.replace(UNSEEN, unseen))
    assert ("trained on 28 more days" in verdict.reason) == (new_days in {27, 28})
    assert ("significant at the 95 % level" in verdict.reason) == (
        reason.startswith(("worse than the champion", "worse than a regression"))
    )


def test_the_margin_is_a_share_of_the_champions_crps_and_a_reference_must_be_beaten():
    """Without spread the CRPS is the absolute error: 1 % and a bit better, and a bit less."""
    n = np.ones(60)
    for crps, promote in ((0.9899, True), (0.9901, False)):
        comparison = points(challenger=crps * n, champion=n, persistence=2 * n, climatology=2 * n)
        assert judge(comparison, RECIPE).promote == promote
    equal = points(challenger=n, champion=2 * n, persistence=n, climatology=2 * n)
    assert judge(equal, RECIPE).reason.startswith("worse than persistence")


@pytest.mark.parametrize("name", [EMOS, CHAMPION])
def test_an_insignificant_difference_is_not_worse(name):
    """Of two forecasts with independent errors of the same size, one is a bit worse by chance."""
    references = {"guidance": 6.0, "persistence": 6.0, "climatology": 6.0}
    noisy = compared(noise=2.0, **{CHALLENGER: 0.0, name: 0.0}, **references)
    other = noisy.quantiles | {CHALLENGER: noisy.quantiles[name], name: noisy.quantiles[CHALLENGER]}
    for comparison in (noisy, replace(noisy, quantiles=other)):
        verdict = judge(comparison, RECIPE, new_days=30)
        assert verdict.promote, verdict.reason


@pytest.mark.parametrize("errors", [{}, {"champion": 1.0}, {"guidance": 2.0, "emos": 1.0}])
def test_a_score_that_is_not_a_number_is_not_promoted(errors):
    broken = compared(challenger=1.0, **errors, **REFERENCES)
    broken.quantiles[CHALLENGER][7] = np.nan
    assert not judge(broken, RECIPE, new_days=1000).promote


@pytest.mark.parametrize("alike", [1, 4])
def test_the_significance_test_keeps_its_level(alike):
    """Equal forecasts are called worse in about 5 % of the cases, even where the errors of several days are alike."""
    rng, n, worse = np.random.default_rng(1), 364, 0
    far = np.full(n, 9.0)
    for _ in range(100):
        mine, its = (np.repeat(rng.normal(size=n // alike), alike) for _ in range(2))
        verdict = judge(points(challenger=mine, champion=its, persistence=far, climatology=far), RECIPE, 30)
        worse += "worse than the champion" in verdict.reason
    assert 1 <= worse <= 13  # of independent days, a test would find 20 if 4 are alike
