"""The clock of the station: times, and instants that are turned into them."""

import re
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from app.readers.record import RecordError
from app.text import printable
from models.nn import Array

NAT = np.datetime64("NaT", "s")
LAST_SECONDS = 1e11  # more seconds since 1970 are milliseconds


class Times(NamedTuple):
    """The times of the rows."""

    times: Array  # (n,) datetime64[s] by the station's own clock; NaT where a cell holds no date
    utc: bool  # whether the clock is UTC, as no time zone was given
    order: str = ""  # what decided between day first and month first


def zone(timezone: str) -> ZoneInfo:
    """Return a time zone. Raises RecordError where there is none of that name."""
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RecordError(f"no time zone {printable(timezone)!r}: give a name such as Europe/Berlin") from None


def local(times: Array, timezone: str) -> Array:
    """Turn instants (n,) datetime64[s] in UTC into the clock of a time zone."""
    stamps = pd.DatetimeIndex(times).tz_localize("UTC").tz_convert(zone(timezone)).tz_localize(None)
    return np.asarray(stamps.to_numpy().astype("M8[s]"))


def offset(zone: str) -> float:
    """Return an offset such as +05:30, or UTC, in seconds."""
    digits = re.sub(r"[^0-9]", "", zone)
    seconds = 3600.0 * int(digits[:2]) + 60 * int(digits[2:]) if digits else 0.0
    return -seconds if zone.startswith("-") else seconds


def from_epochs(seconds: Array) -> Array:
    """Return seconds, or milliseconds, since 1970 (n,) as datetime64[s] in UTC."""
    seconds = np.where(seconds > LAST_SECONDS, seconds / 1000, seconds)
    return np.where(np.isnan(seconds), NAT, np.nan_to_num(seconds).astype("int64").astype("M8[s]"))


def of_utc(times: Array, timezone: str | None) -> Times:
    """Turn times in UTC into the clock of the station; midnights alone are the dates of days."""
    return Times(times, False) if (times == times.astype("M8[D]")).all() else of_instants(times, timezone)


def of_instants(times: Array, timezone: str | None) -> Times:
    """Turn times in UTC into the clock of the station, if its zone is known."""
    return Times(local(times, timezone), False) if timezone else Times(times, True)


def span(seconds: Array) -> Array:
    """Return seconds (n,) as timedelta64[s]."""
    return np.where(np.isnan(seconds), np.timedelta64("NaT", "s"), np.nan_to_num(seconds).astype("m8[s]"))
