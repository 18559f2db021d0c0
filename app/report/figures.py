"""The figures of a backtest, each with the line that says how to read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.report import style
from app.report.style import colours, empty_plot, make_square
from app.report.tables import coverage, skill
from models import scores
from models.intervals import PROBABILITIES
from models.nn import Array
from models.verification import Verification

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
N_BINS = 10

# Days without a forecast break the line where there are more of them than this.
LONGEST_GAP = np.timedelta64(7, "D")

# The days are marked, not only joined, where there are no more of them than this.
FEW_DAYS = 100

# A year with fewer days than this is not whole.
WHOLE_YEAR = 350


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure, its title, and how to read it."""

    name: str
    title: str
    caption: str
    plot: go.Figure


def figures(verification: Verification) -> list[Figure]:
    """Return the figures of one station."""
    return [
        Figure(
            "timeline",
            "Forecast and observed",
            "Blue is what was forecast the day before, with its 80 % range; the thin line is what was observed, and "
            "should be in the range on four of five days. Drag the ends of the strip below to see other times.",
            timeline(verification),
        ),
        Figure(
            "months",
            "Errors by month",
            "Forecast \N{MINUS SIGN} observed: above zero it was forecast too warm. Half of the errors are in the box, "
            "nine of ten between the whiskers; narrow and around zero is good.",
            errors_by_month(verification),
        ),
        Figure(
            "years",
            "Skill by year",
            f"How much smaller the mean absolute error is than {possessive(verification.references)}; below zero they "
            f"were better. Years with * have fewer than {WHOLE_YEAR} days.",
            skill_by_year(verification),
        ),
        Figure(
            "density",
            "Observed against forecast",
            "The darker a cell, the more days were in it (the brighter, on a dark screen). On the line the forecast "
            "was right; above it the day was warmer than forecast.",
            density(verification),
        ),
        Figure(
            "reliability",
            "Do the ranges hold what they promise?",
            "On the diagonal they do; below it they are too narrow, above it too wide. Grey is what chance allows "
            "(see the next figure).",
            reliability(verification),
        ),
        Figure(
            "pit",
            "Where in its odds the day fell (PIT)",
            "Honest odds make bars of one height; a valley means ranges too narrow, a hill too wide, a slope a bias. "
            "Chance keeps 19 of 20 bars within the grey if days are independent; consecutive ones are correlated, so "
            "somewhat more is no alarm.",
            pit(verification),
        ),
    ]


def possessive(names: Sequence[str]) -> str:
    """Return names, two at least, as in "persistence's and climatology's"."""
    *others, last = [f"{name}'s" for name in names]
    return f"{', '.join(others)} and {last}"


def timeline(verification: Verification) -> go.Figure:
    """Forecast, its 80 % range and what was observed, day by day; the last year is shown first."""
    valid = verification.issued + np.timedelta64(1, "D")
    low, high = verification.interval(verification.model, 0.8)
    ends = np.array([f"{bottom:z.1f} to {top:z.1f}" for bottom, top in zip(low, high, strict=True)])
    ends = np.char.replace(ends, "-", "\N{MINUS SIGN}")
    runs = np.split(np.arange(len(valid)), np.flatnonzero(np.diff(valid) > LONGEST_GAP) + 1)
    # Thousands of markers take seconds to draw; a line does not, but shows nothing of a day that stands alone.
    mode = "lines+markers" if len(valid) <= FEW_DAYS else "lines"
    plot = empty_plot(
        "Daily maximum, °C", "", hovermode="x unified", showlegend=False, margin={"l": 44, "r": 16, "t": 36, "b": 8}
    )
    # There along the upper edge, back along the lower one.
    plot.add_scatter(
        x=_joined([np.concatenate([valid[run], valid[run][::-1]]).astype(str) for run in runs]),
        y=_joined([_rounded(np.concatenate([high[run], low[run][::-1]])) for run in runs]),
        fill="toself", fillcolor=style.MODEL_RANGE, line_width=0, mode="lines", hoverinfo="skip",
    )  # fmt: skip
    lines = {
        "observed": (verification.observed, style.INK, 1.0, "%{y:.1f} °C"),
        "forecast": (verification.points[verification.model], style.MODEL, 1.75, "%{y:.1f} °C (80 %: %{customdata})"),
    }
    for name, (values, colour, width, hover) in lines.items():
        plot.add_scatter(
            x=_joined([valid[run].astype(str) for run in runs]), y=_joined([_rounded(values[run]) for run in runs]),
            customdata=_joined([ends[run] for run in runs]) if name == "forecast" else None,
            mode=mode, line={"color": colour, "width": width}, marker_size=4, name=name,
            hovertemplate=f"{name} {hover}<extra></extra>",
        )  # fmt: skip
    _show_last_year(plot, valid)
    return plot


