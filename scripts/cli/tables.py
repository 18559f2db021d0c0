"""Tables of the commands."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from app.store.manifest import Manifest
from app.training.outcomes import Outcome, counts, cpu_seconds
from models.forecast.features import GROUPS, OWN
from models.forecast.guidance.guided import GuidedForecaster
from models.forecast.missing import SOURCES
from models.forecast.saved import Forecaster
from models.verification.comparison import MISSED, WITHIN, Comparison, Scores
from models.verification.promotion import CHALLENGER, CHAMPION
from models.verification.scores import coverage

LEVELS = (0.5, 0.8, 0.9, 0.95)  # of the intervals whose coverage is shown
MANY = 100  # with more stations, only the promoted and the failed are listed
LONG_NAME = 24  # longer names may be folded, to leave room for the numbers


SHOWN_SOURCES = {OWN: "further columns"}  # of a model, in place of their names


def score_table(manifest: Manifest) -> Table:
    """Return the scores on the held-out days, degC."""
    days = f" (issued {manifest.held_out.first} to {manifest.held_out.last})" if manifest.held_out else ""
    title = f"{manifest.station}: next-day tmax on {manifest.rows.held_out} held-out days{days}"
    return scores_table(title, manifest.scores)


def scores_table(title: str, scores: dict[str, Scores]) -> Table:
    """Return one row per forecaster, season or station; "<=3" and ">=5" are shares of absolute errors in degC.

    Skill is against persistence, and where there is guidance also against that.
    """
    skills = {"persistence": "skill vs\npersist."}
    if any("guidance" in s.skills for s in scores.values()):
        skills = {"guidance": "skill vs\nguidance"} | skills
    padding = (0, 1 if len(skills) == 1 else 0, 0, 0)  # two skills leave no room for it on 80 columns
    table = Table(title=f"{title} (degC)", title_justify="left", box=box.SIMPLE_HEAD, padding=padding)
    table.add_column("", no_wrap=True)
    shares = (f"<={WITHIN[-1]:g}", f">={MISSED:g}", "in 80 %", "in 90 %")
    for heading in ("MAE", "RMSE", "bias", "CRPS", *skills.values(), *shares):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, s in scores.items():
        table.add_row(
            name,
            *(f"{value:.2f}" for value in (s.mae, s.rmse)),
            f"{s.bias:+.2f}",
            f"{s.crps:.2f}",
            *(f"{100 * s.skills[reference]:.1f} %" if reference in s.skills else "" for reference in skills),
            *(f"{100 * share:.0f} %" for share in (s.within[-1], s.missed)),
            *(f"{100 * share:.1f} %" for share in (s.coverage_80, s.coverage_90)),
        )
    return table


def season_table(manifest: Manifest) -> Table:
    """Return the model's scores by season, degC."""
    seasons = {name: scores[manifest.model] for name, scores in manifest.scores_by_season.items()}
    return scores_table("by season", seasons)


def calibration_table(comparison: Comparison, model: Forecaster) -> Table:
    """Return the coverage of the intervals, and the shrinkage weights and widening of the model."""
    table = Table(title="calibration on the held-out days", title_justify="left", show_header=False, box=None)
    for level in LEVELS:
        low, high = comparison.interval(comparison.model, level)
        covered = f"{100 * coverage(low, high, comparison.observed):.1f} %"
        table.add_row(f"{100 * level:.0f} % interval", f"coverage {covered}, mean width {(high - low).mean():.1f} degC")
    if isinstance(model, GuidedForecaster):
        weights, (further, past) = model.shrinkage_weights, 100 * model.widening
        table.add_row("shrinkage weight of the regression", f"{100 * weights.regression:.0f} %")
        table.add_row("shrinkage weight of the networks", f"{100 * weights.networks:.0f} %")
        table.add_row("widening without past guidance", f"{past:.0f} %")
        if further:
            table.add_row("widening without further columns", f"{further:.0f} %")
        table.add_row("on days without guidance:", "")
    if calibration := model.station_only.calibration:
        table.add_row("shrinkage weight of the networks", f"{100 * calibration.shrinkage_weight:.0f} %")
        for source, (latest, everything) in zip(SOURCES, 100 * calibration.widening, strict=True):
            if source in model.station_only.missing.sources:
                # The networks themselves widen the range without a group of further columns.
                by_networks = source in GROUPS and everything == 0
                of_all = "that of the networks" if by_networks else f"{everything:.0f} %"
                widening = f"{latest:.0f} % (latest missing), {of_all} (all missing)"
                table.add_row(f"widening without {SHOWN_SOURCES.get(source, source)}", widening)
    return table


def retraining_table(outcomes: Sequence[Outcome]) -> Table:
    """Return the outcome of each station, failures last, and the number of each decision as the caption.

    Scores are those on the judged days, degC; skill is the challenger's, against guidance where all judged stations
    have it, else against persistence. Of more than `MANY` stations the unchanged and the kept are only counted.
    """
    order = ("unchanged", "kept", "promoted", "failed")
    quiet = order[:2] if len(outcomes) > MANY else ()
    ordered = sorted(outcomes, key=lambda outcome: (order.index(outcome.decision), outcome.station))
    listed = [outcome for outcome in ordered if outcome.decision not in quiet]
    table = Table(box=box.SIMPLE_HEAD, padding=0, caption_justify="left", caption_style="")
    short = all(len(outcome.station) <= LONG_NAME for outcome in listed)
    table.add_column("station", no_wrap=short, overflow="fold")
    judged = [outcome.scores[CHALLENGER] for outcome in listed if CHALLENGER in outcome.scores]
    # There is room for one skill on 80 columns: the first that all stations have.
    guided = bool(judged) and all("guidance" in scores.skills for scores in judged)
    against, skill = ("guidance", "skill vs\nguidance") if guided else ("persistence", "skill vs\npersist.")
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
            outcome.reason,
        )
    table.caption = _counted(outcomes, quiet)
    return table


def _counted(outcomes: Sequence[Outcome], unlisted: Sequence[str]) -> str:
    found = counts(outcomes)
    numbers = ", ".join(f"{n} {decision}" for decision, n in found.items())
    summary = f"{numbers}; {cpu_seconds(outcomes):.0f} CPU-seconds"
    hidden = " and ".join(f"{found[decision]} {decision}" for decision in unlisted if found[decision])
    return f"{hidden} not listed\n{summary}" if hidden else summary


def wide_table(*headings: str) -> Table:
    """Return an empty table; its first two columns, names that are copied, are never cut."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for position, heading in enumerate(headings):
        table.add_column(heading, no_wrap=position < 2, overflow="fold")  # noqa: PLR2004
    return table
