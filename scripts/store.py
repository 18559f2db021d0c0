"""Look into the store, and change which version is served."""

import sys
from datetime import UTC, datetime, timedelta

import click
import msgspec

from app.history import instant, live_at
from app.store import Store
from app.verification import verify as verify_station
from scripts.console import Group, messages, output, store_option
from scripts.tables import score_table, season_table, wide_table


@click.group(cls=Group)
def store_command() -> None:
    """Look into the store, and change which version is served."""


@store_command.command("list")
@store_option
def list_stations(store: Store) -> None:
    """List the stations and their champions."""
    table = wide_table("station", "champion", "trained through", "MAE", "versions")
    for station in store.stations():
        versions = str(len(store.versions(station)))
        try:
            champion = store.champion(station)
            manifest = store.manifest(station, champion)
        except (ValueError, OSError) as error:  # one that is damaged hides no other
            table.add_row(station, str(error), "", "", versions)
            continue
        mae = next(iter(manifest.scores.values())).mae
        table.add_row(station, champion, manifest.trained_through, f"{mae:.2f} degC", versions)
    output.print(table)


@store_command.command()
@click.argument("station")
@store_option
def show(station: str, store: Store) -> None:
    """Show a station's champion: its scores and its manifest."""
    version = store.champion(station)
    manifest = store.manifest(station, version)
    if manifest.scores:
        output.print(score_table(manifest))
    if manifest.scores_by_season:
        output.print(season_table(manifest))
    apart = {"scores", "scores_by_season", "set_aside"}
    described = {k: v for k, v in msgspec.to_builtins(manifest).items() if k not in apart}
    for name, value in ({"version": version} | described | {"set aside": len(manifest.set_aside)}).items():
        output.print(f"{name}: {value}")


def _past(_ctx: click.Context, _param: click.Parameter, text: str | None) -> datetime | None:
    """Read an option's instant.

    Raises
    ------
    click.BadParameter : where it is none, or has not been yet
    """
    if text is None:
        return None
    try:
        at = instant(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is neither a date nor a date and time of ISO 8601, such as 2026-01-31 or 2026-01-31T06:30Z"
        ) from None
    if at > datetime.now(UTC):
        raise click.BadParameter(f"{text!r} is still to come (UTC, where it does not say)")
    return at


@store_command.command(short_help="Show every change of champion, or what was live at an instant.")
@click.argument("station")
@click.option(
    "--at",
    callback=_past,
    metavar="INSTANT",
    help="Show the version that was live then: a date (its first moment) or a date and time, ISO 8601; "
    "UTC where it has no offset.",
)
@store_option
def history(station: str, at: datetime | None, store: Store) -> None:
    """Show every change of a station's champion, oldest first, or the one that was in force at an instant."""
    if at:
        live = live_at(store.history(station), at)
        if not live:
            raise click.ClickException(f"no version of station {station!r} had been promoted at {at.isoformat()}")
        for name in ("version", "digest", "action", "at", "by", "reason"):
            output.print(f"{name}: {getattr(live, name)}")
        return
    table = wide_table("at (UTC)", "version", "action", "by", "reason")
    for e in store.history(station):
        table.add_row(e.at[:19], e.version, e.action, e.by, e.reason)
    output.print(table)


@store_command.command()
@click.argument("station")
@click.argument("version")
@click.option("--reason", default="by hand", help="Kept in the history.")
@store_option
def promote(station: str, version: str, reason: str, store: Store) -> None:
    """Make a version the champion."""
    store.promote(station, version, reason)
    messages.print(f"{station}: {version} is the champion")


@store_command.command()
@click.argument("station")
@click.option("--reason", default="by hand", help="Kept in the history.")
@store_option
def rollback(station: str, reason: str, store: Store) -> None:
    """Make the champion before the present one the champion again."""
    version = store.rollback(station, reason)
    messages.print(f"{station}: {version} is the champion again")


@store_command.command(short_help="Remove old versions.")
@click.argument("station", required=False)
@click.option(
    "--keep-days",
    type=click.IntRange(0, 36_500),
    default=90,
    show_default=True,
    help="Keep what was live at any moment of so many days.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@store_option
def prune(station: str | None, keep_days: int, dry_run: bool, store: Store) -> None:
    """Remove versions that were last live too long ago, or never.

    The champion is kept, and so are the version that a rollback would go back to, and what was published within a day.
    Without STATION, of every station.
    """
    failed = False
    for name in [station] if station else store.all_stations():
        try:
            remove = store.unneeded if dry_run else store.prune
            removed = remove(name, timedelta(days=keep_days))
        except (ValueError, OSError) as error:  # one that is damaged hinders no other
            messages.print(f"Error: {name}: {error}")
            failed = True
            continue
        for version, size in removed.items():
            output.print(f"{name} {version}: {size} bytes")
        done = "would be removed" if dry_run else "removed"
        output.print(f"{name}: {len(removed)} version(s), {sum(removed.values())} bytes {done}")
    sys.exit(1 if failed else 0)


@store_command.command(short_help="Check versions and history.")
@click.argument("station", required=False)
@store_option
def verify(station: str | None, store: Store) -> None:
    """Check that every version is whole, that the history is an unbroken chain, and that both agree."""
    stations = [station] if station else store.all_stations()
    problems = [problem for name in stations for problem in verify_station(store, name)]
    for problem in problems:
        messages.print(problem)
    versions = sum(len(store.versions(name)) for name in stations)
    output.print(f"{len(stations)} station(s), {versions} version(s), {len(problems)} problem(s)")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    store_command()
