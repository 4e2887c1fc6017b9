"""The world of a simulation: its prompts, the lanes of each day, and the grade and cost of every answer."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from router.ability_prior import AbilityPrior
from router.context import RouteContext
from router.lane import Lane, QualityPrior
from router.price_table import Price
from training.corpus.graded_corpus import PRICES_FILE, Corpus, read_corpus, read_prices
from training.corpus.pools import ASSUMED_COMPLETION_TOKENS
from training.corpus.splits import group_near_duplicates
from training.errors import SettingsError
from training.simulate.scenario import Scenario

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

PROVIDER = "corpus"
_CONTEXT_TOKENS = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Rows of the corpus in three parts; near-duplicates lie in the same part.

    The first bundle is fitted to `start`, `traffic` is sent, and `held_out` judges the arms.
    """

    start: Ints
    traffic: Ints
    held_out: Ints


@dataclass(frozen=True, slots=True)
class Luck:
    """The random part of a request; it is the same for every lane that answers.

    Args:
        answer: Random number, 0..1; a good answer of a lane that got worse stays good if it is below the kept share.
        judged_after: Time until the answer is judged; None: it is never judged.
    """

    answer: float
    judged_after: timedelta | None


class World:
    """A corpus as traffic; the scenario's seed decides everything before the first request.

    Args:
        corpus: Graded answers.
        prices: Shape (m, 2), USD per million input and output tokens; prices of the corpus' models.
        scenario: Scenario to simulate.

    Raises:
        SettingsError: A lane has no grades or no price, or the corpus is too small.
    """

    def __init__(self, corpus: Corpus, prices: npt.NDArray[np.float32], scenario: Scenario) -> None:
        self.corpus, self.scenario = corpus, scenario
        column = {name: place for place, name in enumerate(corpus.trained_names)}
        if missing := [
            name for name in scenario.model_names if name not in column or np.isnan(prices[column[name]]).any()
        ]:
            raise SettingsError(
                f"scenario: {missing[0]!r} has no grades, or no price in {PRICES_FILE}: leave it out, or add them"
            )
        self.names = scenario.model_names
        self.lane_ids = tuple(f"{PROVIDER}/{name}" for name in self.names)
        self.columns = np.array([column[name] for name in self.names], np.intp)
        self.list_prices = prices[self.columns].astype(np.float64)  # (lanes, 2)
        self.score = corpus.scores[:, self.columns].astype(np.float64)  # (n, lanes)
        tokens = corpus.completion_tokens[:, self.columns].astype(np.float64)
        self.tokens = np.maximum(np.nan_to_num(tokens, nan=ASSUMED_COMPLETION_TOKENS), 1.0)
        self.split = _split(corpus, self.score[:, self.is_there(0)], scenario)
        self.rng = np.random.default_rng([scenario.seed, 1])
        self.requests = _traffic(self.split.traffic, scenario, self.rng)
        self.day = np.arange(scenario.n_requests) * scenario.n_days // scenario.n_requests
        self.began = datetime.combine(date.fromisoformat(scenario.first_day), datetime.min.time(), UTC)
        spread = np.arange(scenario.n_requests) * scenario.n_days / scenario.n_requests
        self.started_at = [self.began + timedelta(days=float(days)) for days in spread]
        self.luck = _luck(scenario, self.rng)

    @classmethod
    def read(cls, folder: Path, scenario: Scenario) -> "World":
        """Make a world of a corpus folder with `prices.csv`.

        Raises:
            TrainingError: The corpus or the scenario cannot be used.
        """
        corpus = read_corpus(folder)
        return cls(corpus, read_prices(folder / PRICES_FILE, corpus.trained_names), scenario)

    @cached_property
    def contexts(self) -> dict[int, RouteContext]:
        """Row -> context that the router sees, for the prompts of the traffic and those held out."""
        rows = np.concatenate([self.split.traffic, self.split.held_out])
        return {int(row): RouteContext.from_prompt(self.corpus.prompts[row]) for row in rows}

    def requests_of(self, day: int) -> Ints:
        """Return the numbers of the requests of a day."""
        return np.flatnonzero(self.day == day)

    def night_after(self, day: int) -> datetime:
        """Return the end of a day."""
        return self.began + timedelta(days=day + 1)

    def is_there(self, day: int) -> Mask:
        """Return which lanes are available on a day, shape (lanes,)."""
        late = {arrival.model_name for arrival in self.scenario.arrivals if arrival.day > day}
        return np.array([name not in late for name in self.names])

    def can_answer(self, rows: Ints, day: int) -> Mask:
        """Return which available lanes have a grade for these prompts, shape (n, lanes): the caller's pool."""
        return ~np.isnan(self.score[rows]) & self.is_there(day)

    def rates(self, day: int) -> Floats:
        """Return USD per million input and output tokens on a day, shape (lanes, 2)."""
        rates = self.list_prices.copy()
        for change in self.scenario.price_changes:
            if day >= change.day:
                rates[self.names.index(change.model_name)] *= change.factor
        return rates

    def kept_share(self, day: int) -> Floats:
        """Return the share of each lane's good answers that are still good on a day, shape (lanes,)."""
        kept = np.ones(len(self.names))
        for degradation in self.scenario.degradations:
            if day >= degradation.day:
                kept[self.names.index(degradation.model_name)] = degradation.kept_share
        return kept

    def costs(self, rows: Ints, day: int) -> Floats:
        """Return the cost of each answer, USD, shape (n, lanes)."""
        prompt_tokens = np.array([self.contexts[int(row)].prompt_tokens for row in rows], np.float64)
        rates = self.rates(day) / 1e6
        return np.asarray(prompt_tokens[:, None] * rates[:, 0] + self.tokens[rows] * rates[:, 1])

    def utilities(self, rows: Ints, day: int) -> Floats:
        """Return the expected value of each answer minus its cost, USD, shape (n, lanes).

        NaN where a lane cannot answer.
        """
        worth = self.scenario.worth_usd * self.score[rows] * self.kept_share(day) - self.costs(rows, day)
        return np.where(self.can_answer(rows, day), worth, np.nan)

    def lanes(self, day: int, prior: AbilityPrior | None) -> tuple[Lane, ...]:
        """Return the lanes of a day, in the order of `lane_ids`.

        A model that the bundle does not know gets a prior from its price and family.
        """
        return tuple(
            _lane(lane_id, name, rates, prior)
            for lane_id, name, rates, is_there in zip(
                self.lane_ids, self.names, self.rates(day), self.is_there(day), strict=True
            )
            if is_there
        )


