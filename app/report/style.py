"""Style of the figures, in a palette that colour-blind readers can tell apart.

Reference: Okabe and Ito (2008), Color universal design: how to make figures and presentations that are friendly to
colorblind people.
"""

from typing import Any

import plotly.graph_objects as go

from models.verification.comparison import Comparison

INK, MUTED, LINE, PAPER = "#1f2328", "#5b6570", "#d9dee3", "#ffffff"
MODEL, PERSISTENCE, CLIMATOLOGY = "#0072b2", "#e69f00", "#009e73"
GUIDANCE, EMOS = "#cc79a7", "#d55e00"
OTHERS = ("#d55e00", "#cc79a7", "#56b4e9", "#f0e442")
BASELINES = {"persistence": PERSISTENCE, "climatology": CLIMATOLOGY, "guidance": GUIDANCE, "emos": EMOS}
FEW, SOME, MANY = "#d6e8f5", "#4a96cb", "#08305a"  # days in a cell
MODEL_RANGE, CHANCE = "rgba(0, 114, 178, 0.25)", "rgba(128, 136, 144, 0.30)"

# Replacements on a dark screen; the other colours are bright enough.
DARK = {INK: "#e6e8ea", MUTED: "#9aa4ae", LINE: "#3a4149", PAPER: "#1b1f24"}
DARK |= {MODEL: "#4aa8e0", FEW: "#1d3c55", MANY: "#d6ecfb"}


def colours(comparison: Comparison) -> dict[str, str]:
    """Return a colour for each forecaster; those of the baselines are the same on every page."""
    known = {name: colour for name, colour in BASELINES.items() if name in comparison.quantiles}
    known |= {comparison.model: MODEL}
    others = [name for name in comparison.quantiles if name not in known]
    free = [colour for colour in OTHERS if colour not in known.values()]
    return known | {name: free[i % len(free)] for i, name in enumerate(others)}


def empty_plot(y_title: str, x_title: str, **layout: Any) -> go.Figure:
    """Return an empty plot in the page's style; dragging is off, so that touch scrolls the page."""
    axis = {"gridcolor": LINE, "zerolinecolor": MUTED, "zeroline": False, "fixedrange": True, "automargin": True}
    return go.Figure(
        layout={
            "template": go.layout.Template(),
            "font": {"family": "system-ui, sans-serif", "size": 12, "color": INK},
            "paper_bgcolor": "rgba(0, 0, 0, 0)",
            "plot_bgcolor": "rgba(0, 0, 0, 0)",
            "margin": {"l": 44, "r": 16, "t": 30, "b": 36},
            "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
            "hoverlabel": {"bgcolor": PAPER, "bordercolor": LINE, "font": {"color": INK}},
            "dragmode": False,
            "xaxis": axis | {"title": {"text": x_title}, "showgrid": False},
            "yaxis": axis | {"title": {"text": y_title}},
            **layout,
        }
    )


def make_square(plot: go.Figure, ends: list[float]) -> None:
    """Give both axes the same range and scale."""
    plot.update_xaxes(range=ends, constrain="domain", showgrid=True)
    plot.update_yaxes(range=ends, constrain="domain", scaleanchor="x")


def add_diagonal(plot: go.Figure, ends: list[float]) -> None:
    """Draw the line y = x."""
    line = {"color": MUTED, "width": 1}
    plot.add_scatter(x=ends, y=ends, mode="lines", line=line, hoverinfo="skip", showlegend=False)


def percentages(shares: Any) -> list[float]:
    """Return shares as percentages with two decimals."""
    return [round(100 * float(share), 2) for share in shares]
