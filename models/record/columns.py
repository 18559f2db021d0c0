"""The table of columns: the quantities of a station-day, with their units and limits.

Each column is known on the row's date. tmax, tmin and rain, `MEASURED`, come first; the *further* columns are

- what else the station measured (`FURTHER`), of the day (``pressure``) or at an hour of it (``pressure_9``);
- external forecasts of the next day's tmax, ``guidance`` and ``guidance_<name>``, and the standard deviations of
  ensemble members, ``guidance_spread`` and ``guidance_<name>_spread``;
- any other numbers, where a recipe names them;
- columns of other stations: ``hannover/tmax`` is tmax of the neighbour ``hannover``.

The program works in metric units. Values are converted once, on input.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar, get_args

import numpy as np

from models.nn import Array

Units: TypeAlias = Literal["metric", "us"]
UNITS: tuple[Units, ...] = get_args(Units)

Temperature = TypeVar("Temperature", float, Array)


class Dimension(NamedTuple):
    """The units of a kind of quantity, and the conversion from US to metric units."""

    metric: str
    us: str
    to_metric: Callable[[Any], Any]


TEMPERATURE = Dimension("degC", "degF", lambda t: (t - 32.0) / 1.8)
TEMPERATURE_DIFFERENCE = Dimension("degC", "degF", lambda t: t / 1.8)
DEPTH = Dimension("mm", "inch", lambda inches: inches * 25.4)
UNITLESS = Dimension("", "", lambda value: value)
INCH_OF_MERCURY = 33.863886666667  # hPa, at 0 degC
PRESSURE = Dimension("hPa", "inHg", lambda inches: inches * INCH_OF_MERCURY)
SPEED = Dimension("m/s", "mph", lambda miles: miles * 0.44704)
SNOW = Dimension("cm", "inch", lambda inches: inches * 2.54)
PERCENT, DEGREES, HOURS, OKTAS, RADIATION = (
    Dimension(unit, unit, lambda value: value) for unit in ("%", "degrees", "hours", "oktas", "W/m2")
)


@dataclass(frozen=True)
class Column:
    """One row of the table."""

    name: str
    dimension: Dimension
    limits: tuple[float, float] = (-np.inf, np.inf)  # lowest and highest possible value, metric
    # from value to feature: standardised seasonal anomaly, log(1 + value), or the anomalies of sine and cosine
    transform: Literal["anomaly", "log1p", "direction"] = "anomaly"
    # fill of a missing feature: first-order autoregression between observed days, regression on the tmax anomaly, mean
    fill: Literal["autoregression", "regression", "mean"] = "mean"
    changes: bool = False  # whether the change since the day before is a feature, too
    by_season: bool = False  # whether the anomaly times 1 in summer to -1 in winter is a feature, too

    def unit(self, units: Units) -> str:
        """Return the unit of the column; empty if unitless."""
        return self.dimension.metric if units == "metric" else self.dimension.us

    def possible(self, values: Array) -> Array:
        """Return which metric values are within the limits (n,); missing ones are not."""
        return (values >= self.limits[0]) & (values <= self.limits[1])

    def to_metric(self, values: Any, units: Units) -> Any:
        """Convert values from ``units`` to metric."""
        return values if units == "metric" else self.dimension.to_metric(values)


# The limits are just beyond the extremes in the archive of the World Meteorological Organization: -89.2 degC (Vostok,
# 1983), 56.7 degC (Furnace Creek, 1913) and 1,825 mm in a day (Foc-Foc, 1966).
POSSIBLE_TEMPERATURES = (-90.0, 57.0)

# tmax, the target, comes first.
MEASURED = (
    Column("tmax", TEMPERATURE, POSSIBLE_TEMPERATURES, "anomaly", "autoregression"),
    Column("tmin", TEMPERATURE, POSSIBLE_TEMPERATURES, "anomaly", "regression"),
    Column("rain", DEPTH, (0.0, 1900.0), "log1p", "mean"),
)
COLUMNS = tuple(column.name for column in MEASURED)

# Further quantities, of the day or at an hour of it. Wind directions say whence the wind blows.
FURTHER = (
    Column("tmean", TEMPERATURE, POSSIBLE_TEMPERATURES, changes=True),
    Column("temperature", TEMPERATURE, POSSIBLE_TEMPERATURES, changes=True, by_season=True),
    Column("dew_point", TEMPERATURE, (-100.0, 45.0), changes=True),
    Column("humidity", PERCENT, (0.0, 105.0), changes=True),
    Column("vapour_pressure", PRESSURE, (0.0, 90.0), changes=True),
    Column("pressure", PRESSURE, (450.0, 1090.0), changes=True),  # at sea level, unless the source calls it pressure
    Column("station_pressure", PRESSURE, (450.0, 1090.0), changes=True),
    Column("wind_speed", SPEED, (0.0, 110.0)),
    Column("wind_direction", DEGREES, (0.0, 360.0), "direction", by_season=True),
    Column("wind_gust", SPEED, (0.0, 120.0)),
    Column("wind_gust_direction", DEGREES, (0.0, 360.0), "direction", by_season=True),
    Column("sunshine", HOURS, (0.0, 24.0)),
    Column("radiation", RADIATION, (0.0, 1500.0)),
    Column("cloud", OKTAS, (0.0, 9.0)),
    Column("snow_depth", SNOW, (0.0, 1200.0)),
)
QUANTITIES = {column.name: column for column in (*FURTHER, *MEASURED)}
AT_HOUR = re.compile(r"(\w+)_([01]?[0-9]|2[0-3])")
TMAX, TMIN, RAIN = (COLUMNS.index(name) for name in ("tmax", "tmin", "rain"))
TEMPERATURES = tuple(index for index, column in enumerate(MEASURED) if column.dimension is TEMPERATURE)

TMIN_ABOVE_TMAX = "tmin above tmax"
_LOWEST, _HIGHEST = np.array([column.limits for column in MEASURED]).T

GUIDANCE, SPREAD = "guidance", "guidance_spread"

ALL = "all"  # as the name of a column: every column of the record

# Separates the name of a neighbour from that of its column.
OF_NEIGHBOUR = "/"

# A column that only a recipe names, with one of these words in its name is a temperature and is converted as such.
TEMPERATURE_WORDS = {"tmax", "tmin", "tmean", "temp", "temperature", "dewpoint", "guidance"}


class ColumnError(ValueError):
    """A named column that the record lacks, or one that holds the next day's tmax itself."""


