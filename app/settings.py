"""The settings of the service: every ``TMAX_...`` variable, its default and its purpose."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


class SettingsError(ValueError):
    """A setting has an invalid value."""


@dataclass(frozen=True)
class Settings:
    """One field per setting: ``store`` is read from ``TMAX_STORE``, and so on."""

    store: Path = field(default=Path("store"), metadata={"purpose": "Model store, relative to the working directory."})
    workers: int = field(default=2, metadata={"purpose": "Processes that answer requests."})
    max_body_bytes: int = field(default=2 * 1024 * 1024, metadata={"purpose": "A larger question is refused with 413."})
    max_upload_bytes: int = field(
        default=32 * 1024 * 1024, metadata={"purpose": "The same for a file or a batch of questions."}
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings; an empty value counts as unset. Raises SettingsError where a value is invalid."""
        given = {f.name: environ.get(variable(f.name), "") for f in fields(cls)}
        return cls(**{f.name: _parse(f.name, given[f.name], type(f.default)) for f in fields(cls) if given[f.name]})


def variable(name: str) -> str:
    """Return the environment variable of a field."""
    return f"TMAX_{name.upper()}"


def markdown_table() -> str:
    """Return the table of settings for ``docs/operations.md``."""
    rows = [f"| `{variable(f.name)}` | `{f.default}` | {f.metadata['purpose']} |" for f in fields(Settings)]
    return "\n".join(["| variable | default | purpose |", "| --- | --- | --- |", *rows])


def _parse(name: str, text: str, kind: type) -> Any:
    if kind is not int:
        return kind(text)
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise SettingsError(f"{variable(name)} must be a whole number of at least 1, not {text!r}")
    return number