def _lane(lane_id: str, name: str, rates: Floats, prior: AbilityPrior | None) -> Lane:
    price = Price(Decimal(f"{rates[0]:.9g}"), Decimal(f"{rates[1]:.9g}"), PRICES_FILE, date(2026, 1, 1))
    believed = None
    if prior is not None and rates[1] > 0:
        believed = QualityPrior(prior.of(name, float(rates[1])), prior.std, "its price and family")
    return Lane(
        lane_id,
        PROVIDER,
        name,
        name,
        PROVIDER,
        price,
        context_tokens=_CONTEXT_TOKENS,
        trained_name=name,
        prior=believed,
    )


def _split(corpus: Corpus, score: Floats, scenario: Scenario) -> Split:
    """Assign groups of near-duplicates to the three parts.

    `score` has the columns of the lanes of the first day. Prompts with grades of fewer than two of them are only used
    for the first bundle.
    """
    is_wanted = (
        np.isin(corpus.sources, scenario.sources) if scenario.sources else np.ones(len(corpus.prompts), np.bool_)
    )
    groups = group_near_duplicates(corpus.prompts)
    names, member = np.unique(groups, return_inverse=True)
    place = np.random.default_rng([scenario.seed, 0]).random(len(names))[member]
    is_start, is_held_out = place < scenario.start_share, place >= 1 - scenario.held_out_share
    is_sendable = is_wanted & ((~np.isnan(score)).sum(axis=1) >= 2)
    parts = (
        is_wanted & is_start,
        is_sendable & ~is_start & ~is_held_out,
        is_sendable & is_held_out & ~corpus.is_near_duplicate,
    )
    split = Split(*(np.flatnonzero(part) for part in parts))
    if min(len(split.traffic), len(split.held_out)) < 2:
        raise SettingsError(
            "scenario: the corpus has too few prompts with grades of two of the lanes: choose other lanes"
        )
    return split


def _luck(scenario: Scenario, rng: np.random.Generator) -> list[Luck]:
    n = scenario.n_requests
    answer, is_judged = rng.random(n), rng.random(n) < scenario.feedback_share
    delay = rng.exponential(scenario.feedback_delay_days, n) if scenario.feedback_delay_days else np.zeros(n)
    return [
        Luck(float(answer[number]), timedelta(days=float(delay[number])) if is_judged[number] else None)
        for number in range(n)
    ]


def _traffic(rows: Ints, scenario: Scenario, rng: np.random.Generator) -> Ints:
    """Return the prompt of each request; a prompt repeats only after all others were sent."""
    passes = -(-scenario.n_requests // len(rows))
    return np.concatenate([rng.permutation(rows) for _ in range(passes)])[: scenario.n_requests]
