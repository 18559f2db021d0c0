"""The factor of the learning rate at shares of the training, by hand; and that training follows it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.nn import SGD, Cosine, Exponential, RecurrentNetwork, Steps, TrainingPlan, Warmup, train
from models.nn.schedules import constant

SCHEDULES = {
    "constant": constant,
    "cosine": Cosine(),
    "cosine to a tenth": Cosine(0.1),
    "exponential": Exponential(0.01),
    "steps": Steps((0.5, 0.8)),
}


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (constant, [1, 1, 1]),
        (Cosine(), [1, 0.5, 0]),
        (Cosine(0.2), [1, 0.6, 0.2]),
        (Exponential(0.01), [1, 0.1, 0.01]),
        (Exponential(1.0), [1, 1, 1]),
        (Steps((0.5, 1.0), 0.5), [1, 0.5, 0.25]),
        (Steps(()), [1, 1, 1]),
        (Warmup(0.5), [0, 1, 1]),
        (Warmup(0.0, Cosine()), [1, 0.5, 0]),
    ],
    ids=str,
)
def test_factors_at_the_beginning_the_middle_and_the_end(schedule, factors):
    assert [schedule(done) for done in (0.0, 0.5, 1.0)] == pytest.approx(factors, abs=1e-15)


def test_a_cosine_falls_slowly_at_both_ends():
    """cos 45 degrees: (1 + 0.7071) / 2."""
    assert Cosine()(0.25) == pytest.approx(0.853553390593, rel=1e-11)
    assert Cosine()(0.75) == pytest.approx(0.146446609407, rel=1e-11)


def test_an_exponential_falls_by_the_same_ratio_at_every_step():
    factors = np.array([Exponential(0.05)(step / 20) for step in range(21)])
    np.testing.assert_allclose(factors[1:] / factors[:-1], 0.05 ** (1 / 20), rtol=1e-13)


def test_steps_fall_at_their_shares_and_not_before():
    schedule = Steps((0.5, 0.8), 0.1)
    done = [0, 0.4999, 0.5, 0.7999, 0.8, 1]
    assert [schedule(share) for share in done] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_the_default_step_is_to_a_tenth():
    assert Steps((0.5,))(0.5) == pytest.approx(0.1)


def test_a_warmup_rises_in_a_straight_line_and_hands_over():
    """Over a fifth; then half of what is left, 0.6, is the middle of the cosine."""
    schedule = Warmup(0.2, Cosine(0.1))
    done = [0, 0.05, 0.1, 0.2, 0.6, 1]
    assert [schedule(share) for share in done] == pytest.approx([0, 0.25, 0.5, 1, 0.55, 0.1])


def test_a_warmup_has_no_jump():
    schedule = Warmup(0.3, Exponential(0.1))
    assert schedule(0.3 - 1e-9) == pytest.approx(schedule(0.3 + 1e-9), abs=1e-7)


@pytest.mark.parametrize("name", SCHEDULES)
@given(st.floats(0, 1), st.floats(0, 1))
def test_no_schedule_but_a_warmup_ever_rises(name, a, b):
    early, late = sorted((a, b))
    schedule = SCHEDULES[name]
    assert 1 >= schedule(early) >= schedule(late) >= 0


@given(st.floats(0, 1), st.floats(0, 0.99))
def test_a_warmup_stays_between_nothing_and_all(done, share):
    assert 0 <= Warmup(share, Cosine())(done) <= 1


@pytest.mark.parametrize("schedule", [*SCHEDULES.values(), Warmup(0.25, Cosine())], ids=str)
def test_training_follows_its_schedule(schedule):
    """Of 4 epochs of 3 batches, step k is given the learning rate times the factor of k / 12."""
    rates = []

    class Recorded(SGD):
        def step(self, params, grads, memory, alpha):
            rates.append(alpha)
            return super().step(params, grads, memory, alpha)

    rng = np.random.default_rng(0)
    network = RecurrentNetwork("rnn", 2, 3)
    x, y = rng.normal(size=(12, 4, 2)).astype(np.float32), rng.normal(size=(12, 1)).astype(np.float32)
    plan = TrainingPlan(epochs=4, batch_size=4, learning_rate=0.2, optimizer=Recorded(), schedule=schedule)
    train(network, network.init(rng), (x, y), None, plan, rng)
    assert rates == pytest.approx([0.2 * schedule(step / 12) for step in range(12)], abs=1e-15)


@pytest.mark.parametrize("share", [-0.1, 1.0, 2])
def test_a_warm_up_that_leaves_nothing_is_refused(share):
    with pytest.raises(ValueError, match="from 0 to below 1"):
        Warmup(share)
