"""Every page in docs/studies runs from top to bottom, prints what it shows and draws its figures.

The ``python`` blocks of a page run in one namespace; a ``text`` block directly after one shows its output. Numbers are
compared with a relative tolerance of 1e-5 or an absolute one of 1e-7, or as the fence says, for example
```` ```text rel=0.01 abs=0.5 ````. Figures are saved as NAME.svg into the current folder and lie beside the page.

``python -m tests.docs.test_studies`` draws the figures again.
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

from tests.stations import ROOT

STUDIES = ROOT / "docs" / "studies"
PAGES = sorted(STUDIES.glob("0*.md"))
MAX_SVG = 60_000  # bytes

FENCE = re.compile(r"^```(\w*)([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FIGURE = re.compile(r"!\[[^\]]+\]\(([^)]+\.svg)\)")
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
TOKEN = re.compile(rf"{NUMBER.pattern}|\w+|[^\w\s]")
LABEL = re.compile(r"<text [^>]*>([^<]*[A-Za-z][^<]*)</text>")

# The same bytes from the same numbers, and text as text.
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
    adjacent: bool  # only blank lines between this block and the one before


def blocks(text):
    found, end = [], 0
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start(3))
        found.append(Block(*match.groups(), line, bool(found) and not text[end : match.start()].strip()))
        end = match.end()
    return found


def difference(printed, shown, rel=1e-5, abs=1e-7):  # noqa: A002 (as in the fence)
    """Return the first difference of two texts, or None: words exactly, numbers by tolerance, white space ignored."""
    ours, theirs = TOKEN.findall(printed), TOKEN.findall(shown)
    for a, b in zip(ours, theirs, strict=False):
        numbers = NUMBER.fullmatch(a) and NUMBER.fullmatch(b)
        if a != b and not (numbers and math.isclose(float(a), float(b), rel_tol=rel, abs_tol=abs)):
            return f"printed {a!r}, shown {b!r}"
    return None if len(ours) == len(theirs) else f"printed {len(ours)} words, shown {len(theirs)}"


def tolerance(options):
    return {name: float(value) for name, value in (option.split("=") for option in options.split())}


def run(page):
    """Execute the page in the current folder; raise AssertionError where its output differs from what it shows."""
    found = blocks(page.read_text())
    namespace = {"__name__": page.stem}
    with mpl.rc_context(STYLE):
        for block, after in zip(found, [*found[1:], None], strict=True):
            if block.language != "python":
                continue
            code = compile("\n" * block.line + block.source, str(page), "exec", dont_inherit=True)
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(code, namespace)
            shows = after and after.adjacent and after.language == "text"
            shown, options = (after.source, after.options) if shows else ("", "")
            differs = difference(out.getvalue(), shown, **tolerance(options))
            assert not differs, f"{page}:{block.line + 1}: {differs}; the whole output:\n{out.getvalue()}"
    plt.close("all")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder, and no display."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    mpl.use("Agg")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_prints_and_draws_what_it_shows(page, folder):
    run(page)
    drawn = {path.name: path.read_text() for path in folder.glob("*.svg")}
    assert drawn.keys() == set(FIGURE.findall(page.read_text()))
    for name, svg in drawn.items():
        assert len(svg) < MAX_SVG, name
        assert LABEL.findall(svg) == LABEL.findall((STUDIES / name).read_text()), (
            f"{name} is out of date: run python -m tests.docs.test_studies"
        )


def test_index_lists_every_page_and_no_figure_is_left_over():
    index = (STUDIES / "README.md").read_text()
    assert [page.name for page in PAGES] == re.findall(r"\]\((0[^)]+\.md)\)", index)
    linked = {name for page in PAGES for name in FIGURE.findall(page.read_text())}
    assert {path.name for path in STUDIES.glob("*.svg")} == linked


SHOWN = "mae   0.5000\n h_1 = [ 1.0  -2.5e-3]\n"


@pytest.mark.parametrize(
    ("printed", "options", "same"),
    [
        (SHOWN, "", True),
        ("mae 0.500001 h_1=[1 -.0025]", "", True),
        ("mae 0.51 h_1 = [1.0 -0.0025]", " abs=0.1", True),
        ("mae 0.51 h_1 = [1.0 -0.0025]", " rel=0.001", False),
        ("mae 0.5001 h_1 = [1.0 -2.5e-3]", "", False),  # a wrong number
        ("mae 0.5 h_1 = [1.0 2.5e-3]", "", False),  # a wrong sign
        ("mae 0.5 h_2 = [1.0 -2.5e-3]", " abs=2", False),  # a digit of a name is no number
        ("mse 0.5 h_1 = [1.0 -2.5e-3]", "", False),  # a wrong word
        ("mae 0.5 h_1 = [1.0]", "", False),  # something missing
        ("mae 0.5 h_1 = [1.0 -2.5e-3] 7", "", False),  # something more
    ],
)
def test_comparison_is_exact_for_words_and_by_tolerance_for_numbers(printed, options, same):
    assert (difference(printed, SHOWN, **tolerance(options)) is None) == same


@pytest.mark.parametrize(
    "page",
    [
        "Title\n\n```python\nx = 1\n```\n\n```python\nprint(x + 1)\n```\n\n```text\n3\n```\n",  # another output
        "Title\n\n```python\nx = 1\n```\n\n```python\nprint(x)\n```\n\nProse.\n\n```text\n1\n```\n",  # not shown
        "Title\n\n```python\nx = 1\n```\n\n```python\nx = 2\n```\n\n```text\n2\n```\n",  # no output
        "Title\n\n```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n",
    ],
)
def test_wrong_page_fails_at_its_line(page, folder):
    path = folder / "page.md"
    path.write_text(page)
    with pytest.raises(AssertionError) as failure:
        run(path)
    place = failure.traceback[-1]
    assert f"{path}:8" in str(failure.value) or (str(place.path), place.lineno + 1) == (str(path), 8)


def draw():
    """Run every page and replace its figures."""
    mpl.use("Agg")
    os.environ["SOURCE_DATE_EPOCH"] = "0"
    for page in PAGES:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            run(page)
            for figure in Path().glob("*.svg"):
                shutil.copy(figure, STUDIES)


if __name__ == "__main__":
    draw()
