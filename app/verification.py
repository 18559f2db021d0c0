"""Whether what the store holds is whole, and its record agrees with it."""

import time

from app.history import Entry
from app.store import POOLED, Store
from models.correctors import Pooled
from models.formats import from_state


def verify(store: Store, station: str) -> list[str]:
    """Return what is wrong with a station, a line each; nothing where every version and the history are whole."""
    problems, digests = [], {}
    for version in store.versions(station):
        try:
            state, manifest = store.load(station, version)
            digests[version] = manifest.sha256
            Pooled.from_state(state) if station == POOLED else from_state(state)
        except ValueError as error:
            if version in store.versions(station):  # it may have been pruned meanwhile
                problems.append(f"{station} {version}: {error}")
    try:
        entries, champion = _history_and_champion(store, station)
    except (ValueError, OSError) as error:
        return [*problems, f"{station}: {error}"]
    problems += [
        f"{station}: the history gives {entry.version} another digest than its manifest"
        for entry in entries
        if entry.digest != digests.get(entry.version, entry.digest)
    ]
    if not entries or entries[-1].version != champion:
        problems.append(
            f"{station}: the champion {champion!r} is not the last one of the history; if a promotion was "
            "interrupted, the next training or promotion completes it"
        )
    if champion not in store.versions(station):
        problems.append(f"{station}: the champion {champion!r} is not among the versions")
    return problems


def _history_and_champion(store: Store, station: str) -> tuple[list[Entry], str]:
    """Read both, again if they disagree: a promotion may be under way between the two."""
    for _ in range(5):
        entries, champion = store.history(station), store.champion(station)
        if entries and entries[-1].version == champion:
            break
        time.sleep(0.05)
    return entries, champion
