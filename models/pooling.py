"""What many stations teach together about correcting guidance."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TypeAlias

import numpy as np

from models.backtest import Split, teaching_rows
from models.correctors import Pooled, PooledStart
from models.features import Features
from models.guided import MIN_GUIDED, Lesson
from models.nn import Array
from models.predictors import PredictorError, check_not_the_answer
from models.quality import set_aside_the_doubtful
from models.recipe import Recipe
from models.sequence import usable_rows
from models.station_days import StationDays

# More rows than this, of all stations together, are thinned: neighbours in time say much the same.
MOST_ROWS = 30_000

# A station's days, the rows that teach, and how all of its rows are split.
Taught: TypeAlias = tuple[StationDays, Array, Split]


def pool(stations: Sequence[StationDays], recipe: Recipe, seed: int = 0) -> Pooled:
    """Learn from many stations at once how to correct guidance.

    Those without enough of it have no part, nor those whose predictors are others than most have, nor one whose
    guidance is the answer itself. What is learned is in each station's own units: its bias, its scales, its typical
    error.

    Raises
    ------
    ValueError : where none has enough guidance
    """
    groups: dict[tuple[str, ...], list[Taught]] = {}
    for days in filter(len, stations):
        with suppress(PredictorError):
            check_not_the_answer(days)
            believed = set_aside_the_doubtful(days)[0]
            guided, rows = teaching_rows(believed), usable_rows(believed, recipe)
            if len(guided) and len(rows) >= MIN_GUIDED:
                split = Split.chronological(rows, MIN_GUIDED)
                groups.setdefault(tuple(days.predictors), []).append((believed, guided, split))
    if not groups:
        raise ValueError("no station has enough guidance to learn from together")
    predictors, taught = max(groups.items(), key=lambda group: (len(group[1]), group[0]))
    # Stations share their weather: what is held out at one must not be learned from another.
    until = min(days.dates[split.with_guidance(guided).training[-1]] for days, guided, split in taught)
    thin = -(-sum(len(guided) for _, guided, _ in taught) // MOST_ROWS)

    def start(last: np.datetime64) -> PooledStart:
        lessons = []
        for days, guided, split in taught:
            rows = guided[days.dates[guided] <= last][::thin]
            if len(rows) >= MIN_GUIDED / thin:
                known = split.training[days.dates[split.training] <= last]
                lessons.append(_lesson(days, rows, known, recipe))
        # A predictor that a station hardly knows makes it another.
        alike = [lesson for lesson in lessons if lesson.features.predictors == predictors]
        if not alike:
            raise ValueError("no station has enough guidance to learn from together")
        return PooledStart.fit([(one.dates, one.x.astype(np.float32), one.wanted) for one in alike], recipe, seed)

    through = max(days.dates[guided[-1]] for days, guided, _ in taught)
    n = sum(len(guided[::thin]) for _, guided, _ in taught)
    return Pooled(recipe, predictors, len(taught), n, start(until), start(through))


def _lesson(days: StationDays, rows: Array, training: Array, recipe: Recipe) -> Lesson:
    known = days.part(0, int(rows[-1]) + 2)
    return Lesson.of(known, rows, recipe, Features.fit(days, training))
