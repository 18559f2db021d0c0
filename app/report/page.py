"""The page itself: nothing on it is fetched from anywhere, so it can be mailed, kept and opened offline."""

import json
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from plotly.offline import get_plotlyjs

from app.report.figures import Figure, figures
from app.report.style import DARK
from app.report.tables import coverage, mean_absolute_error, overview, percent, score_table, season_table, skill, within
from models.verification import Verification

_FOLDER = Path(__file__).parent

# The browser is told to fetch nothing either, whatever the plot library may try.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"

GUIDANCE_GLOSSARY = {
    "Guidance": "somebody's forecast of tomorrow that came with the record, as it is.",
    "EMOS": "ensemble model output statistics: a plain regression on guidance and the season, with normal odds.",
}
GLOSSARY = {
    "Persistence": "the forecast that tomorrow will be like today.",
    "Climatology": "the forecast that tomorrow will be as usual at this time of the year.",
    "MAE": "mean absolute error: how far off the forecast was on average.",
    "RMSE": "root mean squared error: the same, but large errors count more.",
    "Bias": "mean of forecast \N{MINUS SIGN} observed: above zero the forecasts were too warm on the whole.",
    "Standard deviation of errors": "how far they scatter; what is left of the RMSE without the bias.",
    "Skill": "share of the reference's mean absolute error that is saved: 100 % is perfect, 0 % no better.",
    "CRPS": "continuous ranked probability score: the mean absolute error of a whole set of odds, smaller is better.",
    "Coverage": "share of days within the range; an 80 % range should hold 80 % of them.",
    "Mean width": "of two forecasts whose ranges hold what they promise, the one with the narrower ranges says more.",
}


def backtest_report(
    verifications: list[Verification], title: str = "Backtest of tomorrow's highest temperature"
) -> str:
    """Return a backtest of one or more stations as one HTML page that needs no network.

    The same verifications make the same page. A figure is drawn when it comes into view, in the colours of the
    reader's screen, so that a page of many stations opens at once.

    Parameters
    ----------
    verifications : one for each station, in the order of the page
    title : of the page, plain text

    Raises
    ------
    ValueError : where there is no station, or one without days
    """
    if not verifications:
        raise ValueError("there is nothing to report: no station was verified")
    for verification in verifications:
        if not len(verification.issued):
            raise ValueError(f"there is nothing to report for {verification.station}: it has no days")
    sections = "\n".join(_section(number, v) for number, v in enumerate(verifications, 1))
    stations = f'<section class="overview">\n<h2>Stations</h2>\n{overview(verifications)}\n</section>\n'
    words = GUIDANCE_GLOSSARY if any("guidance" in verification.references for verification in verifications) else {}
    return html_page(title, f"{stations if len(verifications) > 1 else ''}{sections}", words | GLOSSARY)


def html_page(title: str, body: str, glossary: Mapping[str, str]) -> str:
    """Return a page: its style, its heading, what is in it, and what makes it draw itself.

    Parameters
    ----------
    title : plain text
    body : HTML
    glossary : word -> what it means, HTML; below the body
    """
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{(_FOLDER / "page.css").read_text()}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{body}
{_glossary(glossary)}
<noscript><p>The figures need JavaScript; it is in this file, nothing is fetched.</p></noscript>
</main>
<script>{get_plotlyjs()}</script>
<script>
const DARK = {json.dumps(DARK)};
{(_FOLDER / "page.js").read_text()}</script>
</body>
</html>
"""


def tiles(numbers: Iterable[tuple[str, str]]) -> str:
    """Return the numbers that most people want, each with what it is."""
    items = "".join(f"<li><b>{number}</b> {text}</li>\n" for number, text in numbers)
    return f'<ul class="tiles">\n{items}</ul>'


def drawn(chosen: Iterable[Figure]) -> str:
    """Return figures, which draw themselves when they come into view."""
    plots = "\n".join(_figure(figure) for figure in chosen)
    return f'<div class="figures">\n{plots}\n</div>'


def _section(number: int, v: Verification) -> str:
    return f"""<section id="station-{number}">
<h2>{escape(v.station)}</h2>
<p class="span">{_span(v)}</p>
{_headline(v)}
{drawn(figures(v))}
<h3>Scores</h3>
{score_table(v)}
<details>
<summary>Scores of {escape(v.model)} by season</summary>
{season_table(v)}
</details>
</section>"""


def _span(v: Verification) -> str:
    first, last = v.issued[0] + 1, v.issued[-1] + 1
    return f"{len(v.issued):,} days from {first} to {last}, forecast the day before by {escape(v.model)}"


def _headline(v: Verification) -> str:
    return tiles(
        [
            (f"{mean_absolute_error(v, v.model):.2f} °C", "off on average"),
            *(_saved(reference, skill(reference)(v, v.model)) for reference in v.references),
            (percent(within(2.0)(v, v.model)), "within 2 °C"),
            (percent(coverage(0.8)(v, v.model)), "within the 80 % range"),
        ]
    )


def _saved(reference: str, skill: float) -> tuple[str, str]:
    return percent(abs(skill)), f"{'smaller' if skill >= 0 else 'larger'} errors than {reference}"


def _figure(figure: Figure) -> str:
    # Inside a script the browser looks for nothing but its end; without "<" there is none.
    data = figure.plot.to_json().replace("<", "\\u003c")
    return f"""<figure class="{figure.name}">
<figcaption><b>{figure.title}</b> {figure.caption}</figcaption>
<div class="plot" role="img" aria-label="{figure.title}"></div>
<script type="application/json">{data}</script>
</figure>"""


def _glossary(glossary: Mapping[str, str]) -> str:
    terms = "".join(f"<dt>{term}</dt><dd>{text}</dd>\n" for term, text in glossary.items())
    return f"<details>\n<summary>What the words mean</summary>\n<dl>\n{terms}</dl>\n</details>"
