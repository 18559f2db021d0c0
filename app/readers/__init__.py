"""Readers of station records; `READERS` is the table of formats."""

from collections.abc import Callable, Sequence
from pathlib import Path

from app.readers.cells import station_name
from app.readers.guidance import with_guidance
from app.readers.plain_csv import column_names, read_plain_csv
from app.readers.record import Record, RecordError, checked
from models.record.columns import SPREAD, PredictorError, Units, chosen_predictors, is_guidance

READERS: dict[str, Callable[[Path, Units, Sequence[str]], Record]] = {"csv": read_plain_csv}


def read_record(
    path: Path,
    record_format: str = "auto",
    units: Units = "metric",
    predictors: Sequence[str] = (),
    guidance: Path | None = None,
) -> Record:
    """Read a station's record and set impossible values aside.

    Parameters
    ----------
    record_format : a key of `READERS`, or ``auto``
    units : of files that do not state theirs
    predictors : columns to read in addition to guidance, which is always read; ``all`` for all columns
    guidance : a file of external forecasts, see `with_guidance`

    Raises RecordError, which names the place in the file and the remedy.
    """
    reader = READERS["csv" if record_format == "auto" else record_format]
    if guidance is None:
        return checked(path, reader(path, units, predictors))
    own = [name for name in predictors if not is_guidance(name) and name != SPREAD]
    record = with_guidance(checked(path, reader(path, units, own)), guidance, units)
    try:
        chosen_predictors(record.days.predictors, predictors)
    except PredictorError as error:
        raise RecordError(f"{path}, {guidance}: {error}") from None
    return record


__all__ = ["READERS", "Record", "RecordError", "column_names", "read_record", "station_name", "with_guidance"]
