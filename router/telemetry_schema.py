"""The telemetry export format: a row for each upstream attempt, each piece of feedback, each lane and price.

`serve` writes it and `training` reads it. The column tables name the Arrow types in plain words, so that the format can
be read without pyarrow. A column is never renamed or given another meaning. Every change, also a new column, is a step
of `TELEMETRY_SCHEMA_VERSION`.

Version 2 added `quality_of_best` and `max_output_tokens` to attempts, both shifts to candidates, the part `lanes`, and
`forgotten.json`. Version 3 added `demotion` to candidates. Version 4 added `effort` to lanes. Version 5 added
`service_tier`, `web_searches` and `stated_effort` to attempts. Readers take every version.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

TELEMETRY_SCHEMA_VERSION: Final = 5
EXPORT_FORMAT: Final = "llmdeal-telemetry"
"""Name of the format in the manifest of an export."""
EXPORT_MANIFEST: Final = "export.json"
"""File name of the manifest in the folder of the export."""
FORGOTTEN_LIST: Final = "forgotten.json"
"""File name of the list of content that readers skip, also in older exports next to it; see `ForgottenContent`."""

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32] | npt.NDArray[np.int64]

Outcome = Literal[
    "ok",
    "rate_limited",
    "upstream_error",
    "timeout",
    "connect_error",
    "client_disconnected",
    "broken_stream",
    "refused",
    "superseded",
    "over_budget",
]
"""How an attempt ended, in this order: an answer; the provider's limit; a 4xx/5xx of the provider; a deadline; no
connection; the caller went away; the stream broke off; the provider declined this content; another lane answered first;
nothing was sent, because a budget had too little left or could not be read."""

STOPPED_OUTCOMES: Final = ("client_disconnected", "broken_stream")
"""Ends of an answer of which the caller may have seen a part: it has, if the time to the first token is known."""

KeptContent = Literal["full", "features", "none", "nothing"]
"""The content of a request that is kept: texts and features; features only; neither; not even its row."""

ColumnType = Literal[
    "string",
    "int32",
    "int64",
    "float32",
    "float64",
    "bool",
    "timestamp",
    "list<string>",
    "list<float32>",
    "list<candidate>",
]
"""`timestamp` is in microseconds, UTC. `candidate` is a struct with the fields of `CANDIDATE_COLUMNS`."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the export: its name, its Arrow type in words, whether it may be null (unknown) and its meaning."""

    name: str
    type: ColumnType
    is_nullable: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """The beliefs about one lane at the time of the decision; `CANDIDATE_COLUMNS` has the meanings."""

    lane_id: str
    quality: float | None = None
    quality_std: float | None = None
    expected_completion_tokens: float | None = None
    expected_cost_usd: float | None = None
    expected_latency_ms: float | None = None
    excluded_by: str | None = None
    probability: float = 0.0
    quality_shift: float | None = None
    account_shift: float | None = None
    demotion: int | None = None
    """The fallback tier. The export keeps the name that its column had when it was added."""


