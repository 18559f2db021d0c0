"""What is known of a model without opening it."""

import msgspec
import numpy as np
import pytest

from app.manifest import LIBRARIES, Manifest, Span
from app.readers import Record
from app.training import train_station
from models.station_days import SetAside, StationDays
from models.verification import SEASONS
from tests.conftest import QUICK, ROOT, synthetic_days


def test_it_says_how_the_model_came_to_be(trained, days):
    manifest, learned = trained.manifest, trained.learned
    assert (manifest.format, manifest.station, manifest.seed) == (2, "hill", 0)
    assert manifest.recipe == msgspec.to_builtins(QUICK)
    assert manifest.columns == ["tmax", "tmin", "rain"]
    assert manifest.span == Span(str(days.first), str(days.last))
    assert manifest.trained_through == str(learned.forecaster.trained_through) == str(days.last)
    assert (manifest.rows.training, manifest.rows.held_out) == (1014, 179)
    assert set(manifest.libraries) == {"python", *LIBRARIES}
    assert manifest.units == {"tmax": "degC", "tmin": "degC", "rain": "mm"}


def test_its_scores_are_those_of_the_held_out_days(trained):
    manifest, verification = trained.manifest, trained.learned.verification
    assert manifest.scores == verification.scores()
    assert list(manifest.scores) == ["gru", "persistence", "climatology"]
    assert manifest.scores["gru"].n == manifest.rows.held_out
    assert manifest.held_out == Span(str(verification.issued[0]), str(verification.issued[-1]))
    assert set(manifest.scores_by_season) <= set(SEASONS)
    assert sum(scores["gru"].n for scores in manifest.scores_by_season.values()) == manifest.rows.held_out
    # No score is missing in a new model, but the skill against guidance where there is none.
    scores = msgspec.to_builtins(manifest.scores["gru"])
    assert [name for name, score in scores.items() if score is None] == ["skill_guidance"]


def test_predictors_are_among_its_columns_with_their_units(guided):
    manifest = guided.manifest
    assert manifest.format == 3
    assert manifest.columns == ["tmax", "tmin", "rain", "guidance", "guidance_spread", "wind"]
    assert manifest.units == {
        "tmax": "degC", "tmin": "degC", "rain": "mm", "guidance": "degC", "guidance_spread": "degC", "wind": "",
    }  # fmt: skip
    assert list(manifest.scores) == ["gru", "persistence", "climatology", "guidance", "emos"]


def test_it_is_the_same_after_it_was_written(store, trained):
    read = store.manifest("hill", store.champion("hill"))
    assert msgspec.structs.replace(read, sha256="") == trained.manifest


def test_what_the_record_and_what_the_learning_set_aside_are_both_listed(days):
    doubtful = StationDays(days.first, days.values.copy())
    doubtful.values[20] = [50.0, np.nan, np.nan]
    impossible = SetAside(days.dates[3], "tmin", 99.0, "outside of -90 to 57")
    manifest = train_station("hill", Record("hill", doubtful, set_aside=[impossible]), QUICK, seed=0).manifest
    assert [(s.date, s.column, s.value) for s in manifest.set_aside] == [
        (str(days.dates[3]), "tmin", 99.0),
        (str(days.dates[20]), "tmax", 50.0),
    ]
    assert all(s.reason for s in manifest.set_aside)


def test_one_of_an_older_version_is_still_read():
    (file,) = (ROOT / "tests" / "artefacts" / "format-1").glob("store/hill/versions/*/manifest.json")
    manifest = msgspec.json.decode(file.read_bytes(), type=Manifest)
    assert manifest.format == 1
    assert manifest.held_out is None
    assert manifest.scores_by_season == {}
    assert manifest.rows.stopping > 0
    assert manifest.scores["gru"].mae > 0
    assert manifest.scores["gru"].within is None


def test_too_short_a_record_names_the_station():
    with pytest.raises(ValueError, match=r"^hill: 93 usable days are too few"):
        train_station("hill", Record("hill", synthetic_days(100)), QUICK, seed=0)
