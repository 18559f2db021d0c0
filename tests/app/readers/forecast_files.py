"""Files of forecasts for the tests, above all as Open-Meteo writes them."""

import json

import numpy as np

from app.readers import Record, with_guidance
from models.record.days import StationDays

# 1 to 5 January 2024, without guidance.
DAYS = StationDays(np.datetime64("2024-01-01"), np.column_stack([np.arange(5.0), np.full(5, -1.0), np.zeros(5)]))
RECORD = Record("hill", DAYS)

LOCATION = "latitude,longitude,elevation,utc_offset_seconds,timezone,timezone_abbreviation\n52.5,13.4,38,3600,x,GMT+1\n"


def join(folder, text, units="metric", record=RECORD, timezone=None):
    """Join the forecasts of a file to a record."""
    path = folder / "f.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return with_guidance(record, path, units, timezone)


def known(record):
    """Return the further columns of a record by name, with None for missing values."""
    return {name: [None if np.isnan(v) else v for v in series] for name, series in record.days.further.items()}


def as_json(**parts):
    """Return a file of ``hourly`` or ``daily`` columns, each name -> (unit, values)."""
    answer = {"latitude": 52.5, "longitude": 13.4, "generationtime_ms": 0.095, "utc_offset_seconds": 3600}
    answer |= {"timezone": "Europe/Berlin", "timezone_abbreviation": "GMT+1", "elevation": 38.0}
    for part, columns in parts.items():
        answer[f"{part}_units"] = {name: "iso8601" if name == "time" else unit for name, (unit, _) in columns.items()}
        answer[part] = {name: values for name, (_, values) in columns.items()}
    return json.dumps(answer)


def as_csv(*parts, location=LOCATION):
    """Return a file of the parts, each name -> (unit, values), below the description of the location."""
    text = location
    for columns in parts:
        rows = zip(*(values for _, values in columns.values()), strict=True)
        lines = [",".join(f"{name} ({unit})" if unit else name for name, (unit, _) in columns.items())]
        lines += [",".join("NaN" if cell is None else str(cell) for cell in row) for row in rows]
        text += "\n".join(["", *lines, ""])
    return text
