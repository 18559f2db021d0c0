"""The score tables of the backtest report."""

import re

from app.report.tables import signed
from models.verification import scores as product
from tests.app.report.pages import percent

SKILLS = ["Skill against guidance", "Skill against persistence", "Skill against climatology"]


def expected_column(part, name):
    """The cells of a forecaster in a table of scores, worked out from its forecasts."""
    of = part.scores()[name]
    low, high = part.interval(name, 0.8)
    shares = {f"Skill against {reference}": skill for reference, skill in of.skills.items()}
    shares |= {f"Within {limit} °C": share for limit, share in zip((1, 2, 3), of.within, strict=True)}
    shares |= {"Errors of 5 °C or more": of.missed}
    shares |= {"80 % interval: coverage": of.coverage_80, "90 % interval: coverage": of.coverage_90}
    celsius = {"MAE, °C": of.mae, "RMSE, °C": of.rmse, "CRPS, °C": of.crps}
    celsius |= {"Standard deviation of errors, °C": of.standard_deviation}
    celsius |= {"80 % interval: mean width, °C": float((high - low).mean())}
    cells = {label: percent(share) for label, share in shares.items()}
    cells |= {label: f"{value:.2f}" for label, value in celsius.items()}
    return cells | {"Bias, °C": signed(product.bias(part.points[name], part.observed))}


def test_score_table_has_every_score_of_every_forecaster(one, page, guided, guided_page):
    for compared, shown in ((one, page), (guided, guided_page)):
        rows = shown.rows(0)
        assert shown.tables[0][0] == ["Score", *compared.names]
        for name in compared.names:
            assert {label: cells[name] for label, cells in rows.items()} == expected_column(compared, name)
        labels = [label for label in rows if label.startswith("Skill")]
        assert labels == [label for label in SKILLS if label in labels]


def test_season_table_has_the_scores_of_the_model(guided, guided_page):
    head, days, *_ = guided_page.tables[1]
    parts = {"All days": guided, **guided.seasons()}
    assert head == ["Score", "All days", "Dec-Feb", "Mar-May", "Jun-Aug", "Sep-Nov"]
    assert days == ["Days", *(str(len(part.issued)) for part in parts.values())]
    rows = guided_page.rows(1)
    for name, part in parts.items():
        cells = {label: row[name] for label, row in rows.items() if label != "Days"}
        assert cells == expected_column(part, "gru")


def test_best_of_each_row_is_bold_except_of_widths(html):
    rows = dict(re.findall(r'<th scope="row">([^<]*)</th>(.*?)</tr>', html.split("<details>", 1)[0]))
    assert rows["MAE, °C"].startswith("<td><strong>")
    assert rows["MAE, °C"].count("<strong>") == 1
    assert rows["80 % interval: coverage"].count("<strong>") >= 1
    assert "<strong>" not in rows["80 % interval: mean width, °C"]
