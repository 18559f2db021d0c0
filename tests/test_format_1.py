"""Models of format 1 are trained no more, and served for ever: what they promised still holds.

The model is the one that was kept (`tests.artefacts`), from a version of this program that trained them.
"""

import copy

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings import Settings
from app.store import Store
from app.verification import verify
from app.web import create_app
from app.web.shelf import Shelf
from models import forecaster, format_1
from models.climatology import day_of_year, season
from models.forecast import SequenceError
from models.format_1 import Filling
from models.formats import from_state
from models.station_days import COLUMNS, ONE_DAY, StationDays
from tests.conftest import ROOT, observations

NAN = np.nan
FOLDER = ROOT / "tests" / "artefacts" / "format-1"
EXPECTED = msgspec.json.decode((FOLDER / "expected.json").read_bytes())


def station_days(tmax, tmin=None, rain=None):
    n = len(tmax)
    columns = [tmax, tmin or [NAN] * n, rain or [NAN] * n]
    return StationDays(np.datetime64("2024-01-01", "D"), np.array(columns, dtype=float).T)


@pytest.fixture(scope="module")
def store():
    return Store(FOLDER / "store")


@pytest.fixture
def state(store):
    return store.load("hill", store.champion("hill"))[0]


@pytest.fixture
def model(state):
    return from_state(state)


@pytest.fixture
def recent():
    values = np.array(EXPECTED["values"], dtype=float)
    return StationDays.on_calendar(np.array(EXPECTED["dates"], dtype="M8[D]"), values)


def test_its_own_reader_is_chosen(model, trained):
    assert isinstance(model, format_1.Forecaster)
    assert isinstance(from_state(trained.learned.forecaster.to_state()), forecaster.Forecaster)


@pytest.mark.parametrize("number", [0, 4, None, "1"])
def test_a_format_that_nobody_knows_is_refused(state, number):
    with pytest.raises(ValueError, match=f"format {number} of the model is not known here: 1 to 3 are"):
        from_state(dict(state) | {"format": number})
    with pytest.raises(ValueError, match="format None"):
        from_state({})


def test_it_is_whole_and_served(store, recent):
    assert verify(store, "hill") == []
    assert not Shelf(store).get("hill").refused
    client = create_app(Settings(store=store.root)).test_client()
    answer = client.post("/predict", json={"observations": observations(recent)}).json
    assert answer["tmax"] == pytest.approx(EXPECTED["tmax"], abs=0.01)
    assert answer["intervals"][1]["low"] == pytest.approx(EXPECTED["interval_90"][0], abs=0.01)
    described = client.get("/models/hill").json
    assert described["window"] == {"min_days": 7, "recommended_days": 14}
    assert described["recipe"]["patience"] == 8
    assert described["rows"]["stopping"] > 0
    assert described["scores"]["gru"]["mae"] > 0
    assert described["scores"]["gru"].get("within") is None  # nobody measured it then
    assert client.get("/readyz").json["degraded"] == {}


def test_a_new_model_takes_its_place_and_can_be_rolled_back(store, tmp_path, trained, recent):
    own = Store(tmp_path / "store")
    old_state, manifest = store.load("hill", store.champion("hill"))
    assert old_state["format"] == 1
    source = store.root / "hill" / "versions" / store.champion("hill")
    target = own.root / "hill" / "versions" / source.name
    target.mkdir(parents=True)
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    own.promote("hill", source.name, "kept")
    newer = trained.publish_and_promote(own, "newer")
    shelf = Shelf(own)
    assert shelf.get("hill").version == newer
    own.rollback("hill", "the old one after all")
    served = Shelf(own).get("hill")
    assert (served.version, served.manifest.sha256) == (source.name, manifest.sha256)
    assert served.forecaster.predict(recent).tmax == pytest.approx(EXPECTED["tmax"], abs=1e-4)


def test_the_odds_are_one_distribution(model, recent):
    forecast = model.predict(recent)
    lows, highs = np.array([forecast.interval(level) for level in np.linspace(0.05, 0.99, 40)]).T
    assert (np.diff(lows) <= 0).all()
    assert (np.diff(highs) >= 0).all()
    assert forecast.exceedance(forecast.tmax) == pytest.approx(0.5)
    assert forecast.exceedance(forecast.interval(0.8)[0]) == pytest.approx(0.9)
    assert forecast.valid - forecast.issued == ONE_DAY


def test_days_before_the_window_do_not_matter(model, recent):
    longer = StationDays(recent.first - 50 * ONE_DAY, np.vstack([np.full((50, 3), 7.0), recent.values]))
    assert model.predict(longer).tmax == model.predict(recent).tmax


