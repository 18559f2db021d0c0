"""Checks for extreme temperatures: against the month, the season, the adjacent days, and tmax against tmin."""

import numpy as np

from models.nn import Array
from models.record.columns import TEMPERATURES, TMAX, TMIN
from models.record.quality.seasonal import climate
from models.record.quality.series import DAYS_OF_LEAP_YEAR, Finding, leap_day_of_year, month_index, neighbours

MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

GAP = 10.0  # degC
MIN_MONTH_VALUES = 100
OUTLIER = 6.0  # standard deviations
CONFIRMATION = 1 / 3  # share of a departure that the nearest day must show to confirm it
MIN_DEVIATION = GAP / OUTLIER  # degC; even in the tropics an outlier departs by at least 10 degC
HALF_WINDOW_DAYS = 7
MIN_WINDOW_VALUES = 100
# In a normal distribution each tail beyond 2.054 standard deviations holds 2 %.
TAIL, TAIL_DEVIATIONS = 0.02, 2.054

SPIKE = 25.0  # degC
LAGGED_RANGE = 40.0  # degC


def gaps(dates: Array, values: Array) -> list[Finding]:
    """Find temperatures separated from the rest of the calendar month by a gap of 10 degC or more.

    The values of a calendar month in all years are sorted and searched from the median outwards. Values beyond the
    first gap are suspect unless the nearest days confirm them (`_unconfirmed`): in ten years of data the hardest frost
    may be isolated, as in February 1951 at Fort Collins. In a month of fewer than 100 values, the departures from the
    seasonal normal are compared with those of the whole record.
    """
    months, findings = month_index(dates), []
    for column in TEMPERATURES:
        of_column = values[:, column]
        observed, from_normal = np.isfinite(of_column), of_column - climate(dates, of_column)[0]
        departure, gap = np.full(len(values), np.nan), np.zeros(len(values))
        rest = [f"the rest of {name}" for name in MONTH_NAMES]
        for month in range(12):
            rows = np.flatnonzero((months == month) & observed)
            if len(rows) >= MIN_MONTH_VALUES:
                departure[rows], gap[rows] = _beyond_gap(of_column[rows], of_column[rows])
            elif observed.sum() >= MIN_MONTH_VALUES:
                departure[rows], gap[rows] = _beyond_gap(from_normal[rows], from_normal[observed])
                rest[month] = "all other departures from the seasonal normal"
        # All months at once, so that an error across the end of a month does not confirm itself.
        for row in np.flatnonzero(_unconfirmed(gap > 0, departure)):
            reason = f"separated by {gap[row]:.1f} degC from {rest[months[row]]}; the limit is {GAP:g}"
            findings.append(Finding(np.array([row]), column, reason))
    return findings


def outliers(dates: Array, values: Array) -> list[Finding]:
    """Find temperatures more than 6 standard deviations, and 10 degC, from the seasonal mean.

    Mean and deviations are robust estimates (`_biweight`) from a 15-day window in all years. Where the windows hold
    fewer than 100 values, the mean is the seasonal normal, and the deviations are those of the whole record from it.
    The paper uses one deviation for both sides, no minimum departure and no confirmation (`_unconfirmed`). Its rule
    flags 24 more values, most of them real: sirocco at Algiers, heat at Oakland, a rainy day at Darwin, frost at Fort
    Collins.
    """
    day_of_year = leap_day_of_year(dates)
    findings = []
    for column in TEMPERATURES:
        mean, below, above = (of_year[day_of_year] for of_year in _climate(dates, values[:, column]))
        few = np.isnan(mean)
        if few.any() and np.isfinite(values[:, column]).sum() >= MIN_WINDOW_VALUES:
            normal, _ = climate(dates, values[:, column])
            bias, *sides = _biweight((values[:, column] - normal)[None])[:, 0]
            mean[few], below[few], above[few] = normal[few] + bias, *sides
        departure = values[:, column] - mean
        departure /= np.maximum(np.where(departure < 0, below, above), MIN_DEVIATION)
        for row in np.flatnonzero(_unconfirmed(np.abs(departure) > OUTLIER, departure)):
            reason = (
                f"{abs(departure[row]):.1f} standard deviations {'above' if departure[row] > 0 else 'below'} the "
                f"seasonal mean ({mean[row]:.1f}), not confirmed by the nearest days; the limit is {OUTLIER:g}"
            )
            findings.append(Finding(np.array([row]), column, reason))
    return findings


def spikes(_: Array, values: Array) -> list[Finding]:
    """Find temperatures more than 25 degC above, or below, both the day before and the day after.

    The largest real spike in the records is 23 degC: a mild night in December 1919 at Fort Collins.
    """
    findings = []
    for column in TEMPERATURES:
        steps = np.diff(values[:, column])
        up, down = steps[:-1], -steps[1:]
        least = np.where(np.sign(up) == np.sign(down), np.minimum(np.abs(up), np.abs(down)), 0.0)
        for row in np.flatnonzero(least > SPIKE) + 1:
            side = "above" if up[row - 1] > 0 else "below"
            reason = f"{least[row - 1]:.1f} degC {side} the day before and the day after; the limit is {SPIKE:g}"
            findings.append(Finding(np.array([row]), column, reason))
    return findings


