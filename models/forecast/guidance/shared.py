"""The shared corrector of guidance: trained on many stations at once, then continued for each station."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from models.forecast.features import Features
from models.forecast.guidance.correctors import Corrector, check_correctors, fold_boundaries
from models.forecast.guidance.training_set import GuidanceTrainingSet
from models.nn import Array
from models.recipe import Recipe
from models.record.columns import in_order
from models.record.days import ONE_DAY, StationDays, check_columns
from models.record.quality import set_aside_suspect
from models.record.split import MIN_GUIDANCE_ROWS, Split, guidance_rows, min_rows, usable_rows

# More rows than this, of all stations together, are thinned: neighbouring days are alike.
MAX_ROWS = 30_000

NOT_ENOUGH = "no station has enough guidance to train a shared corrector"


@dataclass(frozen=True, eq=False)
class FoldedCorrectors:
    """Correctors trained on many stations, each without one fold of time."""

    through: np.datetime64  # the last day whose tmax was used in training
    boundaries: Array  # (K - 1,) datetime64[D], the first dates of the second and later folds
    correctors: list[Corrector]  # K

    @classmethod
    def fit(cls, stations: Sequence[GuidanceTrainingSet], recipe: Recipe, seed: int) -> "FoldedCorrectors":
        """Train on all stations; each fold is left out at all of them at once, as they share their weather."""
        dates, target = (np.concatenate([getattr(one, name) for one in stations]) for name in ("dates", "target"))
        x = np.concatenate([one.x.astype(np.float32) for one in stations])
        boundaries = fold_boundaries(np.sort(dates), recipe.guidance.folds)
        fold = np.searchsorted(boundaries, dates, side="right")
        correctors = [
            Corrector.fit(x[fold != k], target[fold != k], recipe, [seed, k]) for k in range(recipe.guidance.folds)
        ]
        return cls(dates.max() + ONE_DAY, boundaries, correctors)


@dataclass(frozen=True, eq=False)
class SharedCorrector:
    """A corrector of guidance, relative to each station's own bias, scaler and typical error."""

    recipe: Recipe
    columns: tuple[str, ...]  # guidance, spreads and further columns, common to the stations
    stations: int  # number of stations
    n: int  # number of rows
    earlier: FoldedCorrectors  # trained on days before any station's held-out rows
    whole: FoldedCorrectors  # trained on all days

    def correctors_for(
        self, columns: tuple[str, ...], recipe: Recipe, held_out_from: np.datetime64 | None
    ) -> FoldedCorrectors | None:
        """Return the correctors whose training a station may continue; None where none match it.

        Parameters
        ----------
        columns : those that the station uses, see `GuidanceTrainingSet.names`
        held_out_from : first issue date of the station's held-out rows, if any; no later day may have been trained on
        """
        if columns != self.columns or not self.recipe.same_correctors(recipe):
            return None
        if held_out_from is None:
            return self.whole
        return self.earlier if self.earlier.through <= held_out_from else None

    def check(self) -> None:
        """Raise ValueError where the correctors do not match the recipe."""
        for folded in (self.earlier, self.whole):
            check_correctors(folded.correctors, self.recipe)
            if folded.boundaries.shape != (self.recipe.guidance.folds - 1,) or folded.boundaries.dtype.kind != "M":
                raise ValueError("the folds of the shared corrector do not match its recipe")

    @classmethod
    def fit(cls, stations: Sequence[StationDays], recipe: Recipe, seed: int = 0) -> "SharedCorrector":
        """Train on the stations with enough guidance and the most common set of columns.

        Raises ValueError where no station has enough guidance.
        """
        groups: dict[tuple[str, ...], list[tuple[StationDays, Split]]] = {}
        for days in filter(len, stations):
            with suppress(ValueError):  # the next day's tmax in a column, or a record that cannot be believed
                check_columns(days)
                clean = set_aside_suspect(days)[0]
                if len(guidance_rows(clean)) and len(usable_rows(clean, recipe)) >= min_rows(clean):
                    groups.setdefault(in_order(days.further), []).append((clean, Split.of(clean, recipe)))
        if not groups:
            raise ValueError(NOT_ENOUGH)
        names, members = max(groups.items(), key=lambda group: (len(group[1]), group[0]))
        rows = [guidance_rows(days) for days, _ in members]
        thin = -(-sum(map(len, rows)) // MAX_ROWS)
        # Stations share their weather: days held out at one must not be trained on at another.
        until = min(days.dates[split.guidance_training[-1]] for days, split in members)
        through = max(days.dates[of_station[-1]] for (days, _), of_station in zip(members, rows, strict=True))

        def fitted(last: np.datetime64) -> FoldedCorrectors:
            sets = [_training_set(days, split, recipe, last, thin) for days, split in members]
            # A station with too few values of a column does not use it, and is left out.
            alike = [one for one in sets if one and one.names == names]
            if not alike:
                raise ValueError(NOT_ENOUGH)
            return FoldedCorrectors.fit(alike, recipe, seed)

        n = sum(len(of_station[::thin]) for of_station in rows)
        return cls(recipe, names, len(members), n, fitted(until), fitted(through))


def _training_set(
    days: StationDays, split: Split, recipe: Recipe, last: np.datetime64, thin: int
) -> GuidanceTrainingSet | None:
    """Return the training set of a station's days up to ``last``; None where there are too few."""
    rows = guidance_rows(days)
    rows = rows[days.dates[rows] <= last][::thin]
    if len(rows) < MIN_GUIDANCE_ROWS / thin:
        return None
    station = Features.fit(days, split.training[days.dates[split.training] <= last])
    return GuidanceTrainingSet.of(days, rows, recipe, station)
