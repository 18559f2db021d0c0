"""Files as station owners hold them: one file a format; ``READERS`` is the table."""

from collections.abc import Callable, Sequence
from pathlib import Path

from app.readers.guidance import with_guidance
from app.readers.plain_csv import column_names, read_plain_csv, station_name
from app.readers.record import Record, RecordError, checked
from models.predictors import SPREAD, PredictorError, chosen, is_guidance
from models.station_days import Units

READERS: dict[str, Callable[[Path, Units, Sequence[str]], Record]] = {"csv": read_plain_csv}


def read_record(
    path: Path,
    record_format: str = "auto",
    units: Units = "metric",
    predictors: Sequence[str] = (),
    guidance: Path | None = None,
) -> Record:
    """Read a station's record and set aside what cannot have been measured.

    Parameters
    ----------
    record_format : a key of `READERS`, or ``auto``
    units : of a plain CSV
    predictors : columns to read beside guidance, which is read where it is there; ``all`` for all of them
    guidance : a file of somebody's forecasts, see `with_guidance`

    Raises
    ------
    RecordError : names the place in the file and the remedy
    """
    reader = READERS["csv" if record_format == "auto" else record_format]
    if guidance is None:
        return checked(path, reader(path, units, predictors))
    own = [name for name in predictors if not is_guidance(name) and name != SPREAD]
    record = with_guidance(checked(path, reader(path, units, own)), guidance, units)
    try:
        chosen(record.days.predictors, predictors)
    except PredictorError as error:
        raise RecordError(f"{path}, {guidance}: {error}") from None
    return record


__all__ = ["READERS", "Record", "RecordError", "column_names", "read_record", "station_name", "with_guidance"]
