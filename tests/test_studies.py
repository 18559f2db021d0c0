"""The studies say what the library does: every page in docs/studies runs from top to bottom and prints what it shows.

A page is Markdown. Its blocks of ``python`` run in one namespace; a block of ``text`` directly after one is what that
one prints, with the numbers compared by tolerance: relative 1e-5 or absolute 1e-7, or what the fence says, as in
```` ```text rel=0.01 abs=0.5 ````. Figures are saved as NAME.svg into the current folder and lie beside the page.

``python -m tests.test_studies`` draws the figures anew.
"""

import contextlib
import io
import math
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from tests.conftest import ROOT

STUDIES = ROOT / "docs" / "studies"
PAGES = sorted(STUDIES.glob("0*.md"))
MAX_SVG = 60_000

FENCE = re.compile(r"^```(\w*)([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IMAGE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")
NUMBER = r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
TOKEN = re.compile(rf"{NUMBER}|\w+|[^\w\s]")

# The same bytes from the same numbers, and letters as letters.
STYLE = {
    "svg.hashsalt": "studies",
    "svg.fonttype": "none",
    "figure.figsize": (7.0, 3.5),
    "figure.constrained_layout.use": True,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}


class Block(NamedTuple):
    language: str
    options: str
    source: str
    line: int  # of the file, from 0, where the source begins
    follows: bool  # directly on the block before, with nothing but blank lines between


def blocks(text):
    found, end = [], 0
    for match in FENCE.finditer(text):
        between = text[end : match.start()]
        line = text.count("\n", 0, match.start(3))
        found.append(Block(match[1], match[2], match[3], line, bool(found) and not between.strip()))
        end = match.end()
    return found


def difference(printed, shown, rel=1e-5, abs_=1e-7):
    """Say where two texts part, or return None: words exactly, numbers nearly, white space not at all."""
    ours, theirs = TOKEN.findall(printed), TOKEN.findall(shown)
    for a, b in zip(ours, theirs, strict=False):
        if not (a == b or (_is_number(a, b) and math.isclose(float(a), float(b), rel_tol=rel, abs_tol=abs_))):
            return f"{a!r} is printed where {b!r} is shown"
    return None if len(ours) == len(theirs) else f"{len(ours)} words are printed, {len(theirs)} shown"


def _is_number(*tokens):
    return all(re.fullmatch(NUMBER, token) for token in tokens)


def tolerance(options):
    given = dict(option.split("=") for option in options.split())
    assert given.keys() <= {"rel", "abs"}, options
    return {"rel": float(given.get("rel", 1e-5)), "abs_": float(given.get("abs", 1e-7))}


def run(page):
    """Execute the page in the current folder; whatever differs from what it shows is an error with its line."""
    found = blocks(page.read_text())
    namespace = {"__name__": page.stem}
    with mpl.rc_context(STYLE):
        for block, after in zip(found, [*found[1:], None], strict=True):
            if block.language != "python":
                continue
            code = compile("\n" * block.line + block.source, str(page), "exec", dont_inherit=True)
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(code, namespace)
            printed, place = out.getvalue(), f"{page}:{block.line + 1}"
            if after and after.follows and after.language == "text":
                differs = difference(printed, after.source, **tolerance(after.options))
                assert not differs, f"{place}: {differs}; all that is printed:\n{printed}"
            else:
                assert not printed, f"{place}: printed and not shown:\n{printed}"
    plt.close("all")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to run in, without a display."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    mpl.use("Agg")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_study_prints_and_draws_what_it_shows(page, folder):
    run(page)
    linked = {name for name in IMAGE.findall(page.read_text()) if name.endswith(".svg")}
    assert {path.name for path in folder.glob("*.svg")} == linked
    for name in linked:
        assert (folder / name).stat().st_size < MAX_SVG, name
        assert (STUDIES / name).exists(), f"{name}: python -m tests.test_studies draws it"


def test_the_index_lists_every_study_and_every_figure_has_a_page():
    index = (STUDIES / "README.md").read_text()
    assert PAGES
    assert [page.name for page in PAGES if f"]({page.name})" not in index] == []
    linked = {name for page in PAGES for name in IMAGE.findall(page.read_text())}
    assert {path.name for path in STUDIES.glob("*.svg")} <= linked


class TestComparing:
    """What holds the pages to their word has to be able to fail."""

    SHOWN = "mae   0.5000\n h_1 = [ 1.0  -2.5e-3]\n"

    @pytest.mark.parametrize(
        "printed",
        [SHOWN, "mae 0.500001 h_1=[1 -0.0025]", "mae 0.5\nh_1 = [1.00000001 -.0025]"],
    )
    def test_the_same_passes(self, printed):
        assert difference(printed, self.SHOWN) is None

    @pytest.mark.parametrize(
        "printed",
        [
            "mae 0.5001 h_1 = [1.0 -2.5e-3]",  # a wrong number
            "mae 0.5 h_1 = [1.0 2.5e-3]",  # a wrong sign
            "mae 0.5 h_2 = [1.0 -2.5e-3]",  # a digit of a name is no number
            "mse 0.5 h_1 = [1.0 -2.5e-3]",  # a wrong word
            "mae 0.5 h_1 = [1.0]",  # something missing
            "mae 0.5 h_1 = [1.0 -2.5e-3] 7",  # something more
            "",
        ],
    )
    def test_anything_else_does_not(self, printed):
        assert difference(printed, self.SHOWN) is not None

    def test_a_fence_may_widen_the_tolerance(self):
        assert difference("21.3", "21.0", **tolerance(" abs=0.5")) is None
        assert difference("21.6", "21.0", **tolerance(" abs=0.5")) is not None

    @pytest.mark.parametrize(
        "page",
        [
            "```python\nx = 1\n```\n\n```python\nprint(x + 1)\n```\n\n```text\n3\n```\n",  # not what is printed
            "```python\nprint(1)\n```\n\nProse.\n\n```text\n1\n```\n",  # printed, but not shown directly after
            "```python\nassert False\n```\n",
        ],
    )
    def test_a_page_that_is_wrong_fails(self, page, folder):
        path = folder / "page.md"
        path.write_text(page)
        with pytest.raises(AssertionError):
            run(path)

    def test_a_failure_points_at_its_line(self, folder):
        path = folder / "page.md"
        path.write_text("# Title\n\n```python\nx = 1\n```\n\nProse.\n\n```python\ny = x\n1 / 0\n```\n")
        with pytest.raises(ZeroDivisionError) as failure:
            run(path)
        assert (str(failure.traceback[-1].path), failure.traceback[-1].lineno + 1) == (str(path), 11)


def draw():
    """Run every page and put its figures beside it."""
    mpl.use("Agg")
    os.environ["SOURCE_DATE_EPOCH"] = "0"
    for page in PAGES:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            run(page)
            for figure in Path().glob("*.svg"):
                shutil.copy(figure, STUDIES)


if __name__ == "__main__":
    draw()
