"""An array of JSON objects, one for each row, as services such as AEMET's answer: read as the table that it is."""

import csv
import io
import json

from app.readers.source import Source, text_of

BLOCKS = {"daily", "hourly"}  # of Open-Meteo's answers, which are arrays for several places


def as_csv(source: Source) -> Source | None:
    """Return the rows of an array of objects as CSV, with names in the first line; None where it is no such array."""
    if not text_of(source.head[:64]).lstrip().startswith("["):
        return None
    try:
        rows = json.loads(text_of(source.content()))
    except (ValueError, RecursionError):
        return None
    if not rows or not all(isinstance(row, dict) and not BLOCKS & row.keys() for row in rows):
        return None
    text = io.StringIO()
    writer = csv.writer(text)
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return Source(source.name, text.getvalue().encode("utf-8", "replace"))


def _cell(value: object) -> object:
    return value if isinstance(value, str | int | float) else ""
