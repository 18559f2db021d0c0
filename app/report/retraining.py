"""The retraining report: the outcome of each station, and the scores of the challengers."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from statistics import fmean
from textwrap import wrap

import plotly.graph_objects as go
from markupsafe import Markup

from app.report import style
from app.report.figures import possessive
from app.report.page import render
from app.report.style import add_diagonal, empty_plot, make_square
from app.report.tables import Table, degrees, percent
from app.training.outcomes import DECISIONS, Outcome, counts, cpu_seconds, gain
from models.verification.comparison import REFERENCES
from models.verification.promotion import CHALLENGER, CHAMPION

ORDER = ("failed", "promoted", "kept", "unchanged")  # failures are shown first
COLOURS = {"promoted": style.MODEL, "kept": style.MUTED, "unchanged": style.LINE, "failed": style.OTHERS[0]}
SYMBOLS = {"promoted": "circle", "kept": "circle-open", "unchanged": "circle-open", "failed": "x"}

MOST = 5000  # more stations make a browser slow: tables are cut off there, and figures thinned
NAMED = 30  # up to this many stations are named along an axis
FAR, NEARLY_ALL = 2, 0.95  # bars are cut off at twice the 95th percentile of their lengths
LINE_LENGTH, MOST_LINES = 60, 6  # of the reason in the hover text


def retraining_report(outcomes: Sequence[Outcome], began: datetime, seconds: float, dry_run: bool = False) -> str:
    """Return the outcomes of a retraining as a self-contained HTML page.

    Parameters
    ----------
    outcomes : in any order
    began : with a UTC offset
    seconds : duration
    dry_run : whether the store was left unchanged
    """
    ordered = sorted(outcomes, key=lambda outcome: (ORDER.index(outcome.decision), outcome.station))
    compared = [outcome for outcome in ordered if gain(outcome) is not None]
    judged = [outcome for outcome in ordered if CHALLENGER in outcome.scores]
    references, limit = _references(judged), longest_bar(compared)
    return render(
        "retraining.html",
        title="Retraining of next-day maximum temperature models" + (": dry run" if dry_run else ""),
        dry_run=dry_run,
        began=f"{began.astimezone(UTC):%Y-%m-%d %H:%M}",
        took=timedelta(seconds=round(seconds)),
        outcomes=ordered,
        judged=judged,
        compared=compared,
        headline=_headline(ordered, compared),
        failed=[[outcome.station, outcome.reason] for outcome in ordered if outcome.decision == "failed"],
        plots=figures(compared, judged),
        limit=f"{limit:.0f}",
        beyond=sum(100 * abs(_gain(outcome)) > limit for outcome in compared),
        references=possessive(references),
        first_reference=references[0],
        guidance="guidance" in references,
        table=stations_table(ordered[:MOST]),
        most=MOST,
    )


def figures(compared: Sequence[Outcome], judged: Sequence[Outcome]) -> dict[str, go.Figure]:
    """Return the figures by name; those without challengers to show are left out."""
    found = {}
    if compared:
        found["crps"] = champion_against_challenger(_thinned(compared))
        found["gains"] = gains(_thinned(sorted(compared, key=_gain, reverse=True)))
    if judged:
        found["skills"] = skill_by_station(_thinned(sorted(judged, key=_skill, reverse=True)))
    return found


def champion_against_challenger(compared: Sequence[Outcome]) -> go.Figure:
    """CRPS of the challenger against that of the champion."""
    both = [[round(outcome.scores[name].crps, 3) for name in (CHAMPION, CHALLENGER)] for outcome in compared]
    ends = [0.95 * min(map(min, both)), 1.05 * max(map(max, both)) or 1.0]
    plot = empty_plot("Challenger's CRPS, °C", "Champion's CRPS, °C", hovermode="closest", showlegend=True)
    add_diagonal(plot, ends)
    # The promoted are drawn last, on top.
    for decision in reversed(DECISIONS):
        rows = [row for row, outcome in enumerate(compared) if outcome.decision == decision]
        if rows:
            plot.add_scatter(
                x=[both[row][0] for row in rows], y=[both[row][1] for row in rows], mode="markers", name=decision,
                marker={"color": COLOURS[decision], "symbol": SYMBOLS[decision], "size": 7, "opacity": 0.8},
                customdata=[_about(compared[row]) for row in rows],
                hovertemplate="%{customdata}<br>champion %{x:.2f} °C, challenger %{y:.2f} °C<extra></extra>",
            )  # fmt: skip
    make_square(plot, ends)
    return plot


def gains(compared: Sequence[Outcome]) -> go.Figure:
    """Gain of each challenger, in the order given."""
    values = [round(100 * _gain(outcome), 2) for outcome in compared]
    few = len(compared) <= NAMED
    plot = empty_plot(
        "Gain in CRPS, %", "", hovermode="closest", showlegend=True, barmode="overlay", bargap=0.2 if few else 0
    )
    for decision in DECISIONS:
        rows = [row for row, outcome in enumerate(compared) if outcome.decision == decision]
        if rows:
            plot.add_bar(
                x=rows, y=[values[row] for row in rows], name=decision, marker_color=COLOURS[decision],
                marker_line_width=0, customdata=[_name(compared[row]) for row in rows],
                hovertemplate=f"%{{customdata}}, {decision}: %{{y:.1f}} %<extra></extra>",
            )  # fmt: skip
    limit = longest_bar(compared)
    ends = [max(1.05 * min(0.0, *values), -limit), min(1.05 * max(0.0, *values), limit)]
    plot.update_yaxes(range=ends, zeroline=True)
    _name_stations(plot, compared)
    return plot


def skill_by_station(judged: Sequence[Outcome]) -> go.Figure:
    """Skill of each challenger against each reference, in the order given."""
    plot = empty_plot("Skill, %", "", hovermode="closest", showlegend=True)
    # The reference listed first is drawn last, on top.
    for name in reversed(_references(judged)):
        skills = [outcome.scores[CHALLENGER].skills.get(name) for outcome in judged]
        plot.add_scatter(
            x=list(range(len(judged))), y=[None if skill is None else round(100 * skill, 2) for skill in skills],
            mode="markers", marker={"color": style.BASELINES[name], "size": 8 if len(judged) <= NAMED else 5},
            name=f"against {name}", customdata=[_name(outcome) for outcome in judged],
            hovertemplate=f"%{{customdata}}, against {name}: %{{y:.1f}} %<extra></extra>",
        )  # fmt: skip
    if "guidance" in _references(judged):
        plot.update_layout(legend_traceorder="reversed")
    plot.update_yaxes(zeroline=True)
    _name_stations(plot, judged)
    return plot


def longest_bar(compared: Sequence[Outcome]) -> float:
    """Return the length at which bars are cut off, %."""
    lengths = sorted(100 * abs(_gain(outcome)) for outcome in compared) or [0.0]
    return max(FAR * lengths[int(NEARLY_ALL * (len(lengths) - 1))], 1.0)


def stations_table(outcomes: Sequence[Outcome]) -> Table:
    """Return the table of outcomes, in the order given."""
    references = _references(outcomes)
    of_both = [f"{name}: {score},\xa0°C" for score in ("MAE", "CRPS") for name in ("Champion", "Challenger")]
    head = ["Station", "Decision", *of_both, "Gain in CRPS", *(f"Skill against {name}" for name in references)]
    head += ["Judged days", "CPU\xa0s", "Reason"]
    return head, [_row(outcome, references) for outcome in outcomes]


def _row(outcome: Outcome, references: Sequence[str]) -> list[str]:
    champion, challenger = (outcome.scores.get(name) for name in (CHAMPION, CHALLENGER))
    skills = [challenger.skills.get(name) if challenger else None for name in references]
    return [
        outcome.station,
        outcome.decision,
        *(degrees(scores.mae) if scores else "" for scores in (champion, challenger)),
        *(degrees(scores.crps) if scores else "" for scores in (champion, challenger)),
        *("" if share is None else percent(share) for share in (gain(outcome), *skills)),
        f"{challenger.n:,}" if challenger else "",
        f"{outcome.seconds:,.1f}",
        outcome.reason,
    ]


def _headline(outcomes: Sequence[Outcome], compared: Sequence[Outcome]) -> list[tuple[str, str]]:
    """Return the headline numbers and their labels."""
    found = counts(outcomes)
    numbers: list[tuple[str, str]] = [(f"{found[decision]:,}", decision) for decision in DECISIONS]
    if found["failed"]:
        numbers[-1] = (Markup('<a href="#failed">{:,}</a>').format(found["failed"]), "failed")
    numbers.append((f"{cpu_seconds(outcomes):,.0f} s", "of CPU time"))
    promoted = [outcome for outcome in compared if outcome.decision == "promoted"]
    for which, of in {"compared": compared, "promoted": promoted}.items():
        if of:
            numbers.append((percent(fmean(map(_gain, of))), f"mean gain in CRPS ({len(of):,} {which})"))
    return numbers


def _gain(outcome: Outcome) -> float:
    return gain(outcome) or 0.0


def _references(outcomes: Iterable[Outcome]) -> list[str]:
    """Return the references of the skill; guidance only where a challenger was scored against it."""
    found = {name for outcome in outcomes if CHALLENGER in outcome.scores for name in outcome.scores[CHALLENGER].skills}
    return [name for name in REFERENCES if name != "guidance" or name in found]


def _skill(outcome: Outcome) -> tuple[bool, float]:
    """Return the sort key: whether there is guidance, then the skill against the first reference."""
    skills = outcome.scores[CHALLENGER].skills
    return "guidance" in skills, next(iter(skills.values()))


def _name(outcome: Outcome) -> str:
    """Escape a station's name for plotly, which knows few HTML entities."""
    return escape(outcome.station, quote=False)


def _about(outcome: Outcome) -> str:
    lines = wrap(outcome.reason, LINE_LENGTH, max_lines=MOST_LINES, placeholder=" …")
    return "<br>".join([f"<b>{_name(outcome)}</b>: {outcome.decision}", *(escape(line, quote=False) for line in lines)])


def _name_stations(plot: go.Figure, outcomes: Sequence[Outcome]) -> None:
    """Label the axis with the stations' names where there is room."""
    plot.update_xaxes(range=[-0.6, len(outcomes) - 0.4], zeroline=False)
    if len(outcomes) > NAMED:
        plot.update_xaxes(showticklabels=False, title_text="Stations")
    else:
        names = [_name(outcome) for outcome in outcomes]
        plot.update_xaxes(tickmode="array", tickvals=list(range(len(names))), ticktext=names)


def _thinned(outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    return outcomes[:: -(-len(outcomes) // MOST)]
