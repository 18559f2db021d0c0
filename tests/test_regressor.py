"""The scikit-learn face of the networks."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from models.nn import CELLS, Adam, Exponential, Pinball
from models.regressor import LOSSES, OPTIMIZERS, RecurrentRegressor

T, F = 5, 2
QUICK = {"hidden_size": 8, "max_iter": 3, "random_state": 0}


@parametrize_with_checks([RecurrentRegressor()])
def test_scikit_learn_accepts_it(estimator, check):
    check(estimator)


def recalled(n=600, seed=0):
    """A task that needs memory and a gate: the value that a marker pointed to, anywhere in the window."""
    rng = np.random.default_rng(seed)
    value, marker = rng.normal(size=(n, T)), np.zeros((n, T))
    marker[np.arange(n), rng.integers(0, T, n)] = 1
    return np.stack([value, marker], axis=2), (value * marker).sum(axis=1)


def flat(X):
    return X.reshape(len(X), -1)


@pytest.fixture(scope="module")
def task():
    return recalled()


def test_it_recalls_what_a_linear_model_cannot(task):
    X, y = task
    new_X, new_y = recalled(seed=1)
    assert Ridge().fit(flat(X), y).score(flat(new_X), new_y) < 0.4
    assert RecurrentRegressor(random_state=0).fit(X, y).score(new_X, new_y) > 0.95


def test_windows_and_flat_rows_are_the_same(task):
    X, y = task
    of_windows = RecurrentRegressor(**QUICK).fit(X, y)
    of_rows = RecurrentRegressor(**QUICK, n_steps=T).fit(flat(X), y)
    assert of_windows.window_shape_ == of_rows.window_shape_ == (T, F)
    expected = of_windows.predict(X)
    assert np.ptp(expected) > 0.1
    for model in (of_windows, of_rows):
        for windows in (X, flat(X), X.tolist()):
            np.testing.assert_array_equal(model.predict(windows), expected)


def test_without_n_steps_each_column_is_a_step(task):
    X, y = task
    model = RecurrentRegressor(**QUICK).fit(X[:, :, 0], y)
    assert model.window_shape_ == (T, 1)
    np.testing.assert_array_equal(model.predict(X[:, :, :1]), model.predict(X[:, :, 0]))


@pytest.mark.parametrize(
    ("fitted_on", "asked", "message"),
    [
        ((T, F), (T + 1, F), r"\(6, 2\), but this RecurrentRegressor was fitted on \(5, 2\)"),
        ((T, F), (T, F + 1), r"\(5, 3\), but"),
        ((T, F), (F, T), r"\(2, 5\), but"),  # the same number of columns
        ((T, F), (T, F, 1), r"X has 4 axes: bring windows \(n, T, F\)"),
        ((T, F), (T * F + 1,), "X has 11 features, but RecurrentRegressor is expecting 10"),
    ],
)
def test_windows_of_another_shape_are_refused(fitted_on, asked, message):
    model = RecurrentRegressor(**QUICK).fit(np.zeros((20, *fitted_on)), np.arange(20))
    with pytest.raises(ValueError, match=message):
        model.predict(np.zeros((3, *asked)))


def test_n_steps_must_fit(task):
    X, y = task
    with pytest.raises(ValueError, match="n_steps=4 does not fit X, which has 10 columns"):
        RecurrentRegressor(n_steps=4).fit(flat(X), y)
    with pytest.raises(ValueError, match="n_steps=2 does not fit X, which has windows of 5 steps"):
        RecurrentRegressor(n_steps=2).fit(X, y)


def test_windows_of_no_number_are_refused(task):
    X, y = task
    gap = X.copy()
    gap[3, 2, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        RecurrentRegressor().fit(gap, y)
    with pytest.raises(NotFittedError):
        RecurrentRegressor().predict(X)


def test_float32_is_computed_like_float64(task):
    X, y = task
    coarse = (X + 1e4).astype(np.float32)
    models = [RecurrentRegressor(**QUICK).fit(windows, y) for windows in (coarse, coarse.astype(float))]
    np.testing.assert_array_equal(models[0].predict(coarse), models[1].predict(coarse.astype(float)))


def test_units_do_not_matter(task):
    X, y = task
    model = RecurrentRegressor(**QUICK).fit(X, y)
    in_other_units = RecurrentRegressor(**QUICK).fit(X * [1e4, 1e-3] + [300, -5], y * 1e5 + 1e6)
    predicted = (in_other_units.predict(X * [1e4, 1e-3] + [300, -5]) - 1e6) / 1e5
    np.testing.assert_allclose(predicted, model.predict(X), atol=1e-4)


@pytest.mark.parametrize("scaler", ["standard", "minmax", None])
def test_scalers_learn_from_the_training_rows_alone(task, scaler):
    X, y = (array.copy() for array in task)
    X[-60:], y[-60:] = X[-60:] + 100, y[-60:] + 100
    model = RecurrentRegressor(**QUICK, scaler=scaler).fit(X, y)
    scaled_x, scaled_y = model.scaler_x_.transform(X[:-60].reshape(-1, F)), model.scaler_y_.transform(y[:-60, None])
    if scaler == "standard":
        np.testing.assert_allclose([*scaled_x.std(axis=0), *scaled_y.std(axis=0)], 1)
    elif scaler == "minmax":
        np.testing.assert_allclose([*np.ptp(scaled_x, axis=0), *np.ptp(scaled_y, axis=0)], 1)
    else:
        np.testing.assert_array_equal(scaled_x, X[:-60].reshape(-1, F))
    assert np.isfinite(model.predict(X)).all()


def test_the_newest_rows_stop_the_training(task):
    X, y = (array.copy() for array in task)
    options = QUICK | {"max_iter": 30, "n_iter_no_change": 4, "learning_rate": 1e-2}
    y[-60:] *= -1  # what is learned from the others makes these worse, from the first epoch on
    model = RecurrentRegressor(**options).fit(X, y)
    assert model.n_iter_ == len(model.history_) == 1 + 4
    y[-60:] *= -1  # with rows like all others it goes on
    assert RecurrentRegressor(**options).fit(X, y).n_iter_ == 30


def test_nothing_stops_a_training_without_early_stopping(task):
    X, y = task
    options = QUICK | {"max_iter": 10, "n_iter_no_change": 1, "learning_rate": 0.3}
    model = RecurrentRegressor(**options, early_stopping=False).fit(X, y)
    assert np.diff([epoch.training_loss for epoch in model.history_]).max() > 0
    assert model.n_iter_ == 10


@pytest.mark.parametrize(
    ("n", "options", "n_training"),
    [
        (300, {}, 270),
        (299, {}, 299),  # 29 rows cannot say when to stop
        (299, {"validation_fraction": 0.2}, 240),
        (300, {"early_stopping": False}, 300),
    ],
)
def test_all_rows_train_where_too_few_would_stop(task, n, options, n_training):
    X, y = task
    model = RecurrentRegressor(**QUICK, **options).fit(X[:n], y[:n])
    assert model.scaler_y_.n_samples_seen_ == n_training
    losses = [(epoch.stopping_loss, epoch.training_loss) for epoch in model.history_]
    assert all((stopping == training) == (n_training == n) for stopping, training in losses)


def test_in_a_pipeline(task):
    X, y = task
    pipeline = make_pipeline(StandardScaler(), RecurrentRegressor(n_steps=T, random_state=0))
    assert pipeline.fit(flat(X), y).score(flat(X), y) > 0.9


def test_in_a_search_over_cells(task):
    X, y = task
    search = GridSearchCV(RecurrentRegressor(**QUICK), {"cell": list(CELLS)}, cv=TimeSeriesSplit(2))
    search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert len(set(scores)) == len(CELLS)
    assert search.best_estimator_.network_.cell_name == search.best_params_["cell"]


def test_in_cross_validation(task):
    X, y = task
    scores = cross_val_score(RecurrentRegressor(random_state=0, learning_rate=1e-2), X, y, cv=TimeSeriesSplit(2))
    assert (scores > 0.5).all()


def test_a_clone_is_the_same_but_not_fitted(task):
    X, y = task
    model = RecurrentRegressor(**QUICK, optimizer=Adam(beta1=0.8), schedule=Exponential(0.1), loss=Pinball((0.7,)))
    model.fit(X, y)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(X)
    np.testing.assert_array_equal(copy.fit(X, y).predict(X), model.predict(X))


def test_it_survives_storage(task, tmp_path):
    X, y = task
    model = RecurrentRegressor(**QUICK).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    for loaded in (joblib.load(tmp_path / "model.joblib"), pickle.loads(pickle.dumps(model))):
        assert loaded.predict(X).tobytes() == model.predict(X).tobytes()
        assert loaded.history_ == model.history_


def test_a_seed_makes_it_reproducible(task):
    X, y = task
    first, again, other, none, none_again = (
        RecurrentRegressor(**QUICK | {"random_state": seed}).fit(X, y).predict(X) for seed in (1, 1, 2, None, None)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert not np.allclose(none, none_again)
    states = [RecurrentRegressor(**QUICK | {"random_state": np.random.RandomState(1)}).fit(X, y) for _ in range(2)]
    np.testing.assert_array_equal(*(model.predict(X) for model in states))


def test_a_prediction_does_not_feel_its_neighbours(task):
    X, y = task
    model = RecurrentRegressor(**QUICK).fit(X, y)
    together = model.predict(X)
    np.testing.assert_allclose([model.predict(X[i : i + 1])[0] for i in range(50)], together[:50], rtol=1e-12)


def test_several_targets_at_once(task):
    X, y = task
    both = np.column_stack([y, 40 - 3 * X[:, -1, 0]])
    model = RecurrentRegressor(random_state=0).fit(X, both)
    assert model.predict(X).shape == both.shape
    assert model.score(X, both) > 0.9
    np.testing.assert_allclose(model.predict(X).mean(axis=0), [0, 40], atol=0.5)
    assert RecurrentRegressor(**QUICK).fit(X, y[:, None]).predict(X).shape == (len(X), 1)


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, Adam(beta1=0.5)], ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_gets_smaller_with_each_optimizer(task, loss, optimizer):
    X, y = task
    model = RecurrentRegressor(**QUICK | {"max_iter": 5}, loss=loss, optimizer=optimizer).fit(X, y)
    assert model.history_[-1].training_loss < model.history_[0].training_loss


def test_no_two_optimizers_are_the_same(task):
    X, y = task
    assert len({RecurrentRegressor(**QUICK, optimizer=name).fit(X, y).predict(X)[0] for name in OPTIMIZERS}) == 5


def test_each_loss_aims_at_what_it_says():
    """Of targets that nothing announces, a squared error wants the mean, an absolute one the median."""
    y = np.random.default_rng(0).exponential(size=400)
    options = {"random_state": 0, "early_stopping": False, "max_iter": 30}
    aims = {
        str(loss): RecurrentRegressor(**options, loss=loss).fit(np.zeros((400, 1)), y).predict([[0.0]])[0]
        for loss in (*LOSSES, Pinball((0.9,)))
    }
    expected = [y.mean(), np.median(y), np.quantile(y, 0.9)]
    by_name = [aims[name] for name in ("squared_error", "absolute_error", str(Pinball((0.9,))))]
    np.testing.assert_allclose(by_name, expected, atol=0.1)
    assert aims["absolute_error"] < aims["huber"] < aims["squared_error"]


@pytest.mark.parametrize(
    "change",
    [
        {"cell": "rnn"},
        {"hidden_size": 7},
        {"num_layers": 1},
        {"dropout": 0.5},
        {"loss": "absolute_error"},
        {"optimizer": "adamw"},
        {"learning_rate": 1e-3},
        {"schedule": "cosine"},
        {"schedule": Exponential(0.5)},
        {"batch_size": 64},
        {"max_iter": 2},
        {"early_stopping": False},
        {"validation_fraction": 0.3},
        {"clip_norm": 0.01},
        {"clip_norm": None},
        {"scaler": "minmax"},
        {"scaler": None},
    ],
    ids=str,
)
def test_every_parameter_matters(task, change):
    X, y = task
    base = QUICK | {"num_layers": 2, "clip_norm": 0.3}
    assert not np.array_equal(
        RecurrentRegressor(**base | change).fit(X, y).predict(X), RecurrentRegressor(**base).fit(X, y).predict(X)
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cell": "transformer"}, r"cell='transformer' .* must be one of \['rnn', "),
        ({"hidden_size": 0}, "hidden_size=0 .* a whole number of at least 1$"),
        ({"hidden_size": 8.0}, "hidden_size=8.0 .* a whole number"),
        ({"num_layers": 0}, "num_layers=0 "),
        ({"dropout": 1.0}, "dropout=1.0 .* from 0 to below 1"),
        ({"n_steps": 0}, "n_steps=0 .* at least 1, or None"),
        ({"loss": "mse"}, r"loss='mse' .* \['squared_error', 'absolute_error', 'huber'\] or a callable"),
        ({"loss": Pinball}, "loss=<class"),  # forgotten parentheses
        ({"optimizer": "lbfgs"}, "optimizer='lbfgs' .* 'adamw', .* or a models.nn.Optimizer"),
        ({"optimizer": Adam}, "optimizer=<class"),
        ({"learning_rate": 0}, "learning_rate=0 .* greater than 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan "),
        ({"learning_rate": float("inf")}, "learning_rate=inf "),
        ({"learning_rate": "fast"}, "learning_rate='fast' "),
        ({"schedule": "linear"}, r"schedule='linear' .* \['constant', 'cosine'\]"),
        ({"batch_size": 0}, "batch_size=0 "),
        ({"max_iter": 0}, "max_iter=0 "),
        ({"early_stopping": "yes"}, "early_stopping='yes' .*True"),
        ({"validation_fraction": 1.0}, "validation_fraction=1.0 .* between 0 and 1"),
        ({"validation_fraction": 0.0}, "validation_fraction=0.0 "),
        ({"n_iter_no_change": 0}, "n_iter_no_change=0 "),
        ({"clip_norm": -1}, "clip_norm=-1 .* greater than 0, or None"),
        ({"scaler": "robust"}, "scaler='robust' .* 'minmax', None"),
        ({"random_state": "zero"}, "'zero' cannot be used to seed"),
    ],
    ids=str,
)
def test_a_wrong_parameter_is_named_with_its_remedy(wrong, message):
    with pytest.raises(ValueError, match=message):
        RecurrentRegressor(**wrong).fit(np.zeros((5, 3)), np.zeros(5))


def test_data_frames(task):
    X, y = task
    frame = pd.DataFrame(flat(X), columns=[f"{name}{t}" for t in range(T) for name in ("value", "marker")])
    model = RecurrentRegressor(**QUICK, n_steps=T).fit(frame, pd.Series(y))
    assert list(model.feature_names_in_) == list(frame.columns)
    np.testing.assert_array_equal(
        model.predict(frame), RecurrentRegressor(**QUICK, n_steps=T).fit(flat(X), y).predict(flat(X))
    )
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[frame.columns[::-1]])


def test_where_scikit_learn_is_set_to_answer_data_frames(task):
    X, y = task
    expected = RecurrentRegressor(**QUICK).fit(X, y).predict(X)
    with config_context(transform_output="pandas"):
        np.testing.assert_array_equal(RecurrentRegressor(**QUICK).fit(X, y).predict(X), expected)
