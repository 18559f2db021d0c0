"""The loaded champions of one process, kept fresh by a look at their pointers."""

import logging
import threading
import time
from dataclasses import dataclass

import numpy as np

from app.manifest import Manifest
from app.store import Store, StoreError
from models.forecaster import Forecaster
from models.station_days import COLUMNS, StationDays

log = logging.getLogger(__name__)

# A champion that was refused is tried again after this many seconds: what hindered the disk may have passed.
RETRY_SECONDS = 30.0


class NoModel(ValueError):  # noqa: N818
    """There is no model at all, or a station has champions, present and past, of which none can be loaded."""


@dataclass(frozen=True)
class Loaded:
    """A model that is served.

    Attributes
    ----------
    pointer : what the champion's pointer file looked like when this was loaded
    refused : why the champion itself is not this one; empty where it is
    retry_at : monotonic seconds
    """

    station: str
    version: str
    forecaster: Forecaster
    manifest: Manifest
    pointer: tuple[int, int, int]
    refused: str = ""
    retry_at: float = 0.0

    def warm(self) -> None:
        """Make a real forecast, so that a model that cannot is found out before a client asks."""
        days = StationDays(np.datetime64("2001-01-01", "D"), np.zeros((self.manifest.window.min_days, len(COLUMNS))))
        if not np.isfinite(self.forecaster.predict(days).tmax):
            raise ValueError(f"model of {self.station} {self.version} forecasts no finite number")


class Shelf:
    """The champions that this process serves; a new champion is loaded and warmed aside, then takes its place."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._loaded: dict[str, Loaded] = {}
        self._loading = threading.Lock()

    def stations(self) -> list[str]:
        """Return the names of all stations that have a champion, sorted."""
        return self.store.stations()

    def load_all(self) -> None:
        """Load every champion; one that cannot be loaded is logged, and asked for again when it is needed."""
        for station in self.stations():
            try:
                self.get(station)
            except (NoModel, StoreError) as error:
                log.error("%s", error)

    def get(self, station: str) -> Loaded:
        """Return the model of a station as its pointer stands now.

        Raises
        ------
        StoreError : where there is no such station
        NoModel : where none of its champions, present or past, can be loaded, or nothing has been trained yet
        """
        loaded = self._loaded.get(station)
        pointer = self._pointer(station)
        if loaded and loaded.pointer == pointer and not (loaded.refused and time.monotonic() > loaded.retry_at):
            return loaded
        with self._loading:
            again = self._loaded.get(station)
            if again is not loaded and again and again.pointer == pointer:
                return again
            fresh = self._load(station, pointer)
            self._loaded[station] = fresh
        return fresh

    def _pointer(self, station: str) -> tuple[int, int, int]:
        try:
            stat = self.store.champion_file(station).stat()
        except FileNotFoundError:
            self._loaded.pop(station, None)
            if not self.stations():
                raise NoModel("no model has been trained yet") from None
            raise StoreError(f"no model of station {station!r} is served; GET /models lists those that are") from None
        return stat.st_mtime_ns, stat.st_ino, stat.st_size

    def _load(self, station: str, pointer: tuple[int, int, int]) -> Loaded:
        """Load the champion, or else the newest champion before it that is whole."""
        reasons: list[str] = []
        for version in self.store.lineage(station):
            try:
                state, manifest = self.store.load(station, version)
                loaded = Loaded(
                    station,
                    version,
                    Forecaster.from_state(state),
                    manifest,
                    pointer,
                    "; ".join(reasons),
                    time.monotonic() + RETRY_SECONDS,
                )
                loaded.warm()
            except Exception as error:  # whatever is wrong with a new model, the one before it keeps serving
                log.error("station %s: version %s is not served: %s", station, version, error)
                reasons.append(str(error))
            else:
                return loaded
        raise NoModel(f"no model of station {station!r} can be loaded: {'; '.join(reasons)}")
