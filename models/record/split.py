"""The rows for training, calibration and scoring, always in chronological order."""

from dataclasses import dataclass

import numpy as np

from models.nn import Array
from models.recipe import Recipe
from models.record.days import StationDays
from models.record.sequence import issue_rows

TRAINING_SHARE = 0.85  # share of the usable rows, from the oldest, used for training; the rest is held out
MIN_ROWS = 113  # four months: 120 days have so many usable rows where a forecast needs 7 days; fewer show no season
MIN_GUIDANCE_ROWS = 60  # fewer training rows with guidance do not show its typical errors


def usable_rows(days: StationDays, recipe: Recipe) -> Array:
    """Return the rows (n,) usable for training or scoring: a long enough sequence, and tmax on the next day."""
    rows = issue_rows(days, recipe)
    return rows[~np.isnan(days.next_tmax[rows])]


def guidance_rows(days: StationDays) -> Array:
    """Return the rows (n,) with tmax, guidance and tmax on the next day, to train correctors on; none if too few."""
    rows = np.flatnonzero(~np.isnan(days.tmax) & days.has_guidance & ~np.isnan(days.next_tmax))
    return rows if TRAINING_SHARE * len(rows) >= MIN_GUIDANCE_ROWS else rows[:0]


def n_usable(days: StationDays, recipe: Recipe) -> int:
    """Return the number of days usable for training or scoring, with guidance or without."""
    return len(np.union1d(usable_rows(days, recipe), guidance_rows(days)))


def min_rows(days: StationDays) -> int:
    """Return the number of usable rows needed for training: fewer with guidance, which carries most of the forecast."""
    return MIN_GUIDANCE_ROWS if len(guidance_rows(days)) else MIN_ROWS


def final_rows(days: StationDays, recipe: Recipe) -> tuple[Array, Array]:
    """Return the rows that train the final model and its correctors: with ``refit`` all, else the training rows."""
    if recipe.refit:
        return usable_rows(days, recipe), guidance_rows(days)
    split = Split.of(days, recipe)
    return split.training, split.guidance_training


def cut(rows: Array) -> tuple[Array, Array]:
    """Split ascending rows at `TRAINING_SHARE`."""
    n = int(TRAINING_SHARE * len(rows))
    return rows[:n], rows[n:]


@dataclass(frozen=True, eq=False)
class Split:
    """The rows of a record, split in chronological order: no model is scored on days before its training rows."""

    training: Array  # trains the station's own model: weights, climatology and scaler
    calibration: Array  # calibrates that model; not trained on
    guidance_training: Array  # trains the guidance correction; empty where there is too little guidance
    held_out: Array  # scored; not trained on

    @classmethod
    def of(cls, days: StationDays, recipe: Recipe) -> "Split":
        """Split a record. Raises ValueError where it has too few usable days."""
        rows, guidance, least = usable_rows(days, recipe), guidance_rows(days), min_rows(days)
        if len(rows) < least:
            raise ValueError(
                f"too few usable days to train on: {len(rows)} of the {np.isfinite(days.tmax).sum()} with tmax, at "
                f"least {least} are needed (a usable day has tmax, at least {recipe.min_days - 1} days before it "
                "without a long gap, and tmax on the next day)"
            )
        training, calibration = cut(rows)
        if not len(guidance):
            return cls(training, calibration, guidance, calibration)
        guidance_training = guidance[guidance <= training[-1]]
        if len(guidance_training) < MIN_GUIDANCE_ROWS:
            guidance_training, _ = cut(guidance)
        later = np.union1d(calibration, guidance)
        return cls(training, calibration, guidance_training, later[later > max(training[-1], guidance_training[-1])])

    @property
    def n_training(self) -> int:
        """Number of rows that trained the scored model."""
        return len(self.guidance_training) or len(self.training)
