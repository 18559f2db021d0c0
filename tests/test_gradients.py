"""Backpropagation through time against central differences, in double precision; and that the check can fail."""

import numpy as np
import pytest

from models.nn import (
    CELLS,
    Adam,
    Huber,
    Pinball,
    RecurrentNetwork,
    absolute_error,
    cross_entropy,
    half_squared_sum,
    squared_error,
)
from tests.gradcheck import Problem, numerical_slope

# All different, so that two axes that changed places do not fit.
B, O, T, F, H = 2, 3, 4, 5, 6
LOSSES = {
    "squared_error": squared_error,
    "half_squared_sum": half_squared_sum,
    "absolute_error": absolute_error,
    "huber": Huber(0.5),
    "pinball": Pinball((0.1, 0.5, 0.9)),
    "cross_entropy": cross_entropy,
}
GATED = [name for name in CELLS if not name.startswith("rnn")]

by_cell = pytest.mark.parametrize("cell", CELLS)
by_layers = pytest.mark.parametrize("layers", [1, 2, 3])
by_output = pytest.mark.parametrize("output", ["last", "every"])


def problem(cell, layers=1, output="last", loss="squared_error", dropout=0.0):
    """Parameters (biases too), inputs and an initial state, all away from zero; targets about 1 from the outputs."""
    rng = np.random.default_rng(7)
    network = RecurrentNetwork(cell, F, H, layers, O, output, dropout)
    params = {k: v + rng.normal(0, 0.3, v.shape) for k, v in network.init(rng, np.float64).items()}
    state = [tuple(rng.normal(size=array.shape) for array in layer) for layer in network.initial_state(B, np.float64)]
    x = rng.normal(size=(B, T, F))
    target, _, _ = network.forward(params, x, state)
    target += rng.normal(size=target.shape)
    if loss == "pinball":
        target = target[..., 1:2]
    elif loss == "cross_entropy":
        target = np.eye(O)[rng.integers(O, size=target.shape[:-1])]
    return Problem(network, LOSSES[loss], params, x, target, state, dropout_seed=5 if dropout else None)


def assert_right(errors):
    assert max(errors.values()) < 1e-6, errors


def assert_wrong(errors):
    """Say that the errors are more than those of the check itself, by far."""
    assert max(errors.values()) > 1e-5, errors


def directions(checked):
    return checked.errors_by_direction(np.random.default_rng(11))


@by_cell
@pytest.mark.parametrize("layers", [1, 2])
@by_output
def test_every_element_of_every_gradient_is_right(cell, layers, output):
    assert_right(problem(cell, layers, output).errors_by_element())


@by_cell
@by_layers
@by_output
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_right_for_every_cell_depth_output_and_loss(cell, layers, output, loss):
    assert_right(directions(problem(cell, layers, output, loss)))


@by_cell
@by_output
def test_the_huber_loss_is_checked_on_both_of_its_branches(cell, output):
    checked = problem(cell, output=output, loss="huber")
    near = np.abs(checked.forward()[0] - checked.target) < LOSSES["huber"].delta
    assert near.any()
    assert not near.all()


@by_cell
@by_output
@pytest.mark.parametrize("layers", [2, 3])
def test_gradients_are_right_with_dropout(cell, layers, output):
    checked = problem(cell, layers, output, dropout=0.4)
    undropped = checked.network.predict(checked.params, checked.x, checked.state)
    assert not np.allclose(checked.forward()[0], undropped)
    assert_right(directions(checked))


@by_cell
def test_every_element_is_right_with_dropout(cell):
    assert_right(problem(cell, 2, "every", dropout=0.4).errors_by_element())


@by_cell
@by_layers
@by_output
def test_gradients_are_right_where_the_final_state_counts_too(cell, layers, output):
    checked = problem(cell, layers, output, dropout=0.4)
    rng = np.random.default_rng(1)
    checked.d_final = [tuple(rng.normal(size=array.shape) for array in layer) for layer in checked.state]
    assert_right(directions(checked))
    if layers == 2:
        assert_right(checked.errors_by_element())


@by_cell
def test_gradients_are_still_right_at_the_second_training_step(cell):
    checked = problem(cell, 2)
    first = checked.value()
    optimizer = Adam()
    memory = optimizer.init(checked.params)
    for _ in range(2):
        assert_right(directions(checked))
        checked.params, memory = optimizer.step(checked.params, checked.gradients()[0], memory, 0.003)
    assert checked.value() < first
    assert_right(checked.errors_by_element())


