"""The table in a text: its encoding, its delimiter, the line of its names, and its cells, read by pandas."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple, TextIO, cast

import pandas as pd

from app.readers.dates import is_date
from app.readers.record import RecordError
from app.readers.source import HEAD_BYTES, MAX_HEAD_BYTES, Source
from app.text import printable

MAX_COLUMNS = 2000  # NOAA's widest station file has about 250
BLANK = " "  # stands for any run of blanks
DELIMITERS = ("\t", ";", ",", "|", BLANK)
LINE_END = re.compile(r"\r\n|\r|\n")
CHUNK_ROWS = 50_000
DATA_WITHIN = 4  # a line of names is followed by data within so many lines

# Tried in this order where a text is neither UTF-8 nor UTF-16: the first in which the names are known is taken.
OLD_ENCODINGS = ("cp1252", "cp1250", "cp932", "cp949", "gb18030", "cp1251", "latin-1")

# How well a table is known by its names, 0 if not at all; the names are stripped, and separated by blanks or not.
Recognise = Callable[[Sequence[str], bool], int]
# The same of the first rows of a table without names.
RowsKnown = Callable[[list[list[str]]], int]

ROWS_LOOKED_AT = 60
READ_FAILED = "Calling read(nbytes) on source failed"
MAX_NAMES = 100_000  # characters of a line of names
MAX_TRIED = 500  # lines that may be names, since numbers follow them
LETTER, DIGIT = re.compile(r"[^\W\d_]"), re.compile(r"\d")


class Layout(NamedTuple):
    """Where the table of a text is."""

    delimiter: str
    names: tuple[str, ...]  # stripped; empty where the table has none
    line: int  # index of the line of names, or of the first row where there are none
    score: int
    width: int
    least: int = 0  # cells of a row of a table separated by blanks: with fewer, their columns are in doubt


@dataclass(frozen=True, eq=False)
class Table:
    """A table of text cells; `chunks` reads them."""

    name: str  # of the source
    names: tuple[str, ...]  # of the columns, as in the file
    above: str  # the text above the line of names
    sample: list[list[str]]  # the cells of the first rows
    names_place: str  # "line 3"
    # the cells of a line of units or of more names below the names; () without one
    units: tuple[str, ...]
    # columns by position -> pieces of the table, the index of which gives the places of the rows
    chunks: Callable[[Sequence[int]], Iterator[pd.DataFrame]]
    width: int = 0
    delimiter: str = ","

    def whole(self) -> pd.DataFrame:
        """Read all columns, named."""
        table = pd.concat(list(self.chunks(range(len(self.names)))))
        return table.set_axis(list(self.names), axis="columns")


def find_table(source: Source, recognise: Recognise, rows_known: RowsKnown) -> Table:
    """Find the table of a source.

    Parameters
    ----------
    recognise : how well a line of names is known
    rows_known : the same of the first rows of a table without names

    Raises RecordError, which says what was found, where there is no table that is known.
    """
    head = source.head
    for long in (False, True) if len(head) == HEAD_BYTES else (False,):
        part = source.beginning if long else head
        whole_file = len(part) < (MAX_HEAD_BYTES if long else HEAD_BYTES)
        found = [
            (layout, encoding, lines)
            for encoding in _encodings(source.name, part)[: 1 if long else None]  # a long legend is not that old
            if (lines := _lines(part, encoding, whole_file))
            for layout in [_layout(source.name, lines, recognise, rows_known)]
            if layout
        ]
        if found:
            layout, encoding, lines = max(found, key=lambda item: item[0].score)
            return _table(source, layout, encoding, lines)
    lines = _lines(head, _encodings(source.name, head)[0], len(head) < HEAD_BYTES)
    raise RecordError(f"{source.name}: {_what_was_found(lines)}")


def _encodings(name: str, head: bytes) -> list[str]:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ["utf-16"]
    if b"\x00" in head:
        even, odd = head[::2].count(0), head[1::2].count(0)
        if max(even, odd) > 0.3 * len(head) / 2 and min(even, odd) < 0.05 * len(head) / 2:
            return ["utf-16-le" if odd > even else "utf-16-be"]
        raise RecordError(f"{name}: this is no text: give a table such as CSV (docs/data.md lists the formats)")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return list(OLD_ENCODINGS)
    return ["utf-8-sig"]


def _lines(part: bytes, encoding: str, whole: bool) -> list[str]:
    try:
        text = part.decode(encoding, "ignore" if encoding.startswith("utf") else "strict")
    except UnicodeDecodeError:
        return []
    lines = LINE_END.split(text)
    return lines if whole or len(lines) == 1 else lines[:-1]


def split(line: str, delimiter: str) -> list[str]:
    """Return the stripped cells of a line."""
    if delimiter == BLANK:
        return line.split()
    try:
        cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        cells = line.split(delimiter)
    return [cell.strip() for cell in cells]


def _layout(name: str, lines: list[str], recognise: Recognise, rows_known: RowsKnown) -> Layout | None:
    """Return where the first line of known names is, else where the first rows that are known without names are."""
    filled = [(index, line) for index, line in enumerate(lines) if line.strip()]
    for index, line in filled:
        if len(line) > MAX_COLUMNS and (n := 1 + max(map(line.count, DELIMITERS))) > MAX_COLUMNS:
            raise RecordError(
                f"{name}: line {index + 1} has {n:,} columns or more; at most {MAX_COLUMNS:,} are read: give fewer"
            )
    if at_top := _unnamed(filled[:ROWS_LOOKED_AT], rows_known, 1):
        return at_top
    tried = 0
    for row, (index, line) in enumerate(filled):
        numbers_follow = any(DIGIT.search(below) for _, below in filled[row + 1 : row + 1 + DATA_WITHIN])
        if (
            len(line) < MAX_NAMES
            and LETTER.search(line)
            and (numbers_follow or row + 1 == len(filled))
            and tried < MAX_TRIED
        ):
            tried += 1
            found = [layout for layout in _named(lines, index, recognise) if _data_follows(lines, layout)]
            if found:
                return max(found, key=lambda layout: layout.score)
    return _unnamed(filled[: 2 * ROWS_LOOKED_AT], rows_known, ROWS_LOOKED_AT)


def _unnamed(filled: list[tuple[int, str]], rows_known: RowsKnown, starts: int) -> Layout | None:
    """Return where rows begin that are known without names, in one of the first ``starts`` lines."""
    for delimiter in DELIMITERS:
        rows = [(index, split(line, delimiter)) for index, line in filled]
        for first in range(min(len(rows), starts)):
            sample = [cells for _, cells in rows[first : first + ROWS_LOOKED_AT]]
            names_above = first and len(rows[first - 1][1]) == len(sample[0])  # which nobody knows
            if len(sample[0]) > 1 and not names_above and (score := rows_known(sample)):
                return Layout(delimiter, (), rows[first][0], score, max(map(len, sample)))
    return None


def _named(lines: list[str], index: int, recognise: Recognise) -> Iterator[Layout]:
    line = lines[index].removeprefix("#").strip() if lines[index].startswith("#") else lines[index]
    for delimiter in DELIMITERS:
        if delimiter not in line:
            continue
        cells = split(line, delimiter)
        candidates = [tuple(cells), tuple(_with_date(cells, lines, index, delimiter))]
        if index and len(above := split(lines[index - 1], delimiter)) == len(cells):  # names on two lines
            candidates.append(tuple(f"{a} {b}".strip() for a, b in zip(above, cells, strict=True)))
        scores = [recognise(names, delimiter == BLANK) for names in candidates]
        if best := max(scores):
            yield Layout(delimiter, candidates[scores.index(best)], index, best, len(cells))


def _with_date(cells: list[str], lines: list[str], index: int, delimiter: str) -> list[str]:
    """Return the names with "date" for the first, where its name is unknown and the rows below begin with dates."""
    below = [split(line, delimiter) for line in lines[index + 1 : index + 4] if line.strip()]
    dates = len(below) > 1 and all(row and is_date(row[0]) for row in below)
    return ["date", *cells[1:]] if dates and not is_date(cells[0]) else cells


def _data_follows(lines: list[str], layout: Layout) -> bool:
    rows = [line for line in lines[layout.line + 1 : layout.line + 40] if line.strip()][:DATA_WITHIN]
    cells = [split(row, layout.delimiter) for row in rows]
    return not rows or any(len(row) > 1 and any(cell[:1].isdigit() for cell in row) for row in cells)


def _table(source: Source, layout: Layout, encoding: str, lines: list[str]) -> Table:
    first = layout.line + bool(layout.names)
    sample = [split(line, layout.delimiter) for line in lines[first : first + ROWS_LOOKED_AT] if line.strip()]
    width = 1 + max([layout.width, *map(len, sample)])  # one more, to see rows that are longer than the names
    if layout.delimiter == BLANK and layout.names and sample:
        lengths = [len(cells) for cells in sample]
        layout = layout._replace(least=min(layout.width, max(set(lengths), key=lengths.count)))

    def chunks(positions: Sequence[int]) -> Iterator[pd.DataFrame]:
        return _read(source, layout, encoding, first, max(width, 1 + max(positions)), positions)

    above = "\n".join(lines[: layout.line])
    place = f"line {layout.line + 1}"
    second: tuple[str, ...] = ()
    if layout.names and len(sample) > 1 and not any(cell[:1].isdigit() for cell in sample[0]):
        second, sample = tuple(sample[0]), sample[1:]
    names = layout.names
    if second and len(set(names)) < len(names):  # the second line tells columns of the same name apart
        names = tuple(f"{name} {more}".strip() for name, more in zip_longest(names, second, fillvalue=""))
    return Table(source.name, names, above, sample, place, second, chunks, width, layout.delimiter)


def _read(
    source: Source, layout: Layout, encoding: str, first: int, width: int, positions: Sequence[int]
) -> Iterator[pd.DataFrame]:
    """Read columns of a table piece by piece; rows may be longer or shorter than the line of names."""
    with source.opened() as opened:
        text = io.TextIOWrapper(opened, encoding=encoding, errors="replace", newline=None)
        for _ in range(first):
            text.readline()
        try:
            pieces = pd.read_csv(
                cast("TextIO", _Widened(text, layout.delimiter, width)),
                sep=r"\s+" if layout.delimiter == BLANK else layout.delimiter,
                header=None,
                names=list(range(width)),
                usecols=sorted({*positions, max(layout.least - 1, 0)}),
                dtype=str,
                keep_default_na=False,
                na_filter=False,
                skip_blank_lines=False,
                skipinitialspace=True,
                chunksize=CHUNK_ROWS,
                index_col=False,
            )
            for piece in pieces:
                cleaned = {position: piece[position].fillna("").str.strip() for position in piece.columns}
                rows = pd.DataFrame(cleaned).set_axis(piece.index + first, axis="index").loc[first + 1 :]
                _check_short(source.name, rows, layout)
                yield rows
        except pd.errors.EmptyDataError:
            return
        except pd.errors.ParserError as error:
            if READ_FAILED in str(error):  # pandas drops the KeyboardInterrupt that a signal raises while it reads
                raise KeyboardInterrupt from None
            reason = printable(str(error).removeprefix("Error tokenizing data. C error: "), 100)
            raise RecordError(f"{source.name}: the rows below line {first} are no table: {reason}") from None


def _check_short(name: str, rows: pd.DataFrame, layout: Layout) -> None:
    """Raise RecordError where a row of values separated by blanks has fewer than the others."""
    if layout.least:
        short = (rows[layout.least - 1] == "") & rows[rows.columns[0]].str[:1].str.isdigit()
        if short.any():
            raise RecordError(
                f"{name}: line {short.idxmax()} has fewer values than {layout.least}: write a code such as -9999 for a "
                "missing value, or separate the columns with commas"
            )


class _Widened:
    """A text with a first line of as many cells as the widest row, by which pandas counts the columns."""

    def __init__(self, text: io.TextIOWrapper, delimiter: str, width: int) -> None:
        self._text = text
        self._first = (delimiter.join(["x"] * width)) + "\n"

    def read(self, size: int = -1) -> str:
        """Read at most ``size`` characters, the first line at once."""
        first, self._first = self._first, ""
        return first or self._text.read(size)

    def __iter__(self) -> Iterator[str]:
        return iter(self._text)


def _what_was_found(lines: list[str]) -> str:
    shown = [line for line in lines if line.strip()][:2]
    beginning = "; then ".join(f"{printable(line, 70)!r}" for line in shown)
    if shown and shown[0].lstrip().lower().startswith(("<!doctype", "<html", "<?xml", "<head")):
        return "this is a web page or XML, not a table: download the data themselves, as CSV"
    if re.search(r"(?i)\bJAN\W+FEB\W+MAR\b|monthly", "\n".join(lines[:200])):
        return "these are monthly values and hold no days: download daily values"
    return (
        f"no table of days is known here: the text begins with {beginning}; needed is a line of names with a date and "
        "tmax, such as date,tmax,tmin,rain (docs/data.md lists the formats)"
    )
