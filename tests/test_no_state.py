"""Nothing is remembered on an object, nothing that is given is changed, and nothing overflows."""

import copy
import dataclasses
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from models.nn import CELLS, RecurrentNetwork, squared_error

THREADS = 8
ROUNDS = 20
DTYPES = [np.float32, np.float64]
UNBOUNDED = ["rnn-relu", "rnn-identity"]

by_cell = pytest.mark.parametrize("cell", CELLS)
by_dtype = pytest.mark.parametrize("dtype", DTYPES)


def make(cell, dtype, output="every", dropout=0.0):
    """A network, its parameters, and a batch for each thread; two threads each have batches of one size."""
    rng = np.random.default_rng(3)
    network = RecurrentNetwork(cell, 5, 12, 2, 2, output, dropout)
    params = {k: v + rng.normal(0, 0.1, v.shape).astype(dtype) for k, v in network.init(rng, dtype).items()}
    batches = [rng.normal(size=(1 + 5 * (i // 2), 7, 5)).astype(dtype) for i in range(THREADS)]
    return network, params, batches


def work(network, params, x, seed=None):
    """Return the bytes of all that a network has to say about a batch."""
    y, final, tape = network.forward(params, x, rng=None if seed is None else np.random.default_rng(seed))
    loss, d_y = squared_error(y, np.ones_like(y))
    grads, d_x, d_state = network.backward(params, d_y, tape)
    states = [array for layer in [*final, *d_state] for array in layer]
    results = [y, d_x, network.predict(params, x), *grads.values(), *states]
    assert all(np.isfinite(array).all() for array in results)
    return [loss, *(array.tobytes() for array in results)]


def attributes(thing):
    """Return what an object holds, and what its class does."""
    return copy.deepcopy(getattr(thing, "__dict__", {})), {name: id(value) for name, value in vars(type(thing)).items()}


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
def test_eight_threads_get_the_bytes_of_one(cell, dtype):
    """One network and one dictionary of parameters; each thread has its own batch."""
    network, params, batches = make(cell, dtype)
    alone = [work(network, params, x) for x in batches]
    before = {name: value.tobytes() for name, value in params.items()}, [x.tobytes() for x in batches]
    start = Barrier(THREADS)

    def many_rounds(i):
        start.wait(30)
        return [work(network, params, batches[i]) == alone[i] for _ in range(ROUNDS)]

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(all(same) for same in pool.map(many_rounds, range(THREADS)))
    assert ({name: value.tobytes() for name, value in params.items()}, [x.tobytes() for x in batches]) == before


@by_cell
def test_threads_at_the_same_moment_do_not_share_their_workings(cell):
    """Sequences so long that whatever runs without the interpreter's lock does run at once, in arrays of one shape."""
    network, params, _ = make(cell, np.float32)
    batches = np.random.default_rng(4).normal(size=(4, 33, 150, 5)).astype(np.float32)
    alone = [work(network, params, x) for x in batches]
    start = Barrier(len(batches))

    def many_rounds(i):
        start.wait(30)
        return [work(network, params, batches[i]) == alone[i] for _ in range(10)]

    with ThreadPoolExecutor(len(batches)) as pool:
        assert all(all(same) for same in pool.map(many_rounds, range(len(batches))))


@pytest.mark.usefixtures("eager_switching")
@by_cell
def test_threads_share_one_tape(cell):
    """`backward` only reads it."""
    network, params, batches = make(cell, np.float32)
    y, _, tape = network.forward(params, batches[-1])

    def back(_):
        grads, d_x, _ = network.backward(params, y, tape)
        return [d_x.tobytes(), *(gradient.tobytes() for gradient in grads.values())]

    with ThreadPoolExecutor(THREADS) as pool:
        expected = back(0)
        assert all(result == expected for result in pool.map(back, range(4 * THREADS)))


@by_cell
@by_dtype
def test_a_tape_outlives_later_calls(cell, dtype):
    network, params, batches = make(cell, dtype)
    y, final, tape = network.forward(params, batches[4])
    held = [array.tobytes() for array in (y, *(array for layer in final for array in layer))]
    grads, _, _ = network.backward(params, y, tape)
    expected = {name: gradient.tobytes() for name, gradient in grads.items()}
    for x in batches:
        work(network, params, 2 * x)
    assert [array.tobytes() for array in (y, *(array for layer in final for array in layer))] == held
    assert {name: gradient.tobytes() for name, gradient in grads.items()} == expected
    again, _, _ = network.backward(params, y, tape)
    assert {name: gradient.tobytes() for name, gradient in again.items()} == expected


@by_cell
@by_dtype
@pytest.mark.parametrize("output", ["last", "every"])
def test_the_same_call_gives_the_same_bytes_whatever_was_called_between(cell, dtype, output):
    network, params, batches = make(cell, dtype, output, dropout=0.3)
    first = work(network, params, batches[2], seed=1)
    for x in batches:
        work(network, params, 100 * x, seed=2)
    assert work(network, params, batches[2], seed=1) == first
    assert work(network, params, batches[2], seed=2) != first


@by_cell
@by_dtype
def test_no_call_leaves_anything_on_the_network_or_its_cell(cell, dtype):
    """They hold their fields and nothing else, and the same ones after every kind of call."""
    network, params, batches = make(cell, dtype, dropout=0.3)
    before = attributes(network), attributes(network.cell)
    network.init(np.random.default_rng(0))
    network.initial_state(3)
    work(network, params, batches[0], seed=0)
    assert (attributes(network), attributes(network.cell)) == before
    for thing, (held, _) in zip((network, network.cell), before, strict=True):
        fields = dataclasses.fields(thing) if dataclasses.is_dataclass(thing) else ()
        assert held.keys() == {field.name for field in fields}


@by_cell
def test_a_network_cannot_be_changed(cell):
    network = RecurrentNetwork(cell, 5, 12)
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.n_hidden = 13
    assert network == RecurrentNetwork(cell, 5, 12)
    assert hash(network) == hash(RecurrentNetwork(cell, 5, 12))
    assert network.cell is CELLS[cell]


@by_cell
@by_dtype
def test_nothing_that_is_given_is_modified(cell, dtype):
    """Parameters, inputs, the initial state, the gradients of outputs and final state; every one may be read-only."""
    network, params, batches = make(cell, dtype, dropout=0.3)
    x = batches[5]
    state = [tuple(np.full_like(array, 0.5) for array in layer) for layer in network.initial_state(len(x), dtype)]
    d_y = np.ones((len(x), 7, 2), dtype)
    d_final = [tuple(np.full_like(array, 0.25) for array in layer) for layer in state]
    given = [*params.values(), x, d_y, *(array for layer in state + d_final for array in layer)]
    before = [array.tobytes() for array in given]
    for array in given:
        array.flags.writeable = False
    _, _, tape = network.forward(params, x, state, np.random.default_rng(0))
    network.backward(params, d_y, tape, d_final)
    network.predict(params, x, state)
    assert [array.tobytes() for array in given] == before


@by_cell
@by_dtype
def test_what_was_returned_is_the_caller_s_own(cell, dtype):
    """To write on outputs, states and gradients changes neither the tape nor the parameters nor a later call."""
    network, params, batches = make(cell, dtype)
    x = batches[3]
    expected = work(network, params, x)
    y, final, tape = network.forward(params, x)
    _, d_y = squared_error(y, np.ones_like(y))
    reference, _, _ = network.backward(params, d_y, tape)
    reference = {name: gradient.copy() for name, gradient in reference.items()}
    for array in [y, *(array for layer in final for array in layer)]:
        array[...] = np.nan
    grads, d_x, d_state = network.backward(params, d_y, tape)
    for name, gradient in grads.items():
        np.testing.assert_array_equal(gradient, reference[name], name)
    for array in [*grads.values(), d_x, *(array for layer in d_state for array in layer)]:
        array[...] = np.nan
    again, _, _ = network.backward(params, d_y, tape)
    for name, gradient in again.items():
        np.testing.assert_array_equal(gradient, reference[name], name)
    assert work(network, params, x) == expected


@by_cell
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e3, 1e6])
def test_inputs_up_to_a_million_overflow_nothing(cell, layers, size):
    """In single precision, warnings being errors; what has no bound grows no faster than the sum of its inputs."""
    rng = np.random.default_rng(0)
    network = RecurrentNetwork(cell, 4, 16, layers, 2, "every")
    params = network.init(rng)
    if cell in UNBOUNDED:
        params = {name: value * np.float32(0.5) for name, value in params.items()}
    x = (size * rng.choice([-1.0, 1.0, 0.5, 0.0], size=(17, 40, 4))).astype(np.float32)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        y, final, tape = network.forward(params, x)
        grads, d_x, d_state = network.backward(params, np.ones_like(y), tape)
        predicted = network.predict(params, x)
    states = [array for layer in [*final, *d_state] for array in layer]
    for array in [y, predicted, d_x, *grads.values(), *states]:
        assert np.isfinite(array).all()
    if cell in UNBOUNDED:
        assert np.abs(y).max() <= 40 * 4 * max(size, 1e-30)
    else:
        assert np.abs(final[-1][0]).max() <= 1


@by_cell
def test_states_of_a_million_overflow_nothing(cell):
    network, params, batches = make(cell, np.float32)
    x = batches[5]
    state = [tuple(np.full_like(array, 1e6) for array in layer) for layer in network.initial_state(len(x))]
    y, _, tape = network.forward(params, x, state)
    grads, d_x, d_state = network.backward(params, np.ones_like(y), tape)
    for array in [y, d_x, *grads.values(), *(array for layer in d_state for array in layer)]:
        assert np.isfinite(array).all()


@by_cell
@by_dtype
@pytest.mark.parametrize("B", [1, 2, 16, 17, 40])
def test_a_missing_number_is_not_swallowed_and_stays_in_its_row(cell, dtype, B):
    """NaN in, NaN out, from its step on; no neighbour sees it."""
    network, params, _ = make(cell, dtype)
    x = np.random.default_rng(0).normal(size=(B, 7, 5)).astype(dtype)
    clean = network.predict(params, x)
    x[B // 2, 3, 1] = np.nan
    neighbours = np.arange(B) != B // 2
    for y in (network.predict(params, x), network.forward(params, x)[0]):
        assert np.isnan(y[B // 2, 3:]).all()
        np.testing.assert_allclose(y[B // 2, :3], clean[B // 2, :3], atol=1e-5)
        np.testing.assert_allclose(y[neighbours], clean[neighbours], atol=1e-5)
