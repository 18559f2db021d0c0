"""A retraining as JSON, and as a Prometheus text file for the textfile collector of node_exporter."""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import fmean

import msgspec
from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from app.training.outcomes import Outcome, counts, cpu_seconds, gain
from models.record.columns import TEMPERATURE
from models.verification.comparison import REFERENCES
from models.verification.promotion import CHALLENGER, CHAMPION

LAST_SUCCESS = "tmax_retrain_last_success_timestamp_seconds"


class RetrainingResult(msgspec.Struct, frozen=True):
    """The JSON file of a retraining."""

    began: datetime
    seconds: float  # wall-clock time
    cpu_seconds: float  # processor time of the workers
    counts: dict[str, int]  # decision -> stations
    units: str  # of the scores
    outcomes: list[Outcome]
    dry_run: bool = False  # whether the store was left unchanged


def outcomes_json(outcomes: Sequence[Outcome], began: datetime, seconds: float, dry_run: bool = False) -> bytes:
    """Return a retraining as JSON; `RetrainingResult` is its schema."""
    result = RetrainingResult(
        began=began,
        seconds=round(seconds, 3),
        cpu_seconds=round(cpu_seconds(outcomes), 3),
        counts=counts(outcomes),
        units=TEMPERATURE.metric,
        outcomes=list(outcomes),
        dry_run=dry_run,
    )
    return msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n"


def write_metrics(path: Path, outcomes: Sequence[Outcome], began: datetime, seconds: float, *, success: bool) -> None:
    """Write the metrics of a retraining, replacing those of the previous one.

    There is no station label: Prometheus does not suit labels with thousands of values. Means are over the stations
    that have the score, and omitted where none has.

    Parameters
    ----------
    path : node_exporter reads only names ending in .prom
    success : if False, the time of the last success is carried over from the replaced file
    """
    registry = CollectorRegistry()

    def gauge(name: str, what: str, value: float) -> None:
        Gauge(f"tmax_retrain_{name}", what, registry=registry).set(value)

    def gauges(name: str, what: str, label: str, values: dict[str, float]) -> None:
        labelled = Gauge(f"tmax_retrain_{name}", what, [label], registry=registry)
        for of, value in values.items():
            labelled.labels(of).set(value)

    gauges("stations", "Stations in the last retraining, by decision.", "decision", dict(counts(outcomes)))
    gauge("duration_seconds", "Duration of the last retraining.", seconds)
    gauge("cpu_seconds", "CPU time of the workers in the last retraining.", cpu_seconds(outcomes))
    ended = began.timestamp() + seconds
    gauge("last_run_timestamp_seconds", "When the last retraining ended, successful or not.", ended)
    last_success = ended if success else _last_success(path)
    if last_success is not None:
        Gauge(LAST_SUCCESS, "When the last successful retraining ended.", registry=registry).set(last_success)

    judged = [outcome.scores for outcome in outcomes if CHALLENGER in outcome.scores]
    gauge("judged_stations", "Stations in the last retraining with a judged challenger.", len(judged))
    if judged:
        skills = [scores[CHALLENGER].skills for scores in judged]
        known = {name: [of[name] for of in skills if name in of] for name in REFERENCES}
        what = "Skill against the reference, 1 - MAE / MAE of the reference, mean over the judged challengers."
        gauges("skill_ratio", what, "reference", {name: fmean(values) for name, values in known.items() if values})

    compared = [(outcome.scores, saved) for outcome in outcomes if (saved := gain(outcome)) is not None]
    gauge("compared_stations", "Stations with a challenger judged against a champion.", len(compared))
    if compared:
        crps = {name: fmean(scores[name].crps for scores, _ in compared) for name in (CHAMPION, CHALLENGER)}
        gauges("crps_celsius", "CRPS on the judged days, mean over the compared stations.", "model", crps)
        what = "Gain, 1 - CRPS of the challenger / CRPS of the champion, mean over the compared stations."
        gauge("gain_ratio", what, fmean(saved for _, saved in compared))
    write_to_textfile(str(path), registry)


def _last_success(path: Path) -> float | None:
    """Return the time of the last success in a metrics file, s."""
    try:
        found = re.search(rf"^{LAST_SUCCESS} ([0-9.e+]+)$", path.read_text(errors="replace"), re.MULTILINE)
        return float(found[1]) if found else None
    except (OSError, ValueError):
        return None
