"""Tables that more than one script prints."""

from rich.table import Table

from app.manifest import Manifest


def score_table(manifest: Manifest) -> Table:
    """Lay out the scores, degC, of the days that trained nothing."""
    table = Table(
        title=f"{manifest.station}: tomorrow's tmax on {manifest.rows.held_out} days after {manifest.trained_through}, "
        "which trained nothing (degC)",
        title_justify="left",
    )
    table.add_column("forecast")
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
