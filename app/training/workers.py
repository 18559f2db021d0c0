"""Independent tasks, run by processes on this machine (loky) or on a cluster (Dask)."""

import os
import pickle
import signal
import socket
import tempfile
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from itertools import islice
from logging import CRITICAL, getLogger
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool
from threadpoolctl import threadpool_limits

Task = TypeVar("Task")
Result = TypeVar("Result")
Backend = Literal["loky", "dask"]

AHEAD = 2  # tasks in flight per worker: one running, one queued while the caller handles a result

ANSWER = 10  # s, timeout for the answer of a scheduler
FIRST_WORKER = 60  # s, timeout for its first worker

NOT_INSTALLED = "dask is not installed; install it with: .venv/bin/python -m pip install -r requirements/dask.txt"


class Pool(NamedTuple):
    """The workers of this machine or of a cluster."""

    submit: Callable[..., Any]  # function and arguments -> a future with ``add_done_callback`` and ``result``
    n_workers: Callable[[], int]  # the present number of workers
    died: tuple[type[Exception], ...]  # raised by the future of a task whose worker died
    lost: tuple[type[BaseException], ...] = ()  # raised when no worker can be reached any more
    folder: str = ""  # local folder for results; "" where the workers send them


def run(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    backend: Backend = "loky",
    jobs: int = 1,
    scheduler: str | None = None,
) -> Generator[tuple[Task, Result | Exception], None, None]:
    """Yield each task with its result, or with the exception that it raised, in the order of completion.

    Tasks are drawn as workers need them, a few ahead of the results. A task whose worker dies is retried. An exception
    carries the traceback of its worker as a note. Closing the iterator abandons the running tasks.

    Parameters
    ----------
    function : importable by a worker
    tasks : its arguments, one plain value each
    jobs : number of local processes where there is no ``scheduler``
    scheduler : address of a Dask cluster (``tcp://host:8786``)

    Raises ValueError where Dask is not installed, or its cluster does not answer, has no worker, or is lost.
    """
    tasks = iter(tasks)
    with POOLS[backend](jobs, scheduler) as pool:
        # When a worker dies, any task in flight may be the cause. Each is retried alone, to protect the others.
        while suspects := (yield from _outcomes(pool, function, tasks)):
            for task, _ in suspects:
                for _, error in (yield from _outcomes(pool, function, iter([task]))):
                    yield task, RuntimeError(f"the worker died twice; out of memory? ({type(error).__name__})")


def _outcomes(
    pool: Pool, function: Callable[[Task], Result], tasks: Iterator[Task]
) -> Generator[tuple[Task, Any], None, list[tuple[Task, Exception]]]:
    """Yield outcomes as tasks end; once a worker has died, draw no more tasks and return those that were lost."""
    ended: SimpleQueue[tuple[Task, Any]] = SimpleQueue()
    suspects: list[tuple[Task, Exception]] = []
    in_flight = 0
    try:
        while True:
            room = 0 if suspects else AHEAD * max(pool.n_workers(), 1) - in_flight  # negative once workers are gone
            for task in islice(tasks, max(room, 0)):
                try:
                    future = pool.submit(_attempt, function, task, pool.folder)
                except pool.died as error:
                    suspects.append((task, error))
                    break
                future.add_done_callback(partial(lambda task, future: ended.put((task, future)), task))
                in_flight += 1
            if not in_flight:
                return suspects
            task, future = ended.get()
            in_flight -= 1
            try:
                outcome = future.result()
            except pool.died as error:
                suspects.append((task, error.with_traceback(None)))
            except pool.lost:
                raise
            except Exception as error:  # something could not be pickled
                yield task, error.with_traceback(None)  # the traceback would keep the task in memory
            else:
                yield task, _received(outcome) if pool.folder else outcome
    except pool.lost:
        raise ValueError("the scheduler was lost") from None


