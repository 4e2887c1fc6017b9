"""Prices as an immutable, dated and hashed snapshot, and the arithmetic that turns tokens into money.

Money is exact: prices are `Decimal` US dollars per million tokens, costs are integer nano-dollars, rounded up once per
request.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
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
        reasoning_tokens: The part of `completion_tokens` spent on hidden reasoning; None: the provider does not say.
        is_estimated: True when the provider sent no usage and the gateway counted the tokens.
        cache_write_1h_tokens: The part of `cache_write_tokens` that is kept for an hour, at Anthropic's higher rate.
        service_tier: Name of the service tier that the provider says it served, such as flex; None: it does not say.
        web_searches: Searches of the web that the provider made for the answer.
        file_searches: Searches in stored files that it made.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int | None = None
    is_estimated: bool = False
    cache_write_1h_tokens: int = 0
    service_tier: str | None = None
    web_searches: int = 0
    file_searches: int = 0

    def __post_init__(self) -> None:
        counts = (
            self.prompt_tokens,
            self.completion_tokens,
            self.cached_tokens,
            self.cache_write_tokens,
            self.reasoning_tokens or 0,
            self.cache_write_1h_tokens,
            self.web_searches,
            self.file_searches,
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
    cache_write_1h_usd_per_mtok: Decimal | None = None


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
        checked_on: Day of the data: the release of the package or the day on which the page was read. None: the price
            has no date, because the operator set it.
        cached_input_usd_per_mtok: USD per million cached input tokens; None: billed as ordinary input.
        cache_write_usd_per_mtok: USD per million tokens written to the cache; None: billed as ordinary input.
        request_usd: USD per request, in addition to the tokens.
        tiers: Higher (or lower) rates for long prompts, ascending.
        cache_write_1h_factor: Price of a cache write that is kept for an hour, in times the input rate; None: like any
            other write.
        cache_write_1h_usd_per_mtok: USD per million tokens of that kind. It wins over the factor; None: no own rate.
        web_search_usd: USD for each search of the web; None: unknown, and not billed.
        file_search_usd: USD for each search in stored files; None: unknown, and not billed.
        service_tiers: Name of a service tier (flex, priority, fast, batch) and its whole price, by name. A tier that is
            not here costs the standard price.

    Raises:
        PriceError: A rate is negative, the source is empty, or a service tier has tiers of its own.
    """

    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    source: str
    checked_on: date | None
    cached_input_usd_per_mtok: Decimal | None = None
    cache_write_usd_per_mtok: Decimal | None = None
    request_usd: Decimal = _ZERO
    tiers: tuple[PriceTier, ...] = ()
    cache_write_1h_factor: Decimal | None = None
    cache_write_1h_usd_per_mtok: Decimal | None = None
    web_search_usd: Decimal | None = None
    file_search_usd: Decimal | None = None
    service_tiers: "tuple[tuple[str, Price], ...]" = ()
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
                "cache_write_1h_usd_per_mtok",
            ):
                _check_amount(name, getattr(rates, name))
        for name in ("request_usd", "web_search_usd", "file_search_usd"):
            _check_amount(name, getattr(self, name))
        names = [name for name, _ in self.service_tiers]
        if names != sorted(set(names)) or any(price.service_tiers for _, price in self.service_tiers):
            raise PriceError(f"service tiers must be sorted, each once and without tiers of their own, got {names!r}")
        thresholds = [tier.above_prompt_tokens for tier in self.tiers]
        if thresholds != sorted(set(thresholds)):
            raise PriceError(f"tiers must ascend by above_prompt_tokens, got {thresholds!r}")
        object.__setattr__(self, "_rates", (self._rates_of(self), *map(self._rates_of, self.tiers)))

    def at(self, service_tier: str | None) -> "Price":
        """Return the price of a service tier; the standard price if it is None or has no price of its own."""
        if service_tier is None or not self.service_tiers:
            return self
        return next((price for name, price in self.service_tiers if name == service_tier), self)

    def age_days(self, today: date) -> int | None:
        """Return the days since the day of its data, 0 or more; None: it has no date."""
        return None if self.checked_on is None else max((today - self.checked_on).days, 0)

    def times(self, factor: Decimal, source: str) -> "Price":
        """Return every amount times a factor, in every tier and service tier, with another source."""

        def scaled(amount: Decimal | None) -> Decimal | None:
            return None if amount is None else amount * factor

        return replace(
            self,
            input_usd_per_mtok=self.input_usd_per_mtok * factor,
            output_usd_per_mtok=self.output_usd_per_mtok * factor,
            source=source,
            cached_input_usd_per_mtok=scaled(self.cached_input_usd_per_mtok),
            cache_write_usd_per_mtok=scaled(self.cache_write_usd_per_mtok),
            cache_write_1h_usd_per_mtok=scaled(self.cache_write_1h_usd_per_mtok),
            request_usd=self.request_usd * factor,
            web_search_usd=scaled(self.web_search_usd),
            file_search_usd=scaled(self.file_search_usd),
            tiers=tuple(
                PriceTier(
                    tier.above_prompt_tokens,
                    tier.input_usd_per_mtok * factor,
                    tier.output_usd_per_mtok * factor,
                    scaled(tier.cached_input_usd_per_mtok),
                    scaled(tier.cache_write_usd_per_mtok),
                    scaled(tier.cache_write_1h_usd_per_mtok),
                )
                for tier in self.tiers
            ),
            service_tiers=tuple((name, price.times(factor, source)) for name, price in self.service_tiers),
        )

    def with_hour_factor(self, factor: Decimal | None) -> "Price":
        """Return the price with a factor for cache writes that are kept for an hour, in every service tier."""
        tiers = tuple((name, price.with_hour_factor(factor)) for name, price in self.service_tiers)
        return replace(self, cache_write_1h_factor=factor, service_tiers=tiers)

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
        for_an_hour = tier.cache_write_1h_usd_per_mtok
        if for_an_hour is None:
            for_an_hour = written if self.cache_write_1h_factor is None else plain * self.cache_write_1h_factor
        return TokenRates(
            input_usd_per_mtok=plain,
            cached_input_usd_per_mtok=cached,
            cache_write_usd_per_mtok=written,
            cache_write_1h_usd_per_mtok=for_an_hour,
            output_usd_per_mtok=tier.output_usd_per_mtok,
            highest_input_usd_per_mtok=max(plain, cached, written, for_an_hour),
        )


