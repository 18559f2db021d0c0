"""What a forecaster answers, and why it may not."""

from dataclasses import dataclass, field

import numpy as np

from models.intervals import Distribution
from models.station_days import COLUMNS, ONE_DAY, StationDays


class SequenceError(ValueError):
    """The days given are not enough for an honest forecast.

    Attributes
    ----------
    date : the day where it shows
    """

    def __init__(self, message: str, date: np.datetime64) -> None:
        super().__init__(message)
        self.date = date


@dataclass(frozen=True)
class Forecast:
    """Tomorrow's tmax with its odds, in degC.

    Attributes
    ----------
    issued : the last day that was known
    odds : the distribution of tomorrow's tmax
    days : how many days the network saw
    filled : (day, column) of each value that the model looks at and that was not observed
    notes : what else whoever reads the forecast should know, a sentence each
    """

    issued: np.datetime64
    odds: Distribution = field(repr=False)
    days: int
    filled: tuple[tuple[np.datetime64, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def valid(self) -> np.datetime64:
        """The calendar day that the forecast is for."""
        return self.issued + ONE_DAY

    @property
    def tmax(self) -> float:
        """The median of the forecast distribution."""
        return self.odds.quantile(0.5)

    def interval(self, level: float) -> tuple[float, float]:
        """Return the central interval that holds the observation with probability ``level`` (0.05 to 0.99)."""
        return self.odds.quantile((1 - level) / 2), self.odds.quantile((1 + level) / 2)

    def exceedance(self, threshold: float) -> float:
        """Return the probability of more than ``threshold``, degC."""
        return self.odds.exceedance(threshold)


def missing_values(days: StationDays, columns: tuple[str, ...]) -> tuple[tuple[np.datetime64, str], ...]:
    """Return (day, column) of each value of ``columns`` that was not observed."""
    dates = days.dates
    missing = ((dates[row], COLUMNS[column]) for row, column in np.argwhere(np.isnan(days.values)))
    return tuple((date, column) for date, column in missing if column in columns)