class TestMissingValues:
    def test_filled_values_are_named(self, model, recent):
        recent.values[3, 0] = recent.values[5, 1] = recent.values[13, 2] = NAN
        filled = [(str(day), column) for day, column in model.predict(recent).filled]
        assert filled == list(zip([str(recent.dates[row]) for row in (3, 5, 13)], COLUMNS, strict=True))

    def test_the_last_tmax_is_needed(self, model, recent):
        recent.values[-1, 0] = NAN
        with pytest.raises(SequenceError, match="tmax of the last day") as caught:
            model.predict(recent)
        assert caught.value.date == recent.last

    def test_too_long_a_gap(self, model, recent):
        recent.values[4:10, 0] = NAN  # six days, one more than the recipe fills
        with pytest.raises(SequenceError, match="more than 5 days in a row") as caught:
            model.predict(recent)
        assert caught.value.date == recent.dates[4]
        recent.values[4, 0] = 10.0
        model.predict(recent)

    def test_too_few_days(self, model, recent):
        model.predict(recent.part(7, 14))
        with pytest.raises(SequenceError, match="at least 7"):
            model.predict(recent.part(8, 14))

    def test_the_sequence_begins_with_the_first_tmax(self, model, recent):
        shorter = model.predict(recent.part(5, 14))
        recent.values[:5, 0] = NAN
        forecast = model.predict(recent)
        assert (forecast.tmax, forecast.days, forecast.filled) == (shorter.tmax, 9, ())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("weights"), "malformed"),
        (lambda s: s["recipe"].update(hidden=9), "not those of its recipe"),
        (lambda s: s["recipe"].update(cell="none"), "malformed"),
        (lambda s: s["recipe"].update(members=4), "malformed"),
        (lambda s: s["weights"].update({"head.b": np.array([np.nan])}), "not finite"),
        (lambda s: s["errors"].update(quantiles=s["errors"]["quantiles"][::-1]), "do not ascend"),
        (lambda s: s["errors"].update(quantiles=np.zeros(3)), "do not ascend"),
        (lambda s: s["change"].update(scale=np.inf), "not finite"),
    ],
)
def test_a_state_that_no_training_made_is_refused(state, change, message):
    state = copy.deepcopy(state)
    change(state)
    with pytest.raises(ValueError, match=message):
        from_state(state)


class TestFilling:
    def test_a_short_gap_is_interpolated_and_a_long_one_is_not(self):
        days = station_days([1, NAN, NAN, 4, NAN, NAN, NAN, 8])
        filled = Filling(diurnal_range=6.0, rain=0.5).fill(days, max_gap=2)
        np.testing.assert_allclose(filled[:, 0], [1, 2, 3, 4, NAN, NAN, NAN, 8])
        np.testing.assert_allclose(filled[:, 1], filled[:, 0] - 6.0)
        assert (filled[:, 2] == 0.5).all()

    def test_the_ends_are_never_invented(self):
        filled = Filling(5.0, 0.0).fill(station_days([NAN, 2, 3, NAN]), max_gap=9)
        np.testing.assert_array_equal(np.isnan(filled[:, 0]), [True, False, False, True])

    @given(st.lists(st.one_of(st.none(), st.floats(-40, 50)), min_size=1, max_size=40), st.integers(0, 6))
    def test_it_changes_no_observation_and_fills_no_more_than_it_may(self, tmax, max_gap):
        series = np.array([NAN if v is None else v for v in tmax])
        filled = Filling(0.0, 0.0).fill(station_days(series.tolist()), max_gap)[:, 0]
        seen = ~np.isnan(series)
        np.testing.assert_array_equal(filled[seen], series[seen])
        run = 0
        for index, is_seen in enumerate(seen):
            run = 0 if is_seen else run + 1
            if run > max_gap:
                assert np.isnan(filled[index - run + 1 : index + 1]).all()
        inside = filled[~np.isnan(filled)]
        if seen.any():
            assert inside.min() >= series[seen].min() - 1e-9
            assert inside.max() <= series[seen].max() + 1e-9


def test_each_row_bears_the_season_of_the_next_day():
    dates = np.arange("2023-01-01", "2024-01-02", dtype="M8[D]")
    table = format_1._feature_table(dates, np.ones((len(dates), 3)), ("tmax", "rain"))
    np.testing.assert_allclose(table[:-1, 2:], season(day_of_year(dates[1:])))
    np.testing.assert_allclose(table[:, 1], np.log(2))
