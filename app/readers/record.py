"""The record of a station, and the check for impossible values."""

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.record.columns import COLUMNS, TEMPERATURES, TMIN_ABOVE_TMAX, Units
from models.record.days import StationDays
from models.record.quality import SetAside, set_aside_impossible

# A larger share of impossible temperatures points to a wrong unit rather than a faulty thermometer.
IMPOSSIBLE_SHARE = 0.01


TEMPERATURE_NAMES = {COLUMNS[index] for index in TEMPERATURES}


class RecordError(ValueError):
    """A file that is not a valid record; the message names the place and the remedy in one line."""


@dataclass(frozen=True, eq=False)
class Record:
    """A station's record."""

    station: str  # a valid station name, from the id in the file, or else from the name of the file
    days: StationDays  # metric, on the calendar; with all columns that the table knows, guidance, and named ones
    set_aside: tuple[SetAside, ...] = ()  # values of the file that are not in ``days``
    format: str = "csv"  # see `app.readers.formats`
    units: Units = "metric"  # of the temperatures in the file
    notes: tuple[str, ...] = ()  # what the user should know of the reading, one sentence each

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that have any value."""
        measured = zip(COLUMNS, self.days.values.T, strict=True)
        return (*(name for name, values in measured if not np.isnan(values).all()), *self.days.further)

    @property
    def digest(self) -> str:
        """SHA-256 of the station-days, independent of the file's format."""
        content = hashlib.sha256(str(self.days.first).encode())
        content.update(np.ascontiguousarray(self.days.values, dtype="<f8").tobytes())
        for name, series in self.days.further.items():
            content.update(name.encode())
            content.update(np.ascontiguousarray(series, dtype="<f8").tobytes())
        return f"sha256:{content.hexdigest()}"


def checked(name: str, record: Record) -> Record:
    """Set impossible values aside.

    Raises RecordError where tmax and tmin seem to be swapped, or no tmax is left.
    """
    try:
        days, impossible = set_aside_impossible(record.days)
    except ValueError as error:
        raise RecordError(f"{name}: {error}") from None
    beyond = [value for value in impossible if value.column in TEMPERATURE_NAMES and value.reason != TMIN_ABOVE_TMAX]
    n = int(np.isfinite(record.days.values[:, TEMPERATURES]).sum())
    if len(beyond) > IMPOSSIBLE_SHARE * n and len(beyond) > 1:
        told = too_many_impossible(beyond, n, "temperatures", says_unit=True)
        raise RecordError(f"{name}: {told}, and correct the units that the file states, if they are wrong")
    if np.isnan(days.tmax).all():
        raise RecordError(f"{name}: no day has a tmax")
    return dataclasses.replace(record, days=days, set_aside=(*record.set_aside, *impossible))


def too_many_impossible(beyond: list[SetAside], n: int, what: str, *, says_unit: bool = False) -> str:
    """Return the error message for a file with too many impossible values among ``n``."""
    first = beyond[0]
    in_degf = first.value > 0 and not says_unit
    remedy = "if the file is in degF, add --units us" if in_degf else "leave unknown values empty"
    example = f"{first.column} on {first.date} is {first.value:.1f}"
    return f"{len(beyond)} of {n} {what} are impossible in degC ({example}); {remedy}"


def station_name(path: Path) -> str:
    """Return a valid station name made from the name of a file."""
    return valid_name(Path(path.stem).stem if path.suffix.lower() in {".gz", ".zip"} else path.stem)


def valid_name(text: str) -> str:
    """Return a valid station name made from an id or another name."""
    name = re.sub(r"[^a-z0-9_.-]+", "_", text.strip().lower()).strip("_.-")
    return name[:64] or "station"
