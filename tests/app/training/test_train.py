"""The training of a station: what its manifest records, and what is refused."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from app.readers import Record
from app.store import Store
from app.training.pretrained import pretrained_weights
from app.training.shared import StoredCorrector
from app.training.train import train_station
from models.forecast.guidance.shared import SharedCorrector
from models.recipe import GuidanceRecipe, Recipe
from tests.stations import guided_days, synthetic_days

GUIDANCE = GuidanceRecipe(days=7, hidden=2, folds=2, members=1, epochs=1)
REFIT = Recipe(hidden=2, members=1, window=8, memory=7, epochs=1, initial_weights="random", guidance=GUIDANCE)
FAST = msgspec.structs.replace(REFIT, refit=False)


def trained_on(days, recipe=FAST, shared=None):
    return train_station("hill", Record("hill", days), recipe, 0, shared)


@pytest.fixture(scope="module")
def shared():
    """Fitted to a station of 300 days, the last 45 of them held out."""
    return StoredCorrector(SharedCorrector.fit([guided_days(300, wind=False)], REFIT), "sha256:shared")


class TestOrigin:
    @pytest.mark.parametrize("refit", [True, False])
    @pytest.mark.parametrize(
        ("days", "fits_trial", "fits_final"),
        [
            (guided_days(300, 5, wind=False), True, True),
            # Its first held-out day is among those that the shared corrector was trained on.
            (guided_days(299, 5, wind=False), False, True),
            (guided_days(310, 5, wind=True), False, False),  # a column more
            (synthetic_days(310), False, False),
        ],
        ids=["as long", "shorter", "other columns", "no guidance"],
    )
    def test_the_shared_corrector_is_recorded_where_the_served_model_continued_it(
        self, shared, days, fits_trial, fits_final, refit
    ):
        found = trained_on(days, msgspec.structs.replace(FAST, refit=refit), shared)
        used = fits_final if refit else fits_trial
        assert found.manifest.shared_corrector == ("sha256:shared" if used else None)
        assert getattr(found.model, "used_shared", False) == used
        assert found.manifest.initial_weights is None

    def test_a_shared_corrector_of_other_networks_is_not_recorded(self, shared):
        other = msgspec.structs.replace(REFIT, guidance=msgspec.structs.replace(GUIDANCE, hidden=3))
        assert trained_on(guided_days(310, 5, wind=False), other, shared).manifest.shared_corrector is None

    @pytest.mark.parametrize("refit", [True, False])
    def test_the_digest_of_pretrained_weights_is_recorded(self, refit):
        recipe = Recipe(epochs=1, members=1, refit=refit)
        manifest = trained_on(synthetic_days(200), recipe).manifest
        assert manifest.initial_weights == pretrained_weights(recipe)[1]
        assert manifest.initial_weights
        assert manifest.shared_corrector is None


def test_the_manifest_describes_trial_and_model():
    days = synthetic_days(300)
    for recipe in (FAST, REFIT):
        found = trained_on(days, recipe)
        split, manifest = found.trial.split, found.manifest
        assert (manifest.rows.training, manifest.rows.held_out) == (len(split.training), len(split.held_out))
        assert (manifest.held_out.first, manifest.held_out.last) == tuple(map(str, days.dates[split.held_out[[0, -1]]]))
        assert manifest.scores == found.trial.comparison.scores()
        assert manifest.trained_through == str(days.last if recipe.refit else days.dates[split.training[-1] + 1])
        assert manifest.data_digest == Record("hill", days).digest


def test_a_model_with_numbers_that_are_not_finite_is_not_promoted(tmp_path):
    found, store = trained_on(synthetic_days(200)), Store(tmp_path / "store")
    found.model.weights["member0.head.W"][0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        found.promote_in(store, "test")
    assert not store.root.exists()


def test_errors_name_the_station():
    days = synthetic_days(200)
    same = replace(days, further={"guidance": days.next_tmax})
    for unsuitable, reason in (
        (days.part(0, 50), "too few usable days"),
        (same, "guidance equals the next day's tmax"),
    ):
        with pytest.raises(ValueError, match=f"^hill: {reason}"):
            trained_on(unsuitable)
