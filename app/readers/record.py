"""What every reader returns."""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.predictors import set_aside_impossible_predictors
from models.station_days import TMAX, TMIN, TMIN_ABOVE_TMAX, SetAside, StationDays, set_aside_the_impossible

# More impossible temperatures than this are no faults of a thermometer, but a unit that was not said.
IMPOSSIBLE_SHARE = 0.01


class RecordError(ValueError):
    """A file is no record of a station, in one line that says where and what to do."""


@dataclass(frozen=True, eq=False)
class Record:
    """A station's record.

    Attributes
    ----------
    station : the name that the file suggests
    days : degC and mm on the calendar
    set_aside : what was in the file and is not in ``days``
    """

    station: str
    days: StationDays
    set_aside: tuple[SetAside, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of the station-days themselves, whatever the file looked like."""
        content = hashlib.sha256(str(self.days.first).encode())
        content.update(np.ascontiguousarray(self.days.values, dtype="<f8").tobytes())
        for name, column in self.days.predictors.items():
            content.update(name.encode())
            content.update(np.ascontiguousarray(column, dtype="<f8").tobytes())
        return f"sha256:{content.hexdigest()}"


def checked(path: Path, record: Record) -> Record:
    """Set aside the impossible.

    Raises
    ------
    RecordError : where so many temperatures are impossible that the unit must be another, or none was observed
    """
    days, dropped = set_aside_the_impossible(record.days)
    days, unlikely = set_aside_impossible_predictors(days)
    beyond = [d for d in dropped if d.column in {"tmax", "tmin"} and d.reason != TMIN_ABOVE_TMAX]
    temperatures = np.isfinite(record.days.values[:, [TMAX, TMIN]]).sum()
    if len(beyond) > IMPOSSIBLE_SHARE * temperatures:
        first = beyond[0]
        remedy = "is the file in degF? Then say --units us" if first.value > 0 else "leave unknown values empty"
        raise RecordError(
            f"{path}: {len(beyond)} of {temperatures} temperatures are impossible in degC "
            f"({first.column} of {first.date} is {first.value:.1f}); {remedy}"
        )
    if np.isnan(days.tmax).all():
        raise RecordError(f"{path}: not one day has a tmax")
    return dataclasses.replace(record, days=days, set_aside=(*record.set_aside, *dropped, *unlikely))
