import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from app.report import backtest_report
from app.report.style import DARK
from models import scores
from models.intervals import PROBABILITIES
from models.verification import Verification

FIGURES = ["timeline", "months", "years", "density", "reliability", "pit"]
VOID = {"meta", "br", "img", "link", "input", "hr"}


def verification(n=800, station="Flint", first="2019-06-01", seed=0, dtype=float):
    """Odds that are right for the model, and wider ones for the baselines."""
    rng = np.random.default_rng(seed)
    issued = np.datetime64(first, "D") + np.arange(n)
    usual = 12 - 12 * np.cos(2 * np.pi * issued.astype(int) / 365.25)
    signal = rng.normal(0, 3, n)
    observed = (usual + signal + rng.normal(0, 2, n)).round(1)
    spread = np.quantile(rng.normal(size=20_000), PROBABILITIES)
    quantiles = {
        "gru": (usual + signal)[:, None] + 2 * spread,
        "persistence": np.roll(observed, 1)[:, None] + 5 * spread,
        "climatology": usual[:, None] + 3.6 * spread,
        "ridge": (usual + 0.8 * signal)[:, None] + 2.1 * spread,
    }
    return Verification(station, issued, observed.astype(dtype), {k: q.astype(dtype) for k, q in quantiles.items()})


class Page(HTMLParser):
    """The page as a browser sees it, without the library of the plots."""

    def __init__(self, html):
        super().__init__()
        self.open, self.links, self.figures, self.tables, self.texts = [], [], [], [], []
        self.feed(html.replace(get_plotlyjs(), ""))
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [value for key, value in attrs.items() if key in {"src", "href", "srcset", "action", "data"}]
        if tag not in VOID:
            self.open.append((tag, attrs))
        if tag == "figure":
            self.figures.append([attrs["class"], None])
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in {"th", "td"}:
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        tags = [tag for tag, _ in self.open]
        if tags and self.open[-1][1].get("type") == "application/json":
            self.figures[-1][1] = json.loads(data)
        elif tags and tags[-1] not in {"script", "style"}:
            self.texts.append(data)
        if {"th", "td"} & set(tags):
            self.tables[-1][-1][-1] += data


def traces(page, name):
    return {trace["name"]: trace for trace in dict(page.figures)[name]["data"] if "name" in trace}


@pytest.fixture(scope="module")
def one():
    return verification()


@pytest.fixture(scope="module")
def html(one):
    return backtest_report([one], title="Flint <2021>")


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_nothing_is_fetched(html, page):
    assert html.count(get_plotlyjs()) == 1
    own = html.replace(get_plotlyjs(), "")
    assert page.links == []
    assert not re.search(r"@import|url\(|https?:|//[a-z]", own)
    assert "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:" in own


def test_the_same_days_make_the_same_page(one, html):
    assert backtest_report([one], title="Flint <2021>") == html


def test_every_figure_is_there_and_has_data(page):
    assert [name for name, _ in page.figures] == FIGURES
    for _, figure in page.figures:
        assert figure["data"]
        assert figure["layout"]["yaxis"]["title"]["text"]


def test_a_station_alone_has_no_overview(page):
    assert len(page.tables) == 2
    assert "Stations" not in page.texts
    assert "Flint <2021>" in page.texts


def minus(text):
    return text.replace("-", "\N{MINUS SIGN}")


