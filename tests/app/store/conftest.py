"""What the tests of the store share."""

import pytest

from models.forecast.saved import to_state
from tests.app.store.ageing import Aged


@pytest.fixture
def hill(store):
    """The only station of a store, with one champion."""
    return store.station("hill")


@pytest.fixture
def publish(trained, retrained):
    """Publish one of two models, 0 or 1."""
    models = [(to_state(training.model), training.manifest) for training in (trained, retrained)]
    return lambda station, which=1: station.publish(*models[which])


@pytest.fixture
def aged(tmp_path, monkeypatch, trained, retrained):
    return Aged(tmp_path / "store", (trained, retrained), monkeypatch)
