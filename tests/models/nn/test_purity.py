"""Networks hold no state: threads share them, tapes stay valid, and nothing overflows or leaks between sequences."""

import copy
import dataclasses
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from models.nn import CELLS, RecurrentNetwork
from tests.models.nn.cases import by_cell, by_dtype, each, flat, make_case, named_gradients

THREADS = 4


def make(cell, dtype, B=17, T=7, seed=0, dropout=0.0):
    return make_case(RecurrentNetwork(cell, 5, 12, 2, 2, "every", dropout), B, T, dtype, seed)


@pytest.fixture
def eager_switching():
    """Let threads take turns as often as the interpreter can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("eager_switching")
@by_cell
@by_dtype
def test_threads_share_a_network_its_parameters_and_a_tape(cell, dtype):
    """Half of the batches are so long that compiled layers run at the same moment, in arrays of the same shapes."""
    shapes = [(33, 40), (33, 40), (1, 7), (6, 7)]
    batches = [make(cell, dtype, B, T)._replace(params=make(cell, dtype).params) for B, T in shapes]
    batches[1] = batches[1]._replace(x=batches[1].x + 1)
    alone = [batch.results().bytes() for batch in batches]
    shared = batches[2]
    _, _, tape = shared.forward()
    start = Barrier(THREADS)

    def run(i):
        start.wait(30)
        for _ in range(4):
            assert batches[i].results().bytes() == alone[i]
            gradients = named_gradients(*shared.backward(tape))
            assert {name: array.tobytes() for name, array in gradients.items()}.items() <= alone[2].items()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(run, range(THREADS)))


def attributes(thing):
    """Return the attributes of an object and those of its class."""
    return copy.deepcopy(getattr(thing, "__dict__", {})), {name: id(value) for name, value in vars(type(thing)).items()}


@by_cell
@by_dtype
def test_calls_depend_on_their_arguments_only_and_results_belong_to_the_caller(cell, dtype):
    """The same call or tape gives the same bytes again, after other calls and after results were overwritten."""
    case = make(cell, dtype, dropout=0.3)
    before = attributes(case.network), attributes(case.network.cell)
    first = case.results(seed=1).bytes()
    y, final, tape = case.forward(seed=1)
    overwrite([y, *flat(final)])
    case.network.init(np.random.default_rng(0))
    for B in (1, 17, 40):
        overwrite(make(cell, dtype, B, seed=2, dropout=0.3).results(seed=2).named().values())
    for _ in range(2):
        gradients = named_gradients(*case.backward(tape))
        assert {name: array.tobytes() for name, array in gradients.items()}.items() <= first.items()
        overwrite(gradients.values())
    grads, no_d_x, _ = case.backward(tape, inputs=False)
    assert no_d_x is None
    assert {name: array.tobytes() for name, array in grads.items()}.items() <= first.items()
    assert case.results(seed=1).bytes() == first
    assert case.results(seed=3).bytes() != first
    assert (attributes(case.network), attributes(case.network.cell)) == before
    for thing, (held, _) in zip((case.network, case.network.cell), before, strict=True):
        assert held.keys() == {field.name for field in dataclasses.fields(thing) if dataclasses.is_dataclass(thing)}


def overwrite(arrays):
    for array in arrays:
        array[...] = np.nan


@by_cell
def test_networks_are_immutable_values(cell):
    network, same = RecurrentNetwork(cell, 5, 12), RecurrentNetwork(cell, 5, 12)
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.n_hidden = 13
    assert network == same
    assert hash(network) == hash(same)
    assert network.cell is CELLS[cell]
    state = RecurrentNetwork(cell, 5, 12, 3).initial_state(4)
    assert [[(array.shape, array.dtype, array.any()) for array in layer] for layer in state] == [
        [((4, 12), np.float32, False)] * network.cell.n_states
    ] * 3


@by_cell
@pytest.mark.parametrize("layers", [1, 3])
def test_nothing_overflows_in_single_precision(cell, layers):
    """With inputs up to 1e6 and states of 1e6; unbounded cells grow no faster than the sum of their inputs."""
    unbounded = cell in ("rnn-relu", "rnn-identity")
    case = make_case(RecurrentNetwork(cell, 4, 16, layers, 2, "every"), 17, 40, np.float32)
    params = case.network.init(np.random.default_rng(0))
    case = case._replace(params={k: v * np.float32(0.5) for k, v in params.items()} if unbounded else params)
    signs = np.random.default_rng(0).choice([-1.0, 1.0, 0.5, 0.0], size=case.x.shape).astype(np.float32)
    large = each(lambda array: np.full_like(array, 1e6), case.state)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        for size, state in ((1e-30, None), (1.0, None), (1e3, None), (1e6, None), (1.0, large)):
            results = case._replace(x=np.float32(size) * signs, state=state).results()
            assert all(np.isfinite(array).all() for array in results.named().values())
            if not unbounded:
                assert np.abs(results.final[-1][0]).max() <= 1 or state
            elif state is None:
                assert np.abs(results.y).max() <= 40 * 4 * size


@by_cell
@by_dtype
@pytest.mark.parametrize("B", [1, 2, 17, 40])
def test_nan_stays_nan_from_its_step_on_and_in_its_row(cell, dtype, B):
    case, row = make(cell, dtype, B), np.arange(B) == B // 2
    clean = case.forward()[0]
    x = case.x.copy()
    x[row, 3, 1] = np.nan
    y, predicted = case._replace(x=x).forward()[0], case.network.predict(case.params, x, case.state)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(predicted))
    for outputs in (y, predicted):
        assert np.isnan(outputs[row, 3:]).all()
        np.testing.assert_allclose(outputs[row, :3], clean[row, :3], atol=1e-5)
        np.testing.assert_allclose(outputs[~row], clean[~row], atol=1e-5)