def _attempt(function: Callable[[Task], Result], task: Task, folder: str) -> Any:
    """Call a function in a worker; return its result, or the exception that it raised."""
    outcome: Result | Exception
    threadpool_limits(limits=1)  # one core per worker
    try:
        outcome = function(task)
    except Exception as error:
        outcome = _sendable(error)
    if not folder:
        return outcome
    # loky waits forever for the rest of a result whose worker was killed while sending it. A short file name is written
    # to the pipe whole or not at all.
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        pickle.dump(outcome, file)
    return file.name


def _received(name: str) -> Any:
    content = Path(name).read_bytes()
    Path(name).unlink()
    return pickle.loads(content)  # noqa: S301  # from our own worker


def _sendable(error: Exception) -> Exception:
    """Note the traceback on an exception, as pickling drops it; replace an exception that cannot be pickled."""
    printed = traceback.format_exc()
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(printed)
    return error


@contextmanager
def _loky(jobs: int, _: str | None) -> Iterator[Pool]:
    def executor() -> Any:
        # A broken executor is replaced.
        return get_reusable_executor(max_workers=jobs, initializer=_begin_worker, initargs=(os.getpid(),))

    with tempfile.TemporaryDirectory(prefix="tmax-") as folder:
        try:
            submit = lambda *call: executor().submit(*call)  # noqa: E731
            yield Pool(submit, lambda: jobs, (BrokenProcessPool,), folder=folder)
        finally:
            executor().shutdown(wait=True, kill_workers=True)


def _begin_worker(parent: int) -> None:
    # Ctrl-C in a terminal reaches every process of a command; the parent ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process, even in the middle of a task, once its parent is dead."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


@contextmanager
def _dask(jobs: int, scheduler: str | None) -> Iterator[Pool]:
    try:
        from dask import config  # noqa: PLC0415
        from distributed import Client, KilledWorker, LocalCluster  # noqa: PLC0415
        from distributed.client import ClosedClientError  # noqa: PLC0415
        from distributed.comm import CommClosedError  # noqa: PLC0415
    except ImportError:
        raise ValueError(NOT_INSTALLED) from None
    for name in ("distributed", "distributed.client"):
        getLogger(name).setLevel(CRITICAL)  # the outcomes report the same
    with ExitStack() as stack:
        # By default the log keeps 1,000 messages, each with a task: hundreds of megabytes. A local cluster also gives
        # up on a worker that takes more than 15 s to restart, as on a busy machine; once all are gone, it would wait
        # forever.
        settings = {"admin.low-level-log-length": 10, "deploy.lost-worker-timeout": "1 day"}
        stack.enter_context(config.set({f"distributed.{name}": value for name, value in settings.items()}))
        if scheduler:
            _knock(scheduler)
        local = {"n_workers": jobs, "threads_per_worker": 1, "memory_limit": 0, "dashboard_address": "127.0.0.1:0"}
        # Silenced: the parts of a cluster stop one after another, and log each other's absence.
        where = scheduler or stack.enter_context(LocalCluster(**local, silence_logs=CRITICAL))
        try:
            client = stack.enter_context(Client(where, timeout=ANSWER, set_as_default=False))
            client.wait_for_workers(1, timeout=FIRST_WORKER)
        except TimeoutError:
            raise ValueError(f"{where}: the scheduler has had no worker for {FIRST_WORKER} seconds") from None
        except (OSError, ValueError):
            raise ValueError(f"{where}: no Dask scheduler answers") from None
        submit = partial(client.submit, pure=False)  # two equal tasks are two tasks
        lost = (CancelledError, CommClosedError, ClosedClientError, OSError)
        yield Pool(submit, lambda: sum(client.nthreads().values()), (KilledWorker,), lost)


def _knock(scheduler: str) -> None:
    """Raise ValueError at once where nothing listens at an address; the client would retry for a long time."""
    parts = urlsplit(scheduler if "//" in scheduler else f"//{scheduler}")
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=ANSWER).close()
    except (OSError, ValueError) as error:
        raise ValueError(f"{scheduler}: no scheduler answers ({error})") from None


POOLS: dict[str, Callable[[int, str | None], AbstractContextManager[Pool]]] = {"loky": _loky, "dask": _dask}
