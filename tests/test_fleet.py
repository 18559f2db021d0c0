"""Real processes, some of which are killed; a real cluster on this machine."""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
import weakref
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest
from threadpoolctl import threadpool_info

from app import fleet

ROOT = Path(__file__).parent.parent


@dataclass(eq=False)
class Parcel:
    """A task that can be watched."""

    number: int
    weight: bytes = bytes(300_000)


class OddError(Exception):
    """Pickled, but never unpickled."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


# What the workers call.
def number_of(parcel):
    return parcel.number


def raising(number):
    if number == 1:
        raise KeyError("one")
    if number == 2:
        raise OddError(1, 2)
    return number


def not_picklable(number):
    return lambda: number


def threads(_):
    return [library["num_threads"] for library in threadpool_info()]


def pid_after(seconds):
    time.sleep(seconds)
    return os.getpid()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def deadly(number):
    if number == 3:
        die()
    time.sleep(0.02)
    return number


def deadly_once(marker):
    if not marker.exists():
        marker.touch()
        die()
    return marker.name


def dead_in_the_middle_of_the_result(marker):
    if not marker.exists():
        marker.touch()

        def send_half(connection, buffer):
            os.write(connection.fileno(), buffer[: len(buffer) // 2])
            die()

        Connection._send = send_half
    return bytes(1_000_000)


@pytest.fixture(autouse=True)
def nothing_is_left():
    """No process of a run, that is; a tracker of loky's or multiprocessing's ends with the process that it serves."""
    before = set(psutil.Process().children(recursive=True))
    yield
    started = set(psutil.Process().children(recursive=True)) - before
    session = os.getsid(0)  # a cluster of a test's own has another
    of_runs = [p for p in started if os.getsid(p.pid) == session and "resource_tracker" not in " ".join(p.cmdline())]
    _, left = psutil.wait_procs(of_runs, timeout=5)
    assert not left


def assert_bounded(n, workers, backend, scheduler=None):
    """Many tasks of a lazy generator: few are read ahead of the results, and none is kept."""
    alive = weakref.WeakSet()
    this = psutil.Process()
    taken = 0

    def parcels():
        nonlocal taken
        for number in range(n):
            taken += 1
            parcel = Parcel(number)
            alive.add(parcel)
            yield parcel

    got = []
    for parcel, number in fleet.run(number_of, parcels(), backend, workers, scheduler):
        assert number == parcel.number
        assert taken - len(got) <= fleet.AHEAD * workers
        # And one in the generator, and one that each thread had last.
        assert len(alive) <= fleet.AHEAD * workers + workers + 2
        got.append(number)
        if len(got) == n // 4:
            size = this.memory_info().rss
    assert this.memory_info().rss - size < n // 4 * len(Parcel.weight)
    assert sorted(got) == list(range(n))


def assert_exceptions(backend, scheduler=None):
    outcomes = dict(fleet.run(raising, range(4), backend, 1, scheduler))
    assert (outcomes[0], outcomes[3]) == (0, 3)
    assert isinstance(outcomes[1], KeyError)
    assert "in raising" in "".join(traceback.format_exception(outcomes[1]))
    assert "1 and 2" in str(outcomes[2])
    assert "in raising" in "".join(traceback.format_exception(outcomes[2]))


def assert_only_the_deadly_one_fails(backend, scheduler=None):
    outcomes = dict(fleet.run(deadly, range(12), backend, 2, scheduler))
    error = outcomes.pop(3)
    assert isinstance(error, Exception)
    assert outcomes == {number: number for number in range(12) if number != 3}
    return error


class TestLoky:
    def test_many_tasks(self):
        assert_bounded(500, 2, "loky")

    def test_exceptions_are_outcomes(self):
        assert_exceptions("loky")

    def test_what_cannot_be_pickled_is_an_outcome(self):
        [(_, error)] = fleet.run(not_picklable, [1])
        assert isinstance(error, Exception)
        [(_, error)] = fleet.run(abs, [lambda: 1])
        assert isinstance(error, Exception)

    def test_no_tasks(self):
        assert list(fleet.run(abs, [])) == []

    def test_a_worker_has_one_thread_for_each_library(self):
        [(_, counts)] = fleet.run(threads, [None])
        assert set(counts) <= {1}

    def test_no_more_processes_than_asked_for(self):
        assert len({pid for _, pid in fleet.run(pid_after, [0.01] * 20, jobs=2)}) == 2

    def test_a_killed_worker_costs_a_repetition(self):
        outcomes = fleet.run(pid_after, [0.2] * 12, jobs=2)
        _, first = next(outcomes)
        os.kill(first, signal.SIGKILL)
        pids = [first, *(pid for _, pid in outcomes)]
        assert len(pids) == 12
        assert len(set(pids)) == 3

    def test_a_worker_that_dies_once(self, tmp_path):
        assert list(fleet.run(deadly_once, [tmp_path / "dead"])) == [(tmp_path / "dead", "dead")]

    def test_a_worker_killed_while_it_sends(self, tmp_path):
        [(_, result)] = fleet.run(dead_in_the_middle_of_the_result, [tmp_path / "dead"])
        assert result == bytes(1_000_000)

    def test_a_deadly_task_fails_alone(self):
        error = assert_only_the_deadly_one_fails("loky")
        assert str(error) == "its worker died 3 times (exit code -9): out of memory?"

    def test_closing_abandons_what_runs(self):
        outcomes = fleet.run(pid_after, [0.1, *[60] * 10], jobs=2)
        next(outcomes)
        began = time.monotonic()
        outcomes.close()
        assert time.monotonic() - began < 2

    def test_an_error_of_the_tasks_is_the_caller_s(self):
        def unreadable():
            yield 1
            raise OSError("gone")

        with pytest.raises(OSError, match="gone"):
            list(fleet.run(abs, unreadable()))


INTERRUPTED = """
import time
from app import fleet

