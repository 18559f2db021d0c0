"""The commands, in this process or in their own, and a real server."""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import click
from click.testing import CliRunner

from tests.stations import ROOT


def call_script(name, *arguments, **environ):
    """Run a command in this process, which is quicker; return what `run_script` does."""
    module = importlib.import_module(f"scripts.{name}")
    command = next(v for k, v in vars(module).items() if isinstance(v, click.Command) and k.startswith(name))
    result = CliRunner().invoke(command, [*map(str, arguments)], prog_name=f"python -m scripts.{name}", env=environ)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return subprocess.CompletedProcess(name, result.exit_code, result.stdout, result.stderr)


def run_script(name, *arguments, **environ):
    """Run a command in its own process, to its end."""
    return subprocess.run(
        [sys.executable, "-m", f"scripts.{name}", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


class Server:
    """gunicorn, as users start it, on a port of its own."""

    def __init__(self, store, **environ):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = Path(store) / "server.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        gunicorn = Path(sys.executable).with_name("gunicorn")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [gunicorn, "app.web:create_app()", "--bind", f"127.0.0.1:{self.port}"],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env=os.environ | {"TMAX_STORE": str(store)} | environ,
                start_new_session=True,
            )
        self.wait_for("/livez")

    def wait_for(self, path, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                return self.get(path)
            except (OSError, AssertionError):
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.05)
        raise AssertionError(f"{path} did not answer 200 within {seconds} s: {self.log.read_text()}")

    def call(self, path, body=None, **headers):
        """Return status, headers and the decoded answer."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"} | headers
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, json.load(error)

    def get(self, path):
        status, _, answer = self.call(path)
        assert status == 200, answer
        return answer

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
