"""The training loop."""

import numpy as np
import pytest

from models.nn import SGD, RecurrentNetwork, TrainingPlan, train
from models.nn.training import minibatches, predict_rows

PLAN = {"epochs": 25, "batch_size": 32, "learning_rate": 3e-3, "clip_norm": 1.0, "patience": 8}


def remembered_sum(rng, n, T=6):
    """A task that needs memory: the sum of a sequence's first feature."""
    x = rng.normal(size=(n, T, 2)).astype(np.float32)
    return x, x[:, :, 0].sum(axis=1, keepdims=True) / np.float32(T**0.5)


def run(seed=0, **plan):
    rng = np.random.default_rng(seed)
    network = RecurrentNetwork("rnn", n_inputs=2, n_hidden=12)
    training, stopping = remembered_sum(rng, 800), remembered_sum(rng, 200)
    params, history = train(network, network.init(rng), training, stopping, TrainingPlan(**(PLAN | plan)), rng)
    return network, params, history, stopping


def test_it_learns_what_needs_memory():
    _, _, history, _ = run()
    assert history[0].training_loss > 0.1
    assert min(e.stopping_loss for e in history) < 0.02  # the variance of the target is 1


def test_the_best_weights_are_kept_not_the_last():
    network, params, history, (x, y) = run(learning_rate=0.1, patience=3, epochs=40)
    kept = float(((predict_rows(network, params, x) - y) ** 2).mean())
    assert kept == pytest.approx(min(e.stopping_loss for e in history), rel=1e-6)
    assert history[-1].stopping_loss > kept
    assert len(history) < 40  # it stopped early


def test_the_same_seed_gives_the_same_weights():
    first, second, other = (run(seed, epochs=2)[1] for seed in (3, 3, 4))
    assert all(np.array_equal(first[k], second[k]) for k in first)
    assert not np.array_equal(first["head.W"], other["head.W"])


def test_without_stopping_rows_the_plan_is_followed_to_its_end():
    rng = np.random.default_rng(0)
    network = RecurrentNetwork("rnn", n_inputs=2, n_hidden=12)
    seen = []
    start = network.init(rng)
    params, history = train(
        network, start, remembered_sum(rng, 100), None, TrainingPlan(3, batch_size=50), rng, seen.append
    )
    assert [epoch.number for epoch in history] == [1, 2, 3]
    assert seen == history
    assert all(epoch.stopping_loss == epoch.training_loss for epoch in history)
    again = np.random.default_rng(0)
    network.init(again)
    twice, _ = train(network, start, remembered_sum(again, 100), None, TrainingPlan(2, batch_size=50), again)
    assert not np.array_equal(twice["head.W"], params["head.W"])  # the last weights, not an earlier epoch's


def test_a_loss_that_is_no_number_is_an_error():
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        run(learning_rate=1e30, epochs=3)


def test_gradients_are_clipped():
    """Steps of plain gradient descent show the gradients themselves: none is longer than the plan allows."""
    lengths = []

    class Descent(SGD):
        def step(self, params, grads, memory, alpha):
            lengths.append(np.sqrt(sum((g**2).sum() for g in grads.values())))
            return super().step(params, grads, memory, alpha)

    run(epochs=1, clip_norm=0.05, optimizer=Descent())
    assert max(lengths) == pytest.approx(0.05, rel=1e-5)
    lengths.clear()
    run(epochs=1, clip_norm=None, optimizer=Descent())
    assert max(lengths) > 0.05


def test_minibatches_hold_every_row_once():
    parts = list(minibatches(1001, 128, np.random.default_rng(0)))
    assert sorted(np.concatenate(parts)) == list(range(1001))
    assert {len(p) for p in parts} <= {125, 126}
