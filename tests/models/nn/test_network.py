"""Networks of every cell and shape against the oracle, in parts, in both precisions and in any memory layout."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.nn import RecurrentNetwork, predict_rows
from models.nn.compiled import COMPILED
from tests.models.nn import oracle
from tests.models.nn.cases import (
    assert_all_close,
    assert_close,
    by_cell,
    by_dtype,
    cases,
    each,
    flat,
    make_case,
    wave,
)

TOLERANCE = {np.float64: 1e-10, np.float32: 1e-5}


@by_cell
@settings(max_examples=25)
@given(data=st.data())
def test_outputs_and_final_states_match_the_oracle_for_every_shape(cell, data):
    """The first and the last row, computed with the others; without a state it begins with zeros."""
    case = data.draw(cases(cell))
    network, dtype = case.network, case.x.dtype
    tolerance, B, T = TOLERANCE[dtype.type], *case.x.shape[:2]
    zeros = network.initial_state(B, dtype)
    if data.draw(st.booleans(), "zero state"):
        case = case._replace(state=None)
    y, final, _ = case.forward()
    predicted = network.predict(case.params, case.x, case.state)
    outputs = (B, network.n_outputs) if network.output == "last" else (B, T, network.n_outputs)
    assert y.shape == predicted.shape == outputs
    assert {array.dtype for array in (y, predicted, *flat(final))} == {dtype}
    assert_close(predicted, y, tolerance)
    ends = case._replace(state=case.state or zeros).rows([0, -1])
    expected_y, expected_final = oracle.forward(*ends)
    assert_close(y[[0, -1]], expected_y, tolerance)
    for layer, expected in zip(final, expected_final, strict=True):
        for array, expected_array in zip(layer, expected, strict=True):
            assert array.shape == (B, network.n_hidden)
            assert_close(array[[0, -1]], expected_array, tolerance)


@by_cell
@settings(max_examples=25)
@given(data=st.data())
def test_sequence_in_two_parts_gives_the_results_of_the_whole(cell, data):
    """The final state continues the sequence; its gradient, from the second part, completes those of the first."""
    case = data.draw(cases(cell, min_steps=2))
    network, T = case.network, case.x.shape[1]
    k, i = data.draw(st.integers(1, T - 1)), data.draw(st.integers(0, len(case.x) - 1))
    whole = case.results()
    every = network.output == "every"
    d_y = wave(whole.y.shape, whole.y.dtype)
    d_first, d_second = (d_y[:, :k], d_y[:, k:]) if every else (np.zeros_like(d_y), d_y)
    first = case._replace(x=case.x[:, :k])
    _, between, _ = first.forward()
    second = case._replace(x=case.x[:, k:], state=between).results(d_second)
    first = first.results(d_first, d_final=second.d_state)
    both = second._replace(
        y=np.concatenate([first.y, second.y], axis=1) if every else second.y,
        predicted=np.concatenate([first.predicted, second.predicted], axis=1) if every else second.predicted,
        grads={name: first.grads[name] + gradient for name, gradient in second.grads.items()},
        d_x=np.concatenate([first.d_x, second.d_x], axis=1),
        d_state=first.d_state,
    )
    assert_all_close(both.named(), whole.named(), 10 * TOLERANCE[case.x.dtype.type])
    alone = case.rows(slice(i, i + 1))
    assert_close(alone.forward()[0], whole.y[i : i + 1], TOLERANCE[case.x.dtype.type])


@by_cell
@settings(max_examples=25)
@given(data=st.data())
def test_single_precision_agrees_with_double(cell, data):
    """In NumPy and compiled. The slope of a relu may differ where rounding moves its input across zero."""
    case = data.draw(cases(cell, dtypes=[np.float64]))
    double = case.results().named()
    assert {array.dtype for array in double.values()} == {np.dtype(np.float64)}
    for compiled in (True, False) if cell in COMPILED else (False,):
        single = case.to(np.float32, compiled).results().named()
        assert {array.dtype for array in single.values()} == {np.dtype(np.float32)}
        for name, array in single.items():
            forward = name.startswith(("y", "predicted", "final"))
            if forward or cell != "rnn-relu":
                assert_close(array, double[name], 1e-5 if forward else 1e-4, name)


@by_cell
def test_float64_gradients_are_rounded_and_a_mixed_network_is_refused_or_makes_no_difference(cell):
    """Float64 targets give float64 gradients of float32 outputs; one parameter may be float64 by mistake."""
    case = make_case(RecurrentNetwork(cell, 4, 7, 2, 3, "every"), 17, 6, np.float32)
    expected = case.results()
    rounded = case.results(wave(expected.y.shape, np.float64))
    assert rounded.bytes() == expected.bytes()
    for name, value in case.params.items():
        mixed = case._replace(params=case.params | {name: value.astype(np.float64)})
        try:
            actual = mixed.results()
        except ValueError:
            continue
        assert_all_close(actual.named(), expected.named(), 1e-5)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "read-only": read_only,
    "every second of twice as many": lambda a: np.repeat(a, 2, axis=0)[::2],
    "every second number": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "at an odd address": lambda a: np.concatenate([np.zeros(1, a.dtype), a.ravel()])[1:].reshape(a.shape),
    "not aligned": lambda a: np.frombuffer(b"?" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
    "a field of records": lambda a: np.rec.fromarrays([a, np.ones(a.shape, "u1")])["f0"],
}


@by_cell
@by_dtype
@pytest.mark.parametrize("B", [1, 17])
def test_any_memory_layout_gives_the_same_results_and_nothing_is_modified(cell, dtype, B):
    """Of parameters, inputs, states, and the gradients of outputs and final state."""
    for output in ("last", "every"):
        case = make_case(RecurrentNetwork(cell, 3, 7, 2, 2, output), B, 4, dtype)
        y, d_final = case.forward()[0], case.state
        expected = case.results(y, d_final).named()
        for lay_out in LAYOUTS.values():
            laid_out, d_y, d_last = case.map(lay_out), lay_out(y), each(lay_out, d_final)
            arrays = [*laid_out.params.values(), laid_out.x, d_y, *flat(laid_out.state), *flat(d_last)]
            before = [array.tobytes() for array in arrays]
            assert_all_close(laid_out.results(d_y, d_last).named(), expected, 10 * TOLERANCE[dtype])
            assert [array.tobytes() for array in arrays] == before


@by_cell
@by_dtype
@pytest.mark.parametrize("output", ["last", "every"])
def test_arguments_of_wrong_shapes_raise_value_error(cell, dtype, output):
    """Nothing is broadcast until it fits, and nothing compiled reads or writes beyond the end of an array."""
    network, params, x, state = case = make_case(RecurrentNetwork(cell, 4, 6, 2, 3, output), 5, 7, dtype)
    y, _, tape = case.forward()
    states = [state[:1], state + state[:1], [(), ()]]
    x_shapes, y_shapes = [(5, 0, 4), (7, 4)], [(5,), (5, 1, 3), (5, 6, 3), (5, 7, 3, 1)]
    calls = []
    for n in (1, 2, 3, 4, 5, 6, 40):
        x_shapes += [(5, 7, n)]
        y_shapes += [(n, *y.shape[1:]), (*y.shape[:-1], n)]
        states += [each(lambda array, shape=shape: np.resize(array, shape), state) for shape in ((5, n), (n, 6))]
        other = replace(network, n_hidden=n).init(np.random.default_rng(0), dtype)
        calls += [("the parameters of layer 0 do not fit", "forward", other, x)] if n != 6 else []
    for shape in set(x_shapes) - {x.shape}:
        calls += [("x has the shape", method, params, np.ones(shape, dtype)) for method in ("forward", "predict")]
    for shape in set(y_shapes) - {y.shape}:
        calls += [("d_y has the shape", "backward", params, np.ones(shape, dtype), tape)]
    for wrong in states:
        if [array.shape for array in flat(wrong)] != [array.shape for array in flat(state)]:
            calls += [("state does not fit", method, params, x, wrong) for method in ("forward", "predict")]
            calls += [("d_final does not fit", "backward", params, y, tape, wrong)]
    calls += [("the tape is of 1 layers", "backward", params, y, tape[:1])]
    assert len(calls) > 60
    for message, method, *arguments in calls:
        with pytest.raises(ValueError, match=message):
            getattr(network, method)(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell_name": "gur"}, "cell_name='gur' must be one of .*'gru'"),
        *(({name: 0}, "at least 1") for name in ("n_inputs", "n_hidden", "n_layers", "n_outputs")),
        ({"output": "lst"}, "output='lst' must be 'last' or 'every'"),
        ({"dropout": 1.0}, "dropout=1.0 must be from 0 to below 1"),
        ({"dropout": -0.5}, "from 0 to below 1"),
    ],
    ids=str,
)
def test_invalid_options_raise_value_error(options, message):
    with pytest.raises(ValueError, match=message):
        RecurrentNetwork(**({"cell_name": "gru", "n_inputs": 1, "n_hidden": 1} | options))


def test_no_sequences_give_no_outputs():
    network = RecurrentNetwork("gru", 2, 3)
    assert predict_rows(network, network.init(np.random.default_rng(0)), np.zeros((0, 4, 2), "f4")).shape == (0, 1)


def what_dropout_leaves(n_layers, dropout, seed=0):
    """Return the outputs (B, T, H) of a network that passes ones on unchanged, from layer to layer to its head."""
    H = 50
    network = RecurrentNetwork("rnn-identity", 1, H, n_layers, H, "every", dropout)
    params = {name: np.zeros_like(value) for name, value in network.init(np.random.default_rng(0)).items()}
    params |= {f"layer{layer}.W": np.eye(H, dtype=np.float32) for layer in range(1, n_layers)}
    params |= {"layer0.W": np.ones((1, H), np.float32), "head.W": np.eye(H, dtype=np.float32)}
    x = np.ones((30, 20, 1), np.float32)
    y, final, _ = network.forward(params, x, rng=np.random.default_rng(seed))
    np.testing.assert_array_equal(network.predict(params, x), 1)
    np.testing.assert_array_equal(network.forward(params, x)[0], 1)
    np.testing.assert_array_equal(final[0][0], 1)  # the state of a layer is not dropped
    return y


@pytest.mark.parametrize("dropout", [0.25, 0.6])
def test_dropout_between_two_layers_drops_its_share_and_scales_the_rest(dropout):
    """The mean stays; units, steps and sequences are drawn independently, by the given generator."""
    y = what_dropout_leaves(2, dropout, seed=1)
    dropped = y == 0
    np.testing.assert_allclose(y[~dropped], 1 / (1 - dropout), rtol=1e-6)
    assert dropped.mean() == pytest.approx(dropout, abs=0.01)
    for axes in ((0, 1), (0, 2), (1, 2)):
        shares = dropped.mean(axis=axes)
        np.testing.assert_allclose(shares, dropout, atol=0.1)
        assert len(np.unique(shares)) > 5
    np.testing.assert_array_equal(what_dropout_leaves(2, dropout, seed=1), y)
    assert not np.array_equal(what_dropout_leaves(2, dropout, seed=2), y)


def test_dropout_acts_between_layers_only():
    np.testing.assert_array_equal(what_dropout_leaves(1, 0.5), 1)
    y = what_dropout_leaves(3, 0.5)
    np.testing.assert_array_equal(np.unique(y), [0, 4])
    assert (y == 0).mean() == pytest.approx(0.75, abs=0.01)
