"""What many stations teach together about correcting guidance."""

from collections.abc import Sequence

import numpy as np

from models.backtest import Split, teaching_rows
from models.correctors import Pooled, PooledStart
from models.features import Features
from models.guided import MIN_GUIDED, Lesson
from models.nn import Array
from models.quality import set_aside_the_doubtful
from models.recipe import Recipe
from models.sequence import usable_rows
from models.station_days import ONE_DAY, StationDays

# More rows than this, of all stations together, are thinned: neighbours in time say much the same.
MOST_ROWS = 30_000


def pool(stations: Sequence[StationDays], recipe: Recipe, seed: int = 0) -> Pooled:
    """Learn from many stations at once how to correct guidance; those without enough of it have no part.

    Each station's anomalies count, and its own offsets, scales and typical errors; what is learned is in these units.

    Raises
    ------
    ValueError : where the stations have different predictors, or none has enough guidance
    """
    taught = []
    for days in filter(len, stations):
        believed = set_aside_the_doubtful(days)[0]
        guided, rows = teaching_rows(believed), usable_rows(believed, recipe)
        if len(guided) and len(rows) >= MIN_GUIDED:
            taught.append((believed, guided, Split.chronological(rows, MIN_GUIDED)))
    if not taught:
        raise ValueError("no station has enough guidance to learn from together")
    predictors = {tuple(days.predictors) for days, _, _ in taught}
    if len(predictors) > 1:
        different = "; ".join(sorted(", ".join(names) for names in predictors))
        raise ValueError(f"stations that are learned from together need the same predictors; there are: {different}")
    # Stations share their weather: what is held out at one must not be learned from another.
    until = min(days.dates[split.with_guidance(guided).training[-1]] for days, guided, split in taught)
    thin = -(-sum(len(guided) for _, guided, _ in taught) // MOST_ROWS)

    def start(last: np.datetime64) -> PooledStart:
        lessons = []
        for days, guided, split in taught:
            rows = guided[days.dates[guided] <= last][::thin]
            if len(rows) >= MIN_GUIDED / thin:
                lessons.append(_lesson(days, rows, split.training, recipe))
        return PooledStart.fit(lessons, recipe, seed)

    through = max(days.dates[guided[-1]] for days, guided, _ in taught)
    n = sum(len(guided[::thin]) for _, guided, _ in taught)
    return Pooled(recipe, predictors.pop(), through + ONE_DAY, len(taught), n, start(until), start(through))


def _lesson(days: StationDays, rows: Array, training: Array, recipe: Recipe) -> tuple[Array, Array, Array]:
    known = days.part(0, int(rows[-1]) + 2)
    lesson = Lesson.of(known, rows, recipe, Features.fit(days, training))
    return lesson.dates, lesson.x.astype(np.float32), lesson.wanted
