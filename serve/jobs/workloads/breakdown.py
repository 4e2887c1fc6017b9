"""Works out the cost breakdown from a bundle's reference answers.

It takes true grades and lengths, predictions of networks that had not seen the prompts, and today's prices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from router.arrays import Floats
from router.bar import QUALITY_ALONE_USD
from router.bundle import Bundle
from router.price_table import Price
from router.reference_answers import ReferenceAnswers
from serve.catalogue.packaged_prices import PackagedPrices
from serve.jobs.workloads.workload_rows import WorkloadFile, WorkloadRow

_GRADED_SHARE = 0.93
_REQUESTS = 1_000
_WORTHS_USD: Floats = np.concatenate([[QUALITY_ALONE_USD], np.logspace(2, -7, 361)])
"""Worths of a good answer that are tried, from quality alone to cost alone."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A graded model at a provider, at today's price."""

    trained_name: str
    provider: str
    price: Price


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """One provider alone, and routing at its quality.

    Args:
        provider: Name of the provider.
        best_model: Graded model of the provider with the highest mean score.
        score: Mean score of that model, 0..1.
        cost_usd: Cost of 1,000 requests to that model.
        routed_usd: Cost of 1,000 requests routed among all offers, at the cheapest trade that reaches the score;
            None: no trade reaches it.
        routed_score: Mean score at that trade; None: no trade reaches `score`.
    """

    provider: str
    best_model: str
    score: float
    cost_usd: float
    routed_usd: float | None
    routed_score: float | None


@dataclass(frozen=True, slots=True)
class WorkloadBreakdown:
    """The breakdown of one workload.

    Args:
        row: Description of the workload.
        prompts: Number of its graded prompts.
        offers: Number of offers that requests were routed among.
        has_lengths: Whether the lengths of the answers are known; if not, predicted lengths count on both sides.
        providers: Providers, the best first.
    """

    row: WorkloadRow
    prompts: int
    offers: int
    has_lengths: bool
    providers: Sequence[ProviderRow]


def break_down(bundle: Bundle, file: WorkloadFile, prices: PackagedPrices) -> list[WorkloadBreakdown]:
    """Return a breakdown of each workload that the bundle has graded prompts of."""
    reference = bundle.read_reference()
    offers = _priced_offers(file.graded_offers, prices)
    column = {name: place for place, name in enumerate(bundle.trained_names)}
    breakdowns = (
        _break_down(row, reference, [offer for offer in offers if offer.trained_name in column], column)
        for row in file.workloads
    )
    return [breakdown for breakdown in breakdowns if breakdown is not None]


def _priced_offers(graded: Mapping[str, Mapping[str, str]], prices: PackagedPrices) -> list[Offer]:
    return [
        Offer(name, provider, price)
        for name, places in graded.items()
        for provider, model_id in places.items()
        if (price := prices.price_of(provider, model_id)) is not None
    ]


def _break_down(
    row: WorkloadRow, reference: ReferenceAnswers, offers: Sequence[Offer], column: Mapping[str, int]
) -> WorkloadBreakdown | None:
    wanted = np.isin(reference.task_names, row.tasks)
    rows = np.flatnonzero(wanted[reference.task])
    graded = ~np.isnan(reference.score[rows])
    offers = [offer for offer in offers if len(rows) and graded[:, column[offer.trained_name]].mean() >= _GRADED_SHARE]
    if not offers:
        return None
    columns = np.array([column[offer.trained_name] for offer in offers])
    rows = rows[graded[:, columns].all(axis=1)]
    part = np.ix_(rows, columns)
    score, quality = reference.score[part].astype(np.float64), reference.quality[part].astype(np.float64)
    expected_tokens = reference.completion_tokens[part].astype(np.float64)
    true_tokens = reference.answer_tokens[part].astype(np.float64)
    has_lengths = not np.isnan(true_tokens).all()
    tokens = np.where(np.isnan(true_tokens), expected_tokens, true_tokens)
    prompt_tokens = reference.prompt_tokens[rows].astype(np.float64)
    cost, expected_cost = (_cost(prompt_tokens, each, offers) for each in (tokens, expected_tokens))
    curve = _routed_curve(quality, expected_cost, score, cost)
    providers = [_alone(name, offers, score, cost, curve) for name in sorted({offer.provider for offer in offers})]
    providers.sort(key=lambda each: -each.score)
    return WorkloadBreakdown(row, len(rows), len(offers), has_lengths, providers)


def _cost(prompt_tokens: Floats, tokens: Floats, offers: Sequence[Offer]) -> Floats:
    input_rate, output_rate, request = (
        np.array([float(getattr(offer.price, name)) for offer in offers])
        for name in ("input_usd_per_mtok", "output_usd_per_mtok", "request_usd")
    )
    return np.asarray((prompt_tokens[:, None] * input_rate + tokens * output_rate) / 1e6 + request, np.float64)


def _routed_curve(quality: Floats, expected_cost: Floats, score: Floats, cost: Floats) -> Floats:
    """Return (mean cost, mean score) at each willingness to pay, shape (k, 2)."""
    rows = np.arange(len(quality))
    chosen = [(worth * quality - expected_cost).argmax(axis=1) for worth in _WORTHS_USD]
    return np.array([(cost[rows, each].mean(), score[rows, each].mean()) for each in chosen])


def _alone(provider: str, offers: Sequence[Offer], score: Floats, cost: Floats, curve: Floats) -> ProviderRow:
    own = [place for place, offer in enumerate(offers) if offer.provider == provider]
    best = max(own, key=lambda place: (score[:, place].mean(), -cost[:, place].mean()))
    level = float(score[:, best].mean())
    reached = curve[curve[:, 1] >= level - 1e-9]
    routed = reached[reached[:, 0].argmin()] if len(reached) else None
    return ProviderRow(
        provider,
        offers[best].trained_name,
        level,
        float(cost[:, best].mean()) * _REQUESTS,
        None if routed is None else float(routed[0]) * _REQUESTS,
        None if routed is None else float(routed[1]),
    )
