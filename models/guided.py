"""Somebody's forecast, made right for the station, with its odds; without it, the station-only forecast."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.correctors import Answers, Corrector, PooledStart, cuts_of, from_states, state_of
from models.features import Features
from models.forecast import Forecast, SequenceError, missing_values
from models.forecaster import FORMAT as STATION_ONLY_FORMAT
from models.forecaster import LOGISTIC, Forecaster, Scaler
from models.guidance import GuidanceFeatures
from models.intervals import PROBABILITIES, Distribution, SeasonalErrors
from models.nn import Array, Epoch
from models.predictors import guided, predictor
from models.recipe import Recipe
from models.sequence import usable_rows
from models.station_days import ONE_DAY, StationDays

# The state's own version.
FORMAT = 3

# Fewer days with guidance than this teach nothing.
MIN_GUIDED = 60

# Features are no further from their mean than so many standard deviations.
FURTHEST = 5.0

# So many days count as much as the prior belief that the networks have nothing to add.
TRUST_PRIOR = 300

# The running error of the forecasts: the share of a day's weight that the day before has, how many days without any
# error count before, and what the square of its distance from chance, in standard deviations, must be for that to be
# outdone: a provider has changed its model.
KEEPS, ERROR_PRIOR, NO_CHANCE = 0.95, 20.0, 9.0

# Errors of following days are alike: the variance of their mean is so many times that of as many by chance.
ALIKE = 1.5

# The variance of the logistic distribution of width 1.
LOGISTIC_VARIANCE = np.pi**2 / 3

# What may be missing beside the guidance of the day; and, for guidance of the days before, how much less a day counts
# than the one after it.
WITHOUT = ("further", "past")
FORGETTING = 0.9


def guided_rows(days: StationDays) -> Array:
    """Return the rows (n,) from which guidance can be corrected: tmax is there, and guidance for the next day."""
    return np.flatnonzero(~np.isnan(days.tmax) & guided(days))


@dataclass(frozen=True, eq=False)
class Lesson:
    """What there is to learn from the rows of a station.

    Attributes
    ----------
    rows : (n,), those on which the guidance that is looked at says something
    dates : (n,) datetime64[D]
    x : (n, T, F), scaled windows
    point : (n, T) degC, what guidance said of the day after each
    wanted : (n,), how far off it was on the last, in typical errors
    """

    features: GuidanceFeatures
    scaler: Scaler
    rows: Array
    dates: Array
    x: Array
    point: Array
    wanted: Array

    @classmethod
    def of(cls, days: StationDays, rows: Array, recipe: Recipe, alone: Features) -> "Lesson":
        """Make it of ``rows``; features and scaler are fitted to them, ``alone`` are the station-only model's."""
        # Only training needs scikit-learn.
        from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

        features = GuidanceFeatures.fit(days, rows, alone.columns, alone.tmax)
        rows = rows[features.there(days)[rows]]
        raw, point = features.windows(days, rows, recipe.guidance.days)
        last = raw[:, -1]
        # What no row has is nought, as is what some row lacks.
        scaler = StandardScaler().fit(np.where(np.isnan(last).all(axis=0), 0.0, last))
        wanted = (days.next_tmax[rows] - point[:, -1]) / features.typical
        return cls(features, scaler, rows, days.dates[rows], _scaled(raw, scaler), point, wanted)


@dataclass(frozen=True, eq=False)
class Trust:
    """How much of the corrections pays, from 0 to 1: of the regression's, and of the networks'."""

    regression: float
    networks: float

    @classmethod
    def fit(cls, unseen: Answers, wanted: Array) -> "Trust":
        """Learn from answers to days that had no part in them; ``wanted`` (n,) is what the place should have been.

        Both are regressions through the origin, the second as if `TRUST_PRIOR` days more had shown no gain.
        """
        place, more = unseen.place[:, -1], unseen.more[:, -1]
        regression = _share(place, wanted)
        left = (wanted - regression * place) / np.exp(unseen.log_width[:, -1])
        return cls(regression, _share(more, left) * len(wanted) / (len(wanted) + TRUST_PRIOR))


