"""Models of format 1, as versions of this program before 0.3 saved them: read and served for ever, trained no more.

One network saw the last days, scaled, and answered the change of tmax from the issue day to the next; the errors of
the held-out days, pooled over the year, gave the odds.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from models.climatology import day_of_year, season
from models.forecast import Forecast, SequenceError, missing_values
from models.intervals import PROBABILITIES, Distribution
from models.nn import Array, Parameters, RecurrentNetwork
from models.station_days import COLUMNS, ONE_DAY, RAIN, TMAX, TMIN, StationDays


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every choice that there was; see `models.recipe.Recipe`."""

    cell: Literal["rnn", "gru", "lstm"]
    layers: Annotated[int, Meta(ge=1, le=8)]
    hidden: Annotated[int, Meta(ge=1, le=512)]
    window: Annotated[int, Meta(ge=2, le=366)]
    min_days: Annotated[int, Meta(ge=1, le=366)]
    max_gap: Annotated[int, Meta(ge=0, le=60)]
    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    clip_norm: float

    @property
    def recommended_days(self) -> int:
        """How many days a forecast looks at."""
        return self.window


@dataclass(frozen=True)
class Filling:
    """What stands in for a value that was not observed.

    Attributes
    ----------
    diurnal_range : mean of tmax - tmin, degC; a missing tmin is that much below tmax
    rain : mm
    """

    diurnal_range: float
    rain: float

    def fill(self, days: StationDays, max_gap: int) -> Array:
        """Return (N, 3); the only ``nan`` are where tmax is missing on more than ``max_gap`` days in a row."""
        values = days.values.copy()
        values[:, TMAX] = _interpolated(values[:, TMAX], max_gap)
        tmin, rain = values[:, TMIN], values[:, RAIN]
        values[:, TMIN] = np.where(np.isnan(tmin), values[:, TMAX] - self.diurnal_range, tmin)
        values[:, RAIN] = np.where(np.isnan(rain), self.rain, rain)
        return values


@dataclass(frozen=True, eq=False)
class Forecaster:
    """A model of format 1.

    Attributes
    ----------
    columns : those of the station-days that it looks at
    mean, scale : (F,), of the features; what the saved StandardScaler learned
    change_mean, change_scale : degC, of the change that the network answers
    errors : (199,) degC, quantiles of the held-out errors, at `PROBABILITIES`
    n : how many errors there were
    trained_through : the last day whose tmax had a part in the weights
    """

    recipe: Recipe
    columns: tuple[str, ...]
    filling: Filling
    mean: Array
    scale: Array
    weights: Parameters
    change_mean: float
    change_scale: float
    errors: Array
    n: int
    trained_through: np.datetime64

    @property
    def recommended_days(self) -> int:
        """How many days are as good as more."""
        return self.recipe.recommended_days

    @property
    def predictors(self) -> tuple[str, ...]:
        """None: it knows the station's own past alone."""
        return ()

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
        table = (_feature_table(recent.dates, filled, self.columns) - self.mean) / self.scale
        y = self._network.predict(self.weights, table.astype(np.float32)[None])
        point = float(recent.tmax[-1] + (self.change_mean + self.change_scale * float(y[0, 0])))
        odds = Distribution(point + self.errors, self.n)
        return Forecast(recent.last, odds, len(recent), missing_values(recent, self.columns))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Forecaster":
        """Build the model from its saved state.

        Raises
        ------
        ValueError : where the state is incomplete, or cannot have come from a training
        """
        try:
            model = cls(
                recipe=msgspec.convert(state["recipe"], Recipe),
                columns=tuple(state["columns"]),
                filling=Filling(**state["filling"]),
                mean=state["scaler"].mean_,
                scale=state["scaler"].scale_,
                weights=state["weights"],
                change_mean=state["change"]["mean"],
                change_scale=state["change"]["scale"],
                errors=state["errors"]["quantiles"],
                n=state["errors"]["n"],
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
        numbers: list[Array] = [*self.weights.values(), self.mean, self.scale, self.errors]
        numbers += [np.array([self.change_mean, self.change_scale])]
        if not all(np.isfinite(array).all() for array in numbers):
            raise ValueError("the model holds values that are not finite numbers")
        if self.errors.shape != PROBABILITIES.shape or (np.diff(self.errors) < 0).any():
            raise ValueError("the model's error quantiles do not ascend")

    @property
    def _network(self) -> RecurrentNetwork:
        recipe = self.recipe
        return RecurrentNetwork(recipe.cell, len(self.columns) + 2, recipe.hidden, recipe.layers)


def _feature_table(dates: Array, filled: Array, columns: tuple[str, ...]) -> Array:
    """Return one row of features a day: the used columns (rain as log(1 + mm)) and the season of the next day."""
    features = filled.copy()
    features[:, RAIN] = np.log1p(features[:, RAIN])
    return np.hstack([features[:, [COLUMNS.index(c) for c in columns]], season(day_of_year(dates + ONE_DAY))])


def _interpolated(series: Array, max_gap: int) -> Array:
    missing = np.isnan(series)
    if not missing.any() or missing.all():
        return series
    rows = np.arange(len(series))
    observed = rows[~missing]
    after = np.searchsorted(observed, rows)
    inside = missing & (after > 0) & (after < len(observed))
    gap = np.zeros(len(series), dtype=int)
    gap[inside] = observed[after[inside]] - observed[after[inside] - 1] - 1
    fillable = inside & (gap <= max_gap)
    return np.where(fillable, np.interp(rows, observed, series[observed]), series)
