"""Retraining: train and judge a challenger for each station whose files have changed, and promote those that pass.

Only the main process accesses the store; the workers run `app.training.task`.
"""

import fcntl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from app.readers import read_record, station_name
from app.store import Store, StoreError
from app.store.files import make_folder, replace_file, writing
from app.store.history import digest
from app.training.outcomes import Outcome, one_line
from app.training.shared import fit_shared, load_shared, store_shared
from app.training.task import Answer, Plan, Task, retrain_station
from app.training.workers import Backend, run
from models.forecast.saved import to_state


class Workers(NamedTuple):
    """Where tasks run; see `app.training.workers.run`."""

    backend: Backend = "loky"
    jobs: int = 1
    scheduler: str | None = None


class Attempt(msgspec.Struct, frozen=True):
    """The file ``retrain.json`` of a station: the last decision, valid for the same content and plan."""

    content: str  # see `content_digest`
    plan: Plan
    decision: str
    reason: str


def retrain(
    store: Store,
    files: Sequence[Path],
    plan: Plan,
    workers: Workers,
    report: Callable[[Outcome], None],
    guidance: Mapping[str, Path] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Retrain the stations whose files have changed.

    An exception such as KeyboardInterrupt keeps all finished work. A read-only store is left unchanged.

    Parameters
    ----------
    files : the records, each named after its station
    report : called with each outcome as soon as it is known
    guidance : station -> file of external forecasts
    say : called with the reason where the plan asks for a shared corrector and there is none

    Raises ValueError where the workers are lost; the failure of one station is its outcome.
    """
    with only_one(store):
        to_train: Iterable[Task] = tasks(store, files, plan, guidance or {}, report)
        if plan.pool and (to_train := list(to_train)):
            try:
                to_train = with_shared(store, files, plan, to_train, guidance or {})
            except ValueError as error:
                say(f"training each station alone: {error}")
        with closing(run(retrain_station, to_train, *workers)) as answers:
            for task, answer in answers:
                report(settle(store, task, answer))


def tasks(
    store: Store,
    files: Iterable[Path],
    plan: Plan,
    guidance: Mapping[str, Path],
    report: Callable[[Outcome], None],
) -> Iterator[Task]:
    """Yield the task of each file, or report its outcome where there is nothing to train."""
    done = {(station, attempt.content): attempt for station, attempt in _attempts(store)}
    names: dict[str, Path] = {}
    for path in files:
        name = station_name(path)
        try:
            if name in names:
                raise StoreError(f"{path} and {names[name]} are both named after station {name!r}: rename one of them")
            names[name] = path
            found = _task(store, name, path, plan, guidance.get(name), done)
        except (ValueError, OSError) as error:
            found = Outcome(name, "failed", one_line(error))
        if isinstance(found, Task):
            yield found
        else:
            report(found)


def _task(
    store: Store, name: str, path: Path, plan: Plan, guidance: Path | None, done: Mapping[tuple[str, str], Attempt]
) -> Task | Outcome:
    """Return the task of a station, or its outcome where the same files were retrained with the same plan."""
    station, content, forecasts = store.station(name), path.read_bytes(), guidance.read_bytes() if guidance else None
    before, champion = done.get((name, content_digest(content, forecasts))), station.champion_or_none()
    if before and before.plan == plan and (champion or before.decision == "kept"):
        return Outcome(name, "unchanged", f"already {before.decision}: {before.reason}", champion)
    # A forced promotion also replaces a damaged champion.
    state, manifest = station.load(champion) if champion and not plan.force else (None, None)
    if not store.read_only:
        station.check_writable()
    return Task(name, path.name, content, plan, champion, state, manifest, guidance.name if guidance else "", forecasts)


def with_shared(
    store: Store, files: Sequence[Path], plan: Plan, due: list[Task], guidance: Mapping[str, Path]
) -> list[Task]:
    """Return the tasks with a shared corrector: fitted to all files and stored; for a single file, the stored one.

    Unreadable files are left out; their workers report the reason.

    Raises ValueError where no station has enough guidance, or the store has no usable corrector for a single file.
    """
    if len(files) == 1:
        stored = load_shared(store)
        if stored is None:
            raise ValueError("no shared corrector in the store; run --pool with several records to fit one")
        state = to_state(stored.corrector)
        return [msgspec.structs.replace(task, shared=state, shared_digest=stored.digest) for task in due]
    records = []
    for path in files:
        with suppress(ValueError, OSError):
            of_station = guidance.get(station_name(path))
            records.append(read_record(path, plan.record_format, plan.units, plan.recipe.predictors, of_station))
    stored = store_shared(store, fit_shared(records, plan.recipe, plan.seed), records, plan.seed)
    before = None
    if seen := [through for task in due if (through := task.seen_through) is not None]:
        with suppress(ValueError):  # too few days: challengers are judged without one
            before = to_state(fit_shared(records, plan.recipe, plan.seed, min(seen)))
    state = to_state(stored.corrector)
    return [
        msgspec.structs.replace(task, shared=state, shared_digest=stored.digest, shared_before=before) for task in due
    ]


def settle(store: Store, task: Task, answer: Answer | Exception) -> Outcome:
    """Return a task's outcome; unless the store is read-only, promote its model, if any, and record the attempt."""
    if isinstance(answer, Exception):
        return Outcome(task.station, "failed", _told(answer), task.version)
    outcome = answer.outcome
    if store.read_only:
        return outcome
    station = store.station(task.station)
    try:
        if answer.state is not None and answer.manifest is not None:
            version = station.publish(answer.state, answer.manifest)
            station.promote(version, f"retrained: {outcome.reason}", over=task.version)
            outcome = msgspec.structs.replace(outcome, version=version)
    except (ValueError, OSError) as error:
        return msgspec.structs.replace(outcome, decision="failed", reason=_told(error))
    plan = msgspec.structs.replace(task.plan, force=False)
    attempt = Attempt(content_digest(task.content, task.guidance), plan, outcome.decision, outcome.reason)
    try:
        make_folder(station.folder)
        replace_file(station.folder / "retrain.json", msgspec.json.encode(attempt))
    except OSError as error:
        reason = f"{outcome.decision}, but the decision could not be recorded: {_told(error)}"
        return msgspec.structs.replace(outcome, decision="failed", reason=reason)
    return outcome


def content_digest(record: bytes, guidance: bytes | None) -> str:
    """Return the digest of a station's files: its record, and its guidance if any."""
    return digest(record) if guidance is None else digest(f"{digest(record)} {digest(guidance)}".encode())


@contextmanager
def only_one(store: Store) -> Iterator[None]:
    """Lock the store until this retraining ends or dies. Raises StoreError where another one holds it."""
    if store.read_only:
        yield
        return
    with writing(store.root):
        make_folder(store.root)
        lock = (store.root / ".retrain.lock").open("wb")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"another retraining of {store.root} is running; wait until it ends") from None
        yield


def _told(error: Exception) -> str:
    """Return an error on one line, with its type where unexpected."""
    line = one_line(error)
    return line if isinstance(error, ValueError | ArithmeticError | OSError) else f"{type(error).__name__}: {line}"


def _attempts(store: Store) -> Iterator[tuple[str, Attempt]]:
    for file in store.root.glob("*/retrain.json"):
        try:
            yield file.parent.name, msgspec.json.decode(file.read_bytes(), type=Attempt)
        except (msgspec.MsgspecError, UnicodeDecodeError, OSError):
            continue  # unreadable: the station is retrained