@dataclass(frozen=True, slots=True, eq=False)
class CandidateTable:
    """All candidates of one decision as columns: the decision computes arrays, and logging makes no object per lane.

    Arrays have shape (n_lanes,). They are stored in the precision of `CANDIDATE_COLUMNS`, whatever theirs is. NaN in
    `quality` to `expected_latency_ms` is unknown and becomes null in the export. Another thread reads everything later:
    pass arrays and mappings that no code changes any more, and the same `lane_ids` tuple for as long as the lanes stay
    the same.

    Args:
        lane_ids: All lanes, in the order of the arrays.
        excluded_by: Index of an excluded lane -> name of the constraint that removed it; eligible lanes are absent.
        quality_shift, account_shift: Shifts already added to the log odds of `quality`, by online learning and by the
            account's correction; None: no shift.
        fallback_tier: Tier of each lane, kept as int32: a lane comes after all lanes of a smaller tier. None: all lanes
            are in tier 0.
    """

    lane_ids: tuple[str, ...]
    quality: Floats
    quality_std: Floats
    expected_completion_tokens: Floats
    expected_cost_usd: Floats
    expected_latency_ms: Floats
    excluded_by: Mapping[int, str]
    probability: Floats
    quality_shift: Floats | None = None
    account_shift: Floats | None = None
    fallback_tier: Ints | None = None

    @classmethod
    def from_candidates(cls, candidates: Iterable[Candidate]) -> "CandidateTable":
        """Turn rows into columns; None becomes NaN."""
        rows = list(candidates)
        return cls(
            lane_ids=tuple(row.lane_id for row in rows),
            quality=np.array([_nan_if_none(row.quality) for row in rows], dtype=np.float32),
            quality_std=np.array([_nan_if_none(row.quality_std) for row in rows], dtype=np.float32),
            expected_completion_tokens=np.array(
                [_nan_if_none(row.expected_completion_tokens) for row in rows], dtype=np.float32
            ),
            expected_cost_usd=np.array([_nan_if_none(row.expected_cost_usd) for row in rows], dtype=np.float64),
            expected_latency_ms=np.array([_nan_if_none(row.expected_latency_ms) for row in rows], dtype=np.float32),
            excluded_by={index: row.excluded_by for index, row in enumerate(rows) if row.excluded_by is not None},
            probability=np.array([row.probability for row in rows], dtype=np.float64),
            quality_shift=_none_if_unknown([row.quality_shift for row in rows]),
            account_shift=_none_if_unknown([row.account_shift for row in rows]),
            fallback_tier=None
            if all(row.demotion is None for row in rows)
            else np.array([row.demotion or 0 for row in rows], np.int32),
        )

    def to_candidates(self) -> tuple[Candidate, ...]:
        """Turn columns into rows; NaN becomes None."""
        columns = (
            self.lane_ids,
            _none_if_nan(self.quality),
            _none_if_nan(self.quality_std),
            _none_if_nan(self.expected_completion_tokens),
            _none_if_nan(self.expected_cost_usd),
            _none_if_nan(self.expected_latency_ms),
            [self.excluded_by.get(index) for index in range(len(self.lane_ids))],
            self.probability.tolist(),
            *(_none_if_nan(self._shift(shift)) for shift in (self.quality_shift, self.account_shift)),
            [None] * len(self.lane_ids) if self.fallback_tier is None else self.fallback_tier.tolist(),
        )
        return tuple(Candidate(*row) for row in zip(*columns, strict=True))

    def _shift(self, shift: Floats | None) -> Floats:
        return np.full(len(self.lane_ids), np.nan, np.float32) if shift is None else shift

    def __eq__(self, other: object) -> bool:
        """Compare all rows; two unknown values are equal."""
        return self.to_candidates() == other.to_candidates() if isinstance(other, CandidateTable) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.lane_ids)


@dataclass(slots=True, eq=False, kw_only=True)  # not frozen, which takes three times as long to make
class AttemptRow:
    """One upstream attempt and the decision behind it; `ATTEMPT_COLUMNS` has the meanings and units.

    A request that falls back has several rows with the same `request_id`, and `attempt` counts from 0. Each row repeats
    the values of the request. `(request_id, attempt)` is unique: a second row with the same pair is not stored.
    """

    request_id: str
    attempt: int
    started_at: datetime
    account: str
    virtual_key_id: str | None = None
    conversation_id: str | None = None
    tags: tuple[str, ...] = ()
    endpoint: str
    is_streaming: bool
    features: Float32s | None = None
    features_version: int | None = None
    prompt_text: str | None = None
    answer_text: str | None = None
    prompt_characters: int
    n_turns: int
    candidates: CandidateTable | None = None
    lane_id: str
    provider: str
    upstream_model: str
    vendor_model: str
    region: str | None = None
    propensity: float | None = None
    reason: str
    policy: str | None = None
    router_version: str | None = None
    price_snapshot_id: str | None = None
    quality_bar: float | None = None
    willingness_to_pay_usd: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage_is_estimated: bool = False
    cost_nusd: int | None = None
    ttft_ms: float | None = None
    total_ms: float | None = None
    overhead_ms: float | None = None
    status: int | None = None
    outcome: Outcome
    finish_reason: str | None = None
    error_code: str | None = None
    upstream_request_id: str | None = None
    quality_of_best: float | None = None
    max_output_tokens: int | None = None
    service_tier: str | None = None
    web_searches: int | None = None
    stated_effort: str | None = None

    def __eq__(self, other: object) -> bool:
        """Compare all columns."""
        if not isinstance(other, AttemptRow):
            return NotImplemented
        return all(_is_same(getattr(self, field.name), getattr(other, field.name)) for field in fields(self))

    def __hash__(self) -> int:
        return hash((self.request_id, self.attempt))


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackRow:
    """One judgement of an answer, by a person or an automatic check; `FEEDBACK_COLUMNS` has the meanings."""

    request_id: str
    metric_name: str
    value: float
    comment: str | None = None
    given_by: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class ForgottenContent:
    """An account whose logged content was withdrawn or deleted.

    Args:
        account: The account.
        until: Time before which its requests are concerned.
        kept: Content of these requests that may still be read.
    """

    account: str
    until: datetime
    kept: KeptContent


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneRow:
    """A lane at one table of prices; `LANE_COLUMNS` has the meanings and units."""

    price_snapshot_id: str
    lane_id: str
    provider: str
    upstream_model: str
    vendor_model: str
    trained_name: str | None = None
    region: str | None = None
    input_usd_per_mtok: float
    output_usd_per_mtok: float
    cached_input_usd_per_mtok: float | None = None
    request_usd: float = 0.0
    context_tokens: int | None = None
    ability: float | None = None
    ability_std: float | None = None
    noted_at: datetime
    effort: str | None = None


