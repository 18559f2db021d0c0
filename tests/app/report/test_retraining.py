"""The retraining report as a page: every outcome, and the scores of the challengers."""

import re
import time
from typing import get_args, get_type_hints

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plotly.offline import get_plotlyjs

from app.report import retraining
from app.report.retraining import retraining_report
from app.training.outcomes import DECISIONS, Outcome, gain
from tests.app.report.outcomes import BEGAN, BY_NAME, OUTCOMES, SECONDS, judged, many, with_guidance
from tests.app.report.pages import Page, check_self_contained, minus


def page_of(outcomes):
    return Page(retraining_report(list(outcomes), BEGAN, SECONDS))


@pytest.fixture(scope="module")
def page():
    return page_of(OUTCOMES)


def test_every_decision_has_a_place_a_colour_and_a_symbol():
    expected = set(get_args(get_type_hints(Outcome)["decision"]))
    assert set(DECISIONS) == set(retraining.ORDER) == set(retraining.COLOURS) == set(retraining.SYMBOLS) == expected


def test_page_is_one_file_that_fetches_nothing(monkeypatch):
    """The same for outcomes in any order."""
    html = retraining_report(OUTCOMES[::-1], BEGAN, SECONDS)
    monkeypatch.setattr("app.report.page.get_plotlyjs", get_plotlyjs)
    check_self_contained(html, retraining_report(OUTCOMES, BEGAN, SECONDS))


def test_headline_counts_the_outcomes_and_averages_the_gains(page):
    assert [gain(outcome) for outcome in OUTCOMES] == [
        pytest.approx(0.1), None, pytest.approx(-0.1), None, None, None, pytest.approx(1 / 15)
    ]  # fmt: skip
    began = "7 stations started 2026-01-31 06:30 UTC, took 0:12:03; "
    assert f"{began}4 challengers judged on held-out days, 3 of them against a champion" in page.text
    assert "2 promoted 2 kept 1 unchanged 2 failed 17 s of CPU time" in page.text
    assert "2.2 % mean gain in CRPS (3 compared) 10.0 % mean gain in CRPS (1 promoted)" in page.text


def test_tables_have_failures_first_and_the_scores_of_each_station(page):
    failed, (head, *rows) = page.tables
    assert failed == [["Station", "Reason"], *([name, BY_NAME[name].reason] for name in ("bergen", "quito"))]
    assert [row[0] for row in rows] == ["bergen", "quito", "nome", "seattle", "flint", "lima", "oslo"]
    assert {len(row) for row in rows} == {len(head)}
    table = {row[0]: row[1:] for row in rows}
    numbers = ["2.10", "2.31", "1.50", "1.65", minus("-10.0 %"), "25.0 %", "40.0 %", "365", "4.2"]
    assert table["flint"] == ["kept", *numbers, "worse than the champion"]
    assert table["nome"][1:6] == ["", "1.68", "", "1.20", ""]
    assert table["lima"] == ["kept", *8 * [""], "0.2", "too few days"]
    assert "guidance" not in page.text.lower()


def test_figures_show_the_judged_stations(page):
    assert page.names == ["crps", "gains", "skills"]
    points = page.traces("crps")
    assert list(points) == ["failed", "kept", "promoted"]
    assert {name: (trace["x"], trace["y"]) for name, trace in points.items()} == {
        "promoted": ([1.5], [1.35]), "kept": ([1.5], [1.65]), "failed": ([1.5], [1.4])
    }  # fmt: skip
    assert points["kept"]["customdata"] == ["<b>flint</b>: kept<br>worse than the champion"]
    bars = page.traces("gains")
    assert {name: (trace["x"], trace["y"]) for name, trace in bars.items()} == {
        "promoted": ([0], [10.0]), "failed": ([1], [6.67]), "kept": ([2], [-10.0])
    }  # fmt: skip
    assert page.layout("gains")["xaxis"]["ticktext"] == ["seattle", "quito", "flint"]
    skills = page.traces("skills")
    assert {name: trace["y"] for name, trace in skills.items()} == {
        "against climatology": 4 * [40.0], "against persistence": 4 * [25.0]
    }  # fmt: skip


