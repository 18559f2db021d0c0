"""Tables of numbers in an SQLite file that may come from anyone: opened for reading only, and nothing in it trusted."""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from app.readers.record import RecordError
from models.nn import Array

# Bytes 18 and 19 (https://www.sqlite.org/fileformat.html, section 1.3): the newest rows are in a file beside it.
WAL_MODE = b"\2\2"
MAX_SECONDS = 10.0  # of processor time in one file
STEPS = 1_000_000  # of the virtual machine of SQLite between two looks at the time, some 20 ms
MAX_LENGTH = 1_000_000  # bytes, of a value or a row; a row of numbers is far shorter
LARGEST = 1e30  # of a value; a larger one is no measurement, and its conversion might overflow
LOCK_SECONDS = 2.0  # to wait for a program that is writing

Table = dict[str, Array]  # column -> (n,), ``nan`` where it holds no number


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading, with bounds on what its content may cost.

    Raises RecordError where the database is damaged or locked, also while it is read.
    """
    database = None
    try:
        database = sqlite3.connect(_uri(path), uri=True, timeout=LOCK_SECONDS, isolation_level=None)
        end = time.thread_time() + MAX_SECONDS
        database.set_progress_handler(lambda: time.thread_time() > end, STEPS)
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_LENGTH)
        for safe in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON"):
            database.execute(f"PRAGMA {safe}")
        database.execute("BEGIN")  # all tables of a live database as of one moment
        yield database
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:  # the last from the text of an SQLite error
        raise RecordError(_explained(error)) from None
    finally:
        if database:
            database.close()


def columns_of(database: sqlite3.Connection, table: str) -> set[str]:
    """Return the names of the columns of a table, empty where there is none. Raises RecordError where it is a view."""
    found = database.execute("SELECT type, sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    if found is None:
        return set()
    if found[0] != "table" or not str(found[1]).upper().startswith("CREATE TABLE"):
        raise RecordError(f"{table!r} is a view or a virtual table; make it a plain table")
    return {str(row[1]) for row in database.execute(f'PRAGMA table_info("{table}")')}


def read_table(database: sqlite3.Connection, table: str, wanted: Iterable[str], most: int) -> Table:
    """Return those of the wanted columns that a table has.

    The names must not come from a file. Raises RecordError where the table has more than ``most`` rows.
    """
    there = columns_of(database, table)
    names = [name for name in wanted if name in there]
    n = database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] if names else 0  # noqa: S608
    if n > most:
        raise RecordError(f"the table {table!r} has {n} rows; at most {most} are read")
    values = np.full((len(names), n), np.nan)
    cells = ", ".join(f"CASE WHEN typeof(\"{name}\") IN ('integer', 'real') THEN \"{name}\" END" for name in names)
    rows = database.execute(f'SELECT {cells} FROM "{table}" LIMIT {n}') if n else None  # noqa: S608
    first = 0
    while rows and (block := rows.fetchmany(10_000)):
        values[:, first : first + len(block)] = np.array(block, dtype=float).T
        first += len(block)
    for column in values:
        column[~(np.abs(column) < LARGEST)] = np.nan
    return dict(zip(names, values, strict=True))


def _uri(path: Path) -> str:
    """Return the address of a database. Where it has no log, SQLite needs no lock and no further file to read it."""
    target = path.resolve()  # the log is beside the file that a link leads to
    with target.open("rb") as file:
        in_wal_mode = file.read(20)[18:] == WAL_MODE
    unused = in_wal_mode and not Path(f"{target}-wal").exists()
    return f"{target.as_uri()}?mode=ro{'&immutable=1' if unused else ''}"


def _explained(error: Exception) -> str:
    code = getattr(error, "sqlite_errorname", "")
    remedy = "make a sound copy: sqlite3 FILE '.backup copy.sdb'"
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return f"the database is locked by another program; try again, or {remedy}"
    if code == "SQLITE_INTERRUPT":
        return f"reading takes more than {MAX_SECONDS:g} s; the database may be damaged: {remedy}"
    return f"the SQLite database cannot be read ({str(error)[:200]!r}); {remedy}"