@dataclass(frozen=True, eq=False)
class Guided:
    """A station-only forecaster, and what corrects guidance where there is any.

    ::

        tmax of tomorrow ~ guidance + bias + typical * (t * place + u * width * more) + b
                           + typical * width * exp(u * wider) * w * e

    with the place and the width of the regression, more and wider the networks' answers, t and u the trust in either, b
    the running error of such forecasts, w the widening for what is not known, and e the error distribution of the
    season. For each stretch of the record there is a corrector that has not seen it, so that every day says how good
    those are that have not seen it; the forecast is from the mean of all.

    Attributes
    ----------
    widening : (2,), by which share the range is wider without the further predictors, and without the guidance of the
        days before
    errors : of the forecasts, in units of their width
    corrected_through : the last day whose tmax had a part in the correctors

    References
    ----------
    Vovk (2015), Cross-conformal predictors; Barber, Candes, Ramdas and Tibshirani (2021), Predictive inference with the
    jackknife+.
    """

    station_only: Forecaster
    features: GuidanceFeatures
    scaler: Scaler
    correctors: Sequence[Corrector]
    trust: Trust
    widening: Array
    errors: SeasonalErrors
    corrected_through: np.datetime64

    @classmethod
    def fit(
        cls,
        days: StationDays,
        rows: Array,
        station_only: Forecaster,
        seed: int = 0,
        on_epoch: Callable[[Epoch], None] | None = None,
        start: PooledStart | None = None,
    ) -> "Guided":
        """Learn from ``rows``, which ascend and have guidance: see `guided_rows`.

        Nothing of the days after the one that follows the last of them is seen.
        """
        recipe, days = station_only.recipe, days.part(0, int(rows[-1]) + 2)
        lesson = Lesson.of(days, rows, recipe, station_only.features)
        rows = lesson.rows
        # A station that lacks some of the predictors of the others begins by itself.
        if start and start.n_features != lesson.x.shape[2]:
            start = None
        n = recipe.guidance.folds
        stretch = np.searchsorted(start.cuts if start else cuts_of(lesson.dates, n), lesson.dates, side="right")
        correctors = [
            Corrector.fit(
                lesson.x[stretch != k],
                lesson.wanted[stretch != k],
                recipe,
                [seed, k],
                on_epoch,
                start.correctors[k] if start else None,
            )
            for k in range(n)
        ]

        def unseen(x: Array) -> Answers:
            """Answer for each stretch by the corrector that has not seen it."""
            places = [stretch == k for k in range(n)]
            parts = [corrector.answers(x[place], recipe) for corrector, place in zip(correctors, places, strict=True)]
            return Answers.in_places(parts, places)

        answers = unseen(lesson.x)
        trust = Trust.fit(answers, lesson.wanted)
        assumed = SeasonalErrors.fit(np.zeros(1), days.dates[:1], LOGISTIC)
        model = cls(station_only, lesson.features, lesson.scaler, correctors, trust, np.zeros(2), assumed, days.last)
        place, width = model._placed(days, rows, lesson.point, answers)
        off = np.abs(days.next_tmax[rows] - place).mean() / width.mean()
        widening = []
        for what in WITHOUT:
            x, point = model._windows(days, rows, what)
            blind, its_width = model._placed(days, rows, point, unseen(x))
            widening.append(max(0.0, np.abs(days.next_tmax[rows] - blind).mean() / its_width.mean() / off - 1))
        model = replace(model, widening=np.array(widening))
        error = (days.next_tmax[rows] - place) / (width * model._wider(days, rows))
        return replace(model, errors=SeasonalErrors.fit(error, days.dates[rows] + ONE_DAY, LOGISTIC))

    @property
    def recipe(self) -> Recipe:
        """How it was made."""
        return self.station_only.recipe

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the station-days that it looks at."""
        return self.station_only.columns

    @property
    def format(self) -> int:
        """The format of its state."""
        return FORMAT

    @property
    def predictors(self) -> tuple[str, ...]:
        """What else it looks at of a day."""
        return self.features.predictors

    @property
    def recommended_days(self) -> int:
        """How many days are as good as more."""
        return self.recipe.guidance.days

    @property
    def trained_through(self) -> np.datetime64:
        """The last day whose tmax had a part in the weights."""
        return max(self.station_only.trained_through, self.corrected_through)

    def calibrated(self, days: StationDays, rows: Array) -> "Guided":
        """Return the same with the station-only odds that ``rows`` show; those with guidance come from its training."""
        rows = np.intersect1d(rows, usable_rows(days, self.recipe))
        return replace(self, station_only=self.station_only.calibrated(days, rows)) if len(rows) else self

    def quantiles(self, days: StationDays, rows: Array) -> Array:
        """Forecast from many issue days at once: the quantiles (n, 199), degC, of tmax on the day after each.

        A row without guidance must be one from which the station-only model can forecast.
        """
        there = self.features.there(days)[rows]
        out = np.empty((len(rows), len(PROBABILITIES)))
        if there.any():
            out[there] = self._corrected(days, rows[there])
        if not there.all():
            out[~there] = self.station_only.quantiles(days, rows[~there])
        return out

    def predict(self, days: StationDays) -> Forecast:
        """Forecast the day after the last of ``days``: with its guidance, or else from the station's past alone.

        Raises
        ------
        SequenceError : tmax is missing on the last day, or there is no guidance and the days are not enough; see
            `models.sequence.sequence`
        """
        recent = days.part(max(0, len(days) - self.recommended_days), len(days))
        there = self.features.there(recent)
        if not there[-1] or np.isnan(recent.tmax[-1]):
            return self._alone(days)
        recent = recent.part(int(np.argmax(~np.isnan(recent.tmax) | there)), len(recent))
        quantiles = self._corrected(recent, np.array([len(recent) - 1]))[0]
        absent = [name for name in self.predictors if np.isnan(predictor(recent, name)[-1])]
        known = int(self.features.there(recent)[:-1].sum())
        few = f"guidance is known for {known} of the {len(recent) - 1} days before: its errors of late are not known"
        return Forecast(
            recent.last,
            Distribution(quantiles, self.errors.n),
            len(recent),
            (*missing_values(recent, self.columns), *((recent.last, name) for name in absent)),
            (few,) if known < len(recent) // 2 else (),
        )

    def _alone(self, days: StationDays) -> Forecast:
        valid = days.last + ONE_DAY
        try:
            forecast = self.station_only.predict(days)
        except SequenceError as error:
            hint = "" if np.isnan(days.tmax[-1]) else f"; with guidance for {valid} they would be enough"
            raise SequenceError(f"{error}{hint}", error.date) from None
        return replace(forecast, notes=(f"no guidance for {valid}: forecast from the station's own past alone",))

    def to_state(self) -> dict[str, Any]:
        """Return arrays, plain values and the scalers; no class of this project."""
        return {
            **self.station_only.to_state(),
            "format": FORMAT,
            "guidance": {
                "features": self.features.to_state(),
                "scaler": self.scaler,
                **state_of(self.correctors),
                "trust": {"regression": self.trust.regression, "networks": self.trust.networks},
                "widening": self.widening,
                "odds": {"quantiles": self.errors.quantiles, "n": self.errors.n},
                "trained_through": str(self.corrected_through),
            },
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Guided":
        """Build the model that `to_state` described.

        Raises
        ------
        ValueError : where the state is of another format, incomplete, or cannot have come from a training
        """
        if state.get("format") != FORMAT:
            raise ValueError(f"format {state.get('format')} of the model is not known here: {FORMAT} is")
        station_only = Forecaster.from_state({**state, "format": STATION_ONLY_FORMAT})
        try:
            guidance = state["guidance"]
            model = cls(
                station_only,
                GuidanceFeatures.from_state(guidance["features"]),
                guidance["scaler"],
                from_states(guidance, station_only.recipe),
                Trust(**guidance["trust"]),
                guidance["widening"],
                SeasonalErrors(guidance["odds"]["quantiles"], guidance["odds"]["n"]),
                np.datetime64(guidance["trained_through"], "D"),
            )
            model._check()
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"the model's state is malformed: {error!r}") from error
        return model

    def _check(self) -> None:
        n, features = self.correctors[0].regression.shape[1] - 1, self.features
        numbers: list[Any] = [self.scaler.mean_, self.scaler.scale_, self.widening, self.errors.quantiles]
        numbers += [self.trust.regression, self.trust.networks, features.typical, *features.bias.values()]
        numbers += [features.normal.mean, features.normal.spread, features.normal.trend]
        if not all(np.isfinite(number).all() for number in numbers):
            raise ValueError("the model holds values that are not finite numbers")
        self.errors.check()
        if (
            not self.scaler.mean_.shape == self.scaler.scale_.shape == (n,)
            or self.widening.shape != (len(WITHOUT),)
            or not features.bias
        ):
            raise ValueError("the model's correction of guidance is not that of a training")

    def _corrected(self, days: StationDays, rows: Array) -> Array:
        x, point = self._windows(days, rows)
        answers = Answers.mean([corrector.answers(x, self.recipe) for corrector in self.correctors])
        place, width = self._placed(days, rows, point, answers)
        off = self.errors.on(days.first + (rows + 1) * ONE_DAY)
        return np.asarray(place[:, None] + (width * self._wider(days, rows))[:, None] * off)

    def _windows(self, days: StationDays, rows: Array, without: str = "") -> tuple[Array, Array]:
        raw, point = self.features.windows(days, rows, self.recipe.guidance.days, without)
        return _scaled(raw, self.scaler), point

    def _placed(self, days: StationDays, rows: Array, point: Array, answers: Answers) -> tuple[Array, Array]:
        """Return the place and the width (n,) of the forecasts, degC."""
        usual = np.exp(answers.log_width)
        correction = self.trust.regression * answers.place + self.trust.networks * usual * answers.more
        place = point + self.features.typical * correction
        width = self.features.typical * usual * np.exp(self.trust.networks * answers.wider)
        # Of the forecasts from the days before, what came is known.
        index = rows[:, None] + np.arange(2 - point.shape[1], 1)
        came = np.where(index < 0, np.nan, days.tmax[np.maximum(index, 0)])
        return place[:, -1] + running_error(came - place[:, :-1], width[:, :-1]), width[:, -1]

    def _wider(self, days: StationDays, rows: Array) -> Array:
        """Return the factor (n,) of the range for what is not known; see `WITHOUT`."""
        further = [np.isnan(predictor(days, name)[rows]) for name in self.features.further]
        before = rows[:, None] - np.arange(1, self.recipe.guidance.days)
        unknown = (before < 0) | ~self.features.there(days)[np.maximum(before, 0)]
        weights = FORGETTING ** np.arange(unknown.shape[1])
        shares = np.mean(further, axis=0) if further else 0.0, unknown @ (weights / weights.sum())
        return np.asarray(1 + self.widening[0] * shares[0] + self.widening[1] * shares[1])


def running_error(errors: Array, widths: Array) -> Array:
    """Return how far off forecasts are of late (n,), in the unit of their ``errors`` (n, T), of which some are ``nan``.

    The mean m of the errors, of which each day counts a little less than the one after it, is shrunk: as if
    `ERROR_PRIOR` days more had shown none; or, where m is no chance, to 1 - `NO_CHANCE` / t^2 of it, with t its
    distance from nought in standard deviations (James and Stein, 1961).

    Parameters
    ----------
    widths : (n, T), of the logistic distributions of which the errors were expected to be
    """
    known = ~np.isnan(errors)
    weights = known * KEEPS ** np.arange(errors.shape[1])[::-1]
    total = np.maximum(weights.sum(axis=1), 1e-9)
    mean = (weights * np.where(known, errors, 0.0)).sum(axis=1) / total
    variance = ALIKE * LOGISTIC_VARIANCE * (weights**2 * np.where(known, widths, 0.0) ** 2).sum(axis=1) / total**2
    no_chance = 1 - NO_CHANCE * variance / np.maximum(mean**2, 1e-12)
    return np.asarray(mean * np.maximum(total / (total + ERROR_PRIOR), no_chance))


def _scaled(windows: Array, scaler: Scaler) -> Array:
    """Apply the scaler's formula; what is not known is as usual."""
    with np.errstate(over="ignore"):
        return np.clip(np.nan_to_num((windows - scaler.mean_) / scaler.scale_, nan=0.0), -FURTHEST, FURTHEST)


def _share(x: Array, y: Array) -> float:
    """Return the regression of ``y`` on ``x`` through the origin, no less than 0 and no more than 1."""
    variation = float((x * x).sum())
    return float(np.clip((x * y).sum() / variation, 0.0, 1.0)) if variation else 0.0