def _show_last_year(plot: go.Figure, valid: Array) -> None:
    """Begin with the last year of the days, and give what it takes to see the others."""
    first, after = max(valid[0], valid[-1] - np.timedelta64(365, "D")), valid[-1] + np.timedelta64(1, "D")
    strip = {"thickness": 0.12, "bordercolor": style.LINE, "borderwidth": 1, "range": [str(valid[0]), str(after)]}
    buttons = [
        {"count": 1, "step": "month", "stepmode": "backward", "label": "1 month"},
        {"count": 1, "step": "year", "stepmode": "backward", "label": "1 year"},
        {"step": "all", "label": "All"},
    ]
    selector = {"buttons": buttons, "y": 1.03, "bgcolor": style.LINE, "activecolor": style.CHANCE}
    plot.update_xaxes(
        type="date", range=[str(first), str(after)], fixedrange=False, rangeslider=strip, rangeselector=selector
    )


def errors_by_month(verification: Verification) -> go.Figure:
    """Percentiles of the errors in each month that has days, the model's beside those of the first reference."""
    present = np.unique(verification.months)
    plot = empty_plot("Error, °C", "", boxmode="group", hovermode="closest")
    for name in (verification.model, verification.references[0]):
        points = verification.points[name]
        of_months = [
            scores.error_percentiles(points[rows], verification.observed[rows])
            for rows in (verification.months == month for month in present)
        ]
        p5, p25, p50, p75, p95 = _rounded(np.transpose(of_months)).tolist()
        plot.add_box(
            x=[MONTHS[month - 1] for month in present], lowerfence=p5, q1=p25, median=p50, q3=p75, upperfence=p95,
            name=escape(name), marker_color=colours(verification)[name], line_width=1.5,
        )  # fmt: skip
    plot.update_yaxes(zeroline=True)
    return plot


def skill_by_year(verification: Verification) -> go.Figure:
    """Skill of the model against each reference in each year that has days."""
    years = (verification.issued + np.timedelta64(1, "D")).astype("M8[Y]")
    parts = {str(year): verification.part(years == year) for year in np.unique(years)}
    days = [len(part.issued) for part in parts.values()]
    plot = empty_plot("Skill, %", "", hovermode="closest", barmode="group")
    for reference in verification.references:
        values = [skill(reference)(part, part.model) for part in parts.values()]
        plot.add_bar(
            x=list(parts), y=_percentages(values), name=f"against {reference}", customdata=days,
            marker_color=colours(verification)[reference], hovertemplate="%{x}, %{customdata} days: %{y:.1f} %",
        )  # fmt: skip
    labels = [year if n >= WHOLE_YEAR else f"{year}*" for year, n in zip(parts, days, strict=True)]
    plot.update_xaxes(type="category", tickmode="array", tickvals=list(parts), ticktext=labels)
    plot.update_yaxes(zeroline=True)
    return plot


def density(verification: Verification) -> go.Figure:
    """How many days had each forecast and each observation, in cells of 1 degC."""
    forecast, observed = verification.points[verification.model], verification.observed
    both = np.concatenate([forecast, observed])
    edges = np.arange(np.floor(both.min()), np.floor(both.max()) + 2)
    counts, _, _ = np.histogram2d(observed, forecast, bins=(edges, edges))
    cells = [[int(count) or None for count in row] for row in counts]
    plot = empty_plot("Observed, °C", "Forecast, °C", hovermode="closest", showlegend=False)
    plot.add_heatmap(
        z=cells, x0=edges[0] + 0.5, dx=1, y0=edges[0] + 0.5, dy=1, hoverongaps=False, zmin=0,
        colorscale=[[0, style.FEW], [0.5, style.SOME], [1, style.MANY]],
        colorbar={"thickness": 10, "outlinewidth": 0, "len": 0.8, "title": {"text": "days"}},
        hovertemplate="forecast about %{x:.0f} °C, observed about %{y:.0f} °C: %{z} days<extra></extra>",
    )  # fmt: skip
    ends = [edges[0], edges[-1]]
    plot.add_scatter(x=ends, y=ends, mode="lines", line={"color": style.MUTED, "width": 1}, hoverinfo="skip")
    make_square(plot, ends)
    return plot


