"""The store as a whole: its layout, the names of stations, the shared corrector, and read-only stores."""

from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.serving.champions import Champions
from app.store import SHARED, Store, StoreError, history
from app.store.integrity import verify
from app.store.pruning import prune, unneeded
from tests.app.store.ageing import days
from tests.app.store.steps import contents


def test_layout_on_disk(store, hill):
    (version,) = hill.versions()
    assert hill.folder == store.root / "hill"
    files = {str(path.relative_to(hill.folder)) for path in hill.folder.rglob("*") if path.is_file()}
    model, manifest = (f"versions/{version}/{name}" for name in ("model.joblib", "manifest.json"))
    assert files == {".lock", "champion", "history.jsonl", "history.head", model, manifest}
    (line,) = (hill.folder / "history.jsonl").read_bytes().splitlines()
    assert (hill.folder / "champion").read_text() == f"{version}\n"
    assert (hill.folder / "history.head").read_text() == history.digest(line)
    digest = hill.manifest(version).sha256
    assert digest == history.digest((hill.folder / model).read_bytes())
    assert version[-8:] == digest.removeprefix("sha256:")[:8]
    assert store.stations() == store.all_names() == ["hill"]


@given(st.text(st.characters(codec="utf-8"), max_size=70) | st.from_regex(r"[a-z0-9_./\-]{1,70}", fullmatch=True))
@example("")
@example("..")
@example("a/b")
@example("a\n")
@example("a" * 65)
@example("\uff41")  # a full-width letter a
@example(SHARED)
def test_station_names_stay_inside_the_store(tmp_path_factory, name):
    root = tmp_path_factory.getbasetemp() / "none"
    valid = (
        1 <= len(name) <= 64 and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.-") and name[0] not in "_.-"
    )
    if valid:
        folder = Store(root).station(name).folder
        assert folder.parent == root
        assert folder.resolve() == folder
    else:
        with pytest.raises(StoreError, match="is not a station name"):
            Store(root).station(name)
        if name != SHARED:
            with pytest.raises(StoreError, match="is not a station name"):
                Store(root).named(name)


@pytest.mark.parametrize("version", ["", "..", "../../hill/versions/x", "20300101T000000Z-0000000g"])
def test_version_names_stay_inside_the_store(hill, version):
    for use in (hill.load, hill.manifest, lambda name: hill.promote(name, "test")):
        with pytest.raises(StoreError, match="is not the name of a version"):
            use(version)


def test_unknown_stations_are_an_error_and_leave_no_trace(store, tmp_path):
    typo = store.station("typo")
    assert typo.versions() == []
    assert typo.champion_or_none() is None
    for use in (
        typo.history,
        lambda: typo.promote("20300101T000000Z-00000000", "test"),
        lambda: typo.rollback("test"),
        lambda: prune(typo, days(0)),
        lambda: unneeded(typo, days(0)),
    ):
        with pytest.raises(StoreError, match="there is no station 'typo'"):
            use()
    with pytest.raises(StoreError, match="no model of station 'typo' has been promoted"):
        typo.champion()
    with pytest.raises(StoreError, match="there is no station 'typo'"):
        typo.manifest("20300101T000000Z-00000000")
    assert not typo.folder.exists()
    nowhere = Store(tmp_path / "nowhere")
    assert nowhere.stations() == []
    with pytest.raises(StoreError, match="there is no store at"):
        nowhere.all_names()
    assert not nowhere.root.exists()


def test_shared_corrector_is_versioned_like_a_station_but_never_served(store, publish):
    version = publish(store.shared)
    store.shared.promote(version, "test")
    assert store.shared.folder == store.named(SHARED).folder == store.root / SHARED
    assert store.shared.champion() == version
    assert store.named("hill").folder == store.station("hill").folder
    assert store.stations() == ["hill"]
    assert store.all_names() == ["hill", SHARED]
    with pytest.raises(StoreError, match="is not a station name"):
        Champions(store).get(SHARED)


def test_read_only_store_refuses_every_write_and_creates_nothing(aged, tmp_path):
    first, second = aged.promote(300, 200)
    aged.publish(100)
    # An interrupted promotion, which a writer would complete, and leftovers, which a writer would remove.
    aged.hill.champion_file.write_text(f"{first}\n")
    (aged.hill.folder / "versions" / ".incoming-1").mkdir()
    (aged.hill.folder / ".lock").unlink()
    before = contents(aged.store.root)
    writes = (
        lambda station: station.publish(*aged.models[0]),
        lambda station: station.promote(second, "test"),
        lambda station: station.rollback("test"),
        lambda station: prune(station, days(0)),
        lambda station: station.check_writable(),
        lambda station: station.remove_leftovers(),
    )
    for root in (aged.store.root, tmp_path / "nowhere"):
        store = Store(root, read_only=True)
        for station, write in product((store.station("hill"), store.station("new"), store.shared), writes):
            with pytest.raises(StoreError, match=f"^the store at {root} is open read-only$"):
                write(station)
    # Everything can still be read.
    hill = Store(aged.store.root, read_only=True).station("hill")
    assert hill.champion() == hill.lineage()[0] == first
    assert len(hill.versions()) == 3
    assert [entry.version for entry in hill.history()] == [first, second]
    assert hill.load(second)[1] == hill.manifest(second)
    assert len(unneeded(hill, days(0))) == 1
    assert len(verify(hill)) == 1
    assert contents(aged.store.root) == before
    assert not (tmp_path / "nowhere").exists()


def test_problems_of_the_store_are_reported_before_a_training(store):
    for name in ("hill", "new"):
        store.station(name).check_writable()
    assert not store.station("new").folder.exists()
    (store.root / "hill" / "history.jsonl").write_bytes(b"?\n")
    with pytest.raises(history.BrokenHistory):
        store.station("hill").check_writable()
