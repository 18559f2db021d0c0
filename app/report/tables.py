"""Tables of the backtest report."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from markupsafe import Markup

from models.verification.comparison import MISSED, REFERENCES, WITHIN, Comparison, Scores

# Column headings, and rows that begin with their label.
Table: TypeAlias = tuple[list[str], list[list[str]]]


class Row(NamedTuple):
    """A row of a score table."""

    label: str
    of: Callable[[Scores], float]  # scores -> value
    show: Callable[[float], str]  # value -> text
    miss: Callable[[float], float]  # value -> distance from the ideal value; smaller is better


def degrees(value: float) -> str:
    """Format a temperature difference; its unit is in the label."""
    return f"{value:z.2f}".replace("-", "\N{MINUS SIGN}")


def signed(value: float) -> str:
    """Format a temperature difference with its sign."""
    return f"{value:+z.2f}".replace("-", "\N{MINUS SIGN}").replace("+0.00", "0.00")


def percent(value: float) -> str:
    """Format a share as a percentage."""
    return f"{100 * value:z.1f} %".replace("-", "\N{MINUS SIGN}")


def mean_width(comparison: Comparison, name: str) -> float:
    """Return the mean width of the 80 % interval, degC."""
    low, high = comparison.interval(name, 0.8)
    return float((high - low).mean())


def _small(value: float) -> float:
    return value


def _large(value: float) -> float:
    return -value


def _within(index: int) -> Row:
    return Row(f"Within {WITHIN[index]:g} °C", lambda scores: scores.within[index], percent, _large)


def _skill(reference: str) -> Row:
    return Row(f"Skill against {reference}", lambda scores: scores.skills[reference], percent, _large)


def score_rows(references: tuple[str, ...]) -> tuple[Row, ...]:
    """Return the rows of a score table, with the skills against ``references``."""
    return (
        Row("MAE, °C", lambda scores: scores.mae, degrees, _small),
        Row("RMSE, °C", lambda scores: scores.rmse, degrees, _small),
        Row("Bias, °C", lambda scores: scores.bias, signed, abs),
        Row("Standard deviation of errors, °C", lambda scores: scores.standard_deviation, degrees, _small),
        *map(_skill, references),
        *map(_within, range(len(WITHIN))),
        Row(f"Errors of {MISSED:g} °C or more", lambda scores: scores.missed, percent, _small),
        Row("CRPS, °C", lambda scores: scores.crps, degrees, _small),
        Row("80 % interval: coverage", lambda scores: scores.coverage_80, percent, lambda value: abs(value - 0.8)),
        Row("90 % interval: coverage", lambda scores: scores.coverage_90, percent, lambda value: abs(value - 0.9)),
    )


def score_table(comparison: Comparison) -> Table:
    """Return the scores of every forecaster; the best in each row are bold."""
    scores = comparison.scores()
    rows = [_with_best(row, list(scores.values())) for row in score_rows(comparison.references)]
    rows.append(_widths([(comparison, name) for name in scores]))
    return ["Score", *scores], rows


def season_table(comparison: Comparison) -> Table:
    """Return the model's scores over all days, and by season."""
    parts = {"All days": comparison, **comparison.seasons()}
    scores = [part.scores()[part.model] for part in parts.values()]
    rows = [["Days", *(f"{one.n:,}" for one in scores)]]
    rows += [[row.label, *(row.show(row.of(one)) for one in scores)] for row in score_rows(comparison.references)]
    rows.append(_widths([(part, part.model) for part in parts.values()]))
    return ["Score", *parts], rows


def overview(comparisons: Mapping[str, Comparison]) -> Table:
    """Return one row per station, linked to its section; ``comparisons`` is by anchor."""
    references = [name for name in REFERENCES if any(name in c.references for c in comparisons.values())]
    head = ["Station", "Days", "MAE,\xa0°C", *(f"Skill against {name}" for name in references)]
    head += ["Within 2\xa0°C", "CRPS,\xa0°C", "80\xa0% interval: coverage", "80\xa0% interval: mean width,\xa0°C"]
    return head, [_station(anchor, c, references) for anchor, c in comparisons.items()]


def _station(anchor: str, comparison: Comparison, references: list[str]) -> list[str]:
    scores = comparison.scores()[comparison.model]
    return [
        Markup('<a href="#{}">{}</a>').format(anchor, comparison.station),
        f"{scores.n:,}",
        degrees(scores.mae),
        *(percent(scores.skills[name]) if name in scores.skills else "" for name in references),
        percent(scores.within[WITHIN.index(2.0)]),
        degrees(scores.crps),
        percent(scores.coverage_80),
        degrees(mean_width(comparison, comparison.model)),
    ]


def _with_best(row: Row, scores: list[Scores]) -> list[str]:
    values = [row.of(one) for one in scores]
    misses = [row.show(row.miss(value)) for value in values]
    best = row.show(min(map(row.miss, values)))  # compared as displayed: all equal ones are bold
    strong = Markup("<strong>{}</strong>")
    shown = [strong.format(row.show(v)) if m == best else row.show(v) for v, m in zip(values, misses, strict=True)]
    return [row.label, *shown]


def _widths(columns: list[tuple[Comparison, str]]) -> list[str]:
    """Return the row of mean widths; none is marked as best, as narrow intervals may just cover too little."""
    return ["80 % interval: mean width, °C", *(degrees(mean_width(comparison, name)) for comparison, name in columns)]
