"""Days with missing values, and the width of forecasts from them."""

import numpy as np

from models.record.columns import COLUMNS
from models.record.days import StationDays


def changed(days, *cells):
    """Return the days with each (rows, columns, value) written in; the given days are unchanged."""
    values = days.values.copy()
    for rows, columns, value in cells:
        values[rows, columns] = value
    return StationDays(days.first, values, days.further)


def with_gaps(days, share, seed=0):
    """Return the days with a random share of the values of each column missing."""
    missing = [np.random.default_rng([seed, column]).random(len(days)) < share for column in range(len(COLUMNS))]
    return StationDays(days.first, np.where(np.transpose(missing), np.nan, days.values))


def width(quantiles):
    """Return the width of the central interval of 80 %."""
    return quantiles[..., 179] - quantiles[..., 19]
