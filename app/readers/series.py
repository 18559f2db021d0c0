"""What a source holds of one station, before its rows become days."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from models.nn import Array
from models.record.columns import Units


class Options(NamedTuple):
    """What the user says of a source, where the source does not say it itself."""

    units: Units | None = None  # None: the user did not say
    timezone: str | None = None  # IANA name, for sources that hold instants
    columns: Sequence[str] = ()  # to read beside the quantities of the table and guidance; "all" for all


@dataclass(frozen=True, eq=False)
class Series:
    """The rows of one station in the order of the source, metric.

    A daily row holds the quantities of `models.record.columns`. A row within a day may also hold ``temperature`` (of
    that moment) and ``rain_today`` (the running total since midnight).
    """

    station: str  # the id that the source gives; "" if it gives none
    times: Array  # (n,) datetime64[s] by the station's own clock; midnight for a daily row
    columns: dict[str, Array]  # quantity -> (n,), ``nan`` where missing
    places: Array  # (n,), the place of each row in the source: the number of its line, or a text
    notes: tuple[str, ...] = ()  # what the user should be told, one sentence each
    units: Units = "metric"  # of the temperatures in the source
    names: dict[str, str] = field(default_factory=dict)  # quantity -> name in the source
    named: dict[str, Array] = field(default_factory=dict)  # guidance and named columns -> (n,), metric


def counted(n: int, what: str) -> str:
    """Return a number of things, such as "1 day" or "2 days"."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def place(of_row: object) -> str:
    """Return the place of a row as text."""
    return of_row if isinstance(of_row, str) else f"line {of_row}"
