"""Many independent tasks, on the processes of this machine or on a cluster of Dask or Ray."""

import atexit
import os
import pickle
import signal
import socket
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from logging import CRITICAL, getLogger
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Lock, Thread, get_ident
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

from joblib.externals.loky.backend import get_context
from threadpoolctl import threadpool_limits

Task = TypeVar("Task")
Result = TypeVar("Result")
Backend = Literal["loky", "dask", "ray"]

# Tasks on their way for each worker: one it works on, and one that waits while the caller looks at a result.
AHEAD = 2

# A task whose worker died is given to another, until this many have died of it.
DEATHS = 3

# Seconds until a scheduler has answered, and until it has a worker.
ANSWER = 10
FIRST_WORKER = 60

# A worker has one core; the others are for other workers.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

NOT_INSTALLED = "{0} is not installed; get it with: .venv/bin/python -m pip install -r requirements-{0}.txt"


class ClusterLost(ValueError):  # noqa: N818
    """There is nothing any more to run tasks."""


def run(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    backend: Backend = "loky",
    jobs: int = 1,
    scheduler: str | None = None,
) -> Generator[tuple[Task, Result | Exception], None, None]:
    """Yield each task with its result, or with the exception that it raised, as they end, in any order.

    Tasks are taken as workers need them, a few ahead of the results. A task whose worker dies is repeated. An exception
    has the traceback of its worker as a note. To close the iterator is to abandon what still runs.

    Parameters
    ----------
    function : a function that a worker can import
    tasks : what it is called with, each time one plain value
    jobs : how many processes of this machine work, where there is no ``scheduler``
    scheduler : address of a cluster, for Dask (``tcp://host:8786``) or Ray (``host:6379``)

    Raises
    ------
    ValueError : where the backend is not installed, or its cluster does not answer, has no worker, or is lost
    """
    tasks = iter(tasks)
    suspects: list[Task] = []

    def until_suspected() -> Iterator[Task]:
        for task in tasks:
            yield task
            if suspects:
                return

    with POOLS[backend](function, jobs, scheduler) as pool:
        while True:
            for task, outcome in pool.ended(until_suspected()):
                if isinstance(outcome, pool.suspicious):
                    suspects.append(task)
                else:
                    yield task, outcome
            if not suspects:
                return
            # One of them ended the workers of all. Alone, it ends no other.
            while suspects:
                yield from pool.ended([suspects.pop()])


def _attempt(function: Callable[[Task], Result], task: Task) -> Result | Exception:
    """Call a function in a worker; return what it raises, too."""
    threadpool_limits(limits=1)
    try:
        return function(task)
    except Exception as error:
        return _sendable(error)


def _sendable(error: Exception) -> Exception:
    """Note the traceback on an exception, since it is not pickled; replace an exception that cannot be."""
    printed = traceback.format_exc()
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  (its own)
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(printed)
    return error


class _Pool(NamedTuple):
    """How to give a task, for a future; how many workers there are; what to make of a future that is done.

    Where several tasks share a worker, ``suspicious`` is what each ends with that was there when it died.
    """

    submit: Callable[[Any], Any]
    workers: Callable[[], int]
    result: Callable[[Any], Any] = Future.result
    suspicious: tuple[type[Exception], ...] = ()

    def ended(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Any]]:
        """Yield tasks and their outcomes as they end; take no more tasks than the workers need."""
        futures: SimpleQueue[tuple[Task, Any]] = SimpleQueue()
        in_flight = 0

        def take() -> tuple[Task, Any]:
            task, future = futures.get()
            try:
                return task, self.result(future)
            except ClusterLost:
                raise
            except Exception as error:
                return task, error.with_traceback(None)  # that of this function, which holds the task

        for task in tasks:
            self.submit(task).add_done_callback(partial(lambda task, future: futures.put((task, future)), task))
            in_flight += 1
            while in_flight >= AHEAD * max(self.workers(), 1):
                yield take()
                in_flight -= 1
        for _ in range(in_flight):
            yield take()


@contextmanager
def _loky(function: Callable[[Any], Any], jobs: int, _: str | None) -> Iterator[_Pool]:
    processes = _Processes(function, jobs)
    try:
        yield _Pool(processes.submit, lambda: jobs)
    finally:
        processes.close()


