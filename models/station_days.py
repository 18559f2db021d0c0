"""The station-day table: what one station measured, day by day, on an unbroken calendar.

Inside, temperatures are degC and rain is mm; other units are converted once, at the door, by `to_metric`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeAlias, TypeVar, get_args

import numpy as np

from models.nn import Array

Units: TypeAlias = Literal["metric", "us"]
UNITS: tuple[Units, ...] = get_args(Units)
UNIT_NAMES: dict[Units, dict[str, str]] = {
    "metric": {"tmax": "degC", "tmin": "degC", "rain": "mm"},
    "us": {"tmax": "degF", "tmin": "degF", "rain": "inch"},
}

Temperature = TypeVar("Temperature", float, Array)

COLUMNS = ("tmax", "tmin", "rain")
TMAX, TMIN, RAIN = range(len(COLUMNS))
ONE_DAY = np.timedelta64(1, "D")

# What no station ever measured, by column: the records are -89.2 degC (Vostok, 1983), 56.7 degC (Furnace Creek, 1913)
# and 1,825 mm in a day (Foc-Foc, 1966), as the World Meteorological Organization keeps them.
POSSIBLE = {"tmax": (-90.0, 57.0), "tmin": (-90.0, 57.0), "rain": (0.0, 1900.0)}
_LOWEST, _HIGHEST = np.array([POSSIBLE[column] for column in COLUMNS]).T
TMIN_ABOVE_TMAX = "tmin above tmax"


class SetAside(NamedTuple):
    """A value of a record that was not believed, and why."""

    date: np.datetime64
    column: str
    value: float
    reason: str


@dataclass(frozen=True, eq=False)
class StationDays:
    """Every calendar day from the first to the last; ``nan`` is what was not observed.

    Attributes
    ----------
    first : the first day
    values : (N, 3), a row a day, columns tmax (degC), tmin (degC), rain (mm)
    predictors : by name, (N,) each, what else was known on each day of the day after it, somebody's forecast of its
        tmax above all; see `models.predictors`
    """

    first: np.datetime64
    values: Array
    predictors: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def on_calendar(cls, dates: Array, values: Array, predictors: Mapping[str, Array] | None = None) -> "StationDays":
        """Lay observations on the calendar; a day between them that is absent becomes a row of ``nan``.

        Parameters
        ----------
        dates : (n,) datetime64[D], strictly ascending, at least one
        values : (n, 3)
        predictors : by name, (n,)
        """
        rows = (dates - dates[0]).astype(int)

        def laid(column: Array) -> Array:
            out = np.full((rows[-1] + 1, *column.shape[1:]), np.nan)
            out[rows] = column
            return out

        return cls(dates[0], laid(values), {name: laid(column) for name, column in (predictors or {}).items()})

    def __len__(self) -> int:
        return len(self.values)

    @property
    def dates(self) -> Array:
        """(N,) datetime64[D]."""
        return self.first + np.arange(len(self)) * ONE_DAY

    @property
    def last(self) -> np.datetime64:
        """The last day."""
        return self.first + (len(self) - 1) * ONE_DAY

    @property
    def tmax(self) -> Array:
        """(N,) degC."""
        return self.values[:, TMAX]

    @property
    def next_tmax(self) -> Array:
        """(N,) degC, tmax of the next calendar day: what is to be forecast on each day."""
        return np.append(self.tmax[1:], np.nan)

    def part(self, start: int, stop: int) -> "StationDays":
        """Return the rows from ``start`` up to, not including, ``stop``."""
        known = {name: column[start:stop] for name, column in self.predictors.items()}
        return StationDays(self.first + start * ONE_DAY, self.values[start:stop], known)


def to_metric(values: Array, units: Units) -> Array:
    """Convert (n, 3) station-days from ``units`` to degC and mm."""
    if units == "metric":
        return values
    return np.column_stack([to_celsius(values[:, [TMAX, TMIN]], units), values[:, RAIN] * 25.4])


def to_celsius(temperature: Temperature, units: Units) -> Temperature:
    """Convert temperatures from ``units`` to degC."""
    return temperature if units == "metric" else (temperature - 32.0) / 1.8


def from_celsius(temperature: float, units: Units) -> float:
    """Convert a temperature from degC to ``units``."""
    return temperature if units == "metric" else temperature * 1.8 + 32.0


def set_aside_the_impossible(days: StationDays) -> tuple[StationDays, list[SetAside]]:
    """Replace what cannot have been measured, by `impossible`, by ``nan``."""
    dates, values, dropped = days.dates, days.values.copy(), []
    for row, column, reason in impossible(days.values):
        index = COLUMNS.index(column)
        dropped.append(SetAside(dates[row], column, float(days.values[row, index]), reason))
        values[row, index] = np.nan
    return replace(days, values=values), dropped


def impossible(values: Array) -> Iterator[tuple[int, str, str]]:
    """Yield (row, column, reason) of each value that cannot have been measured.

    Outside of `POSSIBLE` a value is wrong; where tmin is above a tmax, both possible, one of them is, and both are
    named.

    Parameters
    ----------
    values : (n, 3) degC, degC, mm; ``nan`` is no value
    """
    wrong = (values < _LOWEST) | (values > _HIGHEST)
    if wrong.any():
        for row, index in np.argwhere(wrong):
            low, high = POSSIBLE[COLUMNS[index]]
            yield int(row), COLUMNS[index], f"outside of {low:g} to {high:g}"
        values = np.where(wrong, np.nan, values)
    for row in np.flatnonzero(values[:, TMIN] > values[:, TMAX]):
        for index in (TMAX, TMIN):
            yield int(row), COLUMNS[index], TMIN_ABOVE_TMAX
