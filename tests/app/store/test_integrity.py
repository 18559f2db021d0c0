"""The integrity check: every kind of damage is reported, and no work in progress."""

from app.store.integrity import verify
from app.store.pruning import prune
from models.forecast.saved import to_state
from tests.app.store.ageing import days
from tests.damage import flip_a_byte, model_file


def test_damage_is_reported_by_version(store, hill, publish):
    first, second = hill.champion(), publish(hill)
    hill.promote(second, "newer")
    assert verify(hill) == []
    model = model_file(store)
    flip_a_byte(model)
    (problem,) = verify(hill)
    assert problem.startswith(f"hill {second}: model of hill {second} does not match its manifest")
    model.unlink()
    assert verify(hill) == [f"hill {second}: model of hill {second} can't be read: No such file or directory"]
    model.mkdir()
    assert verify(hill) == [f"hill {second}: model of hill {second} can't be read: Is a directory"]
    manifest = model.with_name("manifest.json")
    manifest.unlink()
    assert verify(hill) == [f"hill {second}: station 'hill' has no version '{second}'"]
    manifest.mkdir()
    assert verify(hill) == [f"hill {second}: manifest of hill {second} can't be read: Is a directory"]
    hill.champion_file.unlink()
    assert verify(hill)[-1] == f"hill: no model of station 'hill' has been promoted in {store.root}"
    assert store.stations() == []
    assert store.all_names() == ["hill"]
    hill.champion_file.write_text(f"{first}\n")
    assert verify(hill)[-1].startswith(f"hill: the champion {first!r} does not match the last line of the history; if")


def test_model_that_a_server_would_refuse_is_reported(hill, trained):
    state = to_state(trained.model)
    errors = state["calibration"]["errors"]
    errors["quantiles"] = errors["quantiles"][:, ::-1]
    version = hill.publish(state, trained.manifest)
    assert verify(hill) == [f"hill {version}: the model's error quantiles do not ascend, or are not (12, 199)"]


def test_version_pruned_during_the_check_is_no_problem(aged, monkeypatch):
    first, *_ = aged.promote(300, 200, 100)
    load = aged.hill.load

    def load_after_pruning(version):
        prune(aged.hill, days(90))
        return load(version)

    monkeypatch.setattr(aged.hill, "load", load_after_pruning)
    assert verify(aged.hill) == []
    assert first not in aged.hill.versions()
