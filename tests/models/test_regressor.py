"""RecurrentRegressor: scikit-learn's own checks, windows, scaling, early stopping, parameters and refusals."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from models.nn import CELLS, Adam, Exponential, Pinball
from models.regressor import LOSSES, OPTIMIZERS, RecurrentRegressor

T, F = 5, 2
QUICK = {"hidden_size": 8, "max_iter": 3, "random_state": 0}


def test_scikit_learn_s_estimator_checks_pass():
    """Some of them need a fit that explains the target. SciPy's array API is off, so that one of them does not run."""
    results = check_estimator(RecurrentRegressor(hidden_size=8, max_iter=30, learning_rate=1e-2), on_skip=None)
    assert len(results) > 40
    assert {r["check_name"] for r in results if r["status"] != "passed"} <= {"check_array_api_input"}


def marked_values(n=600, seed=0):
    """A task that needs memory and a gate: the value at a marker, anywhere in the window."""
    rng = np.random.default_rng(seed)
    value, marker = rng.normal(size=(n, T)), np.zeros((n, T))
    marker[np.arange(n), rng.integers(0, T, n)] = 1
    return np.stack([value, marker], axis=2), (value * marker).sum(axis=1)


def flat(X):
    return X.reshape(len(X), -1)


@pytest.fixture(scope="module")
def task():
    return marked_values()


@pytest.fixture(scope="module")
def quick(task):
    """A quickly fitted model and its predictions; leave it as it is."""
    model = RecurrentRegressor(**QUICK).fit(*task)
    return model, model.predict(task[0])


def test_learns_several_targets_of_different_sizes_that_a_linear_model_cannot(task):
    """In a pipeline, from flat windows."""
    X, y = task
    new_X, new_y = marked_values(seed=1)
    assert Ridge().fit(flat(X), y).score(flat(new_X), new_y) < 0.4
    pipeline = make_pipeline(StandardScaler(), RecurrentRegressor(n_steps=T, max_iter=40, random_state=0))
    pipeline.fit(flat(X), np.column_stack([y, 40 - 3 * X[:, -1, 0]]))
    predicted = pipeline.predict(flat(new_X))
    assert predicted.shape == (len(new_X), 2)
    assert pipeline.score(flat(new_X), np.column_stack([new_y, 40 - 3 * new_X[:, -1, 0]])) > 0.95
    np.testing.assert_allclose(predicted.mean(axis=0), [0, 40], atol=0.5)


def test_windows_flat_rows_lists_and_data_frames_give_the_same_predictions(task, quick):
    X, y = task
    of_windows, expected = quick
    of_rows = RecurrentRegressor(**QUICK, n_steps=T).fit(flat(X), y)
    frame = pd.DataFrame(flat(X), columns=[f"{name}{t}" for t in range(T) for name in ("value", "marker")])
    of_frame = RecurrentRegressor(**QUICK, n_steps=T).fit(frame, pd.Series(y))
    assert of_windows.window_shape_ == of_rows.window_shape_ == of_frame.window_shape_ == (T, F)
    assert np.ptp(expected) > 0.1
    for model in (of_windows, of_rows):
        for windows in (X, flat(X), X.tolist()):
            np.testing.assert_array_equal(model.predict(windows), expected)
    np.testing.assert_array_equal(of_frame.predict(frame), expected)
    assert list(of_frame.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names should match"):
        of_frame.predict(frame[frame.columns[::-1]])
    with config_context(transform_output="pandas"):
        np.testing.assert_array_equal(RecurrentRegressor(**QUICK).fit(X, y).predict(X), expected)


def test_without_n_steps_each_column_is_a_step(task):
    X, y = task
    model = RecurrentRegressor(**QUICK).fit(X[:, :, 0], y[:, None])
    assert model.window_shape_ == (T, 1)
    assert model.predict(X[:, :, 0]).shape == (len(X), 1)
    np.testing.assert_array_equal(model.predict(X[:, :, :1]), model.predict(X[:, :, 0]))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((T + 1, F), r"\(6, 2\), but this RecurrentRegressor was fitted on \(5, 2\)"),
        ((T, F + 1), r"\(5, 3\), but"),
        ((F, T), r"\(2, 5\), but"),  # the same number of columns
        ((T, F, 1), r"X has 4 axes: pass windows \(n, T, F\)"),
        ((T * F + 1,), "X has 11 features, but RecurrentRegressor is expecting 10"),
    ],
)
def test_windows_of_another_shape_raise_value_error(quick, shape, message):
    with pytest.raises(ValueError, match=message):
        quick[0].predict(np.zeros((3, *shape)))


