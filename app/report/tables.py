"""The tables of a backtest: a row for each score, a column for each forecaster or season."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from models import scores
from models.intervals import PROBABILITIES
from models.nn import Array
from models.verification import REFERENCES, Verification


@dataclass(frozen=True)
class Score:
    """A row of a score table.

    Attributes
    ----------
    label : what it is called on the page
    of : (verification, forecaster's name) -> its value
    show : value -> text
    miss : value -> how far from the best possible; None where none is best by itself
    """

    label: str
    of: Callable[[Verification, str], float]
    show: Callable[[float], str]
    miss: Callable[[float], float] | None = None


def degrees(value: float) -> str:
    """Return a temperature difference, without its unit, which the row's label has."""
    return f"{value:z.2f}".replace("-", "\N{MINUS SIGN}")


def signed(value: float) -> str:
    """Return a temperature difference that may be on either side of 0."""
    return f"{value:+z.2f}".replace("-", "\N{MINUS SIGN}").replace("+0.00", "0.00")


def percent(value: float) -> str:
    """Return a share as a percentage."""
    return f"{100 * value:z.1f} %".replace("-", "\N{MINUS SIGN}")


def mean_absolute_error(verification: Verification, name: str) -> float:
    """Mean absolute error of a forecaster, degC."""
    return scores.mean_absolute_error(verification.points[name], verification.observed)


def skill(reference: str) -> Callable[[Verification, str], float]:
    """Return the score: the share of the reference's mean absolute error that a forecaster saves."""
    return lambda v, name: scores.skill(mean_absolute_error(v, name), mean_absolute_error(v, reference))


def coverage(level: float) -> Callable[[Verification, str], float]:
    """Return the score: the share of days within the central range of ``level``."""
    return lambda v, name: scores.coverage(*v.interval(name, level), v.observed)


def crps(verification: Verification, name: str) -> float:
    """Continuous ranked probability score of a forecaster, degC."""
    return scores.crps_from_quantiles(verification.quantiles[name], PROBABILITIES, verification.observed)


def mean_width(verification: Verification, name: str) -> float:
    """Mean width of the 80 % range, degC."""
    low, high = verification.interval(name, 0.8)
    return float((high - low).mean())


def within(limit: float) -> Callable[[Verification, str], float]:
    """Return the score: the share of days forecast within ``limit``, degC."""
    return lambda v, name: scores.share_within(v.points[name], v.observed, limit)


def _of_points(score: Callable[[Array, Array], float]) -> Callable[[Verification, str], float]:
    return lambda v, name: score(v.points[name], v.observed)


def _less(value: float) -> float:
    return value


def _more(value: float) -> float:
    return -value


_POINT_SCORES = (
    Score("MAE, °C", mean_absolute_error, degrees, _less),
    Score("RMSE, °C", _of_points(scores.root_mean_squared_error), degrees, _less),
    Score("Bias, °C", _of_points(scores.bias), signed, abs),
    Score("Standard deviation of errors, °C", _of_points(scores.error_standard_deviation), degrees, _less),
)
_OTHER_SCORES = (
    Score("Within 1 °C", within(1.0), percent, _more),
    Score("Within 2 °C", within(2.0), percent, _more),
    Score("Within 3 °C", within(3.0), percent, _more),
    Score("Missed by 5 °C or more", lambda v, n: scores.share_missed_by(v.points[n], v.observed, 5.0), percent, _less),
    Score("CRPS, °C", crps, degrees, _less),
    Score("80 % range: coverage", coverage(0.8), percent, lambda value: abs(value - 0.8)),
    Score("90 % range: coverage", coverage(0.9), percent, lambda value: abs(value - 0.9)),
    Score("80 % range: mean width, °C", mean_width, degrees),
)


def scores_of(verification: Verification) -> tuple[Score, ...]:
    """Return the rows of its score tables: of the skills, those against what there is."""
    skills = (Score(f"Skill against {name}", skill(name), percent, _more) for name in verification.references)
    return (*_POINT_SCORES, *skills, *_OTHER_SCORES)


def score_table(verification: Verification) -> str:
    """Return the table of every forecaster's scores; the best of each row is bold."""
    names = list(verification.quantiles)
    return table(
        ["Score", *map(escape, names)], [_row(score, verification, names) for score in scores_of(verification)]
    )


def season_table(verification: Verification) -> str:
    """Return the table of the model's scores over all days, and in each season that has any."""
    parts = {"All days": verification, **verification.seasons()}
    rows = [
        [score.label, *(score.show(score.of(v, v.model)) for v in parts.values())] for score in scores_of(verification)
    ]
    days = ["Days", *(f"{len(v.issued):,}" for v in parts.values())]
    return table(["Score", *parts], [days, *rows])


def overview(verifications: list[Verification]) -> str:
    """Return the table of the stations, each linked to its section."""
    references = [name for name in REFERENCES if any(name in v.references for v in verifications)]
    head = ["Station", "Days", "MAE,&nbsp;°C", *(f"Skill against {name}" for name in references)]
    head += ["Within 2&nbsp;°C", "CRPS,&nbsp;°C", "80&nbsp;% range: coverage", "80&nbsp;% range: width,&nbsp;°C"]
    return table(head, [_station(number, v, references) for number, v in enumerate(verifications, 1)])


def _station(number: int, v: Verification, references: list[str]) -> list[str]:
    return [
        f'<a href="#station-{number}">{escape(v.station)}</a>',
        f"{len(v.issued):,}",
        degrees(mean_absolute_error(v, v.model)),
        *(percent(skill(name)(v, v.model)) if name in v.references else "" for name in references),
        percent(within(2.0)(v, v.model)),
        degrees(crps(v, v.model)),
        percent(coverage(0.8)(v, v.model)),
        degrees(mean_width(v, v.model)),
    ]


def _row(score: Score, verification: Verification, names: list[str]) -> list[str]:
    values = [score.of(verification, name) for name in names]
    shown = [score.show(value) for value in values]
    if score.miss is None:
        return [score.label, *shown]
    misses = [score.miss(value) for value in values]
    # What looks equal is equally good.
    best = [score.show(miss) == score.show(min(misses)) for miss in misses]
    cells = [f"<strong>{text}</strong>" if is_best else text for text, is_best in zip(shown, best, strict=True)]
    return [score.label, *cells]


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table of HTML cells, whose first column names the rows."""
    titles = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{label}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>\n'
        for label, *cells in rows
    )
    return f'<div class="scroll"><table>\n<thead><tr>{titles}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>'
