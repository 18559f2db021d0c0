"""Correctors of guidance: the regression, and the networks that correct it."""

import msgspec
import numpy as np
import pytest
from scipy.special import expit

from models.forecast.guidance.correctors import Corrections, Corrector, fit_logistic_emos, fold_boundaries
from models.nn import logistic_crps
from tests.stations import QUICK


def example(n=4000, seed=0):
    """Features, and logistic targets whose location and log scale are linear in them."""
    rng = np.random.default_rng(seed)
    x, u = rng.normal(size=(n, 3)), rng.uniform(size=n)
    location, scale = 0.5 + x @ [1.0, -0.5, 0.0], np.exp(-0.7 + x @ [0.0, 0.3, 0.0])
    return x, location + scale * np.log(u / (1 - u))


def windows_of(x, T=9):
    """Windows whose last day is ``x``."""
    before = np.random.default_rng(1).normal(size=(len(x), T - 1, x.shape[1]))
    return np.concatenate([before, x[:, None]], axis=1)


def test_the_regression_recovers_its_coefficients():
    found = fit_logistic_emos(*example(), penalty=1e-6)
    np.testing.assert_allclose(found, [[0.5, 1.0, -0.5, 0.0], [-0.7, 0.0, 0.3, 0.0]], atol=0.05)


def test_no_other_coefficients_have_a_smaller_loss():
    x, y = example(300)
    found = fit_logistic_emos(x, y, penalty=20.0)

    def loss(c):
        outputs = np.column_stack([np.ones(len(x)), x]) @ c.T
        return logistic_crps(outputs, y[:, None])[0] + 10.0 / len(x) * (c[:, 1:] ** 2).sum()

    rng = np.random.default_rng(2)
    least = loss(found)
    assert all(loss(found + rng.normal(0, 0.02, found.shape)) > least for _ in range(50))


def test_the_penalty_shrinks_the_slopes_towards_zero_or_towards_those_given():
    x, y = example(300)
    shrunk = fit_logistic_emos(x, y, penalty=1e9)
    np.testing.assert_allclose(shrunk[:, 1:], 0.0, atol=1e-4)
    # The intercepts are free: the location is then that of all days, a median.
    assert expit((y - shrunk[0, 0]) / np.exp(shrunk[1, 0])).mean() == pytest.approx(0.5, abs=0.01)
    towards = np.array([[9.0, 1.0, 2.0, 3.0], [9.0, 0.1, 0.2, 0.3]])
    found = fit_logistic_emos(x, y, penalty=1e9, towards=towards)
    np.testing.assert_allclose(found[:, 1:], towards[:, 1:], atol=1e-4)


def test_the_networks_learn_what_no_regression_can():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3000, 2))
    target = np.abs(x[:, 0]) + rng.normal(0, 0.1, len(x))
    guidance = msgspec.structs.replace(QUICK.guidance, hidden=8, epochs=20, learning_rate=1e-2)
    recipe = msgspec.structs.replace(QUICK, guidance=guidance)
    found = Corrector.fit(windows_of(x), target, recipe).corrections(windows_of(x), recipe)
    location = found.location[:, -1]
    corrected = location + np.exp(found.log_scale[:, -1]) * found.location_correction[:, -1]
    assert np.abs(target - corrected).mean() < 0.5 * np.abs(target - location).mean()


def test_the_seed_determines_the_corrector():
    x, y = example(200)
    one, same, other = (Corrector.fit(windows_of(x), y, QUICK, seed).members[0] for seed in ([4], [4], [5]))
    for name, value in one.items():
        np.testing.assert_array_equal(value, same[name])
    assert any((value != other[name]).any() for name, value in one.items())


def test_corrections_of_parts_are_joined_and_averaged():
    parts = [Corrections(*np.full((4, n, 2), float(n))) for n in (1, 2)]
    whole = Corrections.joined(parts, [np.array([False, True, False]), np.array([True, False, True])])
    np.testing.assert_array_equal(whole.stacked, np.broadcast_to([[[2.0], [1], [2]]], (4, 3, 2)))
    np.testing.assert_array_equal(
        Corrections.mean([whole, Corrections(*whole.stacked + 1)]).stacked, whole.stacked + 0.5
    )


def test_folds_have_equally_many_days():
    dates = np.datetime64("2024-01-01") + np.arange(100)
    fold = np.searchsorted(fold_boundaries(dates, 4), dates, side="right")
    np.testing.assert_array_equal(fold, np.repeat(range(4), 25))


def test_a_corrector_that_is_continued_keeps_what_few_days_do_not_show():
    x, y = example(3000)
    initial = Corrector.fit(windows_of(x), y, QUICK)
    few_x, few_y = example(30, seed=9)
    continued, alone = (Corrector.fit(windows_of(few_x), few_y, QUICK, initial=c) for c in (initial, None))
    slopes = np.array([1.0, -0.5, 0.0])
    assert np.abs(continued.regression[0, 1:] - slopes).max() < 0.2 < np.abs(alone.regression[0, 1:] - slopes).max()
    assert Corrector.fit(windows_of(few_x[:0]), few_y[:0], QUICK, initial=initial) is initial
