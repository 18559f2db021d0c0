"""Readers of station records: from a file or a body to a `Record`, in three steps.

`cells` finds the table, `formats` says what its columns mean (`columns`, `rows`), and `days` makes the days of one
station of them. Sources that are no table have a reader of their own.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from app.readers.contents import FORMAT_NAMES, Content, first_station, read_source, table_of
from app.readers.days import days_of, listed
from app.readers.formats import FORMATS
from app.readers.guidance import with_guidance
from app.readers.record import Record, RecordError, checked, station_name, valid_name
from app.readers.series import Options, Series
from app.readers.source import Source
from app.text import printable
from models.record.columns import ColumnError, Units, chosen_columns, is_guidance, is_spread


def read_record(
    path: Path | Sequence[Path],
    record_format: str = "auto",
    units: Units | None = None,
    columns: Sequence[str] = (),
    guidance: Path | None = None,
    timezone: str | None = None,
    station: str | None = None,
) -> Record:
    """Read the record of one station.

    Parameters
    ----------
    path : a file, or the files of one station; those that lie beside a file and belong to it are read, too
    record_format : one of `FORMAT_NAMES`, or ``auto``
    units : of values whose unit the file does not state
    columns : columns to read in addition to guidance, which is always read; ``all`` for all columns
    guidance : a file of external forecasts, see `with_guidance`
    timezone : of the station, for files that hold instants
    station : which one, where the files hold several; else the name of the record

    Raises RecordError, which names the place in the file and the remedy.
    """
    paths = [path] if isinstance(path, Path) else list(path)
    own = [name for name in columns if not (is_guidance(name) or is_spread(name))] if guidance else list(columns)
    records = read_stations(with_family(paths), record_format, units, own, timezone)
    record = one_of(", ".join(map(str, paths)), records, station)
    return joined_to_guidance(record, guidance, units, timezone, columns)


def read_stations(
    paths: Sequence[Path],
    record_format: str = "auto",
    units: Units | None = None,
    columns: Sequence[str] = (),
    timezone: str | None = None,
) -> dict[str, Record]:
    """Read the records of all stations in the files, by name; the files of one station are one record.

    Raises RecordError, which names the place in the file and the remedy.
    """
    options = Options(units, timezone, columns)
    contents = [read_source(Source(str(path), path), record_format, options) for path in paths]
    return _records(contents, [station_name(path) for path in paths])


def read_with_guidance(
    paths: Sequence[Path],
    record_format: str,
    units: Units | None,
    timezone: str | None,
    columns: Sequence[str],
    guidance: Mapping[str, Path],
) -> list[Record]:
    """Read the records of all stations in the files, each with its file of external forecasts, by station, if any.

    Raises RecordError, which names the place in the file and the remedy.
    """
    own = [name for name in columns if not (is_guidance(name) or is_spread(name))]
    records = read_stations(paths, record_format, units, own if guidance else columns, timezone)
    return [
        joined_to_guidance(record, guidance.get(name), units, timezone, columns) for name, record in records.items()
    ]


def joined_to_guidance(
    record: Record, guidance: Path | None, units: Units | None, timezone: str | None, columns: Sequence[str]
) -> Record:
    """Return the record with the external forecasts of a file, if any, and all ``columns`` that are named."""
    if guidance is None:
        return record
    record = with_guidance(record, guidance, units or "metric", timezone)
    try:
        chosen_columns(record.days.further, columns)
    except ColumnError as error:
        raise RecordError(f"{record.station}, {guidance}: {error}") from None
    return record


def read_content(
    content: bytes,
    name: str,
    record_format: str = "auto",
    units: Units | None = None,
    columns: Sequence[str] = (),
    timezone: str | None = None,
    station: str | None = None,
) -> Record:
    """Read the record of one station from bytes; parameters and errors are those of `read_record`."""
    if record_format not in {"auto", *FORMAT_NAMES}:
        raise RecordError(f"{name}: no format {printable(record_format)!r}: one of auto, {', '.join(FORMAT_NAMES)}")
    source = read_source(Source(name, content), record_format, Options(units, timezone, columns))
    return one_of(name, _records([source], [valid_name(name)]), station)


def one_of(name: str, records: Mapping[str, Record], station: str | None) -> Record:
    """Return the record of a station, or the only one under that name. Raises RecordError, listing the stations."""
    if len(records) == 1:
        record = next(iter(records.values()))
        return dataclasses.replace(record, station=station) if station else record
    chosen = records.get(valid_name(station)) if station else None
    if chosen is None:
        no = f", none is {station!r}" if station else ""
        raise RecordError(f"{name}: {len(records)} stations{no}: choose one with --station: {listed(records)}")
    return chosen


def with_family(paths: Sequence[Path]) -> list[Path]:
    """Return the files, and those beside them that hold other quantities or years of the same station."""
    found = {path.resolve(): path for path in paths}
    for path in paths:
        for family in filter(None, {known.family for known in FORMATS}):
            if match := re.search(family, path.name):
                beside = (other for other in sorted(path.parent.iterdir()) if other.is_file())
                for other in beside:
                    of_other = re.search(family, other.name)
                    if of_other and of_other[1] == match[1]:
                        found.setdefault(other.resolve(), other)
    return list(found.values())


def groups(
    paths: Iterable[Path], record_format: str = "auto", beside: bool = True
) -> list[tuple[str, tuple[Path, ...]]]:
    """Return the files that are read together, and the name of their first station, looking at their heads only.

    Files with the same first station are read together, and with ``beside`` those that lie beside them and belong to
    them. A file that names no station, or cannot be read, is alone, under its own name.
    """
    found: dict[tuple[str, Path | None], list[Path]] = {}
    for path in paths:
        station = _first_station(path, record_format)
        found.setdefault((valid_name(station), None) if station else (station_name(path), path), []).append(path)
    return [(name, tuple(with_family(files) if beside else files)) for (name, _), files in found.items()]


def _first_station(path: Path, record_format: str) -> str:
    """Return the id of the first station in the head of a file, "" where it has none or cannot be read."""
    try:
        return first_station(Source(str(path), path), record_format)
    except (RecordError, OSError):
        return ""


def readable(stations: Iterable[tuple[Path, ...]], read: Callable[[tuple[Path, ...]], list[Record]]) -> list[Record]:
    """Return the records of all files; those that cannot be read are left out, for whoever needs one to report it."""
    records: list[Record] = []
    for together in stations:
        with suppress(ValueError, OSError):
            records += read(together)
    return records


def column_names(path: Path) -> tuple[str, ...]:
    """Return the names of the columns of a table, lower-case; none for a source that is no table."""
    try:
        names = table_of(Source(str(path), path), "auto").names
    except RecordError:
        return ()
    return tuple(" ".join(name.lower().split()) for name in names)


def _records(contents: Sequence[Content], stems: Sequence[str]) -> dict[str, Record]:
    """Join the series of each station."""
    by_name: dict[str, list[tuple[Content, Series]]] = {}
    nameless: dict[str, str] = {}
    for content, stem in zip(contents, stems, strict=True):
        for series in content.series:
            name = valid_name(series.station) if series.station else stem
            if not series.station and nameless.setdefault(name, content.name) != content.name:
                raise RecordError(f"{nameless[name]} and {content.name} are both named {name!r}: rename one of them")
            by_name.setdefault(name, []).append((content, series))
    records = {}
    for name, parts in by_name.items():
        sources = list(dict.fromkeys(content.name for content, _ in parts))
        record = days_of(", ".join(sources), name, [series for _, series in parts], parts[0][0].format)
        if len(sources) > 1:
            record = dataclasses.replace(record, notes=(f"read together: {', '.join(sources)}", *record.notes))
        records[name] = checked(", ".join(sources), record)
    return records


__all__ = [
    "FORMAT_NAMES",
    "Record",
    "RecordError",
    "column_names",
    "groups",
    "one_of",
    "read_content",
    "read_record",
    "read_stations",
    "read_with_guidance",
    "readable",
    "station_name",
    "valid_name",
    "with_family",
    "with_guidance",
]
