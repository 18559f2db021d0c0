"""The bytes of a source: a file, an archive with one, or the body of a request; bounded in size."""

import codecs
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, BinaryIO, cast

from app.readers.record import RecordError
from app.text import printable

MAX_BYTES = 256 * 1024 * 1024  # of a file and of what is packed in it; a century of minutes is larger, one of hours not
HEAD_BYTES = 64 * 1024  # looked at to find the table
MAX_HEAD_BYTES = 8 * 1024 * 1024  # looked at where it is not found: a legend above the table may be long

# Beginnings of files that hold no text, with what they are called and what to do.
NOT_TEXT = {
    b"\xd0\xcf\x11\xe0": "an Excel workbook: save it as CSV",
    b"%PDF": "a PDF: give the table as CSV",
    b"\x89PNG": "a picture: give the table as CSV",
    b"\xff\xd8\xff": "a picture: give the table as CSV",
    b"GIF8": "a picture: give the table as CSV",
    b"PAR1": "a Parquet file: save it as CSV",
    b"\x89HDF": "an HDF5 or NetCDF file: give the station's values as CSV",
    b"CDF": "a NetCDF file: give the station's values as CSV",
    b"7z\xbc\xaf": "a 7-Zip archive: unpack it, or pack it as zip",
    b"Rar!": "a RAR archive: unpack it, or pack it as zip",
    b"BZh": "packed with bzip2: unpack it, or pack it with gzip",
    b"\xfd7zXZ": "packed with xz: unpack it, or pack it with gzip",
}
NO_TABLE = re.compile(r"(?i)(readme|metadaten|metadata|licen[cs]e|notice|.*\.(html?|pdf|md|xml|png|jpe?g)$|.*_note)")
# Raised by the libraries where an archive is damaged, encrypted, or packed in a way that they do not know.
DAMAGED = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
SQLITE = b"SQLite format 3\x00"  # https://www.sqlite.org/fileformat.html, section 1.3


@dataclass(frozen=True, eq=False)
class Source:
    """A file or a body. Raises RecordError where it is too large, empty, damaged, or holds no text."""

    name: str  # as the user knows it
    file: Path | bytes

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open the unpacked bytes."""
        with self._raw() as raw:
            packed = raw.read(4)
            raw.seek(0)
            if packed[:2] != GZIP and packed != ZIP:
                yield raw
                return
            try:
                if packed == ZIP:
                    with zipfile.ZipFile(raw) as archive, archive.open(self._member(archive)) as unpacked:
                        yield cast("BinaryIO", _Bounded(unpacked, self.name))
                else:
                    with gzip.open(raw) as unpacked:
                        yield cast("BinaryIO", _Bounded(unpacked, self.name))
            except RecordError:
                raise
            except (*DAMAGED, ValueError) as error:
                why = printable(error)
                raise RecordError(f"{self.name}: the archive is damaged ({why}): download it again") from None

    @cached_property
    def head(self) -> bytes:
        """The first bytes."""
        with self.opened() as opened:
            head = opened.read(HEAD_BYTES)
        if not head.strip():
            raise RecordError(f"{self.name}: the file is empty")
        for beginning, what in NOT_TEXT.items():
            if head.startswith(beginning):
                raise RecordError(f"{self.name}: this is {what}")
        return head

    @cached_property
    def beginning(self) -> bytes:
        """The first bytes, as many as a long legend may take."""
        if len(self.head) < HEAD_BYTES:
            return self.head
        with self.opened() as opened:
            return opened.read(MAX_HEAD_BYTES)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a database."""
        return self.head.startswith(SQLITE)

    def content(self) -> bytes:
        """Read all of it, once."""
        with self.opened() as opened:
            return opened.read()

    def _raw(self) -> BinaryIO:
        if isinstance(self.file, Path) and not self.file.is_file():
            raise RecordError(f"{self.name}: not a regular file")
        size = len(self.file) if isinstance(self.file, bytes) else self.file.stat().st_size
        if size > MAX_BYTES:
            raise RecordError(
                f"{self.name}: {size / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are read: give a file for each "
                "station, or daily instead of minute values"
            )
        return io.BytesIO(self.file) if isinstance(self.file, bytes) else self.file.open("rb")

    def _member(self, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
        """Return the one member of an archive that may be a table."""
        members = [member for member in archive.infolist() if not member.is_dir() and member.file_size]
        names = [member.filename for member in members]
        if any(name == "xl/workbook.xml" for name in names):
            raise RecordError(f"{self.name}: this is an Excel workbook: save it as CSV")
        if any(name == "content.xml" for name in names):
            raise RecordError(f"{self.name}: this is a spreadsheet or a document: save it as CSV")
        tables = [member for member in members if not NO_TABLE.match(Path(member.filename).name)]
        if len(tables) != 1:
            found = ", ".join(printable(name) for name in names[:5]) or "nothing"
            raise RecordError(f"{self.name}: the archive must hold one table; it holds {found}: unpack it")
        return tables[0]


class _Bounded(io.RawIOBase):
    """A stream that ends in an error after `MAX_BYTES`: a small archive can hold a huge file."""

    def __init__(self, stream: gzip.GzipFile | IO[bytes], name: str) -> None:
        self._stream, self._name, self._left = stream, name, MAX_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        piece = self._stream.read(len(buffer))
        self._left -= len(piece)
        if self._left < 0:
            raise RecordError(f"{self._name}: more than {MAX_BYTES / 1e6:.0f} MB when unpacked")
        buffer[: len(piece)] = piece
        return len(piece)


def text_of(content: bytes) -> str:
    """Decode UTF-8 or UTF-16."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if wide else "utf-8-sig", "replace")
