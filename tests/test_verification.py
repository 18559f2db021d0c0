"""Forecasts beside what came."""

from dataclasses import replace

import numpy as np
import pytest

from models.intervals import PROBABILITIES
from models.verification import Scores, Verification

DAY = np.timedelta64(1, "D")


def verification(n=6, first="2023-12-29", station="hill"):
    """Medians 10, 11, ...; each quantile 0.1 degC from the next. Observed is the median but for a known error."""
    medians = 10.0 + np.arange(n)
    model = medians[:, None] + 0.1 * (np.arange(199) - 99)
    errors = np.resize([0.0, -2.5, 1.0, 6.0, -0.5, 9.95], n)
    today = np.full((n, 199), 12.0)
    return Verification(
        station,
        np.datetime64(first) + np.arange(n) * DAY,
        medians - errors,
        {"gru": model, "persistence": today, "climatology": today - 3},
    )


def test_the_model_comes_first_and_points_are_medians():
    v = verification()
    assert v.model == "gru"
    np.testing.assert_allclose(v.points["gru"], 10.0 + np.arange(6))
    np.testing.assert_allclose(v.points["climatology"], 9.0)


@pytest.mark.parametrize(("level", "below"), [(0.8, 0.1), (0.9, 0.05), (0.5, 0.25), (0.95, 0.025), (0.99, 0.005)])
def test_the_ends_of_an_interval_are_quantiles(level, below):
    """The quantile of p is 20 p - 10 degC off the median here."""
    low, high = verification().interval("gru", level)
    np.testing.assert_allclose(low, 10.0 + np.arange(6) + 20 * below - 10)
    np.testing.assert_allclose(high, 10.0 + np.arange(6) - 20 * below + 10)


def test_scores_worked_by_hand():
    """Errors 0, -2.5, 1, 6, -0.5 and 9.95; intervals of 80 % reach 8 degC to either side, of 90 % 9 degC."""
    scores = verification().scores()["gru"]
    errors = np.array([0.0, -2.5, 1.0, 6.0, -0.5, 9.95])
    assert scores.n == 6
    assert scores.mae == pytest.approx(np.abs(errors).mean())
    assert scores.rmse == pytest.approx(np.sqrt((errors**2).mean()))
    assert scores.bias == pytest.approx(errors.mean())
    assert scores.standard_deviation == pytest.approx(errors.std())
    assert scores.percentiles == pytest.approx(np.percentile(errors, (5, 25, 50, 75, 95)), abs=1e-4)
    assert scores.within == pytest.approx([3 / 6, 3 / 6, 4 / 6])
    assert scores.missed == pytest.approx(2 / 6)
    assert (scores.coverage_80, scores.coverage_90) == pytest.approx((5 / 6, 5 / 6))
    assert scores.interval_score_80 == pytest.approx(16 + 2 / 0.2 * 1.95 / 6)
    assert sum(scores.pit) == pytest.approx(1, abs=1e-3)
    assert scores.pit[0] == pytest.approx(1 / 6, abs=1e-4)  # the observation far below
    assert 0 < scores.crps < scores.mae


def test_skills_are_against_persistence_and_climatology():
    scores = verification().scores()
    assert scores["persistence"].skill == scores["climatology"].skill_climatology == 0
    assert scores["gru"].skill == pytest.approx(1 - scores["gru"].mae / scores["persistence"].mae)
    assert scores["gru"].skill_climatology == pytest.approx(1 - scores["gru"].mae / scores["climatology"].mae)


def guided(**given):
    v = verification(**given)
    said = v.points["gru"][:, None] + 0.1 * (np.arange(199) - 99)
    return replace(v, quantiles=v.quantiles | {"guidance": said + 1, "emos": said})


def test_where_there_is_guidance_skill_is_against_it_too():
    v = guided()
    scores = v.scores()
    assert v.references == ("guidance", "persistence", "climatology")
    assert scores["guidance"].skill_guidance == 0
    for s in scores.values():
        assert s.skill_guidance == pytest.approx(1 - s.mae / scores["guidance"].mae)
        assert s.skills == {
            "guidance": s.skill_guidance, "persistence": s.skill, "climatology": s.skill_climatology
        }  # fmt: skip
        assert list(s.skills) == list(v.references)