def _check_amount(name: str, amount: Decimal | None) -> None:
    if amount is not None and not (amount.is_finite() and amount >= 0):
        raise PriceError(f"{name} must be a finite number of at least 0, got {amount!r}")


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one request in nano-USD (10^-9 USD), in the parts of a bill. The parts add up to the total.

    Args:
        total_nusd: The whole cost.
        prompt_nusd: Cost of the input tokens.
        completion_nusd: Cost of the output tokens.
        request_nusd: Cost of the request itself, and of the searches that the provider made for it.
        is_incomplete: Whether the provider made searches whose price is not known, so that they are not in it.
    """

    total_nusd: int
    prompt_nusd: int
    completion_nusd: int
    request_nusd: int
    is_incomplete: bool = False

    @property
    def total_usd(self) -> Decimal:
        """The total in US dollars, exact."""
        return Decimal(self.total_nusd) / NUSD_PER_USD


def quote_cost(price: Price, usage: TokenUsage, requested_tier: str | None = None) -> Cost:
    """Return the exact cost of `usage` at `price`; the total is rounded up to a whole nano-dollar once.

    The rounding remainder goes to the largest part, so that the parts sum to the total.

    Args:
        price: Price of the lane, with its service tiers.
        usage: Usage of the answer. The service tier that it names is billed.
        requested_tier: Service tier that the request asked for; it is billed if the usage names none.
    """
    price = price.at(usage.service_tier or requested_tier)
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
    searches = usage.web_searches * (price.web_search_usd or _ZERO) + usage.file_searches * (
        price.file_search_usd or _ZERO
    )
    request = (price.request_usd + searches) * NUSD_PER_USD
    total = int((prompt + completion + request).to_integral_value(ROUND_CEILING))
    parts = [int(prompt), int(completion), int(request)]
    parts[parts.index(max(parts))] += total - sum(parts)
    is_incomplete = bool(
        (usage.web_searches and price.web_search_usd is None) or (usage.file_searches and price.file_search_usd is None)
    )
    return Cost(total, parts[0], parts[1], parts[2], is_incomplete)


def quote_most(
    price: Price, prompt_tokens: int, completion_tokens: int, requested_tier: str | None = None, web_searches: int = 0
) -> int:
    """Return the most that a request with up to this many tokens can cost, in nano-USD.

    Every input token counts at the highest of the input rates. No usage within these tokens and searches of the web
    costs more by `quote_cost`, served at the standard tier or at the requested one.

    Args:
        price: Price of the lane, with its service tiers.
        prompt_tokens: Most input tokens.
        completion_tokens: Most output tokens.
        requested_tier: Service tier that the request asks for; None: it asks for none.
        web_searches: Most searches of the web.
    """
    standard = _most_at(price, prompt_tokens, completion_tokens, web_searches)
    if requested_tier is None or (tier := price.at(requested_tier)) is price:
        return standard
    return max(standard, _most_at(tier, prompt_tokens, completion_tokens, web_searches))


def _most_at(price: Price, prompt_tokens: int, completion_tokens: int, web_searches: int) -> int:
    tokens = max(
        prompt_tokens * rates.highest_input_usd_per_mtok + completion_tokens * rates.output_usd_per_mtok
        for rates in price.rates_up_to(prompt_tokens)
    )
    each_request = price.request_usd + web_searches * (price.web_search_usd or _ZERO)
    most = tokens * _NUSD_PER_TOKEN_AT_ONE_USD_PER_MTOK + each_request * NUSD_PER_USD
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
    cells = [provider, upstream_model, *map(_cell, numbers)]
    # Written only where they exist, so that tables without them keep their ids.
    for name in ("cache_write_1h_usd_per_mtok", "web_search_usd", "file_search_usd"):
        if (amount := getattr(price, name)) is not None:
            cells += [name, _cell(amount)]
    for tier in price.tiers:
        if tier.cache_write_1h_usd_per_mtok is not None:
            cells += [f"cache_write_1h_above_{tier.above_prompt_tokens}", _cell(tier.cache_write_1h_usd_per_mtok)]
    cells += [_canonical_line(name, "", tier_price) for name, tier_price in price.service_tiers]
    return "\t".join(cells)


def _cell(number: Decimal | int | None) -> str:
    return "" if number is None else format(Decimal(number).normalize(), "f")


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
