"""The scikit-learn face of the recurrent networks: fit and predict, in pipelines and searches."""

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

# Fewer stopping rows than this say too little about when to stop.
MIN_STOPPING_ROWS = 30

# For each parameter: whether a value is possible, and what is, in words.
Rule: TypeAlias = tuple[Callable[[Any], bool], str]


def _one_of(names: Iterable[Any]) -> Rule:
    return lambda value: value in list(names), f"one of {list(names)}"


def _one_of_or_own(names: Iterable[str], method: str, words: str) -> Rule:
    # A class would pass for its instance: it has the same methods.
    return (
        lambda value: value in list(names) or (hasattr(value, method) and not isinstance(value, type)),
        f"one of {list(names)} or {words}",
    )


def _or_none(rule: Rule) -> Rule:
    allowed, words = rule
    return lambda value: value is None or allowed(value), f"{words}, or None"


COUNT: Rule = (lambda value: isinstance(value, Integral) and int(value) >= 1, "a whole number of at least 1")
POSITIVE: Rule = (lambda value: isinstance(value, Real) and 0 < float(value) < np.inf, "a number greater than 0")
RULES: dict[str, Rule] = {
    "cell": _one_of(CELLS),
    "hidden_size": COUNT,
    "num_layers": COUNT,
    "dropout": (lambda value: isinstance(value, Real) and 0 <= float(value) < 1, "a number from 0 to below 1"),
    "n_steps": _or_none(COUNT),
    "loss": _one_of_or_own(LOSSES, "__call__", "a callable (prediction, target) -> (value, gradient)"),
    "optimizer": _one_of_or_own(OPTIMIZERS, "step", "a models.nn.Optimizer"),
    "learning_rate": POSITIVE,
    "schedule": _one_of_or_own(SCHEDULES, "__call__", "a callable (share of the training that is done) -> factor"),
    "batch_size": COUNT,
    "max_iter": COUNT,
    "early_stopping": _one_of([True, False]),
    "validation_fraction": (lambda value: isinstance(value, Real) and 0 < float(value) < 1, "a number between 0 and 1"),
    "n_iter_no_change": COUNT,
    "clip_norm": _or_none(POSITIVE),
    "scaler": _one_of(SCALERS),
}


class RecurrentRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A recurrent network, from windows of T steps of F features to O numbers read off the last step.

    X is (n, T, F), or flat, (n, T * F), as pipelines need it: the features of the oldest step come first. Rows are in
    order of time, oldest first. Nothing need be scaled beforehand: features (each over all its rows and steps) and
    targets are scaled inside, by what the training rows show.

    Parameters
    ----------
    cell : a name in `models.nn.CELLS`
    hidden_size : hidden units H of each layer
    num_layers : stacked layers L
    dropout : the share of hidden states that a layer does not see of the layer below, 0 to below 1; for one layer
        there is nothing to drop
    n_steps : T of a flat X; None takes each column as a step of one feature, which is right for lags, oldest first
    loss : "squared_error", "absolute_error", "huber" (beyond 1 scaled unit the absolute error) or a `models.nn.Loss`
    optimizer : "adam", "adamw", "rmsprop", "momentum", "sgd" or a `models.nn.Optimizer`
    learning_rate : its largest value
    schedule : "constant", "cosine" or a `models.nn.Schedule`: the share of the learning rate for each step
    batch_size : rows for each step of the optimiser
    max_iter : passes over the training rows, at most
    early_stopping : whether to set the last rows aside, to end where they are forecast no better, and to keep the
        weights that forecast them best. Where they would be fewer than `MIN_STOPPING_ROWS`, which is 30, all rows
        train, and their own loss stops
    validation_fraction : the share of the rows that is set aside, 0 to 1: the last, which are the newest
    n_iter_no_change : passes without a better loss after which early stopping ends the training
    clip_norm : bound of the norm of all gradients together; None for no bound
    scaler : "standard", "minmax", or None for none
    random_state : a seed, for the same weights each time; or as `sklearn.utils.check_random_state` takes it

    Attributes
    ----------
    network_ : the `RecurrentNetwork`, and ``weights_`` its parameters, float64
    history_ : an `Epoch` for each of the ``n_iter_`` passes; losses in scaled units
    scaler_x_, scaler_y_ : fitted on the training rows
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
        """Train a new network.

        Parameters
        ----------
        X : (n, T, F) or (n, T * F), in order of time
        y : (n,) or (n, O), in any unit

        Raises
        ------
        ValueError : where a parameter, X or y is not as described
        FloatingPointError : where the training diverges: lower ``learning_rate``
        """
        self._check_parameters()
        X, window_shape = _flattened(X)
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        self.window_shape_ = self._fitting_shape(window_shape)
        self.target_shape_ = y.shape[1:]
        x, y = X.reshape(len(X), *self.window_shape_), y.reshape(len(y), -1)

        n_stopping = int(self.validation_fraction * len(x)) if self.early_stopping else 0
        n_training = len(x) - (n_stopping if n_stopping >= MIN_STOPPING_ROWS else 0)
        self.scaler_x_ = _new_scaler(self.scaler).fit(x[:n_training].reshape(-1, x.shape[2]))
        self.scaler_y_ = _new_scaler(self.scaler).fit(y[:n_training])
        # Training is for float32, which is faster; prediction for float64, where no row feels its batch.
        x, y = self._scaled(x).astype(np.float32), self.scaler_y_.transform(y).astype(np.float32)
        training, stopping = (x[:n_training], y[:n_training]), (x[n_training:], y[n_training:])

        self.network_ = RecurrentNetwork(
            self.cell, x.shape[2], self.hidden_size, self.num_layers, y.shape[1], dropout=self.dropout
        )
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
        weights, self.history_ = train(
            self.network_, self.network_.init(rng), training, stopping if len(stopping[0]) else None, plan, rng
        )
        self.weights_ = {name: value.astype(np.float64) for name, value in weights.items()}
        self.n_iter_ = len(self.history_)
        return self

    def predict(self, X: Any) -> Array:
        """Return y, (n,) or (n, O) as it was in training, float64, for windows of the shape that was trained on.

        Raises
        ------
        NotFittedError : before `fit`
        ValueError : where X is not as described
        """
        check_is_fitted(self)
        X, window_shape = _flattened(X)
        if window_shape not in (None, self.window_shape_):
            raise ValueError(
                f"X has windows of (steps, features) {window_shape}, but this RecurrentRegressor was fitted on "
                f"{self.window_shape_}: bring windows of that shape, or fit anew"
            )
        X = validate_data(self, X, dtype=np.float64, reset=False)
        y = predict_rows(self.network_, self.weights_, self._scaled(X.reshape(len(X), *self.window_shape_)))
        return np.asarray(self.scaler_y_.inverse_transform(y).reshape(len(X), *self.target_shape_))

    def _scaled(self, x: Array) -> Array:
        return np.asarray(self.scaler_x_.transform(x.reshape(-1, x.shape[2])).reshape(x.shape))

    def _fitting_shape(self, of_windows: tuple[int, int] | None) -> tuple[int, int]:
        columns = self.n_features_in_
        n_steps = self.n_steps or (of_windows[0] if of_windows else columns)
        if columns % n_steps or (of_windows and n_steps != of_windows[0]):
            raise ValueError(
                f"n_steps={n_steps} does not fit X, which has "
                + (f"windows of {of_windows[0]} steps" if of_windows else f"{columns} columns, no multiple of it")
                + ": change n_steps, or leave it None"
            )
        return n_steps, columns // n_steps

    def _check_parameters(self) -> None:
        for name, (allowed, words) in RULES.items():
            value = getattr(self, name)
            if not allowed(value):
                raise ValueError(f"{name}={value!r} is not possible: it must be {words}")


def _flattened(X: Any) -> tuple[Any, tuple[int, int] | None]:
    """Return X with the steps of a window side by side, and (T, F); whatever is not windows comes back as it is."""
    if not hasattr(X, "shape"):
        X = np.asarray(X)
    match tuple(X.shape):
        case n, T, F:
            return np.asarray(X).reshape(n, T * F), (T, F)
        case _, _, _, _, *_:
            raise ValueError(f"X has {len(X.shape)} axes: bring windows (n, T, F), or flat ones (n, T * F)")
    return X, None


def _named(value: Any, names: Mapping[str, Any]) -> Any:
    return names[value] if isinstance(value, str) else value


def _new_scaler(name: str | None) -> Any:
    """Return a scaler that answers arrays even where scikit-learn is set to answer data frames."""
    return SCALERS[name]().set_output(transform="default")
