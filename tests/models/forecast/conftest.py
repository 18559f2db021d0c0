"""A shared corrector for the tests of this folder."""

import pytest

from models.forecast.guidance.shared import SharedCorrector
from tests.stations import QUICK, guided_days


@pytest.fixture(scope="session")
def two_stations():
    return [guided_days(300, seed) for seed in range(2)]


@pytest.fixture(scope="session")
def shared(two_stations):
    """A shared corrector of two stations."""
    return SharedCorrector.fit(two_stations, QUICK)
