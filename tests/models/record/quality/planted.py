"""Records with planted errors, and what a check finds in them."""

import numpy as np

from models.record.columns import COLUMNS
from models.record.days import StationDays
from tests.stations import synthetic_days

NAN = np.nan
LONG = synthetic_days(12 * 365)
JANUARY, JULY = 3 * 365 + 10, LONG.dates.tolist().index(np.datetime64("2018-07-15").item())


def planted(*cells, days=LONG):
    """Return the station-days with each (row or slice, column, value) written in."""
    values = days.values.copy()
    for row, column, value in cells:
        values[row, column] = value
    return StationDays(days.first, values)


def copied(source, to, n, days=LONG):
    """Return the station-days with ``n`` days from row ``source`` duplicated from row ``to``."""
    return planted((slice(to, to + n), slice(None), days.values[source : source + n]), days=days)


def tropical(years=60):
    """A station where tmin is 24 or 25 degC on most days, in whole degrees."""
    rng = np.random.default_rng(0)
    weather = np.zeros(years * 365)
    for day in range(1, len(weather)):
        weather[day] = 0.7 * weather[day - 1] + rng.normal(0, 0.4)
    tmin = np.round(24.6 + weather)
    tmax = np.round(31.3 + 0.8 * weather + rng.normal(0, 0.5, len(weather)))
    return StationDays(np.datetime64("1950-01-01", "D"), np.column_stack([tmax, tmin, np.full(len(weather), NAN)]))


def found_by(check, days):
    """Return (rows, column) of each finding of a check."""
    return [(f.rows.tolist(), COLUMNS[f.column]) for f in check(days.dates, days.values)]
