"""Champions that serve the trained models of the session, and a question with guidance."""

import pytest

from tests.app.serving.fakes import FURTHER, FakeChampions, Spy
from tests.stations import observations, surrounded_days


@pytest.fixture(scope="session")
def champions(trained):
    """A station whose model uses no further columns."""
    return FakeChampions(trained.manifest, hill=trained.model)


@pytest.fixture(scope="session")
def guided_champions(guided):
    """A station whose model corrects guidance."""
    return FakeChampions(guided.manifest, hill=guided.model)


@pytest.fixture(scope="session")
def surrounded_champions(surrounded):
    """A station whose model looks at pressure and at the neighbour dale."""
    return FakeChampions(surrounded.manifest, hill=surrounded.model)


@pytest.fixture
def surrounded_question():
    """A question with the further columns on every day, and with the neighbour's days."""
    days = surrounded_days()
    asked, dale = observations(days), []
    last = {name: series[-len(asked) :].tolist() for name, series in days.further.items()}
    for i, day in enumerate(asked):
        day |= {name: last[name][i] for name in ("pressure", "hail")}
        dale.append({"date": day["date"]} | {name: last[f"dale/{name}"][i] for name in ("tmax", "pressure")})
    return {"station": "hill", "observations": asked, "neighbours": {"dale": dale}}


@pytest.fixture
def spy(trained):
    """A model with `FURTHER` that keeps the days given to it."""
    return Spy(trained.model, FURTHER)


@pytest.fixture
def spied(spy, trained):
    return FakeChampions(trained.manifest, hill=spy)


@pytest.fixture
def question(days_with_guidance):
    """A question with all `FURTHER` on every day."""
    days = days_with_guidance
    asked = observations(days)
    for i, day in enumerate(asked):
        day |= {name: float(series[len(days) - len(asked) + i]) for name, series in days.further.items()}
    return {"station": "hill", "observations": asked}
