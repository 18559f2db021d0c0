"""Backpropagation through time against central differences, in double precision."""

from dataclasses import replace

import numpy as np
import pytest

from models.nn import (
    Adam,
    Huber,
    Pinball,
    RecurrentNetwork,
    absolute_error,
    cross_entropy,
    half_squared_sum,
    squared_error,
)
from tests.models.nn.cases import by_cell, each, make_case
from tests.models.nn.gradcheck import Problem, direction_errors, element_errors, numerical_gradient, numerical_slope

# The sizes differ, so that arrays with exchanged axes do not fit.
B, O, H, F, T = 2, 3, 4, 5, 6
LIMIT = 1e-6

# Layers, output, loss, sequences, steps, dropout and whether the loss depends on the final state. With four or more
# sequences, gradients of weights are computed by another product than with fewer.
OPTIONS = [
    (1, "last", squared_error, 2, T, 0.0, False),
    (1, "every", Pinball((0.1, 0.5, 0.9)), 7, T, 0.0, True),
    (2, "last", absolute_error, 7, T, 0.4, True),
    (2, "every", cross_entropy, 2, T, 0.4, False),
    (2, "every", half_squared_sum, 1, 1, 0.0, True),
    (3, "last", Huber(0.5), 2, T, 0.4, True),
    (3, "every", Huber(0.5), 2, T, 0.4, False),
]


def problem(cell, layers=2, output="every", loss=squared_error, sequences=B, steps=T, dropout=0.0, final=False):
    """Draw a case, and targets at distances about 1 from the outputs."""
    case = make_case(RecurrentNetwork(cell, F, H, layers, O, output, dropout), sequences, steps)
    rng = np.random.default_rng(7)
    target = case.network.predict(case.params, case.x, case.state)
    target += rng.normal(size=target.shape)
    if isinstance(loss, Pinball):
        target = target[..., 1:2]
    elif loss is cross_entropy:
        target = np.eye(O)[rng.integers(O, size=target.shape[:-1])]
    d_final = each(lambda array: rng.normal(size=array.shape), case.state) if final else None
    return Problem(case, loss, target, 5 if dropout else None, d_final)


@by_cell
@pytest.mark.parametrize("number", range(len(OPTIONS)))
def test_gradients_are_right_before_and_after_a_training_step(cell, number):
    checked, optimizer = problem(cell, *OPTIONS[number]), Adam()
    params = checked.case.params
    first, memory = checked.value(), optimizer.init(params)
    for _ in range(2):
        gradients = checked.gradients()
        errors = direction_errors(checked.slopes(), gradients)
        assert max(errors.values()) < LIMIT, errors
        params, memory = optimizer.step(params, {name: gradients[name] for name in params}, memory, 0.003)
        checked = replace(checked, case=checked.case._replace(params=params))
    assert checked.value() < first


def largest_element_off(gradient):
    gradient = gradient.copy()
    gradient.flat[np.abs(gradient).argmax()] *= 1.02
    return gradient


MISTAKES = {
    "an element 2 % off": largest_element_off,
    "zero": np.zeros_like,
    "mean over sequences instead of sum": lambda gradient: gradient / B,
    "rows exchanged": lambda gradient: np.roll(gradient, 1, axis=0),
    "columns exchanged": lambda gradient: np.roll(gradient, 1, axis=-1),
}


@by_cell
def test_every_element_is_right_and_both_checks_notice_any_wrong_gradient(cell):
    """Each gradient in turn, wrong in one of these ways, or without the contribution of the first step."""
    checked = problem(cell, dropout=0.4, final=True)
    case, right = checked.case, checked.gradients()
    assert not np.allclose(case.forward(checked.dropout_seed)[0], case.forward()[0])
    _, after_first, _ = case._replace(x=case.x[:, :1]).forward()
    later = replace(checked, case=case._replace(x=case.x[:, 1:], state=after_first), target=checked.target[:, 1:])
    wrong = [(name, mistake(gradient)) for name, gradient in right.items() for mistake in MISTAKES.values()]
    wrong += [(name, gradient) for name, gradient in later.gradients().items() if name in case.params]
    checks = (element_errors, checked.numerical_gradients()), (direction_errors, checked.slopes())
    for errors_of, numerical in checks:
        assert max(errors_of(numerical, right).values()) < LIMIT
        for name, gradient in wrong:
            errors = errors_of(numerical, right | {name: gradient})
            assert [key for key, error in errors.items() if error > 10 * LIMIT] == [name]


def test_both_branches_of_the_huber_loss_are_among_the_checks():
    checked = problem("gru", 3, "every", Huber(0.5))
    near = np.abs(checked.case.forward()[0] - checked.target) < 0.5
    assert near.any()
    assert not near.all()


def test_numerical_derivatives_of_a_known_function():
    """The sum of squares at (1, 2, -3) has the gradient (2, 4, -6), and along (0, 1, 1) the slope -2."""
    a = np.array([1.0, 2.0, -3.0])
    np.testing.assert_allclose(numerical_gradient(lambda: float(a @ a), a), [2, 4, -6], rtol=1e-9)
    assert numerical_slope(lambda: float(a @ a), a, np.array([0.0, 1.0, 1.0])) == pytest.approx(-2, rel=1e-9)
    np.testing.assert_array_equal(a, [1, 2, -3])
