"""A Dask cluster of processes, as they are started on machines of their own."""

import json
import os
import signal
import subprocess
import sys
import time

from tests.stations import ROOT


class Cluster:
    """A scheduler and its workers, with their logs in a folder."""

    def __init__(self, folder, workers=0):
        self.folder, self.processes = folder, []
        file = folder / "scheduler.json"
        self._start("scheduler", "--port", "0", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", file)
        for _ in range(workers):
            self.add_worker("--scheduler-file", file)  # which it waits for
        deadline = time.monotonic() + 60
        while not file.exists() or not file.read_text():
            assert time.monotonic() < deadline, self.log("scheduler-0")
            time.sleep(0.02)
        self.address = json.loads(file.read_text())["address"]

    def add_worker(self, *options):
        return self._start("worker", "--nthreads", "1", "--no-dashboard", *(options or [self.address]))

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()

    def _start(self, part, *options):
        configuration = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0", "DASK_TEMPORARY_DIRECTORY": self.folder}
        with (self.folder / f"{part}-{len(self.processes)}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{part}", "--host", "127.0.0.1", *options],
                cwd=ROOT, env=os.environ | configuration, start_new_session=True, stdout=log, stderr=log,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def end(self):
        for process in self.processes:
            kill_group(process)


def kill_group(process):
    """Kill a process and its children."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
