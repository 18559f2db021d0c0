"""How a round of retraining is shown: on a terminal, as a page, as metrics and as JSON."""

import io
import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plotly.offline import get_plotlyjs
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from app.manifest import Span
from app.report import retraining, retraining_report
from app.rounds import DECISIONS, Outcome, gain
from models.verification import Scores
from scripts.metrics import Round, outcomes_json, write_metrics
from scripts.tables import MANY, retraining_table, scores_table
from tests.conftest import ROOT
from tests.test_report import Page, minus, traces

BEGAN, SECONDS = datetime(2026, 1, 31, 6, 30, tzinfo=UTC), 723.4
ENDED = BEGAN.timestamp() + SECONDS
JUDGED = Span("2025-01-01", "2025-12-31")


def scores(crps, skill=0.25, skill_climatology=0.4):
    return Scores(
        n=365, mae=1.4 * crps, rmse=1.8 * crps, bias=0.0, skill=skill, crps=crps, coverage_80=0.8, coverage_90=0.9,
        skill_climatology=skill_climatology,
    )  # fmt: skip


def judged(station, decision, challenger, champion=None, reason="as good as, and fresher than, the champion", **given):
    of = {"challenger": scores(challenger), "persistence": scores(2.0, 0.0), "climatology": scores(2.5, -0.2)}
    of |= {"champion": scores(champion)} if champion is not None else {}
    return Outcome(station, decision, reason, champion and "v1", None, JUDGED, of, "cold", 4.2, **given)


# A round with everything: what failed after it was judged kept its scores.
OUTCOMES = [
    judged("seattle", "promoted", 1.35, 1.5, "better than the champion"),
    judged("nome", "promoted", 1.2, reason="better than persistence and climatology"),
    judged("flint", "kept", 1.65, 1.5, "worse than the champion"),
    Outcome("lima", "kept", "too few days", "v1", seconds=0.2),
    Outcome("oslo", "unchanged", "kept before: too few days", "v1"),
    Outcome("bergen", "failed", "bergen.csv: line 3: '45,7' is no number", seconds=0.1),
    judged("quito", "failed", 1.4, 1.5, "No space left on device"),
]


def write(path, outcomes, began):
    """Write the metrics of a round that is a success if no station failed."""
    write_metrics(path, outcomes, began, SECONDS, success=all(o.decision != "failed" for o in outcomes))


def many(n):
    """Of each hundred 60 are kept, 20 promoted, 18 unchanged and 2 failed."""

    def one(k):
        name = f"station-{k:05}"
        if k % 100 < 60:
            return judged(name, "kept", 1.5 + k % 7 / 50, 1.5)
        if k % 100 < 80:
            return judged(name, "promoted", 1.4 - k % 5 / 50, 1.5)
        if k % 100 < 98:
            return Outcome(name, "unchanged", "kept before: neither better nor fresher", "v1")
        return Outcome(name, "failed", "the record is too short", "v1", seconds=0.1)

    return [one(k) for k in range(n)]


def page_of(outcomes, **given):
    return Page(retraining_report(outcomes, BEGAN, SECONDS, **given))


def text_of(page):
    return " ".join(" ".join(page.texts).split())


def printed(outcomes, width=80):
    console = Console(width=width, file=io.StringIO(), soft_wrap=True, markup=False, emoji=False, highlight=False)
    console.print(retraining_table(outcomes))
    return console.file.getvalue()


def metrics_of(path):
    families = text_string_to_metric_families(path.read_text())
    samples = [sample for family in families for sample in family.samples]
    assert all(sample.name.startswith("tmax_retrain_") for sample in samples)
    return {(sample.name.removeprefix("tmax_retrain_"), *sample.labels.values()): sample.value for sample in samples}


@pytest.fixture(scope="module")
def page():
    return page_of(OUTCOMES)


def test_decisions_are_those_of_an_outcome():
    expected = set(get_args(get_type_hints(Outcome)["decision"]))
    assert set(DECISIONS) == set(retraining.ORDER) == set(retraining.COLOURS) == set(retraining.SYMBOLS) == expected


def test_gain_is_what_is_saved_of_the_champions_crps():
    assert [gain(outcome) for outcome in OUTCOMES] == [
        pytest.approx(0.1), None, pytest.approx(-0.1), None, None, None, pytest.approx(1 / 15)
    ]  # fmt: skip


