"""What the tests share: a synthetic station, a trained store, the application, a real server."""

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

import hypothesis
import numpy as np
import pytest

from app.readers import Record
from app.settings import Settings
from app.store import Store
from app.training import train_station
from app.web import create_app
from models.recipe import GuidanceRecipe, Recipe
from models.station_days import StationDays

# A shared machine may be slow at any moment; what a gate runs must be the same every time.
hypothesis.settings.register_profile("here", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("here")

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
# Two small networks that begin at random; 14 days are looked at, few enough for a test to write down.
QUICK = Recipe(
    hidden=4,
    members=2,
    window=8,
    memory=7,
    max_gap=5,
    epochs=2,
    start="random",
    guidance=GuidanceRecipe(days=14, hidden=4, folds=3, members=1, epochs=2),
)


def synthetic_days(n=1200, seed=0, first="2015-01-01"):
    """A station with a season, weather that lasts a few days, and rain on some of them."""
    rng = np.random.default_rng(seed)
    weather = np.zeros(n)
    for day in range(1, n):
        weather[day] = 0.7 * weather[day - 1] + rng.normal(0, 2.5)
    tmax = 15 - 10 * np.cos(2 * np.pi * np.arange(n) / 365.25) + weather
    tmin = tmax - rng.uniform(4, 12, n)
    rain = np.where(rng.random(n) < 0.3, rng.exponential(5, n), 0.0)
    return StationDays(np.datetime64(first, "D"), np.round(np.column_stack([tmax, tmin, rain]), 1))


def guided_days(n=1200, seed=0, first="2015-01-01", bias=-2.0, spread=True, wind=True):
    """The same with somebody's forecasts: too cold, the more so with wind, and unsure to a known degree."""
    days = synthetic_days(n + 1, seed, first)
    rng = np.random.default_rng([seed, 1])
    sure, windy = rng.uniform(0.3, 1.5, n), rng.exponential(1.0, n)
    guidance = days.next_tmax[:n] + bias - 0.8 * windy + sure * rng.normal(0, 1, n)
    predictors = {"guidance": guidance.round(1)}
    predictors |= {"guidance_spread": sure.round(2)} if spread else {}
    predictors |= {"wind": windy.round(2)} if wind else {}
    return StationDays(days.first, days.values[:n], predictors)


def write_csv(path, days):
    table = np.column_stack([days.values, *days.predictors.values()])
    lines = (
        f"{date}," + ",".join("" if np.isnan(v) else f"{v:g}" for v in row)
        for date, row in zip(days.dates, table, strict=True)
    )
    path.write_text("\n".join([",".join(["date,tmax,tmin,rain", *days.predictors]), *lines, ""]))
    return path


def observations(days, n=14):
    names = ("tmax", "tmin", "rain")
    return [
        {"date": str(date)} | {k: None if np.isnan(v) else float(v) for k, v in zip(names, row, strict=True)}
        for date, row in zip(days.dates[-n:], days.values[-n:], strict=True)
    ]


@pytest.fixture(scope="session")
def days():
    return synthetic_days()


@pytest.fixture(scope="session")
def trained(days):
    """A model that was trained quickly; publish it where it is needed."""
    return train_station("hill", Record("hill", days), QUICK, seed=0)


@pytest.fixture(scope="session")
def retrained(days):
    """Another model of the same station."""
    return train_station("hill", Record("hill", days), QUICK, seed=1)


@pytest.fixture(scope="session")
def days_with_guidance():
    return guided_days()


@pytest.fixture(scope="session")
def guided(days_with_guidance):
    """A model that corrects guidance, trained quickly."""
    return train_station("hill", Record("hill", days_with_guidance), QUICK, seed=0)


@pytest.fixture
def store(tmp_path, trained):
    """A store of its own that holds one station, ``hill``."""
    store = Store(tmp_path / "store")
    trained.publish_and_promote(store, "test")
    return store


@pytest.fixture
def client(store):
    return create_app(Settings(store=store.root)).test_client()


@pytest.fixture
def body(days):
    return {"station": "hill", "observations": observations(days)}


class Server:
    """gunicorn, as it is run, on a port of its own."""

    def __init__(self, store, **environ):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = Path(store) / "server.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    Path(sys.executable).with_name("gunicorn"),
                    "app.web:create_app()",
                    "--bind",
                    f"127.0.0.1:{self.port}",
                ],
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


@pytest.fixture
def serve():
    """Start servers that are gone when the test ends."""
    servers = []

    def start(store, **environ):
        servers.append(Server(store, **environ))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def run_script(name, *arguments, **environ):
    """Run one of the scripts to its end."""
    return subprocess.run(
        [sys.executable, "-m", f"scripts.{name}", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
