"""The regression on guidance, the networks on top, and where they begin when many stations are learned together."""

import msgspec
import numpy as np
import pytest
from scipy.special import expit

from models.correctors import Answers, Corrector, PooledStart, cuts_of, logistic_regression
from models.nn import logistic_crps
from tests.conftest import QUICK


def example(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    u = rng.uniform(size=n)
    place, width = 0.5 + x @ [1.0, -0.5, 0.0], np.exp(-0.7 + x @ [0.0, 0.3, 0.0])
    return x, place + width * np.log(u / (1 - u))


def windows_of(x, T=9):
    """Whose last day is ``x``."""
    before = np.random.default_rng(1).normal(size=(len(x), T - 1, x.shape[1]))
    return np.concatenate([before, x[:, None]], axis=1)


def test_the_regression_finds_what_made_the_numbers():
    found = logistic_regression(*example(), penalty=1e-6)
    np.testing.assert_allclose(found, [[0.5, 1.0, -0.5, 0.0], [-0.7, 0.0, 0.3, 0.0]], atol=0.05)


def test_no_other_coefficients_have_a_smaller_loss():
    x, y = example(300)
    found = logistic_regression(x, y, penalty=20.0)

    def loss(c):
        answers = np.column_stack([np.ones(len(x)), x]) @ c.T
        return logistic_crps(answers, y[:, None])[0] + 10.0 / len(x) * (c[:, 1:] ** 2).sum()

    rng = np.random.default_rng(2)
    least = loss(found)
    assert all(loss(found + rng.normal(0, 0.02, found.shape)) > least for _ in range(50))


def test_the_penalty_draws_towards_nothing_or_towards_what_is_given():
    x, y = example(300)
    nothing = logistic_regression(x, y, penalty=1e9)
    np.testing.assert_allclose(nothing[:, 1:], 0.0, atol=1e-4)
    # The constants are free: the place is then that of all days, which is a median.
    z = (y - nothing[0, 0]) / np.exp(nothing[1, 0])
    assert expit(z).mean() == pytest.approx(0.5, abs=0.01)
    towards = np.array([[9.0, 1.0, 2.0, 3.0], [9.0, 0.1, 0.2, 0.3]])
    np.testing.assert_allclose(
        logistic_regression(x, y, penalty=1e9, towards=towards)[:, 1:], towards[:, 1:], atol=1e-4
    )


def test_the_networks_find_what_no_line_can():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3000, 2))
    wanted = np.abs(x[:, 0]) + rng.normal(0, 0.1, len(x))
    recipe = msgspec.structs.replace(
        QUICK, guidance=msgspec.structs.replace(QUICK.guidance, hidden=8, epochs=20, learning_rate=1e-2)
    )
    corrector = Corrector.fit(windows_of(x), wanted, recipe)
    answers = corrector.answers(windows_of(x), recipe)
    line = answers.place[:, -1]
    both = line + np.exp(answers.log_width[:, -1]) * answers.more[:, -1]
    assert np.abs(wanted - both).mean() < 0.5 * np.abs(wanted - line).mean()


def test_the_same_seed_gives_the_same_corrector():
    x, y = example(200)
    one, same, other = (Corrector.fit(windows_of(x), y, QUICK, seed) for seed in ([4], [4], [5]))
    for name, value in one.members[0].items():
        np.testing.assert_array_equal(value, same.members[0][name])
    assert any((value != other.members[0][name]).any() for name, value in one.members[0].items())


def test_answers_are_put_together_in_their_places():
    parts = [Answers(*np.full((4, n, 2), float(n))) for n in (1, 2)]
    whole = Answers.in_places(parts, [np.array([False, True, False]), np.array([True, False, True])])
    np.testing.assert_array_equal(whole.more[:, 0], [2, 1, 2])
    np.testing.assert_array_equal(Answers.mean([whole, whole]).place, whole.place)


def test_stretches_are_of_as_many_days():
    dates = np.datetime64("2024-01-01") + np.arange(100)
    stretch = np.searchsorted(cuts_of(dates, 4), dates, side="right")
    np.testing.assert_array_equal(np.bincount(stretch), [25] * 4)
    assert (np.diff(stretch) >= 0).all()


def test_each_corrector_of_a_pool_has_not_seen_its_stretch_at_any_station():
    x, y = example(120)
    dates = np.datetime64("2024-01-01") + np.arange(120)
    stretch = np.searchsorted(cuts_of(dates, 3), dates, side="right")
    before = PooledStart.fit([(dates, windows_of(x), y)] * 2, QUICK)
    for k in range(3):
        changed = np.where(stretch == k, y + 50.0, y)
        after = PooledStart.fit([(dates, windows_of(x), changed)] * 2, QUICK)
        for j in range(3):
            same = np.array_equal(before.correctors[j].regression, after.correctors[j].regression)
            assert same == (j == k)


def test_a_station_that_says_nothing_of_its_own_is_corrected_as_the_pool_is():
    x, y = example(3000)
    dates = np.datetime64("2010-01-01") + np.arange(3000)
    pool = PooledStart.fit([(dates, windows_of(x), y)], QUICK)
    few_x, few_y = example(30, seed=9)
    own = Corrector.fit(windows_of(few_x), few_y, QUICK)
    begun = Corrector.fit(windows_of(few_x), few_y, QUICK, start=pool.correctors[0])
    truth = np.array([1.0, -0.5, 0.0])
    assert np.abs(begun.regression[0, 1:] - truth).max() < 0.2 < np.abs(own.regression[0, 1:] - truth).max()
