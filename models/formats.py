"""Every format in which a model was ever saved."""

from typing import Any, Protocol, TypeAlias

import numpy as np

from models import forecaster, format_1, guided
from models.forecast import Forecast
from models.recipe import Recipe
from models.station_days import StationDays

AnyRecipe: TypeAlias = Recipe | format_1.Recipe


class Served(Protocol):
    """What is asked of a model that is served."""

    @property
    def recipe(self) -> AnyRecipe:
        """How it was made."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the station-days that it looks at."""

    @property
    def predictors(self) -> tuple[str, ...]:
        """What else it looks at of a day: guidance, and further predictors."""

    @property
    def recommended_days(self) -> int:
        """How many days are as good as more."""

    @property
    def trained_through(self) -> np.datetime64:
        """The last day whose tmax had a part in the weights."""

    def predict(self, days: StationDays) -> Forecast:
        """Forecast the day after the last of ``days``; see `models.forecaster.Forecaster.predict`."""


def from_state(state: dict[str, Any]) -> Served:
    """Build the model that was saved.

    Raises
    ------
    ValueError : where the format is not known, or the state is incomplete or cannot have come from a training
    """
    number = state.get("format")
    if number == 1:
        return format_1.Forecaster.from_state(state)
    if number == forecaster.FORMAT:
        return forecaster.Forecaster.from_state(state)
    if number == guided.FORMAT:
        return guided.Guided.from_state(state)
    raise ValueError(f"format {number} of the model is not known here: 1 to {guided.FORMAT} are")
