"""The forecaster: a seasonal first guess, recurrent networks that correct it, and the odds, as one value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import msgspec
import numpy as np

from models.climatology import YEAR
from models.features import Features
from models.forecast import Forecast, missing_values
from models.intervals import PROBABILITIES, Distribution, SeasonalErrors
from models.nn import Array, Epoch, Parameters, RecurrentNetwork, TrainingPlan, logistic_crps, predict_rows, train
from models.nn.optimizers import Adam
from models.nn.schedules import Cosine, Warmup
from models.recipe import Recipe
from models.sequence import first_rows, sequence
from models.station_days import COLUMNS, ONE_DAY, StationDays

# The state's own version: raised when an older reader could not read a newer state.
FORMAT = 2

# A network answers two numbers: where the next tmax lies, and the logarithm of how far off it may be.
N_OUTPUTS = 2

# A missing value counts the less for the width the longer ago it is: so much a day.
FORGETTING = 0.7

# A column that is missing altogether makes the range wider by at least this share, whatever the held-out days say.
LEAST_WIDENING = 0.05

WARMUP_SHARE = 0.1

# So many days count as much as the prior belief in the networks' correction of the first guess.
TRUST_PRIOR = 1000

# So many days count as much as the prior belief that forecasts have no running error.
MEMORY_PRIOR = 120

# Quantiles of the standard logistic distribution, which the loss assumes.
LOGISTIC = np.log(PROBABILITIES / (1 - PROBABILITIES))


class Scaler(Protocol):
    """What is used of a fitted `sklearn.preprocessing.StandardScaler`."""

    mean_: Array
    scale_: Array


@dataclass(frozen=True, eq=False)
class Odds:
    """What the held-out days, which trained nothing, say of the networks.

    Attributes
    ----------
    errors : of the forecasts, in units of the width that the networks gave
    trust : the share (0 to 1) of the networks' correction of the first guess that pays
    widening : (3, 2) by column, the shares by which the range is wider where its latest value is missing (of tmax the
        one before, as the last must be there), and where all are
    """

    errors: SeasonalErrors
    trust: float
    widening: Array


@dataclass(frozen=True, eq=False)
class Examples:
    """What the networks learn from, and what makes it of days.

    Attributes
    ----------
    x : (n, T, F) float32, scaled windows
    target : (n, 1) float32, how far off the first guess the next day's tmax was, in units of the spread
    """

    features: Features
    scaler: Scaler
    x: Array
    target: Array

    @classmethod
    def of(cls, days: StationDays, rows: Array, recipe: Recipe, columns: tuple[str, ...] | None = None) -> "Examples":
        """Make them of ``rows``, which ascend; nothing of the days after the one that follows the last of them is seen.

        The features and the scaler are fitted to the same rows.
        """
        # Only training needs scikit-learn: whoever serves a forecast must not pay for its import.
        from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

        known = days.part(0, int(rows[-1]) + 2)
        features = Features.fit(known, rows, columns)
        raw = features.windows(known, rows, first_rows(known, recipe)[rows], recipe.window)
        scaler = StandardScaler().fit(raw[:, -1])
        guess, spread = features.first_guess(known)
        target = ((known.next_tmax - guess) / spread)[rows, None].astype(np.float32)
        return cls(features, scaler, _scaled(raw, scaler), target)


def training_plan(recipe: Recipe, epochs: int, batch_size: int, learning_rate: float) -> TrainingPlan:
    """Return how networks are trained that answer a place and the logarithm of a width."""
    return TrainingPlan(
        epochs,
        batch_size,
        learning_rate,
        optimizer=Adam(weight_decay=recipe.weight_decay),
        schedule=Warmup(WARMUP_SHARE, Cosine()),
        loss=logistic_crps,
        clip_norm=recipe.clip_norm,
    )


def trained_members(
    x: Array,
    target: Array,
    recipe: Recipe,
    seed: int = 0,
    on_epoch: Callable[[Epoch], None] | None = None,
    start: Sequence[Parameters] = (),
) -> Parameters:
    """Train the recipe's networks on `Examples`, and return the parameters of all: "member0.layer0.W", ..."""
    network = _network(recipe, x.shape[2])
    plan = training_plan(recipe, recipe.epochs, recipe.batch_size, recipe.learning_rate)
    weights = Parameters()
    for member in range(recipe.members):
        rng = np.random.default_rng([seed, member])
        trained, _ = train(
            network, start[member] if start else network.init(rng), (x, target), None, plan, rng, on_epoch
        )
        weights |= {f"member{member}.{name}": value for name, value in trained.items()}
    return weights