@by_cell
@by_output
def test_gradients_are_right_after_one_step_in_time_and_for_one_sequence(cell, output):
    checked = problem(cell, 2, output)
    checked.x = checked.x[:1, :1].copy()
    checked.state = [tuple(array[:1].copy() for array in layer) for layer in checked.state]
    checked.target = checked.target[:1] if output == "last" else checked.target[:1, :1]
    assert_right(checked.errors_by_element())


@by_cell
@by_output
def test_one_tape_may_be_gone_back_over_twice(cell, output):
    """Nothing on the tape is used up: the second pass gives the same bytes, also without the inputs' gradient."""
    checked = problem(cell, 3, output, dropout=0.4)
    y, _, tape = checked.forward()
    d_y = np.ones_like(y)
    grads, d_x, d_state = checked.network.backward(checked.params, d_y, tape)
    again, no_d_x, d_state_again = checked.network.backward(checked.params, d_y, tape, inputs=False)
    assert d_x.shape == checked.x.shape
    assert no_d_x is None
    for name, gradient in grads.items():
        np.testing.assert_array_equal(gradient, again[name], name)
    for layer, layer_again in zip(d_state, d_state_again, strict=True):
        for array, array_again in zip(layer, layer_again, strict=True):
            np.testing.assert_array_equal(array, array_again)


@by_cell
def test_backward_is_linear_in_the_gradient_it_is_given(cell):
    """Each output's share of the gradients is its own: they add up."""
    checked = problem(cell, 2, "every")
    y, _, tape = checked.forward()
    parts = np.random.default_rng(3).normal(size=(2, *y.shape))
    (one, d_x_one, _), (two, d_x_two, _), (both, d_x_both, _) = (
        checked.network.backward(checked.params, d_y, tape) for d_y in (*parts, parts.sum(axis=0))
    )
    np.testing.assert_allclose(d_x_one + d_x_two, d_x_both, rtol=1e-9, atol=1e-12)
    for name, gradient in both.items():
        np.testing.assert_allclose(one[name] + two[name], gradient, rtol=1e-9, atol=1e-12, err_msg=name)


# The check is only worth something if it fails. What follows breaks gradients on purpose, in ways they are really
# broken. The quick judge must see each mistake for every cell; both must see those inside a recurrence.

HONEST = RecurrentNetwork.backward


def tail(checked, d_y):
    """Go back over all steps but the first, from the state after it."""
    network = checked.network
    _, after_first, _ = network.forward(checked.params, checked.x[:, :1], checked.state)
    _, _, tape = network.forward(checked.params, checked.x[:, 1:], after_first)
    return HONEST(network, checked.params, d_y if network.output == "last" else d_y[:, 1:], tape)


def first_step_s_bias_lost(checked, d_y, tape):
    grads, d_x, d_state = HONEST(checked.network, checked.params, d_y, tape)
    return grads | {"layer0.b": tail(checked, d_y)[0]["layer0.b"]}, d_x, d_state


def first_step_s_recurrent_weights_lost(checked, d_y, tape):
    grads, d_x, d_state = HONEST(checked.network, checked.params, d_y, tape)
    return grads | {"layer0.U": tail(checked, d_y)[0]["layer0.U"]}, d_x, d_state


def no_gradient_through_time(checked, d_y, tape):
    """The initial state is where it shows first: it is what the first step's product reaches."""
    grads, d_x, d_state = HONEST(checked.network, checked.params, d_y, tape)
    return grads, d_x, [tuple(np.zeros_like(array) for array in layer) for layer in d_state]


def no_gradient_between_layers(checked, d_y, tape):
    grads, d_x, d_state = HONEST(checked.network, checked.params, d_y, tape)
    cut = {name: np.zeros_like(g) if name.startswith("layer0") else g for name, g in grads.items()}
    return cut, np.zeros_like(d_x), [tuple(np.zeros_like(a) for a in d_state[0]), *d_state[1:]]


def inputs_one_step_late(checked, d_y, tape):
    grads, d_x, d_state = HONEST(checked.network, checked.params, d_y, tape)
    return grads, np.roll(d_x, 1, axis=1), d_state


def layers_states_exchanged(checked, d_y, tape):
    grads, d_x, d_state = HONEST(checked.network, checked.params, d_y, tape)
    return grads, d_x, d_state[::-1]


def recurrent_weights_transposed(checked, d_y, tape):
    grads, d_x, d_state = HONEST(checked.network, checked.params, d_y, tape)
    transposed = grads["layer0.U"].reshape(H, -1, H).transpose(2, 1, 0).reshape(H, -1)
    return grads | {"layer0.U": transposed}, d_x, d_state


