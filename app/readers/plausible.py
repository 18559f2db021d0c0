"""Units that a file does not state: what its own numbers say of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from app.readers.cells import Table
from app.readers.columns import Used
from app.readers.format import Format
from app.readers.names import column_of
from app.readers.record import IMPOSSIBLE_SHARE, RecordError
from app.readers.series import Options
from app.readers.units import FAHRENHEIT, Unit, default_unit, unit_of
from models.nn import Array
from models.record.columns import POSSIBLE_TEMPERATURES

HOTTEST_DEGF = 140  # whole numbers beyond are tenths of degC
CLOSE_HUMIDITY = 10  # per cent, between a humidity and that of temperature and dew point
# Of temperatures in Kelvin: the lowest and the highest, the range of the median, and the widest mean daily range.
KELVIN, KELVIN_MEDIAN, WIDEST_RANGE = (180, 335), (230, 320), 35

TENTHS, METRIC, US = 0, 1, 2  # the systems of units of a format with several


class System(NamedTuple):
    """The system of units that a format with several was found to use, as an index of `Used.units`."""

    chosen: int
    notes: list[str]


def chosen_system(
    known: Format, table: Table, values: Mapping[str, Array], used: Sequence[Used], options: Options
) -> System:
    """Return the system of units of a source that writes the same names in several."""
    if not known.systems:
        return System(0, [])
    found: int | None = _noaa(table, values, used) if known.systems == "noaa" else _by_dew_point(values)
    if found is None and options.units is None:
        raise RecordError(
            f"{table.name}: the temperatures may be whole degF or tenths of degC: add --units us, or --units "
            "metric for tenths"
        )
    if found is None:
        found = US if options.units == "us" else TENTHS
    if known.systems == "dew point" and options.units:
        found = US if options.units == "us" else METRIC
    called = {TENTHS: "tenths of degC", METRIC: "degC", US: "degF"}[found]
    return System(found, [f"the file does not say its units; its numbers are {called}"])


def _noaa(table: Table, values: Mapping[str, Array], used: Sequence[Used]) -> int | None:
    """Tell tenths, whole degF and degC with decimals apart, as NOAA writes them; None where it cannot be told.

    Its orders in degF have rain with decimals, even on a dry day; its files in tenths have none.
    """
    decimals = {u.quantity: any("." in row[u.position] for row in table.sample if len(row) > u.position) for u in used}
    temperatures = [of for quantity, of in values.items() if quantity in {"tmax", "tmin", "tmean"}]
    whole = not any(np.any(of[np.isfinite(of)] % 1) for of in temperatures)
    if not whole or any(decimals.get(quantity) for quantity in ("tmax", "tmin")):
        return METRIC
    if decimals.get("rain"):
        return US
    if np.isfinite(values.get("rain", np.zeros(0))).any():
        return TENTHS
    if [name.lower() for name in table.names[:2]] == ["station", "date"] and "TMAX_ATTRIBUTES" in table.names:
        return TENTHS  # a station's own file; orders of Climate Data Online have the name of the station second
    highest = max((np.nanmax(np.abs(of), initial=0.0) for of in temperatures), default=0.0)
    return TENTHS if highest > HOTTEST_DEGF else None


def _by_dew_point(values: Mapping[str, Array]) -> int:
    """Tell degF from degC by the relative humidity that temperature and dew point give (Magnus formula)."""
    needed = [values.get(name) for name in ("tmean", "dew_point", "humidity")]
    if all(of is not None for of in needed):
        t, dew, humidity = (np.asarray(of) for of in needed)

        def error(to_celsius: Callable[[Array], Array]) -> float:
            a, b = to_celsius(t), to_celsius(dew)
            with np.errstate(all="ignore"):
                magnus = [17.62 * x / (243.12 + x) for x in (a, b)]
                return float(np.nanmedian(np.abs(100 * np.exp(magnus[1] - magnus[0]) - humidity)))

        errors = [error(lambda x: x), error(FAHRENHEIT.to_metric)]
        if np.isfinite(errors).all() and min(errors) < CLOSE_HUMIDITY:
            return US if errors[1] < errors[0] else METRIC
    tmax = values.get("tmax", np.zeros(0))
    return US if _impossible_share({"tmax": tmax}) > IMPOSSIBLE_SHARE else METRIC


def temperature_units(
    name: str, unstated: Mapping[str, Array], values: Mapping[str, Array], options: Options
) -> tuple[Callable[[str], Unit], list[str]]:
    """Return the unit of each quantity whose unit is not stated, and notes.

    Raises RecordError where the temperatures can't be in the units that the user names, or that are assumed.
    """
    units = options.units or "metric"

    def plain(quantity: str) -> Unit:
        return default_unit(column_of(quantity), units)

    known = {quantity: of[np.isfinite(of)] for quantity, of in unstated.items()}
    everything = np.concatenate([*known.values(), np.zeros(0)])
    if not len(everything):
        return plain, []
    _refuse_kelvin(name, known, everything)
    in_us = {quantity: FAHRENHEIT.to_metric(of) for quantity, of in known.items()}
    as_read = in_us if units == "us" else known
    if _impossible_share(as_read) <= IMPOSSIBLE_SHARE:
        return plain, []
    tenths = {quantity: of / 10 for quantity, of in known.items()}
    whole = not np.any(everything % 1) and np.abs(everything).max() > HOTTEST_DEGF
    if units == "metric" and whole and _impossible_share(tenths) <= IMPOSSIBLE_SHARE:
        return _tenths(plain, values), ["whole numbers beyond any temperature: read as tenths of degC"]
    if units == "metric" and _impossible_share(in_us) <= IMPOSSIBLE_SHARE:
        raise RecordError(f"{name}: {_example(known)}; if the file is in degF, add --units us")
    raise RecordError(f"{name}: {_example(as_read, known)}; leave unknown values empty")


def _refuse_kelvin(name: str, known: Mapping[str, Array], everything: Array) -> None:
    """Raise RecordError where all temperatures lie in the range of Kelvin, with the daily range of degrees."""
    low, middle, high = np.quantile(everything, [0.01, 0.5, 0.99])
    tmax, tmin = known.get("tmax", everything), known.get("tmin", everything)
    apart = abs(float(np.median(tmax)) - float(np.median(tmin))) if len(tmax) and len(tmin) else 0.0
    in_range = KELVIN[0] < low and high < KELVIN[1] and KELVIN_MEDIAN[0] < middle < KELVIN_MEDIAN[1]
    if in_range and apart < WIDEST_RANGE:
        raise RecordError(
            f"{name}: the temperatures look like Kelvin (the median is {middle:.1f}): convert them to degC"
        )


def _tenths(plain: Callable[[str], Unit], values: Mapping[str, Array]) -> Callable[[str], Unit]:
    rain = values.get("rain", np.zeros(0))
    whole_rain = not np.any(rain[np.isfinite(rain)] % 1)

    def unit(quantity: str) -> Unit:
        dimension = column_of(quantity).dimension
        if dimension.metric == "degC" or (quantity == "rain" and whole_rain):
            found = unit_of(f"0.1 {dimension.metric}", column_of(quantity))
            assert found  # noqa: S101
            return found
        return plain(quantity)

    return unit


def _impossible_share(metric: Mapping[str, Array]) -> float:
    low, high = POSSIBLE_TEMPERATURES
    everything = np.concatenate([of[np.isfinite(of)] for of in metric.values()] or [np.zeros(0)])
    return float(np.mean((everything < low) | (everything > high))) if len(everything) else 0.0


def _example(metric: Mapping[str, Array], given: Mapping[str, Array] | None = None) -> str:
    low, high = POSSIBLE_TEMPERATURES
    n, total, example = 0, 0, ""
    for quantity, of in metric.items():
        beyond = np.flatnonzero((of < low) | (of > high))
        n, total = n + len(beyond), total + len(of)
        if len(beyond) and not example:
            example = f"{quantity} {(given or metric)[quantity][beyond[0]]:g}"
    return f"{n} of {total} temperatures are impossible (such as {example})"