for seconds, _ in fleet.run(time.sleep, [0.1, 0.1, *[{1}] * 10], "{0}", jobs=2):
    print(seconds, flush=True)
"""


# Dask waits some seconds for what runs.
@pytest.mark.parametrize(
    ("backend", "seconds", "number"),
    [("loky", 60, signal.SIGINT), ("loky", 60, signal.SIGKILL), ("dask", 1, signal.SIGINT)],
)
def test_an_interrupted_run_leaves_nothing(backend, seconds, number):
    command = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED.format(backend, seconds)], cwd=ROOT, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert [command.stdout.readline() for _ in range(2)] == ["0.1\n"] * 2
    workers = psutil.Process(command.pid).children(recursive=True)
    assert len(workers) >= 2
    if number == signal.SIGINT:
        os.killpg(command.pid, number)  # as a terminal does
    else:
        command.send_signal(number)
    _, printed = command.communicate(timeout=20)
    assert command.returncode == -number
    if backend == "loky" and number == signal.SIGINT:
        assert printed.count("Traceback") == 1
        assert printed.endswith("KeyboardInterrupt\n")
    _, left = psutil.wait_procs(workers, timeout=10)
    assert not left


def test_dask_on_this_machine_prints_nothing():
    script = "from app import fleet; print(sorted(fleet.run(abs, [-1, 2], 'dask')))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("[(-1, 1), (2, 2)]\n", "")


class Cluster:
    """A scheduler and its workers, as they are started on machines of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        address = folder / "scheduler.json"
        self._start("scheduler", "--port", "0", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", address)
        deadline = time.monotonic() + 30
        while not address.exists() or not address.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self.address = json.loads(address.read_text())["address"]

    def add_worker(self):
        return self._start("worker", "--nthreads", "1", self.address)

    def _start(self, part, *options):
        configuration = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1", "DASK_TEMPORARY_DIRECTORY": self.folder}
        with (self.folder / f"{part}-{len(self.processes)}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{part}", "--host", "127.0.0.1", *options],
                cwd=ROOT, env=os.environ | configuration, start_new_session=True, stdout=log, stderr=log,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def end(self):
        for process in self.processes:
            kill(process)


def kill(process):
    """End a process and its children at once."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("dask"))
    try:
        cluster.add_worker()
        cluster.add_worker()
        yield cluster
    finally:
        cluster.end()


class TestDask:
    def test_many_tasks(self, cluster):
        assert_bounded(200, 2, "dask", cluster.address)

    def test_exceptions_are_outcomes(self, cluster):
        assert_exceptions("dask", cluster.address)

    def test_a_worker_has_one_thread_for_each_library(self, cluster):
        [(_, counts)] = fleet.run(threads, [None], "dask", scheduler=cluster.address)
        assert set(counts) <= {1}

    def test_a_deadly_task_fails_alone(self, cluster):
        error = assert_only_the_deadly_one_fails("dask", cluster.address)
        assert type(error).__name__ == "KilledWorker"

    def test_a_worker_that_goes_costs_a_repetition(self, cluster):
        third = cluster.add_worker()
        pids = set()
        for count, (_, pid) in enumerate(fleet.run(pid_after, [0.2] * 20, "dask", scheduler=cluster.address), 1):
            pids.add(pid)
            if count == 6:
                kill(third)
        assert count == 20

    def test_no_scheduler(self):
        with pytest.raises(ValueError, match=r"^tcp://127.0.0.1:1: no scheduler answers \(.*refused\)$"):
            next(fleet.run(abs, [1], "dask", scheduler="tcp://127.0.0.1:1"))

    def test_no_workers_and_then_no_scheduler(self, tmp_path, monkeypatch):
        lonely = Cluster(tmp_path)
        try:
            monkeypatch.setattr(fleet, "FIRST_WORKER", 0.5)
            with pytest.raises(ValueError, match=r"^tcp://\S+: no worker has come to the scheduler in 0.5 seconds$"):
                next(fleet.run(abs, [1], "dask", scheduler=lonely.address))
            monkeypatch.setattr(fleet, "FIRST_WORKER", 30)
            monkeypatch.setattr(fleet, "ANSWER", 2)  # so long it looks for the scheduler again
            lonely.add_worker()
            outcomes = fleet.run(pid_after, [0.1, *[60] * 5], "dask", scheduler=lonely.address)
            next(outcomes)
            kill(lonely.processes[0])
            with pytest.raises(ValueError, match=r"^tcp://\S+: the scheduler was lost$"):
                next(outcomes)
        finally:
            lonely.end()


class TestRay:
    @pytest.fixture(autouse=True)
    def _installed(self):
        pytest.importorskip("ray")

    def test_on_this_machine(self):
        assert_bounded(100, 1, "ray")
        assert_exceptions("ray")
        assert_only_the_deadly_one_fails("ray")

    def test_no_cluster(self):
        with pytest.raises(ValueError, match="no scheduler answers"):
            next(fleet.run(abs, [1], "ray", scheduler="127.0.0.1:1"))


@pytest.mark.parametrize(("backend", "module"), [("dask", "distributed"), ("ray", "ray")])
def test_a_backend_that_is_not_installed(backend, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=f"^{backend} is not installed") as caught:
        next(fleet.run(abs, [1], backend))
    listed = str(caught.value).split()[-1]
    assert f"{module}==" in (ROOT / listed).read_text()
