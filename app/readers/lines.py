"""The lines of a text, one by one and within bounds."""

from collections.abc import Iterator

from app.readers.record import RecordError

MAX_LINES = 1_000_000  # reading them takes a second


def numbered_lines(text: str, longest: int) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line that is not blank, without spaces at its end.

    A line is cut just beyond ``longest`` characters. Raises RecordError where the text has more than a million lines.
    """
    start, number = int(text.startswith("\ufeff")), 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        number += 1
        if number > MAX_LINES:
            raise RecordError(f"more than {MAX_LINES} lines; give each station its own file")
        if line := text[start : min(end, start + longest + 1)].rstrip():
            yield number, line
        start = end + 1
