"""HTML reports as a browser sees them, and the comparisons that they show."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
from plotly.offline import get_plotlyjs

from models.forecast.distribution import PROBABILITIES
from models.verification.comparison import Comparison

LIBRARY = "/* the plot library */"  # stands in for it, see conftest.py
VOID = {"meta", "br", "img", "link", "input", "hr"}
NORMAL = np.quantile(np.random.default_rng(0).normal(size=20_000), PROBABILITIES)


class Page(HTMLParser):
    """The links, figures, tables and texts of a page, every tag of which must be closed."""

    def __init__(self, html):
        super().__init__()
        self.open, self.links, self.figures, self.tables, self.texts = [], [], [], [], []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [value for key, value in attrs.items() if key in {"src", "href", "srcset", "action", "data"}]
        if tag not in VOID:
            self.open.append((tag, attrs))
        if tag == "figure":
            self.figures.append([attrs["class"], None])
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in {"th", "td"}:
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        tags = [tag for tag, _ in self.open]
        if tags and self.open[-1][1].get("type") == "application/json":
            assert "<" not in data  # else a text could end the script element
            self.figures[-1][1] = json.loads(data)
        elif tags and tags[-1] not in {"script", "style"}:
            self.texts.append(data)
        if {"th", "td"} & set(tags):
            self.tables[-1][-1][-1] += data

    @property
    def names(self):
        """The names of the figures."""
        return [name for name, _ in self.figures]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def layout(self, name):
        return dict(self.figures)[name]["layout"]

    def traces(self, name):
        """Return the traces of a figure that have a name."""
        return {trace["name"]: trace for trace in dict(self.figures)[name]["data"] if "name" in trace}

    def rows(self, number):
        """Return a table by its row headings and column headings."""
        head, *rows = self.tables[number]
        return {label: dict(zip(head[1:], cells, strict=True)) for label, *cells in rows}


def check_self_contained(html, whole):
    """A page fetches nothing; with the plot library it is the same, and holds that once."""
    assert not re.search(r"@import|url\(|https?:|//[a-z]", html)
    assert "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:" in html
    assert all(link.startswith("#") for link in Page(html).links)
    assert whole.count(get_plotlyjs()) == 1
    assert whole.replace(get_plotlyjs(), LIBRARY) == html


def minus(text):
    """Return the text with the sign that the pages use."""
    return text.replace("-", "\N{MINUS SIGN}")


def percent(share):
    return minus(f"{100 * share:z.1f} %")


def comparison(n=800, station="Flint", first="2019-06-01", seed=0, dtype=float):
    """Distributions that are calibrated for the model, and wider ones for the baselines."""
    rng = np.random.default_rng(seed)
    issued = np.datetime64(first, "D") + np.arange(n)
    normal = 12 - 12 * np.cos(2 * np.pi * issued.astype(int) / 365.25)
    signal = rng.normal(0, 3, n)
    observed = (normal + signal + rng.normal(0, 2, n)).round(1)
    quantiles = {
        "gru": (normal + signal)[:, None] + 2 * NORMAL,
        "persistence": np.roll(observed, 1)[:, None] + 5 * NORMAL,
        "climatology": normal[:, None] + 3.6 * NORMAL,
        "ridge": (normal + 0.8 * signal)[:, None] + 2.1 * NORMAL,
    }
    typed = {name: of.astype(dtype) for name, of in quantiles.items()}
    return Comparison(station, "gru", issued, observed.astype(dtype), typed)


def with_guidance(compared, seed=9):
    """Add guidance that is 0.6 degC too warm, and a regression on it that is not."""
    guidance = compared.observed + np.random.default_rng(seed).normal(0, 2.2, len(compared.issued))
    more = {"guidance": guidance[:, None] + 0.6 + NORMAL, "emos": guidance[:, None] + NORMAL}
    return replace(compared, quantiles=compared.quantiles | more)
