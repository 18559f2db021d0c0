"""The forecaster: a recurrent network, the scaler before it and the odds after it, as one value."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import msgspec
import numpy as np

from models.backtest import Split
from models.features import Filling, feature_table, used_columns, windows, windows_without_gap
from models.intervals import PROBABILITIES, ErrorDistribution
from models.nn import Array, Epoch, Parameters, RecurrentNetwork, TrainingPlan, predict_rows, train
from models.recipe import Recipe
from models.station_days import COLUMNS, ONE_DAY, TMAX, StationDays

# The state's own version: raised when an older reader could not read a newer state.
FORMAT = 1


class SequenceError(ValueError):
    """The days given are not enough for an honest forecast.

    Attributes
    ----------
    date : the day where it shows
    """

    def __init__(self, message: str, date: np.datetime64) -> None:
        super().__init__(message)
        self.date = date


class Scaler(Protocol):
    """What is used of a fitted `sklearn.preprocessing.StandardScaler`."""

    mean_: Array
    scale_: Array


@dataclass(frozen=True)
class Forecast:
    """Tomorrow's tmax with its odds, in degC.

    Attributes
    ----------
    issued : the last day that was known
    point : the network's forecast
    errors : how far off it may be
    days : how many days the network saw
    filled : (day, column) of each value that the model looks at and that was not observed
    """

    issued: np.datetime64
    point: float
    errors: ErrorDistribution = field(repr=False)
    days: int
    filled: tuple[tuple[np.datetime64, str], ...] = ()

    @property
    def valid(self) -> np.datetime64:
        """The calendar day that the forecast is for."""
        return self.issued + ONE_DAY

    @property
    def tmax(self) -> float:
        """The median of the forecast distribution."""
        return self._quantile(0.5)

    def interval(self, level: float) -> tuple[float, float]:
        """Return the central interval that holds the observation with probability ``level`` (0.05 to 0.99)."""
        return self._quantile((1 - level) / 2), self._quantile((1 + level) / 2)

    def exceedance(self, threshold: float) -> float:
        """Return the probability of more than ``threshold``, degC."""
        return self.errors.exceedance(threshold - self.point)

    def _quantile(self, probability: float) -> float:
        return self.point + float(self.errors.quantile(probability))


@dataclass(frozen=True, eq=False)
class Forecaster:
    """A trained model.

    The network sees the last ``recipe.window`` days, scaled, and answers the change of tmax from the issue day to the
    next, in units of ``change_scale`` around ``change_mean`` (degC): what it need not learn is that tomorrow
    resembles today.

    Attributes
    ----------
    columns : those of the station-days that it looks at
    trained_through : the last day whose tmax had a part in the weights
    """

    recipe: Recipe
    columns: tuple[str, ...]
    filling: Filling
    scaler: Scaler
    weights: Parameters
    change_mean: float
    change_scale: float
    errors: ErrorDistribution
    trained_through: np.datetime64

    @classmethod
    def fit(
        cls,
        days: StationDays,
        split: Split,
        recipe: Recipe,
        seed: int = 0,
        on_epoch: Callable[[Epoch], None] | None = None,
    ) -> "Forecaster":
        """Train on ``split.training``, stop by ``split.stopping``, calibrate the odds on ``split.held_out``.

        What is learned before the network (columns, filling, scaler, mean change) is learned from the days up to the
        last training row.
        """
        # Only training needs scikit-learn: whoever serves a forecast must not pay for its import.
        from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

        rng = np.random.default_rng(seed)
        columns = used_columns(days.values[split.training])
        filling = Filling.fit(days.part(0, split.training[-1] + 1))
        table = feature_table(days.dates, filling.fill(days, recipe.max_gap), columns)
        scaler = StandardScaler().fit(table[split.training])
        change = days.next_tmax - days.tmax
        change_mean = float(change[split.training].mean())
        change_scale = float(change[split.training].std())

        def examples(rows: Array) -> tuple[Array, Array]:
            y = (change[rows, None] - change_mean) / (change_scale or 1.0)
            return windows(_scaled(table, scaler), rows, recipe.window), y.astype(np.float32)

        network = _network(recipe, columns)
        plan = TrainingPlan(
            recipe.epochs,
            recipe.batch_size,
            recipe.learning_rate,
            clip_norm=recipe.clip_norm,
            patience=recipe.patience,
        )
        weights, _ = train(
            network, network.init(rng), examples(split.training), examples(split.stopping), plan, rng, on_epoch
        )
        through = days.dates[split.stopping[-1]] + ONE_DAY
        uncalibrated = ErrorDistribution(np.zeros(0), 0)
        model = cls(recipe, columns, filling, scaler, weights, change_mean, change_scale, uncalibrated, through)
        return model.calibrated(days, split.held_out)

    def calibrated(self, days: StationDays, rows: Array) -> "Forecaster":
        """Return the same model with the odds that its errors on ``rows``, which must have trained nothing, show."""
        errors = ErrorDistribution.fit(days.next_tmax[rows] - self.points(days, rows))
        return replace(self, errors=errors)

    def points(self, days: StationDays, issues: Array) -> Array:
        """Forecast tmax (n,), degC, for many issue days at once; each must be one of `usable_rows`."""
        table = feature_table(days.dates, self.filling.fill(days, self.recipe.max_gap), self.columns)
        y = predict_rows(self._network, self.weights, windows(_scaled(table, self.scaler), issues, self.recipe.window))
        return np.asarray(days.tmax[issues] + self._change(y[:, 0].astype(float)))

    def predict(self, days: StationDays) -> Forecast:
        """Forecast the day after the last of ``days``, of which up to ``recipe.window`` are used.

        Raises
        ------
        SequenceError : tmax is missing on the last day, there are fewer than ``recipe.min_days`` days,
            or tmax is missing on more than ``recipe.max_gap`` days in a row
        """
        if np.isnan(days.tmax[-1]):
            raise SequenceError(f"tmax of the last day, {days.last}, is needed", days.last)
        recent = days.part(max(0, len(days) - self.recipe.window), len(days))
        # Days before the first tmax in the window can't be filled; the sequence begins after them.
        recent = recent.part(int(np.argmax(~np.isnan(recent.tmax))), len(recent))
        if len(recent) < self.recipe.min_days:
            raise SequenceError(
                f"too few days: at least {self.recipe.min_days} in a row up to {days.last} are needed "
                f"({self.recipe.window} are recommended), the first with tmax; these begin on {recent.first}",
                recent.first,
            )
        filled = self.filling.fill(recent, self.recipe.max_gap)
        unfilled = np.flatnonzero(np.isnan(filled).any(axis=1))
        if len(unfilled):
            raise SequenceError(
                f"tmax is missing on more than {self.recipe.max_gap} days in a row from {recent.dates[unfilled[0]]}",
                recent.dates[unfilled[0]],
            )
        table = _scaled(feature_table(recent.dates, filled, self.columns), self.scaler)
        y = self._network.predict(self.weights, table[None])
        point = recent.tmax[-1] + self._change(float(y[0, 0]))
        return Forecast(recent.last, float(point), self.errors, len(recent), self._filled_values(recent))

    def to_state(self) -> dict[str, Any]:
        """Return arrays, plain values and the scaler; no class of this project."""
        return {
            "format": FORMAT,
            "recipe": msgspec.to_builtins(self.recipe),
            "columns": list(self.columns),
            "filling": asdict(self.filling),
            "scaler": self.scaler,
            "weights": self.weights,
            "change": {"mean": self.change_mean, "scale": self.change_scale},
            "errors": {"quantiles": self.errors.errors, "n": self.errors.n},
            "trained_through": str(self.trained_through),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Forecaster":
        """Build the model that `to_state` described.

        Raises
        ------
        ValueError : where the state is of another format, incomplete, or cannot have come from a training
        """
        if state.get("format") != FORMAT:
            raise ValueError(f"format {state.get('format')} of the model is not known here: {FORMAT} is")
        try:
            model = cls(
                recipe=msgspec.convert(state["recipe"], Recipe),
                columns=tuple(state["columns"]),
                filling=Filling(**state["filling"]),
                scaler=state["scaler"],
                weights=state["weights"],
                change_mean=state["change"]["mean"],
                change_scale=state["change"]["scale"],
                errors=ErrorDistribution(state["errors"]["quantiles"], state["errors"]["n"]),
                trained_through=np.datetime64(state["trained_through"], "D"),
            )
            model._check()
        except (KeyError, TypeError, AttributeError, IndexError, msgspec.ValidationError) as error:
            raise ValueError(f"the model's state is malformed: {error!r}") from error
        return model

    def _check(self) -> None:
        shapes = {name: value.shape for name, value in self._network.init(np.random.default_rng(0)).items()}
        if {name: value.shape for name, value in self.weights.items()} != shapes:
            raise ValueError("the model's weights are not those of its recipe")
        numbers: list[Array] = [*self.weights.values(), self.scaler.mean_, self.scaler.scale_, self.errors.errors]
        numbers += [np.array([self.change_mean, self.change_scale])]
        if not all(np.isfinite(array).all() for array in numbers):
            raise ValueError("the model holds values that are not finite numbers")
        if self.errors.errors.shape != PROBABILITIES.shape or (np.diff(self.errors.errors) < 0).any():
            raise ValueError("the model's error quantiles do not ascend")

    @property
    def _network(self) -> RecurrentNetwork:
        return _network(self.recipe, self.columns)

    def _filled_values(self, days: StationDays) -> tuple[tuple[np.datetime64, str], ...]:
        missing = ((days.dates[row], COLUMNS[column]) for row, column in np.argwhere(np.isnan(days.values)))
        return tuple((date, column) for date, column in missing if column in self.columns)

    def _change(self, y: Any) -> Any:
        return self.change_mean + self.change_scale * y


def usable_rows(days: StationDays, recipe: Recipe) -> Array:
    """Return the rows (n,) that can train or be scored.

    A whole window without a long gap ends on such a day, and tmax was observed on it, on the window's first day (so
    that nothing before the window has a part in filling it) and on the next calendar day.
    """
    # What tmin and rain are filled with does not matter here.
    filled = Filling(0.0, 0.0).fill(days, recipe.max_gap)
    whole = windows_without_gap(filled[:, TMAX], recipe.window)
    observed = ~np.isnan(days.tmax)
    first_observed = np.zeros_like(whole)
    first_observed[recipe.window - 1 :] = observed[: len(observed) + 1 - recipe.window]
    return np.flatnonzero(whole & first_observed & observed & ~np.isnan(days.next_tmax))


def _network(recipe: Recipe, columns: tuple[str, ...]) -> RecurrentNetwork:
    n_season = 2
    return RecurrentNetwork(recipe.cell, len(columns) + n_season, recipe.hidden, recipe.layers)


def _scaled(table: Array, scaler: Scaler) -> Array:
    """Apply the scaler's own formula, which whoever loads it without scikit-learn shares; float32."""
    return np.asarray(((table - scaler.mean_) / scaler.scale_).astype(np.float32))
