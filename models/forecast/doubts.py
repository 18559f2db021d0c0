"""Doubts about the values of a sequence, and their reasons in words."""

from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from models.record.columns import MEASURED, TMAX, TMIN_ABOVE_TMAX, Units, from_celsius

Rule: TypeAlias = Literal["impossible", "order", "zeros", "code", "season", "step", "stuck", "units", "far"]

FIXED_REASONS: dict[Rule, str] = {
    "impossible": "not a possible value",
    "order": TMIN_ABOVE_TMAX,
    "zeros": "tmax and tmin both 0, in place of missing values",
    "code": "a code for a missing value",
    "far": "too far outside the season",
    "stuck": "the same on each of the last 20 days, as of a stuck sensor",
}
OTHER_UNITS: dict[Units, Units] = {"metric": "us", "us": "metric"}


class Doubt(NamedTuple):
    """A value that is not believed."""

    row: int
    column: str
    rule: Rule
    deviations: float = 0.0  # distance from ``expected``, in standard deviations
    expected: float = 0.0  # degC, the normal, or what the latest day before leads to expect

    @property
    def can_be_accepted(self) -> bool:
        """Whether the value is used where the user says that it is real."""
        return self.rule in {"zeros", "season", "step", "stuck"}

    def reason(self, date: np.datetime64, units: Units) -> str:
        """Return the reason as the end of a sentence, in the units of the reader."""
        if self.rule in FIXED_REASONS:
            return FIXED_REASONS[self.rule]
        if self.rule == "units":
            return f"fits the station only in {MEASURED[TMAX].unit(OTHER_UNITS[units])}"
        expected = f"{from_celsius(self.expected, units):.1f}"
        day = date.astype(object)
        what = f"the normal of {day.day} {day:%B}, {expected}"
        if self.rule == "step":
            what = f"the {expected} expected from the latest day before it"
        return f"{abs(self.deviations):.0f} standard deviations {'above' if self.deviations > 0 else 'below'} {what}"
