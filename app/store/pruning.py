"""Removing the versions that are no longer needed."""

from datetime import UTC, datetime, timedelta

from app.store import history
from app.store.files import StoreError, sync_folder
from app.store.station import VERSION_NAME, StationStore

# A version that was never promoted is kept for this long, as a training run may be about to promote it.
GRACE = timedelta(days=1)


def unneeded(station: StationStore, keep: timedelta) -> dict[str, int]:
    """Return the versions that `prune` would remove, oldest first, and the size of each in bytes.

    Raises StoreError where the history is missing; history.BrokenHistory where it is damaged.
    """
    entries, now = station.history(), datetime.now(UTC)
    if not entries and station.champion_file.exists():
        raise StoreError(f"station {station.name!r} has no history of its champions: promote a version to begin one")
    needed = set(station.lineage()[:2]) if entries else set()
    live_until = history.live_until(entries, now)
    # A history whose first line replaces a champion does not cover the versions live before.
    untold_until = history.instant(entries[0].at) if entries and entries[0].over else None

    def is_unneeded(version: str) -> bool:
        published = history.instant(version[:16])
        if version in live_until:
            return live_until[version] < now - keep
        if untold_until and published < untold_until:
            return untold_until < now - keep
        return published < now - GRACE

    return {
        version: sum(path.stat().st_size for path in (station.folder / "versions" / version).rglob("*"))
        for version in station.versions()
        if VERSION_NAME.fullmatch(version) and version not in needed and is_unneeded(version)
    }


def prune(station: StationStore, keep: timedelta) -> dict[str, int]:
    """Remove the versions that are no longer needed, and return them as `unneeded` does.

    Kept are the champion, the version that a rollback would restore, every version that was live within ``keep``, and
    every version published within `GRACE` that was never live.

    Raises StoreError where the history is missing or the disk can't be written to; history.BrokenHistory where the
    history is damaged.
    """
    with station.locked():
        removed = unneeded(station, keep)
        versions = station.folder / "versions"
        # Renamed before its files are removed, so that no version is ever incomplete.
        for version in removed:
            (versions / version).rename(versions / f".removed-{version}")
        if removed:
            sync_folder(versions)
            station.remove_leftovers()
    return removed
