"""A client of a service whose store no test changes."""

import pytest

from app.settings import Settings
from app.store import Store
from app.web import create_app


@pytest.fixture(scope="session")
def unchanged_store(tmp_path_factory, trained):
    store = Store(tmp_path_factory.mktemp("web") / "store")
    trained.promote_in(store, "test")
    return store


@pytest.fixture(scope="session")
def reader(unchanged_store):
    """A client that only reads."""
    return create_app(Settings(store=unchanged_store.root)).test_client()


@pytest.fixture
def empty(tmp_path):
    """A client of a service without a store."""
    return create_app(Settings(store=tmp_path / "none")).test_client()
