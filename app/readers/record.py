"""The record of a station, and the check for impossible values."""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.record.columns import COLUMNS, TEMPERATURES, TMIN_ABOVE_TMAX
from models.record.days import StationDays
from models.record.quality import SetAside, set_aside_impossible

# A larger share of impossible temperatures points to a wrong unit rather than a faulty thermometer.
IMPOSSIBLE_SHARE = 0.01


class RecordError(ValueError):
    """A file that is not a valid record; the message names the place and the remedy in one line."""


@dataclass(frozen=True, eq=False)
class Record:
    """A station's record."""

    station: str  # made from the name of the file
    days: StationDays  # metric, on the calendar
    set_aside: tuple[SetAside, ...] = ()  # values of the file that are not in ``days``

    @property
    def digest(self) -> str:
        """SHA-256 of the station-days, independent of the file's format."""
        content = hashlib.sha256(str(self.days.first).encode())
        content.update(np.ascontiguousarray(self.days.values, dtype="<f8").tobytes())
        for name, series in self.days.predictors.items():
            content.update(name.encode())
            content.update(np.ascontiguousarray(series, dtype="<f8").tobytes())
        return f"sha256:{content.hexdigest()}"


def checked(path: Path, record: Record) -> Record:
    """Set impossible values aside.

    Raises RecordError where so many temperatures are impossible that the unit must be wrong, or where no tmax is left.
    """
    days, impossible = set_aside_impossible(record.days)
    temperatures = {COLUMNS[index] for index in TEMPERATURES}
    beyond = [v for v in impossible if v.column in temperatures and v.reason != TMIN_ABOVE_TMAX]
    n = int(np.isfinite(record.days.values[:, TEMPERATURES]).sum())
    if len(beyond) > IMPOSSIBLE_SHARE * n:
        raise RecordError(f"{path}: {too_many_impossible(beyond, n, 'temperatures')}")
    if np.isnan(days.tmax).all():
        raise RecordError(f"{path}: no day has a tmax")
    return dataclasses.replace(record, days=days, set_aside=(*record.set_aside, *impossible))


def too_many_impossible(beyond: list[SetAside], n: int, what: str, *, says_unit: bool = False) -> str:
    """Return the error message for a file with too many impossible values among ``n``."""
    first = beyond[0]
    in_degf = first.value > 0 and not says_unit
    remedy = "if the file is in degF, add --units us" if in_degf else "leave unknown values empty"
    example = f"{first.column} on {first.date} is {first.value:.1f}"
    return f"{len(beyond)} of {n} {what} are impossible in degC ({example}); {remedy}"
