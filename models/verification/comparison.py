"""Forecasts and observations: the scores of several forecasters on the same days, overall and by season."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from models.forecast.distribution import MEDIAN, PROBABILITIES
from models.nn import Array
from models.record.days import ONE_DAY
from models.verification import scores

# Reference forecasts for skill, in order of display.
REFERENCES = ("guidance", "persistence", "climatology")
SEASONS = {"Dec-Feb": (12, 1, 2), "Mar-May": (3, 4, 5), "Jun-Aug": (6, 7, 8), "Sep-Nov": (9, 10, 11)}

# Limits of the shares of small and of large errors, degC.
WITHIN = (1.0, 2.0, 3.0)
MISSED = 5.0


@dataclass(frozen=True)
class Scores:
    """One row of the score table, degC; skills, shares and coverages are unitless."""

    n: int
    mae: float
    rmse: float
    bias: float
    skill: float  # of the MAE, against persistence
    crps: float
    coverage_80: float
    coverage_90: float
    skill_climatology: float  # of the MAE
    standard_deviation: float
    percentiles: list[float]  # 5, 25, 50, 75 and 95 % of the errors, forecast - observed
    within: list[float]  # share of errors of at most 1, 2 and 3 degC
    missed: float  # share of errors of 5 degC and more
    interval_score_80: float
    pit: list[float]  # shares of the probability integral transform in ten bins
    skill_guidance: float | None = None  # of the MAE, against uncorrected guidance; None without guidance

    @property
    def skills(self) -> dict[str, float]:
        """Reference -> skill, in the order of `REFERENCES`."""
        found = zip(REFERENCES, (self.skill_guidance, self.skill, self.skill_climatology), strict=True)
        return {name: skill for name, skill in found if skill is not None}


@dataclass(frozen=True, eq=False)
class Comparison:
    """The forecasts of several forecasters for the same days, and the observations."""

    station: str
    model: str  # the evaluated forecaster; the others are for reference
    issued: Array  # (n,) datetime64[D], ascending; the forecasts are for the day after each
    observed: Array  # (n,) degC
    # forecaster -> (n, 199) degC, at `PROBABILITIES`; includes "persistence" and "climatology", with guidance also
    # "guidance" and "emos"
    quantiles: dict[str, Array]

    @property
    def valid(self) -> Array:
        """(n,) datetime64[D], valid dates."""
        return self.issued + ONE_DAY

    @property
    def names(self) -> list[str]:
        """The forecasters, the model first."""
        return [self.model, *(name for name in self.quantiles if name != self.model)]

    @property
    def references(self) -> tuple[str, ...]:
        """The available `REFERENCES`."""
        return tuple(name for name in REFERENCES if name in self.quantiles)

    @cached_property
    def points(self) -> dict[str, Array]:
        """Forecaster -> (n,) degC, the median forecasts."""
        return {name: quantiles[:, MEDIAN] for name, quantiles in self.quantiles.items()}

    def interval(self, name: str, level: float) -> tuple[Array, Array]:
        """Return the ends, (n,) degC each, of the central interval of ``level``, on the grid of `PROBABILITIES`."""
        below = round((1 - level) / 2 * (len(PROBABILITIES) + 1)) - 1
        return self.quantiles[name][:, below], self.quantiles[name][:, len(PROBABILITIES) - 1 - below]

    @cached_property
    def months(self) -> Array:
        """(n,) months of the valid dates, 1 to 12."""
        return self.valid.astype("M8[M]").astype(int) % 12 + 1

    def part(self, rows: Array) -> "Comparison":
        """Return the days selected by ``rows`` (indices or a mask)."""
        quantiles = {name: of_all[rows] for name, of_all in self.quantiles.items()}
        return replace(self, issued=self.issued[rows], observed=self.observed[rows], quantiles=quantiles)

    def seasons(self) -> dict[str, "Comparison"]:
        """Return the days of each season, without empty seasons."""
        parts = {name: self.part(np.isin(self.months, months)) for name, months in SEASONS.items()}
        return {name: part for name, part in parts.items() if len(part.issued)}

    @classmethod
    def joined(cls, parts: "Sequence[Comparison]") -> "Comparison":
        """Join consecutive ``parts`` of one station. Raises ValueError where there are none.

        Forecasters that are missing in a part are omitted: guidance that begins halfway cannot be compared.
        """
        if not parts:
            raise ValueError("nothing to compare: no day has both a forecast and an observed tmax on the next day")
        names = [name for name in parts[0].quantiles if all(name in part.quantiles for part in parts)]
        return replace(
            parts[0],
            issued=np.concatenate([part.issued for part in parts]),
            observed=np.concatenate([part.observed for part in parts]),
            quantiles={name: np.concatenate([part.quantiles[name] for part in parts]) for name in names},
        )

    def scores(self) -> dict[str, Scores]:
        """Score every forecaster, the model first, with skills against `references`."""
        mae = {name: scores.mean_absolute_error(point, self.observed) for name, point in self.points.items()}
        return {name: self._score(name, mae) for name in self.names}

    def scores_by_season(self) -> dict[str, dict[str, Scores]]:
        """Season -> forecaster -> scores."""
        return {name: part.scores() for name, part in self.seasons().items()}

    def _score(self, name: str, mae: dict[str, float]) -> Scores:
        point, observed, quantiles = self.points[name], self.observed, self.quantiles[name]
        interval_80, interval_90 = self.interval(name, 0.8), self.interval(name, 0.9)
        pit = scores.probability_integral_transform(quantiles, PROBABILITIES, observed)
        return Scores(
            n=len(point),
            mae=mae[name],
            rmse=scores.root_mean_squared_error(point, observed),
            bias=scores.bias(point, observed),
            skill=scores.skill(mae[name], mae["persistence"]),
            crps=scores.crps_from_quantiles(quantiles, PROBABILITIES, observed),
            coverage_80=scores.coverage(*interval_80, observed),
            coverage_90=scores.coverage(*interval_90, observed),
            skill_climatology=scores.skill(mae[name], mae["climatology"]),
            standard_deviation=scores.error_standard_deviation(point, observed),
            percentiles=[round(float(p), 4) for p in scores.error_percentiles(point, observed)],
            within=[scores.share_within(point, observed, limit) for limit in WITHIN],
            missed=scores.share_missed_by(point, observed, MISSED),
            interval_score_80=scores.interval_score(*interval_80, observed, 0.8),
            pit=[round(float(share), 4) for share in scores.pit_histogram(pit)],
            skill_guidance=scores.skill(mae[name], mae["guidance"]) if "guidance" in mae else None,
        )
