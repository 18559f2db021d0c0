"""The days of neighbouring stations, which a question carries, or a batch once for all of its questions."""

import datetime
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from app.serving.decoding import decode, pointer
from app.serving.errors import FieldError, QuestionError
from models.forecast.neighbours import on_days
from models.nn import Array
from models.record.columns import of_neighbour
from models.record.days import ONE_DAY, StationDays

Number = float | None
NONE = msgspec.Raw(b"null")


class NeighbourDays(NamedTuple):
    """Days of one neighbour, ascending."""

    ordinals: Array  # (n,) int, as `datetime.date.toordinal`
    given: dict[str, Array]  # column -> (n,), in the units of the request


class Neighbours:
    """Neighbour -> station-days, decoded when a model looks at them.

    A station-day may carry whatever its own station measures; other columns than those that the model looks at are
    ignored. Raises QuestionError where the body is no object of station-days.
    """

    def __init__(self, body: msgspec.Raw, prefix: str = "") -> None:
        self._prefix = f"{prefix}/neighbours"
        self._raw: Mapping[str, msgspec.Raw] = decode(body, dict[str, msgspec.Raw] | None, self._prefix) or {}  # type: ignore[arg-type]
        self._decoded: dict[tuple[str, tuple[str, ...]], NeighbourDays] = {}

    @property
    def names(self) -> list[str]:
        """The neighbours that are given."""
        return list(self._raw)

    def days(self, name: str, columns: tuple[str, ...]) -> NeighbourDays | None:
        """Return the days of a neighbour, None where it is not given. Raises QuestionError, naming the place."""
        if name not in self._raw:
            return None
        if (name, columns) not in self._decoded:
            self._decoded[name, columns] = _days_of(self._raw[name], columns, f"{self._prefix}/{pointer(name)}")
        return self._decoded[name, columns]

    def values(self, looked_at: Mapping[str, tuple[str, ...]], last: datetime.date, n: int) -> dict[str, Array]:
        """Return the ``n`` days up to ``last`` of each column (n,) that a model looks at, in the units of the request.

        Later days are not looked at. The names are those of `models.record.columns`; ``nan`` is missing.
        """
        found = {}
        for station, columns in looked_at.items():
            days = self.days(station, columns)
            for column in columns:
                found[of_neighbour(station, column)] = values = np.full(n, np.nan)
                if days:
                    rows = days.ordinals - (last.toordinal() - n + 1)
                    inside = (rows >= 0) & (rows < n)
                    values[rows[inside]] = days.given[column][inside]
        return found


class JoinedNeighbours(Neighbours):
    """Neighbours whose columns have been joined to the days of a record."""

    def __init__(self, days: StationDays, as_given: Callable[[str, Array], Array]) -> None:
        super().__init__(NONE)
        self._days, self._as_given = days, as_given

    def values(self, looked_at: Mapping[str, tuple[str, ...]], last: datetime.date, n: int) -> dict[str, Array]:
        """Return the columns as `Neighbours` does."""
        asked = StationDays(np.datetime64(last) - (n - 1) * ONE_DAY, np.zeros((n, 0)))
        names = [of_neighbour(station, column) for station, columns in looked_at.items() for column in columns]
        return {name: self._as_given(name, on_days(self._days.column(name), self._days, asked)) for name in names}


def _days_of(raw: msgspec.Raw, columns: tuple[str, ...], prefix: str) -> NeighbourDays:
    kind: Any = list[_day_type(columns)]  # type: ignore[misc]
    days = [msgspec.structs.astuple(day) for day in decode(raw, kind, prefix)]
    ordinals = np.array([day[0].toordinal() for day in days], int)
    if len(wrong := np.flatnonzero(np.diff(ordinals) <= 0)):
        raise QuestionError([FieldError(f"{prefix}/{wrong[0] + 1}/date", "dates must ascend")])
    table = np.array([day[1:] for day in days], float).reshape(len(days), len(columns))
    return NeighbourDays(ordinals, dict(zip(columns, table.T, strict=True)))


@functools.lru_cache(maxsize=256)
def _day_type(columns: tuple[str, ...]) -> Any:
    return msgspec.defstruct(
        "NeighbourDay",
        [("date", datetime.date), *((f"column_{i}", Number, None) for i in range(len(columns)))],
        rename={f"column_{i}": name for i, name in enumerate(columns)},
        frozen=True,
    )
