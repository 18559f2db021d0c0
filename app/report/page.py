"""HTML reports, each one self-contained file that can be mailed, archived and opened offline."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from app.report.figures import WHOLE_YEAR, figures, possessive
from app.report.style import DARK
from app.report.tables import overview, percent, score_table, season_table
from models.verification.comparison import WITHIN, Comparison


def _drawing(plot: Any) -> Markup:
    # Only "</script" or "<!--" has a meaning inside a script element; without "<" there is neither.
    return Markup(plot.to_json().replace("<", "\\u003c"))  # noqa: S704


_pages = Environment(
    loader=PackageLoader("app.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_pages.filters["drawing"] = _drawing


def render(template: str, **values: Any) -> str:
    """Return a page, with its styles and scripts inline."""
    return _pages.get_template(template).render(values, dark=DARK, plotly=Markup(get_plotlyjs()))  # noqa: S704


def backtest_report(comparisons: list[Comparison], title: str = "Backtest of next-day maximum temperature") -> str:
    """Return the backtest of one or more stations as a self-contained HTML page.

    The same comparisons give the same page. Figures are drawn when they come into view, so that a page of many stations
    opens at once. Raises ValueError where there is no station, or one without days.
    """
    if not comparisons:
        raise ValueError("nothing to report: no station was backtested")
    for comparison in comparisons:
        if not len(comparison.issued):
            raise ValueError(f"nothing to report for {comparison.station}: it has no days")
    anchored = {f"station-{number}": comparison for number, comparison in enumerate(comparisons, 1)}
    return render(
        "backtest.html",
        title=title,
        overview=overview(anchored),
        stations=[_station(anchor, comparison) for anchor, comparison in anchored.items()],
        whole_year=WHOLE_YEAR,
        guidance=any("guidance" in comparison.references for comparison in comparisons),
    )


def _station(anchor: str, comparison: Comparison) -> dict[str, Any]:
    scores = comparison.scores()[comparison.model]
    first, last = comparison.valid[[0, -1]]
    days = f"{scores.n:,} days from {first} to {last}"
    saved = [
        (percent(abs(skill)), f"{'smaller' if skill >= 0 else 'larger'} errors than {reference}")
        for reference, skill in scores.skills.items()
    ]
    return {
        "anchor": anchor,
        "name": comparison.station,
        "model": comparison.model,
        "span": f"{days}, forecast one day ahead by {comparison.model}",
        "headline": [
            (f"{scores.mae:.2f} °C", "mean absolute error"),
            *saved,
            (percent(scores.within[WITHIN.index(2.0)]), "within 2 °C"),
            (percent(scores.coverage_80), "inside the 80 % interval"),
        ],
        "references": possessive(comparison.references),
        "plots": figures(comparison),
        "scores": score_table(comparison),
        "seasons": season_table(comparison),
    }