def test_nothing_is_fetched():
    html = retraining_report(OUTCOMES, BEGAN, SECONDS)
    own = html.replace(get_plotlyjs(), "")
    assert html.count(get_plotlyjs()) == 1
    assert '<section class="stations sortable">' in own
    assert Page(html).links == ["#failed"]
    assert not re.search(r"@import|url\(|https?:|//[a-z]", own)
    assert "default-src 'none'" in own


def test_the_same_outcomes_make_the_same_page_in_any_order():
    assert retraining_report(OUTCOMES, BEGAN, SECONDS) == retraining_report(OUTCOMES[::-1], BEGAN, SECONDS)


def test_the_headline(page):
    text = text_of(page)
    assert "7 stations began 2026-01-31 06:30 UTC, took 0:12:03; 4 judged" in text
    assert "2 promoted 2 kept 1 unchanged 2 failed 17 s of processor time" in text
    assert "2.2 % gain in CRPS, mean of 3 judged 10.0 % gain in CRPS, mean of 1 promoted" in text


def test_failures_come_first_with_their_reasons(page):
    failed, stations = page.tables
    assert failed == [["Station", "Reason"], *([o.station, o.reason] for o in (OUTCOMES[5], OUTCOMES[6]))]
    assert [row[:2] for row in stations[1:]] == [
        ["bergen", "failed"], ["quito", "failed"], ["nome", "promoted"], ["seattle", "promoted"],
        ["flint", "kept"], ["lima", "kept"], ["oslo", "unchanged"],
    ]  # fmt: skip


def test_the_table_of_stations(page):
    rows = {station: cells for station, *cells in page.tables[1]}
    assert len({len(row) for row in page.tables[1]}) == 1
    numbers = ["2.10", "2.31", "1.50", "1.65", minus("-10.0 %"), "25.0 %", "40.0 %", "365", "4.2"]
    assert rows["flint"] == ["kept", *numbers, "worse than the champion"]
    assert rows["nome"][1:6] == ["", "1.68", "", "1.20", ""]
    assert rows["lima"] == ["kept", *8 * [""], "0.2", "too few days"]


def test_every_figure_has_the_judged_stations(page):
    assert [name for name, _ in page.figures] == ["crps", "gains", "skills"]
    points = traces(page, "crps")
    assert list(points) == ["failed", "kept", "promoted"]
    assert {name: (trace["x"], trace["y"]) for name, trace in points.items()} == {
        "promoted": ([1.5], [1.35]), "kept": ([1.5], [1.65]), "failed": ([1.5], [1.4])
    }  # fmt: skip
    assert points["kept"]["customdata"] == ["<b>flint</b>: kept<br>worse than the champion"]
    bars = traces(page, "gains")
    assert {name: (trace["x"], trace["y"]) for name, trace in bars.items()} == {
        "promoted": ([0], [10.0]), "failed": ([1], [6.67]), "kept": ([2], [-10.0])
    }  # fmt: skip
    assert dict(page.figures)["gains"]["layout"]["xaxis"]["ticktext"] == ["seattle", "quito", "flint"]
    assert traces(page, "skills")["against persistence"]["y"] == 4 * [25.0]
    assert traces(page, "skills")["against climatology"]["y"] == 4 * [40.0]


def with_guidance(outcome, skill=0.05):
    """The same, beside guidance and the regression on it."""
    of = {name: replace(s, skill_guidance=skill) for name, s in outcome.scores.items()}
    of |= {"guidance": scores(1.6, 0.2), "emos": scores(1.4, 0.3)} if of else {}
    return msgspec.structs.replace(outcome, scores=of)


def test_skill_against_guidance_comes_first(tmp_path):
    outcomes = [
        with_guidance(o, {"seattle": 0.05, "flint": 0.08, "quito": 0.07}.get(o.station, 0.01)) for o in OUTCOMES
    ]
    page = page_of(outcomes)
    head, *rows = page.tables[1]
    at = head.index("Skill against guidance")
    assert head[at : at + 3] == ["Skill against guidance", "Skill against persistence", "Skill against climatology"]
    assert {row[0]: row[at] for row in rows if row[at]} == {
        "quito": "7.0 %", "nome": "1.0 %", "seattle": "5.0 %", "flint": "8.0 %"
    }  # fmt: skip
    skills = traces(page, "skills")
    assert list(skills)[::-1] == ["against guidance", "against persistence", "against climatology"]
    assert skills["against guidance"]["customdata"] == ["flint", "quito", "seattle", "nome"]
    assert skills["against guidance"]["y"] == [8.0, 7.0, 5.0, 1.0]
    figure = dict(page.figures)["skills"]
    assert figure["layout"]["legend"]["traceorder"] == "reversed"
    assert len({trace["marker"]["color"] for trace in skills.values()}) == 3
    text = text_of(page)
    assert "guidance's, persistence's and climatology's; below zero" in text
    assert "sorted by the skill against guidance." in text
    assert {"Guidance", "EMOS"} <= set(page.texts)
    write(tmp_path / "x.prom", outcomes, BEGAN)
    means = {key[1]: value for key, value in metrics_of(tmp_path / "x.prom").items() if key[0] == "skill_ratio"}
    assert means == pytest.approx({"guidance": 0.0525, "persistence": 0.25, "climatology": 0.4})


