"""The manifest: what can be known of a model without opening it."""

import msgspec
import numpy as np
import pytest

from app.readers import Record
from app.store.manifest import LIBRARIES, Span
from app.training.train import train_station
from models.forecast.saved import FORMAT
from models.record.days import StationDays
from models.record.quality import SetAside
from models.verification.comparison import SEASONS
from tests.stations import QUICK


@pytest.fixture
def fixtures(days, trained, days_with_guidance, guided):
    """Records and their trainings: without further columns, and with."""
    return {(): (days, trained), ("next_wind", "guidance", "guidance_spread"): (days_with_guidance, guided)}


def test_manifest_describes_the_training(fixtures):
    for further, (days, training) in fixtures.items():
        manifest, held_out = training.manifest, training.trial.split.held_out
        assert (manifest.format, manifest.station, manifest.seed) == (FORMAT, "hill", 0)
        assert manifest.recipe == msgspec.to_builtins(QUICK)
        assert manifest.columns == ["tmax", "tmin", "rain", *further]
        assert manifest.neighbours == {}
        units = {"guidance": "degC", "guidance_spread": "degC", "next_wind": ""}
        assert manifest.units == {"tmax": "degC", "tmin": "degC", "rain": "mm"} | {n: units[n] for n in further}
        assert manifest.span == Span(str(days.first), str(days.last))
        assert manifest.trained_through == str(training.model.trained_through) == str(days.last)
        assert manifest.data_digest == Record("other", days).digest
        assert (manifest.rows.training, manifest.rows.held_out) == (training.trial.split.n_training, len(held_out))
        assert manifest.held_out == Span(str(days.dates[held_out[0]]), str(days.dates[held_out[-1]]))
        assert manifest.initial_weights is manifest.shared_corrector is None  # QUICK begins with random weights
        assert set(manifest.libraries) == {"python", *LIBRARIES}
    _, training = fixtures[()]
    assert (training.manifest.rows.training, training.manifest.rows.held_out) == (1014, 179)


def test_manifest_names_the_neighbours_and_their_columns(surrounded):
    manifest = surrounded.manifest
    assert manifest.columns == ["tmax", "tmin", "rain", "hail", "pressure"]
    assert manifest.neighbours == {"dale": ["pressure", "tmax"]}
    assert manifest.units == {"tmax": "degC", "tmin": "degC", "rain": "mm", "hail": "", "pressure": "hPa"}


def test_scores_are_those_of_the_held_out_days(fixtures):
    for further, (_, training) in fixtures.items():
        manifest = training.manifest
        assert manifest.model == "gru"
        assert manifest.scores == training.trial.comparison.scores()
        assert list(manifest.scores) == [
            "gru",
            "persistence",
            "climatology",
            *(["guidance", "emos"] if further else []),
        ]
        assert {scores.n for scores in manifest.scores.values()} == {manifest.rows.held_out}
        assert set(manifest.scores_by_season) <= set(SEASONS)
        assert sum(scores["gru"].n for scores in manifest.scores_by_season.values()) == manifest.rows.held_out
        # No score is missing, except the skill against guidance where there is none.
        missing = [name for name, score in msgspec.to_builtins(manifest.scores["gru"]).items() if score is None]
        assert missing == ([] if further else ["skill_guidance"])


def test_values_set_aside_by_reader_and_training_are_both_listed(days):
    suspect = StationDays(days.first, days.values.copy())
    suspect.values[20] = [50.0, np.nan, np.nan]
    impossible = SetAside(days.dates[3], "tmin", 99.0, "outside -90 to 57")
    manifest = train_station("hill", Record("hill", suspect, (impossible,)), QUICK, seed=0).manifest
    read, found = manifest.set_aside
    assert (read.date, read.column, read.value, read.reason) == (str(days.dates[3]), *impossible[1:])
    assert (found.date, found.column, found.value) == (str(days.dates[20]), "tmax", 50.0)
    assert found.reason
