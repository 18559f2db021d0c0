"""Checks of a record as a whole: mistakes that leave nothing to compare a value with, so that the record is refused."""

import numpy as np

from models.nn import Array
from models.record.columns import COLUMNS, TEMPERATURES, TMAX, TMIN
from models.record.quality.repeats import temperature_streaks

MIN_DAYS = 10  # with tmax and tmin, to tell that the two are swapped
MIN_CHANGES = 60  # from one observed day to the next, to judge how changeable a record is
MIN_AUTOCORRELATION = 0.2  # from day to day; where it is lower, the days are in no order
STUCK_SHARE = 0.5  # of the observed days, in long streaks of one value
YEAR = 360  # changes that show all seasons

# The largest standard deviation (degC) of the change of a temperature from day to day, by the median (degC) of that
# temperature: the warmer a climate is, the steadier it is. In 40,000 parts of 42 stations, of 120 days to three years,
# tmax reaches 87 % of these limits (Champion, Nebraska) and tmin 81 % (Alice Springs). Of such parts in degF that no
# value beyond 57 gives away, 97 % exceed them.
LARGEST_CHANGE = {
    TMAX: ((15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 46.0, 49.0), (10.0, 9.5, 8.8, 7.6, 6.0, 4.8, 3.8, 0.0)),
    TMIN: ((0.0, 10.0, 20.0, 25.0, 30.0, 34.0, 36.0), (9.5, 7.0, 5.3, 4.0, 3.2, 2.2, 0.0)),
}
# Where nine of ten days of a year stay near or below freezing point, nights differ more than that, in Antarctica and on
# high mountains; converted as if they were degF, 75 % of the years of the same stations in degC are as cold and steady.
COLD_YEAR = 2.5  # degC, nine tenths of tmax in a year
STEADY_NIGHTS = 2.3  # degC, standard deviation of the change of tmin


def check_order(values: Array) -> None:
    """Raise ValueError where tmin is above tmax on most days."""
    both = np.isfinite(values[:, [TMAX, TMIN]]).all(axis=1)
    above = (values[:, TMIN] > values[:, TMAX]).sum()
    if both.sum() >= MIN_DAYS and above > both.sum() / 2:
        raise ValueError(
            f"tmin is above tmax on {100 * above / both.sum():.0f} % of the days: are the two columns swapped?"
        )


def check_changes(dates: Array, values: Array) -> None:
    """Raise ValueError where tmax never changes, or hardly ever."""
    tmax = values[:, TMAX]
    n = int(np.isfinite(tmax).sum())
    streaks = [finding.rows for finding in temperature_streaks(dates, values) if finding.column == TMAX]
    stuck = sum(map(len, streaks))
    if not streaks or stuck < STUCK_SHARE * n:
        return
    longest = max(streaks, key=len)
    value = f"{tmax[longest[0]]:g} degC"
    if len(longest) == n:
        raise ValueError(f"tmax is {value} on all {n} days: the value never changes")
    raise ValueError(
        f"tmax does not change on {stuck} of {n} days: it is {value} from {dates[longest[0]]} to {dates[longest[-1]]}"
    )


def check_units(values: Array) -> None:
    """Raise ValueError where all temperatures are in another unit than they were read in, if that can be told."""
    tmax, tmin = (values[:, column] for column in TEMPERATURES)
    change = {column: _change(values[:, column]) for column in TEMPERATURES}
    changes = f"from day to day tmax changes by {change[TMAX]:.1f} degC, tmin by {change[TMIN]:.1f}"
    for column in TEMPERATURES:
        median = float(np.nanmedian(values[:, column])) if np.isfinite(change[column]) else 0.0
        if change[column] > np.interp(median, *LARGEST_CHANGE[column]):
            raise ValueError(
                f"the temperatures look like degF: {changes} (standard deviations), and no climate whose median "
                f"{COLUMNS[column]} is {median:.0f} degC is as changeable; say --units us"
            )
    warm = float(np.nanquantile(tmax, 0.9)) if np.isfinite(change[TMAX]) else np.inf
    if np.isfinite(np.diff(tmin)).sum() >= YEAR and change[TMIN] < STEADY_NIGHTS and warm < COLD_YEAR:
        raise ValueError(
            f"the temperatures look like degC read as degF: {changes} (standard deviations), and no climate with nine "
            f"tenths of tmax below {warm:.1f} degC is as steady; say --units metric"
        )


def _change(temperature: Array) -> float:
    """Return the standard deviation of the change from day to day; ``nan`` with too few changes, or days in no order.

    With s the standard deviation of the temperature, that of the change is s sqrt(2 (1 - r)), r the autocorrelation.
    """
    changes = np.diff(temperature)
    changes = changes[np.isfinite(changes)]
    if len(changes) < MIN_CHANGES or changes.var() > 2 * (1 - MIN_AUTOCORRELATION) * np.nanvar(temperature):
        return np.nan
    return float(changes.std())
