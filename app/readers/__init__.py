"""Files as station owners hold them: one file a format; ``READERS`` is the table."""

from collections.abc import Callable, Sequence
from pathlib import Path

from app.readers.plain_csv import read_plain_csv, station_name
from app.readers.record import Record, RecordError, checked
from models.station_days import Units

READERS: dict[str, Callable[[Path, Units, Sequence[str]], Record]] = {"csv": read_plain_csv}


def read_record(
    path: Path, record_format: str = "auto", units: Units = "metric", predictors: Sequence[str] = ()
) -> Record:
    """Read a station's record and set aside what cannot have been measured.

    Parameters
    ----------
    record_format : a key of `READERS`, or ``auto``
    units : of a plain CSV
    predictors : columns to read beside guidance, which is read where it is there; ``all`` for all of them

    Raises
    ------
    RecordError : names the place in the file and the remedy
    """
    reader = READERS["csv" if record_format == "auto" else record_format]
    return checked(path, reader(path, units, predictors))


__all__ = ["READERS", "Record", "RecordError", "read_record", "station_name"]