def mean_over_sequences_for_their_sum(checked, d_y, tape):
    grads, d_x, d_state = HONEST(checked.network, checked.params, d_y, tape)
    return {name: gradient / B for name, gradient in grads.items()}, d_x, d_state


def head_s_bias_from_the_last_step_alone(checked, d_y, tape):
    grads, d_x, d_state = HONEST(checked.network, checked.params, d_y, tape)
    return grads | {"head.b": d_y[:, -1].sum(axis=0)}, d_x, d_state


def one_element_wrong(checked, d_y, tape):
    grads, d_x, d_state = HONEST(checked.network, checked.params, d_y, tape)
    U = grads["layer1.U"].copy()
    U[np.unravel_index(np.abs(U).argmax(), U.shape)] *= 1.02
    return grads | {"layer1.U": U}, d_x, d_state


def dropout_forgotten_on_the_way_back(checked, d_y, _):
    _, _, without = checked.network.forward(checked.params, checked.x, checked.state)
    return HONEST(checked.network, checked.params, d_y, without)


def dropout_drawn_anew_on_the_way_back(checked, d_y, _):
    _, _, other = checked.network.forward(checked.params, checked.x, checked.state, np.random.default_rng(6))
    return HONEST(checked.network, checked.params, d_y, other)


def gates_exchanged(checked, d_y, tape):
    grads, d_x, d_state = HONEST(checked.network, checked.params, d_y, tape)
    return grads | {"layer0.W": np.roll(grads["layer0.W"], H, axis=1)}, d_x, d_state


def last_state_s_gradient_for_all_states(checked, d_y, tape):
    """LSTM: the cell state's gradient given as the hidden state's."""
    grads, d_x, d_state = HONEST(checked.network, checked.params, d_y, tape)
    return grads, d_x, [(c, c) for _, c in d_state]


def reset_gate_forgotten(checked, d_y, tape):
    """GRU: the candidate's two biases are not one, since the reset gate stands between them."""
    grads, d_x, d_state = HONEST(checked.network, checked.params, d_y, tape)
    return grads | {"layer0.c": grads["layer0.b"]}, d_x, d_state


MISTAKES = {
    first_step_s_bias_lost: CELLS,
    first_step_s_recurrent_weights_lost: CELLS,
    no_gradient_through_time: CELLS,
    no_gradient_between_layers: CELLS,
    inputs_one_step_late: CELLS,
    layers_states_exchanged: CELLS,
    recurrent_weights_transposed: CELLS,
    mean_over_sequences_for_their_sum: CELLS,
    head_s_bias_from_the_last_step_alone: CELLS,
    one_element_wrong: CELLS,
    gates_exchanged: GATED,
    last_state_s_gradient_for_all_states: ["lstm"],
    reset_gate_forgotten: ["gru"],
}


def break_backward(monkeypatch, checked, mistake):
    monkeypatch.setattr(RecurrentNetwork, "backward", lambda _, __, d_y, tape: mistake(checked, d_y, tape))


@pytest.mark.parametrize(("mistake", "cell"), [(m, c) for m, cells in MISTAKES.items() for c in cells])
def test_a_broken_backward_is_caught(mistake, cell, monkeypatch):
    checked = problem(cell, 2, "every")
    assert_right(directions(checked))
    break_backward(monkeypatch, checked, mistake)
    assert_wrong(directions(checked))


@by_cell
@pytest.mark.parametrize("mistake", [dropout_forgotten_on_the_way_back, dropout_drawn_anew_on_the_way_back])
def test_a_backward_with_another_dropout_is_caught(mistake, cell, monkeypatch):
    checked = problem(cell, 2, "every", dropout=0.4)
    break_backward(monkeypatch, checked, mistake)
    assert_wrong(directions(checked))