def quantity(name: str) -> Column | None:
    """Return the definition of a quantity, of the day (``pressure``) or at an hour of it (``pressure_9``), if known."""
    at_hour = AT_HOUR.fullmatch(name)
    return QUANTITIES.get(name) or (QUANTITIES.get(at_hour[1]) if at_hour else None)


@cache
def column(name: str) -> Column:
    """Return the definition of any column."""
    name = own_name(name)
    if found := quantity(name):
        return found
    if is_spread(name):
        return Column(name, TEMPERATURE_DIFFERENCE, (0.0, np.inf))
    if is_guidance(name):
        return Column(name, TEMPERATURE, POSSIBLE_TEMPERATURES)
    is_temperature = not TEMPERATURE_WORDS.isdisjoint(name.split("_"))
    return Column(name, TEMPERATURE if is_temperature else UNITLESS)


def neighbour_of(name: str) -> str:
    """Return the station of a neighbour's column, "" for a column of the station's own."""
    return name.rpartition(OF_NEIGHBOUR)[0]


def of_neighbour(station: str, name: str) -> str:
    """Return the name of a neighbour's column."""
    return f"{station}{OF_NEIGHBOUR}{name}"


def own_name(name: str) -> str:
    """Return the name of a column at its own station."""
    return name.rpartition(OF_NEIGHBOUR)[2]


def units_of(names: Iterable[str], units: Units = "metric") -> dict[str, str]:
    """Return the unit of each column."""
    return {name: column(name).unit(units) for name in names}


def to_celsius(temperature: Temperature, units: Units) -> Temperature:
    """Convert temperatures from ``units`` to degC."""
    return temperature if units == "metric" else TEMPERATURE.to_metric(temperature)


def from_celsius(temperature: float, units: Units) -> float:
    """Convert a temperature from degC to ``units``."""
    return temperature if units == "metric" else temperature * 1.8 + 32.0


def measured_to_metric(values: Array, units: Units) -> Array:
    """Convert a table (n, columns) of the measured columns from ``units`` to metric."""
    if units == "metric":
        return values
    with np.errstate(over="ignore"):  # infinity is as impossible as what it was
        return np.column_stack([column.to_metric(values[:, i], units) for i, column in enumerate(MEASURED)])


def is_spread(name: str) -> bool:
    """Whether a column is the spread of an ensemble."""
    return name == SPREAD or (name.startswith(f"{GUIDANCE}_") and name.endswith("_spread"))


def is_guidance(name: str) -> bool:
    """Whether a column is an external forecast of the next day's tmax."""
    return name == GUIDANCE or (name.startswith(f"{GUIDANCE}_") and not is_spread(name))


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return further columns in canonical order: guidance, spreads, others, each sorted by name."""
    return tuple(sorted(names, key=lambda name: (not is_guidance(name), not is_spread(name), name)))


def chosen_columns(available: Iterable[str], named: Iterable[str]) -> tuple[str, ...]:
    """Return the columns to read beside the quantities of the table: guidance and spreads, and those ``named``.

    Raises ColumnError where a named column is not in the record.
    """
    further = {name for name in available if name not in {"date", *COLUMNS}}
    chosen = set(named)
    if missing := sorted(chosen - further - {ALL}):
        others = ", ".join(in_order(further)) or "none"
        raise ColumnError(f"no column {missing[0]!r}; beside the known ones the record has: {others}")
    used = {name for name in further if name in chosen or is_guidance(name) or is_spread(name)}
    return in_order(further if ALL in chosen else used)


def impossible(values: Array, further: Mapping[str, Array] | None = None) -> Iterator[tuple[int, str, str]]:
    """Yield (row, column, reason) of each impossible value: outside its limits, or tmin above tmax (both are listed).

    ``values`` (n, columns) and ``further`` (name -> (n,)) are metric; ``nan`` is missing.
    """
    wrong = (values < _LOWEST) | (values > _HIGHEST)
    if wrong.any():
        for row, index in np.argwhere(wrong):
            yield int(row), COLUMNS[index], _outside(MEASURED[index])
        values = np.where(wrong, np.nan, values)
    for row in np.flatnonzero(values[:, TMIN] > values[:, TMAX]):
        for index in (TMAX, TMIN):
            yield int(row), COLUMNS[index], TMIN_ABOVE_TMAX
    for name, series in (further or {}).items():
        low, high = column(name).limits
        for row in np.flatnonzero((series < low) | (series > high)):
            yield int(row), name, _outside(column(name))


def _outside(column: Column) -> str:
    low, high = column.limits
    return f"outside {low:g} to {high:g}" if np.isfinite(high) else f"below {low:g}"