CANDIDATE_COLUMNS: Final = (
    Column("lane_id", "string", False, "The lane."),
    Column("quality", "float32", True, "Predicted P(good answer), 0..1."),
    Column("quality_std", "float32", True, "Standard deviation of that belief."),
    Column("expected_completion_tokens", "float32", True, "Predicted length of the answer, in tokens."),
    Column(
        "expected_cost_usd", "float64", True, "Expected cost of the request in USD, prompt-cache discount included."
    ),
    Column("expected_latency_ms", "float32", True, "Expected time to the whole answer, in ms."),
    Column("excluded_by", "string", True, "Name of the constraint that removed the lane; null: it was eligible."),
    Column(
        "probability", "float64", False, "Probability that the policy gave to the lane, 0..1; the column sums to 1."
    ),
    Column(
        "quality_shift",
        "float32",
        True,
        "Shift of the log odds of quality that was learned online; null: none. From version 2.",
    ),
    Column(
        "account_shift",
        "float32",
        True,
        "Shift of the same log odds by the account's correction; null: none. From version 2.",
    ),
    Column(
        "demotion",
        "int32",
        True,
        "Fallback tier of the lane, by the caller's soft preferences and the reserve: it came after all lanes of a "
        "smaller tier; null: all lanes were in tier 0. From version 3.",
    ),
)

ATTEMPT_COLUMNS: Final = (
    Column("request_id", "string", False, "The request, as in the header x-llmdeal-request-id."),
    Column("attempt", "int32", False, "Counts the upstream calls of the request, from 0."),
    Column("started_at", "timestamp", False, "When the attempt began."),
    Column("account", "string", False, "The caller's account with the gateway."),
    Column("virtual_key_id", "string", True, "Id of the virtual key used; null: the gateway asked for none."),
    Column(
        "conversation_id",
        "string",
        True,
        "Hash that all requests of one conversation share; never the text it came from.",
    ),
    Column("tags", "list<string>", False, "The caller's tags, in the order given."),
    Column("endpoint", "string", False, "Path that was called: /v1/chat/completions."),
    Column("is_streaming", "bool", False, "Whether the caller asked for a stream."),
    Column(
        "features", "list<float32>", True, "Features that the quality model saw, in the layout of features_version."
    ),
    Column("features_version", "int32", True, "Layout of features."),
    Column("prompt_text", "string", True, "The conversation; only if the account lets content be kept."),
    Column("answer_text", "string", True, "The answer; only if the account lets content be kept."),
    Column("prompt_characters", "int64", False, "Length of the whole conversation in characters."),
    Column("n_turns", "int32", False, "Number of messages in the conversation."),
    Column(
        "candidates",
        "list<candidate>",
        True,
        "Every lane of the decision, also the excluded ones; null: there was no decision.",
    ),
    Column("lane_id", "string", False, "The lane that was called."),
    Column("provider", "string", False, "Host of the model."),
    Column("upstream_model", "string", False, "Id of the model that was sent to the provider."),
    Column("vendor_model", "string", False, "Vendor and model, independent of the host."),
    Column("region", "string", True, "Region in which inference ran; null: unknown."),
    Column(
        "propensity", "float64", True, "Probability with which this lane was drawn, 0..1; null: not drawn (a fallback)."
    ),
    Column("reason", "string", False, "Reason for this lane, in one word, as in the header x-llmdeal-reason."),
    Column("policy", "string", True, "Name of the behaviour policy; null: none was asked (a pin, a fallback)."),
    Column("router_version", "string", True, "The bundle whose predictions were used; null: none was."),
    Column("price_snapshot_id", "string", True, "Hash of the price table that priced the attempt."),
    Column("quality_bar", "float64", True, "Least P(good answer) wanted, 0..1; null: no bar."),
    Column("willingness_to_pay_usd", "float64", True, "Worth of a good answer to the caller, USD."),
    Column("prompt_tokens", "int64", True, "All input tokens, cached ones and cache writes included."),
    Column("completion_tokens", "int64", True, "All output tokens, reasoning included."),
    Column("cached_tokens", "int64", True, "The part of prompt_tokens read from the provider's prompt cache."),
    Column("cache_write_tokens", "int64", True, "The part of prompt_tokens written to it."),
    Column(
        "reasoning_tokens",
        "int64",
        True,
        "The part of completion_tokens spent on hidden reasoning; null: the provider does not say. Before version 5 it "
        "was 0 then.",
    ),
    Column(
        "usage_is_estimated",
        "bool",
        False,
        "Whether the gateway counted the tokens itself because the provider did not.",
    ),
    Column("cost_nusd", "int64", True, "Cost of the attempt in nano-USD (10^-9 USD); null: unknown, 0: free."),
    Column("ttft_ms", "float64", True, "From the call upstream to the first token of the answer, in ms."),
    Column("total_ms", "float64", True, "From the call upstream to the end of the answer, in ms."),
    Column("overhead_ms", "float64", True, "The gateway's own time on the request up to this attempt's end, in ms."),
    Column("status", "int32", True, "HTTP status of the upstream; null: there was no response."),
    Column("outcome", "string", False, "How the attempt ended: one of Outcome."),
    Column("finish_reason", "string", True, "Why the answer ended, in OpenAI's words."),
    Column("error_code", "string", True, "The gateway's code of the error; null: none."),
    Column("upstream_request_id", "string", True, "The provider's id of the call, to quote to its support."),
    Column(
        "quality_of_best",
        "float64",
        True,
        "Share of the best lane's quality that the caller wanted kept, 0..1; null: none. From version 2.",
    ),
    Column("max_output_tokens", "int32", True, "The caller's limit on the answer; null: none. From version 2."),
    Column(
        "service_tier",
        "string",
        True,
        "Service tier that the tokens were charged in, such as flex: the one that the provider named, or else the one "
        "that the request asked for; null: neither names one, or nothing was charged. From version 5.",
    ),
    Column(
        "web_searches",
        "int64",
        True,
        "Searches of the web that the provider reported and that were charged; null: nothing was charged. From "
        "version 5.",
    ),
    Column(
        "stated_effort",
        "string",
        True,
        "Effort of reasoning that the request stated itself, in one word, or other; null: it said nothing about it. "
        "From version 5.",
    ),
)

