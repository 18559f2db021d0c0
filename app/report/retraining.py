"""A round of retraining as a page: what came of the stations, and how good the challengers were."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from statistics import fmean
from textwrap import wrap

import plotly.graph_objects as go

from app.report import style
from app.report.figures import Figure, possessive
from app.report.page import GLOSSARY, GUIDANCE_GLOSSARY, drawn, html_page, tiles
from app.report.style import empty_plot, make_square
from app.report.tables import degrees, percent, table
from app.rounds import DECISIONS, Outcome, counts, cpu_seconds, gain, reason
from models.challenge import CHALLENGER, CHAMPION
from models.verification import REFERENCES

# What went wrong is looked at first.
ORDER = ("failed", "promoted", "kept", "unchanged")
COLOURS = {"promoted": style.MODEL, "kept": style.MUTED, "unchanged": style.LINE, "failed": style.OTHERS[0]}
SYMBOLS = {"promoted": "circle", "kept": "circle-open", "unchanged": "circle-open", "failed": "x"}

# More stations than this make a browser slow: of their list the beginning is shown, and of the figures' points some.
MOST = 5000

# No more stations than this are named along an axis.
NAMED = 30

# A bar is cut off where it is so many times as long as nearly all others, which it would flatten.
FAR, NEARLY_ALL = 2, 0.95

# Of a reason beside the pointer.
LINE_LENGTH, MOST_LINES = 60, 6

_WORDS = {
    "Champion": "the model that was served when the round began.",
    "Challenger": "the model that was trained anew, without the days that it was judged on.",
    "Promoted": "a new model took the champion's place.",
    "Kept": "the champion, or where there was none its empty place, stays as it was.",
    "Unchanged": "neither the record nor how it is trained has changed since the station was last retrained.",
    "Gain": "share of the champion's CRPS that the challenger saves. The promoted are chosen by it, so that their mean "
    "promises more than they will keep.",
}
_GLOSSARY = _WORDS | {word: GLOSSARY[word] for word in ("Persistence", "Climatology", "MAE", "CRPS", "Skill")}


def retraining_report(
    outcomes: Sequence[Outcome],
    began: datetime,
    seconds: float,
    title: str = "Retraining of the forecasts of tomorrow's highest temperature",
) -> str:
    """Return what came of a round of retraining as one HTML page that needs no network.

    Parameters
    ----------
    outcomes : of all stations, in any order
    began : with its offset from UTC
    seconds : how long the round took
    title : of the page, plain text
    """
    ordered = sorted(outcomes, key=lambda outcome: (ORDER.index(outcome.decision), outcome.station))
    failed = [outcome for outcome in ordered if outcome.decision == "failed"]
    sections = [_summary(ordered, began, seconds)]
    if failed:
        rows = [[escape(outcome.station), _reason(outcome)] for outcome in failed[:MOST]]
        listed = table(["Station", "Reason"], rows)
        sections.append(f'<section id="failed" class="stations">\n<h2>Failed</h2>\n{_some(failed)}{listed}\n</section>')
    if shown := figures(ordered):
        sections.append(f"<section>\n<h2>Judged challengers</h2>\n{drawn(shown)}\n</section>")
    if ordered:
        listed = stations_table(ordered[:MOST])
        sections.append(f'<section class="stations sortable">\n<h2>Stations</h2>\n{_some(ordered)}{listed}\n</section>')
    words = GUIDANCE_GLOSSARY if "guidance" in _references(ordered) else {}
    return html_page(title, "\n".join(sections), words | _GLOSSARY)


def figures(outcomes: Sequence[Outcome]) -> list[Figure]:
    """Return the figures for which there are judged challengers."""
    compared = [outcome for outcome in outcomes if gain(outcome) is not None]
    judged = [outcome for outcome in outcomes if CHALLENGER in outcome.scores]
    found = []
    if compared:
        found = [
            Figure(
                "crps",
                "Champion and challenger",
                "CRPS of both on the judged days. On the line they were equally good; below it the challenger was "
                f"better. {_every(compared)}Point at a station to see why it was promoted or not.",
                champion_against_challenger(_thinned(compared)),
            ),
            Figure(
                "gains",
                "Gain by station",
                "How much smaller the challenger's CRPS was than the champion's, from the greatest gain to the "
                f"greatest loss. {_every(compared)}{_cut(compared)}",
                gains(_thinned(sorted(compared, key=_gain, reverse=True))),
            ),
        ]
    if judged:
        references = _references(judged)
        skills = f"How much smaller the challenger's mean absolute error was than {possessive(references)}"
        found.append(
            Figure(
                "skills",
                "Skill by station",
                f"{skills}; below zero they were better. Stations are sorted by the skill against {references[0]}. "
                f"{_every(judged)}",
                skill_by_station(_thinned(sorted(judged, key=_skill, reverse=True))),
            )
        )
    return found


def champion_against_challenger(compared: Sequence[Outcome]) -> go.Figure:
    """CRPS of the challenger over that of the champion."""
    both = [[round(outcome.scores[name].crps, 3) for name in (CHAMPION, CHALLENGER)] for outcome in compared]
    ends = [0.95 * min(map(min, both)), 1.05 * max(map(max, both)) or 1.0]
    plot = empty_plot("Challenger's CRPS, °C", "Champion's CRPS, °C", hovermode="closest", showlegend=True)
    plot.add_scatter(
        x=ends, y=ends, mode="lines", line={"color": style.MUTED, "width": 1}, hoverinfo="skip", showlegend=False
    )
    # The promoted are drawn above the others.
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
    if _cut(compared):
        limit = _limit(compared)
        plot.update_yaxes(range=[max(1.05 * min(0.0, *values), -limit), min(1.05 * max(0.0, *values), limit)])
    plot.update_yaxes(zeroline=True)
    _name_stations(plot, compared)
    return plot


def skill_by_station(judged: Sequence[Outcome]) -> go.Figure:
    """Skill of each challenger against each reference, in the order given."""
    plot = empty_plot("Skill, %", "", hovermode="closest", showlegend=True)
    # What is told first is drawn last, above the others.
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


def stations_table(outcomes: Sequence[Outcome]) -> str:
    """Return the table of what came of each station, in the order given."""
    references = _references(outcomes)
    head = ["Station", "Decision", "Champion: MAE,&nbsp;°C", "Challenger: MAE,&nbsp;°C", "Champion: CRPS,&nbsp;°C"]
    head += ["Challenger: CRPS,&nbsp;°C", "Gain in CRPS", *(f"Skill against {name}" for name in references)]
    head += ["Judged days", "CPU&nbsp;s", "Reason"]
    return table(head, [_row(outcome, references) for outcome in outcomes])


def _row(outcome: Outcome, references: Sequence[str]) -> list[str]:
    champion, challenger = (outcome.scores.get(name) for name in (CHAMPION, CHALLENGER))
    skills = [challenger.skills.get(name) if challenger else None for name in references]
    return [
        escape(outcome.station),
        outcome.decision,
        *(degrees(scores.mae) if scores else "" for scores in (champion, challenger)),
        *(degrees(scores.crps) if scores else "" for scores in (champion, challenger)),
        *("" if share is None else percent(share) for share in (gain(outcome), *skills)),
        f"{challenger.n:,}" if challenger else "",
        f"{outcome.seconds:,.1f}",
        _reason(outcome),
    ]


def _summary(outcomes: Sequence[Outcome], began: datetime, seconds: float) -> str:
    """Return the numbers of the whole round."""
    found = counts(outcomes)
    compared = [outcome for outcome in outcomes if gain(outcome) is not None]
    numbers: list[tuple[str, str]] = [(f"{found[decision]:,}", decision) for decision in DECISIONS]
    if found["failed"]:
        numbers[-1] = (f'<a href="#failed">{found["failed"]:,}</a>', "failed")
    numbers.append((f"{cpu_seconds(outcomes):,.0f} s", "of processor time (CPU-seconds)"))
    promoted = [outcome for outcome in compared if outcome.decision == "promoted"]
    for which, of in {"judged": compared, "promoted": promoted}.items():
        if of:
            numbers.append((percent(fmean(map(_gain, of))), f"gain in CRPS, mean of {len(of):,} {which}"))
    stations = f"{len(outcomes):,} station{'' if len(outcomes) == 1 else 's'}"
    when = f"began {began.astimezone(UTC):%Y-%m-%d %H:%M} UTC, took {timedelta(seconds=round(seconds))}"
    judged = sum(CHALLENGER in outcome.scores for outcome in outcomes)
    how = (
        f"; {judged:,} judged on days that their challengers had not seen, {len(compared):,} of them beside a champion"
        if judged
        else "; no challenger was judged"
    )
    return f'<section>\n<h2>{stations}</h2>\n<p class="span">{when}{how}</p>\n{tiles(numbers)}\n</section>'


def _gain(outcome: Outcome) -> float:
    return gain(outcome) or 0.0


def _references(outcomes: Iterable[Outcome]) -> list[str]:
    """Return what skill is told against: of guidance only where a challenger was judged beside any."""
    found = {name for outcome in outcomes if CHALLENGER in outcome.scores for name in outcome.scores[CHALLENGER].skills}
    return [name for name in REFERENCES if name != "guidance" or name in found]


def _skill(outcome: Outcome) -> tuple[bool, float]:
    """Return what stations are sorted by: the skill against guidance, and after those that have none by the other."""
    skills = outcome.scores[CHALLENGER].skills
    return "guidance" in skills, next(iter(skills.values()))


def _reason(outcome: Outcome) -> str:
    return escape(reason(outcome))


def _name(outcome: Outcome) -> str:
    """Return a station's name for a plot, which knows only few of the entities of HTML."""
    return escape(outcome.station, quote=False)