def test_stations_without_guidance_come_after_those_that_have_some():
    outcomes = [with_guidance(o) if o.station in {"flint", "nome"} else o for o in OUTCOMES]
    page = page_of(outcomes)
    head, *rows = page.tables[1]
    at = head.index("Skill against guidance")
    assert {row[0] for row in rows if row[at]} == {"flint", "nome"}
    assert traces(page, "skills")["against guidance"]["y"] == [5.0, 5.0, None, None]
    assert traces(page, "skills")["against persistence"]["y"] == 4 * [25.0]


def test_without_guidance_nothing_is_said_of_it(page, tmp_path):
    assert "guidance" not in text_of(page).lower()
    assert list(traces(page, "skills")) == ["against climatology", "against persistence"]
    assert "skill vs" not in printed(OUTCOMES)
    write(tmp_path / "x.prom", OUTCOMES, BEGAN)
    assert ("skill_ratio", "guidance") not in metrics_of(tmp_path / "x.prom")


def test_the_terminal_has_one_skill_that_all_stations_have():
    guided = printed([with_guidance(o) for o in OUTCOMES])
    assert max(map(len, guided.splitlines())) <= 80
    assert re.search(r"challenger skill vs *$", guided, re.MULTILINE)
    assert re.search(r"^ flint +2\.10  1\.50 +2\.31  1\.65 +5\.0 % kept +4\.2 worse than the", guided, re.MULTILINE)
    mixed = [with_guidance(o) if o.station == "flint" else o for o in OUTCOMES]
    assert printed(mixed) == printed(OUTCOMES)


def test_a_score_table_with_guidance_has_its_skill_first_and_fits_on_80_columns():
    outcome = with_guidance(OUTCOMES[0], -2.239)

    def shown(of):
        console = Console(width=80, file=io.StringIO(), soft_wrap=True)
        console.print(scores_table("hill", of))
        return console.file.getvalue()

    text = shown(outcome.scores)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert re.search(r"guidance persist\.", text)
    assert re.search(r"^ champion .* -223\.9 % +25\.0 %", text, re.MULTILINE)
    # A station without any leaves its place empty.
    mixed = shown({"hill": outcome.scores["challenger"], "dale": OUTCOMES[0].scores["challenger"]})
    assert re.search(r"^ dale +1\.89 +2\.43 +\+0\.00 +1\.35 {10,}25\.0 %", mixed, re.MULTILINE)
    plain = shown(OUTCOMES[0].scores)
    assert "skill " in plain
    assert "guidance" not in plain


def test_a_far_gain_is_cut_off_and_told_of():
    outcomes = [judged(f"s{k:02}", "kept", 1.5 + k / 1000, 1.5) for k in range(40)]
    assert "range" not in dict(page_of(outcomes).figures)["gains"]["layout"]["yaxis"]
    page = page_of([*outcomes, judged("far", "kept", 15.0, 1.5)])
    low, high = dict(page.figures)["gains"]["layout"]["yaxis"]["range"]
    assert -10 < low < -2.5
    assert high == 0
    assert "beyond which there are 1." in text_of(page)


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: f"{outcome.decision}-{outcome.station}")
def test_one_station(outcome, tmp_path):
    page = page_of([outcome])
    assert page.tables[-1][1][0] == outcome.station
    assert len(page.figures) == (0 if not outcome.scores else 1 if gain(outcome) is None else 3)
    assert "nan" not in text_of(page).lower()
    assert outcome.station in printed([outcome])
    assert json.loads(outcomes_json([outcome], BEGAN, SECONDS))["counts"][outcome.decision] == 1
    write(tmp_path / "one.prom", [outcome], BEGAN)
    assert metrics_of(tmp_path / "one.prom")["stations", outcome.decision] == 1


