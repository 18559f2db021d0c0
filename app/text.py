"""Texts of others in messages: on one line, and without the control characters that a terminal would obey."""


def one_line(text: object) -> str:
    """Return a text on one line, without control characters; undecodable bytes of file names are escaped."""
    decoded = str(text).encode(errors="backslashreplace").decode()
    return " ".join("".join(c if c.isprintable() else " " for c in decoded).split())


def printable(text: object, most: int = 60) -> str:
    """Return the beginning of a text, at most ``most`` characters, on one line and without control characters."""
    shown = one_line(str(text)[: 4 * most])
    return shown if len(shown) <= most else f"{shown[:most]}..."
