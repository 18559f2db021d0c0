"""Tables that more than one script prints."""

from rich import box
from rich.table import Table

from app.manifest import Manifest


def score_table(manifest: Manifest) -> Table:
    """Lay out the scores, degC, of the days that trained nothing."""
    table = Table(
        title=f"{manifest.station}: tomorrow's tmax on {manifest.rows.held_out} days after {manifest.trained_through}, "
        "which trained nothing (degC)",
        title_justify="left",
    )
    table.add_column("forecast", no_wrap=True)
    for heading in ("MAE", "RMSE", "bias", "CRPS", "skill", "in 80 %", "in 90 %"):
        table.add_column(heading, justify="right")
    for name, s in manifest.scores.items():
        table.add_row(
            name,
            *(f"{value:.2f}" for value in (s.mae, s.rmse)),
            f"{s.bias:+.2f}",
            f"{s.crps:.2f}",
            *(f"{100 * value:.1f} %" for value in (s.skill, s.coverage_80, s.coverage_90)),
        )
    return table


def wide_table(*headings: str) -> Table:
    """Return a table whose first two columns are never cut: names that people copy."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for position, heading in enumerate(headings):
        table.add_column(heading, no_wrap=position < 2, overflow="fold")  # noqa: PLR2004
    return table
