"""The steps in C against the cells, and what happens where they are missing."""

import ctypes
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.nn import RecurrentNetwork, compiled
from models.nn.compiled import COMPILED
from tests.conftest import ROOT

needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler, and nothing is compiled")


@pytest.fixture
def reload():
    """Forget the loaded library, before and after."""
    compiled._loaded.cache_clear()
    yield
    compiled._loaded.cache_clear()


def everything(network, params, x, state):
    """All that the network can answer, flat: outputs, final state, and every gradient."""
    y, final, tape = network.forward(params, x, state)
    d_final = [tuple(np.sin(array) for array in layer) for layer in final]
    grads, d_x, d_state = network.backward(params, np.cos(y), tape, d_final)
    states = [array for layer in [*final, *d_state] for array in layer]
    return [y, network.predict(params, x, state), d_x, *states, *(grads[name] for name in params)]


@needs_compiler
def test_what_make_compiled_is_loaded():
    assert compiled.is_available()
    assert all(isinstance(compiled.compiled_layer(name, np.float32), compiled.CompiledLayer) for name in COMPILED)


def kinds():
    """The kinds of processor whose code runs on this one."""
    if not compiled.is_available():
        return []
    everyone = ["plain", "v3", "v4"]
    return everyone[: everyone.index(compiled.load().kind().decode()) + 1]


@needs_compiler
@pytest.mark.parametrize("kind", kinds())
@settings(max_examples=100, deadline=None)
@given(
    cell=st.sampled_from(COMPILED),
    B=st.one_of(st.integers(1, 40), st.sampled_from([15, 16, 17, 32, 33])),
    T=st.integers(1, 6),
    F=st.integers(1, 5),
    H=st.one_of(st.integers(1, 12), st.sampled_from([16, 17, 32])),
    L=st.integers(1, 2),
    output=st.sampled_from(["last", "every"]),
    seed=st.integers(0, 99),
)
def test_compiled_steps_agree_with_the_cells(kind, cell, B, T, F, H, L, output, seed):
    rng = np.random.default_rng(seed)
    network = RecurrentNetwork(cell, F, H, L, n_outputs=2, output=output)
    params = {k: (v + rng.normal(0, 0.3, v.shape)).astype("f4") for k, v in network.init(rng).items()}
    x = rng.normal(0, 2, (B, T, F)).astype("f4")
    state = [tuple(rng.normal(size=a.shape).astype("f4") for a in layer) for layer in network.initial_state(B)]
    layer = compiled.CompiledLayer(compiled.load(), cell, kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.nn.network.compiled_layer", lambda *_: layer)
        fast = everything(network, params, x, state)
    plain = everything(replace(network, compiled=False), params, x, state)
    for ours, theirs in zip(fast, plain, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * max(1, np.abs(theirs).max()))


@needs_compiler
def test_tanh_and_sigmoid_are_right_to_single_precision():
    a = np.concatenate([np.linspace(-12, 12, 20_001), [-1e30, 1e30, 0, 1e-30, -1e-6, np.inf, -np.inf]])
    a = a.astype("f4")[:, None, None]
    one = np.ones((1, 1), "f4")
    rnn = {"layer0.W": one, "layer0.U": 0 * one, "layer0.b": np.zeros(1, "f4"), "head.W": one, "head.b": 0 * one[0]}
    y = RecurrentNetwork("rnn", 1, 1).predict(rnn, a)
    np.testing.assert_allclose(y, np.tanh(a.astype(float))[:, 0], rtol=5e-7)
    # A GRU with n = tanh(0) = 0 and a state of 1 answers its update gate.
    gru = {"layer0.W": np.array([[0, 1, 0]], "f4"), "layer0.U": np.zeros((1, 3), "f4")}
    gru |= {"layer0.b": np.zeros(3, "f4"), "layer0.c": np.zeros(3, "f4"), "head.W": one, "head.b": 0 * one[0]}
    finite = a[np.isfinite(a[:, 0, 0])]
    gates = RecurrentNetwork("gru", 1, 1).predict(gru, finite, [(np.ones((len(finite), 1), "f4"),)])
    np.testing.assert_allclose(gates, (0.5 + 0.5 * np.tanh(0.5 * finite.astype(float)))[:, 0], atol=2e-7)


@needs_compiler
def test_a_value_that_is_no_number_stays_one():
    for cell in COMPILED:
        network = RecurrentNetwork(cell, 1, 3)
        params = network.init(np.random.default_rng(0))
        x = np.zeros((20, 4, 1), "f4")
        x[7, 2] = np.nan
        y = network.predict(params, x)
        assert np.isnan(y[7])
        assert np.isfinite(np.delete(y, 7)).all()


@pytest.mark.usefixtures("reload")
def test_without_the_library_the_cells_take_their_own_steps(monkeypatch, tmp_path):
    monkeypatch.setattr(compiled, "LIBRARY", tmp_path / "steps.so")
    network = RecurrentNetwork("gru", 2, 3)
    params = network.init(np.random.default_rng(0))
    x = np.ones((2, 4, 2), "f4")
    assert not compiled.is_available()
    np.testing.assert_array_equal(network.predict(params, x), replace(network, compiled=False).predict(params, x))


@pytest.mark.usefixtures("reload")
def test_a_file_that_is_no_library_is_left_alone(monkeypatch, tmp_path):
    (tmp_path / "steps.so").write_bytes(b"\x7fELF and nothing more")
    monkeypatch.setattr(compiled, "LIBRARY", tmp_path / "steps.so")
    assert not compiled.is_available()


@needs_compiler
@pytest.mark.usefixtures("reload")
def test_a_library_with_other_signatures_is_left_alone(monkeypatch, tmp_path):
    source = (ROOT / "models" / "nn" / "steps.c").read_text()
    changed = re.sub(r"interface_version\(void\) { return \d+; }", "interface_version(void) { return 99; }", source)
    assert changed != source
    (tmp_path / "steps.c").write_text(changed)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "steps.so", "steps.c"], cwd=tmp_path, check=True)
    assert ctypes.CDLL(str(tmp_path / "steps.so")).interface_version() == 99
    monkeypatch.setattr(compiled, "LIBRARY", tmp_path / "steps.so")
    assert not compiled.is_available()


def test_make_goes_on_without_a_compiler(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "models" / "nn").mkdir(parents=True)
    shutil.copy(ROOT / "models" / "nn" / "steps.c", tmp_path / "models" / "nn")
    done = subprocess.run(
        ["make", "models/nn/steps.so", "CC=no-such-compiler"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "NumPy alone" in done.stderr
    assert not list((tmp_path / "models" / "nn").glob("steps.so*"))
