"""The loaded champions of one process, kept fresh by a look at their pointers."""

import dataclasses
import logging
import threading
import time
from dataclasses import dataclass

import numpy as np

from app.manifest import Manifest
from app.store import POOLED, Store, StoreError
from models.formats import Served, from_state
from models.station_days import COLUMNS, StationDays

log = logging.getLogger(__name__)

# A champion that was refused is tried again after this many seconds: what hindered the disk may have passed.
RETRY_SECONDS = 30.0


class NoModel(ValueError):  # noqa: N818
    """There is no model at all, or a station has champions, present and past, of which none can be loaded.

    Attributes
    ----------
    reason : for operators; it may name files
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Loaded:
    """A model that is served.

    Attributes
    ----------
    refused : why it is not the champion that is served, but one before it; empty where it is the champion
    """

    station: str
    version: str
    forecaster: Served
    manifest: Manifest
    refused: str = ""

    def warm(self) -> None:
        """Make real forecasts, so that a model that cannot is found out before a client asks."""
        n = self.forecaster.recipe.min_days
        for known in (0.0, np.nan) if self.forecaster.predictors else (np.nan,):
            predictors = {name: np.full(n, known) for name in self.forecaster.predictors}
            days = StationDays(np.datetime64("2001-01-01", "D"), np.zeros((n, len(COLUMNS))), predictors)
            if not np.isfinite(self.forecaster.predict(days).tmax):
                raise ValueError(f"model of {self.station} {self.version} forecasts something that is not a number")


@dataclass(frozen=True)
class _Attempt:
    """What came of loading a station: a model, or the reason why there is none; and how the pointer looked then."""

    pointer: tuple[int, int, int]
    loaded: Loaded | None
    reason: str
    at: float

    def holds(self, pointer: tuple[int, int, int]) -> bool:
        return self.pointer == pointer and not (self.reason and time.monotonic() > self.at + RETRY_SECONDS)


class Shelf:
    """The champions that this process serves; a new champion is loaded and warmed aside, then takes its place."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._attempts: dict[str, _Attempt] = {}
        self._loading = threading.Lock()

    def stations(self) -> list[str]:
        """Return the names of all stations that have a champion, sorted."""
        return self.store.stations()

    def load_all(self) -> None:
        """Load every champion; one that cannot be loaded is logged, and hinders no other."""
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
        pointer = self._pointer(station)
        attempt = self._attempts.get(station)
        if not attempt or not attempt.holds(pointer):
            with self._loading:
                attempt = self._attempts.get(station)
                if not attempt or not attempt.holds(pointer):
                    attempt = self._load(station, pointer, attempt.loaded if attempt else None)
                    self._attempts[station] = attempt
        if not attempt.loaded:
            raise NoModel(f"no model of station {station!r} can be loaded at present", attempt.reason)
        return attempt.loaded

    def _pointer(self, station: str) -> tuple[int, int, int]:
        try:
            if station == POOLED:
                raise FileNotFoundError
            stat = self.store.champion_file(station).stat()
        except (FileNotFoundError, NotADirectoryError):
            self._attempts.pop(station, None)
            if not self.stations():
                raise NoModel("no model has been trained yet") from None
            raise StoreError(f"no model of station {station!r} is served; GET /models lists those that are") from None
        except OSError:
            return 0, 0, 0  # whatever keeps the disk from answering, what is loaded is served until it does
        return stat.st_mtime_ns, stat.st_ino, stat.st_size

    def _load(self, station: str, pointer: tuple[int, int, int], before: Loaded | None) -> _Attempt:
        """Load the champion, or else the newest champion before it that is whole, or else keep what is loaded."""
        reasons: list[str] = []
        try:
            for version in self.store.lineage(station):
                try:
                    state, manifest = self.store.load(station, version)
                    loaded = Loaded(station, version, from_state(state), manifest, "; ".join(reasons))
                    loaded.warm()
                except Exception as error:  # whatever is wrong with a new model, the one before it keeps serving
                    log.error("version %s of station %s is not served: %s", version, station, error)
                    reasons.append(str(error))
                else:
                    return _Attempt(pointer, loaded, loaded.refused, time.monotonic())
        except (OSError, StoreError) as error:
            log.error("station %s: %s", station, error)
            reasons.append(str(error))
        reason = "; ".join(reasons)
        kept = before and dataclasses.replace(before, refused=reason)
        return _Attempt(pointer, kept, reason, time.monotonic())
