"""Whether a newly trained model may take the place of the one that is served: judged on days that neither has seen."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import numpy as np

from models import scores
from models.backtest import Forecasting, Learned, Split, learn, least_rows, teaching_rows
from models.baselines import Baseline, baselines
from models.correctors import Pooled
from models.features import Features
from models.forecast import SequenceError
from models.forecaster import Forecaster
from models.formats import Served
from models.guided import Guided
from models.intervals import PROBABILITIES
from models.nn import Array, Parameters
from models.predictors import predictor
from models.quality import set_aside_the_doubtful
from models.recipe import Recipe
from models.sequence import usable_rows
from models.station_days import ONE_DAY, SetAside, StationDays
from models.verification import Verification

# Names in the verification of a challenge, beside those of the baselines.
CHALLENGER, CHAMPION = "challenger", "champion"

# Of these baselines, the regression on guidance: it may be better by chance.
EMOS = "emos"

# A challenger is judged on no fewer days than this.
MIN_JUDGED = 28

# So many of the last days that the champion learned from show whether the record is still the one that it knows.
REMEMBERED = 365

# In every record of weather a day keeps more than this of the anomaly of the day before.
LEAST_PERSISTENCE = 0.15

# Blocks of so many days are resampled: weather, and with it what forecasts get wrong, lasts for some.
BLOCK, RESAMPLES = 7, 2000
CONFIDENCE = 0.95


class Verdict(NamedTuple):
    """Whether to promote a challenger, and why or why not, for a person."""

    promote: bool
    reason: str


@dataclass(frozen=True, eq=False)
class Challenge:
    """What came of a challenge.

    Attributes
    ----------
    forecaster : the challenger, trained on all days, as it would be served; None where it is not to be
    learned : of a cold start, what the odds and their scores came from
    verification : of the judged days, by `CHALLENGER`, `CHAMPION` and the baselines; None where none were judged
    set_aside : values that were doubted, and neither learned from nor judged by
    """

    verdict: Verdict
    forecaster: Forecaster | Guided | None = None
    learned: Learned | None = None
    verification: Verification | None = None
    set_aside: Sequence[SetAside] = ()


def challenge(
    station: str,
    days: StationDays,
    recipe: Recipe,
    seed: int = 0,
    champion: Served | None = None,
    warm: bool = False,
    seen_through: np.datetime64 | None = None,
    start: Sequence[Parameters] = (),
    pooled: Pooled | None = None,
    pooled_before: Pooled | None = None,
) -> Challenge:
    """Train a challenger without the days that the champion has not seen, and let these judge both: see `judge`.

    Where it is to be promoted it is trained again, on all days. Without a champion it is judged by the days that
    `learn` holds out.

    Parameters
    ----------
    warm : begin with the champion's weights and keep its odds, where it has the networks of the recipe and there is no
        guidance, whose correction is always learned anew
    seen_through : the last day that had a part in the champion, in its odds too; that of its weights if not given
    start, pooled : as in `learn`, of a cold start
    pooled_before : the same, learned without the days that the champion has not seen

    Raises
    ------
    ValueError : where the record is too short
    FloatingPointError : where the recipe makes the training diverge
    """
    believed, set_aside = set_aside_the_doubtful(days)
    rows = usable_rows(believed, recipe)

    seen = np.ones(len(rows), bool)
    if champion:
        through = max(champion.trained_through, seen_through or champion.trained_through)
        seen = np.asarray(believed.dates[rows] + ONE_DAY <= through)
    old, new = rows[seen], rows[~seen]
    if reason := _why_not(believed, old, new, champion):
        return Challenge(Verdict(False, reason), set_aside=set_aside)
    learned: Learned | None
    if champion is None:
        learned = learn(station, days, recipe, seed, None, start, pooled)
        model, *others = learned.verification.quantiles.items()
        judged = replace(learned.verification, quantiles={CHALLENGER: model[1], **dict(others)})
        verdict = judge(judged, recipe)
        return Challenge(verdict, learned.forecaster if verdict.promote else None, learned, judged, set_aside)

    guided = teaching_rows(believed)
    challenger: Forecaster | Guided
    if warm and isinstance(champion, Forecaster) and champion.has_networks_of(recipe) and not len(guided):
        learned, odds, start = None, champion.odds, champion.members
        made = msgspec.structs.replace(recipe, epochs=recipe.warm_epochs, learning_rate=recipe.warm_learning_rate)
        columns = champion.columns
        challenger = replace(Forecaster.fit(believed, old, made, seed, None, start, columns), odds=odds)
    else:
        learned = learn(station, days.part(0, int(old[-1]) + 2), recipe, seed, None, start, pooled_before)
        made, challenger = recipe, learned.forecaster
        odds, columns = challenger.station_only.odds, challenger.columns
    judged = _verified(believed, new, champion, {CHALLENGER: challenger, **_beside(believed, old)})
    if len(judged.observed) < MIN_JUDGED:
        reason = f"the champion can forecast from too few days that it has not seen: {len(judged.observed)}"
        return Challenge(Verdict(False, reason), set_aside=set_aside)
    split = Split.chronological(rows, least_rows(believed))
    training = rows if recipe.refit else split.training
    fresher = int((believed.dates[training[-1]] + ONE_DAY - champion.trained_through) / ONE_DAY)
    verdict = judge(judged, recipe, fresher)
    if not verdict.promote:
        verdict = Verdict(False, verdict.reason + _unit(champion, believed, new))
        return Challenge(verdict, None, learned, judged, set_aside)
    final = Forecaster.fit(believed, training, made, seed, None, start, columns)
    final = replace(final, recipe=recipe, odds=odds)
    if not isinstance(challenger, Guided):
        return Challenge(verdict, final, learned, judged, set_aside)
    begin = pooled.whole if pooled and pooled.fits(tuple(days.predictors), recipe) else None
    taught = guided if recipe.refit else split.with_guidance(guided).training
    corrected = Guided.fit(believed, taught, final, seed, None, begin)
    return Challenge(verdict, corrected, learned, judged, set_aside)


def judge(judged: Verification, recipe: Recipe, fresher: int = 0) -> Verdict:
    """Decide by the continuous ranked probability score (CRPS) of the judged days.

    A challenger that loses to guidance as it is, to persistence or to climatology is not promoted, nor one that is
    worse than a plain regression on guidance (EMOS) or than the champion with 95 % confidence. Of the others one is
    promoted that is better by the recipe's margin, or as much fresher as it asks.

    Parameters
    ----------
    judged : by `CHALLENGER`, "persistence" and "climatology", by "guidance" and "emos" where there is guidance, and by
        `CHAMPION` where there is one
    fresher : how many days the challenger would know that the champion does not
    """
    crps = {
        name: scores.crps_of_days(quantiles, PROBABILITIES, judged.observed)
        for name, quantiles in judged.quantiles.items()
    }
    mean = {name: float(of_days.mean()) for name, of_days in crps.items()}
    on = f"on {len(judged.observed)} days that it has not seen"
    for name in judged.references:
        if not mean[CHALLENGER] < mean[name]:  # of what is not a number neither is said
            return Verdict(False, f"loses to {name} {on}: CRPS {mean[CHALLENGER]:.2f} against {mean[name]:.2f} degC")
    no_chance = f"which is no chance ({100 * CONFIDENCE:.0f} %)"
    if EMOS in mean and not _least(crps[CHALLENGER] - crps[EMOS]) <= 0:
        against = f"CRPS {mean[CHALLENGER]:.2f} against {mean[EMOS]:.2f} degC {on}, {no_chance}"
        return Verdict(False, f"worse than a regression on guidance (EMOS): {against}")
    if CHAMPION not in mean:
        *others, last = judged.references
        return Verdict(True, f"better than {', '.join(others)} and {last} {on}")
    against = f"CRPS {mean[CHALLENGER]:.2f} against the champion's {mean[CHAMPION]:.2f} degC {on}"
    better = scores.skill(mean[CHALLENGER], mean[CHAMPION])
    if not _least(crps[CHALLENGER] - crps[CHAMPION]) <= 0:
        return Verdict(False, f"worse than the champion: {against}, {no_chance}")
    if better >= recipe.better or fresher >= recipe.fresher:
        merit = "better than" if better >= recipe.better else f"as good as, and {fresher} days fresher than,"
        return Verdict(True, f"{merit} the champion: {against}")
    margins = f"better by {100 * recipe.better:g} % nor fresher by {recipe.fresher} days ({fresher})"
    return Verdict(False, f"neither {margins}: {against}")


def _why_not(days: StationDays, old: Array, new: Array, champion: Served | None) -> str | None:  # noqa: PLR0911
    """Return why nothing is to be trained on these rows; None where nothing speaks against it."""
    if len(old) and Features.fit(days, old).persistence < LEAST_PERSISTENCE:
        return "one day says next to nothing of the next: are the days of the record in order?"
    if champion is None:
        return None
    lacking = [name for name in champion.predictors if np.isnan(predictor(days, name)).all()]
    if lacking:
        return (
            f"the champion looks at {', '.join(lacking)}, which the record lacks: was --guidance or --predictors "
            "forgotten? --force promotes a model that does without"
        )
    if len(new) < MIN_JUDGED:
        return f"too few days that the champion has not seen: {len(new)}, {MIN_JUDGED} are needed to judge"
    least = least_rows(days)
    if len(old) < least:
        return f"too few days up to {champion.trained_through}, the champion's last: {len(old)}, {least} are needed"
    # A champion that loses to persistence or climatology on days that it has learned from has learned from others.
    known = _verified(days, old[-REMEMBERED:], champion, _beside(days, old))
    if not len(known.observed):
        return "the champion can make no forecast from the days that it has learned from"
    of = known.scores()
    for name in ("persistence", "climatology"):
        if of[CHAMPION].mae > of[name].mae:
            return (
                f"the record is not the one that the champion learned from: from {known.issued[0]} to "
                f"{known.issued[-1]} it is wrong by {of[CHAMPION].mae:.1f} degC now, {name} by "
                f"{of[name].mae:.1f}{_unit(champion, days, old)}"
            )
    return None


def _beside(days: StationDays, rows: Array) -> dict[str, Baseline]:
    split = Split.chronological(rows, least_rows(days))
    return {
        name: baseline.calibrated(days, split.held_out) for name, baseline in baselines(days, split.training).items()
    }


def _verified(days: StationDays, rows: Array, champion: Served, others: Mapping[str, Forecasting]) -> Verification:
    """Return what all say of the ``rows`` from which the champion, which may be of another recipe, can forecast."""
    forecasts = {}
    for row in rows.tolist():
        with suppress(SequenceError):
            forecasts[row] = champion.predict(days.part(0, row + 1)).odds.quantiles
    rows = np.array(list(forecasts), int)
    quantiles = {name: other.quantiles(days, rows) for name, other in others.items()}
    quantiles = {CHAMPION: np.reshape(list(forecasts.values()), (-1, len(PROBABILITIES))), **quantiles}
    return Verification("", days.dates[rows], days.next_tmax[rows], quantiles)


def _unit(champion: Served, days: StationDays, rows: Array) -> str:
    """Return a guess at what happened to the record."""
    if not isinstance(champion, Forecaster | Guided):
        return ""
    normal = float(champion.station_only.features.tmax.on(days.dates[rows])[0].mean())
    warmer = float(days.tmax[rows].mean()) - normal
    if abs(warmer - (0.8 * normal + 32)) < 0.2 * abs(warmer):
        return "; its temperatures look like degF that were read as degC (--units us)"
    if abs(warmer - ((normal - 32) / 1.8 - normal)) < 0.2 * abs(warmer):
        return "; its temperatures look like degC that were read as degF (--units metric)"
    return ""


def _least(difference: Array) -> float:
    """Return the lower confidence bound of the mean of a series (n,), by the circular block bootstrap.

    References
    ----------
    Politis and Romano (1992), A circular block-resampling procedure for stationary data.
    """
    n = len(difference)
    rng = np.random.default_rng(0)  # the same days give the same verdict
    first = rng.integers(0, n, (RESAMPLES, -(-n // BLOCK)))
    # The sum of a block is read off the running sum of the series and its beginning, once more.
    running = np.concatenate([[0.0], np.cumsum(np.concatenate([difference, difference[:BLOCK]]))])
    means = (running[first + BLOCK] - running[first]).mean(axis=1) / BLOCK
    return float(np.quantile(means, 1 - CONFIDENCE))