def test_without_guidance_nothing_is_against_it():
    v = verification()
    assert v.references == ("persistence", "climatology")
    for name, s in v.scores().items():
        assert s.skill_guidance is None
        assert list(s.skills) == ["persistence", "climatology"]
        # Beside guidance the other scores are the same.
        assert replace(guided().scores()[name], skill_guidance=None) == s


def test_a_sure_forecast_has_the_crps_of_its_absolute_error():
    scores = verification().scores()["persistence"]
    assert scores.crps == pytest.approx(scores.mae)
    assert scores.coverage_80 == scores.coverage_90


def test_months_and_seasons_are_those_of_the_valid_day():
    """Issued on 31 December for 1 January; on the last day of February for 1 March."""
    v = verification(n=64)
    assert v.months[:4].tolist() == [12, 12, 1, 1]
    seasons = v.seasons()
    assert list(seasons) == ["Dec-Feb", "Mar-May"]
    assert str(seasons["Mar-May"].issued[0]) == "2024-02-29"
    assert len(seasons["Dec-Feb"].issued) + len(seasons["Mar-May"].issued) == 64


def test_the_seasons_share_out_every_day_of_a_year():
    v = verification(n=366, first="2024-01-01")
    seasons = v.seasons()
    assert list(seasons) == ["Dec-Feb", "Mar-May", "Jun-Aug", "Sep-Nov"]
    issued = np.concatenate([part.issued for part in seasons.values()])
    np.testing.assert_array_equal(np.sort(issued), v.issued)
    n, mae = (np.array([getattr(part.scores()["gru"], name) for part in seasons.values()]) for name in ("n", "mae"))
    assert (n * mae).sum() / n.sum() == pytest.approx(v.scores()["gru"].mae)


def test_a_part_takes_its_rows_of_everything():
    v = verification()
    for rows in (np.array([1, 4]), np.isin(np.arange(6), [1, 4])):
        part = v.part(rows)
        assert part.station == "hill"
        np.testing.assert_array_equal(part.observed, v.observed[[1, 4]])
        np.testing.assert_array_equal(part.issued, v.issued[[1, 4]])
        np.testing.assert_array_equal(part.quantiles["gru"], v.quantiles["gru"][[1, 4]])


def test_joined_parts_are_the_whole():
    v = verification()
    again = Verification.joined([v.part(np.arange(2)), v.part(np.arange(2, 6))])
    np.testing.assert_array_equal(again.issued, v.issued)
    np.testing.assert_array_equal(again.observed, v.observed)
    assert list(again.quantiles) == list(v.quantiles)
    assert again.scores() == v.scores()
    with pytest.raises(ValueError, match="no day on which a forecast could be made"):
        Verification.joined([])


def test_who_is_not_in_every_part_is_left_out():
    """Guidance begins in the second fold, or ends before it."""
    plain, later = verification(), guided(first="2024-01-04")
    for parts in ([plain, later], [later, plain]):
        joined = Verification.joined(parts)
        assert list(joined.quantiles) == ["gru", "persistence", "climatology"]
        assert {len(quantiles) for quantiles in joined.quantiles.values()} == {12}
    assert list(Verification.joined([later, later]).quantiles) == list(later.quantiles)


def test_what_an_older_model_lacks_is_none():
    old = Scores(n=3, mae=1.0, rmse=1.2, bias=0.1, skill=0.2, crps=0.8, coverage_80=0.8, coverage_90=0.9)
    assert (old.skill_climatology, old.within, old.pit, old.skill_guidance) == (None, None, None, None)
    assert old.skills == {"persistence": 0.2}


def test_the_quantiles_are_where_the_odds_are_kept():
    assert len(PROBABILITIES) == verification().quantiles["gru"].shape[1]
