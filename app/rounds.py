"""A round of retraining in numbers: how many stations came to what, and what the challengers were better by."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal, get_args

import msgspec

from app.manifest import Span
from models import scores
from models.challenge import CHALLENGER, CHAMPION
from models.verification import Scores

# In the order in which they are told.
Decision = Literal["promoted", "kept", "unchanged", "failed"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)


class Outcome(msgspec.Struct, frozen=True):
    """What came of a station.

    Attributes
    ----------
    decision : "unchanged" where the same record was retrained before, by the same plan
    champion, version : what was the champion before, and what took its place
    judged, scores : the issue days on which "challenger", "champion", "persistence" and "climatology" were compared,
        with "guidance" and "emos" where there is guidance
    start : how the challenger began
    seconds : of a worker's processor
    """

    station: str
    decision: Decision
    reason: str
    champion: str | None = None
    version: str | None = None
    judged: Span | None = None
    scores: dict[str, Scores] = {}
    start: Literal["cold", "warm"] | None = None
    seconds: float = 0.0


def counts(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Return the number of stations by decision."""
    found: Counter[str] = Counter(outcome.decision for outcome in outcomes)
    return {decision: found[decision] for decision in DECISIONS}


def cpu_seconds(outcomes: Iterable[Outcome]) -> float:
    """Return the workers' processor time, s."""
    return sum(outcome.seconds for outcome in outcomes)


def gain(outcome: Outcome) -> float | None:
    """Return the share of the champion's CRPS that its challenger saves; None where they were not compared."""
    of = outcome.scores
    if CHALLENGER not in of or CHAMPION not in of:
        return None
    return scores.skill(of[CHALLENGER].crps, of[CHAMPION].crps)


def reason(outcome: Outcome) -> str:
    """Return the reason on one line; bytes of a file's name that are no text, which nothing can write, are escaped."""
    return " ".join(outcome.reason.encode(errors="backslashreplace").decode().split())