def test_no_station(tmp_path):
    assert "0 stations" in text_of(page_of([]))
    assert "0 promoted, 0 kept, 0 unchanged, 0 failed; 0 CPU-seconds" in printed([])
    assert msgspec.json.decode(outcomes_json([], BEGAN, SECONDS), type=Round).outcomes == []
    write(tmp_path / "none.prom", [], BEGAN)
    assert metrics_of(tmp_path / "none.prom")["judged_stations",] == 0


def test_where_nothing_was_judged_nothing_is_drawn():
    page = page_of(OUTCOMES[3:6])
    assert page.figures == []
    assert "no challenger was judged" in text_of(page)
    assert "gain in CRPS" not in text_of(page)


def test_perfect_forecasts_are_shown_too():
    page = page_of([judged("flat", "kept", 0.0, 0.0)])
    assert [name for name, _ in page.figures] == ["crps", "gains", "skills"]


# What a page may hold; of white space only some is kept, of control characters none.
odd = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=80).filter(lambda text: text.split())
nasty = st.sampled_from(["</script><b>", "<script>alert(1)</script>", "&lt;", '" onload="x', "[red]", "%{x}", "<!--"])


@settings(max_examples=25)
@given(odd | nasty, odd | nasty)
def test_names_and_reasons_are_escaped(station, reason):
    html = retraining_report(
        [judged(station, "kept", 1.4, 1.5, reason), Outcome(station, "failed", reason)], BEGAN, 1.0
    )
    page = Page(html)
    failed, stations = page.tables
    assert failed[1] == [station, reason]
    assert [(row[0], row[-1]) for row in stations[1:]] == 2 * [(station, reason)]
    own = html.replace(get_plotlyjs(), "")
    assert "<script>alert" not in own
    assert "</script><b>" not in own
    # The plot library reads its texts as HTML of a kind.
    for name in ("crps", "gains"):
        (told,) = traces(page, name)["kept"]["customdata"]
        assert not re.search(r"<(?!/?b>|br>)", told)


def test_a_reason_is_shown_whatever_bytes_a_files_name_has():
    outcome = Outcome("odd", "failed", "\udcff.csv and odd.csv are both of a station 'odd':\n  rename one")
    line = "\\udcff.csv and odd.csv are both of a station 'odd': rename one"
    assert page_of([outcome]).tables[0][1] == ["odd", line]
    assert retraining_report([outcome], BEGAN, SECONDS).encode()
    assert line in printed([outcome], 200)
    assert msgspec.json.decode(outcomes_json([outcome], BEGAN, SECONDS), type=Round).outcomes[0].reason == line


def test_a_thousand_stations_are_shown_in_reasonable_time(tmp_path):
    outcomes = many(1000)
    began = time.process_time()
    html = retraining_report(outcomes, BEGAN, SECONDS)
    text = printed(outcomes)
    outcomes_json(outcomes, BEGAN, SECONDS)
    write(tmp_path / "many.prom", outcomes, BEGAN)
    assert time.process_time() - began < 20
    assert len(html) - len(get_plotlyjs()) < 2e6
    page = Page(html)
    failed, stations = page.tables
    assert (len(failed) - 1, len(stations) - 1) == (20, 1000)
    assert len(traces(page, "skills")["against persistence"]["x"]) == 800
    assert dict(page.figures)["skills"]["layout"]["xaxis"]["showticklabels"] is False
    assert text.count("station-") == 220
    assert (tmp_path / "many.prom").stat().st_size < 5000


def test_of_very_many_stations_a_part_is_drawn(monkeypatch):
    monkeypatch.setattr(retraining, "MOST", 50)
    page = page_of(many(200))
    assert len(page.tables[1]) == 51
    assert len(traces(page, "skills")["against persistence"]["x"]) == 40
    text = text_of(page)
    assert "The first 50 of 200." in text
    assert "Of 160 stations one in 4 is drawn." in text


def test_the_terminal_has_the_numbers_on_80_columns():
    text = printed(OUTCOMES)
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(r"^ flint +2\.10  1\.50 +2\.31  1\.65 +25\.0 % kept +4\.2 worse than the", text, re.MULTILINE)
    assert re.search(r"^ nome +1\.68  1\.20 +25\.0 % promoted +4\.2 better", text, re.MULTILINE)
    assert text.splitlines()[-1] == "2 promoted, 2 kept, 1 unchanged, 2 failed; 17 CPU-seconds"
    order = [
        line.split()[0] for line in text.splitlines() if re.match(r" [a-z]+ .*(kept|promoted|unchanged|failed) ", line)
    ]
    assert order == ["oslo", "flint", "lima", "nome", "seattle", "bergen", "quito"]