def test_skill_against_guidance_comes_first_where_there_is_guidance():
    """Stations without guidance come after those that have some."""
    page = page_of(map(with_guidance, OUTCOMES))
    head = page.tables[1][0]
    at = head.index("Skill against guidance")
    assert head[at : at + 3] == ["Skill against guidance", "Skill against persistence", "Skill against climatology"]
    shown = {station: row["Skill against guidance"] for station, row in page.rows(1).items()}
    assert {station: text for station, text in shown.items() if text} == {
        "quito": "7.0 %", "seattle": "5.0 %", "flint": "8.0 %"
    }  # fmt: skip
    skills = page.traces("skills")
    assert list(skills)[::-1] == ["against guidance", "against persistence", "against climatology"]
    assert skills["against guidance"]["customdata"] == ["flint", "quito", "seattle", "nome"]
    assert skills["against guidance"]["y"] == [8.0, 7.0, 5.0, None]
    assert skills["against persistence"]["y"] == 4 * [25.0]
    assert page.layout("skills")["legend"]["traceorder"] == "reversed"
    assert len({trace["marker"]["color"] for trace in skills.values()}) == 3
    assert "smaller than guidance's, persistence's and climatology's; negative where it was larger" in page.text
    assert "Stations are sorted by skill against guidance." in page.text
    assert {"Guidance", "EMOS"} <= set(page.texts)


def test_far_gains_are_cut_off_and_counted():
    outcomes = [judged(f"s{k:02}", "kept", 1.5 + k / 1000, 1.5) for k in range(40)]
    low, high = page_of(outcomes).layout("gains")["yaxis"]["range"]
    assert low == pytest.approx(1.05 * -2.6)  # the largest loss, 39 / 1500
    page = page_of([*outcomes, judged("far", "kept", 15.0, 1.5)])
    low, high = page.layout("gains")["yaxis"]["range"]
    assert -10 < low < -2.6
    assert high == 0
    assert f"Bars are cut off at {-low:.0f} %; 1 exceed it." in page.text


@pytest.mark.parametrize("names", ["", "bergen lima oslo", "nome", "flint", "perfect"])
def test_figures_without_challengers_are_left_out(names):
    known = BY_NAME | {"perfect": judged("perfect", "kept", 0.0, 0.0)}
    page = page_of(known[name] for name in names.split())
    n, n_figures = len(names.split()), {"nome": 1, "flint": 3, "perfect": 3}.get(names, 0)
    assert page.names == ["crps", "gains", "skills"][3 - n_figures :]
    assert f"{n} station{'' if n == 1 else 's'} started" in page.text
    assert ("no challenger was judged" in page.text) == (n_figures == 0)
    assert ("mean gain in CRPS" in page.text) == (n_figures == 3)
    assert [row[0] for table in page.tables[-1:] for row in table[1:]] == names.split()
    assert "nan" not in page.text.lower()


# Text that a page may hold: runs of white space become one space, and control characters are not allowed.
ODD = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=80).filter(lambda text: text.split())


@settings(max_examples=15)
@given(ODD, ODD)
@example("</script><b>", "<script>alert(1)</script>")
@example('" onload="x', "&lt;<!--")
def test_names_and_reasons_are_escaped(station, reason):
    html = retraining_report(
        [judged(station, "kept", 1.4, 1.5, reason), Outcome(station, "failed", reason)], BEGAN, 1.0
    )
    page, line = Page(html), " ".join(reason.split())
    failed, stations = page.tables
    assert failed[1] == [station, line]
    assert [(row[0], row[-1]) for row in stations[1:]] == 2 * [(station, line)]
    assert "<script>alert" not in html
    assert "</script><b>" not in html
    # The plot library reads its texts as HTML of a kind.
    for name in ("crps", "gains"):
        (about,) = page.traces(name)["kept"]["customdata"]
        assert not re.search(r"<(?!/?b>|br>)", about)


def test_a_thousand_stations_make_a_light_page():
    began = time.process_time()
    html = retraining_report(many(1000), BEGAN, SECONDS)
    page = Page(html)
    assert time.process_time() - began < 20
    assert len(html) < 2e6
    failed, stations = page.tables
    assert (len(failed) - 1, len(stations) - 1) == (20, 1000)
    assert len(page.traces("skills")["against persistence"]["x"]) == 800
    assert page.layout("skills")["xaxis"]["showticklabels"] is False


def test_tables_are_cut_off_and_figures_thinned_beyond_a_limit(monkeypatch):
    monkeypatch.setattr(retraining, "MOST", 50)
    page = page_of(many(200))
    assert len(page.tables[1]) == 51
    assert len(page.traces("skills")["against persistence"]["x"]) == 40
    assert "Showing the first 50 of 200." in page.text
    assert "One in 4 of 160 stations is shown." in page.text
