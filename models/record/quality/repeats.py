"""Checks for repeated values: zeros in place of missing values, duplicated days, streaks, unreported rain."""

import numpy as np

from models.nn import Array
from models.record.columns import COLUMNS, RAIN, TEMPERATURES, TMAX, TMIN, to_celsius
from models.record.quality.series import Finding, month_index, neighbours, runs, span

PAIR = [TMAX, TMIN]
ZEROS = (0.0, to_celsius(0.0, "us"))  # degC
ZERO_FROM_NEIGHBOURS = 10.0  # degC
HALF_TENTH = 0.05  # half the resolution of the records, degC

COPIED_DAYS = 20  # observed
COPIED_DISTINCT = 6  # distinct values among them

STREAK = 20  # observed days
STREAKS_BY_ROUNDING = 5  # times the 99th percentile of the streak lengths of a record
COMMON_RAIN = 0.3  # quantile of the amounts of wet days; only amounts above it are checked for streaks

DRY_DAYS = 365  # least number of observed days, of the spell and of the rest of the record
IMPLAUSIBLE_ONSETS = -np.log(1e-9)  # expected onsets of rain; a dry spell with more is suspect


def zeros(_: Array, values: Array) -> list[Finding]:
    """Find days with tmax and tmin both 0 degC or both 0 degF: zeros in place of missing values.

    GHCN-Daily flags 0 degC outside the United States and 0 degF within. Here the country is unknown, and a foggy day at
    freezing point is real (Valdez has three in 98 years): it is accepted where the nearest observed tmax on
    either side, and likewise tmin, is within 10 degC.
    """
    findings = []
    temperatures = values[:, PAIR]
    for zero in ZEROS:
        both = np.asarray((np.abs(temperatures - zero) < HALF_TENTH).all(axis=1))
        if not both.any():
            continue
        others = np.where(both[:, None], np.nan, temperatures)
        near = [np.abs(side - zero) <= ZERO_FROM_NEIGHBOURS for side in neighbours(others)]
        reason = f"tmax and tmin are both {zero:.3g} degC, more than {ZERO_FROM_NEIGHBOURS:g} from the nearest days"
        for row in np.flatnonzero(both & ~(near[0] | near[1]).all(axis=1)):
            findings += [Finding(np.array([row]), column, reason) for column in PAIR]
    return findings


def copies(dates: Array, values: Array) -> list[Finding]:
    """Find duplicated days: 20 or more consecutive observed days with the tmax of as many earlier days.

    The paper compares calendar months and years. Here a copy may begin on any date, and days without tmax are skipped,
    so a leap day merely splits a copy in two. The record does not show which of the two is wrong; the earlier is kept.

    The other columns of the copy are suspect on days where they are identical too, unless they differ on more days:
    then they were measured. Pairs of zeros are not counted, as most days are dry.

    Short sequences repeat by chance: with 6 or more distinct values, for at most 10 days in the records, or 13 if
    rounded to 2 degC. Repetitions of 20 days are copies: January 1921 at Valdez repeats January 1920 but for two days.
    """
    observed = np.flatnonzero(np.isfinite(values[:, TMAX]))
    lags = _lags(values[observed, TMAX])
    findings = []
    for start, length in zip(*runs(lags), strict=True):
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
                    f"the limit is {COPIED_DAYS} observed days"
                )
                findings.append(Finding(rows, column, reason))
    return findings


def temperature_streaks(dates: Array, values: Array) -> list[Finding]:
    """Find temperatures that are the same on 20 or more consecutive observed days (the limit: `_streak_limit`)."""
    findings = []
    for column in TEMPERATURES:
        observed = np.flatnonzero(np.isfinite(values[:, column]))
        findings += _streaks(dates, values, column, observed, "observed")
    return findings


def rain_streaks(dates: Array, values: Array) -> list[Finding]:
    """Find the same amount of rain on 20 or more consecutive wet days; dry days between them are skipped.

    The smallest amounts are accepted: dew and fog tip a gauge once, night after night. As in the paper's check of
    frequent values, only amounts above the 30th percentile of wet days are checked, each streak counted once.
    """
    wet = np.flatnonzero(values[:, RAIN] > 0)
    if len(wet) < STREAK:
        return []
    amounts = values[wet, RAIN]
    common = np.quantile(amounts[runs(amounts)[0]], COMMON_RAIN)
    return [f for f in _streaks(dates, values, RAIN, wet, "wet") if values[f.rows[0], RAIN] > common]


