"""Quality control of a record: the GHCN-Daily checks that need one station only.

`set_aside_impossible` removes impossible values; `set_aside_suspect` removes possible but suspect values before
training, and refuses a record that cannot be believed as a whole (`whole`). `codes` finds codes for missing values, and
`steps` a lasting step, which is only told. The limits are those of the paper; a check that would reject real weather in
the 22 records used for development is relaxed, and says so.

Three checks of the paper are omitted: comparison with other stations, months with identical tmax and tmin, and rain
above 9 times the 95th percentile of its season. The maximum in these records is 6.6 times (Berlin, 29 June 2017), and
a single station cannot tell a cloudburst from an error.

Not in the paper: spells in another unit (`units.spells`), dry spells, and the seasonal normal in place of the calendar
month in short records.

Reference: Durre, Menne, Gleason, Houston and Vose (2010), Comprehensive automated quality assurance of daily surface
observations.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np

from models.nn import Array
from models.record.columns import COLUMNS, impossible
from models.record.days import StationDays
from models.record.quality import extremes, repeats, units, whole
from models.record.quality.series import Finding

# (dates (N,), values (N, columns)) -> findings
Check: TypeAlias = Callable[[Array, Array], list[Finding]]

# In the order of the paper: errors over many days come first, so that they do not distort the climate of the rest.
CHECKS: tuple[Check, ...] = (
    repeats.zeros,
    repeats.copies,
    units.spells,
    repeats.temperature_streaks,
    extremes.gaps,
    extremes.outliers,
    extremes.spikes,
    extremes.lagged_ranges,
    repeats.dry_spells,
    repeats.rain_streaks,
)


class SetAside(NamedTuple):
    """A value set aside from a record, metric, and the reason."""

    date: np.datetime64
    column: str
    value: float
    reason: str


def set_aside_impossible(days: StationDays) -> tuple[StationDays, list[SetAside]]:
    """Replace impossible values (see `models.record.columns.impossible`) with ``nan``, and list them.

    Raises ValueError where tmax and tmin seem to be swapped.
    """
    whole.check_order(days.values)
    kept = replace(days, values=days.values.copy(), further={n: s.copy() for n, s in days.further.items()})
    dates, listed = days.dates, []
    for row, name, reason in impossible(days.values, days.further):
        listed.append(SetAside(dates[row], name, float(days.column(name)[row]), reason))
        kept.column(name)[row] = np.nan
    return kept, listed


def set_aside_suspect(days: StationDays) -> tuple[StationDays, list[SetAside]]:
    """Replace suspect values with ``nan``, and list them by date.

    A finding of several days is listed once, with its first day and value; the reason gives the span. Each value is
    checked against the whole record, including later days: a backtest must pass only the days it trains on.

    Raises ValueError where the record as a whole cannot be believed: tmax never changes, or the temperatures are not in
    the unit they were read in.
    """
    whole.check_changes(days.dates, days.values)
    dates, values, listed = days.dates, days.values.copy(), []
    for rows, column, reason in sorted(find_suspect(days), key=lambda finding: (finding.rows[0], finding.column)):
        first = rows[0]
        listed.append(SetAside(dates[first], COLUMNS[column], float(days.values[first, column]), reason))
        values[rows, column] = np.nan
    whole.check_units(values)
    return replace(days, values=values), listed


def find_suspect(days: StationDays) -> list[Finding]:
    """Run `CHECKS` in order; each sees only the values that passed the previous ones."""
    dates, values, findings = days.dates, days.values.copy(), []
    for check in CHECKS:
        found = check(dates, values)
        for rows, column, _ in found:
            values[rows, column] = np.nan
        findings += found
    return findings