def test_the_table_has_every_score_of_every_forecaster(one, page):
    head, *rows = page.tables[0]
    table = {label: dict(zip(head[1:], cells, strict=True)) for label, *cells in rows}
    assert head == ["Score", "gru", "persistence", "climatology", "ridge"]
    reference = {name: scores.mean_absolute_error(one.points[name], one.observed) for name in one.quantiles}
    for name, point in one.points.items():
        both = point, one.observed
        low, high = one.interval(name, 0.8)
        shares = {
            "Skill against persistence": scores.skill(reference[name], reference["persistence"]),
            "Skill against climatology": scores.skill(reference[name], reference["climatology"]),
            "Within 1 °C": scores.share_within(*both, 1.0),
            "Within 2 °C": scores.share_within(*both, 2.0),
            "Within 3 °C": scores.share_within(*both, 3.0),
            "Missed by 5 °C or more": scores.share_missed_by(*both, 5.0),
            "80 % range: coverage": scores.coverage(low, high, one.observed),
            "90 % range: coverage": scores.coverage(*one.interval(name, 0.9), one.observed),
        }
        degrees = {
            "MAE, °C": reference[name],
            "RMSE, °C": scores.root_mean_squared_error(*both),
            "Standard deviation of errors, °C": scores.error_standard_deviation(*both),
            "CRPS, °C": scores.crps_from_quantiles(one.quantiles[name], PROBABILITIES, one.observed),
            "80 % range: mean width, °C": float((high - low).mean()),
        }
        expected = {label: minus(f"{100 * value:z.1f} %") for label, value in shares.items()}
        expected |= {label: f"{value:.2f}" for label, value in degrees.items()}
        shown = {label: cells[name] for label, cells in table.items()}
        bias = shown.pop("Bias, °C")
        assert shown == expected
        assert float(bias.replace("\N{MINUS SIGN}", "-")) == pytest.approx(scores.bias(*both), abs=0.006)


def test_the_season_table_has_the_models_scores(one, page):
    head, days, mae, *_ = page.tables[1]
    assert head == ["Score", "All days", "Dec-Feb", "Mar-May", "Jun-Aug", "Sep-Nov"]
    parts = [one, *one.seasons().values()]
    assert days == ["Days", *(f"{len(part.issued)}" for part in parts)]
    expected = [scores.mean_absolute_error(part.points["gru"], part.observed) for part in parts]
    assert mae == ["MAE, °C", *(f"{value:.2f}" for value in expected)]


def test_the_best_of_a_row_is_bold(html):
    rows = dict(re.findall(r'<th scope="row">([^<]*)</th>(.*?)</tr>', html.split("<details>", 1)[0]))
    assert rows["MAE, °C"].startswith("<td><strong>")
    assert rows["MAE, °C"].count("<strong>") == 1
    assert "<strong>" not in rows["80 % range: mean width, °C"]


def test_the_timeline_begins_with_the_last_year(one, page):
    figure = dict(page.figures)["timeline"]
    last = one.issued[-1] + 1
    assert figure["layout"]["xaxis"]["range"] == [str(last - 365), str(last + 1)]
    assert figure["layout"]["xaxis"]["rangeslider"]["range"] == [str(one.issued[0] + 1), str(last + 1)]
    lines = traces(page, "timeline")
    assert lines["observed"]["x"] == [str(day) for day in one.issued + 1]
    assert lines["observed"]["y"] == one.observed.tolist()
    assert lines["forecast"]["y"] == one.points["gru"].round(2).tolist()
    low, high = one.interval("gru", 0.8)
    assert lines["forecast"]["customdata"][0] == minus(f"{low[0]:.1f} to {high[0]:.1f}")


def test_days_without_a_forecast_break_the_lines(one):
    page = Page(backtest_report([one.part(np.r_[0:300, 303:500, 600:800])]))
    lines = traces(page, "timeline")
    assert [i for i, y in enumerate(lines["observed"]["y"]) if y is None] == [497]
    band = dict(page.figures)["timeline"]["data"][0]
    assert [i for i, y in enumerate(band["y"]) if y is None] == [2 * 497]
    assert len(band["x"]) == len(band["y"])


def with_guidance(v, seed=9):
    """Beside the others guidance that is 0.6 degC too warm, and the regression on it that is not."""
    rng = np.random.default_rng(seed)
    spread = np.quantile(rng.normal(size=20_000), PROBABILITIES)
    said = v.observed + rng.normal(0, 2.2, len(v.issued))
    return replace(
        v, quantiles=v.quantiles | {"guidance": said[:, None] + 0.6 + spread, "emos": said[:, None] + spread}
    )


