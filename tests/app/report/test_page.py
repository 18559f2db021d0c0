"""The backtest report as a page: self-contained, escaped, and its text true to the numbers."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from app.report.page import backtest_report
from app.report.style import DARK
from tests.app.report.pages import Page, check_self_contained, comparison, percent, with_guidance

FIGURES = ["timeline", "months", "years", "density", "reliability", "pit"]


def test_page_is_one_file_that_fetches_nothing(one, html, monkeypatch):
    monkeypatch.setattr("app.report.page.get_plotlyjs", get_plotlyjs)
    check_self_contained(html, backtest_report([one], title="Flint <2021>"))


def test_page_of_one_station_has_all_figures_and_no_overview(page):
    assert (page.names, page.links) == (FIGURES, [])
    for _, figure in page.figures:
        assert figure["data"]
        assert figure["layout"]["yaxis"]["title"]["text"]
    assert len(page.tables) == 2
    assert page.texts.count("Flint <2021>") == 2  # title and heading
    assert not {"Stations", "Guidance", "EMOS"} & set(page.texts)


def test_headline_and_captions_state_the_scores(guided, guided_page):
    """Guidance comes first among the references."""
    scores, text = guided.scores()["gru"], guided_page.text
    assert "800 days from 2019-06-02 to 2021-08-09, forecast one day ahead by gru" in text
    assert f"{scores.mae:.2f} °C mean absolute error" in text
    assert f"{percent(scores.within[1])} within 2 °C {percent(scores.coverage_80)} inside the 80 % interval" in text
    found = re.findall(r"([\d.]+ %) (smaller|larger) errors than (\w+)", text)
    assert found == [
        (percent(abs(skill)), "smaller" if skill >= 0 else "larger", name) for name, skill in scores.skills.items()
    ]
    assert list(scores.skills) == ["guidance", "persistence", "climatology"]
    assert "smaller than guidance's, persistence's and climatology's; negative where it is larger" in text
    assert {"Guidance", "EMOS"} <= set(guided_page.texts)


def test_several_stations_are_linked_from_an_overview():
    """A station without guidance has an empty cell in its column; errors may be larger than those of a reference."""
    worse = comparison(60, "Bare", seed=1)
    worse = replace(worse, quantiles=worse.quantiles | {"gru": worse.quantiles["persistence"] + 3})
    parts = [with_guidance(comparison(60, "Guided")), worse, comparison(60, "Third", seed=2)]
    page = Page(backtest_report(parts))
    assert page.links == ["#station-1", "#station-2", "#station-3"]
    assert page.names == 3 * FIGURES
    overview, of = page.rows(0), [part.scores()["gru"] for part in parts]
    columns = ["Skill against guidance", "Skill against persistence", "Skill against climatology"]
    assert page.tables[0][0][3:6] == columns
    for part, scores in zip(parts, of, strict=True):
        row = overview[part.station]
        assert (row["Days"], row["MAE,\xa0°C"], row["CRPS,\xa0°C"]) == ("60", f"{scores.mae:.2f}", f"{scores.crps:.2f}")
        shown = [percent(scores.skills[name]) if name in scores.skills else "" for name in ("guidance", "persistence")]
        assert [row[name] for name in columns[:2]] == shown
        assert [row["Within 2\xa0°C"], row["80\xa0% interval: coverage"]] == [
            percent(share) for share in (scores.within[1], scores.coverage_80)
        ]
    assert f"{percent(-of[1].skill)} larger errors than persistence" in page.text
    assert "Skill against guidance" not in Page(backtest_report(parts[1:])).tables[0][0]
    assert re.findall(r'<section id="([^"]*)"', backtest_report(parts)) == [link[1:] for link in page.links]


def test_names_are_escaped():
    """Names of stations and forecasters may hold markup."""
    name = '<script>alert(1)</script> & "Søn\'s"'
    part = comparison(40, name)
    renamed = {f"{k}</script><b>" if k in {"gru", "ridge"} else k: q for k, q in part.quantiles.items()}
    odd = replace(part, model="gru</script><b>", quantiles=renamed)
    html = backtest_report([odd, part], title=name)
    page = Page(html)
    assert "<script>alert" not in html
    assert "</script><b>" not in html
    assert page.texts.count(name) == 6  # title, heading, and of each station a link and a heading
    assert page.tables[1][0][1] == "gru</script><b>"
    assert page.names == 2 * FIGURES
    # The plot library reads its own texts as a kind of HTML.
    assert not any("<b>" in trace.get("name", "") for _, figure in page.figures for trace in figure["data"])


@pytest.mark.parametrize("n", [1, 2, 25])
def test_few_days_are_enough(n):
    page = Page(backtest_report([comparison(n, first="2023-12-31")]))
    assert page.names == FIGURES
    assert page.tables[1][0] == ["Score", "All days", "Dec-Feb"]
    assert page.traces("timeline")["observed"]["mode"] == "lines+markers"
    assert "nan" not in page.text.lower()


def test_nothing_to_report_is_refused():
    with pytest.raises(ValueError, match="nothing to report: no station was backtested"):
        backtest_report([])
    with pytest.raises(ValueError, match="nothing to report for Flint: it has no days"):
        backtest_report([comparison(3).part(np.arange(0))])


def test_a_station_of_13_years_adds_less_than_a_megabyte():
    """Values of float32 are written with two decimals, not with all their digits."""
    assert len(backtest_report([comparison(5000, dtype=np.float32)])) < 700_000


def test_colours_to_replace_on_a_dark_screen_are_used(html):
    own = html.replace(json.dumps(DARK), "")
    assert all(own.count(f'"{colour}"') for colour in DARK)
