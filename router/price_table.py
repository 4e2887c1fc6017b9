"""Prices as an immutable, dated and hashed snapshot, and the arithmetic that turns tokens into money.

Money is exact: prices are `Decimal` US dollars per million tokens, costs are integer nano-dollars, rounded up once per
request.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_CEILING, Decimal
from types import MappingProxyType

from router.errors import PriceError

NUSD_PER_USD = 1_000_000_000
_NUSD_PER_TOKEN_AT_ONE_USD_PER_MTOK = 1_000
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """The tokens of one answer, the same for every dialect.

    Args:
        prompt_tokens: All input tokens, cached ones and cache writes included.
        completion_tokens: All output tokens, reasoning included.
        cached_tokens: The part of `prompt_tokens` read from the provider's prompt cache.
        cache_write_tokens: The part of `prompt_tokens` written to it.
        reasoning_tokens: The part of `completion_tokens` spent on hidden reasoning.
        is_estimated: True when the provider sent no usage and the gateway counted the tokens.
        cache_write_1h_tokens: The part of `cache_write_tokens` that is kept for an hour, at Anthropic's higher rate.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    is_estimated: bool = False
    cache_write_1h_tokens: int = 0

    def __post_init__(self) -> None:
        counts = (
            self.prompt_tokens,
            self.completion_tokens,
            self.cached_tokens,
            self.cache_write_tokens,
            self.reasoning_tokens,
            self.cache_write_1h_tokens,
        )
        if min(counts) < 0:
            raise PriceError(f"token counts are never negative, got {counts!r}")


@dataclass(frozen=True, slots=True)
class PriceTier:
    """Rates that hold for the whole request once it has more than `above_prompt_tokens` input tokens."""

    above_prompt_tokens: int
    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    cached_input_usd_per_mtok: Decimal | None = None
    cache_write_usd_per_mtok: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TokenRates:
    """The rate of each kind of token at one tier, USD per million. A kind without a rate is billed at the input rate.

    Args:
        input_usd_per_mtok: Rate of input tokens.
        cached_input_usd_per_mtok: Rate of input tokens read from the prompt cache.
        cache_write_usd_per_mtok: Rate of input tokens written to it.
        cache_write_1h_usd_per_mtok: Rate of input tokens written to it for an hour.
        output_usd_per_mtok: Rate of output tokens.
        highest_input_usd_per_mtok: The highest of the four rates of input tokens.
    """

    input_usd_per_mtok: Decimal
    cached_input_usd_per_mtok: Decimal
    cache_write_usd_per_mtok: Decimal
    cache_write_1h_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    highest_input_usd_per_mtok: Decimal


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one upstream model at one provider.

    Args:
        input_usd_per_mtok: USD per million input tokens.
        output_usd_per_mtok: USD per million output tokens.
        source: Origin of the price: a package with its version, or a page.
        checked_on: Day on which it was read.
        cached_input_usd_per_mtok: USD per million cached input tokens; None: billed as ordinary input.
        cache_write_usd_per_mtok: USD per million tokens written to the cache; None: billed as ordinary input.
        request_usd: USD per request, in addition to the tokens.
        tiers: Higher (or lower) rates for long prompts, ascending.
        cache_write_1h_factor: Price of a cache write that is kept for an hour, in times the input rate; None: like any
            other write.

    Raises:
        PriceError: A rate is negative, or the source is empty.
    """

    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    source: str
    checked_on: date
    cached_input_usd_per_mtok: Decimal | None = None
    cache_write_usd_per_mtok: Decimal | None = None
    request_usd: Decimal = _ZERO
    tiers: tuple[PriceTier, ...] = ()
    cache_write_1h_factor: Decimal | None = None
    _rates: tuple[TokenRates, ...] = field(init=False, repr=False, compare=False)
    """The rates of the price itself, then those of each tier; resolved once, because every request reads them."""

    def __post_init__(self) -> None:
        if not self.source:
            raise PriceError("a price needs a source: say where it was read")
        for rates in (self, *self.tiers):
            for name in (
                "input_usd_per_mtok",
                "output_usd_per_mtok",
                "cached_input_usd_per_mtok",
                "cache_write_usd_per_mtok",
            ):
                rate = getattr(rates, name)
                if rate is not None and not (rate.is_finite() and rate >= 0):
                    raise PriceError(f"{name} must be a finite number of at least 0, got {rate!r}")
        if not (self.request_usd.is_finite() and self.request_usd >= 0):
            raise PriceError(f"request_usd must be a finite number of at least 0, got {self.request_usd!r}")
        thresholds = [tier.above_prompt_tokens for tier in self.tiers]
        if thresholds != sorted(set(thresholds)):
            raise PriceError(f"tiers must ascend by above_prompt_tokens, got {thresholds!r}")
        object.__setattr__(self, "_rates", (self._rates_of(self), *map(self._rates_of, self.tiers)))

    def rates_for(self, prompt_tokens: int) -> TokenRates:
        """Return the rates that a request with this many input tokens is billed at."""
        return self.rates_up_to(prompt_tokens)[-1]

    def rates_up_to(self, prompt_tokens: int) -> tuple[TokenRates, ...]:
        """Return the rates of every tier that a request with at most this many input tokens can be billed at.

        The last ones are those of a request with exactly this many.
        """
        if not self.tiers:
            return self._rates
        n_tiers = sum(prompt_tokens > tier.above_prompt_tokens for tier in self.tiers)  # the tiers ascend
        return self._rates[: 1 + n_tiers]

    def _rates_of(self, tier: "Price | PriceTier") -> TokenRates:
        plain, cached, written = tier.input_usd_per_mtok, tier.cached_input_usd_per_mtok, tier.cache_write_usd_per_mtok
        cached = plain if cached is None else cached
        written = plain if written is None else written
        for_an_hour = written if self.cache_write_1h_factor is None else plain * self.cache_write_1h_factor
        return TokenRates(
            input_usd_per_mtok=plain,
            cached_input_usd_per_mtok=cached,
            cache_write_usd_per_mtok=written,
            cache_write_1h_usd_per_mtok=for_an_hour,
            output_usd_per_mtok=tier.output_usd_per_mtok,
            highest_input_usd_per_mtok=max(plain, cached, written, for_an_hour),
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one request in nano-USD (10^-9 USD), in the parts of a bill. The parts add up to the total."""

    total_nusd: int
    prompt_nusd: int
    completion_nusd: int
    request_nusd: int

    @property
    def total_usd(self) -> Decimal:
        """The total in US dollars, exact."""
        return Decimal(self.total_nusd) / NUSD_PER_USD


