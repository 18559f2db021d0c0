"""Forecasts beside what came: the scores of one or more forecasters on the same days, whole and by season."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models import scores
from models.intervals import MEDIAN, PROBABILITIES
from models.nn import Array

# What skill is measured against, in the order in which it is told; guidance only where there is some.
REFERENCES = ("guidance", "persistence", "climatology")

SEASONS = {"Dec-Feb": (12, 1, 2), "Mar-May": (3, 4, 5), "Jun-Aug": (6, 7, 8), "Sep-Nov": (9, 10, 11)}


@dataclass(frozen=True, eq=False)
class Verification:
    """What each forecaster said of the same days, and what was observed.

    Attributes
    ----------
    station : whose days they are
    issued : (n,) datetime64[D], ascending; the forecasts are for the day after each
    observed : (n,) degC
    quantiles : forecaster's name -> (n, 199) degC, its quantiles at `PROBABILITIES`; the model comes first, and
        "persistence" and "climatology" are among the others, where there is guidance "guidance" and "emos" too
    """

    station: str
    issued: Array
    observed: Array
    quantiles: dict[str, Array]

    @property
    def model(self) -> str:
        """Name of the forecaster that the others are compared with."""
        return next(iter(self.quantiles))

    @property
    def references(self) -> tuple[str, ...]:
        """Those of `REFERENCES` that there are."""
        return tuple(name for name in REFERENCES if name in self.quantiles)

    @cached_property
    def points(self) -> dict[str, Array]:
        """Name -> (n,) degC, the medians."""
        return {name: quantiles[:, MEDIAN] for name, quantiles in self.quantiles.items()}

    def interval(self, name: str, level: float) -> tuple[Array, Array]:
        """Return the ends, (n,) degC each, of the central interval of ``level``, on the grid of `PROBABILITIES`."""
        below = round((1 - level) / 2 * (len(PROBABILITIES) + 1)) - 1
        return self.quantiles[name][:, below], self.quantiles[name][:, len(PROBABILITIES) - 1 - below]

    @cached_property
    def months(self) -> Array:
        """(n,) month of each valid day, 1 to 12."""
        valid = self.issued + np.timedelta64(1, "D")
        return valid.astype("M8[M]").astype(int) % 12 + 1

    def part(self, rows: Array) -> "Verification":
        """Return the days that ``rows`` (numbers or a mask) select."""
        chosen = {name: quantiles[rows] for name, quantiles in self.quantiles.items()}
        return Verification(self.station, self.issued[rows], self.observed[rows], chosen)

    def seasons(self) -> dict[str, "Verification"]:
        """Return the days of each season that has any."""
        parts = {name: self.part(np.isin(self.months, months)) for name, months in SEASONS.items()}
        return {name: part for name, part in parts.items() if len(part.issued)}

    @classmethod
    def joined(cls, parts: "list[Verification]") -> "Verification":
        """Return the days of all ``parts``, which are of one station and follow each other.

        Who is not in all of them is left out: guidance that began in the middle has not said enough to be compared.

        Raises
        ------
        ValueError : where there is none
        """
        if not parts:
            raise ValueError("there is no day on which a forecast could be made and tmax was observed on the next day")
        names = [name for name in parts[0].quantiles if all(name in part.quantiles for part in parts)]
        return cls(
            parts[0].station,
            np.concatenate([part.issued for part in parts]),
            np.concatenate([part.observed for part in parts]),
            {name: np.concatenate([part.quantiles[name] for part in parts]) for name in names},
        )

    def scores(self) -> dict[str, "Scores"]:
        """Score every forecaster; the skills are against `references`."""
        errors = {name: scores.mean_absolute_error(point, self.observed) for name, point in self.points.items()}
        return {name: self._score(name, errors) for name in self.quantiles}

    def _score(self, name: str, errors: dict[str, float]) -> "Scores":
        point, observed, quantiles = self.points[name], self.observed, self.quantiles[name]
        interval_80, interval_90 = self.interval(name, 0.8), self.interval(name, 0.9)
        pit = scores.probability_integral_transform(quantiles, PROBABILITIES, observed)
        return Scores(
            n=len(point),
            mae=errors[name],
            rmse=scores.root_mean_squared_error(point, observed),
            bias=scores.bias(point, observed),
            skill=scores.skill(errors[name], errors["persistence"]),
            crps=scores.crps_from_quantiles(quantiles, PROBABILITIES, observed),
            coverage_80=scores.coverage(*interval_80, observed),
            coverage_90=scores.coverage(*interval_90, observed),
            skill_climatology=scores.skill(errors[name], errors["climatology"]),
            standard_deviation=scores.error_standard_deviation(point, observed),
            percentiles=[round(float(p), 4) for p in scores.error_percentiles(point, observed)],
            within=[scores.share_within(point, observed, limit) for limit in WITHIN],
            missed=scores.share_missed_by(point, observed, MISSED),
            interval_score_80=scores.interval_score(*interval_80, observed, 0.8),
            pit=[round(float(share), 4) for share in scores.pit_histogram(pit)],
            skill_guidance=scores.skill(errors[name], errors["guidance"]) if "guidance" in errors else None,
        )


# Limits of the shares of small and of large errors, degC.
WITHIN = (1.0, 2.0, 3.0)
MISSED = 5.0


@dataclass(frozen=True)
class Scores:
    """A row of the score table: degC; skills, shares and coverages have no unit.

    What older models lack is None, and so is the skill against guidance where there is none.

    Attributes
    ----------
    skill, skill_climatology, skill_guidance : of the mean absolute error, against persistence, climatology and the raw
        guidance
    percentiles : 5, 25, 50, 75 and 95 % of the errors, forecast - observed
    within : share of errors of at most 1, 2 and 3 degC
    missed : share of errors of 5 degC and more
    pit : shares of the probability integral transform in ten bins
    """

    n: int
    mae: float
    rmse: float
    bias: float
    skill: float
    crps: float
    coverage_80: float
    coverage_90: float
    skill_climatology: float | None = None
    standard_deviation: float | None = None
    percentiles: list[float] | None = None
    within: list[float] | None = None
    missed: float | None = None
    interval_score_80: float | None = None
    pit: list[float] | None = None
    skill_guidance: float | None = None

    @property
    def skills(self) -> dict[str, float]:
        """Those that there are, by what they are against, in the order of `REFERENCES`."""
        found = zip(REFERENCES, (self.skill_guidance, self.skill, self.skill_climatology), strict=True)
        return {name: skill for name, skill in found if skill is not None}
