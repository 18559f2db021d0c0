"""The units that sources use, and their conversion to metric."""

import re
from typing import NamedTuple

import numpy as np

from models.nn import Array
from models.record import columns
from models.record.columns import Column, Dimension, Units


class Unit(NamedTuple):
    """A unit: ``metric = (value - zero) * times / per``; two numbers, since 244 / 10 is 24.4 and 244 * 0.1 is not."""

    dimension: Dimension
    times: float = 1.0
    per: float = 1.0
    zero: float = 0.0
    kelvin: bool = False

    def to_metric(self, values: Array) -> Array:
        """Convert values (n,)."""
        with np.errstate(over="ignore"):  # infinity is as impossible as what it was
            return np.asarray((values - self.zero) * self.times / self.per)


_T, _D, _P, _V = columns.TEMPERATURE, columns.DEPTH, columns.PRESSURE, columns.SPEED
_S, _H, _R = columns.SNOW, columns.HOURS, columns.RADIATION
FAHRENHEIT = Unit(_T, per=1.8, zero=32.0)

# Keys are lower-case, without spaces and dots. A length measures rain or snow: the quantity decides (`unit_of`).
UNITS: dict[str, Unit] = {
    **dict.fromkeys(("degc", "°c", "c", "celsius", "degreec", "degreecelsius", "degreescelsius", "gradc"), Unit(_T)),
    **dict.fromkeys(("degf", "°f", "f", "fahrenheit", "degreef", "degreefahrenheit", "degreesfahrenheit"), FAHRENHEIT),
    **dict.fromkeys(("k", "kelvin", "degk", "°k"), Unit(_T, kelvin=True)),
    **dict.fromkeys(("mm", "millimeters", "millimetres", "millimeter", "l/m2", "l/m²", "kg/m2", "mm/day"), Unit(_D)),
    **dict.fromkeys(("cm", "centimeters", "centimetres"), Unit(_D, 10.0)),
    **dict.fromkeys(("m", "meters", "metres"), Unit(_D, 1000.0)),
    **dict.fromkeys(("in", "inch", "inches", '"'), Unit(_D, 25.4)),
    **dict.fromkeys(("hpa", "mbar", "mb", "millibar", "millibars"), Unit(_P)),
    "kpa": Unit(_P, 10.0),
    "pa": Unit(_P, per=100),
    **dict.fromkeys(("inhg", "inhga", "inofhg"), Unit(_P, columns.INCH_OF_MERCURY)),
    **dict.fromkeys(("mmhg", "torr"), Unit(_P, 1.333223684)),
    **dict.fromkeys(("m/s", "mps", "ms", "ms-1", "msec", "m/sec"), Unit(_V)),
    **dict.fromkeys(("km/h", "kmh", "kph", "kmph", "kmhr", "km/hr"), Unit(_V, per=3.6)),
    **dict.fromkeys(("mph", "mp/h", "mi/h", "mi/hr", "mileperhour"), Unit(_V, 0.44704)),
    **dict.fromkeys(("kn", "kt", "kts", "knot", "knots"), Unit(_V, 1852, 3600)),
    **dict.fromkeys(("%", "percent", "pct"), Unit(columns.PERCENT)),
    **dict.fromkeys(("deg", "°", "degrees", "degree"), Unit(columns.DEGREES)),
    "10sdeg": Unit(columns.DEGREES, 10.0),
    **dict.fromkeys(("h", "hour", "hours", "hrs", "hr"), Unit(_H)),
    **dict.fromkeys(("min", "minute", "minutes", "mins"), Unit(_H, per=60)),
    **dict.fromkeys(("s", "sec", "seconds", "second"), Unit(_H, per=3600)),
    **dict.fromkeys(("oktas", "okta", "octas", "eighths", "1/8"), Unit(columns.OKTAS)),
    "tenths": Unit(columns.OKTAS, 8, 10),
    **dict.fromkeys(("w/m2", "w/m²", "wm-2", "w/m^2", "watt/m^2", "w/sqm"), Unit(_R)),
    # Energies of a day, as the mean power: 1 kWh = 3.6 MJ over 86,400 s.
    **dict.fromkeys(("kwh/m2/day", "kw-hr/m^2/day", "kwh/m2", "kwh/m²", "kw-hr/m^2"), Unit(_R, 1000, 24)),
    **dict.fromkeys(("mj/m2", "mj/m²", "mj/m^2/day", "mj/m2/day", "mj/m^2", "mj/m*m"), Unit(_R, 1e6, 86400)),
    **dict.fromkeys(("j/cm2", "j/cm²", "j/cmsq", "joules/cmsq"), Unit(_R, 1e4, 86400)),
}
SCALED = re.compile(r"(?:0\.1|0,1|1/10|tenthsof|10ths?of)(.+)")
DEGREE_SIGNS = {"\u00e2\u00b0": "°", "º": "°", "˚": "°", "℃": "°c", "℉": "°f"}  # the first in UTF-8, read as Latin-1
CLOUD_PERCENT = Unit(columns.OKTAS, 8, 100)


def unit_of(text: str, column: Column) -> Unit | None:
    """Return the unit that a text names for a quantity; None where it names none that fits."""
    key = text.strip().lower()
    for sign, usual in DEGREE_SIGNS.items():
        key = key.replace(sign, usual)
    key = re.sub(r"[\s._]+(?!\d)", "", key)
    parts = 1
    if key not in UNITS and (scaled := SCALED.fullmatch(key)):
        key, parts = scaled[1], 10
    unit = UNITS.get(key)
    if unit is None:
        return None
    if unit.dimension is not column.dimension:
        unit = _fitting(unit, column.dimension)
    return unit and unit._replace(per=unit.per * parts, zero=unit.zero * parts)


def default_unit(column: Column, units: Units) -> Unit:
    """Return the unit of a quantity in a system of units."""
    found = unit_of(column.unit(units), column)
    return found or Unit(column.dimension)


def _fitting(unit: Unit, dimension: Dimension) -> Unit | None:
    """Return a unit that a quantity is also told in: length for snow and mercury, per cent for cloud."""
    if unit.dimension is _D and dimension is _S:
        return Unit(_S, unit.times, 10)
    if dimension is _P and unit.times in {1.0, 25.4} and unit.dimension is _D:  # of mercury
        return UNITS["mmhg" if unit.times == 1.0 else "inhg"]
    if unit.dimension is columns.PERCENT and dimension is columns.OKTAS:
        return CLOUD_PERCENT
    return None
