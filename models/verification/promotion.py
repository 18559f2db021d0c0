"""The verdict: whether to promote a challenger, judged on days that neither it nor the champion has seen."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from models.forecast.distribution import PROBABILITIES
from models.nn import Array
from models.recipe import Recipe
from models.verification import scores
from models.verification.comparison import Comparison, Scores

# Names in the comparison of a challenge, beside those of the baselines.
CHALLENGER, CHAMPION = "challenger", "champion"
EMOS = "emos"  # the only baseline that a promoted challenger need not beat; it must not be significantly worse

# The significance test resamples blocks of days, as forecast errors are autocorrelated.
BLOCK_DAYS, RESAMPLES, CONFIDENCE = 7, 2000, 0.95

# A record with a smaller share of the champion's days has lost most of them. Where each year's file holds that year and
# the last, half of the days are gone on 1 January; a window of always ten years loses none.
KEPT_SHARE = 0.5


class Extent(NamedTuple):
    """How long a record is."""

    usable: int  # days used for training and scores; of a model with guidance, those with guidance
    calendar: int  # days from the first to the last


class Verdict(NamedTuple):
    """Whether to promote a challenger, and the reason."""

    promote: bool
    reason: str


def judge(comparison: Comparison, recipe: Recipe, new_days: int = 0) -> Verdict:
    """Decide by the continuous ranked probability score (CRPS) on the judged days.

    A challenger is not promoted if it is worse than raw guidance, persistence or climatology, or significantly worse
    than a regression on guidance (EMOS) or the champion. Otherwise it is promoted if there is no champion, if its CRPS
    is lower by the recipe's ``min_skill``, or if it is trained on ``min_new_days`` more days.

    Parameters
    ----------
    comparison : of `CHALLENGER`, the baselines, and `CHAMPION` if there is one
    new_days : how many more days the challenger is trained on
    """
    crps = {
        name: scores.crps_by_day(quantiles, PROBABILITIES, comparison.observed)
        for name, quantiles in comparison.quantiles.items()
    }
    mean = {name: float(by_day.mean()) for name, by_day in crps.items()}
    unseen = "neither has seen" if CHAMPION in mean else "it has not seen"
    on = f"on {len(comparison.observed)} days that {unseen}"

    def against(name: str) -> str:
        return f"CRPS {mean[CHALLENGER]:.3f} against {mean[name]:.3f} degC"

    for name in comparison.references:
        if not mean[CHALLENGER] < mean[name]:  # nan is no reason to promote
            return Verdict(False, f"worse than {name} {on}: {against(name)}")
    for name, called in ((EMOS, "a regression on guidance (EMOS)"), (CHAMPION, "the champion")):
        if name in mean and not _lower_bound(crps[CHALLENGER] - crps[name]) <= 0:
            significant = f"significant at the {100 * CONFIDENCE:.0f} % level"
            return Verdict(False, f"worse than {called} {on}: {against(name)}, {significant}")
    if CHAMPION not in mean:
        *others, last = comparison.references
        return Verdict(True, f"better than {', '.join(others)} and {last} {on}")
    if scores.skill(mean[CHALLENGER], mean[CHAMPION]) >= recipe.min_skill:
        return Verdict(True, f"better than the champion {on}: {against(CHAMPION)}")
    if new_days >= recipe.min_new_days:
        return Verdict(True, f"as good as the champion {on} ({against(CHAMPION)}), and trained on {new_days} more days")
    improved = f"{100 * recipe.min_skill:g} % better than the champion"
    newer = f"trained on {recipe.min_new_days} more days (only {new_days})"
    return Verdict(False, f"neither {improved} nor {newer}; {on}: {against(CHAMPION)}")


def lost_days(now: Extent, before: Extent) -> str | None:
    """Return a message if a record has lost most of the one that trained the champion, else None."""
    if all(n >= KEPT_SHARE * of_champion for n, of_champion in zip(now, before, strict=True)):
        return None
    return (
        f"the record has lost most of the champion's days: {now.usable} usable days (first to last: {now.calendar}) "
        f"instead of {before.usable} ({before.calendar})"
    )


def no_better_than_persistence(model: str, scores: Mapping[str, Scores]) -> str | None:
    """Return a message if the CRPS of a model is not below that of persistence on the held-out days, else None."""
    own, persistence = scores[model], scores["persistence"]
    if own.crps < persistence.crps:  # not for nan
        return None
    crps = f"CRPS {own.crps:.3f} against {persistence.crps:.3f} degC"
    return f"no better than persistence on {own.n} held-out days: {crps}"


def _lower_bound(difference: Array) -> float:
    """Return the lower confidence bound of the mean of a series (n,) by the circular block bootstrap.

    Reference: Politis and Romano (1992), A circular block-resampling procedure for stationary data.
    """
    n = len(difference)
    rng = np.random.default_rng(0)  # the same days give the same verdict
    first = rng.integers(0, n, (RESAMPLES, -(-n // BLOCK_DAYS)))
    # The sum of a block is the difference of two running sums; the series is continued circularly.
    running = np.concatenate([[0.0], np.cumsum(np.resize(difference, n + BLOCK_DAYS))])
    means = (running[first + BLOCK_DAYS] - running[first]).mean(axis=1) / BLOCK_DAYS
    return float(np.quantile(means, 1 - CONFIDENCE))
