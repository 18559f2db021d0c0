"""Checks for temperatures in the wrong unit: spells within a record, and whole records."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from models.nn import Array
from models.record.columns import TEMPERATURE, TEMPERATURES
from models.record.quality.seasonal import climate
from models.record.quality.series import Finding, runs, span

TAIL_FREEDOM = 4  # degrees of freedom of Student's distribution: real weather has longer tails than the normal
ROUNDS = 4  # of fitting the climate and finding the spells again; two suffice in most records

USUAL = 13.0  # degC, a usual mean of tmax and tmin
SHORT = 800  # observed days
JUMPS, JUMP_DAYS = 3, 3  # the largest jumps, from the median of three observed days to that of the next three
MIN_JUMP = 12.0  # degC; at a change of units, 0.8 T + 32 or 0.44 T + 18


class Mistake(NamedTuple):
    """A mistake of units."""

    name: str
    undo: Callable[[Array], Array]
    factor: float  # by which undoing it stretches differences
    least_gain: float  # of a spell: the logarithm of the ratio of its likelihoods, undone and as read


# In 42 whole records and 1,755 parts of them (130 to 1,095 days), real heat gains up to 30 (March 2012 at Flint) and
# real cold up to 90 (February 1960 at Fort Collins).
MISTAKES = (
    Mistake("degF read as degC", TEMPERATURE.to_metric, 1 / 1.8, 40.0),
    Mistake("degC read as degF", lambda t: 1.8 * t + 32.0, 1.8, 100.0),
)


def spells(dates: Array, values: Array) -> list[Finding]:
    """Find spells that fit the climate of the station only after a mistake of units is undone.

    The record is a sequence of days right and days wrong. The most likely one is found by dynamic programming
    (Viterbi), given the seasonal climate of the record with the wrong days converted, and the climate given the
    sequence, in turns, from several first guesses (`_guesses`).
    """
    temperatures = values[:, TEMPERATURES]
    observed = np.asarray(np.isfinite(temperatures).any(axis=1))
    if not observed.any():
        return []
    right = np.zeros(len(dates), bool)
    found, mistake, wrong = 0.0, MISTAKES[0], right
    guesses = [right, *_guesses(temperatures, observed)]
    for candidate in MISTAKES:
        as_read = _gain(dates, temperatures, candidate, right)
        for guess in guesses:
            likelihood, spell = _explained(dates, temperatures, candidate, guess, as_read)
            if likelihood - as_read[1] > found:
                found, mistake, wrong = likelihood - as_read[1], candidate, spell
    if not found:
        return []
    if _opposite(temperatures, wrong):
        wrong, mistake = ~wrong, MISTAKES[1 - MISTAKES.index(mistake)]
    return list(_findings(dates, np.isfinite(temperatures), wrong, mistake))


def _guesses(temperatures: Array, observed: Array) -> Iterator[Array]:
    """Yield first guesses of the days (N,) that are wrong.

    They are the second half and, in short records, where it may be of other seasons than the first, those from one of
    the largest jumps to another or to the end.
    """
    n = observed.cumsum()
    yield n > n[-1] / 2
    if not 2 * JUMP_DAYS <= n[-1] <= SHORT:
        return
    level = np.nan_to_num(np.nanmean(temperatures[observed], axis=1))
    windows = np.lib.stride_tricks.sliding_window_view(level, JUMP_DAYS)
    medians = np.median(windows, axis=1)
    jump = np.abs(medians[JUMP_DAYS:] - medians[:-JUMP_DAYS])  # before the observed day at this index + JUMP_DAYS
    jumps: list[int] = []
    while len(jumps) < JUMPS and jump[at := int(np.argmax(jump))] >= MIN_JUMP:
        jumps.append(at + JUMP_DAYS)
        jump[max(0, at - JUMP_DAYS) : at + JUMP_DAYS + 1] = 0.0
    for first in jumps:
        yield from ((n > first) & (n <= last) for last in (*jumps, n[-1]) if last > first)


def _explained(
    dates: Array, temperatures: Array, mistake: Mistake, wrong: Array, as_read: tuple[Array, float]
) -> tuple[float, Array]:
    """Return the logarithm of the likelihood of a record with the days that are ``wrong`` in the end, and these."""
    gain, likelihood = as_read if not wrong.any() else _gain(dates, temperatures, mistake, wrong)
    for _ in range(ROUNDS):
        before, wrong = wrong, _most_likely(gain, mistake.least_gain)
        if (wrong == before).all():
            break
        gain, likelihood = _gain(dates, temperatures, mistake, wrong)
    return likelihood, wrong


def _gain(dates: Array, temperatures: Array, mistake: Mistake, wrong: Array) -> tuple[Array, float]:
    """Return the gain of each day (N,) if it is wrong, and the logarithm of the likelihood of the record."""
    gain, likelihood = np.zeros(len(dates)), 0.0
    for of_column in temperatures.T:
        undone = mistake.undo(of_column)
        normal, spread = climate(dates, np.where(wrong, undone, of_column))
        right = _log_density(of_column, normal, spread)
        converted = _log_density(undone, normal, spread) + np.log(mistake.factor)
        gain += np.nan_to_num(converted - right)
        likelihood += float(np.nansum(np.where(wrong, converted, right)))
    return gain, likelihood - mistake.least_gain * int((np.diff(wrong.astype(int), prepend=0) > 0).sum())


def _opposite(temperatures: Array, wrong: Array) -> bool:
    """Whether the other days are suspect: a sequence and its opposite explain a record equally well.

    Suspect are the days that are fewer; where neither are fewer by half, those whose mean is farther from `USUAL`.
    """
    observed = np.isfinite(temperatures)
    share = observed[wrong].sum() / observed.sum()
    if not 1 / 3 < share < 2 / 3:
        return bool(share > 1 / 2)
    from_usual = [abs(float(np.nanmean(temperatures[days])) - USUAL) for days in (wrong, ~wrong)]
    return from_usual[0] < from_usual[1]


def _findings(dates: Array, observed: Array, wrong: Array, mistake: Mistake) -> Iterator[Finding]:
    for start, length in zip(*runs(wrong), strict=True):
        rows = np.arange(start, start + length)
        reason = f"looks like {mistake.name} {span(dates[rows])}: only converted it fits the rest of the record"
        for i, column in enumerate(TEMPERATURES):
            if wrong[start] and observed[rows, i].any():
                yield Finding(rows[observed[rows, i]], column, reason)


def _log_density(values: Array, normal: Array, spread: Array) -> Array:
    """Return the logarithm of the density of Student's distribution, up to a constant."""
    z2 = ((values - normal) / spread) ** 2
    return np.asarray(-np.log(spread) - (TAIL_FREEDOM + 1) / 2 * np.log1p(z2 / TAIL_FREEDOM))


def _most_likely(gain: Array, least_gain: float) -> Array:
    """Return the days (N,) of the spells that gain most in total, each of which costs ``least_gain``."""
    right, wrong = 0.0, -np.inf  # the most that can be gained up to a day that is right, or wrong
    ended, lasts = [], []
    for of_day in gain.tolist():
        ended.append(wrong > right)
        lasts.append(wrong > right - least_gain)
        right, wrong = max(right, wrong), max(wrong, right - least_gain) + of_day
    found, state = np.zeros(len(gain), bool), wrong > right
    for day in range(len(gain) - 1, -1, -1):
        found[day] = state
        state = lasts[day] if state else ended[day]
    return found