def lagged_ranges(_: Array, values: Array) -> list[Finding]:
    """Find a tmax 40 degC or more above the warmest tmin of three days, and a tmin as far below the coldest tmax.

    The three days are the day itself and both adjacent ones, all observed. One day does not suffice: its range has
    reached 41 degC at Fort Collins.
    """
    tmax, tmin = values[:, TMAX], values[:, TMIN]
    warmest_tmin = np.maximum(np.maximum(tmin[:-2], tmin[1:-1]), tmin[2:])
    coldest_tmax = np.minimum(np.minimum(tmax[:-2], tmax[1:-1]), tmax[2:])
    findings = []
    for column, ranges, other in (
        (TMAX, tmax[1:-1] - warmest_tmin, "above the warmest tmin"),
        (TMIN, coldest_tmax - tmin[1:-1], "below the coldest tmax"),
    ):
        for row in np.flatnonzero(ranges >= LAGGED_RANGE) + 1:
            reason = f"{ranges[row - 1]:.1f} degC {other} of that and the adjacent days; the limit is {LAGGED_RANGE:g}"
            findings.append(Finding(np.array([row]), column, reason))
    return findings


def _beyond_gap(values: Array, sample: Array) -> tuple[Array, Array]:
    """Return the departure of each value (n,) from the median of a sample, and the gap beyond which it lies, or 0."""
    ascending = np.sort(sample)
    steps = np.diff(ascending)
    wide, middle = steps >= GAP, len(steps) // 2
    below, above = np.flatnonzero(wide[:middle]), middle + np.flatnonzero(wide[middle:])
    gap = np.zeros(len(values))
    if len(below):
        gap[values <= ascending[below[-1]]] = steps[below[-1]]
    if len(above):
        gap[values > ascending[above[0]]] = steps[above[0]]
    return values - ascending[middle], gap


def _unconfirmed(candidates: Array, departure: Array) -> Array:
    """Return the candidates not confirmed by the nearest observed non-candidate day on either side.

    Warm and cold spells last for days, errors do not: a day confirms a departure if it shows a third of it.
    """
    witnesses = np.where(candidates, np.nan, departure)
    unconfirmed = candidates.copy()
    for witness in neighbours(witnesses):
        unconfirmed &= ~(witness * np.sign(departure) >= CONFIRMATION * np.abs(departure))
    return unconfirmed


def _climate(dates: Array, values: Array) -> tuple[Array, Array, Array]:
    """Return the mean and the standard deviations below and above it (`_biweight`), (366,) each, by day of the year.

    The sample is a 15-day window in all years; ``nan`` where fewer than 100 of its values are observed.
    """
    observed = np.isfinite(values)
    years, row = np.unique(dates[observed].astype("M8[Y]"), return_inverse=True)
    table = np.full((len(years), DAYS_OF_LEAP_YEAR), np.nan)
    table[row, leap_day_of_year(dates[observed])] = values[observed]
    around = np.arange(DAYS_OF_LEAP_YEAR)[:, None] + np.arange(-HALF_WINDOW_DAYS, HALF_WINDOW_DAYS + 1)
    windows = table.T[around % DAYS_OF_LEAP_YEAR].reshape(DAYS_OF_LEAP_YEAR, -1)
    enough = np.isfinite(windows).sum(axis=1) >= MIN_WINDOW_VALUES
    climate = np.full((3, DAYS_OF_LEAP_YEAR), np.nan)
    climate[:, enough] = _biweight(windows[enough])
    return climate[0], climate[1], climate[2]


def _biweight(samples: Array) -> Array:
    """Return the biweight mean of each row, and the standard deviations below and above it: (rows, n) -> (3, rows).

    ::

        u = (x - median) / (7.5 MAD);    weight (1 - u^2)^2 where |u| < 1, 0 beyond

    The biweight deviation is symmetric and ignores long tails: where the 2nd or the 98th percentile lies farther from
    the mean than in a normal distribution with that deviation, the percentile sets the deviation of its side.

    Reference: Lanzante (1996), Resistant, robust and non-parametric techniques for the analysis of climate data.
    """
    ascending, count = np.sort(samples, axis=1), np.isfinite(samples).sum(axis=1)
    low, median, high = (_quantile(ascending, count, share) for share in (TAIL, 0.5, 1 - TAIL))
    from_median = ascending - median[:, None]
    mad = np.maximum(_quantile(np.sort(np.abs(from_median), axis=1), count, 0.5), 1e-9)  # 0 where most values are equal
    u2 = (from_median / (7.5 * mad[:, None])) ** 2
    inside = u2 < 1
    from_median, u2 = np.where(inside, from_median, 0.0), np.where(inside, u2, 1.0)
    weight = (1 - u2) ** 2
    mean = median + (from_median * weight).sum(axis=1) / weight.sum(axis=1)
    scale = ((1 - u2) * (1 - 5 * u2)).sum(axis=1)  # above 0: half of the values have |u| <= 1 / 7.5
    deviation = np.sqrt(count * (from_median**2 * weight**2).sum(axis=1)) / scale
    below, above = (np.maximum(deviation, tail / TAIL_DEVIATIONS) for tail in (mean - low, high - mean))
    return np.stack([mean, below, above])


def _quantile(ascending: Array, count: Array, share: float) -> Array:
    """Return the quantile of the first ``count`` values of each row, interpolated as by ``np.quantile``."""
    position = share * (count - 1)
    lower, rows = position.astype(int), np.arange(len(ascending))
    fraction = position - lower
    upper = np.minimum(lower + 1, count - 1)
    return np.asarray(ascending[rows, lower] * (1 - fraction) + ascending[rows, upper] * fraction)
