"""What the tests share: trained models, a store that holds one, the application, a real server."""

import os

import hypothesis
import pytest

from app.readers import Record
from app.settings import Settings
from app.store import Store
from app.training.train import train_station
from app.web import create_app
from tests.processes import Server
from tests.stations import QUICK, guided_days, observations, surrounded_days, synthetic_days

# No deadline, as a shared machine may be slow at any moment; the same examples in every run of the gate.
hypothesis.settings.register_profile("here", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("here")


@pytest.fixture(scope="session")
def days():
    return synthetic_days()


@pytest.fixture(scope="session")
def trained(days):
    """A quickly trained station; promote it where it is needed."""
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
    """A quickly trained station whose model corrects guidance."""
    return train_station("hill", Record("hill", days_with_guidance), QUICK, seed=0)


@pytest.fixture(scope="session")
def surrounded():
    """A quickly trained station whose model looks at further columns, and at those of its neighbour dale."""
    return train_station("hill", Record("hill", surrounded_days()), QUICK, seed=0, neighbours=("dale",))


@pytest.fixture
def store(tmp_path, trained):
    """A store that holds one station, ``hill``."""
    store = Store(tmp_path / "store")
    trained.promote_in(store, "test")
    return store


@pytest.fixture
def client(store):
    return create_app(Settings(store=store.root)).test_client()


@pytest.fixture
def body(days):
    return {"station": "hill", "observations": observations(days)}


@pytest.fixture
def serve():
    """Start servers that are stopped when the test ends."""
    servers = []

    def start(store, **environ):
        servers.append(Server(store, **environ))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
