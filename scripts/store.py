"""Inspect the store, and change which version is served."""

import sys
from datetime import UTC, datetime, timedelta
from functools import partial

import click
import msgspec

from app.store import Store, StoreError
from app.store.history import instant, live_at
from app.store.integrity import check_loads
from app.store.integrity import verify as verify_station
from app.store.pruning import prune as prune_station
from app.store.pruning import unneeded
from models.nn.compiled import steps
from scripts.cli import options
from scripts.cli.console import Group, messages, output
from scripts.cli.tables import score_table, season_table, wide_table


@click.group(cls=Group)
def store_command() -> None:
    """Inspect the store, and change which version is served."""


@store_command.command("list")
@options.store
def list_stations(store: Store) -> None:
    """List the stations and their champions."""
    if not store.root.is_dir():
        raise StoreError(f"there is no store at {store.root}")
    table = wide_table("station", "champion", "trained through", "MAE", "versions")
    for name in store.stations():
        station = store.station(name)
        versions = str(len(station.versions()))
        try:
            champion = station.champion()
            manifest = station.manifest(champion)
        except (ValueError, OSError) as error:  # the other stations are still listed
            table.add_row(name, str(error), "", "", versions)
            continue
        mae = f"{manifest.scores[manifest.model].mae:.2f} degC" if manifest.model in manifest.scores else ""
        table.add_row(name, champion, manifest.trained_through, mae, versions)
    output.print(table)


@store_command.command()
@click.argument("station")
@options.store
def show(station: str, store: Store) -> None:
    """Show the scores and the manifest of a station's champion."""
    version = store.named(station).champion()
    manifest = store.named(station).manifest(version)
    if manifest.model in manifest.scores:
        output.print(score_table(manifest))
        output.print(season_table(manifest))
    apart = {"scores", "scores_by_season", "set_aside"}
    described = {name: value for name, value in msgspec.to_builtins(manifest).items() if name not in apart}
    described |= {"set aside": len(manifest.set_aside), "steps on this machine": steps()}
    for name, value in ({"version": version} | described).items():
        output.print(f"{name}: {value}")


def _past(_ctx: click.Context, _param: click.Parameter, text: str | None) -> datetime | None:
    """Parse an instant. Raises click.BadParameter where it is invalid, or in the future."""
    if text is None:
        return None
    try:
        at = instant(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is not an ISO 8601 date, or date and time, such as 2026-01-31 or 2026-01-31T06:30Z"
        ) from None
    if at > datetime.now(UTC):
        raise click.BadParameter(f"{text!r} is in the future (UTC unless it has an offset)")
    return at


@store_command.command(short_help="Show the changes of champion, or the version live at an instant.")
@click.argument("station")
@click.option(
    "--at",
    callback=_past,
    metavar="INSTANT",
    help="Show the version live at this ISO 8601 date (00:00) or date and time, UTC unless it has an offset.",
)
@options.store
def history(station: str, at: datetime | None, store: Store) -> None:
    """Show the changes of a station's champion, oldest first, or the version live at an instant."""
    entries = store.named(station).history()
    if at:
        live = live_at(entries, at)
        if not live:
            raise click.ClickException(f"no version of station {station!r} had been promoted before {at.isoformat()}")
        for name in ("version", "digest", "action", "at", "by", "reason"):
            output.print(f"{name}: {getattr(live, name)}")
        return
    table = wide_table("at (UTC)", "version", "action", "by", "reason")
    for e in entries:
        table.add_row(e.at[:19], e.version, e.action, e.by, e.reason)
    output.print(table)


@store_command.command()
@click.argument("station")
@click.argument("version")
@click.option("--reason", default="by hand", help="Recorded in the history.")
@options.store
def promote(station: str, version: str, reason: str, store: Store) -> None:
    """Make a version the champion."""
    check_loads(store.named(station), version)
    store.named(station).promote(version, reason)
    messages.print(f"{station}: {version} is the champion")


@store_command.command()
@click.argument("station")
@click.option("--reason", default="by hand", help="Recorded in the history.")
@options.store
def rollback(station: str, reason: str, store: Store) -> None:
    """Roll back to the previous champion."""
    one = store.named(station)
    version = one.rollback(reason, partial(check_loads, one))
    messages.print(f"{station}: {version} is the champion again")


@store_command.command(short_help="Remove old versions.")
@click.argument("station", required=False)
@click.option(
    "--keep-days",
    type=click.IntRange(0, 36_500),
    default=90,
    show_default=True,
    help="Keep versions live within the last N days.",
)
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@options.store
def prune(station: str | None, keep_days: int, dry_run: bool, store: Store) -> None:
    """Remove versions that were last live too long ago, or never.

    The champion and the version that a rollback would restore are kept, and so are versions published within the last
    day that were never live. Without STATION, every station is pruned.
    """
    failed = False
    for name in [station] if station else store.all_names():
        try:
            remove = unneeded if dry_run else prune_station
            removed = remove(store.named(name), timedelta(days=keep_days))
        except (ValueError, OSError) as error:  # the other stations are still pruned
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
@options.store
def verify(station: str | None, store: Store) -> None:
    """Check that every version is intact, that the history is an unbroken chain, and that both agree."""
    stations = [store.named(name) for name in ([station] if station else store.all_names())]
    problems = [problem for one in stations for problem in verify_station(one)]
    for problem in problems:
        messages.print(problem)
    versions = sum(len(one.versions()) for one in stations)
    output.print(f"{len(stations)} station(s), {versions} version(s), {len(problems)} problem(s)")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    store_command()