@dataclass(frozen=True, eq=False)
class Forecaster:
    """A trained model that knows the station's own past alone.

    ::

        tmax of tomorrow ~ first guess + spread * (trust * m + s * e)

    with the first guess and the spread of the season from `models.features.Features`, m and s the means of the
    networks' answers, and e the error distribution of the season. At a time of year of which the record has seen
    nothing, what is normal is not known, and tomorrow is forecast to be as today.

    Attributes
    ----------
    weights : of all networks: "member0.layer0.W", ...
    odds : None until `calibrated`
    trained_through : the last day whose tmax had a part in the weights
    """

    recipe: Recipe
    features: Features
    scaler: Scaler
    weights: Parameters
    odds: Odds | None
    trained_through: np.datetime64

    @classmethod
    def fit(
        cls,
        days: StationDays,
        rows: Array,
        recipe: Recipe,
        seed: int = 0,
        on_epoch: Callable[[Epoch], None] | None = None,
        start: Sequence[Parameters] = (),
        columns: tuple[str, ...] | None = None,
    ) -> "Forecaster":
        """Train on ``rows``, which ascend; nothing of the days after the one that follows the last of them is seen.

        Which ``columns`` to look at is learned too, unless they are given.
        """
        examples = Examples.of(days, rows, recipe, columns)
        weights = trained_members(examples.x, examples.target, recipe, seed, on_epoch, start)
        return cls(recipe, examples.features, examples.scaler, weights, None, days.dates[rows[-1]] + ONE_DAY)

    def calibrated(self, days: StationDays, rows: Array) -> "Forecaster":
        """Return the same model with the odds that its forecasts of ``rows``, which must have trained nothing, show."""
        guess, spread = self.features.first_guess(days)
        wanted = ((days.next_tmax - guess) / spread)[rows]
        first = first_rows(days, self.recipe)[rows]
        m, s = self._answers(days, rows, first)
        # A regression through the origin, as if `TRUST_PRIOR` days more had shown that the whole correction pays.
        now = m[:, -1]
        prior = TRUST_PRIOR * float((now * now).mean())
        trust = float(np.clip(((now * wanted).sum() + prior) / max(float((now * now).sum()) + prior, 1e-12), 0.0, 1.0))
        typical = float(np.abs(wanted - trust * now).mean())

        def widening(column: str, n: int, share: float) -> float:
            """By how much: what fills gaps makes the errors larger, but often the networks the surer of themselves."""
            blind, s_blind = self._answers(days, rows, first, (column, n))
            larger = np.abs(wanted - trust * blind[:, -1]).mean() / typical if typical else 1.0
            return float(max(larger, 1 + LEAST_WIDENING * share) * s.mean() / s_blind.mean() - 1)

        table = np.zeros((len(COLUMNS), 2))
        for index, column in enumerate(COLUMNS):
            if column in self.columns:
                latest, everything = self._shares[:, index]
                first_gone = max(0.0, widening(column, 1, latest))
                table[index] = first_gone, max(first_gone, widening(column, self.recipe.recommended_days, everything))
        # What is missing from these days widens their ranges too, and must not count twice.
        width = s * self._wider(self._missing(days, rows, first), table)
        error = (wanted - self._place(days, rows, first, guess, spread, trust * m)) / width
        return replace(self, odds=Odds(SeasonalErrors.fit(error, days.dates[rows] + ONE_DAY, LOGISTIC), trust, table))

    def quantiles(self, days: StationDays, rows: Array) -> Array:
        """Forecast from many issue days at once: the quantiles (n, 199), degC, of tmax on the day after each.

        From each of ``rows`` a forecast must be possible: see `models.sequence`.
        """
        return self._quantiles(days, rows, first_rows(days, self.recipe)[rows])

    def _quantiles(self, days: StationDays, rows: Array, first: Array) -> Array:
        odds = self._odds
        guess, spread = self.features.first_guess(days)
        m, s = self._answers(days, rows, first)
        place = self._place(days, rows, first, guess, spread, odds.trust * m)
        width = s * self._wider(self._missing(days, rows, first), odds.widening)
        off = place[:, None] + width[:, None] * odds.errors.on(days.first + (rows + 1) * ONE_DAY)
        return np.asarray(guess[rows, None] + spread[rows, None] * off)

    def predict(self, days: StationDays) -> Forecast:
        """Forecast the day after the last of ``days``, of which up to ``recipe.recommended_days`` are used.

        Raises
        ------
        SequenceError : the days are not enough; see `models.sequence.sequence`
        """
        recent = sequence(days, self.recipe)
        quantiles = self._quantiles(recent, np.array([len(recent) - 1]), np.zeros(1, int))[0]
        odds = Distribution(quantiles, self._odds.errors.n)
        return Forecast(recent.last, odds, len(recent), missing_values(recent, self.columns))

    def _answers(
        self, days: StationDays, rows: Array, first: Array, without: tuple[str, int] = ("", 0)
    ) -> tuple[Array, Array]:
        """Return the means of the networks' answers: m on every day of the window (n, T), and s (n,) on the last.

        No network walks through more days than there are, nor through fewer than in training.

        Before the rows ``first`` nothing was observed; ``without``: see `Features.windows`.
        """
        longest = self.recipe.recommended_days
        network = self._network_of_every_day
        lengths = np.clip(rows - first + 1, self.recipe.window, longest)
        m, s = np.zeros((len(rows), longest)), np.empty(len(rows))
        for length in sorted(set(lengths.tolist())):
            alike = lengths == length
            windows = self.features.windows(days, rows[alike], first[alike], length, without)
            x = _scaled(windows, self.scaler)
            answers = np.stack([predict_rows(network, member, x) for member in self.members])
            m[alike, longest - length :] = answers[..., 0].mean(axis=0)
            s[alike] = np.exp(answers[:, :, -1, 1]).mean(axis=0)
        return m, s

    def _place(
        self, days: StationDays, rows: Array, first: Array, guess: Array, spread: Array, answers: Array
    ) -> Array:
        """Return where the middle of the forecasts lies (n,), in spreads from the first guess.

        Parameters
        ----------
        answers : (n, T), the trusted share of m on each day of the windows
        """
        place = answers[:, -1] + self._running_error((days.next_tmax - guess) / spread, rows, first, answers)
        as_today = ((days.tmax - guess) / spread)[rows]
        strange = self.features.strange(days.first + (rows + 1) * ONE_DAY)
        return np.asarray(place + strange * (as_today - place))

    def _running_error(self, wanted: Array, rows: Array, first: Array, answers: Array) -> Array:
        """Return the mean error (n,), in spreads, of the forecasts of the last days before each row.

        It is shrunk as if `MEMORY_PRIOR` days more had shown none.

        Parameters
        ----------
        wanted : (N,), what each day's answer should have been
        answers : (n, T), what they were, on each day of the windows, from the days up to it
        """
        if not self.recipe.memory:
            return np.zeros(len(rows))
        before = rows[:, None] + np.arange(-self.recipe.memory, 0)
        known = before >= (first + self.recipe.min_days - 1)[:, None]
        error = np.where(known, wanted[np.maximum(before, 0)] - answers[:, -1 - self.recipe.memory : -1], np.nan)
        observed = ~np.isnan(error)
        return np.asarray(np.where(observed, error, 0.0).sum(axis=1) / (observed.sum(axis=1) + MEMORY_PRIOR))

    def _missing(self, days: StationDays, rows: Array, first: Array) -> Array:
        """Return the share (n, 3) of each column that is missing in the windows, weighted by `FORGETTING`."""
        missing = np.isnan(days.values)
        index = rows[:, None] - np.arange(self.recipe.window)
        absent = np.where((index < first[:, None])[:, :, None], True, missing[np.maximum(index, 0)])
        return np.asarray(np.einsum("btc,t->bc", absent, self._weights_of_lags))

    @cached_property
    def _weights_of_lags(self) -> Array:
        weights = FORGETTING ** np.arange(self.recipe.window)
        return np.asarray(weights / weights.sum())

    @cached_property
    def _shares(self) -> Array:
        """(2, 3): the shares that are missing of each column where its latest value is, and where all are."""
        first, second = self._weights_of_lags[:2]
        return np.array([[second, first, first], [1 - first, 1.0, 1.0]])

    def _wider(self, missing: Array, widening: Array) -> Array:
        """Return the factor (n,) of the range where the shares ``missing`` (n, 3) of the columns are; see `Odds`."""
        factor = np.ones(len(missing))
        if missing.any():
            for index in range(len(COLUMNS)):
                known = [0.0, *self._shares[:, index]], [0.0, *widening[index]]
                factor += np.interp(missing[:, index], *known)
        return factor

    def has_networks_of(self, recipe: Recipe) -> bool:
        """Whether a training by the recipe could begin with these weights."""
        return all(
            getattr(self.recipe, name) == getattr(recipe, name) for name in ("cell", "layers", "hidden", "members")
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the station-days that it looks at."""
        return self.features.columns

    @property
    def format(self) -> int:
        """The format of its state."""
        return FORMAT

    @property
    def recommended_days(self) -> int:
        """How many days are as good as more."""
        return self.recipe.recommended_days

    @property
    def predictors(self) -> tuple[str, ...]:
        """None: it knows the station's own past alone."""
        return ()

    @property
    def station_only(self) -> "Forecaster":
        """Itself: see `models.guided.Guided`, which has one."""
        return self

    @property
    def _odds(self) -> Odds:
        if self.odds is None:
            raise ValueError("a model without calibrated odds makes no forecast")
        return self.odds

    @cached_property
    def _network_of_every_day(self) -> RecurrentNetwork:
        return replace(_network(self.recipe, self.features.n), output="every")

    @cached_property
    def members(self) -> Sequence[Parameters]:
        """The parameters of each network."""
        return [parameters_of(self.weights, f"member{member}.") for member in range(self.recipe.members)]

    def to_state(self) -> dict[str, Any]:
        """Return arrays, plain values and the scaler; no class of this project."""
        odds = self._odds
        return {
            "format": FORMAT,
            "recipe": msgspec.to_builtins(self.recipe),
            "features": self.features.to_state(),
            "scaler": self.scaler,
            "weights": self.weights,
            "odds": {
                "quantiles": odds.errors.quantiles,
                "n": odds.errors.n,
                "trust": odds.trust,
                "widening": odds.widening,
            },
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
            odds = state["odds"]
            model = cls(
                recipe=msgspec.convert(state["recipe"], Recipe),
                features=Features.from_state(state["features"]),
                scaler=state["scaler"],
                weights=state["weights"],
                odds=Odds(SeasonalErrors(odds["quantiles"], odds["n"]), odds["trust"], odds["widening"]),
                trained_through=np.datetime64(state["trained_through"], "D"),
            )
            model._check()
        except (KeyError, TypeError, AttributeError, IndexError, msgspec.ValidationError) as error:
            raise ValueError(f"the model's state is malformed: {error!r}") from error
        return model

    def _check(self) -> None:
        network, odds = _network(self.recipe, self.features.n), self._odds
        one = {name: value.shape for name, value in network.init(np.random.default_rng(0)).items()}
        shapes = {f"member{m}.{name}": shape for m in range(self.recipe.members) for name, shape in one.items()}
        if {name: value.shape for name, value in self.weights.items()} != shapes:
            raise ValueError("the model's weights are not those of its recipe")
        features = self.features
        numbers: list[Any] = [*self.weights.values(), self.scaler.mean_, self.scaler.scale_, odds.errors.quantiles]
        numbers += [odds.trust, odds.widening, features.persistence, features.tmin_slope, features.rain]
        numbers += [number for c in (features.tmax, features.tmin) for number in (c.mean, c.spread, c.trend)]
        if not all(np.isfinite(number).all() for number in numbers):
            raise ValueError("the model holds values that are not finite numbers")
        odds.errors.check()
        if not self.scaler.mean_.shape == self.scaler.scale_.shape == (features.n,):
            raise ValueError("the model's scaler is not that of its features")
        if odds.widening.shape != (len(COLUMNS), 2) or not np.isin(features.seen, YEAR).all() or not features.seen.size:
            raise ValueError("the model's odds or features are not those of a training")


def parameters_of(weights: Parameters, prefix: str) -> Parameters:
    """Return the parameters of one network of several, whose names have a prefix."""
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def _network(recipe: Recipe, n_features: int) -> RecurrentNetwork:
    return RecurrentNetwork(recipe.cell, n_features, recipe.hidden, recipe.layers, N_OUTPUTS)


def _scaled(windows: Array, scaler: Scaler) -> Array:
    """Apply the scaler's own formula, which whoever loads it without scikit-learn shares; float32."""
    return np.asarray(((windows - scaler.mean_) / scaler.scale_).astype(np.float32))
