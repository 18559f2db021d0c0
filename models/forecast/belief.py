"""What is believed of a sequence: the rules of a record, judged by the model's own climate.

Training compares a value with the whole record (`models.record.quality`). A sequence is short; the seasonal normals and
spreads of the model take the place of the record.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from models.forecast.climatology import DAYS_OF_YEAR, day_of_year
from models.forecast.doubts import Doubt, Rule
from models.forecast.features import UNSEEN_DAYS, Features
from models.forecast.further import FurtherFeatures
from models.forecast.unit_mistakes import misfitting_stretch
from models.nn import Array
from models.record.columns import (
    COLUMNS,
    MEASURED,
    RAIN,
    TEMPERATURES,
    TMAX,
    TMIN,
    TMIN_ABOVE_TMAX,
    Units,
    from_celsius,
    impossible,
    to_celsius,
)
from models.record.days import StationDays
from models.record.quality.extremes import CONFIRMATION, HALF_WINDOW_DAYS, MIN_DEVIATION, OUTLIER
from models.record.quality.repeats import HALF_TENTH, STREAK, zeros
from models.record.quality.series import neighbours

# The last tmax is not believed beyond this many standard deviations from what the latest day before it leads to expect;
# but a return to within so many of the normal is. Measured on 23 records: docs/decisions/0019.
UNEXPECTED, NORMAL = 5.0, 2.0

# Zeros within this many standard deviations of the normals of tmax and tmin may be real.
USUAL = 1.0

# Rain, mm, that is a code for a missing value. The record for a day is 1,825 mm; few places have ever had 999.
RAIN_CODES = (999.0, 999.9, 999.99)

# Stretches in other units that are looked for in one sequence.
MAX_STRETCHES = 3

# Units and the last step are only examined where, in standard deviations, the step of tmax, any tmax or tmin, the mean
# of any week or that of the whole sequence is beyond these.
REMARKABLE_STEP, REMARKABLE_VALUE, REMARKABLE_WEEK, REMARKABLE_MEAN = 3.5, 3.5, 2.25, 1.5
WEEK, MONTH = 7, 28  # the mean of fewer than 28 days varies too much

_LOWEST, _HIGHEST = np.array([column.limits for column in MEASURED]).T
_HIGHEST[RAIN] = RAIN_CODES[0] - 0.5


def _place(doubt: Doubt) -> tuple[int, int, str]:
    return doubt.row, COLUMNS.index(doubt.column) if doubt.column in COLUMNS else len(COLUMNS), doubt.column


@dataclass(frozen=True, eq=False)
class Judgement:
    """What is believed of a sequence."""

    days: StationDays  # without the values that are not believed
    set_aside: tuple[Doubt, ...] = ()
    accepted: tuple[Doubt, ...] = ()  # values in use only because the user says that they are real
    refused: tuple[Doubt, ...] = ()  # of the last day's tmax, or a mistake of units up to the last day: no forecast


@dataclass(frozen=True, eq=False)
class Belief:
    """The climate of a model, as far as it decides what is believed."""

    # (days, columns) from 1 January of a mean year on, longer than a year by the longest sequence
    normal: Array  # degC, ``nan`` where the model does not know it
    spread: Array  # degC
    lowest: Array  # metric, of the values that need no examination
    highest: Array
    persistence: float
    further: FurtherFeatures

    @classmethod
    def of(cls, features: Features, through: np.datetime64, longest: int) -> "Belief":
        """Collect the climate of a model, trained ``through`` this day, for sequences of at most ``longest`` days.

        The normals are those of the last year of training: later trends are not followed.
        """
        dates = through.astype("M8[Y]").astype("M8[D]") + np.arange(len(DAYS_OF_YEAR) + longest)
        normal, spread = (np.full((len(dates), len(COLUMNS)), np.nan) for _ in range(2))
        for index in TEMPERATURES:
            climate = features.fitted[index].normal
            if climate and COLUMNS[index] in features.measured:
                normal[:, index], spread[:, index] = climate.on(dates)
        normal[features.unseen(day_of_year(dates)) * UNSEEN_DAYS > HALF_WINDOW_DAYS] = np.nan
        spread = np.maximum(spread, MIN_DEVIATION)
        lowest, highest = np.fmax(normal - OUTLIER * spread, _LOWEST), np.fmin(normal + OUTLIER * spread, _HIGHEST)
        return cls(normal, spread, lowest, highest, features.persistence, features.further)

    def judge(self, days: StationDays, units: Units = "metric", accepted: Sequence[np.datetime64] = ()) -> Judgement:
        """Judge the metric ``days``, the last of which carries the forecast.

        Parameters
        ----------
        units : in which the days were given
        accepted : days whose values are real, however far outside the season. Impossible values, tmin above tmax and a
            mistake of units are not accepted.
        """
        doubted = tuple(
            Doubt(row, name, "far" if is_possible else "impossible")
            for row, name, is_possible in self.further.unbelievable(days)
        )
        if not doubted:
            return self._judged(days, units, accepted)
        days = replace(days, further={name: values.copy() for name, values in days.further.items()})
        for doubt in doubted:
            days.further[doubt.column][doubt.row] = np.nan
        judgement = self._judged(days, units, accepted)
        return replace(judgement, set_aside=tuple(sorted((*judgement.set_aside, *doubted), key=_place)))

    def _judged(self, days: StationDays, units: Units, accepted: Sequence[np.datetime64]) -> Judgement:
        # The day of a mean year of 365.25 days: at most one day off, in a hundredth of the time of the calendar.
        start = 4 * int(days.first.astype(int)) % 1461 // 4
        rows = slice(start, start + len(days))
        is_odd, in_other_units, is_step = self._remarkable(days.values, rows)
        is_stuck = len(days) >= STREAK and days.values[-STREAK, TMAX] == days.values[-1, TMAX] == days.values[-2, TMAX]
        if not (is_odd or in_other_units or is_step or is_stuck):
            return Judgement(days)
        real = np.isin(days.dates, accepted) if accepted else np.zeros(len(days), bool)
        normal, spread, values = self.normal[rows], self.spread[rows], days.values.copy()
        return _Judging(days, units, real, normal, spread, self.persistence, values).judgement(is_odd, in_other_units)

    def _remarkable(self, values: Array, rows: slice) -> tuple[bool, bool, bool]:
        """Return whether any value, the units and the last step need examination: quick, for most need none."""
        is_odd = ((values < self.lowest[rows]) | (values > self.highest[rows])).any()
        is_odd = is_odd or (values[:, TMAX] - values[:, TMIN] < 2 * HALF_TENTH).any()
        departures = (values - self.normal[rows]) / self.spread[rows]
        departure = departures[:, TMAX]
        last, before = float(departure[-1]), float(departure[-2]) if len(departure) > 1 else 0.0
        if (missing := np.isnan(departure)).any():
            departure = np.nan_to_num(np.where(missing, departures[:, TMIN], departure))
        total = np.add.accumulate(departure)
        n = len(total)
        week = np.abs(total[WEEK:] - total[:-WEEK]).max() / WEEK if n > WEEK else 0.0
        mean = abs(total[-1]) / n
        in_other_units = (
            week > REMARKABLE_WEEK
            or (np.abs(departures) > REMARKABLE_VALUE).any()
            or mean > (REMARKABLE_MEAN if n >= MONTH else REMARKABLE_WEEK)
        )
        return bool(is_odd), bool(in_other_units), not abs(last - self.persistence * before) <= REMARKABLE_STEP


@dataclass(eq=False)
class _Judging:
    """A sequence while it is judged: each rule sees the values that passed the rules before it."""

    days: StationDays
    units: Units
    real: Array  # (n,) bool, accepted days
    normal: Array  # (n, columns) degC
    spread: Array  # (n, columns) degC
    persistence: float
    values: Array  # (n, columns), ``nan`` where not believed
    doubts: list[Doubt] = field(default_factory=list)
    accepted: list[Doubt] = field(default_factory=list)

    def judgement(self, is_odd: bool, in_other_units: bool) -> Judgement:
        """Apply the rules: on single values where one ``is_odd``, on stretches where one may be ``in_other_units``."""
        if is_odd:
            self._zeros()
        for _ in range(MAX_STRETCHES * in_other_units):
            stretch = self._in_other_units()
            if not len(stretch):
                break
            self._doubt(Doubt(int(row), COLUMNS[i], "units") for row in stretch for i in TEMPERATURES)
        if is_odd or self.doubts:
            self._impossible()
            self._season()
            self._order()
        self._step()
        self._stuck()
        if not self.doubts:
            return Judgement(self.days, accepted=tuple(self.accepted))
        kept, doubts = replace(self.days, values=self.values), tuple(sorted(self.doubts, key=_place))
        return Judgement(kept, doubts, tuple(self.accepted), tuple(self._refused(doubts)))

    def _refused(self, doubts: tuple[Doubt, ...]) -> list[Doubt]:
        last = len(self.values) - 1
        units = [doubt for doubt in doubts if doubt.rule == "units"]
        if any(doubt.row == last for doubt in units):
            return units
        on_last = [doubt for doubt in doubts if doubt.row == last]
        tmax = any(doubt.column == COLUMNS[TMAX] for doubt in on_last)
        return [doubt for doubt in on_last if tmax and (doubt.column == COLUMNS[TMAX] or doubt.rule == "order")]

    def _doubt(self, doubts: Iterable[Doubt]) -> None:
        """Take values away; a rule may doubt a missing value, which means nothing."""
        for doubt in doubts:
            index = COLUMNS.index(doubt.column)
            if not np.isnan(self.values[doubt.row, index]):
                self.values[doubt.row, index] = np.nan
                self.doubts.append(doubt)

    def _doubt_unless_real(self, doubts: list[Doubt]) -> None:
        self._doubt(doubt for doubt in doubts if not self.real[doubt.row])
        known = {doubt[:2] for doubt in self.accepted}
        self.accepted += [doubt for doubt in doubts if self.real[doubt.row] and doubt[:2] not in known]

    def _zeros(self) -> None:
        """Doubt zeros in place of missing values, by the rule of a record, unless they are normal in the season."""
        departure = np.abs(self.values - self.normal) / self.spread
        unusual = ~(departure[:, [TMAX, TMIN]] < USUAL).all(axis=1)
        found = [(int(row), f.column) for f in zeros(self.days.dates, self.values) for row in f.rows if unusual[row]]
        self._doubt_unless_real([Doubt(row, COLUMNS[column], "zeros") for row, column in found])

    def _in_other_units(self) -> Array:
        """Return the rows (k,) of a stretch of days that fits the station in the other units only; none as a rule."""
        values: Any = self.values
        other = to_celsius(values, "us") if self.units == "metric" else from_celsius(values, "us")
        given, converted = ((of - self.normal) / self.spread for of in (values, other))
        return misfitting_stretch(given, converted, self.persistence)

    def _impossible(self) -> None:
        for row, column, reason in [*impossible(self.values)]:
            if reason != TMIN_ABOVE_TMAX:
                is_code = self._is_code(row, COLUMNS.index(column))
                self._doubt([Doubt(row, column, "code" if is_code else "impossible")])
        rain = self.values[:, RAIN]
        codes = np.flatnonzero((np.abs(rain[:, None] - RAIN_CODES) < HALF_TENTH / 10).any(axis=1))
        self._doubt_unless_real([Doubt(int(row), COLUMNS[RAIN], "code") for row in codes])

    def _season(self) -> None:
        """Doubt outliers of the season that the nearest days do not confirm, as in a record."""
        departure = (self.values - self.normal) / self.spread
        far = np.abs(departure) > OUTLIER
        if not far.any():
            return
        alone = far & ~self.real[:, None]
        for witness in neighbours(np.where(alone, np.nan, departure)):
            alone &= ~(witness * np.sign(departure) >= CONFIRMATION * np.abs(departure))
        doubts = []
        for row, index in np.argwhere(alone | (far & self.real[:, None])):
            rule: Rule = "code" if self._is_code(row, index) else "season"
            distance = float(departure[row, index]), float(self.normal[row, index])
            doubts.append(Doubt(int(row), COLUMNS[index], rule, *distance))
        self._doubt_unless_real(doubts)

    def _order(self) -> None:
        rows = np.flatnonzero(self.values[:, TMIN] > self.values[:, TMAX])
        self._doubt(Doubt(int(row), COLUMNS[index], "order") for row in rows for index in (TMAX, TMIN))

    def _step(self) -> None:
        """Doubt a last tmax that the latest day before it makes unlikely.

        After k days an anomaly is expected to be r^k of what it was, with sqrt(1 - r^2k) of the spread.
        """
        normal, spread, tmax = self.normal[:, TMAX], self.spread[:, TMAX], self.values[:, TMAX]
        anomaly, last = tmax - normal, len(tmax) - 1
        before = np.flatnonzero(~np.isnan(anomaly[:-1]))
        if not len(before) or abs(anomaly[-1]) <= NORMAL * spread[-1]:
            return
        kept = self.persistence ** (last - before[-1])
        expected = normal[-1] + kept * anomaly[before[-1]] * spread[-1] / spread[before[-1]]
        deviations = (tmax[-1] - expected) / max(spread[-1] * np.sqrt(1 - kept**2), MIN_DEVIATION)
        if abs(deviations) > UNEXPECTED:
            self._doubt_unless_real([Doubt(last, COLUMNS[TMAX], "step", float(deviations), float(expected))])

    def _stuck(self) -> None:
        """Doubt a last tmax that has been the same for as long as a record would not believe it, and tmin with it."""
        tail = self.values[-STREAK:]
        if len(tail) == STREAK and (tail[:, TMAX] == tail[0, TMAX]).all():
            tmin = tail[~np.isnan(tail[:, TMIN]), TMIN]
            if (tmin == tmin[:1]).all():
                self._doubt_unless_real([Doubt(len(self.values) - 1, COLUMNS[TMAX], "stuck")])

    def _is_code(self, row: int, index: int) -> bool:
        """Whether a value, as it was given, is all nines, such as -99 or 999.9: a code for a missing value."""
        value = float(self.values[row, index])
        if index in TEMPERATURES:
            value = from_celsius(value, self.units)
        digits = f"{abs(value):.6g}".replace(".", "")
        return len(digits) > 1 and set(digits) == {"9"}
