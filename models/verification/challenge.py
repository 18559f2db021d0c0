"""A challenge: compare champion and challenger on days that neither has seen, then train the challenger on all days."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from models.forecast.distribution import PROBABILITIES
from models.forecast.features import Features
from models.forecast.guidance.shared import SharedCorrector
from models.forecast.saved import Forecaster
from models.forecast.setup import Setup
from models.forecast.station import StationForecaster
from models.nn import Array
from models.record.columns import from_celsius, quantity, to_celsius
from models.record.days import ONE_DAY, StationDays
from models.record.quality import SetAside, set_aside_suspect
from models.record.quality.steps import Step, lasting_step
from models.record.sequence import SequenceError
from models.record.split import MIN_ROWS, cut, final_rows, guidance_rows, min_rows, n_usable, usable_rows
from models.verification.baselines import Baseline, baselines
from models.verification.comparison import Comparison
from models.verification.promotion import CHALLENGER, CHAMPION, Extent, Verdict, judge, lost_days
from models.verification.trial import Probabilistic, Trial, retrained

MIN_JUDGED_DAYS = 28  # a challenger is judged on no fewer days
RECHECKED_DAYS = 365  # last days seen by the champion, to check that the record is still the same
MIN_PERSISTENCE = 0.15  # share of a tmax anomaly that remains on the next day; higher in every real record


@dataclass(frozen=True, eq=False)
class Champion:
    """The served model."""

    model: Forecaster
    held_out_through: np.datetime64  # last issue date of its calibration
    extent: Extent | None = None  # of the record that trained it

    @property
    def seen_through(self) -> np.datetime64:
        """The last day whose tmax was used in training or calibration."""
        return max(self.model.trained_through, self.held_out_through + ONE_DAY)

    def can_continue(self, days: StationDays, setup: Setup) -> bool:
        """Whether warm retraining is possible: networks that fit the recipe and the record, recently calibrated."""
        recipe, model = setup.recipe, self.model
        return (
            recipe.retrain == "warm"
            and isinstance(model, StationForecaster)
            and model.recipe.same_calibration(recipe)
            and not len(guidance_rows(days))
            and not any(np.isnan(days.column(name)).all() for name in model.features.columns)
            and bool(days.last - self.held_out_through <= recipe.calibration_days * ONE_DAY)
        )


@dataclass(frozen=True, eq=False)
class Challenge:
    """The outcome of a challenge."""

    verdict: Verdict
    set_aside: Sequence[SetAside] = ()  # suspect values, left out of training and comparison
    model: Forecaster | None = None  # the challenger, trained on all days; None where it is not promoted
    retrain: Literal["cold", "warm"] | None = None  # how it was trained; None where nothing was
    trial: Trial | None = None  # source of the calibration and its scores; None unless cold
    comparison: Comparison | None = None  # on the judged days; None where there were none
    step: Step | None = None  # lasting step of tmax in the record


def challenge(
    station: str,
    days: StationDays,
    setup: Setup,
    champion: Champion | None = None,
    shared_before: SharedCorrector | None = None,
) -> Challenge:
    """Train and judge a challenger; if it is to be promoted, train it on all days.

    Without a champion it is judged on the held-out days of its trial. ``shared_before`` is the setup's shared corrector
    fitted without the days that the champion has not seen.

    Raises ValueError where the record is too short or cannot be believed; FloatingPointError where the recipe makes the
    training diverge.
    """
    clean, set_aside = set_aside_suspect(days)
    found = _judged(station, days, clean, setup, champion, shared_before)
    return replace(found, set_aside=set_aside, step=lasting_step(clean))


def _judged(
    station: str,
    days: StationDays,
    clean: StationDays,
    setup: Setup,
    champion: Champion | None,
    shared_before: SharedCorrector | None,
) -> Challenge:
    """Judge a challenger as `challenge` does; ``clean`` are the ``days`` without suspect values."""
    rows = usable_rows(clean, setup.recipe)
    if reason := _out_of_order(clean, rows, champion):
        return Challenge(Verdict(False, reason))
    if champion is None:
        return _first_model(station, days, setup)
    if champion.extent:
        extent = Extent(n_usable(clean, setup.recipe), len(clean))
        if reason := lost_days(extent, champion.extent):
            return Challenge(Verdict(False, f"{reason}; if it is meant to be so short, use --force"))
    seen = clean.dates[rows] + ONE_DAY <= champion.seen_through
    old, new = rows[seen], rows[~seen]
    if reason := _not_comparable(clean, old, new, champion):
        return Challenge(Verdict(False, reason))
    trial, trial_model = None, champion.model
    if warm := champion.can_continue(clean, setup):
        setup = replace(setup, stage="warm")
        challenger = retrained(champion.model, clean.part(0, int(old[-1]) + 2), setup)
    else:
        trial = Trial.run(station, days.part(0, int(old[-1]) + 2), replace(setup, shared=shared_before))
        trial_model, challenger = trial.model, trial.final()
    comparison = _compared(station, clean, new, champion.model, {CHALLENGER: challenger, **_calibrated(clean, old)})
    if (n := len(comparison.observed)) < MIN_JUDGED_DAYS:
        reason = f"the champion can forecast too few of the new days: {n}; at least {MIN_JUDGED_DAYS} are needed"
        return Challenge(Verdict(False, reason))
    through = clean.dates[max(of_part[-1] for of_part in final_rows(clean, setup.recipe) if len(of_part))] + ONE_DAY
    verdict = judge(comparison, setup.recipe, int((through - champion.model.trained_through) / ONE_DAY))
    model = retrained(trial_model, clean, setup) if verdict.promote else None
    if not verdict.promote:
        verdict = Verdict(False, verdict.reason + _unit_hint(champion.model, clean, new))
    return Challenge(verdict, (), model, "warm" if warm else "cold", trial, comparison)


def _first_model(station: str, days: StationDays, setup: Setup) -> Challenge:
    """Judge the first model of a station on the held-out days of its trial."""
    trial = Trial.run(station, days, setup)
    held_out = trial.comparison
    quantiles = {CHALLENGER if name == held_out.model else name: q for name, q in held_out.quantiles.items()}
    comparison = replace(held_out, model=CHALLENGER, quantiles=quantiles)
    verdict = judge(comparison, setup.recipe)
    model = trial.final() if verdict.promote else None
    return Challenge(verdict, (), model, "cold", trial, comparison)


def _out_of_order(days: StationDays, rows: Array, champion: Champion | None) -> str | None:
    """Return a message if the days of the record seem to be out of order, else None."""
    if champion:
        rows = rows[days.dates[rows] + ONE_DAY <= champion.seen_through]
    if len(rows) >= min_rows(days) and Features.fit(days, rows).persistence < MIN_PERSISTENCE:
        return "tmax hardly depends on the previous day's tmax: check that the days of the record are in order"
    return None


def _not_comparable(days: StationDays, old: Array, new: Array, champion: Champion) -> str | None:
    """Return a message if a challenger cannot be compared with the champion, else None."""
    model = champion.model
    missing = [n for n in model.columns if not quantity(n) and np.isnan(days.column(n)).all()]
    if missing:
        return (
            f"the champion uses {', '.join(missing)}, which the record lacks: add --guidance or --columns, or use "
            "--force to promote a model without it"
        )
    if len(new) < MIN_JUDGED_DAYS:
        return f"too few days are new to the champion: {len(new)}; at least {MIN_JUDGED_DAYS} are needed"
    least = min_rows(days.part(0, int(old[-1]) + 2)) if len(old) else MIN_ROWS
    if len(old) < least:
        return (
            f"too few days up to the champion's last, {champion.seen_through}: {len(old)}; at least {least} are needed"
        )
    # A champion that loses to persistence or climatology on its own training days was trained on a different record.
    known = _compared("", days, old[-RECHECKED_DAYS:], model, _calibrated(days, old))
    if not len(known.observed):
        return "the champion can forecast none of its training days"
    of = known.scores()
    for name in ("persistence", "climatology"):
        if of[CHAMPION].mae > of[name].mae:
            hint = _unit_hint(model, days, old) or "; is it another station's?"
            return (
                f"the record does not match the one that trained the champion: from {known.issued[0]} to "
                f"{known.issued[-1]} the champion's mean absolute error is {of[CHAMPION].mae:.1f} degC, that of {name} "
                f"{of[name].mae:.1f}{hint}"
            )
    return None


def _calibrated(days: StationDays, rows: Array) -> dict[str, Baseline]:
    """Return the baselines, fitted to ``rows`` and calibrated as in a trial."""
    training, held_out = cut(rows)
    return {name: baseline.calibrated(days, held_out) for name, baseline in baselines(days, training).items()}


def _compared(
    station: str, days: StationDays, rows: Array, champion: Forecaster, others: Mapping[str, Probabilistic]
) -> Comparison:
    """Compare all on the ``rows`` that the champion, perhaps of another recipe, can forecast from."""
    forecasts = {}
    for row in rows.tolist():
        with suppress(SequenceError):
            forecasts[row] = champion.predict(days.part(0, row + 1)).distribution.quantiles
    rows = np.array(list(forecasts), int)
    quantiles = {CHAMPION: np.reshape(list(forecasts.values()), (-1, len(PROBABILITIES)))}
    quantiles |= {name: other.quantiles(days, rows) for name, other in others.items()}
    model = CHALLENGER if CHALLENGER in others else CHAMPION
    return Comparison(station, model, days.dates[rows], days.next_tmax[rows], quantiles)


def _unit_hint(champion: Forecaster, days: StationDays, rows: Array) -> str:
    """Return a hint if the record seems to be read in the wrong units, else an empty string."""
    normal = float(champion.station_only.features.normal.on(days.dates[rows])[0].mean())
    found = float(days.tmax[rows].mean()) - normal
    if abs(found - (from_celsius(normal, "us") - normal)) < 0.2 * abs(found):
        return "; its temperatures look like degF read as degC (--units us)"
    if abs(found - (to_celsius(normal, "us") - normal)) < 0.2 * abs(found):
        return "; its temperatures look like degC read as degF (--units metric)"
    return ""
