"""What is said of a source: how it is recognised, and what its columns, codes and flags mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Field(NamedTuple):
    """A column of a source."""

    quantity: str
    unit: str = ""  # as in `app.readers.units`; "" where the name or the user says it; with several, one per system
    flag: str = ""  # the column with the quality of this one
    bad: str = ""  # the flags of values that the source itself does not believe, as a regular expression
    trace: float | None = None  # the code for an amount too small to measure, which is read as 0
    missing: float | None = None  # a code of this column only


@dataclass(frozen=True)
class Format:
    """A source. Names of columns are lower-case, without accents (`app.readers.names.plain`)."""

    name: str  # for --format
    title: str  # for people
    needs: frozenset[str] = frozenset()  # names that the table must have; all of them
    fields: Mapping[str, Field] = field(default_factory=dict)  # empty: as a plain CSV
    says: str = ""  # what the text above the table must contain, as a regular expression
    date: str = ""  # the column of the dates; "": as in a plain CSV
    station: str = ""  # the column that names the station; "": as in a plain CSV
    station_is: str = ""  # what that column must hold, as a regular expression
    station_above: str = ""  # finds the station in the text above the table
    missing: tuple[float, ...] = ()
    element: str = ""  # in a table with one value a row, the column with the name of the quantity
    value: str = ""  # and the column with the value
    # A table without names: the names it should have, and what the first cells of each row must look like.
    unnamed: tuple[str, ...] = ()
    shape: tuple[str, ...] = ()
    family: str = ""  # finds the station in the names of files that lie side by side, one for each quantity or period
    systems: str = ""  # how the system of units shows itself: "noaa" or "dew point"
    places_above: bool = False  # whether the line above the names gives the place of each column
    utc: bool = False


def flagged(quantities: Mapping[str, tuple[str, str]], prefix: str, bad: str) -> dict[str, Field]:
    """Return fields whose flags are in a column of the same name with a prefix."""
    return {name: Field(quantity, unit, prefix + name, bad) for name, (quantity, unit) in quantities.items()}
