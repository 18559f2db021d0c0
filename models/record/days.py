"""The station-day table: the daily values of one station on an unbroken calendar."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from models.nn import Array
from models.record.columns import COLUMNS, TMAX, ColumnError, is_guidance

ONE_DAY = np.timedelta64(1, "D")

# A column within 0.006 degC of the next day's tmax on more than 90 % of at least 30 days is that tmax itself.
SAME, TOO_GOOD, MIN_COMPARED = 0.006, 0.9, 30


@dataclass(frozen=True, eq=False)
class StationDays:
    """Every calendar day from the first to the last; ``nan`` is missing."""

    first: np.datetime64
    values: Array  # (N, columns), metric, the columns as in `models.record.columns.MEASURED`
    further: dict[str, Array] = field(default_factory=dict)  # name -> (N,), metric

    @classmethod
    def on_calendar(cls, dates: Array, values: Array, further: Mapping[str, Array] | None = None) -> "StationDays":
        """Place one or more observations, of strictly ascending dates, on the calendar; missing days are ``nan``."""
        rows = (dates - dates[0]).astype(int)

        def laid(column: Array) -> Array:
            out = np.full((rows[-1] + 1, *column.shape[1:]), np.nan)
            out[rows] = column
            return out

        return cls(dates[0], laid(values), {name: laid(column) for name, column in (further or {}).items()})

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def dates(self) -> Array:
        """(N,) datetime64[D]."""
        return self.first + np.arange(len(self)) * ONE_DAY

    @property
    def last(self) -> np.datetime64:
        """The last day."""
        return self.first + (len(self) - 1) * ONE_DAY

    @property
    def tmax(self) -> Array:
        """(N,) degC."""
        return self.values[:, TMAX]

    @property
    def next_tmax(self) -> Array:
        """(N,) degC, tmax of the next calendar day: the target."""
        return np.append(self.tmax[1:], np.nan)

    @property
    def has_guidance(self) -> Array:
        """(N,) bool, whether any guidance for the next day is available."""
        known = [~np.isnan(series) for name, series in self.further.items() if is_guidance(name)]
        return np.any(known, axis=0) if known else np.zeros(len(self), bool)

    def column(self, name: str) -> Array:
        """Return any column (N,); all ``nan`` where the record has no such column."""
        if name in COLUMNS:
            return self.values[:, COLUMNS.index(name)]
        return self.further.get(name, np.full(len(self), np.nan))

    def part(self, start: int, stop: int) -> "StationDays":
        """Return the rows from ``start`` to ``stop``, exclusive."""
        further = {name: series[start:stop] for name, series in self.further.items()}
        return StationDays(self.first + start * ONE_DAY, self.values[start:stop], further)

    def through(self, date: np.datetime64) -> "StationDays":
        """Return the days up to and including ``date``; none if it is before the first day."""
        return self.part(0, max(0, int((date - self.first) / ONE_DAY) + 1))


def check_columns(days: StationDays) -> None:
    """Raise ColumnError where a further column is the next day's tmax itself."""
    for name, series in days.further.items():
        both = np.isfinite(series) & np.isfinite(days.next_tmax)
        same = np.abs(series[both] - days.next_tmax[both]) < SAME
        if both.sum() >= MIN_COMPARED and same.mean() > TOO_GOOD:
            raise ColumnError(
                f"{name} equals the next day's tmax on {100 * same.mean():.0f} % of the days: it is known too late"
            )