def _about(outcome: Outcome) -> str:
    lines = wrap(reason(outcome), LINE_LENGTH, max_lines=MOST_LINES, placeholder=" …")
    return "<br>".join([f"<b>{_name(outcome)}</b>: {outcome.decision}", *(escape(line, quote=False) for line in lines)])


def _name_stations(plot: go.Figure, outcomes: Sequence[Outcome]) -> None:
    """Name the stations along the axis, where there is room for them."""
    plot.update_xaxes(range=[-0.6, len(outcomes) - 0.4], zeroline=False)
    if len(outcomes) > NAMED:
        plot.update_xaxes(showticklabels=False, title_text="Stations")
    else:
        names = [_name(outcome) for outcome in outcomes]
        plot.update_xaxes(tickmode="array", tickvals=list(range(len(names))), ticktext=names)


def _thinned(outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    return outcomes[:: _step(outcomes)]


def _step(outcomes: Sequence[Outcome]) -> int:
    return -(-len(outcomes) // MOST)


def _every(outcomes: Sequence[Outcome]) -> str:
    step = _step(outcomes)
    return f"Of {len(outcomes):,} stations one in {step} is drawn. " if step > 1 else ""


def _limit(compared: Sequence[Outcome]) -> float:
    """Return the greatest gain or loss that is drawn, %."""
    lengths = sorted(100 * abs(_gain(outcome)) for outcome in compared)
    return max(FAR * lengths[int(NEARLY_ALL * (len(lengths) - 1))], 1.0)


def _cut(compared: Sequence[Outcome]) -> str:
    limit = _limit(compared)
    beyond = sum(100 * abs(_gain(outcome)) > limit for outcome in compared)
    return f"Bars are cut off at {limit:.0f} %, beyond which there are {beyond:,}." if beyond else ""


def _some(outcomes: Sequence[Outcome]) -> str:
    if len(outcomes) <= MOST:
        return ""
    return f'<p class="span">The first {MOST:,} of {len(outcomes):,}.</p>\n'
