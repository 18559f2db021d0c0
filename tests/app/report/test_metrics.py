"""A retraining as JSON, and as a Prometheus text file."""

import json
from datetime import timedelta

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.report.metrics import RetrainingResult, outcomes_json, write_metrics
from tests.app.report.outcomes import BEGAN, OUTCOMES, SECONDS, many, with_guidance

ENDED = BEGAN.timestamp() + SECONDS
LAST_SUCCESS = ("last_success_timestamp_seconds",)


def written(path, outcomes, days=0, success=None):
    """Write the metrics, by default as a success if no station failed; return them by name and label."""
    if success is None:
        success = all(outcome.decision != "failed" for outcome in outcomes)
    write_metrics(path, outcomes, BEGAN + timedelta(days), SECONDS, success=success)
    families = text_string_to_metric_families(path.read_text())
    samples = [sample for family in families for sample in family.samples]
    assert all(sample.name.startswith("tmax_retrain_") for sample in samples)
    return {(sample.name.removeprefix("tmax_retrain_"), *sample.labels.values()): sample.value for sample in samples}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tmax.prom"


def test_metrics_sum_up_the_outcomes(path):
    assert written(path, OUTCOMES) == pytest.approx({
        ("stations", "promoted"): 2, ("stations", "kept"): 2, ("stations", "unchanged"): 1, ("stations", "failed"): 2,
        ("duration_seconds",): SECONDS, ("cpu_seconds",): 17.1, ("last_run_timestamp_seconds",): ENDED,
        ("judged_stations",): 4, ("skill_ratio", "persistence"): 0.25, ("skill_ratio", "climatology"): 0.4,
        ("compared_stations",): 3, ("crps_celsius", "champion"): 1.5,
        ("crps_celsius", "challenger"): (1.35 + 1.65 + 1.4) / 3, ("gain_ratio",): 1 / 45,
    })  # fmt: skip
    assert [file.name for file in path.parent.iterdir()] == ["tmax.prom"]
    written(path, many(1000))
    assert path.stat().st_size < 5000


def test_means_are_over_the_stations_that_have_the_score(path):
    found = written(path, list(map(with_guidance, OUTCOMES)))
    means = {key[1]: value for key, value in found.items() if key[0] == "skill_ratio"}
    assert means == pytest.approx({"guidance": 0.2 / 3, "persistence": 0.25, "climatology": 0.4})
    for outcomes in (OUTCOMES[3:5], []):
        found = written(path, outcomes)
        assert found["judged_stations",] == found["compared_stations",] == 0
        assert not {name for name, *_ in found} & {"skill_ratio", "crps_celsius", "gain_ratio"}


def test_last_success_outlives_failures(path):
    assert LAST_SUCCESS not in written(path, OUTCOMES)
    assert written(path, OUTCOMES[:5])[LAST_SUCCESS] == pytest.approx(ENDED)
    for _ in range(2):
        found = written(path, OUTCOMES, days=1)
        assert found[LAST_SUCCESS] == pytest.approx(ENDED)
        assert found["last_run_timestamp_seconds",] == pytest.approx(ENDED + 86_400)
    # A failed station may be within what the caller allows, and a failure may be another than a station's.
    assert written(path, OUTCOMES, days=2, success=True)[LAST_SUCCESS] == pytest.approx(ENDED + 2 * 86_400)
    assert written(path, OUTCOMES[:5], days=3, success=False)[LAST_SUCCESS] == pytest.approx(ENDED + 2 * 86_400)


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"tmax_retrain_last_success_timestamp_seconds 1e+e\n"])
def test_damaged_file_is_replaced(path, content):
    path.write_bytes(content)
    assert LAST_SUCCESS not in written(path, OUTCOMES)


def test_json_has_everything():
    content = outcomes_json(OUTCOMES, BEGAN, SECONDS)
    read = msgspec.json.decode(content, type=RetrainingResult)
    assert read.outcomes == OUTCOMES
    assert (read.began, read.seconds, read.cpu_seconds, read.units) == (BEGAN, SECONDS, 17.1, "degC")
    plain = json.loads(content)
    assert plain["counts"] == {"promoted": 2, "kept": 2, "unchanged": 1, "failed": 2}
    assert plain["began"] == "2026-01-31T06:30:00Z"
    assert plain["outcomes"][0]["scores"]["challenger"]["crps"] == 1.35
    assert msgspec.json.decode(outcomes_json([], BEGAN, SECONDS), type=RetrainingResult).outcomes == []