FEEDBACK_COLUMNS: Final = (
    Column("request_id", "string", False, "The request that was judged."),
    Column(
        "metric_name", "string", False, "Metric of the judgement: thumbs, score, schema_valid, or any word of the user."
    ),
    Column("value", "float64", False, "The judgement, finite; its range belongs to the metric."),
    Column("comment", "string", True, "The giver's own words; null: none."),
    Column("given_by", "string", False, "Id of the virtual key that gave it, or the name of an automatic check."),
    Column("received_at", "timestamp", False, "When it arrived."),
)

LANE_COLUMNS: Final = (
    Column("price_snapshot_id", "string", False, "Hash of the price table, as in attempts."),
    Column("lane_id", "string", False, "The lane."),
    Column("provider", "string", False, "Host of the model."),
    Column("upstream_model", "string", False, "Id of the model that is sent to the provider."),
    Column("vendor_model", "string", False, "Vendor and model, independent of the host."),
    Column("trained_name", "string", True, "Its name in the bundle; null: no graded answers of it were trained on."),
    Column("region", "string", True, "Region in which inference runs; null: unknown."),
    Column("input_usd_per_mtok", "float64", False, "USD per million input tokens, of prompts below every tier."),
    Column("output_usd_per_mtok", "float64", False, "USD per million output tokens."),
    Column("cached_input_usd_per_mtok", "float64", True, "USD per million cached input tokens; null: as any input."),
    Column("request_usd", "float64", False, "USD per request, in addition to the tokens."),
    Column("context_tokens", "int64", True, "Longest prompt plus answer; null: unknown."),
    Column(
        "ability",
        "float64",
        True,
        "Prior ability on the bundle's logit scale, for a model that was not trained on; null: no such belief.",
    ),
    Column("ability_std", "float64", True, "Standard deviation of that belief."),
    Column("noted_at", "timestamp", False, "Time at which the gateway last began to use the lane in this form."),
    Column(
        "effort",
        "string",
        True,
        "Effort of reasoning that the lane sets, in one word; null: the provider's default. From version 4.",
    ),
)


def _nan_if_none(value: float | None) -> float:
    return math.nan if value is None else value


def _none_if_unknown(values: list[float | None]) -> Float32s | None:
    """Return a column, or None when all its values are unknown."""
    if all(value is None for value in values):
        return None
    return np.array([_nan_if_none(value) for value in values], dtype=np.float32)


def _none_if_nan(values: Floats) -> list[float | None]:
    return [None if number != number else number for number in values.tolist()]


def _is_same(left: object, right: object) -> bool:
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        both = isinstance(left, np.ndarray) and isinstance(right, np.ndarray)
        return both and bool(np.array_equal(left, right, equal_nan=True))  # type: ignore[arg-type]  # checked above
    return bool(left == right)