class PlainNetwork:
    """Two layers of h' = tanh(x W + h U + b), written out so that each line of ``backward`` can be got wrong."""

    def __init__(self, mistake=None):
        self.mistake = mistake

    def forward(self, params, x, state, _):
        tape = []
        for layer in ("layer0", "layer1"):
            W, U, b = (params[f"{layer}.{name}"] for name in "WUb")
            hs = [state[len(tape)][0]]
            for t in range(x.shape[1]):
                hs.append(np.tanh(x[:, t] @ W + hs[-1] @ U + b))
            tape.append((x, hs))
            x = np.stack(hs[1:], axis=1)
        return x @ params["head.W"] + params["head.b"], None, tape

    def backward(self, params, d_y, tape):
        top = np.stack(tape[-1][1][1:], axis=1)
        grads = {"head.W": np.einsum("bth,bto->ho", top, d_y), "head.b": d_y.sum(axis=(0, 1))}
        d_out, d_state = d_y @ params["head.W"].T, [None, None]
        for layer in (1, 0):
            W, U = params[f"layer{layer}.W"], params[f"layer{layer}.U"]
            x, hs = tape[layer]
            d, d_x = np.zeros_like(hs[0]), np.zeros_like(x)
            d_W, d_U, d_b = np.zeros_like(W), np.zeros_like(U), np.zeros(len(U))
            for t in reversed(range(x.shape[1])):
                d = d_out[:, t] if self.mistake == "only the gradient from above" else d + d_out[:, t]
                if self.mistake == "only the last step's loss" and t < x.shape[1] - 1:
                    d = d - d_out[:, t]
                h = hs[t] if self.mistake == "slope taken from h_prev" else hs[t + 1]
                d_a = d if self.mistake == "no slope" else d * (1 - h * h)
                d_W += x[:, t].T @ d_a
                d_U += hs[t + (self.mistake == "U fed the state after the step")].T @ d_a
                if not (self.mistake == "no bias at the first step" and t == 0):
                    d_b += d_a.sum(axis=0)
                d = d_a @ (U if self.mistake == "U not transposed" else U.T)
                d_x[:, t] = d_a @ W.T
            grads |= {f"layer{layer}.W": d_W, f"layer{layer}.U": d_U, f"layer{layer}.b": d_b}
            d_state[layer] = (d,)
            d_out = np.zeros_like(d_x) if self.mistake == "no gradient between layers" else d_x
        return {name: grads[name] for name in params}, d_x, d_state


def test_the_plain_network_is_right_until_it_is_broken():
    checked, real = problem("rnn", 2, "every"), problem("rnn", 2, "every")
    checked.network = PlainNetwork()
    assert checked.value() == pytest.approx(real.value(), rel=1e-12)
    assert_right(checked.errors_by_element())
    assert_right(directions(checked))


@pytest.mark.parametrize(
    "mistake",
    [
        "no bias at the first step",
        "no gradient between layers",
        "no slope",
        "only the gradient from above",
        "only the last step's loss",
        "slope taken from h_prev",
        "U fed the state after the step",
        "U not transposed",
    ],
)
def test_a_mistake_inside_the_recurrence_is_caught(mistake):
    checked = problem("rnn", 2, "every")
    checked.network = PlainNetwork(mistake)
    assert_wrong(checked.errors_by_element())
    assert_wrong(directions(checked))


def test_the_judges_leave_what_they_nudge_as_it_was():
    checked = problem("lstm", 2)
    before = [array.copy() for _, array, _ in checked.pairs()]
    checked.errors_by_element()
    directions(checked)
    for was, (name, array, _) in zip(before, checked.pairs(), strict=True):
        np.testing.assert_array_equal(was, array, name)


def test_the_slope_of_a_known_function():
    """The slope of the sum of squares at (1, 2, -3) along (0, 1, 1) is 2 (2 - 3) = -2."""
    a = np.array([1.0, 2.0, -3.0])
    assert numerical_slope(lambda: float(a @ a), a, np.array([0.0, 1.0, 1.0])) == pytest.approx(-2, rel=1e-9)


@by_cell
@by_output
def test_gradients_flow_through_a_state_that_is_handed_on(cell, output):
    """A sequence in two parts has the gradients of the whole, if the second part's reach the first by the state."""
    checked = problem(cell, 2, output)
    network, params, cut = checked.network, checked.params, 2
    y, _, tape = network.forward(params, checked.x, checked.state)
    _, d_y = checked.loss(y, checked.target)
    whole, d_x, d_state = network.backward(params, d_y, tape)
    of_first, of_second = (d_y[:, :cut], d_y[:, cut:]) if output == "every" else (0 * d_y, d_y)
    _, between, first_tape = network.forward(params, checked.x[:, :cut], checked.state)
    _, _, second_tape = network.forward(params, checked.x[:, cut:], between)
    second, second_d_x, d_between = network.backward(params, of_second, second_tape)
    first, first_d_x, first_d_state = network.backward(params, of_first, first_tape, d_between)
    for name in params:
        np.testing.assert_allclose(first[name] + second[name], whole[name], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(np.concatenate([first_d_x, second_d_x], axis=1), d_x, rtol=1e-9, atol=1e-12)
    for of_layer, expected in zip(first_d_state, d_state, strict=True):
        np.testing.assert_allclose(of_layer, expected, rtol=1e-9, atol=1e-12)
