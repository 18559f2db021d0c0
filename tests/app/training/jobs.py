"""What the workers of the tests call; quickly imported by a new process."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from threadpoolctl import threadpool_info


@dataclass(eq=False)
class Parcel:
    """A large task that can be watched."""

    number: int
    weight: bytes = bytes(4_000_000)


class UnpicklableError(Exception):
    """Pickled, but never unpickled."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


class Risk(NamedTuple):
    """A task that may kill its worker; each try adds a byte to a file."""

    kind: str  # "safe", "deadly", "once" or "sending" (dies once, with half of its result sent)
    number: int
    folder: Path

    @property
    def tries(self):
        file = self.folder / str(self.number)
        return file.stat().st_size if file.exists() else 0


class DeadlyToPickle:
    """A part of a result whose worker dies while it is being sent."""

    def __reduce__(self):
        die()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def number_and_pid(parcel):
    return parcel.number, os.getpid()


def risked(risk):
    with (risk.folder / str(risk.number)).open("ab") as file:
        file.write(b".")
    if risk.kind == "deadly" or (risk.kind == "once" and risk.tries == 1):
        die()
    return [risk.number, bytes(1_000_000), *([DeadlyToPickle()] if risk.kind == "sending" and risk.tries == 1 else [])]


def performed(what):
    if what == "KeyError":
        raise KeyError("one")
    if what == "UnpicklableError":
        raise UnpicklableError(1, 2)
    if what == "unpicklable":
        return lambda: what
    if what == "threads":
        return {library["num_threads"] for library in threadpool_info()}
    return what


def pid_after(seconds):
    time.sleep(seconds)
    return os.getpid()
