"""What in a station's record is possible, yet not to be believed: the checks of GHCN-Daily for a record alone.

`set_aside_the_doubtful` is for the record that a model learns from; what cannot have been measured at all is
`models.station_days.impossible`. The limits are those of the paper; where they would doubt real weather of the 22
records that the checks were tried on, a check asks for more, and says so.

Left out are the checks that need other stations; that of months whose tmax and tmin are the same; and that of rain
above 9 times the 95th percentile of its season: the most that was found is 6.6 times, the cloudburst of 2017-06-29 at
Berlin, and one station alone cannot tell a cloudburst from a slip.

References
----------
Durre, Menne, Gleason, Houston and Vose (2010), Comprehensive automated quality assurance of daily surface observations.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np

from models.nn import Array
from models.station_days import COLUMNS, RAIN, TMAX, TMIN, SetAside, StationDays

TEMPERATURES = (TMAX, TMIN)
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

# What is filled in for "missing": 0 degC, and 0 degF.
NAUGHTS = (0.0, (0.0 - 32.0) / 1.8)
NAUGHT_FROM_NEIGHBOURS = 10.0  # degC

REPEATED = 20  # observed days
VARIED = 6  # different values among so many

STREAK = 20  # observed days
STREAKS_BY_ROUNDING = 5  # times the length of which 1 in 100 streaks of a record are longer
COMMON_RAIN = 0.3  # the share of wet days with no more rain than is looked at for streaks

GAP = 10.0  # degC
ENOUGH_FOR_GAP = 100  # values of a month
OUTLIER = 6.0  # standard deviations
SECOND_OPINION = 1 / 3  # of the departure, on the day before or after
SMALLEST_DEVIATION = GAP / OUTLIER  # degC; so that no departure of less than 10 degC is an outlier, as in the tropics
HALF_WINDOW = 7  # days
TAIL, TAIL_DEVIATIONS = 0.02, 2.054  # of a normal distribution 2 % are more than so many deviations from the mean
ENOUGH_FOR_OUTLIER = 100  # values of a window

SPIKE = 25.0  # degC
LAGGED_RANGE = 40.0  # degC

DRY = 365  # observed days; of the stretch, and of the rest that must speak against it
SPELLS = -np.log(1e-9)  # of rain, that did not come

DAYS_OF_YEAR = 366
_BEFORE_MONTH = np.array([0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335])


class Finding(NamedTuple):
    """Values of one column that are doubted together: one, or a stretch.

    Attributes
    ----------
    rows : (k,) int, ascending
    column : an index of ``COLUMNS``
    reason : for a person; it names the limit and the number
    """

    rows: Array
    column: int
    reason: str


# (dates (N,), values (N, 3)) -> what is doubted
Check: TypeAlias = Callable[[Array, Array], list[Finding]]


def set_aside_the_doubtful(days: StationDays) -> tuple[StationDays, list[SetAside]]:
    """Replace what is doubted, by `doubtful`, by ``nan``, and list it by date.

    A stretch is listed once, with its first day and value; the reason says how far it goes. A value is judged by the
    whole record, so that a later value may decide on an earlier one: for an honest backtest give the rows that are
    trained on alone.
    """
    dates, values, listed = days.dates, days.values.copy(), []
    for rows, column, reason in sorted(doubtful(days), key=lambda finding: (finding.rows[0], finding.column)):
        first = rows[0]
        listed.append(SetAside(dates[first], COLUMNS[column], float(days.values[first, column]), reason))
        values[rows, column] = np.nan
    return replace(days, values=values), listed


def doubtful(days: StationDays) -> list[Finding]:
    """Return what is not to be believed; each of `CHECKS` sees only what those before it believe."""
    dates, values, findings = days.dates, days.values.copy(), []
    for check in CHECKS:
        found = check(dates, values)
        for rows, column, _ in found:
            values[rows, column] = np.nan
        findings += found
    return findings


def naughts(_: Array, values: Array) -> list[Finding]:
    """Doubt days whose tmax and tmin are both 0 degC, or both 0 degF: a zero for "missing".

    GHCN-Daily doubts 0 degC outside of the United States and 0 degF within. Here no country is known, and a day of
    fog at freezing point is real (Valdez has three such days in 98 years): it is believed where the tmax of an
    observed day next to it, and the tmin of one, are within 10 degC.
    """
    findings = []
    temperatures = values[:, TEMPERATURES]
    for naught in NAUGHTS:
        both = np.asarray((np.abs(temperatures - naught) < 0.05).all(axis=1))  # noqa: PLR2004 -- records are in tenths
        if not both.any():
            continue
        others = np.where(both[:, None], np.nan, temperatures)
        near = [np.abs(around - naught) <= NAUGHT_FROM_NEIGHBOURS for around in _around(others)]
        reason = (
            f"tmax and tmin are both {naught:.3g}, and the days around more than {NAUGHT_FROM_NEIGHBOURS:g} from it"
        )
        for row in np.flatnonzero(both & ~(near[0] | near[1]).all(axis=1)):
            findings += [Finding(np.array([row]), column, reason) for column in TEMPERATURES]
    return findings


def repeats(dates: Array, values: Array) -> list[Finding]:
    """Doubt what was entered twice: 20 or more observed days in a row with the tmax of as many earlier ones.

    The paper compares calendar months, and years. Here a copy may begin on any date, and days without a tmax are
    passed over, so that a leap day parts a copy in two and no more. Which of the two is wrong nobody can tell; the
    earlier is believed.

    tmin and rain of the copy are doubted with it on the days on which they are the same too, unless they differ on
    more: then they were measured. Two zeros count on neither side, as most days are dry.

    A few values repeat by chance, day after day. With 6 different ones among them that went on for 10 days at most, or
    13 if the records are rounded to 2 degC. What 20 days find is a copy: January 1921 at Valdez is, but for two days,
    that of 1920.
    """
    observed = np.flatnonzero(np.isfinite(values[:, TMAX]))
    lags = _lags(values[observed, TMAX])
    findings = []
    for start, length in zip(*_runs(lags), strict=True):
        if lags[start] == 0:
            continue
        places = np.arange(start, start + length)
        later, earlier = observed[places], observed[places - lags[start]]
        for column in range(len(COLUMNS)):
            one, other = values[later, column], values[earlier, column]
            same = one == other
            differ = np.isfinite(one) & np.isfinite(other) & ~same
            if same.any() and (same & (one != 0)).sum() >= differ.sum():
                rows, of = later[same], dates[earlier[same]]
                reason = (
                    f"repeats {of[0]} to {of[-1]}, value for value, until {dates[rows[-1]]}; "
                    f"the limit is {REPEATED} observed days"
                )
                findings.append(Finding(rows, column, reason))
    return findings


def streaks(dates: Array, values: Array) -> list[Finding]:
    """Doubt the same tmax, or tmin, on 20 or more observed days in a row, or as many as `_streak_limit` says."""
    findings = []
    for column in TEMPERATURES:
        observed = np.flatnonzero(np.isfinite(values[:, column]))
        findings += _streaks(dates, values, column, observed, "observed")
    return findings


def rain_streaks(dates: Array, values: Array) -> list[Finding]:
    """Doubt the same rain on 20 or more wet days in succession, as `streaks`; dry days between them do not count.

    The least amounts are believed: dew and fog tip a gauge once, night after night. As in the paper's check of
    frequent values, an amount is looked at where it is above the 30th percentile of wet days, a streak counted as one.
    """
    wet = np.flatnonzero(values[:, RAIN] > 0)
    if len(wet) < STREAK:
        return []
    amounts = values[wet, RAIN]
    common = np.quantile(amounts[_runs(amounts)[0]], COMMON_RAIN)
    return [f for f in _streaks(dates, values, RAIN, wet, "wet") if values[f.rows[0], RAIN] > common]


def dry_stretches(dates: Array, values: Array) -> list[Finding]:
    """Doubt 365 or more observed days without any rain where the rest of the record rains too often for that.

    The probability that it stays dry is the product over the days of 1 - p, where p is the chance of rain after a dry
    day in that calendar month, outside of the stretch: spells of rain are counted rather than wet days, as rain that
    lasts says nothing on when the next comes. Below 1e-9, which is 21 spells that did not come, a stretch is no
    drought; years without rain are known from deserts alone, where fewer are due. The longest stretch is looked at
    first, and no longer counts for the others once it is doubted.

    This check is not one of the paper's: there are records whose rain is 0 until the day somebody began to report it.
    """
    rain, months = values[:, RAIN], _months(dates)
    observed = np.flatnonzero(np.isfinite(rain))
    starts, lengths = _runs(rain[observed] > 0)
    stretches = [
        observed[start : start + length]
        for start, length in zip(starts, lengths, strict=True)
        if length >= DRY and rain[observed[start]] == 0
    ]
    findings, believed = [], np.isfinite(rain)
    for rows in sorted(stretches, key=len, reverse=True):
        rest = believed.copy()
        rest[rows] = False
        spells = -np.log1p(-_chance_of_rain(rain, months, rest)[months[rows]]).sum()
        if rest.sum() >= DRY and spells > SPELLS:
            believed = rest
            reason = (
                f"no rain {_span(dates[rows])} ({len(rows)} days), when by the rest of the record rain begins "
                f"{spells:.0f} times in as many; the limit is {SPELLS:.0f}"
            )
            findings.append(Finding(rows, RAIN, reason))
    return findings


def gaps(dates: Array, values: Array) -> list[Finding]:
    """Doubt temperatures that 10 degC or more without any value part from the others of the calendar month.

    The values of a month of all years are gone through in order, from the median outwards; what is beyond the first
    gap is doubted, unless the days around confirm it (`_alone`): in as few as ten years the deepest frost may stand
    apart, as that of February 1951 at Fort Collins does.
    """
    months = _months(dates)
    findings = []
    for column in TEMPERATURES:
        for month in range(12):
            rows = np.flatnonzero((months == month) & np.isfinite(values[:, column]))
            if len(rows) < ENOUGH_FOR_GAP:
                continue
            rows = rows[np.argsort(values[rows, column], kind="stable")]
            steps = np.diff(values[rows, column])
            low, high = _outermost_believed(steps >= GAP)
            beyond = np.zeros(len(values), dtype=bool)
            beyond[rows[:low]] = beyond[rows[high + 1 :]] = True
            from_median = values[:, column] - values[rows[len(steps) // 2], column]
            for row in np.flatnonzero(_alone(beyond, from_median)):
                step = steps[low - 1] if from_median[row] < 0 else steps[high]
                reason = f"parted by {step:.1f} degC from the rest of {MONTHS[month]}; the limit is {GAP:g}"
                findings.append(Finding(np.array([row]), column, reason))
    return findings


def outliers(dates: Array, values: Array) -> list[Finding]:
    """Doubt temperatures more than 6 standard deviations, and 10 degC, from the mean of their time of year.

    Mean and deviation are those of the 15 days around that day in all years, after `_biweight`, which a few wrong
    values do not move. The paper knows one deviation for both sides, no least departure and no second opinion
    (`_alone`); by its rule 24 more values of the records would be doubted, most of them real: sirocco at Algiers, heat
    at Oakland, a day of rain at Darwin, frost at Fort Collins.
    """
    day_of_year = _day_of_year(dates)
    findings = []
    for column in TEMPERATURES:
        mean, below, above = (of_the_year[day_of_year] for of_the_year in _climate(dates, values[:, column]))
        departure = values[:, column] - mean
        departure /= np.maximum(np.where(departure < 0, below, above), SMALLEST_DEVIATION)
        for row in np.flatnonzero(_alone(np.abs(departure) > OUTLIER, departure)):
            reason = (
                f"{abs(departure[row]):.1f} standard deviations {'above' if departure[row] > 0 else 'below'} the mean "
                f"of the time of year ({mean[row]:.1f}), the days around not; the limit is {OUTLIER:g}"
            )
            findings.append(Finding(np.array([row]), column, reason))
    return findings


def spikes(_: Array, values: Array) -> list[Finding]:
    """Doubt temperatures more than 25 degC above, or below, both the day before and the day after.

    The most of the records is 23 degC, a mild night of December 1919 at Fort Collins.
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
    """Doubt a tmax 40 degC or more above the warmest tmin of three days, and a tmin as far below the coldest tmax.

    The three are the day itself, the one before and the one after, and all of them must be observed: within one day
    the range has been 41 degC at Fort Collins.
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
            reason = f"{ranges[row - 1]:.1f} degC {other} of the day and the days around; the limit is {LAGGED_RANGE:g}"
            findings.append(Finding(np.array([row]), column, reason))
    return findings


# In the order of the paper: what is wrong for many days first, so that it is no part of the climate of the others.
CHECKS: tuple[Check, ...] = (
    naughts, repeats, streaks, gaps, outliers, spikes, lagged_ranges, dry_stretches, rain_streaks,
)  # fmt: skip


def _lags(values: Array) -> Array:
    """Return how many places before each value it was seen first, in 20 or more in a row; 0 where it was not.

    Parameters
    ----------
    values : (n,) of observed days
    """
    lags = np.zeros(len(values), dtype=int)
    if len(values) < REPEATED:
        return lags
    windows = np.lib.stride_tricks.sliding_window_view(values + 0.0, REPEATED)  # -0.0 becomes 0.0
    # A lump of bytes is sorted four times as fast as a row of numbers.
    lumps = np.ascontiguousarray(windows).view(f"V{REPEATED * windows.itemsize}")[:, 0]
    _, first, which = np.unique(lumps, return_index=True, return_inverse=True)
    back = np.arange(len(windows)) - first[which]
    again = np.flatnonzero(back)
    different = 1 + (np.diff(np.sort(windows[again], axis=1), axis=1) > 0).sum(axis=1)
    again = again[different >= VARIED]
    for day in range(REPEATED):  # of the windows that share a day the first is written last
        lags[again + day] = back[again]
    return lags


def _streaks(dates: Array, values: Array, column: int, rows: Array, kind: str) -> list[Finding]:
    """Find the streaks of one value in succession among ``rows``, days of that ``kind``."""
    starts, lengths = _runs(values[rows, column])
    limit = _streak_limit(lengths)
    findings = []
    for run in np.flatnonzero(lengths >= limit):
        streak = rows[starts[run] : starts[run] + lengths[run]]
        reason = f"the same on {len(streak)} {kind} days in a row, {_span(dates[streak])}; the limit is {limit:g}"
        findings.append(Finding(streak, column, reason))
    return findings


def _streak_limit(lengths: Array) -> float:
    """Return how many days in a row are too many: 20, or more where the record repeats itself by its rounding.

    Where whole degrees are reported in the tropics every other day may be as the day before. If each repeats the one
    before with one chance, of the 10,000 streaks of a century the longest is about twice as long as the 99th
    percentile, and five times as long is out of reach, even if all repeating is done in one season. For the records
    the limit is 20 and the longest streak 9; if they are rounded to whole degrees it is 20 to 35, and 18.

    Parameters
    ----------
    lengths : (streaks,) from 1
    """
    believed = lengths[lengths < STREAK]  # what is to be found must not raise the limit
    usual = np.quantile(believed, 0.99, method="lower") if len(believed) else 1
    return float(max(STREAK, STREAKS_BY_ROUNDING * usual))


def _chance_of_rain(rain: Array, months: Array, believed: Array) -> Array:
    """Return (12,), how often rain follows on a dry day in each calendar month, at least; 0 where nobody saw.

    Days count whose day before was observed too: a station that reports only when it rains says little on how often.
    What little is known is not relied on either: of k days two standard errors, 2 sqrt(k), are taken off.
    """
    after_dry = np.append(False, believed[:-1] & (rain[:-1] == 0)) & believed
    seen = np.bincount(months[after_dry], minlength=12)
    begins = np.bincount(months[after_dry & (rain > 0)], minlength=12)
    return np.asarray(np.maximum(begins - 2 * np.sqrt(begins), 0) / np.maximum(seen, 1))


def _outermost_believed(wide: Array) -> tuple[int, int]:
    """Return the first and the last of sorted values that no wide step parts from their median.

    Parameters
    ----------
    wide : (n - 1,) bool, of the step from each value to the next
    """
    middle = len(wide) // 2
    below, above = np.flatnonzero(wide[:middle]), np.flatnonzero(wide[middle:])
    return (int(below[-1]) + 1 if len(below) else 0), middle + int(above[0]) if len(above) else len(wide)


def _climate(dates: Array, values: Array) -> tuple[Array, Array, Array]:
    """Return the mean of each day of the year, and the standard deviations below and above it, by `_biweight`.

    Returns
    -------
    mean, below, above : (366,) of the 15 days around that day in all years; ``nan`` where fewer than 100 are observed
    """
    observed = np.isfinite(values)
    years, row = np.unique(dates[observed].astype("M8[Y]"), return_inverse=True)
    table = np.full((len(years), DAYS_OF_YEAR), np.nan)
    table[row, _day_of_year(dates[observed])] = values[observed]
    around = (np.arange(DAYS_OF_YEAR)[:, None] + np.arange(-HALF_WINDOW, HALF_WINDOW + 1)) % DAYS_OF_YEAR
    windows = table.T[around].reshape(DAYS_OF_YEAR, -1)
    enough = np.isfinite(windows).sum(axis=1) >= ENOUGH_FOR_OUTLIER
    climate = np.full((3, DAYS_OF_YEAR), np.nan)
    climate[:, enough] = _biweight(windows[enough])
    return climate[0], climate[1], climate[2]


def _biweight(samples: Array) -> Array:
    """Return the biweight mean of each row, and the standard deviations below and above it.

    ::

        u = (x - median) / (7.5 MAD);    weight (1 - u^2)^2 where |u| < 1, 0 beyond

    The biweight deviation is one for both sides, and hardly that of a long tail: where the 2nd or the 98th percentile
    is farther from the mean than in a normal distribution of that deviation, it decides on the deviation of its side.

    Parameters
    ----------
    samples : (rows, n); ``nan`` is no value

    Returns
    -------
    (3, rows), mean, below, above

    References
    ----------
    Lanzante (1996), Resistant, robust and non-parametric techniques for the analysis of climate data.
    """
    ascending, count = np.sort(samples, axis=1), np.isfinite(samples).sum(axis=1)
    low, median, high = (_quantile(ascending, count, share) for share in (TAIL, 0.5, 1 - TAIL))
    from_median = ascending - median[:, None]
    spread = np.maximum(_quantile(np.sort(np.abs(from_median), axis=1), count, 0.5), 1e-9)  # 0 where most are the same
    u2 = (from_median / (7.5 * spread[:, None])) ** 2
    inside = u2 < 1
    from_median, u2 = np.where(inside, from_median, 0.0), np.where(inside, u2, 1.0)
    shrunk = (1 - u2) ** 2
    mean = median + (from_median * shrunk).sum(axis=1) / shrunk.sum(axis=1)
    scale = ((1 - u2) * (1 - 5 * u2)).sum(axis=1)  # above 0, as half of the values are within u = 1 / 7.5
    deviation = np.sqrt(count * (from_median**2 * shrunk**2).sum(axis=1)) / scale
    below, above = (np.maximum(deviation, tail / TAIL_DEVIATIONS) for tail in (mean - low, high - mean))
    return np.stack([mean, below, above])


def _quantile(ascending: Array, count: Array, share: float) -> Array:
    """Return the quantile of the first ``count`` values of each row, as ``np.quantile`` does for one."""
    place = share * (count - 1)
    lower, rows = place.astype(int), np.arange(len(ascending))
    fraction = place - lower
    upper = np.minimum(lower + 1, count - 1)
    return np.asarray(ascending[rows, lower] * (1 - fraction) + ascending[rows, upper] * fraction)


def _alone(candidates: Array, departure: Array) -> Array:
    """Return which candidates no day around confirms: the nearest before and after that are observed and no candidates.

    Heat and cold come and go over days, errors do not: a day confirms a departure of which it has a third.
    """
    witnesses = np.where(candidates, np.nan, departure)
    alone = candidates.copy()
    for witness in _around(witnesses):
        alone &= ~(witness * np.sign(departure) >= SECOND_OPINION * np.abs(departure))
    return alone


def _around(values: Array) -> tuple[Array, Array]:
    """Return, for each row, the nearest value before it and the nearest after it; ``nan`` where there is none."""
    return _latest_before(values), _latest_before(values[::-1])[::-1]


def _latest_before(values: Array) -> Array:
    """Carry each value of (N, ...) to the rows after it, up to and with that of the next value."""
    rows = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
    latest = np.maximum.accumulate(np.where(np.isfinite(values), rows, 0), axis=0)
    carried = np.take_along_axis(values, latest, axis=0)  # nan of the first row as long as there is none
    return np.concatenate([np.full_like(values[:1], np.nan), carried[:-1]])


def _runs(values: Array) -> tuple[Array, Array]:
    """Return where each run of equal values begins, and how long it is."""
    if not len(values):
        return np.zeros(0, int), np.zeros(0, int)
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    return starts, np.diff(np.append(starts, len(values)))


def _months(dates: Array) -> Array:
    """Return 0 to 11."""
    return dates.astype("M8[M]").astype(int) % 12


def _day_of_year(dates: Array) -> Array:
    """Return 0 to 365, the same for a date in every year; 29 February has its own."""
    day = (dates - dates.astype("M8[M]").astype("M8[D]")).astype(int)
    return np.asarray(_BEFORE_MONTH[_months(dates)] + day)


def _span(dates: Array) -> str:
    return f"from {dates[0]} to {dates[-1]}"