@pytest.fixture(scope="module")
def guided(one):
    return Page(backtest_report([with_guidance(one)]))


def test_guidance_comes_first(one, guided):
    """In the headline, in the table of the scores, in that of the seasons, and among the skills by year."""
    v = with_guidance(one)
    mae = {name: scores.mean_absolute_error(v.points[name], v.observed) for name in v.quantiles}
    expected = {name: minus(f"{100 * scores.skill(mae[name], mae['guidance']):.1f} %") for name in v.quantiles}
    text = " ".join(" ".join(guided.texts).split())
    found = re.findall(r"(\S+ %) smaller errors than (\w+)", text)
    assert [name for _, name in found] == ["guidance", "persistence", "climatology"]
    assert found[0][0] == expected["gru"]
    skills = ["Skill against guidance", "Skill against persistence", "Skill against climatology"]
    head, *rows = guided.tables[0]
    assert head == ["Score", "gru", "persistence", "climatology", "ridge", "guidance", "emos"]
    assert dict(zip(head[1:], rows[4][1:], strict=True)) == expected
    for table in guided.tables:
        assert [row[0] for row in table if row[0].startswith("Skill")] == skills
    bars = traces(guided, "years")
    assert list(bars) == ["against guidance", "against persistence", "against climatology"]
    part = v.part((v.issued + 1).astype("M8[Y]") == np.datetime64("2020"))
    errors = [scores.mean_absolute_error(part.points[name], part.observed) for name in ("gru", "guidance")]
    assert bars["against guidance"]["y"][1] == pytest.approx(100 * scores.skill(*errors), abs=0.006)
    assert "than guidance's, persistence's and climatology's; below zero" in text


def test_guidance_and_the_regression_are_drawn_and_explained(page, guided):
    assert list(traces(guided, "months")) == ["gru", "guidance"]
    lines = traces(guided, "reliability")
    assert {"guidance", "emos"} < set(lines)
    drawn = [line["line"]["color"] for name, line in lines.items() if name != "chance"]
    assert len(set(drawn)) == len(drawn) == 6
    assert {"Guidance", "EMOS"} <= set(guided.texts)
    assert not {"Guidance", "EMOS", "guidance"} & set(page.texts)


def test_in_the_overview_a_station_without_guidance_has_a_place_left_empty(one):
    parts = [with_guidance(verification(60, "Guided")), verification(60, "Bare")]
    page = Page(backtest_report(parts))
    head, guided, bare = page.tables[0]
    at = head.index("Skill against guidance")
    assert head[at : at + 3] == ["Skill against guidance", "Skill against persistence", "Skill against climatology"]
    assert guided[at].endswith(" %")
    assert bare[at] == ""
    assert bare[at + 1].endswith(" %")
    assert "guidance" not in page.tables[3][0]
    head = Page(backtest_report([verification(60, "Bare"), one])).tables[0][0]
    assert "Skill against guidance" not in head


def test_errors_by_month_are_percentiles(one, page):
    boxes = traces(page, "months")
    assert list(boxes) == ["gru", "persistence"]
    july = one.months == 7
    expected = scores.error_percentiles(one.points["gru"][july], one.observed[july])
    box = boxes["gru"]
    at = box["x"].index("Jul")
    shown = [box[key][at] for key in ("lowerfence", "q1", "median", "q3", "upperfence")]
    assert shown == pytest.approx(expected, abs=0.006)


def test_skill_by_year_marks_years_that_are_not_whole(one, page):
    bars = traces(page, "years")
    assert bars["against persistence"]["x"] == ["2019", "2020", "2021"]
    assert dict(page.figures)["years"]["layout"]["xaxis"]["ticktext"] == ["2019*", "2020", "2021*"]
    part = one.part((one.issued + 1).astype("M8[Y]") == np.datetime64("2020"))
    mae = {name: scores.mean_absolute_error(part.points[name], part.observed) for name in part.points}
    expected = 100 * scores.skill(mae["gru"], mae["climatology"])
    assert bars["against climatology"]["y"][1] == pytest.approx(expected, abs=0.006)


