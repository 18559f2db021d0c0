"""Tasks in worker processes, some of which are killed; on this machine and on a Dask cluster."""

import os
import signal
import subprocess
import sys
import traceback
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil
import pytest

from app.training import workers
from app.training.workers import AHEAD, Pool, run
from tests.app.training.cluster import Cluster, kill_group
from tests.app.training.jobs import Parcel, Risk, UnpicklableError, number_and_pid, performed, pid_after, risked
from tests.stations import ROOT

pytestmark = pytest.mark.usefixtures("no_process_left")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("dask"), workers=2)
    yield cluster
    cluster.end()


@pytest.fixture(params=["loky", "dask"])
def backend(request):
    """The arguments of `run` for two workers."""
    if request.param == "loky":
        return {"backend": "loky", "jobs": 2}
    return {"backend": "dask", "scheduler": request.getfixturevalue("cluster").address}


def test_tasks_are_drawn_as_needed_and_not_kept(backend):
    n, drawn, got, pids, alive, this = 40, 0, [], set(), weakref.WeakSet(), psutil.Process()

    def parcels():
        nonlocal drawn
        for number in range(n):
            drawn += 1
            parcel = Parcel(number)
            alive.add(parcel)
            yield parcel

    for parcel, (number, pid) in run(number_and_pid, parcels(), **backend):
        assert number == parcel.number
        pids.add(pid)
        assert drawn - len(got) <= 2 * AHEAD
        # And one in the generator, and one that each thread had last.
        assert len(alive) <= 2 * AHEAD + 4
        got.append(number)
        if len(got) == n // 4:
            size = this.memory_info().rss
    assert this.memory_info().rss - size < n // 4 * len(parcel.weight)
    assert sorted(got) == list(range(n))
    assert len(pids) <= 2


def test_exceptions_are_outcomes_and_each_library_has_one_thread(backend):
    whats = ["KeyError", "UnpicklableError", "unpicklable", "threads", "plain"]
    outcomes = dict(run(performed, whats, **backend))
    assert outcomes["plain"] == "plain"
    assert outcomes["threads"] <= {1}
    assert isinstance(outcomes["unpicklable"], Exception) or backend["backend"] == "dask"  # which can
    assert isinstance(outcomes["KeyError"], KeyError)
    assert "1 and 2" in str(outcomes["UnpicklableError"])
    assert not isinstance(outcomes["UnpicklableError"], UnpicklableError)
    for what in ("KeyError", "UnpicklableError"):
        assert "in performed" in "".join(traceback.format_exception(outcomes[what]))


def test_a_killed_worker_costs_a_repeat_and_a_deadly_task_fails_alone(backend, tmp_path):
    kinds = {0: "once", 8: "deadly"}
    risks = [Risk(kinds.get(number, "safe"), number, tmp_path) for number in range(14)]
    outcomes, tries = {}, {}
    for risk, outcome in run(risked, risks, **backend):
        assert risk not in outcomes
        outcomes[risk], tries[risk] = outcome, risk.tries
    assert sorted(outcomes) == sorted(risks)
    died = "TerminatedWorkerError" if backend["backend"] == "loky" else "KilledWorker"
    assert str(outcomes.pop(risks[8])) == f"the worker died twice; out of memory? ({died})"
    assert outcomes == {risk: [risk.number, bytes(1_000_000)] for risk in outcomes}
    assert tries[risks[0]] >= 2
    # Only tasks in flight are repeated, never one whose result has come. Dask repeats also those not yet fetched.
    if backend["backend"] == "loky":
        assert tries == {risk: risk.tries for risk in risks}
        assert sum(tries.values()) <= len(risks) + len(kinds) * 2 * AHEAD


def test_workers_that_leave_stop_no_other(monkeypatch):
    """Of four workers all but one are gone when the first result comes, with more tasks in flight than it may have."""
    left = iter([4, *[1] * 50])

    @contextmanager
    def leaving(_jobs, _scheduler):
        with ThreadPoolExecutor(1) as threads:
            yield Pool(threads.submit, lambda: next(left), ())

    monkeypatch.setitem(workers.POOLS, "leaving", leaving)
    assert sorted(run(abs, range(20), "leaving")) == [(n, n) for n in range(20)]


