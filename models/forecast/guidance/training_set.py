"""The training set of the correctors of guidance."""

from dataclasses import dataclass

import numpy as np

from models.forecast.features import Features
from models.forecast.guidance.features import GuidanceFeatures
from models.forecast.networks import Scaler
from models.nn import Array
from models.recipe import Recipe
from models.record.columns import in_order
from models.record.days import StationDays

# Features are clipped at this many standard deviations from their mean.
MAX_DEVIATIONS = 5.0


@dataclass(frozen=True, eq=False)
class GuidanceTrainingSet:
    """Training set of a station's correctors, and the features and scaler fitted to it."""

    features: GuidanceFeatures
    scaler: Scaler
    rows: Array  # (n,), those with a point forecast
    dates: Array  # (n,) datetime64[D]
    x: Array  # (n, T, F), scaled windows
    point: Array  # (n, T) degC, point forecasts of the guidance for the day after each
    names: tuple[str, ...]  # of the guidance, spreads and further columns in use
    target: Array  # (n,), the next day's tmax minus the last point forecast, in typical errors

    @classmethod
    def of(cls, days: StationDays, rows: Array, recipe: Recipe, station: Features) -> "GuidanceTrainingSet":
        """Build the training set of ``rows``; ``station`` holds the features of the station's own model."""
        from sklearn.preprocessing import StandardScaler  # noqa: PLC0415  # only for training: the import is slow

        days = days.part(0, int(rows[-1]) + 2)
        features = GuidanceFeatures.fit(days, rows)
        rows = rows[features.known(days)[rows]]
        raw, point = features.windows(station.of(days), rows, recipe.guidance.days, station)
        last = raw[:, -1]
        # A feature missing in all rows becomes zero, as missing features do in `scaled_and_clipped`.
        scaler = StandardScaler().fit(np.where(np.isnan(last).all(axis=0), 0.0, last))
        target = (days.next_tmax[rows] - point[:, -1]) / features.typical
        names = in_order((*features.forecasts, *station.further.names))
        return cls(features, scaler, rows, days.dates[rows], scaled_and_clipped(raw, scaler), point, names, target)


def scaled_and_clipped(windows: Array, scaler: Scaler) -> Array:
    """Standardise and clip windows; missing features become zero, the mean."""
    with np.errstate(over="ignore"):
        scaled = np.nan_to_num((windows - scaler.mean_) / scaler.scale_, nan=0.0)
        return np.clip(scaled, -MAX_DEVIATIONS, MAX_DEVIATIONS)
