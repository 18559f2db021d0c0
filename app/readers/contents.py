"""What a source holds: its format, and the series of its stations."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from app.readers import ghcn_dly, headless, json_rows, open_meteo, weewx_archive, weewx_reports
from app.readers.cells import Table, find_table, split
from app.readers.clock import zone
from app.readers.columns import recognised, station_column
from app.readers.format import Format
from app.readers.formats import NAMES, PLAIN, by_names, by_rows
from app.readers.record import RecordError
from app.readers.rows import series_of, station_above
from app.readers.series import Options, Series
from app.readers.source import Source, text_of
from app.text import printable

TEXTS = {"ghcn-dly": ghcn_dly, "weewx-report": weewx_reports}
ARCHIVE = "weewx"
FORMAT_NAMES = (*NAMES, *TEXTS, ARCHIVE)


class Content(NamedTuple):
    """The series of a source."""

    name: str
    format: str
    series: list[Series]


@dataclass(frozen=True, eq=False)
class Found:
    """The table of a source."""

    table: Table
    known: Format

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self.table.names

    @property
    def first_station(self) -> str:
        """The id in the first row, "" where the source names no station."""
        at = station_column(self.table, self.known)
        first = self.table.sample[0] if self.table.sample else []
        return first[at] if at is not None and at < len(first) else station_above(self.table, self.known)


def read_source(source: Source, chosen: str, options: Options) -> Content:
    """Read all stations of a source. Raises RecordError, which names the place and the remedy."""
    try:
        if options.timezone:
            zone(options.timezone)
    except ValueError as error:
        raise RecordError(f"{source.name}: {error}") from None
    try:
        if source.is_sqlite or chosen == ARCHIVE:
            return Content(source.name, ARCHIVE, weewx_archive.read(_on_disk(source), source.name, options))
        for name, reader in TEXTS.items():
            if chosen == name or (chosen == "auto" and reader.recognises(source.head)):
                return Content(source.name, name, reader.read(text_of(source.content()), source.name, options))
        source = json_rows.as_csv(source) or source
        if chosen in {"auto", "open-meteo"} and open_meteo.is_json(source.head):
            return Content(source.name, "open-meteo", open_meteo.read(source, options))
        found = table_of(source, chosen)
        series = series_of(found.table, found.known, options)
    except RecordError:
        raise
    except OSError as error:
        raise RecordError(f"{source.name}: cannot be read: {error.strerror or error}") from None
    return Content(source.name, found.known.name, series)


def first_station(source: Source, chosen: str) -> str:
    """Return the id of the first station in the head of a source, "" where it has none. Raises RecordError."""
    if source.is_sqlite or open_meteo.is_json(source.head):
        return ""
    for name, reader in TEXTS.items():
        if chosen == name or (chosen == "auto" and reader.recognises(source.head)):
            found = reader.STATION.search(text_of(source.head))
            return found[1].strip() if found else ""
    return table_of(source, chosen).first_station


def table_of(source: Source, chosen: str) -> Found:
    """Find the table of a source and its format. Raises RecordError where there is none."""

    def known_names(cells: Sequence[str], blanks: bool) -> int:
        known = by_names(cells, None, chosen)
        score = recognised(cells, blanks)
        return 1000 + score if known else score if chosen in {"auto", "csv"} else 0

    def known_rows(rows: list[list[str]]) -> int:
        return int(
            by_rows(rows, chosen) is not None or (chosen in {"auto", "csv"} and headless.names_of(rows) is not None)
        )

    def daily_names(cells: Sequence[str], blanks: bool) -> int:
        return known_names(cells, blanks) if any("temperature_2m_max" in cell for cell in cells) else 0

    table = None
    beginning = text_of(source.beginning)
    if beginning.lower().startswith(open_meteo.PLACE_LINES) and "temperature_2m_max" in beginning:
        with suppress(RecordError):  # a table of hours may lie above the table of days
            table = find_table(source, daily_names, lambda _: 0)
    try:
        table = table or find_table(source, known_names, known_rows)
    except RecordError:
        if chosen == "auto":
            raise
        raise RecordError(
            f"{source.name}: no table in the format {chosen}: leave out --format to recognise it"
        ) from None
    if not table.names:
        known = by_rows(table.sample, chosen)
        if known:
            return Found(table, known)
        return Found(headless.named(table), PLAIN)
    known = by_names(table.names, table.above, chosen) or PLAIN
    if known.places_above:
        _one_place(table)
    if known.station_is and not _station_fits(table, known):
        known = PLAIN
    return Found(table, known)


def _station_fits(table: Table, known: Format) -> bool:
    at = station_column(table, known)
    return at is not None and any(len(row) > at and re.fullmatch(known.station_is, row[at]) for row in table.sample[:3])


def _one_place(table: Table) -> None:
    """Raise RecordError where the line above the names gives several places side by side."""
    above = [line for line in table.above.splitlines() if "年月日" not in line] or [""]  # names on two lines
    places = list(dict.fromkeys(filter(None, split(above[-1], table.delimiter))))
    if len(places) > 1:
        listed = ", ".join(map(printable, places[:20]))
        raise RecordError(f"{table.name}: {len(places)} stations side by side: {listed}: download one at a time")


def _on_disk(source: Source) -> Path:
    if not source.is_sqlite:
        raise RecordError(f"{source.name}: no SQLite database, as weewx's is: leave out --format to recognise it")
    if isinstance(source.file, bytes):
        raise RecordError(f"{source.name}: weewx's database is read by the scripts only: send CSV")
    return source.file