def test_the_density_counts_every_day_once(one, page):
    cells = dict(page.figures)["density"]["data"][0]["z"]
    assert sum(count for row in cells for count in row if count) == len(one.issued)


def test_reliability_is_coverage_by_level(one, page):
    lines = traces(page, "reliability")
    assert set(lines) == {"chance", *one.quantiles}
    assert lines["gru"]["x"] == [10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99]
    expected = [100 * scores.coverage(*one.interval("gru", level / 100), one.observed) for level in lines["gru"]["x"]]
    assert lines["gru"]["y"] == pytest.approx(expected, abs=0.006)


def test_chance_is_binomial():
    """Of 100 tosses of a coin 40 to 60 are heads, 19 times of 20."""
    chance = traces(Page(backtest_report([verification(100)])), "reliability")["chance"]
    assert [y for x, y in zip(chance["x"], chance["y"], strict=True) if x == 50] == [60, 40]


def test_pit_is_a_histogram(one, page):
    pit = scores.probability_integral_transform(one.quantiles["gru"], PROBABILITIES, one.observed)
    bars = traces(page, "pit")["gru"]
    assert bars["y"] == pytest.approx(100 * scores.pit_histogram(pit, 10), abs=0.006)
    assert sum(bars["y"]) == pytest.approx(100, abs=0.1)


def test_several_stations_have_an_overview():
    parts = [verification(60, f"Station {k}", seed=k) for k in range(3)]
    html = backtest_report(parts)
    page = Page(html)
    assert html.count(get_plotlyjs()) == 1
    assert page.links == ["#station-1", "#station-2", "#station-3"]
    assert [link[1:] for link in page.links] == re.findall(r'<section id="([^"]*)"', html)
    assert [name for name, _ in page.figures] == 3 * FIGURES
    expected = [scores.mean_absolute_error(v.points["gru"], v.observed) for v in parts]
    assert [row[:3] for row in page.tables[0][1:]] == [
        [v.station, "60", f"{mae:.2f}"] for v, mae in zip(parts, expected, strict=True)
    ]


def test_names_are_escaped():
    name = '<script>alert(1)</script> & "Søn\'s"'
    part = verification(40, name)
    quantiles = {f"{k}</script><b>" if k in {"gru", "ridge"} else k: q for k, q in part.quantiles.items()}
    html = backtest_report([Verification(name, part.issued, part.observed, quantiles), part], title=name)
    page = Page(html)
    assert "<script>alert" not in html
    assert "</script><b>" not in html
    assert page.texts.count(name) == 6  # title, heading, and of each station a link and a heading
    assert page.tables[1][0][1] == "gru</script><b>"
    assert len(page.figures) == 2 * len(FIGURES)


@pytest.mark.parametrize("n", [1, 2, 25])
def test_few_days_of_one_season(n):
    page = Page(backtest_report([verification(n, first="2023-12-31")]))
    assert [name for name, _ in page.figures] == FIGURES
    assert page.tables[1][0] == ["Score", "All days", "Dec-Feb"]
    assert traces(page, "timeline")["observed"]["mode"] == "lines+markers"
    assert "nan" not in " ".join(page.texts).lower()


def test_five_stations_of_thousands_of_days_are_a_light_page():
    html = backtest_report([verification(5000, dtype=np.float32)])
    figures = len(html) - len(get_plotlyjs())
    assert len(get_plotlyjs()) + 5 * figures < 8e6


def test_a_dark_screen_finds_the_colours_to_replace(html):
    own = html.replace(get_plotlyjs(), "").replace(json.dumps(DARK), "")
    assert all(own.count(f'"{colour}"') for colour in DARK)


def test_nothing_to_report():
    with pytest.raises(ValueError, match="no station"):
        backtest_report([])
    with pytest.raises(ValueError, match="Flint: it has no days"):
        backtest_report([verification(3).part(np.arange(0))])
