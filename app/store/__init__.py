"""The store: immutable versions of each station's model, and a pointer to the champion.

::

    STORE/<station>/versions/<UTC time>-<8 hex of the digest>/model.joblib, manifest.json
    STORE/<station>/champion         one line: the name of its version
    STORE/<station>/history.jsonl    every change of champion
    STORE/<station>/history.head     the digest of the last line of history.jsonl
    STORE/_shared                    the shared corrector of guidance, stored like a station
"""

from pathlib import Path

from app.store.files import StoreError
from app.store.station import STATION_NAME, StationStore

SHARED = "_shared"  # not a valid station name

__all__ = ["SHARED", "StationStore", "Store", "StoreError"]


class Store:
    """The models of all stations, in one folder; ``read_only`` refuses every change."""

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        self.root, self.read_only = root, read_only

    def station(self, name: str) -> StationStore:
        """Return the store of a station, which may be empty. Raises StoreError where the name is invalid."""
        if not STATION_NAME.fullmatch(name):
            raise StoreError(
                f"{name!r} is not a station name: use 1 to 64 lowercase letters, digits, '_', '.' and '-', beginning "
                "with a letter or digit"
            )
        return StationStore(self.root / name, self.read_only)

    @property
    def shared(self) -> StationStore:
        """The store of the shared corrector, which is versioned like a model but never served."""
        return StationStore(self.root / SHARED, self.read_only)

    def named(self, name: str) -> StationStore:
        """Return the store of a station, or of the shared corrector."""
        return self.shared if name == SHARED else self.station(name)

    def stations(self) -> list[str]:
        """Return the names of the stations that have a champion, sorted."""
        return self._with("champion")

    def all_names(self) -> list[str]:
        """Return the names of all stations with a version or a champion, sorted, and of the shared corrector, if any.

        Raises StoreError where there is no store.
        """
        if not self.root.is_dir():
            raise StoreError(f"there is no store at {self.root}")
        names = sorted({*self._with("versions"), *self._with("champion")})
        return names + ([SHARED] if self.shared.folder.is_dir() else [])

    def _with(self, part: str) -> list[str]:
        names = (path.parent.name for path in self.root.glob(f"*/{part}"))
        return sorted(name for name in names if STATION_NAME.fullmatch(name))
