"""The integrity check of a store: versions, history and champion."""

import time

from app.store import SHARED
from app.store.history import Entry
from app.store.station import StationStore
from models.forecast.saved import from_state, shared_from_state


def verify(station: StationStore) -> list[str]:
    """Return the problems found, one line each."""
    problems, digests = [], {}
    for version in station.versions():
        try:
            digests[version] = check_loads(station, version)
        except ValueError as error:
            if version in station.versions():  # it may have been pruned meanwhile
                problems.append(f"{station.name} {version}: {error}")
    try:
        entries, champion = _history_and_champion(station)
    except (ValueError, OSError) as error:
        return [*problems, f"{station.name}: {error}"]
    problems += [
        f"{station.name}: the digest of {entry.version} in the history does not match its manifest"
        for entry in entries
        if entry.digest != digests.get(entry.version, entry.digest)
    ]
    if not entries or entries[-1].version != champion:
        problems.append(
            f"{station.name}: the champion {champion!r} does not match the last line of the history; if a promotion "
            "was interrupted, the next training or promotion completes it"
        )
    if champion not in station.versions():
        problems.append(f"{station.name}: the champion {champion!r} is not among the versions")
    return problems


def check_loads(station: StationStore, version: str) -> str:
    """Load a version's model; return the digest of its file. Raises ValueError where it cannot be served."""
    state, manifest = station.load(version)
    shared_from_state(state) if station.name == SHARED else from_state(state)
    return manifest.sha256


def _history_and_champion(station: StationStore) -> tuple[list[Entry], str]:
    """Read both, and again if they disagree, as a promotion may be in progress."""
    for _ in range(5):
        entries, champion = station.history(), station.champion()
        if entries and entries[-1].version == champion:
            break
        time.sleep(0.05)
    return entries, champion
