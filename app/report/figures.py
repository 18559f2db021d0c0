"""Figures of the backtest report; their captions are in ``templates/backtest.html``."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from scipy.stats import binom

from app.report import style
from app.report.style import add_diagonal, colours, empty_plot, make_square, percentages
from models.forecast.distribution import PROBABILITIES
from models.nn import Array
from models.verification import scores
from models.verification.comparison import Comparison

FIGURES = ("timeline", "months", "years", "density", "reliability", "pit")

MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
N_BINS = 10
LONGEST_GAP = np.timedelta64(7, "D")  # a longer gap breaks the line
FEW_DAYS = 100  # up to this many days are drawn with markers
WHOLE_YEAR = 350  # a year with fewer days is marked as incomplete


def figures(comparison: Comparison) -> dict[str, go.Figure]:
    """Return the figures of one station by name."""
    drawn = (timeline, errors_by_month, skill_by_year, density, reliability, pit)
    return dict(zip(FIGURES, (draw(comparison) for draw in drawn), strict=True))


def possessive(names: Sequence[str]) -> str:
    """Join two or more names, as in "persistence's and climatology's"."""
    *others, last = [f"{name}'s" for name in names]
    return f"{', '.join(others)} and {last}"


def timeline(comparison: Comparison) -> go.Figure:
    """Forecast, 80 % interval and observation by day; the last year is shown first."""
    valid = comparison.valid
    low, high = comparison.interval(comparison.model, 0.8)
    ends = np.array([f"{bottom:z.1f} to {top:z.1f}" for bottom, top in zip(low, high, strict=True)])
    ends = np.char.replace(ends, "-", "\N{MINUS SIGN}")
    runs = np.split(np.arange(len(valid)), np.flatnonzero(np.diff(valid) > LONGEST_GAP) + 1)
    # Markers of thousands of days take seconds to draw; without them an isolated day is invisible.
    mode = "lines+markers" if len(valid) <= FEW_DAYS else "lines"
    plot = empty_plot(
        "Daily maximum, °C", "", hovermode="x unified", showlegend=False, margin={"l": 44, "r": 16, "t": 36, "b": 8}
    )
    # The outline: forwards along the upper bound, back along the lower.
    plot.add_scatter(
        x=_joined([np.concatenate([valid[run], valid[run][::-1]]).astype(str) for run in runs]),
        y=_joined([_rounded(np.concatenate([high[run], low[run][::-1]])) for run in runs]),
        fill="toself", fillcolor=style.MODEL_RANGE, line_width=0, mode="lines", hoverinfo="skip",
    )  # fmt: skip
    lines = {
        "observed": (comparison.observed, style.INK, 1.0, "%{y:.1f} °C"),
        "forecast": (comparison.points[comparison.model], style.MODEL, 1.75, "%{y:.1f} °C (80 %: %{customdata})"),
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
    """Show the last year first, with buttons and a range slider for the other years."""
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


def errors_by_month(comparison: Comparison) -> go.Figure:
    """Percentiles of the errors by month, of the model and of the first reference."""
    present = np.unique(comparison.months)
    plot = empty_plot("Error, °C", "", boxmode="group", hovermode="closest")
    for name in (comparison.model, comparison.references[0]):
        points = comparison.points[name]
        of_months = [
            scores.error_percentiles(points[rows], comparison.observed[rows])
            for rows in (comparison.months == month for month in present)
        ]
        p5, p25, p50, p75, p95 = _rounded(np.transpose(of_months)).tolist()
        plot.add_box(
            x=[MONTH_NAMES[month - 1] for month in present], lowerfence=p5, q1=p25, median=p50, q3=p75, upperfence=p95,
            name=escape(name), marker_color=colours(comparison)[name], line_width=1.5,
        )  # fmt: skip
    plot.update_yaxes(zeroline=True)
    return plot


def skill_by_year(comparison: Comparison) -> go.Figure:
    """Skill of the model against each reference, by year."""
    years = comparison.valid.astype("M8[Y]")
    parts = {str(year): comparison.part(years == year) for year in np.unique(years)}
    of_years = [part.scores()[part.model] for part in parts.values()]
    days = [of_year.n for of_year in of_years]
    plot = empty_plot("Skill, %", "", hovermode="closest", barmode="group")
    for reference in comparison.references:
        plot.add_bar(
            x=list(parts), y=percentages(of_year.skills[reference] for of_year in of_years),
            name=f"against {reference}", customdata=days, marker_color=colours(comparison)[reference],
            hovertemplate="%{x}, %{customdata} days: %{y:.1f} %",
        )  # fmt: skip
    labels = [year if n >= WHOLE_YEAR else f"{year}*" for year, n in zip(parts, days, strict=True)]
    plot.update_xaxes(type="category", tickmode="array", tickvals=list(parts), ticktext=labels)
    plot.update_yaxes(zeroline=True)
    return plot


def density(comparison: Comparison) -> go.Figure:
    """Joint histogram of observations and forecasts, in cells of 1 degC."""
    forecast, observed = comparison.points[comparison.model], comparison.observed
    both = np.concatenate([forecast, observed])
    edges = np.arange(np.floor(both.min()), np.floor(both.max()) + 2)
    counts, _, _ = np.histogram2d(observed, forecast, bins=(edges, edges))
    cells = [[int(count) or None for count in row] for row in counts]
    plot = empty_plot("Observed, °C", "Forecast, °C", hovermode="closest", showlegend=False)
    plot.add_heatmap(
        z=cells, x0=edges[0] + 0.5, dx=1, y0=edges[0] + 0.5, dy=1, hoverongaps=False, zmin=0,
        colorscale=[[0, style.FEW], [0.5, style.SOME], [1, style.MANY]],
        colorbar={"thickness": 10, "outlinewidth": 0, "len": 0.8, "title": {"text": "days"}},
        hovertemplate="forecast about %{x:.1f} °C, observed about %{y:.1f} °C: %{z} days<extra></extra>",
    )  # fmt: skip
    ends = [edges[0], edges[-1]]
    add_diagonal(plot, ends)
    make_square(plot, ends)
    return plot


def reliability(comparison: Comparison) -> go.Figure:
    """Coverage of the central intervals of each forecaster against their nominal level."""
    plot = empty_plot("Coverage, %", "Nominal level, %", hovermode="closest")
    allowed = np.array([_chance(len(comparison.issued), level) for level in LEVELS])
    plot.add_scatter(
        x=percentages([*LEVELS, *LEVELS[::-1]]), y=percentages([*allowed[:, 1], *allowed[::-1, 0]]),
        fill="toself", fillcolor=style.CHANCE, line_width=0, mode="lines", hoverinfo="skip", name="chance (95 %)",
    )  # fmt: skip
    add_diagonal(plot, [0, 100])
    # The model is drawn last, on top, but listed first.
    for rank, name in reversed(list(enumerate(comparison.names))):
        covered = (scores.coverage(*comparison.interval(name, level), comparison.observed) for level in LEVELS)
        plot.add_scatter(
            x=percentages(LEVELS), y=percentages(covered),
            mode="lines+markers", name=escape(name), legendrank=rank,
            line={"color": colours(comparison)[name], "width": 1.5 if rank else 2.5},
            marker_size=4 if rank else 7,
            hovertemplate="%{x:.0f} % interval: coverage %{y:.1f} %",
        )  # fmt: skip
    make_square(plot, [0, 100])
    return plot


def pit(comparison: Comparison) -> go.Figure:
    """Histogram of the model's probability integral transform, with the 95 % band of a calibrated forecast."""
    quantiles = comparison.quantiles[comparison.model]
    values = scores.probability_integral_transform(quantiles, PROBABILITIES, comparison.observed)
    low, high = (100 * share for share in _chance(len(values), 1 / N_BINS))
    plot = empty_plot("Share of days, %", "PIT, %", hovermode="closest")
    plot.add_bar(
        x=percentages((np.arange(N_BINS) + 0.5) / N_BINS), y=percentages(scores.pit_histogram(values, N_BINS)),
        width=100 / N_BINS * 0.94, marker_color=style.MODEL, name=escape(comparison.model),
        hovertemplate="%{y:.1f} % of days<extra></extra>",
    )  # fmt: skip
    plot.add_scatter(
        x=[0, 100, 100, 0], y=[high, high, low, low], fill="toself", fillcolor=style.CHANCE, line_width=0, mode="lines",
        hoverinfo="skip", name="chance (95 %)",
    )  # fmt: skip
    plot.add_scatter(
        x=[0, 100], y=[100 / N_BINS] * 2, mode="lines", line={"color": style.INK, "width": 1.5, "dash": "dash"},
        hoverinfo="skip", name="calibrated",
    )  # fmt: skip
    plot.update_xaxes(range=[0, 100], dtick=20)
    plot.update_yaxes(rangemode="tozero")
    return plot


def _chance(n: int, probability: float) -> Array:
    """Return the central 95 % range of the share of ``n`` independent days with an event of ``probability``."""
    return np.asarray(binom.ppf([0.025, 0.975], n, probability) / n)


def _joined(parts: list[Array]) -> list[Any]:
    """Return the parts as one list, separated by None, which breaks the line."""
    return [value for number, part in enumerate(parts) for value in [*([None] if number else []), *part.tolist()]]


def _rounded(values: Array) -> Array:
    """Round to two decimals, as float64, since float32 would be written with all its digits."""
    return values.astype(float).round(2)