class TestLoky:
    def test_closing_abandons_what_runs(self):
        outcomes = run(pid_after, [0, *[600] * 10], jobs=2)
        next(outcomes)
        outcomes.close()

    def test_a_worker_killed_while_it_sends_its_result_costs_a_repeat(self, tmp_path):
        risk = Risk("sending", 1, tmp_path)
        assert list(run(risked, [risk])) == [(risk, [1, bytes(1_000_000)])]
        assert risk.tries == 2

    def test_no_tasks_and_an_error_of_their_source(self):
        def unreadable():
            raise OSError("gone")
            yield

        assert list(run(abs, [])) == []
        with pytest.raises(OSError, match="gone"):
            list(run(abs, unreadable()))


INTERRUPTED = """
import time
from app.training.workers import run

print(sorted(run(abs, [-1, 2], "dask")), flush=True)
for seconds, _ in run(time.sleep, [0, *[1] * 50], "dask"):
    print(seconds, flush=True)
"""


class TestDask:
    def test_on_this_machine_it_prints_nothing_and_an_interrupt_leaves_no_process(self, tmp_path):
        errors = tmp_path / "errors"
        with errors.open("w") as file, subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED], cwd=ROOT, start_new_session=True,
            stdout=subprocess.PIPE, stderr=file, text=True,
        ) as command:  # fmt: skip
            assert [command.stdout.readline() for _ in range(2)] == ["[(-1, 1), (2, 2)]\n", "0\n"]
            assert not errors.read_text()
            started = psutil.Process(command.pid).children(recursive=True)
            assert started
            os.killpg(command.pid, signal.SIGINT)  # as a terminal does
            command.wait(timeout=60)
        assert command.returncode == -signal.SIGINT
        assert errors.read_text().endswith("KeyboardInterrupt\n")
        assert not psutil.wait_procs(started, timeout=20)[1]

    def test_no_scheduler_answers(self):
        with pytest.raises(ValueError, match=r"^tcp://127.0.0.1:1: no scheduler answers \(.*refused\)$"):
            next(run(abs, [1], "dask", scheduler="tcp://127.0.0.1:1"))

    def test_a_scheduler_without_workers_and_one_that_is_lost(self, tmp_path, monkeypatch):
        lonely = Cluster(tmp_path)
        try:
            monkeypatch.setattr(workers, "FIRST_WORKER", 0.2)
            with pytest.raises(ValueError, match=r"^tcp://\S+: the scheduler has had no worker for 0.2 seconds$"):
                next(run(abs, [1], "dask", scheduler=lonely.address))
            monkeypatch.setattr(workers, "FIRST_WORKER", 60)
            monkeypatch.setattr(workers, "ANSWER", 1)  # how long the client looks for a lost scheduler
            lonely.add_worker("--no-nanny", lonely.address)
            outcomes = run(pid_after, [0, *[60] * 5], "dask", scheduler=lonely.address)
            next(outcomes)
            kill_group(lonely.processes[0])
            with pytest.raises(ValueError, match=r"^the scheduler was lost$"):
                next(outcomes)
        finally:
            lonely.end()

    def test_it_may_not_be_installed(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "distributed", None)
        with pytest.raises(ValueError, match=r"^dask is not installed; .* -r requirements/dask\.txt$"):
            next(run(abs, [1], "dask"))
        assert "distributed==" in (ROOT / "requirements/dask.txt").read_text()


JOBLIB = """
import os, sys, threading, time
from distributed import Client
from joblib import Parallel, delayed, parallel_config
from tests.app.training.jobs import die

def watch(futures):
    while not any(future.status == "error" for future in list(futures.values())):
        time.sleep(0.05)
    time.sleep(3)
    print("joblib still waits for a task that has failed", flush=True)
    os._exit(0)

client = Client(sys.argv[1])
threading.Thread(target=watch, args=[client.futures], daemon=True).start()
with parallel_config(backend="dask"):
    list(Parallel(return_as="generator_unordered")([delayed(die)()]))
print("joblib has ended")
"""


def test_why_joblib_does_not_run_tasks_on_dask(cluster):
    """A task that kills its worker every time fails on the cluster, but joblib waits for it for ever."""
    command = [sys.executable, "-c", JOBLIB, cluster.address]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "joblib still waits for a task that has failed\n", done.stderr