def test_a_long_name_leaves_room_for_the_numbers():
    text = printed([judged(64 * "n", "kept", 1.65, 1.5)])
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(r"2\.10  1\.50 +2\.31  1\.65 +25\.0 % kept +4\.2", text)
    assert "…" not in text


def test_of_many_stations_those_that_came_to_nothing_are_counted():
    few, more = printed(many(MANY), 200), printed(many(MANY + 1), 200)
    assert few.count("station-") == MANY
    assert "listed" not in few
    assert more.count("station-") == 22
    assert "61 kept" in more.splitlines()[-1]
    assert more.splitlines()[-2] == "18 unchanged and 61 kept are not listed"


def test_brackets_in_a_reason_are_no_markup():
    assert "[Errno 13] [red]denied" in printed([Outcome("x", "failed", "[Errno 13] [red]denied")], 200)


def test_looking_into_the_store_does_not_wait_for_pandas():
    code = "import sys, scripts.store; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_metrics(tmp_path):
    path = tmp_path / "tmax.prom"
    write(path, OUTCOMES, BEGAN)
    assert metrics_of(path) == pytest.approx({
        ("stations", "promoted"): 2, ("stations", "kept"): 2, ("stations", "unchanged"): 1, ("stations", "failed"): 2,
        ("duration_seconds",): SECONDS, ("cpu_seconds",): 17.1, ("last_run_timestamp_seconds",): ENDED,
        ("judged_stations",): 4, ("skill_ratio", "persistence"): 0.25, ("skill_ratio", "climatology"): 0.4,
        ("compared_stations",): 3, ("crps_celsius", "champion"): 1.5,
        ("crps_celsius", "challenger"): (1.35 + 1.65 + 1.4) / 3, ("gain_ratio",): 1 / 45,
    })  # fmt: skip
    assert [file.name for file in tmp_path.iterdir()] == ["tmax.prom"]


def test_what_was_not_judged_has_no_mean(tmp_path):
    write(tmp_path / "x.prom", OUTCOMES[3:5], BEGAN)
    names = {name for name, *_ in metrics_of(tmp_path / "x.prom")}
    assert not names & {"skill_ratio", "crps_celsius", "gain_ratio"}


def test_the_last_success_outlives_failures(tmp_path):
    path, key = tmp_path / "x.prom", ("last_success_timestamp_seconds",)
    write(path, OUTCOMES, BEGAN)
    assert key not in metrics_of(path)
    write(path, OUTCOMES[:5], BEGAN)
    assert metrics_of(path)[key] == pytest.approx(ENDED)
    for _ in range(2):
        write(path, OUTCOMES, BEGAN + timedelta(days=1))
        assert metrics_of(path)[key] == pytest.approx(ENDED)
        assert metrics_of(path)["last_run_timestamp_seconds",] == pytest.approx(ENDED + 86_400)
    write_metrics(path, OUTCOMES, BEGAN + timedelta(days=2), SECONDS, success=True)
    assert metrics_of(path)[key] == pytest.approx(ENDED + 2 * 86_400)
    write_metrics(path, OUTCOMES[:5], BEGAN + timedelta(days=3), SECONDS, success=False)
    assert metrics_of(path)[key] == pytest.approx(ENDED + 2 * 86_400)


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"tmax_retrain_last_success_timestamp_seconds 1e+e\n"])
def test_a_damaged_file_is_replaced(tmp_path, content):
    path = tmp_path / "x.prom"
    path.write_bytes(content)
    write(path, OUTCOMES, BEGAN)
    assert ("last_success_timestamp_seconds",) not in metrics_of(path)


def test_the_json_has_everything():
    content = outcomes_json(OUTCOMES, BEGAN, SECONDS)
    read = msgspec.json.decode(content, type=Round)
    assert read.outcomes == OUTCOMES
    assert (read.began, read.seconds, read.cpu_seconds, read.units) == (BEGAN, SECONDS, 17.1, "degC")
    plain = json.loads(content)
    assert plain["counts"] == {"promoted": 2, "kept": 2, "unchanged": 1, "failed": 2}
    assert plain["began"] == "2026-01-31T06:30:00Z"
    assert plain["outcomes"][0]["scores"]["challenger"]["crps"] == 1.35
    schema = msgspec.json.schema(Round)["$defs"]
    assert set(schema["Round"]["required"]) == set(Round.__struct_fields__)
    assert {"Outcome", "Scores", "Span"} <= set(schema)
