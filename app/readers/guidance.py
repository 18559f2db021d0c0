"""Joining external forecasts to a record."""

import dataclasses
from pathlib import Path

import numpy as np

from app.readers.forecasts import Forecasts, read_forecasts
from app.readers.record import IMPOSSIBLE_SHARE, Record, RecordError, too_many_impossible
from models.record.columns import Units, in_order, is_guidance
from models.record.days import ONE_DAY
from models.record.quality import set_aside_impossible


def with_guidance(record: Record, path: Path, units: Units, timezone: str | None = None) -> Record:
    """Join the forecasts of a file to the days of a record; ``units`` apply where the file does not state its own.

    A forecast goes into the row of the day before its valid date, and replaces the record's own value in that column.
    Impossible values are set aside.

    Raises RecordError, which names the place in the file and the remedy.
    """
    forecasts, days = read_forecasts(path, units, timezone), record.days
    rows = (forecasts.valid - days.first).astype(int) - 1
    inside = (rows >= 0) & (rows < len(days))
    columns, joined = dict(days.further), 0
    for name, values in forecasts.columns.items():
        known = inside & np.isfinite(values)
        if known.any():
            columns[name] = columns.get(name, np.full(len(days), np.nan)).copy()
            columns[name][rows[known]] = values[known]
            joined += int(known.sum())
    if not joined:
        raise RecordError(f"{path}: {_why_nothing_joins(record, forecasts)}")
    days = dataclasses.replace(days, further={name: columns[name] for name in in_order(columns)})
    days, impossible = set_aside_impossible(days)
    beyond = [value._replace(date=value.date + ONE_DAY) for value in impossible if is_guidance(value.column)]
    if len(beyond) > IMPOSSIBLE_SHARE * joined:
        raise RecordError(f"{path}: {too_many_impossible(beyond, joined, 'forecasts', says_unit=forecasts.says_unit)}")
    return dataclasses.replace(record, days=days, set_aside=(*record.set_aside, *forecasts.late, *impossible))


def _why_nothing_joins(record: Record, forecasts: Forecasts) -> str:
    known = forecasts.valid[np.any([np.isfinite(values) for values in forecasts.columns.values()], axis=0)]
    if not len(known):
        if forecasts.late:
            return "every forecast was issued on its valid date or later; provide forecasts issued the day before"
        return "the file holds no forecasts"
    first, last = record.days.first + ONE_DAY, record.days.last + ONE_DAY
    return (
        f"the forecasts are valid from {known[0]} to {known[-1]}, none from {first} to {last}, the days after those of "
        "the record: check that the file belongs to the same station and years"
    )