def reliability(verification: Verification) -> go.Figure:
    """Coverage of the central ranges of each forecaster against what they promise."""
    plot = empty_plot("Days in the range, %", "Promised, %", hovermode="closest")
    allowed = np.array([_chance(len(verification.issued), level) for level in LEVELS])
    plot.add_scatter(
        x=_percentages([*LEVELS, *LEVELS[::-1]]), y=_percentages([*allowed[:, 1], *allowed[::-1, 0]]),
        fill="toself", fillcolor=style.CHANCE, line_width=0, mode="lines", hoverinfo="skip", name="chance",
    )  # fmt: skip
    plot.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        line={"color": style.MUTED, "width": 1},
        hoverinfo="skip",
        showlegend=False,
    )
    # The model is drawn last, above the others, but listed first.
    for rank, name in reversed(list(enumerate(verification.quantiles))):
        plot.add_scatter(
            x=_percentages(LEVELS), y=_percentages([coverage(level)(verification, name) for level in LEVELS]),
            mode="lines+markers", name=escape(name), legendrank=rank,
            line={"color": colours(verification)[name], "width": 1.5 if rank else 2.5},
            marker_size=4 if rank else 7,
            hovertemplate="%{x:.0f} % promised, %{y:.1f} % held",
        )  # fmt: skip
    make_square(plot, [0, 100])
    return plot


def pit(verification: Verification) -> go.Figure:
    """Histogram of the model's probability integral transform, and what chance makes of honest odds."""
    quantiles = verification.quantiles[verification.model]
    values = scores.probability_integral_transform(quantiles, PROBABILITIES, verification.observed)
    low, high = (100 * share for share in _chance(len(values), 1 / N_BINS))
    plot = empty_plot("Share of days, %", "Probability given to colder, %", hovermode="closest")
    plot.add_bar(
        x=_percentages((np.arange(N_BINS) + 0.5) / N_BINS), y=_percentages(scores.pit_histogram(values, N_BINS)),
        width=100 / N_BINS * 0.94, marker_color=style.MODEL, name=escape(verification.model),
        hovertemplate="%{y:.1f} % of days<extra></extra>",
    )  # fmt: skip
    plot.add_scatter(
        x=[0, 100, 100, 0], y=[high, high, low, low], fill="toself", fillcolor=style.CHANCE, line_width=0, mode="lines",
        hoverinfo="skip", name="chance (95 %)",
    )  # fmt: skip
    plot.add_scatter(
        x=[0, 100], y=[100 / N_BINS] * 2, mode="lines", line={"color": style.INK, "width": 1.5, "dash": "dash"},
        hoverinfo="skip", name="honest",
    )  # fmt: skip
    plot.update_xaxes(range=[0, 100], dtick=20)
    plot.update_yaxes(rangemode="tozero")
    return plot


def _chance(n: int, probability: float) -> tuple[float, float]:
    """Return the shares between which an event of ``probability`` occurs in ``n`` independent days, 19 times of 20."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])  # of the factorials
    k = np.arange(n + 1)
    choices = logs[n] - logs - logs[::-1]
    cumulative = np.cumsum(np.exp(choices + k * np.log(probability) + (n - k) * np.log1p(-probability)))
    low, high = np.searchsorted(cumulative, (0.025, 0.975))
    return low / n, high / n


def _joined(parts: list[Array]) -> list[Any]:
    """Return the parts as one list, with None, which breaks a line, between them."""
    return [value for number, part in enumerate(parts) for value in [*([None] if number else []), *part.tolist()]]


def _rounded(values: Array) -> Array:
    """Return degC as the page has them; what is not rounded in float64 is written with all its digits."""
    return values.astype(float).round(2)


def _percentages(shares: Any) -> list[float]:
    return [round(100 * float(share), 2) for share in shares]
