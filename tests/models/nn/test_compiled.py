"""Compiled layers against NumPy, and what happens where the library is missing, damaged or out of date."""

import os
import shutil
import subprocess

import numpy as np
import pytest

from models.nn import CELLS, RecurrentNetwork, compiled
from models.nn.compiled import COMPILED, CompiledLayer
from models.nn.layer import NumpyLayer
from tests.models.nn.cases import BATCHES, UNITS, assert_all_close, compiled_layers, make_case
from tests.stations import ROOT

by_compiled_cell = pytest.mark.parametrize("cell", COMPILED)


def test_library_is_loaded_wherever_there_is_a_compiler():
    expected = "compiled" if shutil.which("cc") else "numpy"
    assert compiled.steps() == expected, "run: make models/nn/steps.sha256"
    for cell in CELLS:
        layer = compiled.compiled_layer(cell, np.float32)
        assert isinstance(layer, CompiledLayer) == (cell in COMPILED and expected == "compiled")
        assert compiled.compiled_layer(cell, np.float64) is None


def draw(cell, F, H, rng):
    """Draw the stacked weights of a layer."""
    params = RecurrentNetwork(cell, F, H).init(rng, np.float64)
    cell = CELLS[cell]
    return cell.stack({k: params[f"layer0.{k}"] + rng.normal(0, 0.3, params[f"layer0.{k}"].shape) for k in cell.names})


def run(layer, cell, arrays, dtype):
    """Return everything that a layer computes, by name."""
    stacked, x, h0, c0, d_h, *d_state = (array if array is None else array.astype(dtype) for array in arrays)
    n_states, every = CELLS[cell].n_states, len(d_h) > 1
    state, d_state = None if h0 is None else (h0, c0)[:n_states], d_state[:n_states]
    h, final, tape = layer.forward(stacked, x, state, every=every, keep=True)
    predicted, no_state, no_tape = layer.forward(stacked, x, state, every=every, keep=False)
    d_stacked, d_x, d_initial = layer.backward(stacked, tape, d_h, tuple(a.copy() for a in d_state), inputs=True)
    again, no_d_x, _ = layer.backward(stacked, tape, d_h, tuple(a.copy() for a in d_state), inputs=False)
    assert (no_state, no_tape, no_d_x) == ((), None, None)
    np.testing.assert_array_equal(again, d_stacked)
    results = {"h": h, "predicted": predicted, "d_x": d_x} | CELLS[cell].unstack(d_stacked)
    for part in range(n_states):
        results |= {f"final {part}": final[part], f"d_initial {part}": d_initial[part]}
    return results


@by_compiled_cell
def test_compiled_layers_agree_with_numpy_in_double_precision(cell):
    """At the edges of all blocks of sequences and units, for every kind of processor that this one can run."""
    rng, layers = np.random.default_rng(0), compiled_layers(cell)
    for B in BATCHES:
        for H in UNITS:
            T, F = (int(n) for n in rng.integers(1, 6, 2))
            zero_state, n_above = rng.random() < 0.2, rng.choice([1, T])
            state = [None if zero_state else rng.normal(size=(H, B)) for _ in range(2)]
            d_h, d_state = rng.normal(size=(n_above, H, B)), rng.normal(size=(2, H, B))
            arrays = draw(cell, F, H, rng), rng.normal(0, 2, (T, F, B)), *state, d_h, *d_state
            expected = run(NumpyLayer(CELLS[cell]), cell, arrays, np.float64)
            for layer in layers.values():
                actual = run(layer, cell, arrays, np.float32)
                assert {array.dtype for array in actual.values()} == {np.dtype(np.float32)}
                assert_all_close(actual, expected, 2e-5)