def test_fit_refuses_n_steps_that_do_not_fit_and_missing_values(task):
    X, y = task
    with pytest.raises(ValueError, match="n_steps=4 does not fit X, which has 10 columns"):
        RecurrentRegressor(n_steps=4).fit(flat(X), y)
    with pytest.raises(ValueError, match="n_steps=2 does not fit X, which has windows of 5 steps"):
        RecurrentRegressor(n_steps=2).fit(X, y)
    gap = X.copy()
    gap[3, 2, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        RecurrentRegressor().fit(gap, y)
    with pytest.raises(NotFittedError):
        RecurrentRegressor().predict(X)


def test_units_and_input_dtype_do_not_matter(task, quick):
    X, y = task
    in_other_units = RecurrentRegressor(**QUICK).fit(X * [1e4, 1e-3] + [300, -5], y * 1e5 + 1e6)
    predicted = (in_other_units.predict(X * [1e4, 1e-3] + [300, -5]) - 1e6) / 1e5
    np.testing.assert_allclose(predicted, quick[1], atol=1e-4)
    coarse = (X + 1e4).astype(np.float32)
    single, double = (RecurrentRegressor(**QUICK).fit(windows, y) for windows in (coarse, coarse.astype(float)))
    np.testing.assert_array_equal(single.predict(coarse), double.predict(coarse.astype(float)))


@pytest.mark.parametrize("scaler", ["standard", "minmax", None])
def test_scalers_are_fitted_to_the_training_rows_only(task, scaler):
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


def test_newest_rows_stop_the_training(task):
    X, y = (array.copy() for array in task)
    options = QUICK | {"max_iter": 20, "n_iter_no_change": 4, "learning_rate": 1e-2}
    y[-60:] *= -1  # what the other rows teach makes these worse from the first epoch on
    model = RecurrentRegressor(**options).fit(X, y)
    assert model.n_iter_ == len(model.history_) == 1 + 4
    y[-60:] *= -1
    assert RecurrentRegressor(**options).fit(X, y).n_iter_ == 20


def test_without_early_stopping_training_runs_to_its_end(task):
    options = QUICK | {"max_iter": 10, "n_iter_no_change": 1, "learning_rate": 0.3, "early_stopping": False}
    model = RecurrentRegressor(**options).fit(*task)
    assert np.diff([epoch.training_loss for epoch in model.history_]).max() > 0
    assert model.n_iter_ == 10


@pytest.mark.parametrize(
    ("n", "options", "n_training"),
    [
        (300, {}, 270),
        (299, {}, 299),  # 29 rows are too few to decide when to stop
        (299, {"validation_fraction": 0.2}, 240),
        (300, {"early_stopping": False}, 300),
    ],
)
def test_all_rows_train_where_too_few_would_decide_when_to_stop(task, n, options, n_training):
    X, y = task
    model = RecurrentRegressor(**QUICK, **options).fit(X[:n], y[:n])
    assert model.scaler_y_.n_samples_seen_ == n_training
    for epoch in model.history_:
        assert (epoch.validation_loss == epoch.training_loss) == (n_training == n)


def test_grid_search_over_all_cells(task):
    search = GridSearchCV(RecurrentRegressor(**QUICK), {"cell": list(CELLS)}, cv=TimeSeriesSplit(2)).fit(*task)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert len(set(scores)) == len(CELLS)
    assert search.best_estimator_.network_.cell_name == search.best_params_["cell"]


def test_clone_has_the_same_parameters_and_no_fit(task):
    X, y = task
    model = RecurrentRegressor(**QUICK, optimizer=Adam(beta1=0.8), schedule=Exponential(0.1), loss=Pinball((0.7,)))
    model.fit(X, y)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(X)
    np.testing.assert_array_equal(copy.fit(X, y).predict(X), model.predict(X))


def test_stored_model_predicts_the_same(task, quick, tmp_path):
    model, expected = quick
    joblib.dump(model, tmp_path / "model.joblib")
    for loaded in (joblib.load(tmp_path / "model.joblib"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(loaded.predict(task[0]), expected)
        assert loaded.history_ == model.history_


def test_random_state_makes_a_fit_reproducible(task, quick):
    def predicted(random_state):
        return RecurrentRegressor(**QUICK | {"random_state": random_state}).fit(*task).predict(task[0])

    np.testing.assert_array_equal(predicted(0), quick[1])
    assert not np.allclose(predicted(1), quick[1])
    assert not np.allclose(predicted(None), predicted(None))
    np.testing.assert_array_equal(*(predicted(np.random.RandomState(1)) for _ in range(2)))


def test_prediction_of_a_row_does_not_depend_on_the_others(task, quick):
    model, together = quick
    np.testing.assert_allclose([model.predict(task[0][i : i + 1])[0] for i in range(9)], together[:9], rtol=1e-12)


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, Adam(beta1=0.5)], ids=str)
def test_each_loss_falls_with_each_optimizer(task, optimizer):
    X, y = task
    for loss in LOSSES:
        model = RecurrentRegressor(**QUICK, loss=loss, optimizer=optimizer).fit(X[:300], y[:300])
        assert model.history_[-1].training_loss < model.history_[0].training_loss


def test_each_loss_aims_at_its_own_statistic():
    """For targets without predictors: the squared error at the mean, the absolute error at the median."""
    y = np.random.default_rng(0).exponential(size=300)
    options = {"hidden_size": 8, "random_state": 0, "early_stopping": False, "max_iter": 30, "learning_rate": 1e-2}
    aims = {
        str(loss): RecurrentRegressor(**options, loss=loss).fit(np.zeros((300, 1)), y).predict([[0.0]])[0]
        for loss in (*LOSSES, Pinball((0.9,)))
    }
    expected = [y.mean(), np.median(y), np.quantile(y, 0.9)]
    by_name = [aims[name] for name in ("squared_error", "absolute_error", str(Pinball((0.9,))))]
    np.testing.assert_allclose(by_name, expected, atol=0.1)
    assert aims["absolute_error"] < aims["huber"] < aims["squared_error"]


def test_every_parameter_matters(task):
    """A change of any one gives other predictions, different from those of all other changes."""
    X, y = task[0][:350], task[1][:350]
    base = QUICK | {"num_layers": 2, "clip_norm": 0.3, "n_iter_no_change": 1}
    changes = {
        "cell": ["rnn"], "hidden_size": [7], "num_layers": [1], "dropout": [0.5], "loss": ["absolute_error", "huber"],
        "optimizer": [*(name for name in OPTIMIZERS if name != "adam"), Adam(beta1=0.5)], "learning_rate": [1e-3],
        "schedule": ["cosine", Exponential(0.5)], "batch_size": [64], "max_iter": [2], "early_stopping": [False],
        "validation_fraction": [0.3], "clip_norm": [0.01, None], "scaler": ["minmax", None],
    }  # fmt: skip
    fits = [base] + [base | {name: value} for name, values in changes.items() for value in values]
    predictions = [RecurrentRegressor(**options).fit(X, y).predict(X[:5]).tobytes() for options in fits]
    assert len(set(predictions)) == len(fits)
    assert changes.keys() | {"n_steps", "n_iter_no_change", "random_state"} == RecurrentRegressor().get_params().keys()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cell": "transformer"}, r"cell='transformer' .* must be one of \['rnn', "),
        ({"hidden_size": 0}, "hidden_size=0 .* a whole number of at least 1$"),
        *(({"hidden_size": n}, f"hidden_size={n} .* a whole number") for n in (8.0, True)),
        ({"loss": np.array([1, 2])}, r"loss=array\(\[1, 2\]\) .* or a callable"),
        *(({name: 0}, f"{name}=0 .* at least 1$")
          for name in ("num_layers", "batch_size", "max_iter", "n_iter_no_change")),
        ({"dropout": 1.0}, "dropout=1.0 .* from 0 to below 1"),
        ({"n_steps": 0}, "n_steps=0 .* at least 1, or None"),
        ({"loss": "mse"}, r"loss='mse' .* \['squared_error', 'absolute_error', 'huber'\] or a callable"),
        ({"loss": Pinball}, "loss=<class"),  # forgotten parentheses
        ({"optimizer": "lbfgs"}, "optimizer='lbfgs' .* 'adamw', .* or a models.nn.Optimizer"),
        ({"optimizer": Adam}, "optimizer=<class"),
        *(({"learning_rate": x}, f"learning_rate={x!r} .* greater than 0") for x in (0, np.nan, np.inf, "fast")),
        ({"schedule": "linear"}, r"schedule='linear' .* \['constant', 'cosine'\]"),
        ({"early_stopping": "yes"}, "early_stopping='yes' .*True"),
        *(({"validation_fraction": x}, f"validation_fraction={x} .* between 0 and 1") for x in (0.0, 1.0)),
        ({"clip_norm": -1}, "clip_norm=-1 .* greater than 0, or None"),
        ({"scaler": "robust"}, "scaler='robust' .* 'minmax', None"),
        ({"random_state": "zero"}, "'zero' cannot be used to seed"),
    ],
    ids=str,
)  # fmt: skip
def test_invalid_parameters_raise_value_error_with_the_remedy(wrong, message):
    with pytest.raises(ValueError, match=message):
        RecurrentRegressor(**wrong).fit(np.zeros((5, 3)), np.zeros(5))
