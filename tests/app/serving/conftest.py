"""Champions that serve the trained models of the session, and a question with guidance."""

import pytest

from tests.app.serving.fakes import PREDICTORS, FakeChampions, Spy
from tests.stations import observations


@pytest.fixture(scope="session")
def champions(trained):
    """A station whose model uses no predictors."""
    return FakeChampions(trained.manifest, hill=trained.model)


@pytest.fixture(scope="session")
def guided_champions(guided):
    """A station whose model corrects guidance."""
    return FakeChampions(guided.manifest, hill=guided.model)


@pytest.fixture
def spy(trained):
    """A model with `PREDICTORS` that keeps the days given to it."""
    return Spy(trained.model, PREDICTORS)


@pytest.fixture
def spied(spy, trained):
    return FakeChampions(trained.manifest, hill=spy)


@pytest.fixture
def question(days_with_guidance):
    """A question with all `PREDICTORS` on every day."""
    days = days_with_guidance
    asked = observations(days)
    for i, day in enumerate(asked):
        day |= {name: float(series[len(days) - len(asked) + i]) for name, series in days.predictors.items()}
    return {"station": "hill", "observations": asked}
