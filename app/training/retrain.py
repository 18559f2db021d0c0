"""Retraining: train and judge a challenger for each station whose files have changed, and promote those that pass.

Only the main process accesses the store; the workers run `app.training.task`.
"""

import fcntl
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from app.readers import Record, groups, read_with_guidance, readable
from app.store import Store, StoreError
from app.store.files import make_folder, replace_file, writing
from app.store.history import digest
from app.text import one_line
from app.training.neighbours import Surroundings
from app.training.outcomes import Outcome
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

    content: str  # digest of the files of the record
    plan: Plan
    decision: str
    reason: str
    guidance: str = ""  # digest of the file of guidance, if any
    stations: int = 1  # number of stations in the files of the record


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
    files : the records; the files of one station are one record, and a file may hold several stations
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
        to_train = with_neighbours(to_train, lambda: Surroundings(_all(files, plan, guidance or {})))
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
    """Yield the task of each station in the files, or report its outcome where there is nothing to train."""
    done: dict[str, list[tuple[str, Attempt]]] = {}
    for name, attempt in _attempts(store):
        done.setdefault(attempt.content, []).append((name, attempt))
    read: dict[str, tuple[Path, ...]] = {}
    together_by_name = groups(files, plan.record_format, beside=False)
    twice = Counter(name for name, _ in together_by_name)
    for first, together in together_by_name:
        try:
            if twice[first] > 1:
                others = ", ".join(str(path) for name, of in together_by_name for path in of if name == first)
                if together == next(of for name, of in together_by_name if name == first):  # told once
                    report(Outcome(first, "failed", f"{others} are of station {first!r}: keep one, or rename one"))
                continue
            content = files_digest(together)
            if unchanged := _unchanged(store, plan, content, guidance, done):
                for outcome in unchanged:
                    read[outcome.station] = together
                    report(outcome)
                continue
            records = _read(together, plan, guidance)
        except (ValueError, OSError) as error:
            report(Outcome(first, "failed", one_line(error)))
            continue
        for record in records:
            name = record.station
            try:
                if name in read:
                    both = ", ".join(map(str, (*read[name], *together)))
                    raise StoreError(f"{both} are of station {name!r}: keep one, or rename one")
                read[name] = together
                yield _task(store, name, record, plan, guidance.get(name), content, len(records))
            except (ValueError, OSError) as error:
                report(Outcome(name, "failed", one_line(error)))


def _read(together: Sequence[Path], plan: Plan, guidance: Mapping[str, Path]) -> list[Record]:
    """Read the records of all stations in files that belong together."""
    return read_with_guidance(together, plan.record_format, plan.units, plan.timezone, plan.recipe.columns, guidance)


def _unchanged(
    store: Store, plan: Plan, content: str, guidance: Mapping[str, Path], done: Mapping[str, list[tuple[str, Attempt]]]
) -> list[Outcome]:
    """Return the outcomes of all stations of files that were retrained with the same plan, [] if any is due."""
    found = []
    for station, attempt in done.get(content, []):
        champion = store.station(station).champion_or_none()
        same = attempt.plan == plan and attempt.guidance == guidance_digest(guidance.get(station))
        if not same or not (champion or attempt.decision == "kept"):
            return []
        found.append(Outcome(station, "unchanged", f"already {attempt.decision}: {attempt.reason}", champion))
        if len(found) == attempt.stations:
            return found
    return []


def _task(
    store: Store, name: str, record: Record, plan: Plan, guidance: Path | None, content: str, stations: int
) -> Task:
    """Return the task of a station."""
    station = store.station(name)
    champion = station.champion_or_none()
    # A forced promotion also replaces a damaged champion.
    state, manifest = station.load(champion) if champion and not plan.force else (None, None)
    if not store.read_only:
        station.check_writable()
    return Task(
        name,
        record,
        plan,
        content,
        guidance_digest(guidance),
        stations,
        version=champion,
        state=state,
        manifest=manifest,
    )


def with_shared(
    store: Store, files: Sequence[Path], plan: Plan, due: list[Task], guidance: Mapping[str, Path]
) -> list[Task]:
    """Return the tasks with a shared corrector: fitted to all stations and stored; for a single file, the stored one.

    Unreadable files are left out; they are reported with the tasks.

    Raises ValueError where no station has enough guidance, or the store has no usable corrector for a single file.
    """
    if len(files) == 1:
        stored = load_shared(store)
        if stored is None:
            raise ValueError("no shared corrector in the store; run --pool with several records to fit one")
        state = to_state(stored.corrector)
        return [msgspec.structs.replace(task, shared=state, shared_digest=stored.digest) for task in due]
    records = _all(files, plan, guidance)
    stored = store_shared(store, fit_shared(records, plan.recipe, plan.seed), records, plan.seed)
    before = None
    if seen := [through for task in due if (through := task.seen_through) is not None]:
        with suppress(ValueError):  # too few days: challengers are judged without one
            before = to_state(fit_shared(records, plan.recipe, plan.seed, min(seen)))
    state = to_state(stored.corrector)
    return [
        msgspec.structs.replace(task, shared=state, shared_digest=stored.digest, shared_before=before) for task in due
    ]


def with_neighbours(due: Iterable[Task], read: Callable[[], Surroundings]) -> Iterator[Task]:
    """Yield the tasks with the columns of the neighbours that the challenger may look at, or the champion does.

    The other records are ``read`` only if any task needs them.
    """
    surroundings = None
    for task in due:
        of_champion = task.manifest.neighbours if task.manifest else {}
        if not (task.plan.recipe.neighbours or of_champion):
            yield task
            continue
        surroundings = surroundings or read()
        chosen = surroundings.chosen(task.record, task.plan.recipe)
        record = surroundings.joined(task.record, dict.fromkeys((*chosen, *of_champion)))
        yield msgspec.structs.replace(task, record=record, neighbours=chosen)


def _all(files: Sequence[Path], plan: Plan, guidance: Mapping[str, Path]) -> list[Record]:
    """Return the records of all stations; unreadable files are left out, as they are reported with the tasks."""
    stations = groups(files, plan.record_format, beside=False)
    return readable((together for _, together in stations), lambda together: _read(together, plan, guidance))


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
    attempt = Attempt(task.content, plan, outcome.decision, outcome.reason, task.guidance, task.stations)
    try:
        make_folder(station.folder)
        replace_file(station.folder / "retrain.json", msgspec.json.encode(attempt))
    except OSError as error:
        reason = f"{outcome.decision}, but the decision could not be recorded: {_told(error)}"
        return msgspec.structs.replace(outcome, decision="failed", reason=reason)
    return outcome


def files_digest(files: Sequence[Path]) -> str:
    """Return the digest of the contents of files."""
    each = [digest(file.read_bytes()) for file in files]
    return each[0] if len(each) == 1 else digest(" ".join(each).encode())


def guidance_digest(guidance: Path | None) -> str:
    """Return the digest of a file of guidance, "" without one."""
    return digest(guidance.read_bytes()) if guidance else ""


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
