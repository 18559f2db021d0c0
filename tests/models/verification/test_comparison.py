"""The comparison of forecasters: the score table, intervals, seasons, and joined folds."""

from dataclasses import replace

import numpy as np
import pytest

from models.forecast.distribution import PROBABILITIES
from models.record.days import ONE_DAY
from models.verification.comparison import Comparison

ERRORS = np.array([0.5, -1.5, 2.5, 6.0, -3.5, 9.95])
SPREAD = 0.1 * (np.arange(199) - 99)  # the quantile of p is 20 p - 10 degC off the median


def compared(n=6, first="2023-12-29", guidance=False):
    """Medians 10, 11, ... degC with the known errors, beside two forecasts without spread."""
    medians = 10.0 + np.arange(n)
    constant = np.full((n, 199), 12.0)
    quantiles = {"persistence": constant, "climatology": constant - 3, "gru": medians[:, None] + SPREAD}
    if guidance:
        quantiles |= {"guidance": quantiles["gru"] + 1, "emos": quantiles["gru"]}
    issued = np.datetime64(first) + np.arange(n) * ONE_DAY
    return Comparison("hill", "gru", issued, medians - np.resize(ERRORS, n), quantiles)


def test_scores_worked_by_hand():
    """Intervals of 80 % reach 8 degC to either side, those of 90 % 9 degC."""
    table = compared().scores()
    assert list(table) == ["gru", "persistence", "climatology"]  # the model first
    of, size = table["gru"], np.abs(ERRORS)
    assert (of.n, of.mae, of.rmse) == pytest.approx((6, size.mean(), np.sqrt((size**2).mean())))
    assert (of.bias, of.standard_deviation) == pytest.approx((ERRORS.mean(), ERRORS.std()))
    assert of.percentiles == pytest.approx(np.percentile(ERRORS, (5, 25, 50, 75, 95)), abs=1e-4)
    assert (*of.within, of.missed) == pytest.approx((1 / 6, 2 / 6, 3 / 6, 2 / 6))
    assert (of.coverage_80, of.coverage_90) == pytest.approx((5 / 6, 5 / 6))
    assert of.interval_score_80 == pytest.approx(16 + 2 / 0.2 * 1.95 / 6)
    assert sum(of.pit) == pytest.approx(1, abs=1e-3)
    assert of.pit[0] == pytest.approx(1 / 6, abs=1e-4)  # the observation far below
    assert 0 < of.crps < of.mae
    assert table["persistence"].crps == pytest.approx(table["persistence"].mae)  # without spread


@pytest.mark.parametrize("guidance", [False, True])
def test_skills_are_against_the_available_references(guidance):
    comparison = compared(guidance=guidance)
    references = ("guidance", "persistence", "climatology")[not guidance :]
    assert comparison.references == references
    table = comparison.scores()
    for name, of in table.items():
        assert of.skills == {reference: 1 - of.mae / table[reference].mae for reference in references}
        assert list(of.skills) == list(references)
        # Guidance changes no other score.
        assert guidance or replace(compared(guidance=True).scores()[name], skill_guidance=None) == of


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_ends_of_an_interval_are_quantiles_of_the_grid(level):
    low, high = compared().interval("gru", level)
    below, above = (int(np.abs(PROBABILITIES - p).argmin()) for p in ((1 - level) / 2, (1 + level) / 2))
    np.testing.assert_allclose((low, high), 10.0 + np.arange(6) + SPREAD[[below, above], None])


def test_months_and_seasons_are_those_of_the_valid_date():
    """Issued on 31 December for 1 January, and on the last day of February for 1 March."""
    comparison = compared(n=366, first="2023-12-29")
    assert comparison.months[:4].tolist() == [12, 12, 1, 1]
    seasons = comparison.seasons()
    assert list(seasons) == ["Dec-Feb", "Mar-May", "Jun-Aug", "Sep-Nov"]
    assert str(seasons["Mar-May"].issued[0]) == "2024-02-29"
    issued = np.concatenate([part.issued for part in seasons.values()])
    np.testing.assert_array_equal(np.sort(issued), comparison.issued)
    of = [table["gru"] for table in comparison.scores_by_season().values()]
    assert sum(s.n * s.mae for s in of) / 366 == pytest.approx(comparison.scores()["gru"].mae)
    assert list(compared(n=3).seasons()) == ["Dec-Feb"]  # no empty season


def test_parts_join_to_the_whole():
    comparison = compared(guidance=True)
    halves = comparison.part(np.arange(2)), comparison.part(np.arange(6) >= 2)
    again = Comparison.joined(halves)
    assert (again.station, again.model, list(again.quantiles)) == ("hill", "gru", list(comparison.quantiles))
    for name in ("issued", "observed"):
        np.testing.assert_array_equal(getattr(again, name), getattr(comparison, name))
    for name, quantiles in comparison.quantiles.items():
        np.testing.assert_array_equal(again.quantiles[name], quantiles)
    with pytest.raises(ValueError, match="nothing to compare: no day has both a forecast and an observed tmax"):
        Comparison.joined([])


def test_forecasters_missing_in_a_part_are_left_out():
    """Guidance begins in the second fold, or ends before it."""
    parts = [compared(), compared(first="2024-01-04", guidance=True)]
    for order in (parts, parts[::-1]):
        joined = Comparison.joined(order)
        assert list(joined.quantiles) == ["persistence", "climatology", "gru"]
        assert {len(quantiles) for quantiles in joined.quantiles.values()} == {12}