def dry_spells(dates: Array, values: Array) -> list[Finding]:
    """Find 365 or more observed days without rain that are implausible given the rest of the record.

    The probability of a dry spell is the product over its days of 1 - p, where p is the probability that rain begins
    after a dry day of that calendar month, estimated outside the spell. A spell less probable than 1e-9 (21 expected
    onsets of rain) is not a drought: rainless years occur only in deserts, where fewer onsets are expected. The longest
    spell is checked first and, once suspect, is excluded from the estimates for the others.

    This check is not in the paper: in some records rain is 0 until the day its reporting began.
    """
    rain, months = values[:, RAIN], month_index(dates)
    observed = np.flatnonzero(np.isfinite(rain))
    starts, lengths = runs(rain[observed] > 0)
    spells = [
        observed[start : start + length]
        for start, length in zip(starts, lengths, strict=True)
        if length >= DRY_DAYS and rain[observed[start]] == 0
    ]
    findings, accepted = [], np.isfinite(rain)
    for rows in sorted(spells, key=len, reverse=True):
        rest = accepted.copy()
        rest[rows] = False
        due = -np.log1p(-_chance_of_rain(rain, months, rest)[months[rows]]).sum()
        if rest.sum() >= DRY_DAYS and due > IMPLAUSIBLE_ONSETS:
            accepted = rest
            reason = (
                f"no rain {span(dates[rows])} ({len(rows)} days), where the rest of the record implies {due:.0f} "
                f"onsets of rain; the limit is {IMPLAUSIBLE_ONSETS:.0f}"
            )
            findings.append(Finding(rows, RAIN, reason))
    return findings


def _lags(values: Array) -> Array:
    """Return the lag (n,) of each value behind the first occurrence of its 20-day sequence; 0 where it is no repeat."""
    lags = np.zeros(len(values), dtype=int)
    if len(values) < COPIED_DAYS:
        return lags
    windows = np.lib.stride_tricks.sliding_window_view(values + 0.0, COPIED_DAYS)  # -0.0 becomes 0.0
    # Rows viewed as blocks of bytes sort four times as fast as rows of numbers.
    blocks = np.ascontiguousarray(windows).view(f"V{COPIED_DAYS * windows.itemsize}")[:, 0]
    _, first, which = np.unique(blocks, return_index=True, return_inverse=True)
    back = np.arange(len(windows)) - first[which]
    again = np.flatnonzero(back)
    distinct = 1 + (np.diff(np.sort(windows[again], axis=1), axis=1) > 0).sum(axis=1)
    again = again[distinct >= COPIED_DISTINCT]
    for day in range(COPIED_DAYS):  # where windows overlap, the earliest is written last
        lags[again + day] = back[again]
    return lags


def _streaks(dates: Array, values: Array, column: int, rows: Array, kind: str) -> list[Finding]:
    """Find streaks of one value among ``rows``, days of that ``kind``."""
    starts, lengths = runs(values[rows, column])
    limit = _streak_limit(lengths)
    findings = []
    for run in np.flatnonzero(lengths >= limit):
        streak = rows[starts[run] : starts[run] + lengths[run]]
        reason = f"the same on {len(streak)} {kind} days in a row, {span(dates[streak])}; the limit is {limit:g}"
        findings.append(Finding(streak, column, reason))
    return findings


def _streak_limit(lengths: Array) -> float:
    """Return the shortest suspect streak: 20 days, or more where coarse rounding makes a record repeat itself.

    Rounded to whole degrees in the tropics, every other day may equal the day before. If repeats are equally likely on
    all days, the longest of the 10,000 streaks of a century is about twice the 99th percentile, and five times that is
    out of reach even if all repeats fall in one season. For the records the limit is 20 and the longest streak 9;
    rounded to whole degrees, 20 to 35 and 18.
    """
    short = lengths[lengths < STREAK]  # suspect streaks must not raise the limit
    usual = np.quantile(short, 0.99, method="lower") if len(short) else 1
    return float(max(STREAK, STREAKS_BY_ROUNDING * usual))


def _chance_of_rain(rain: Array, months: Array, accepted: Array) -> Array:
    """Return a lower bound (12,) of the probability of rain after a dry day, by calendar month; 0 where unknown.

    Both days must be observed: a station that reports only when it rains does not show how often. The bound
    subtracts two standard errors, 2 sqrt(k), from the k onsets of rain.
    """
    after_dry = np.append(False, accepted[:-1] & (rain[:-1] == 0)) & accepted
    seen = np.bincount(months[after_dry], minlength=12)
    begins = np.bincount(months[after_dry & (rain > 0)], minlength=12)
    return np.asarray(np.maximum(begins - 2 * np.sqrt(begins), 0) / np.maximum(seen, 1))