@by_compiled_cell
def test_sizes_do_not_overflow_32_bits(cell):
    """The numbers of floats for 2**32 inputs of a sequence, and more, by the layout that steps.c describes."""
    gates, page, c = {"rnn": (1, 0, 0), "lstm": (4, 5, 1), "gru": (4, 4, 0)}[cell]
    T, F, H = 2**20, 2**12, 5
    K = H + F + 1
    for kind, layer in compiled_layers(cell).items():
        lanes = {"plain": 4, "v3": 8, "v4": 16}[kind]
        for B, W, tiles in ((1, 1, 1), (2, lanes, 1), (33, lanes, -(-33 // lanes))):
            assert layer._memory(True, T, F, H, B) == tiles * W * ((T + 1) * (K + c * H) + T * page * H) > 2**31
            assert layer._memory(False, T, F, H, B) == W * (2 * (K + c * H) + page * H + T * F) > 2**31
            assert layer._scratch(2**33, H, B) == W * ((2 + 2 * gates) * H + 2**33)
        assert layer._memory(False, 1, 1, 1, 2**40) == layer._memory(False, 1, 1, 1, 2)


@by_compiled_cell
def test_tapes_that_do_not_fit_raise_value_error(cell):
    """Of another cell, of other sizes, of NumPy, or no tape at all: steps.c would read beyond their ends."""
    for kind, layer in compiled_layers(cell).items():

        def weights(cell, F, H):
            return np.full((H + F + 1, CELLS[cell].n_blocks * H), 0.1, "f4")

        def tape(cell=cell, T=4, F=3, B=5, H=6, layer=None, kind=kind, weights=weights):
            layer = layer or compiled_layers(cell)[kind]
            return layer.forward(weights(cell, F, H), np.ones((T, F, B), "f4"), None, every=True, keep=True)[2]

        def backward(tape, layer=layer, weights=weights):
            d_state = tuple(np.ones((6, 5), "f4") for _ in range(CELLS[cell].n_states))
            layer.backward(weights(cell, 3, 6), tape, np.ones((4, 6, 5), "f4"), d_state, inputs=True)

        backward(tape())
        others = [tape(other) for other in COMPILED if other != cell]
        others += [tape(H=H) for H in (1, 5, 7, 300)] + [tape(F=F) for F in (1, 2, 4, 300)]
        others += [tape(B=B) for B in (1, 4, 6, 300)] + [tape(T=T) for T in (1, 3)]
        for other in [*others, tape(layer=NumpyLayer(CELLS[cell])), tape().memory, None]:
            with pytest.raises(ValueError, match=r"does not fit a |needs the tape of its own forward pass"):
                backward(other)
        with pytest.raises(ValueError, match="a layer in NumPy needs the tape of its own forward pass"):
            backward(tape(), NumpyLayer(CELLS[cell]))
        for size in ({"H": 7}, {"F": 2}, {"B": 4}, {"T": 3}):
            with pytest.raises(ValueError, match="does not fit weights"):
                backward(tape(layer=NumpyLayer(CELLS[cell]), **size), NumpyLayer(CELLS[cell]))


@pytest.fixture
def copied(monkeypatch, tmp_path):
    """Let the library be loaded from a copy in ``tmp_path``."""
    for name in ("SOURCE", "LIBRARY", "DIGESTS"):
        file = getattr(compiled, name)
        if file.exists():
            shutil.copy(file, tmp_path)
        monkeypatch.setattr(compiled, name, tmp_path / file.name)
    compiled._loaded.cache_clear()
    yield tmp_path
    compiled._loaded.cache_clear()


def change(name, function):
    """Return a function that changes the bytes of a file of a folder; the file is replaced, as it may be loaded."""

    def damage(folder):
        changed = folder / "changed"
        changed.write_bytes(function((folder / name).read_bytes()))
        changed.replace(folder / name)

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        change("steps.c", lambda text: text + b"\n"),
        change("steps.so", lambda code: code[: len(code) // 2]),
        change("steps.so", lambda code: code[:1000]),
        change("steps.so", lambda _: b""),
        change("steps.so", lambda code: code + b"\0"),
        change("steps.sha256", lambda digests: digests[: len(digests) // 2]),
        change("steps.sha256", lambda digests: digests.replace(digests[:8], b"00000000")),
        change("steps.sha256", lambda _: b"\xff\xfe\x00"),
        lambda folder: (folder / "steps.so").unlink(missing_ok=True),
        lambda folder: (folder / "steps.sha256").unlink(missing_ok=True),
        lambda folder: (folder / "steps.c").unlink(),
        None,
    ],
    ids=[
        "source changed", "library cut in half", "library cut to its header", "library empty", "library changed",
        "digests cut in half", "other digest", "digests not text", "no library", "no digests", "no source",
        "other interface",
    ],
)  # fmt: skip
def test_numpy_runs_where_the_library_is_not_the_one_of_the_source(damage, copied, monkeypatch):
    """Loading some of these would kill the process."""
    case = make_case(RecurrentNetwork("gru", 2, 3), 5, 4, np.float32)
    before, intact = case.results(), compiled.steps()
    assert intact == ("compiled" if shutil.which("cc") else "numpy")
    compiled._loaded.cache_clear()
    if damage is None:
        monkeypatch.setattr(compiled, "INTERFACE_VERSION", compiled.INTERFACE_VERSION + 1)
    elif intact == "compiled":
        damage(copied)
    assert compiled.steps() == "numpy"
    after = case.results()
    assert after.bytes() == case.to(np.float32, compiled=False).results().bytes()
    assert_all_close(after.named(), before.named(), 1e-5)


def test_make_without_a_compiler_leaves_no_library_to_load(tmp_path):
    """Neither a new one nor, where the source has changed, the old one, which lacks its digests then."""
    folder = tmp_path / "models" / "nn"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(compiled.SOURCE, folder)
    for old in ("steps.so", "steps.sha256"):
        (folder / old).write_text("old")
        os.utime(folder / old, (0, 0))
    command = ["make", "models/nn/steps.sha256", "CC=no-such-compiler"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "the networks run on NumPy alone" in done.stderr
    assert sorted(file.name for file in folder.iterdir()) == ["steps.c", "steps.so"]