class _Processes:
    """Loky's processes, each with a thread here that gives it one task after another.

    Loky's executor is not used. When a process dies, it does not know of which task; and if one is killed while it
    sends a result, it waits for the rest of it for ever.
    """

    def __init__(self, function: Callable[[Any], Any], jobs: int) -> None:
        self._function = function
        self._waiting: SimpleQueue[tuple[Future[Any], Any] | None] = SimpleQueue()
        self._lock = Lock()
        self._closed = False
        self._latest: dict[int, _Process] = {}  # of each thread
        self._threads = [Thread(target=self._attend, daemon=True) for _ in range(jobs)]
        for thread in self._threads:
            thread.start()
        atexit.register(self.close)  # where the caller was interrupted, and did not close the iterator

    def submit(self, task: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.put((future, task))
        return future

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        atexit.unregister(self.close)
        with self._lock:
            self._closed = True
            for process in self._latest.values():
                process.end()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _attend(self) -> None:
        process = None
        while (given := self._waiting.get()) is not None:
            future, task = given
            deaths = 0
            while not future.done():
                try:
                    process = process or self._start()
                    future.set_result(process.call(self._function, task))
                except _DiedError as died:
                    process = None
                    deaths += 1
                    if deaths == DEATHS:
                        future.set_exception(RuntimeError(f"its worker died {deaths} times ({died}): out of memory?"))
                except Exception as error:  # of a task that cannot be pickled, or a process that cannot be started
                    future.set_exception(error)

    def _start(self) -> "_Process":
        with self._lock:
            if self._closed:
                raise RuntimeError("closed")
            process = self._latest[get_ident()] = _Process()
            return process


class _DiedError(Exception):
    """A process ended; the message says how."""


class _Process:
    """One process, which answers calls."""

    def __init__(self) -> None:
        self._connection, other_end = Pipe()
        # The environment is there before NumPy is loaded, and starts its threads.
        self._process = get_context("loky").Process(
            target=_serve, args=(other_end, os.getpid()), env=ONE_THREAD, daemon=True
        )
        self._process.start()
        other_end.close()

    def call(self, function: Callable[[Any], Any], task: Any) -> Any:
        try:
            self._connection.send((function, task))
            return self._connection.recv()
        except (EOFError, OSError):
            self.end()
            self._connection.close()
            raise _DiedError(f"exit code {self._process.exitcode}") from None

    def end(self) -> None:
        self._process.terminate()
        self._process.join()


def _serve(connection: Connection, parent: int) -> None:
    """Answer calls until nobody is left to call."""
    # Ctrl-C in a terminal is sent to all processes of a command; the parent ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with, args=(parent,), daemon=True).start()
    while True:
        try:
            connection.send(_attempt(*connection.recv()))
        except (EOFError, ConnectionError):
            return
        except Exception as error:  # of what cannot be pickled
            connection.send(_sendable(error))


def _end_with(parent: int) -> None:
    """End this process, in the middle of a task too, when the one that started it was killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


@contextmanager
def _dask(function: Callable[[Any], Any], jobs: int, scheduler: str | None) -> Iterator[_Pool]:
    try:
        from dask import config  # noqa: PLC0415
        from distributed import Client, KilledWorker, LocalCluster  # noqa: PLC0415
        from distributed.client import ClosedClientError  # noqa: PLC0415
        from distributed.comm import CommClosedError  # noqa: PLC0415
    except ImportError:
        raise ValueError(NOT_INSTALLED.format("dask")) from None
    for name in ("distributed", "distributed.client"):
        getLogger(name).setLevel(CRITICAL)  # what it would tell is in the outcomes
    with ExitStack() as stack:
        # Of 1000 messages, as it is set, each with a task: hundreds of megabytes.
        stack.enter_context(config.set({"distributed.admin.low-level-log-length": 10}))
        if scheduler:
            _knock(scheduler)
        local = {"n_workers": jobs, "threads_per_worker": 1, "memory_limit": 0, "dashboard_address": "127.0.0.1:0"}
        # The parts of a cluster do not end at the same moment, and would say that they miss each other.
        where = scheduler or stack.enter_context(LocalCluster(**local, silence_logs=CRITICAL))
        try:
            client = stack.enter_context(Client(where, timeout=ANSWER, set_as_default=False))
            client.wait_for_workers(1, timeout=FIRST_WORKER)
        except TimeoutError:
            raise ValueError(f"{scheduler}: no worker has come to the scheduler in {FIRST_WORKER} seconds") from None
        except (OSError, ValueError):
            raise ValueError(f"{scheduler}: no Dask scheduler answers") from None

        def unless_lost(ask: Callable[[], Any], *lost: type[Exception]) -> Any:
            try:
                return ask()
            except lost:
                raise ClusterLost(f"{scheduler}: the scheduler was lost") from None

        yield _Pool(
            # Two equal tasks are two tasks.
            submit=lambda task: unless_lost(
                lambda: client.submit(_attempt, function, task, pure=False), ClosedClientError
            ),
            workers=lambda: unless_lost(lambda: sum(client.nthreads().values()), OSError, ClosedClientError),
            result=lambda future: unless_lost(future.result, CancelledError, CommClosedError, ClosedClientError),
            suspicious=(KilledWorker,),
        )


@contextmanager
def _ray(function: Callable[[Any], Any], jobs: int, scheduler: str | None) -> Iterator[_Pool]:
    # Unless it is told, it reports how it is used to its makers, and repeats for ever what needs too much memory.
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_task_oom_retries": str(DEATHS - 1)}
    try:
        import ray  # noqa: PLC0415
    except ImportError:
        raise ValueError(NOT_INSTALLED.format("ray")) from None
    if scheduler:
        _knock(scheduler)
    where = {"address": scheduler} if scheduler else {"address": "local", "num_cpus": jobs, "include_dashboard": False}
    try:
        ray.init(**where, log_to_driver=False, logging_level=CRITICAL)
    except (OSError, ValueError, RuntimeError):
        raise ValueError(f"{scheduler}: no Ray cluster answers, or it wants another token") from None
    try:
        attempt = ray.remote(max_retries=DEATHS - 1)(_attempt)
        yield _Pool(
            submit=lambda task: attempt.remote(function, task).future(),
            workers=lambda: int(ray.cluster_resources().get("CPU", 0)),
        )
    finally:
        ray.shutdown()


def _knock(scheduler: str) -> None:
    """Tell at once that nothing listens at an address; Ray would try for minutes."""
    parts = urlsplit(scheduler if "//" in scheduler else f"//{scheduler}")
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=ANSWER).close()
    except (OSError, ValueError) as error:
        raise ValueError(f"{scheduler}: no scheduler answers ({error})") from None


POOLS: dict[str, Callable[[Callable[[Any], Any], int, str | None], AbstractContextManager[_Pool]]] = {
    "loky": _loky,
    "dask": _dask,
    "ray": _ray,
}
