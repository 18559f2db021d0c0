"""The scikit-learn interface of the recurrent networks: fit and predict, in pipelines and searches."""

from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any, Self, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from models.nn import (
    CELLS,
    SGD,
    Adam,
    Array,
    Cosine,
    Huber,
    Loss,
    Optimizer,
    RecurrentNetwork,
    RMSprop,
    Schedule,
    TrainingPlan,
    absolute_error,
    predict_rows,
    squared_error,
    train,
)
from models.nn.schedules import constant

LOSSES: dict[str, Loss] = {"squared_error": squared_error, "absolute_error": absolute_error, "huber": Huber()}
OPTIMIZERS: dict[str, Optimizer[Any]] = {
    "adam": Adam(),
    "adamw": Adam(weight_decay=0.01),
    "rmsprop": RMSprop(),
    "momentum": SGD(momentum=0.9),
    "sgd": SGD(),
}
SCHEDULES: dict[str, Schedule] = {"constant": constant, "cosine": Cosine()}
SCALERS: dict[str | None, Callable[[], Any]] = {
    "standard": StandardScaler,
    "minmax": MinMaxScaler,
    None: FunctionTransformer,
}

# Fewer rows than this are too few to decide when to stop.
MIN_VALIDATION_ROWS = 30

# For each parameter: which values are possible, as a test and in words.
Rule: TypeAlias = tuple[Callable[[Any], bool], str]


def _one_of(names: Iterable[Any], method: str = "", words: str = "") -> Rule:
    """Allow the names, and where a ``method`` is given any object with it; a class would pass for its instance."""

    def allowed(value: Any) -> bool:
        named = isinstance(value, str | bool | np.bool_ | None) and value in list(names)
        return named or bool(method and hasattr(value, method) and not isinstance(value, type))

    return allowed, f"one of {list(names)}{words}"


def _number(possible: Callable[[float], bool], words: str, kind: type = Real) -> Rule:
    return lambda value: isinstance(value, kind) and not isinstance(value, bool) and possible(value), words  # type: ignore[arg-type]


def _or_none(rule: Rule) -> Rule:
    allowed, words = rule
    return lambda value: value is None or allowed(value), f"{words}, or None"


COUNT = _number(lambda n: n >= 1, "a whole number of at least 1", Integral)
POSITIVE = _number(lambda x: 0 < x < np.inf, "a number greater than 0")
RULES: dict[str, Rule] = {
    "cell": _one_of(CELLS),
    "hidden_size": COUNT,
    "num_layers": COUNT,
    "dropout": _number(lambda x: 0 <= x < 1, "a number from 0 to below 1"),
    "n_steps": _or_none(COUNT),
    "loss": _one_of(LOSSES, "__call__", " or a callable (prediction, target) -> (value, gradient)"),
    "optimizer": _one_of(OPTIMIZERS, "step", " or a models.nn.Optimizer"),
    "learning_rate": POSITIVE,
    "schedule": _one_of(SCHEDULES, "__call__", " or a callable (fraction of the training done) -> factor"),
    "batch_size": COUNT,
    "max_iter": COUNT,
    "early_stopping": _one_of([True, False]),
    "validation_fraction": _number(lambda x: 0 < x < 1, "a number between 0 and 1"),
    "n_iter_no_change": COUNT,
    "clip_norm": _or_none(POSITIVE),
    "scaler": _one_of(SCALERS),
}


class RecurrentRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A recurrent network from windows of T steps of F features to O numbers, read off the last step.

    X is (n, T, F), or flat, (n, T * F), as pipelines need it, with the features of the oldest step first. Rows are in
    order of time, oldest first. Features (over all rows and steps) and targets are scaled inside, by the training rows.

    Parameters
    ----------
    cell : a name in `models.nn.CELLS`
    hidden_size, num_layers : hidden units H of each layer, and stacked layers L
    dropout : fraction of the hidden states between layers that is dropped; no effect with one layer
    n_steps : T of a flat X; None takes each column as a step of one feature, which suits lags, oldest first
    loss : "squared_error", "absolute_error", "huber" (threshold 1, in scaled units) or a `models.nn.Loss`
    optimizer : "adam", "adamw", "rmsprop", "momentum", "sgd" or a `models.nn.Optimizer`
    learning_rate : the largest learning rate
    schedule : "constant", "cosine" or a `models.nn.Schedule`: the fraction of the learning rate for each step
    batch_size, max_iter : rows in each step of the optimiser, and the most passes over the training rows
    early_stopping : whether to set the newest rows aside, to stop once they are forecast no better, and to keep the
        weights that forecast them best. With fewer than `MIN_VALIDATION_ROWS` (30) of them all rows train, and the
        training loss decides
    validation_fraction : fraction of the rows that early stopping sets aside
    n_iter_no_change : passes without a lower loss after which early stopping ends the training
    clip_norm : largest norm of all gradients together; None for no limit
    scaler : "standard", "minmax", or None for none
    random_state : a seed for reproducible weights; or anything that `sklearn.utils.check_random_state` accepts

    Attributes
    ----------
    network_, weights_ : the `RecurrentNetwork`, and its parameters, float64
    history_ : an `Epoch` for each of the ``n_iter_`` passes; losses in scaled units
    scaler_x_, scaler_y_ : fitted to the training rows
    window_shape_ : (T, F); ``n_features_in_`` is T * F, the columns of a flat X
    target_shape_ : of one row of y: () or (O,)
    """

    def __init__(
        self,
        cell: str = "gru",
        *,
        hidden_size: int = 32,
        num_layers: int = 1,
        dropout: float = 0.0,
        n_steps: int | None = None,
        loss: str | Loss = "squared_error",
        optimizer: str | Optimizer[Any] = "adam",
        learning_rate: float = 3e-3,
        schedule: str | Schedule = "constant",
        batch_size: int = 32,
        max_iter: int = 50,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        clip_norm: float | None = 1.0,
        scaler: str | None = "standard",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.n_steps = n_steps
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.clip_norm = clip_norm
        self.scaler = scaler
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Train a new network on X, (n, T, F) or (n, T * F), and y, (n,) or (n, O), in any unit.

        Raises ValueError where a parameter, X or y is not as described; FloatingPointError where the training diverges:
        lower ``learning_rate``.
        """
        self._check_parameters()
        X, window_shape = _flattened(X)
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        self.window_shape_ = self._fitting_shape(window_shape)
        self.target_shape_ = y.shape[1:]
        x, y = X.reshape(len(X), *self.window_shape_), y.reshape(len(y), -1)

        n_validation = int(self.validation_fraction * len(x)) if self.early_stopping else 0
        n_training = len(x) - (n_validation if n_validation >= MIN_VALIDATION_ROWS else 0)
        self.scaler_x_ = _new_scaler(self.scaler).fit(x[:n_training].reshape(-1, x.shape[2]))
        self.scaler_y_ = _new_scaler(self.scaler).fit(y[:n_training])
        # float32 for training, which is faster; float64 for prediction, where a row does not depend on its batch.
        x, y = self._scaled(x).astype(np.float32), self.scaler_y_.transform(y).astype(np.float32)
        training, validation = (x[:n_training], y[:n_training]), (x[n_training:], y[n_training:])

        shape = self.cell, x.shape[2], self.hidden_size, self.num_layers, y.shape[1]
        self.network_ = RecurrentNetwork(*shape, dropout=self.dropout)
        plan = TrainingPlan(
            self.max_iter,
            self.batch_size,
            self.learning_rate,
            _named(self.optimizer, OPTIMIZERS),
            _named(self.schedule, SCHEDULES),
            _named(self.loss, LOSSES),
            self.clip_norm,
            patience=self.n_iter_no_change if self.early_stopping else None,
        )
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        initial, validation_rows = self.network_.init(rng), validation if len(validation[0]) else None
        weights, self.history_ = train(self.network_, initial, training, validation_rows, plan, rng)
        self.weights_ = {name: value.astype(np.float64) for name, value in weights.items()}
        self.n_iter_ = len(self.history_)
        return self

    def predict(self, X: Any) -> Array:
        """Return y, (n,) or (n, O) as in training, float64.

        Raises NotFittedError before `fit`; ValueError where the windows are not of the shape seen in training.
        """
        check_is_fitted(self)
        X, window_shape = _flattened(X)
        if window_shape not in (None, self.window_shape_):
            raise ValueError(
                f"X has windows of (steps, features) {window_shape}, but this RecurrentRegressor was fitted on "
                f"{self.window_shape_}: pass windows of that shape, or fit again"
            )
        X = validate_data(self, X, dtype=np.float64, reset=False)
        y = predict_rows(self.network_, self.weights_, self._scaled(X.reshape(len(X), *self.window_shape_)))
        return np.asarray(self.scaler_y_.inverse_transform(y).reshape(len(X), *self.target_shape_))

    def _scaled(self, x: Array) -> Array:
        return np.asarray(self.scaler_x_.transform(x.reshape(-1, x.shape[2])).reshape(x.shape))

    def _fitting_shape(self, of_windows: tuple[int, int] | None) -> tuple[int, int]:
        columns, n_steps = self.n_features_in_, self.n_steps or (of_windows[0] if of_windows else self.n_features_in_)
        if columns % n_steps or (of_windows and n_steps != of_windows[0]):
            found = f"windows of {of_windows[0]} steps" if of_windows else f"{columns} columns, not a multiple of it"
            raise ValueError(f"n_steps={n_steps} does not fit X, which has {found}: change n_steps, or leave it None")
        return n_steps, columns // n_steps

    def _check_parameters(self) -> None:
        for name, (allowed, words) in RULES.items():
            value = getattr(self, name)
            if not allowed(value):
                raise ValueError(f"{name}={value!r} is not valid: it must be {words}")


def _flattened(X: Any) -> tuple[Any, tuple[int, int] | None]:
    """Return X with the steps of each window side by side, and (T, F); a flat X comes back unchanged, with None."""
    X = X if hasattr(X, "shape") else np.asarray(X)
    match tuple(X.shape):
        case n, T, F:
            return np.asarray(X).reshape(n, T * F), (T, F)
        case _, _, _, _, *_:
            raise ValueError(f"X has {len(X.shape)} axes: pass windows (n, T, F), or flat ones (n, T * F)")
    return X, None


def _named(value: Any, names: Mapping[str, Any]) -> Any:
    return names[value] if isinstance(value, str) else value


def _new_scaler(name: str | None) -> Any:
    """Return a scaler that gives arrays, even where scikit-learn is configured to give data frames."""
    return SCALERS[name]().set_output(transform="default")
