"""The figures of the backtest report show the numbers of the comparison."""

import numpy as np
import pytest

from app.report.page import backtest_report
from models.forecast.distribution import PROBABILITIES
from models.verification import scores
from tests.app.report.pages import Page, comparison, minus


def test_timeline_has_every_day_and_begins_with_the_last_year(one, page):
    axis, lines = page.layout("timeline")["xaxis"], page.traces("timeline")
    last = one.valid[-1]
    assert axis["range"] == [str(last - 365), str(last + 1)]
    assert axis["rangeslider"]["range"] == [str(one.valid[0]), str(last + 1)]
    assert lines["observed"]["x"] == [str(day) for day in one.valid]
    assert lines["observed"]["y"] == one.observed.tolist()
    assert lines["forecast"]["y"] == one.points["gru"].round(2).tolist()
    low, high = one.interval("gru", 0.8)
    ends = [minus(f"{bottom:z.1f} to {top:z.1f}") for bottom, top in zip(low, high, strict=True)]
    assert lines["forecast"]["customdata"] == ends
    band = dict(page.figures)["timeline"]["data"][0]
    assert band["x"] == [*lines["observed"]["x"], *lines["observed"]["x"][::-1]]
    assert band["y"] == [*high.round(2).tolist(), *low[::-1].round(2).tolist()]


def test_days_without_a_forecast_break_the_lines(one):
    """A gap of more than a week does."""
    page = Page(backtest_report([one.part(np.r_[0:300, 303:500, 600:800])]))
    lines, band = page.traces("timeline"), dict(page.figures)["timeline"]["data"][0]
    assert [i for i, y in enumerate(lines["observed"]["y"]) if y is None] == [497]
    assert [i for i, y in enumerate(band["y"]) if y is None] == [2 * 497]
    assert len(band["x"]) == len(band["y"])


def test_errors_by_month_are_percentiles(guided, page, guided_page):
    """Of the model and of the first reference."""
    assert list(page.traces("months")) == ["gru", "persistence"]
    boxes = guided_page.traces("months")
    assert list(boxes) == ["gru", "guidance"]
    for name, box in boxes.items():
        assert box["x"] == ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        shown = np.array([box[key] for key in ("lowerfence", "q1", "median", "q3", "upperfence")])
        for month in range(12):
            rows = guided.months == month + 1
            expected = scores.error_percentiles(guided.points[name][rows], guided.observed[rows])
            assert shown[:, month] == pytest.approx(expected, abs=0.006)


def test_skill_by_year_marks_incomplete_years(guided, guided_page):
    bars = guided_page.traces("years")
    assert list(bars) == ["against guidance", "against persistence", "against climatology"]
    assert guided_page.layout("years")["xaxis"]["ticktext"] == ["2019*", "2020", "2021*"]
    for label, bar in bars.items():
        assert bar["x"] == ["2019", "2020", "2021"]
        for year, shown, days in zip(bar["x"], bar["y"], bar["customdata"], strict=True):
            part = guided.part(guided.valid.astype("M8[Y]") == np.datetime64(year))
            assert shown == pytest.approx(100 * part.scores()["gru"].skills[label.removeprefix("against ")], abs=0.006)
            assert days == len(part.issued)


def test_density_counts_every_day_once_in_its_cell(one, page):
    figure = dict(page.figures)["density"]["data"][0]
    cells = np.array(figure["z"], dtype=float)
    assert np.nansum(cells) == len(one.issued)
    forecast, observed = (
        np.floor(values - figure["x0"] + 0.5).astype(int) for values in (one.points["gru"], one.observed)
    )
    for row, column in zip(observed[:50], forecast[:50], strict=True):
        assert cells[row, column] == ((observed == row) & (forecast == column)).sum()


def test_reliability_is_coverage_by_level_in_distinct_colours(guided, guided_page):
    lines = guided_page.traces("reliability")
    assert set(lines) == {"chance (95 %)", *guided.names}
    for name in guided.names:
        assert lines[name]["x"] == [10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99]
        intervals = (guided.interval(name, level / 100) for level in lines[name]["x"])
        expected = [100 * scores.coverage(*interval, guided.observed) for interval in intervals]
        assert lines[name]["y"] == pytest.approx(expected, abs=0.006)
    assert len({lines[name]["line"]["color"] for name in guided.names}) == 6


def test_chance_is_binomial():
    """Of 100 tosses of a coin, 40 to 60 are heads 19 times out of 20."""
    chance = Page(backtest_report([comparison(100)])).traces("reliability")["chance (95 %)"]
    assert [y for x, y in zip(chance["x"], chance["y"], strict=True) if x == 50] == [60, 40]


def test_pit_is_a_histogram(one, page):
    values = scores.probability_integral_transform(one.quantiles["gru"], PROBABILITIES, one.observed)
    bars = page.traces("pit")["gru"]
    assert bars["y"] == pytest.approx(100 * scores.pit_histogram(values, 10), abs=0.006)
    assert bars["x"] == [5, 15, 25, 35, 45, 55, 65, 75, 85, 95]
    assert sum(bars["y"]) == pytest.approx(100, abs=0.1)
