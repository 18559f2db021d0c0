"""Outcomes of a retraining, one per station, and their totals."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal, get_args

import msgspec

from app.store.manifest import Span
from models.verification import scores
from models.verification.comparison import Scores
from models.verification.promotion import CHALLENGER, CHAMPION

Decision = Literal["promoted", "kept", "unchanged", "failed"]  # in display order
DECISIONS: tuple[Decision, ...] = get_args(Decision)


class Outcome(msgspec.Struct, frozen=True):
    """The outcome of one station."""

    station: str
    decision: Decision  # "unchanged" where the same files were already retrained with the same plan
    reason: str  # on one line
    champion: str | None = None  # version of the champion before
    version: str | None = None  # version promoted in its place
    judged: Span | None = None  # issue dates of the scores
    # of "challenger", "champion", "persistence" and "climatology"; with guidance also of "guidance" and "emos"
    scores: dict[str, Scores] = {}
    retrain: Literal["cold", "warm"] | None = None  # how the challenger was trained
    seconds: float = 0.0  # processor time of the worker


def counts(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Return the number of stations by decision."""
    found: Counter[str] = Counter(outcome.decision for outcome in outcomes)
    return {decision: found[decision] for decision in DECISIONS}


def cpu_seconds(outcomes: Iterable[Outcome]) -> float:
    """Return the total processor time of the workers, s."""
    return sum(outcome.seconds for outcome in outcomes)


def gain(outcome: Outcome) -> float | None:
    """Return the challenger's CRPS skill score against the champion; None where they were not compared."""
    of = outcome.scores
    if CHALLENGER not in of or CHAMPION not in of:
        return None
    return scores.skill(of[CHALLENGER].crps, of[CHAMPION].crps)
