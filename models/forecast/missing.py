"""Missing values: what a sequence lacks of what a model looks at, and how much wider the range is then."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.forecast.features import GROUPS, NEIGHBOURS, DailyFeatures, Features
from models.nn import Array
from models.recipe import Recipe
from models.record.columns import COLUMNS, TMAX, neighbour_of

# What may be missing: each of the measured columns, and each group of further columns.
SOURCES = (*COLUMNS, *GROUPS)

# A missing value counts less by this factor for each day of its age.
MISSING_DECAY = 0.7


@dataclass(frozen=True, eq=False)
class MissingValues:
    """What is missing of the `SOURCES` of a model."""

    features: Features
    recipe: Recipe

    def factor(self, daily: DailyFeatures, rows: Array, first: Array, widening: Array) -> Array:
        """Return the factor (n,) on the scale of forecasts from ``rows``, of sequences that begin with ``first``.

        The ``widening`` (sources, 2) is that of `models.forecast.calibration.Calibration`.
        """
        fractions, factor = self._fractions(daily, rows, first), np.ones(len(rows))
        for index in np.flatnonzero(fractions.any(axis=0)):
            known = [0.0, *self.known_fractions[:, index]], [0.0, *widening[index]]
            factor += np.interp(fractions[:, index], *known)
        return factor

    def notes(self, daily: DailyFeatures) -> Iterator[str]:
        """Yield what a sequence lacks of the further columns, and which neighbours have moved, a sentence each."""
        names, neighbours, n = self.features.further.names, self.features.further.neighbours, len(daily.values)
        table = np.isnan(daily.values)
        missing = {names[i]: table[:, i] for i in np.flatnonzero(table.any(axis=0))}
        absent = [name for name, of in missing.items() if of.all()]
        present = {neighbour_of(name) for name in names if name not in absent}
        whole = [name for name in neighbours if name not in present]
        if own := [name for name in absent if neighbour_of(name) not in whole]:
            yield f"without {', '.join(own)}"
        if whole:
            yield f"without the {'neighbours' if len(whole) > 1 else 'neighbour'} {', '.join(whole)}"
        for name, of in missing.items():
            if not of.all():
                yield f"missing {name}: {of.sum()} of {n} days, the last on {daily.days.dates[of][-1]}"
        if neighbours:
            moved = self.features.moved(daily, np.arange(n)[None], np.ones((1, n), bool))[0]
            for name in np.array(neighbours)[moved]:
                yield f"without the neighbour {name}: its tmax no longer stands to the station's own as in training"

    @cached_property
    def sources(self) -> set[str]:
        """The `SOURCES` in use."""
        return {*self.features.measured, *self.features.groups}

    @cached_property
    def known_fractions(self) -> Array:
        """(2, sources), the missing fraction of each source if its latest value is missing, and if all are."""
        last, before = self._lag_weights[:2]
        fractions = np.array([[last, 1.0]] * len(SOURCES)).T
        fractions[:, TMAX] = before, 1 - last  # the latest tmax is never missing
        return fractions

    def _fractions(self, daily: DailyFeatures, rows: Array, first: Array) -> Array:
        """Return the missing fraction (n, sources) of each source in the windows, weighted by `MISSING_DECAY`."""
        share = np.empty((len(daily.values), len(SOURCES)))
        share[:, : len(COLUMNS)] = np.isnan(daily.days.values)
        share[:, len(COLUMNS) :] = np.isnan(daily.values) @ self._group_weights
        index = rows[:, None] - np.arange(self.recipe.window)
        absent = np.where((index < first[:, None])[:, :, None], 1.0, share[np.maximum(index, 0)])
        fractions = np.asarray(self._lag_weights @ absent)
        if neighbours := self.features.further.neighbours:
            of_neighbours = SOURCES.index(NEIGHBOURS)
            index = rows[:, None] + np.arange(1 - self.recipe.recommended_days, 1)
            moved = self.features.moved(daily, index, index >= first[:, None]).sum(axis=1) / len(neighbours)
            fractions[:, of_neighbours] = np.minimum(fractions[:, of_neighbours] + moved, 1.0)
        return fractions

    @cached_property
    def _lag_weights(self) -> Array:
        weights = MISSING_DECAY ** np.arange(self.recipe.window)
        return np.asarray(weights / weights.sum())

    @cached_property
    def _group_weights(self) -> Array:
        """(further columns, groups), the weight of each column in the missing fraction of its group."""
        names = self.features.further.names
        groups = np.array([[name in self.features.names_of(group) for group in GROUPS] for name in names])
        groups = groups.reshape(len(names), len(GROUPS))
        return np.asarray(groups / np.maximum(groups.sum(axis=0), 1))
