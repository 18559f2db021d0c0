"""Errors of a question, each with a JSON pointer to its place."""

from collections.abc import Sequence

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """An error at one place of a body, given as a JSON pointer (RFC 6901)."""

    pointer: str
    detail: str


class QuestionError(ValueError):
    """The body is JSON, but not a question that can be answered."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(f"{errors[0].pointer or 'the body'}: {errors[0].detail}{more}")
        self.errors = list(errors)


class NoReaders(ValueError):  # noqa: N818
    """The service is installed without what reads files."""


class NotJSON(ValueError):  # noqa: N818
    """The body is not JSON."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(f"the body is not valid JSON: {errors[0].detail}")
        self.errors = list(errors)
