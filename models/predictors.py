"""What is known on a day of the day after it, beside the station's own record: guidance, and further predictors.

Guidance is somebody's forecast of the next day's tmax: ``guidance``, or ``guidance_<name>`` for several of them;
``guidance_spread``, or ``guidance_<name>_spread``, is the standard deviation of an ensemble's members. Whatever else is
known of the next day is a predictor too, and is looked at only where it is named.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from models.nn import Array
from models.station_days import COLUMNS, POSSIBLE, SetAside, StationDays, Units, to_celsius

GUIDANCE, SPREAD = "guidance", "guidance_spread"

# Given as a predictor, the name of all of them.
ALL = "all"

# Nobody's forecasts are right to so many degC on so large a share of the days.
SAME, TOO_GOOD = 0.006, 0.9

# Of fewer days than this a column says nothing yet.
ENOUGH = 30

# A predictor with one of these words in its name is a temperature, and follows the units.
TEMPERATURE_WORDS = {"guidance", "tmax", "tmin", "tmean", "temp", "temperature", "dewpoint"}


class PredictorError(ValueError):
    """What is named as a predictor is none, or cannot have been known before the day."""


def is_spread(name: str) -> bool:
    """Whether a column is the spread of an ensemble."""
    return name == SPREAD or (name.startswith(f"{GUIDANCE}_") and name.endswith("_spread"))


def is_guidance(name: str) -> bool:
    """Whether a column is somebody's forecast of the next day's tmax."""
    return name == GUIDANCE or (name.startswith(f"{GUIDANCE}_") and not is_spread(name))


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return names in the one order in which predictors are kept: guidance first."""
    return tuple(sorted(names, key=lambda name: (not is_guidance(name), not is_spread(name), name)))


def chosen(available: Iterable[str], named: Iterable[str]) -> tuple[str, ...]:
    """Choose predictors among the columns of a record: guidance by itself, others where they are ``named``.

    Raises
    ------
    PredictorError : where one that is named is not there
    """
    there = {name for name in available if name not in {"date", *COLUMNS}}
    wanted = set(named)
    if missing := sorted(wanted - there - {ALL}):
        others = ", ".join(in_order(there)) or "none"
        raise PredictorError(f"there is no column {missing[0]!r} to be a predictor; there are: {others}")
    return in_order(there if ALL in wanted else {n for n in there if n in wanted or is_guidance(n) or is_spread(n)})


def unit(name: str, units: Units) -> str:
    """Return the unit of a predictor; empty where it is taken as it is."""
    if is_spread(name) or is_temperature(name):
        return "degC" if units == "metric" else "degF"
    return ""


def is_temperature(name: str) -> bool:
    """Whether a predictor is a temperature, by the words in its name; a spread is a difference of them."""
    return not is_spread(name) and not TEMPERATURE_WORDS.isdisjoint(name.split("_"))


def predictor_to_metric(name: str, values: Array, units: Units) -> Array:
    """Convert a predictor (n,) from ``units``: temperatures and the spread to degC, others not at all."""
    if is_spread(name) and units == "us":
        return values / 1.8
    return to_celsius(values, units) if is_temperature(name) else values


def impossible_predictors(predictors: Mapping[str, Array]) -> Iterator[tuple[int, str, str]]:
    """Yield (row, name, reason) of each guidance (degC) that is no temperature of any day, and each negative spread."""
    low, high = POSSIBLE["tmax"]
    for name, column in predictors.items():
        if is_guidance(name):
            for row in np.flatnonzero((column < low) | (column > high)):
                yield int(row), name, f"outside of {low:g} to {high:g}"
        elif is_spread(name):
            for row in np.flatnonzero(column < 0):
                yield int(row), name, "below 0"


def set_aside_impossible_predictors(days: StationDays) -> tuple[StationDays, list[SetAside]]:
    """Replace what `impossible_predictors` finds by ``nan``."""
    kept = {name: column.copy() for name, column in days.predictors.items()}
    dropped = []
    for row, name, reason in impossible_predictors(days.predictors):
        dropped.append(SetAside(days.dates[row], name, float(kept[name][row]), reason))
        kept[name][row] = np.nan
    return replace(days, predictors=kept), dropped


def check_there_is_guidance(days: StationDays, named: Iterable[str]) -> None:
    """Raise a `PredictorError` where predictors are ``named`` and there is no guidance that they could help with."""
    others = ", ".join(name for name in named if name != ALL)
    if others and not any(is_guidance(name) for name in days.predictors):
        raise PredictorError(
            f"{others}: further predictors help to correct guidance, and the record has none, as a column guidance or "
            "guidance_<name> or by --guidance"
        )


def check_not_the_answer(days: StationDays) -> None:
    """Raise a `PredictorError` where a predictor is tmax of the next day itself, and no forecast of it."""
    for name, column in days.predictors.items():
        both = np.isfinite(column) & np.isfinite(days.next_tmax)
        same = np.abs(column[both] - days.next_tmax[both]) < SAME
        if both.sum() >= ENOUGH and same.mean() > TOO_GOOD:
            raise PredictorError(
                f"{name} is the next day's tmax itself on {100 * same.mean():.0f} % of the days, and no forecast of it"
            )


def guided(days: StationDays) -> Array:
    """Return on which days (N,) there is any guidance for the next."""
    there = [~np.isnan(column) for name, column in days.predictors.items() if is_guidance(name)]
    return np.any(there, axis=0) if there else np.zeros(len(days), bool)


def predictor(days: StationDays, name: str) -> Array:
    """Return a predictor (N,); ``nan`` throughout where the days have none of the name."""
    return days.predictors.get(name, np.full(len(days), np.nan))
