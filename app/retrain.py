"""Retraining: a challenger for each station, and the champion's place for those that earn it.

What is sent to a worker and what it sends back are plain values; only the driver reads and writes the store.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from app.files import make_folder, replace_file
from app.history import digest
from app.manifest import Judged, Manifest, Span
from app.pooling import Together, keep_pooled, kept_pooled, learn_together
from app.readers import Record, read_record, station_name
from app.rounds import Outcome
from app.starts import start_for
from app.store import Store, StoreError
from app.training import manifest_of, scored_by, starts_of, train_station
from models.challenge import Challenge, challenge
from models.correctors import Pooled
from models.forecaster import Forecaster
from models.formats import from_state
from models.guided import Guided
from models.recipe import Recipe
from models.station_days import ONE_DAY, Units


class Plan(msgspec.Struct, frozen=True):
    """How stations are retrained.

    Attributes
    ----------
    force : what is trained is promoted, without being judged
    pool : the correction of guidance is learned from all stations together, then adapted to each
    """

    recipe: Recipe
    seed: int = 0
    record_format: str = "auto"
    units: Units = "metric"
    force: bool = False
    pool: bool = False


class Task(msgspec.Struct, frozen=True):
    """What a worker needs to know.

    Attributes
    ----------
    name, content : of the file with the record
    version, state, manifest : of the champion, where there is one
    guidance_name, guidance : of the file with somebody's forecasts, and its content, where there is one
    pooled, pooled_digest : what all stations teach together, where they do, and the digest of its artefact
    pooled_before : the same, without the days that the champions have not seen
    """

    station: str
    name: str
    content: bytes
    plan: Plan
    version: str | None = None
    state: dict[str, Any] | None = None
    manifest: Manifest | None = None
    guidance_name: str = ""
    guidance: bytes | None = None
    pooled: dict[str, Any] | None = None
    pooled_digest: str = ""
    pooled_before: dict[str, Any] | None = None


class Answer(msgspec.Struct, frozen=True):
    """What a worker sends back: the outcome, and the model where it is to be promoted."""

    outcome: Outcome
    state: dict[str, Any] | None = None
    manifest: Manifest | None = None


class Attempt(msgspec.Struct, frozen=True):
    """The file ``retrain.json`` of a station: what was decided last, of which files; it is not done again.

    Attributes
    ----------
    content : see `content_digest`
    """

    content: str
    plan: Plan
    decision: str
    reason: str


def retrain_station(task: Task) -> Answer:
    """Read a record, train a challenger and have it judged.

    Raises
    ------
    ValueError, ArithmeticError : where the record can't be read or is too short, or the training diverges
    """
    began, plan = time.process_time(), task.plan
    record = _read(task)
    together = Together(Pooled.from_state(task.pooled), task.pooled_digest) if task.pooled else None
    if plan.force:
        trained = train_station(task.station, record, plan.recipe, plan.seed, together=together)
        outcome = Outcome(task.station, "promoted", "forced", task.version, start="cold", seconds=_since(began))
        return Answer(outcome, _checked(trained.learned.forecaster), trained.manifest)
    champion = from_state(task.state) if task.state else None
    warm = plan.recipe.retrain == "warm" and _odds_are_fresh(task, record)
    found = challenge(
        task.station,
        record.days,
        plan.recipe,
        plan.seed,
        champion,
        warm,
        _seen_through(task),
        start=start_for(plan.recipe),
        pooled=together.pooled if together else None,
        pooled_before=Pooled.from_state(task.pooled_before) if task.pooled_before else None,
    )
    judged = _judged(found)
    outcome = Outcome(
        task.station,
        "promoted" if found.verdict.promote else "kept",
        found.verdict.reason,
        task.version,
        judged=judged.days if judged else None,
        scores=judged.scores if judged else {},
        start=None if not judged else "cold" if found.learned else "warm",
        seconds=_since(began),
    )
    if not found.forecaster:
        return Answer(outcome)
    manifest = manifest_of(
        task.station,
        record,
        found.forecaster,
        plan.seed,
        found.set_aside,
        judged=judged,
        **_scored(task, found, together),
    )
    return Answer(outcome, _checked(found.forecaster), manifest)


def tasks(
    store: Store,
    files: Iterable[Path],
    plan: Plan,
    dry_run: bool = False,
    guided_by: Mapping[str, Path] | None = None,
) -> Iterator[Task | Outcome]:
    """Yield for each file what a worker is to do, or what is known without one.

    Parameters
    ----------
    guided_by : by station, the files with somebody's forecasts
    """
    done = {(station, attempt.content): attempt for station, attempt in _attempts(store)}
    names: dict[str, Path] = {}
    for path in files:
        station = station_name(path)
        try:
            if station in names:
                raise StoreError(f"{path} and {names[station]} are both of a station {station!r}: rename one")
            names[station] = path
            content = path.read_bytes()
            said_in = (guided_by or {}).get(station)
            guidance = said_in.read_bytes() if said_in else None
            before = done.get((station, content_digest(content, guidance)))
            champion = store.champion(station) if store.champion_file(station).exists() else None
            if before and before.plan == plan and (champion or before.decision == "kept"):
                yield Outcome(station, "unchanged", f"{before.decision} before: {before.reason}", champion)
                continue
            # What is promoted whatever it is like takes the place of a damaged champion, too.
            state, manifest = store.load(station, champion) if champion and not plan.force else (None, None)
            if not dry_run:
                store.check_writable(station)
            guidance_name = said_in.name if said_in else ""
            yield Task(station, path.name, content, plan, champion, state, manifest, guidance_name, guidance)
        except (ValueError, OSError) as error:
            yield Outcome(station, "failed", str(error))


def together_for(
    store: Store | None, files: Iterable[Path], plan: Plan, due: list[Task], guided_by: Mapping[str, Path] | None = None
) -> list[Task]:
    """Return the tasks with what all files teach together; it is kept in the store, where there is one.

    A file that can't be read teaches nothing; if a worker has it, that tells why. A single file teaches nothing to
    others: it begins with what the store has.

    Parameters
    ----------
    guided_by : by station, the files with somebody's forecasts

    Raises
    ------
    ValueError : where the files have different predictors, or none has enough guidance
    """
    files = list(files)
    if len(files) == 1 and store:
        pooled, kept = kept_pooled(store)
        return [msgspec.structs.replace(t, pooled=pooled.to_state(), pooled_digest=kept) for t in due]
    records = []
    for path in files:
        with suppress(ValueError, OSError):
            said_in = (guided_by or {}).get(station_name(path))
            records.append(read_record(path, plan.record_format, plan.units, plan.recipe.predictors, said_in))
    pooled = learn_together(records, plan.recipe, plan.seed)
    kept = keep_pooled(store, pooled, records, plan.seed).digest if store else ""
    before = None
    if seen := [_seen_through(task) or np.datetime64(task.manifest.trained_through) for task in due if task.manifest]:
        with suppress(ValueError):  # those days are too few: the challengers that are judged begin with nothing
            before = learn_together(records, plan.recipe, plan.seed, min(seen)).to_state()
    state = pooled.to_state()
    return [msgspec.structs.replace(t, pooled=state, pooled_digest=kept, pooled_before=before) for t in due]


def settle(store: Store | None, task: Task, answer: Answer | Exception) -> Outcome:
    """Publish and promote the model that a worker sent back, where it is to be, and note the attempt.

    What goes wrong with a station is its outcome. Without a store nothing is kept.
    """
    if isinstance(answer, Exception):
        return Outcome(task.station, "failed", _told(answer), task.version)
    if store is None:
        return answer.outcome
    try:
        outcome = answer.outcome
        if answer.state is not None and answer.manifest is not None:
            version = store.publish(task.station, answer.state, answer.manifest)
            store.promote(task.station, version, f"retrained: {outcome.reason}", over=task.version)
            outcome = msgspec.structs.replace(outcome, version=version)
        plan = msgspec.structs.replace(task.plan, force=False)
        attempt = Attempt(content_digest(task.content, task.guidance), plan, outcome.decision, outcome.reason)
        make_folder(store.root / task.station)
        replace_file(store.root / task.station / "retrain.json", msgspec.json.encode(attempt))
    except (ValueError, OSError) as error:
        return msgspec.structs.replace(answer.outcome, decision="failed", reason=_told(error))
    return outcome


def content_digest(record: bytes, guidance: bytes | None) -> str:
    """Return the digest of what a station is retrained on: of its record, and of the guidance where there is some."""
    return digest(record) if guidance is None else digest(f"{digest(record)} {digest(guidance)}".encode())


@contextmanager
def only_one(store: Store) -> Iterator[None]:
    """Keep a second retraining off the store, until this one ends or dies.

    Raises
    ------
    StoreError : where there is another one
    """
    make_folder(store.root)
    with (store.root / ".retrain.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"another retraining is at work on {store.root}") from None
        yield


def _told(error: Exception) -> str:
    """Return an error in a line; of one that nobody foresaw, with its kind."""
    line = " ".join(str(error).split())
    return line if isinstance(error, ValueError | ArithmeticError | OSError) else f"{type(error).__name__}: {line}"


def _read(task: Task) -> Record:
    plan = task.plan
    with tempfile.TemporaryDirectory() as folder:
        file, guidance = Path(folder) / task.name, None
        file.write_bytes(task.content)
        if task.guidance is not None:
            # The two may have one name.
            guidance = Path(folder) / "guidance" / task.guidance_name
            guidance.parent.mkdir()
            guidance.write_bytes(task.guidance)
        try:
            return read_record(file, plan.record_format, plan.units, plan.recipe.predictors, guidance)
        except ValueError as error:
            raise ValueError(str(error).replace(f"{folder}{os.sep}", "")) from None


def _since(began: float) -> float:
    return round(time.process_time() - began, 3)


def _odds_are_fresh(task: Task, record: Record) -> bool:
    if task.manifest is None or task.manifest.held_out is None:
        return False
    age = record.days.last - np.datetime64(task.manifest.held_out.last)
    return bool(age <= task.plan.recipe.odds_days * ONE_DAY)


def _seen_through(task: Task) -> np.datetime64 | None:
    """Return the last day whose tmax had a part in the champion's odds."""
    held_out = task.manifest.held_out if task.manifest else None
    return np.datetime64(held_out.last) + ONE_DAY if held_out else None


def _checked(forecaster: Forecaster | Guided) -> dict[str, Any]:
    """Return the state of a forecaster, seen to be one that can be served: of finite numbers, above all."""
    state = forecaster.to_state()
    from_state(state)
    return state


def _judged(found: Challenge) -> Judged | None:
    if found.verification is None:
        return None
    issued = found.verification.issued
    return Judged(Span(str(issued[0]), str(issued[-1])), found.verdict.reason, found.verification.scores())


def _scored(task: Task, found: Challenge, together: Together | None) -> dict[str, Any]:
    """Return where the odds come from: this training, or the champion's."""
    if found.learned:
        return scored_by(found.learned) | starts_of(found.learned.forecaster, together)
    assert task.manifest is not None  # noqa: S101  # a warm start has one
    names = ("rows", "scores", "held_out", "scores_by_season")
    return {name: getattr(task.manifest, name) for name in names} | {"start": task.manifest.sha256}


def _attempts(store: Store) -> Iterator[tuple[str, Attempt]]:
    for file in store.root.glob("*/retrain.json"):
        try:
            yield file.parent.name, msgspec.json.decode(file.read_bytes(), type=Attempt)
        except (msgspec.MsgspecError, UnicodeDecodeError, OSError):
            continue  # what can't be read is done again
