"""Outcomes of a retraining: one of each kind, and very many."""

from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from app.store.manifest import Span
from app.training.outcomes import Outcome
from models.verification.comparison import Scores

BEGAN, SECONDS = datetime(2026, 1, 31, 6, 30, tzinfo=UTC), 723.4
JUDGED = Span("2025-01-01", "2025-12-31")


def scores(crps, skill=0.25, skill_climatology=0.4, skill_guidance=None):
    return Scores(
        n=365, mae=1.4 * crps, rmse=1.8 * crps, bias=0.0, skill=skill, crps=crps, coverage_80=0.8, coverage_90=0.9,
        skill_climatology=skill_climatology, standard_deviation=1.8 * crps, percentiles=[-3.0, -1.0, 0.0, 1.0, 3.0],
        within=[0.4, 0.7, 0.9], missed=0.02, interval_score_80=6 * crps, pit=[0.1] * 10, skill_guidance=skill_guidance,
    )  # fmt: skip


def judged(station, decision, challenger, champion=None, reason="as good as the champion", **more):
    of = {"challenger": scores(challenger), "persistence": scores(2.0, 0.0), "climatology": scores(2.5, -0.2)}
    of |= {"champion": scores(champion)} if champion is not None else {}
    return Outcome(station, decision, reason, champion and "v1", None, JUDGED, of, "cold", 4.2, **more)


# All kinds: a station that failed after it was judged has scores.
OUTCOMES = [
    judged("seattle", "promoted", 1.35, 1.5, "better than the champion"),
    judged("nome", "promoted", 1.2, reason="better than persistence and climatology"),
    judged("flint", "kept", 1.65, 1.5, "worse than the champion"),
    Outcome("lima", "kept", "too few days", "v1", seconds=0.2),
    Outcome("oslo", "unchanged", "already kept: too few days", "v1"),
    Outcome("bergen", "failed", "bergen.csv: line 3: '45,7' is not a number", seconds=0.1),
    judged("quito", "failed", 1.4, 1.5, "No space left on device"),
]
BY_NAME = {outcome.station: outcome for outcome in OUTCOMES}


SKILL = {"seattle": 0.05, "flint": 0.08, "quito": 0.07}


def with_guidance(outcome, skill=SKILL):
    """Add guidance to the scores, and the ``skill`` against it, of the stations that it names."""
    if outcome.station not in skill:
        return outcome
    of = {name: replace(s, skill_guidance=skill[outcome.station]) for name, s in outcome.scores.items()}
    of |= {"guidance": scores(1.6, 0.2), "emos": scores(1.4, 0.3)}
    return msgspec.structs.replace(outcome, scores=of)


def many(n):
    """Of each hundred stations 60 are kept, 20 promoted, 18 unchanged and 2 failed."""

    def one(k):
        name = f"station-{k:05}"
        if k % 100 < 60:
            return judged(name, "kept", 1.5 + k % 7 / 50, 1.5)
        if k % 100 < 80:
            return judged(name, "promoted", 1.4 - k % 5 / 50, 1.5)
        if k % 100 < 98:
            return Outcome(name, "unchanged", "already kept: as good as the champion", "v1")
        return Outcome(name, "failed", "the record is too short", "v1", seconds=0.1)

    return [one(k) for k in range(n)]
