"""Pages without the plot library, which is 5 MB and the same in all; and those that several tests read."""

import pytest

from app.report.page import backtest_report
from tests.app.report.pages import LIBRARY, Page, comparison, with_guidance


@pytest.fixture(autouse=True, scope="module")
def small():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("app.report.page.get_plotlyjs", lambda: LIBRARY)
        yield


@pytest.fixture(scope="module")
def one():
    return comparison()


@pytest.fixture(scope="module")
def html(one):
    return backtest_report([one], title="Flint <2021>")


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


@pytest.fixture(scope="module")
def guided(one):
    return with_guidance(one)


@pytest.fixture(scope="module")
def guided_page(guided):
    return Page(backtest_report([guided]))
