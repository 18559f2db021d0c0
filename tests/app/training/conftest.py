"""What the tests of training share: a check for processes, and retraining without any."""

import os

import psutil
import pytest


@pytest.fixture
def no_process_left():
    """Check that the test leaves no process, other than trackers of resources, which end with this process."""
    before = set(psutil.Process().children(recursive=True))
    yield
    started = set(psutil.Process().children(recursive=True)) - before
    session = os.getsid(0)  # a cluster of the tests has another
    ours = [p for p in started if os.getsid(p.pid) == session and "resource_tracker" not in " ".join(p.cmdline())]
    _, left = psutil.wait_procs(ours, timeout=10)
    assert not left


@pytest.fixture
def serial(monkeypatch):
    """Retrain in this process, one station after the other."""

    def run(function, tasks, *_workers):
        for task in tasks:
            try:
                yield task, function(task)
            except Exception as error:
                yield task, error

    monkeypatch.setattr("app.training.retrain.run", run)
