"""What a forecast must beat to be worth anything: the same face as the forecaster."""

from dataclasses import dataclass

import numpy as np

from models.backtest import Split
from models.features import season
from models.nn import Array
from models.station_days import ONE_DAY, StationDays

HARMONICS = 3


class Persistence:
    """Tomorrow will be like today."""

    def points(self, days: StationDays, issues: Array) -> Array:
        """Return tmax of each issue day, degC."""
        return days.tmax[issues]


@dataclass(frozen=True, eq=False)
class Climatology:
    """Tomorrow will be like that day of the year: a mean and a few waves a year, fitted by least squares.

    Attributes
    ----------
    coefficients : (1 + 2 * HARMONICS,) degC
    """

    coefficients: Array

    @classmethod
    def fit(cls, days: StationDays, split: Split) -> "Climatology":
        """Fit on the rows that train and stop the network."""
        rows = np.concatenate([split.training, split.stopping])
        design = _design(days.dates[rows] + ONE_DAY)
        return cls(np.linalg.lstsq(design, days.next_tmax[rows])[0])

    def points(self, days: StationDays, issues: Array) -> Array:
        """Return the seasonal normal of the valid day of each issue day, degC."""
        return np.asarray(_design(days.dates[issues] + ONE_DAY) @ self.coefficients)


def _design(dates: Array) -> Array:
    return np.hstack([np.ones((len(dates), 1)), season(dates, HARMONICS)])
