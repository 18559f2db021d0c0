"""Tables that more than one script prints."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from app.manifest import Manifest
from app.rounds import Outcome, counts, cpu_seconds, reason
from models.backtest import Learned
from models.challenge import CHALLENGER, CHAMPION
from models.guided import Guided
from models.scores import coverage
from models.station_days import COLUMNS
from models.verification import MISSED, WITHIN, Scores

# Levels whose coverage is shown.
LEVELS = (0.5, 0.8, 0.9, 0.95)

# Of more stations than these only those are listed that came to something.
MANY = 100

# A longer name may be folded, so that there is room for the numbers.
LONG_NAME = 24


def score_table(manifest: Manifest) -> Table:
    """Lay out the scores, degC, of the days that trained nothing."""
    days = f" (issued {manifest.held_out.first} to {manifest.held_out.last})" if manifest.held_out else ""
    return scores_table(
        f"{manifest.station}: tomorrow's tmax on {manifest.rows.held_out} held-out days{days}", manifest.scores
    )


def scores_table(title: str, scores: dict[str, Scores]) -> Table:
    """Lay out a row for each forecaster: "<=3" is the share of errors of at most 3 degC, ">=5" of 5 and more.

    The skill is against persistence; where there is guidance, that against guidance comes before it.
    """
    skills = {"persistence": "skill"}
    if any("guidance" in s.skills for s in scores.values()):
        skills = {"guidance": "skill vs\nguidance", "persistence": "skill vs\npersist."}
    padding = (0, 1 if len(skills) == 1 else 0, 0, 0)  # with more columns there is no room for it on 80
    table = Table(title=f"{title} (degC)", title_justify="left", box=box.SIMPLE_HEAD, padding=padding)
    table.add_column("forecast", no_wrap=True)
    shares = (f"<={WITHIN[-1]:g}", f">={MISSED:g}", "in 80 %", "in 90 %")
    for heading in ("MAE", "RMSE", "bias", "CRPS", *skills.values(), *shares):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, s in scores.items():
        table.add_row(
            name,
            *(f"{value:.2f}" for value in (s.mae, s.rmse)),
            f"{s.bias:+.2f}",
            f"{s.crps:.2f}",
            *(f"{100 * s.skills[name]:.1f} %" if name in s.skills else "" for name in skills),
            *(
                "" if share is None else f"{100 * share:.0f} %"
                for share in (s.within[-1] if s.within else None, s.missed)
            ),
            *(f"{100 * value:.1f} %" for value in (s.coverage_80, s.coverage_90)),
        )
    return table


def season_table(manifest: Manifest) -> Table:
    """Lay out the model's scores by season."""
    seasons = {name: next(iter(scores.values())) for name, scores in manifest.scores_by_season.items()}
    return scores_table("by season", seasons)


def calibration_table(learned: Learned) -> Table:
    """Lay out what the held-out days say of the odds."""
    verification, forecaster = learned.verification, learned.forecaster
    table = Table(title="calibration on the held-out days", title_justify="left", show_header=False, box=None)
    observed, model = verification.observed, verification.model
    for level in LEVELS:
        low, high = verification.interval(model, level)
        inside = coverage(low, high, observed)
        table.add_row(
            f"{100 * level:.0f} % interval", f"holds {100 * inside:.1f} %, {(high - low).mean():.1f} degC wide"
        )
    if isinstance(forecaster, Guided):
        trust, (further, past) = forecaster.trust, 100 * forecaster.widening
        table.add_row("regression on guidance that pays", f"{100 * trust.regression:.0f} %")
        table.add_row("networks' correction of it that pays", f"{100 * trust.networks:.0f} %")
        table.add_row("wider by, without guidance of the days before", f"{past:.0f} %")
        if forecaster.features.further:
            table.add_row("wider by, without further predictors", f"{further:.0f} %")
        table.add_row("without guidance for the day:", "")
    if odds := forecaster.station_only.odds:
        table.add_row("correction of the first guess that pays", f"{100 * odds.trust:.0f} %")
        for column, (latest, everything) in zip(COLUMNS, 100 * odds.widening, strict=True):
            if column in forecaster.columns:
                table.add_row(
                    f"wider by, without {column}", f"{latest:.0f} % on the last day, {everything:.0f} % on all"
                )
    return table


def retraining_table(outcomes: Sequence[Outcome]) -> Table:
    """Lay out what came of each station, with those last that failed; below it, how many came to what.

    Scores are those on the judged days, degC; the skill is the challenger's, against guidance where all stations have
    some, else against persistence. Of many stations those that were unchanged or whose champion was kept are only
    counted.
    """
    order = ("unchanged", "kept", "promoted", "failed")
    quiet = order[:2] if len(outcomes) > MANY else ()
    listed = [
        o for o in sorted(outcomes, key=lambda o: (order.index(o.decision), o.station)) if o.decision not in quiet
    ]
    table = Table(box=box.SIMPLE_HEAD, padding=0, caption_justify="left", caption_style="")
    copied = all(len(outcome.station) <= LONG_NAME for outcome in listed)
    table.add_column("station", no_wrap=copied, overflow="fold")
    judged = [outcome.scores[CHALLENGER] for outcome in listed if CHALLENGER in outcome.scores]
    # There is room for one skill on 80 columns: the one that all stations have.
    guided = bool(judged) and all("guidance" in scores.skills for scores in judged)
    against, skill = ("guidance", "skill vs\nguidance") if guided else ("persistence", "skill")
    for heading, width in {"champion\nMAE  CRPS": 10, "challenger\nMAE  CRPS": 12, skill: 8}.items():
        table.add_column(heading, justify="right", no_wrap=True, min_width=width)
    table.add_column("decision", no_wrap=True)
    table.add_column("CPU s", justify="right", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for outcome in listed:
        champion, challenger = (outcome.scores.get(name) for name in (CHAMPION, CHALLENGER))
        table.add_row(
            outcome.station,
            *(f"{scores.mae:.2f} {scores.crps:5.2f}" if scores else "" for scores in (champion, challenger)),
            f"{100 * challenger.skills[against]:.1f} %" if challenger else "",
            outcome.decision,
            f"{outcome.seconds:.1f}",
            reason(outcome),
        )
    found = counts(outcomes)
    summary = (
        f"{', '.join(f'{n} {decision}' for decision, n in found.items())}; {cpu_seconds(outcomes):.0f} CPU-seconds"
    )
    unlisted = " and ".join(f"{found[decision]} {decision}" for decision in quiet if found[decision])
    table.caption = f"{unlisted} are not listed\n{summary}" if unlisted else summary
    return table


def wide_table(*headings: str) -> Table:
    """Return a table whose first two columns are never cut: names that people copy."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for position, heading in enumerate(headings):
        table.add_column(heading, no_wrap=position < 2, overflow="fold")  # noqa: PLR2004
    return table