def quote_cost(price: Price, usage: TokenUsage) -> Cost:
    """Return the exact cost of `usage` at `price`; the total is rounded up to a whole nano-dollar once.

    The rounding remainder goes to the largest part, so that the parts sum to the total.
    """
    rates = price.rates_for(usage.prompt_tokens)
    plain_tokens = max(usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens, 0)
    written, for_an_hour = usage.cache_write_tokens - usage.cache_write_1h_tokens, usage.cache_write_1h_tokens
    prompt = (
        plain_tokens * rates.input_usd_per_mtok
        + usage.cached_tokens * rates.cached_input_usd_per_mtok
        + written * rates.cache_write_usd_per_mtok
        + for_an_hour * rates.cache_write_1h_usd_per_mtok
    ) * _NUSD_PER_TOKEN_AT_ONE_USD_PER_MTOK
    completion = usage.completion_tokens * rates.output_usd_per_mtok * _NUSD_PER_TOKEN_AT_ONE_USD_PER_MTOK
    request = price.request_usd * NUSD_PER_USD
    total = int((prompt + completion + request).to_integral_value(ROUND_CEILING))
    parts = [int(prompt), int(completion), int(request)]
    parts[parts.index(max(parts))] += total - sum(parts)
    return Cost(total, *parts)


def quote_most(price: Price, prompt_tokens: int, completion_tokens: int) -> int:
    """Return the most that a request with up to this many tokens can cost, in nano-USD.

    Every input token counts at the highest of the input rates. No usage within these tokens costs more by `quote_cost`.
    """
    tokens = max(
        prompt_tokens * rates.highest_input_usd_per_mtok + completion_tokens * rates.output_usd_per_mtok
        for rates in price.rates_up_to(prompt_tokens)
    )
    most = tokens * _NUSD_PER_TOKEN_AT_ONE_USD_PER_MTOK + price.request_usd * NUSD_PER_USD
    return int(most.to_integral_value(ROUND_CEILING))


def _canonical_line(provider: str, upstream_model: str, price: Price) -> str:
    rates = (
        price.input_usd_per_mtok,
        price.output_usd_per_mtok,
        price.cached_input_usd_per_mtok,
        price.cache_write_usd_per_mtok,
    )
    tiers = [
        (
            t.above_prompt_tokens,
            t.input_usd_per_mtok,
            t.output_usd_per_mtok,
            t.cached_input_usd_per_mtok,
            t.cache_write_usd_per_mtok,
        )
        for t in price.tiers
    ]
    numbers = [*rates, price.request_usd, *(number for tier in tiers for number in tier)]
    if price.cache_write_1h_factor is not None:
        numbers.append(price.cache_write_1h_factor)
    return "\t".join(
        [provider, upstream_model, *("" if n is None else format(Decimal(n).normalize(), "f") for n in numbers)]
    )


@dataclass(frozen=True, slots=True)
class PriceTable:
    """An immutable snapshot of prices, keyed by exact (provider, upstream model).

    `snapshot_id` is a hash of the prices alone: two tables with the same prices have the same id, whatever their
    sources.
    """

    prices: Mapping[tuple[str, str], Price] = field(repr=False)
    snapshot_id: str

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[str, str, Price]]) -> "PriceTable":
        """Build a snapshot from (provider, upstream model, price) rows; a later row replaces an earlier one."""
        prices = {(provider, upstream_model): price for provider, upstream_model, price in rows}
        lines = "\n".join(_canonical_line(*names, prices[names]) for names in sorted(prices))
        return cls(MappingProxyType(prices), hashlib.sha256(lines.encode()).hexdigest()[:16])

    def price_of(self, provider: str, upstream_model: str) -> Price | None:
        """Return the price of exactly this model at this provider, never of a prefix; None when it is unknown."""
        return self.prices.get((provider, upstream_model))

    def __len__(self) -> int:
        return len(self.prices)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.prices)


def format_usd(nusd: int) -> str:
    """Return an amount of at least 0 as US dollars with all digits: `0.000012340`."""
    dollars, rest = divmod(nusd, NUSD_PER_USD)
    return f"{dollars}.{rest:09d}"
