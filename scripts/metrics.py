"""A round of retraining for machines: as JSON, and as a text file of metrics for Prometheus's node_exporter."""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import fmean

import msgspec
from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from app.rounds import Outcome, counts, cpu_seconds, gain, reason
from models.challenge import CHALLENGER, CHAMPION
from models.station_days import UNIT_NAMES
from models.verification import REFERENCES

LAST_SUCCESS = "tmax_retrain_last_success_timestamp_seconds"


class Round(msgspec.Struct, frozen=True):
    """What the JSON file holds.

    Attributes
    ----------
    seconds, cpu_seconds : how long the round took, and its workers' processor time
    counts : stations by decision
    units : of the scores
    """

    began: datetime
    seconds: float
    cpu_seconds: float
    counts: dict[str, int]
    units: str
    outcomes: list[Outcome]


def outcomes_json(outcomes: Sequence[Outcome], began: datetime, seconds: float) -> bytes:
    """Return a round as JSON; `Round` is its schema."""
    written = Round(
        began=began,
        seconds=round(seconds, 3),
        cpu_seconds=round(cpu_seconds(outcomes), 3),
        counts=counts(outcomes),
        units=UNIT_NAMES["metric"]["tmax"],
        outcomes=[msgspec.structs.replace(outcome, reason=reason(outcome)) for outcome in outcomes],
    )
    return msgspec.json.format(msgspec.json.encode(written), indent=1) + b"\n"


def write_metrics(path: Path, outcomes: Sequence[Outcome], began: datetime, seconds: float, *, success: bool) -> None:
    """Write the metrics of a round, in the place of those of the round before.

    There are none by station: a label of so many values is more than Prometheus is made for. Means are over the
    stations that have them, and where none has, they are left out.

    Parameters
    ----------
    path : node_exporter reads those that end in .prom
    success : whether the round was one; if not, the time of the last success is that of the file that is replaced
    """
    registry = CollectorRegistry()

    def gauge(name: str, value: float, what: str) -> None:
        Gauge(f"tmax_retrain_{name}", what, registry=registry).set(value)

    def gauges(name: str, label: str, values: dict[str, float], what: str) -> None:
        labelled = Gauge(f"tmax_retrain_{name}", what, [label], registry=registry)
        for of, value in values.items():
            labelled.labels(of).set(value)

    found = counts(outcomes)
    gauges("stations", "decision", dict(found), "Stations of the last round by what came of them.")
    gauge("duration_seconds", seconds, "How long the last round took.")
    gauge("cpu_seconds", cpu_seconds(outcomes), "Processor time of the workers in the last round.")
    ended = began.timestamp() + seconds
    gauge("last_run_timestamp_seconds", ended, "When the last round ended, a success or not.")
    last_success = ended if success else _last_success(path)
    if last_success is not None:
        Gauge(LAST_SUCCESS, "When the last round ended that was a success.", registry=registry).set(last_success)

    judged = [outcome.scores for outcome in outcomes if CHALLENGER in outcome.scores]
    gauge("judged_stations", len(judged), "Stations of the last round whose challengers were judged.")
    if judged:
        all_skills = [scores[CHALLENGER].skills for scores in judged]
        skills = {name: [skills[name] for skills in all_skills if name in skills] for name in REFERENCES}
        means = {name: fmean(values) for name, values in skills.items() if values}
        what = "Share of the reference's mean absolute error that a judged challenger saves, mean."
        gauges("skill_ratio", "reference", means, what)

    compared = [(outcome.scores, saved) for outcome in outcomes if (saved := gain(outcome)) is not None]
    gauge(
        "compared_stations",
        len(compared),
        "Stations of the last round whose challengers were judged beside a champion.",
    )
    if compared:
        crps = {name: fmean(scores[name].crps for scores, _ in compared) for name in (CHAMPION, CHALLENGER)}
        gauges("crps_celsius", "model", crps, "CRPS on the judged days, mean of the compared stations.")
        what = "Share of the champion's CRPS that its challenger saves, mean of the compared stations."
        gauge("gain_ratio", fmean(saved for _, saved in compared), what)
    write_to_textfile(str(path), registry)


def _last_success(path: Path) -> float | None:
    """Return the last success that a file with metrics knows of."""
    try:
        found = re.search(rf"^{LAST_SUCCESS} ([0-9.e+]+)$", path.read_text(errors="replace"), re.MULTILINE)
        return float(found[1]) if found else None
    except (OSError, ValueError):
        return None
