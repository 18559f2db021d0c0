"""The training loop: what it minimises, when it stops, and how plan, packing and minibatches reach the optimiser."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.nn import SGD, Cosine, Packing, RecurrentNetwork, TrainingPlan, Warmup, predict_rows, train
from models.nn.training import SCORING_ROWS, minibatches

PLAN = {"epochs": 25, "batch_size": 32, "learning_rate": 3e-3, "clip_norm": 1.0, "patience": 8}


def sequence_sums(rng, n, T=6):
    """A task that needs memory: the sum of the first feature of a sequence."""
    x = rng.normal(size=(n, T, 2)).astype(np.float32)
    return x, x[:, :, 0].sum(axis=1, keepdims=True) / np.float32(T**0.5)


def run(seed=0, validation=True, rows=800, **plan):
    rng = np.random.default_rng(seed)
    network = RecurrentNetwork("rnn", n_inputs=2, n_hidden=12)
    training, held_out = sequence_sums(rng, rows), sequence_sums(rng, 200)
    plan, epochs = TrainingPlan(**(PLAN | plan)), []
    params, history = train(
        network, network.init(rng), training, held_out if validation else None, plan, rng, epochs.append
    )
    assert epochs == history
    assert [epoch.number for epoch in history] == list(range(1, len(history) + 1))
    return (
        params,
        history,
        lambda params: float(((predict_rows(network, params, held_out[0]) - held_out[1]) ** 2).mean()),
    )


def test_training_learns_a_task_that_needs_memory():
    _, history, _ = run()
    assert history[0].training_loss > 0.1
    assert min(epoch.validation_loss for epoch in history) < 0.02  # the variance of the target is 1


def test_best_weights_are_kept_and_training_stops_early():
    params, history, loss = run(learning_rate=0.1, patience=3, epochs=40)
    losses = [epoch.validation_loss for epoch in history]
    assert loss(params) == pytest.approx(min(losses), rel=1e-6)
    assert losses[-1] > min(losses)
    assert len(history) == 1 + int(np.argmin(losses)) + 3 < 40
    assert [epoch.best for epoch in history] == [loss == min(losses[: i + 1]) for i, loss in enumerate(losses)]


def test_without_validation_rows_the_last_weights_are_returned():
    """Not those of the epoch with the smallest training loss, which a shorter plan returns."""
    plan = {"validation": False, "rows": 100, "learning_rate": 1.0, "patience": None}
    _, history, _ = run(epochs=20, **plan)
    losses = [epoch.training_loss for epoch in history]
    assert len(losses) == 20
    assert losses == [epoch.validation_loss for epoch in history]
    n = next(epoch.number for epoch in history if not epoch.best)
    last, shorter, _ = run(epochs=n, **plan)
    assert [epoch.training_loss for epoch in shorter] == losses[:n]
    best, _, _ = run(epochs=1 + int(np.argmin(losses[:n])), **plan)
    assert not np.array_equal(last["head.W"], best["head.W"])


def test_seed_determines_the_weights():
    first, second, other = (run(seed, epochs=1)[0] for seed in (3, 3, 4))
    assert all(np.array_equal(first[k], second[k]) for k in first)
    assert not np.array_equal(first["head.W"], other["head.W"])


def test_diverging_training_raises_an_error_with_the_remedy():
    with pytest.raises(FloatingPointError, match="diverged in epoch 1: lower the learning rate"):
        run(learning_rate=1e30, epochs=3)


@dataclass(frozen=True)
class Recorder(SGD):
    """Gradient descent that records the norm and the largest element of each gradient, and each learning rate."""

    norms: list = field(default_factory=list)
    largest: list = field(default_factory=list)
    rates: list = field(default_factory=list)

    def step(self, params, grads, memory, alpha):
        self.norms.append(np.sqrt(sum((g**2).sum() for g in grads.values())))
        self.largest.append(max(np.abs(g).max() for g in grads.values()))
        self.rates.append(alpha)
        return super().step(params, grads, memory, alpha)


def test_gradients_are_clipped_as_the_plan_says():
    free, by_norm, by_value = Recorder(), Recorder(), Recorder()
    for recorder, plan in ((free, {}), (by_norm, {"clip_norm": 0.05}), (by_value, {"clip_value": 0.01})):
        run(epochs=1, optimizer=recorder, **({"clip_norm": None} | plan))
    assert max(free.norms) > 0.1
    assert max(free.largest) > 0.02
    assert max(by_norm.norms) == pytest.approx(0.05, rel=1e-5)
    assert max(by_value.largest) == pytest.approx(0.01, rel=1e-5)


@pytest.mark.parametrize("schedule", [Cosine(0.1), Warmup(0.25, Cosine())], ids=str)
def test_learning_rate_follows_the_schedule(schedule):
    """In 4 epochs of 3 batches, step k has the factor of k / 12."""
    recorder = Recorder()
    run(rows=12, epochs=4, batch_size=4, learning_rate=0.2, optimizer=recorder, schedule=schedule, patience=None)
    assert recorder.rates == pytest.approx([0.2 * schedule(step / 12) for step in range(12)], abs=1e-15)


@given(st.integers(1, 2000), st.integers(1, 300), st.booleans())
def test_minibatches_hold_every_row_once_and_are_of_nearly_equal_size(n_rows, size, shuffled):
    batches = list(minibatches(n_rows, size, np.random.default_rng(0) if shuffled else None))
    rows = np.concatenate(batches)
    np.testing.assert_array_equal(np.sort(rows), np.arange(n_rows))
    assert shuffled or (np.diff(rows) == 1).all()
    lengths = [len(batch) for batch in batches]
    assert max(lengths) - min(lengths) <= 1
    assert len(batches) == max(1, round(n_rows / size))


def test_rows_are_predicted_in_blocks_of_limited_size():
    rng = np.random.default_rng(0)
    network = RecurrentNetwork("rnn", 2, 3)
    params, x = network.init(rng, np.float64), rng.normal(size=(SCORING_ROWS + 5, 2, 2))
    np.testing.assert_allclose(predict_rows(network, params, x), network.predict(params, x), rtol=1e-12)


def test_packing_holds_every_element_and_unpacks_to_views():
    params = RecurrentNetwork("gru", 2, 3, 2).init(np.random.default_rng(0))
    packing = Packing(params)
    packed = packing.pack(dict(reversed(params.items())))
    assert packed["packed"].shape == (sum(value.size for value in params.values()),)
    unpacked = packing.unpack(packed)
    assert list(unpacked) == list(params)
    for name, value in params.items():
        np.testing.assert_array_equal(unpacked[name], value)
        assert np.shares_memory(unpacked[name], packed["packed"])
