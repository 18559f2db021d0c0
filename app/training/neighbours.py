"""The records of one training as each other's neighbours."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import cache

import numpy as np

from app.readers import Record
from models.forecast.neighbours import MOST, nearest, tmax_anomalies, with_neighbours
from models.recipe import Recipe
from models.record.days import StationDays
from models.record.quality import set_aside_suspect
from models.record.split import MIN_ROWS, cut, usable_rows


class Surroundings:
    """The stations of a training; those whose records cannot be believed are nobody's neighbours."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._days: dict[str, StationDays] = {}
        for record in records:
            with suppress(ValueError):  # told where the station itself is trained
                set_aside_suspect(record.days)
                self._days[record.station] = record.days
        self._anomalies = cache(self._anomalies_until)

    def chosen(self, record: Record, recipe: Recipe, until: np.datetime64 | None = None) -> tuple[str, ...]:
        """Return the neighbours that a station may look at, by its training rows, or by the days before ``until``."""
        if not recipe.neighbours or record.station not in self._days:
            return ()
        rows, dates = usable_rows(record.days, recipe), record.days.dates
        rows = cut(rows)[0] if until is None else rows[dates[rows] < until]
        if not len(rows):
            return ()
        # Whole years, so that many stations share the anomalies of the others.
        last = dates[rows[-1]].astype("M8[Y]").astype("M8[D]")
        before = rows[dates[rows] < last]
        if len(before) < MIN_ROWS:
            last, before = dates[rows[-1]], rows
        others = dict(self._anomalies(last))
        anomalies = others.pop(record.station, None)
        if anomalies is None:
            return ()
        n = MOST if recipe.neighbours == "auto" else recipe.neighbours
        return tuple(nearest(anomalies, before[before < len(anomalies)], others, n))

    def joined(self, record: Record, neighbours: Iterable[str]) -> Record:
        """Return a record with the columns of ``neighbours``, where they have a record."""
        others = {name: self._days[name] for name in neighbours if name in self._days and name != record.station}
        return replace(record, days=with_neighbours(record.days, others))

    def _anomalies_until(self, last: np.datetime64) -> dict[str, StationDays]:
        """Return the anomalies of each station, from its days up to ``last`` alone."""
        parts = {name: days.through(last) for name, days in self._days.items()}
        return {name: tmax_anomalies(days) for name, days in parts.items() if len(days)}
