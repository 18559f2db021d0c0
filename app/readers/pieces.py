"""The cells of the used columns: numbers, flags and codes, read piece by piece."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from app.readers.cells import Table
from app.readers.columns import Clock, Used
from app.readers.dates import iso_times
from app.readers.format import Format
from app.readers.names import plain
from app.readers.record import RecordError
from app.readers.values import numbers
from models.nn import Array

MAX_WRONG = 1000  # cells of a piece that are not numbers are kept for the error, so many at most
TRACED = {"rain", "rain_today", "snow_depth"}  # quantities of which there may be a trace


@dataclass(eq=False)
class Cells:
    """The cells of the used columns, or of a piece of them."""

    columns: dict[str, Array]  # quantity -> (n,), in the units of the file
    wrong: dict[str, list[tuple[int, object, str]]]  # quantity -> (row, place, cell) of cells that are no number
    clock: pd.DataFrame  # text, by position; or datetime64, read already, where all dates are in the usual form
    station: "pd.Series[str] | None"
    named: dict[str, Array]  # name -> (n,); infinite where a cell is no number
    places: Array  # (n,)
    failed: dict[str, int]  # quantity -> number of values that failed the source's own quality control
    longer: Array  # (n,) bool, rows with a cell beyond the last name


def read_cells(
    table: Table, known: Format, used: Sequence[Used], clock: Clock, station: int | None, named: dict[str, int]
) -> Cells:
    """Read the cells of the used columns. Raises RecordError where there are no rows."""
    element = [plain(name) for name in known.unnamed or table.names].index(known.element) if known.element else None
    others = [at for at in (station, element, *(u.flag for u in used)) if at is not None]
    beyond = len(table.names)
    positions = [*clock.positions, *(u.position for u in used), *others, *named.values(), beyond]
    pieces = []
    for piece in table.chunks(positions):
        kept = piece[(piece != "").any(axis=1)]
        if len(kept):
            pieces.append(_piece(kept, used, clock, station, element, named, beyond))
    if not pieces:
        raise RecordError(f"{table.name}: there are no rows below {table.names_place}")
    return pieces[0] if len(pieces) == 1 else _joined(pieces)


def _piece(
    piece: pd.DataFrame,
    used: Sequence[Used],
    clock: Clock,
    station: int | None,
    element: int | None,
    named: dict[str, int],
    beyond: int,
) -> Cells:
    columns: dict[str, Array] = {}
    wrong: dict[str, list[tuple[int, object, str]]] = {}
    failed: dict[str, int] = {}
    parsed: dict[tuple[int, bool], tuple[Array, Array]] = {}
    for u in used:
        key = (u.position, u.quantity in TRACED)
        if key not in parsed:
            parsed[key] = numbers(piece[u.position], trace=key[1])
        found, no_number = parsed[key][0].copy(), parsed[key][1]
        if element is not None:
            mine = (piece[element].str.lower() == u.name).to_numpy(dtype=bool)
            found[~mine] = np.nan
            no_number = no_number & mine
        failed[u.quantity] = _apply_codes(piece, u, found)
        columns[u.quantity] = found
        rows = np.flatnonzero(no_number)[:MAX_WRONG].tolist()
        wrong[u.quantity] = [(row, piece.index[row], piece[u.position].iloc[row]) for row in rows]
    return Cells(
        columns,
        wrong,
        _dates(piece[list(clock.positions)]),
        piece[station] if station is not None else None,
        {name: _named(piece[at]) for name, at in named.items()},
        piece.index.to_numpy(),
        failed,
        (piece[beyond] != "").to_numpy(dtype=bool),
    )


def _apply_codes(piece: pd.DataFrame, used: Used, found: Array) -> int:
    """Set values with a bad flag to ``nan``, traces to 0; return how many had a bad flag."""
    n = 0
    if used.flag is not None:
        bad = piece[used.flag].str.fullmatch(used.bad).to_numpy(dtype=bool) & np.isfinite(found)
        found[bad] = np.nan
        n = int(bad.sum())
    if used.trace is not None:
        found[found == used.trace] = 0.0
    if used.missing is not None:
        found[found == used.missing] = np.nan
    return n


def _dates(text: pd.DataFrame) -> pd.DataFrame:
    """Read the usual form of dates at once, as the text of many rows takes much memory."""
    if text.shape[1] > 1 or (times := iso_times(text.iloc[:, 0])) is None:
        return text
    return pd.DataFrame({text.columns[0]: times}, index=text.index)


def _clock_of_all(clocks: list[pd.DataFrame]) -> pd.DataFrame:
    """Join the pieces; where some were read already and some not, as text."""
    read = [clock.iloc[:, 0].dtype.kind == "M" for clock in clocks]
    if any(read) and not all(read):
        form = "%Y-%m-%d %H:%M:%S"
        clocks = [
            clock.apply(lambda of: of.dt.strftime(form)) if done else clock
            for clock, done in zip(clocks, read, strict=True)
        ]
    return pd.concat(clocks)


def _named(text: "pd.Series[str]") -> Array:
    found, wrong = numbers(text)
    found[wrong] = np.inf
    return found


def _joined(pieces: list[Cells]) -> Cells:
    first = pieces[0]
    starts = np.cumsum([0, *(len(piece.places) for piece in pieces[:-1])]).tolist()
    stations = [piece.station for piece in pieces if piece.station is not None]
    return Cells(
        {q: np.concatenate([piece.columns[q] for piece in pieces]) for q in first.columns},
        {
            q: [
                (row + n, at, cell) for piece, n in zip(pieces, starts, strict=True) for row, at, cell in piece.wrong[q]
            ]
            for q in first.wrong
        },
        _clock_of_all([piece.clock for piece in pieces]),
        pd.concat(stations) if stations else None,
        {name: np.concatenate([piece.named[name] for piece in pieces]) for name in first.named},
        np.concatenate([piece.places for piece in pieces]),
        {q: sum(piece.failed[q] for piece in pieces) for q in first.failed},
        np.concatenate([piece.longer for piece in pieces]),
    )
