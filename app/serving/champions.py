"""The loaded champions of one process, kept current by checking their pointers at each request."""

import dataclasses
import logging
import threading
import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from app.store import Store, StoreError
from app.store.manifest import Manifest
from models.forecast.belief import Belief
from models.forecast.saved import Forecaster, from_state
from models.record.columns import COLUMNS
from models.record.days import StationDays

log = logging.getLogger(__name__)

RETRY_SECONDS = 30.0  # a refused champion is retried after this time: the disk may have recovered


class NoModel(ValueError):  # noqa: N818
    """No model is trained, or no champion of a station, present or past, can be loaded."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason  # for operators; it may name files


@dataclass(frozen=True)
class ServedModel:
    """A served model."""

    station: str
    version: str
    model: Forecaster
    manifest: Manifest
    refused: str = ""  # why the champion was refused and this model is served; "" where this is the champion

    @cached_property
    def belief(self) -> Belief:
        """What the climate of the model makes believable."""
        own = self.model.station_only
        return Belief.of(own.features, own.trained_through, self.longest)

    @cached_property
    def further(self) -> tuple[str, ...]:
        """The columns that a station-day may carry beside the measured ones."""
        further = tuple(name for name in self.model.columns if name not in COLUMNS)
        return further + self.model.station_only.features.ignored

    @property
    def longest(self) -> int:
        """Number of days that a forecast can use; more make no difference."""
        return max(self.model.recipe.recommended_days, self.model.recommended_days)

    def warm(self) -> None:
        """Forecast from dummy days, so that a broken model fails here and not in a request."""
        n = self.model.recipe.min_days
        for known in (0.0, np.nan):
            further = {name: np.full(n, known) for name in self.further}
            days = StationDays(np.datetime64("2001-01-01", "D"), np.zeros((n, len(COLUMNS))), further)
            if not np.isfinite(self.model.predict(days).tmax):
                raise ValueError(f"model {self.version} of station {self.station}: its forecast is not a finite number")


@dataclass(frozen=True)
class _Attempt:
    """The result of loading a station: the model, the reason why the champion was refused, the pointer at the time."""

    pointer: tuple[int, int, int]
    served: ServedModel | None
    reason: str
    at: float

    def holds(self, pointer: tuple[int, int, int]) -> bool:
        return self.pointer == pointer and not (self.reason and time.monotonic() > self.at + RETRY_SECONDS)


class Champions:
    """The champions that this process serves; a new one is loaded and warmed before it replaces the old one."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._attempts: dict[str, _Attempt] = {}
        self._loading = threading.Lock()

    def stations(self) -> list[str]:
        """Return the names of all stations with a champion, sorted."""
        return self.store.stations()

    def load_all(self) -> None:
        """Load every champion; log those that cannot be loaded."""
        for station in self.stations():
            try:
                self.get(station)
            except (NoModel, StoreError) as error:
                log.error("%s", error)

    def get(self, station: str) -> ServedModel:
        """Return the present model of a station.

        Raises StoreError where the station is not served; NoModel where none of its champions can be loaded, or no
        model has been trained yet.
        """
        pointer = self._pointer(station)
        attempt = self._attempts.get(station)
        if not attempt or not attempt.holds(pointer):
            with self._loading:
                attempt = self._attempts.get(station)
                if not attempt or not attempt.holds(pointer):
                    attempt = self._load(station, pointer, attempt.served if attempt else None)
                    self._attempts[station] = attempt
        if not attempt.served:
            raise NoModel(f"no model of station {station!r} can be loaded at present", attempt.reason)
        return attempt.served

    def _pointer(self, station: str) -> tuple[int, int, int]:
        try:
            stat = self.store.station(station).champion_file.stat()
        except (FileNotFoundError, NotADirectoryError):
            self._attempts.pop(station, None)
            if not self.stations():
                raise NoModel("no model has been trained yet") from None
            raise StoreError(f"station {station!r} is not served; GET /models lists the stations") from None
        except OSError:
            return 0, 0, 0  # the disk does not answer: the loaded model is kept
        return stat.st_mtime_ns, stat.st_ino, stat.st_size

    def _load(self, name: str, pointer: tuple[int, int, int], before: ServedModel | None) -> _Attempt:
        """Load the champion, else the newest intact earlier one, else keep the loaded model."""
        reasons: list[str] = []
        try:
            station = self.store.station(name)
            for version in station.lineage():
                try:
                    state, manifest = station.load(version)
                    served = ServedModel(name, version, from_state(state), manifest, "; ".join(reasons))
                    served.warm()
                except Exception as error:  # whatever is wrong with a model, an earlier one is served
                    log.error("version %s of station %s is not served: %s", version, name, error)
                    reasons.append(str(error))
                else:
                    return _Attempt(pointer, served, served.refused, time.monotonic())
        except (OSError, StoreError) as error:
            log.error("station %s: %s", name, error)
            reasons.append(str(error))
        reason = "; ".join(dict.fromkeys(reasons))
        kept = before and dataclasses.replace(before, refused=reason)
        return _Attempt(pointer, kept, reason, time.monotonic())
