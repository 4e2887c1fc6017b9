"""The pools: for each source, the lanes that given keys reach, and what each answer cost.

A *lane* is here a model at an effort. A pool holds the prompts that all of its lanes answered.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.abilities.graded_answers import of_main_agent
from training.abilities.graded_columns import RowName
from training.abilities.list_prices import ListPrices
from training.corpus.pools import ANSWERED_SHARE, ASSUMED_COMPLETION_TOKENS, CHARACTERS_PER_TOKEN
from training.demand.graded_work import GradedWork

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

CostBasis = Literal["paid", "billed tokens", "visible tokens", "assumed length"]
"""Origin of a pool's costs.

- "paid": the source states what each answer cost.
- "billed tokens": list prices times the tokens that the provider counted.
- "visible tokens": list prices times the estimated tokens of the visible answer. Hidden reasoning is missing.
- "assumed length": list prices times 250 tokens for every answer, since the source has no lengths.
"""
DAY_ONE_KEYS = ("anthropic", "openai", "openrouter")
WORK_OF_SOURCE = {
    "abap": "ABAP classes",
    "bfcl_oss": "function calling",
    "es_business": "business chat in Spanish",
    "ko_translation": "translation of Korean chat",
    "mcpmark": "tool use over MCP",
    "misguided": "altered riddles",
    "openhands_index": "agentic coding",
    "pm_llm_v2": "long analyses of business processes",
    "pm_llm_v3": "harder analyses of business processes",
    "sql": "SQL",
    "svelte": "Svelte components",
}
"""Source -> kind of work, in words for the operator; another source is called by its name."""

_FEWEST_LANES = 3
_ANSWERED_SHARES = (ANSWERED_SHARE, 0.6)
"""Shares of the prompts that a lane must have answered; the second one counts if the first leaves too few lanes."""
_SHARE_WITH_COST = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class WorkPool:
    """The lanes and prompts of one source; `n` prompts, `m` lanes.

    Args:
        source: Name of the source.
        keys: Providers whose keys reach the lanes.
        lanes: Model and effort of each lane.
        places: Rows of the prompts in the graded work, shape (n,).
        columns: Rows of the lanes in `GradedWork.rows`, shape (m,).
        score: Shape (n, m), 0..1.
        cost: Shape (n, m), USD.
        prompt_tokens: Estimated length of the prompts, shape (n,).
        price: Shape (m, 2), USD per input and per output token.
        cost_basis: Origin of `cost`.
    """

    source: str
    keys: tuple[str, ...]
    lanes: tuple[RowName, ...]
    places: Ints
    columns: Ints
    score: Floats
    cost: Floats
    prompt_tokens: Floats
    price: Floats
    cost_basis: CostBasis

    @property
    def work(self) -> str:
        """The kind of work, in words."""
        return WORK_OF_SOURCE.get(self.source, self.source)

    @property
    def lane_names(self) -> tuple[str, ...]:
        """Names of the lanes, `vendor/model` or `vendor/model@effort`."""
        return tuple(f"{model}@{effort}" if effort else model for model, effort in self.lanes)

    def cost_of_tokens(self, completion_tokens: Floats, chosen: Ints) -> Floats:
        """Return the cost of one call at list prices, shape (k, m), from completion tokens (k, m) of chosen prompts."""
        return self.prompt_tokens[chosen, None] * self.price[:, 0] + completion_tokens * self.price[:, 1]


def find_pools(collection: Path, work: GradedWork, keys: Collection[str]) -> list[WorkPool]:
    """Return the pool of every source of a collection that has at least three lanes at these keys.

    Args:
        collection: Folder of the sources.
        work: Graded work that was read from it.
        keys: Providers by their ids in genai-prices. A model is reached if the package prices it at one of them.
    """
    prices = ListPrices(keys)
    sources = [str(source) for source in np.unique(work.sources) if (collection / source).is_dir()]
    pools = (_pool_of(collection / source, source, work, prices, tuple(sorted(keys))) for source in sources)
    return [pool for pool in pools if pool is not None]


def _pool_of(folder: Path, source: str, work: GradedWork, prices: ListPrices, keys: tuple[str, ...]) -> WorkPool | None:
    here = np.flatnonzero(work.sources == source)
    price_of = {model: prices.price_of(model) for model, _ in work.rows}
    is_reached = np.array([price_of[model] is not None for model, _ in work.rows])
    basis, cost = _costs(folder, work, here, price_of)
    is_there = ~np.isnan(work.scores[here])
    share = is_there.mean(axis=0)
    share_with_cost = (np.isfinite(cost) & is_there).sum(axis=0) / np.maximum(is_there.sum(axis=0), 1)
    for needed in _ANSWERED_SHARES:
        columns = np.flatnonzero(is_reached & (share >= needed) & (share_with_cost >= _SHARE_WITH_COST))
        if len(columns) >= _FEWEST_LANES:
            break
    else:
        return None
    is_whole = (is_there & np.isfinite(cost))[:, columns].all(axis=1)
    if not is_whole.any():
        return None
    places = here[is_whole]
    lanes = tuple(work.rows[column] for column in columns)
    return WorkPool(
        source,
        keys,
        lanes,
        places,
        columns,
        work.scores[np.ix_(places, columns)].astype(np.float64),
        cost[np.ix_(np.flatnonzero(is_whole), columns)],
        _prompt_tokens(work, places),
        np.array([price_of[model] for model, _ in lanes], np.float64) / 1e6,
        basis,
    )


def _prompt_tokens(work: GradedWork, places: Ints) -> Floats:
    return np.array([len(work.prompts[place]) for place in places], np.float64) / CHARACTERS_PER_TOKEN


def _costs(
    folder: Path, work: GradedWork, here: Ints, price_of: dict[str, tuple[float, float] | None]
) -> tuple[CostBasis, Floats]:
    """Return the origin of the costs, and the cost of each answer of a source, shape (prompts, r); NaN: unknown."""
    paid = _paid(folder, work, here)
    if np.isfinite(paid).any():
        return "paid", paid
    price = np.array([price_of[model] or (np.nan, np.nan) for model, _ in work.rows]) / 1e6
    basis: CostBasis = "assumed length"
    tokens = np.where(np.isnan(work.scores[here]), np.nan, ASSUMED_COMPLETION_TOKENS)
    if np.isfinite(work.tokens[here]).any():
        basis, tokens = "billed tokens", work.tokens[here].astype(np.float64)
    elif np.isfinite(work.visible[here]).any():
        basis, tokens = "visible tokens", work.visible[here].astype(np.float64)
    return basis, _prompt_tokens(work, here)[:, None] * price[:, 0] + tokens * price[:, 1]


def _paid(folder: Path, work: GradedWork, here: Ints) -> Floats:
    responses = of_main_agent(pd.read_parquet(folder / "responses.parquet"))
    costs = np.full((len(here), len(work.rows)), np.nan)
    if "cost_usd" not in responses:
        return costs
    stated = responses[responses["cost_usd"] > 0]
    means = stated.groupby(["prompt_id", "model", "effort"], as_index=False)["cost_usd"].mean()
    row_of = {work.prompt_ids[place]: row for row, place in enumerate(here)}
    column_of = {row: column for column, row in enumerate(work.rows)}
    for prompt_id, model, effort, cost in means.itertuples(index=False):
        if prompt_id in row_of and (model, effort) in column_of:
            costs[row_of[prompt_id], column_of[model, effort]] = cost
    return costs


def instance_groups(groups: Ints, work: GradedWork) -> Ints:
    """Return groups that join near-duplicates and prompts of one instance, shape (n,).

    The longest part of a prompt's id between colons names its instance, as in `swe-bench:django__django-15037`.

    Args:
        groups: Group of near-duplicates of each prompt, shape (n,).
        work: Graded prompts.
    """
    leader = {int(group): int(group) for group in np.unique(groups)}

    def first_of(group: int) -> int:
        while leader[group] != group:
            group = leader[group]
        return group

    seen: dict[tuple[str, str], int] = {}
    for group, source, prompt_id in zip(groups.tolist(), work.sources.tolist(), work.prompt_ids, strict=True):
        instance = (source, max(prompt_id.removeprefix(f"{source}:").split(":"), key=len))
        low, high = sorted((first_of(seen.setdefault(instance, group)), first_of(group)))
        leader[high] = low
    return np.array([first_of(group) for group in groups.tolist()], np.intp)
