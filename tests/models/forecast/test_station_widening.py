"""The distribution widens with missing values: by how much, and for which."""

from dataclasses import replace

import numpy as np
import pytest

from app.readers import read_record
from app.training.train import setup_for
from models.forecast.missing import MISSING_DECAY, SOURCES
from models.forecast.setup import Setup
from models.recipe import Recipe
from models.record.columns import COLUMNS, RAIN, TMAX, TMIN
from models.record.sequence import first_rows, issue_rows
from models.verification.trial import Trial
from tests.models.forecast.gaps import changed, width, with_gaps
from tests.stations import QUICK, ROOT, surrounded_days, synthetic_days

NAN = np.nan


# The columns of the model of `surrounded_days`, by source.
OF_SOURCES = (["tmax"], ["tmin"], ["rain"], ["hail", "pressure"], ["dale/pressure", "dale/tmax"])


def expected_factor(days, row, first, widening):
    """The factor on the scale, by a loop over the window: a value counts 0.7 of the next day's."""
    weights = MISSING_DECAY ** np.arange(QUICK.window)
    weights /= weights.sum()
    factor = 1.0
    for source, names in enumerate(OF_SOURCES):
        missing = 0.0
        for age in range(QUICK.window):
            of_day = [np.isnan(days.column(name)[row - age]) for name in names]
            missing += weights[age] * (1.0 if row - age < first else np.mean(of_day))
        # The widening is given for a missing latest value, and for none at all. The latest tmax is never missing.
        known = [weights[0], 1.0] if source != TMAX else [weights[1], 1.0 - weights[0]]
        factor += np.interp(missing, [0.0, *known], [0.0, *widening[source]])
    return factor


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5])
def test_the_scale_grows_by_the_weighted_share_of_missing_values(surrounded, share):
    """The same networks and days with two widenings; days before the sequence count as missing."""
    model, days = surrounded.model, surrounded_days()
    gappy, rng = with_gaps(days, share), np.random.default_rng(1)
    further = {name: np.where(rng.random(len(days)) < share, NAN, of) for name, of in days.further.items()}
    gappy = replace(gappy, further=further)
    rows = issue_rows(gappy, QUICK)[:200]
    first = first_rows(gappy, QUICK)[rows]
    widening = np.array([[0.2, 0.5], [0.2, 0.2], [0.0, 0.1], [0.1, 0.4], [0.3, 0.3]])
    none, much = (
        replace(model, calibration=replace(model.calibration, widening=w)).quantiles(gappy, rows)
        for w in (np.zeros_like(widening), widening)
    )
    expected = [expected_factor(gappy, *where, widening) for where in zip(rows, first, strict=True)]
    np.testing.assert_allclose(width(much) / width(none), expected)
    assert (np.array(expected[30:]) == 1.0).all() if not share else max(expected) > 1.1
    assert expected[0] > 1.0  # the first sequence is a day shorter than the window


def test_each_used_column_widens_and_no_other(trained, surrounded, days):
    assert (*COLUMNS, "further", "neighbours") == SOURCES
    model = surrounded.model
    assert (model.columns, model.neighbours) == ((*COLUMNS, "hail", "pressure"), {"dale": ("pressure", "tmax")})
    for widening in (model.calibration.widening, trained.model.calibration.widening[: len(COLUMNS)]):
        latest, everything = widening.T
        assert (latest >= 0).all()
        assert (everything >= latest).all()
        assert (everything > 0).all()
    assert not trained.model.calibration.widening[len(COLUMNS) :].any()
    dry = changed(days, (slice(None), RAIN, NAN))
    model = Trial.run("hill", dry, Setup(QUICK)).final()
    assert model.columns == ("tmax", "tmin")
    assert not model.calibration.widening[RAIN].any()
    # Rain that is observed now is not used, and where it is missing nothing is.
    np.testing.assert_array_equal(model.predict(days).distribution.quantiles, model.predict(dry).distribution.quantiles)
    assert model.predict(dry).filled == ()


def test_a_column_widens_by_what_it_is_worth():
    """After rain the next day is 4 degC colder; tmin, drawn at random, tells nothing."""
    days = synthetic_days(1500, seed=8)
    days.values[1:, TMAX] -= 4.0 * (days.values[:-1, RAIN] > 0)
    days.values[:, TMIN] = days.values[:, TMAX] - 20 + np.random.default_rng(0).normal(0, 3, len(days))
    recipe = Recipe(
        hidden=8, members=1, window=8, memory=0, epochs=12, initial_weights="random", learning_rate=1e-2, refit=False
    )
    widening = Trial.run("hill", days, Setup(recipe)).model.calibration.widening
    assert (widening[RAIN] > 0.06).all()
    assert (widening[TMIN] < 0.05).all()


@pytest.fixture(scope="module")
def seattle():
    """The embedded record, and one network of the default kind."""
    days = read_record(ROOT / "data" / "seattle.csv").days
    setup, _ = setup_for(Recipe(members=1), seed=0)
    return Trial.run("seattle", days, setup).final(), days


@pytest.mark.parametrize("column", [TMAX, TMIN, RAIN])
def test_intervals_are_wider_on_average_where_days_are_missing(seattle, column):
    """At a real station: filled gaps must not make the networks more certain."""
    model, days = seattle
    latest = 1 if column == TMAX else 0  # without the last tmax there is no forecast
    mean_width = {}
    for missing in (0, 1, 3, 8):
        widths = []
        for row in range(200, len(days), 24):
            end = 101 - latest
            part = changed(days.part(row - 100, row + 1), (slice(end - missing, end), column, NAN))
            widths.append(width(model.predict(part).distribution.quantiles))
        mean_width[missing] = np.mean(widths)
    assert all(mean_width[missing] > mean_width[0] for missing in (1, 3, 8)), mean_width
