"""Who pays for hosted lanes, to the nano-dollar: the account pays the price with markup, the operator's key without."""

import asyncio
import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from math import ceil
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from any_lane import LANE
from hypothesis import given, settings
from hypothesis import strategies as st

from router.context import RouteContext
from router.lane import Lane
from router.price_table import Price, TokenUsage, quote_cost
from serve.dialects.quirks import NO_QUIRKS
from serve.identity.virtual_keys import VirtualKeyHolder
from serve.lanes.directory import LaneConnection
from serve.lanes.of_providers import scaled
from serve.money.budget import BudgetRule
from serve.money.budget_keeper import BudgetKeeper, KeeperTimes
from serve.money.budget_repository import BudgetRepository
from serve.money.hold import BudgetSpent
from serve.money.spending import Spending
from serve.sandbox.transport import SandboxTransport
from serve.storage.database import open_database
from serve.upstream.transport import Deadlines

MONTH = "2026-11"
QUIET = KeeperTimes(settle_s=3_600, rules_s=3_600, watch_s=3_600, idle_s=3_600)
CONTEXT = RouteContext("What is 17 * 23?", 16, prompt_tokens=2_000, max_output_tokens=2_000)
ACME, OTHER = VirtualKeyHolder("acme/ci", "acme"), VirtualKeyHolder("other/ci", "other")


class StoppedClock:
    def now(self) -> datetime:
        return datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    def monotonic(self) -> float:
        return 1_000.0


@dataclass(frozen=True)
class Attempted:
    """One attempt: its caller, whether it ran on the operator's key, and its usage (None: the provider refused)."""

    holder: VirtualKeyHolder
    is_hosted: bool
    usage: TokenUsage | None


def connection(lane: Lane, hosted_at: Price | None = None) -> LaneConnection:
    return LaneConnection(lane, {}, {}, NO_QUIRKS, SandboxTransport(0), Deadlines(1, 1, 1), hosted_at=hosted_at)


def hosted(lane: Lane, markup: str) -> LaneConnection:
    return connection(replace(lane, price=scaled(lane.price, Decimal(markup), "for hosting")), lane.price)


usages = st.builds(
    lambda prompt, cached, completion, is_estimated: TokenUsage(
        prompt, completion, min(cached, prompt), is_estimated=is_estimated
    ),
    st.integers(0, 2_000),
    st.integers(0, 500),
    st.integers(0, 2_000),
    st.booleans(),
)
attempts = st.lists(
    st.builds(Attempted, st.sampled_from((ACME, OTHER)), st.booleans(), st.none() | usages), max_size=12
)
rates = st.integers(1, 10**9).map(lambda micros: Decimal(micros) / 10**7)
prices = st.builds(
    lambda rate_in, rate_out, cached: replace(
        LANE.price, input_usd_per_mtok=rate_in, output_usd_per_mtok=rate_out, cached_input_usd_per_mtok=cached
    ),
    rates,
    rates,
    st.none() | rates,
)
markups = st.integers(0, 30_000).map(lambda thousandths: str(Decimal(thousandths) / 10**3))


def owed(price: Price, usage: TokenUsage, markup: str = "1") -> int:
    """Return what an answer costs, computed a second way: rates times tokens times the markup, rounded up once."""
    cached_rate = (
        price.input_usd_per_mtok if price.cached_input_usd_per_mtok is None else price.cached_input_usd_per_mtok
    )
    plain = usage.prompt_tokens - usage.cached_tokens
    usd = Fraction(price.input_usd_per_mtok) * plain + Fraction(cached_rate) * usage.cached_tokens
    usd += Fraction(price.output_usd_per_mtok) * usage.completion_tokens
    return ceil(usd * Fraction(markup) * 1_000)


@given(attempts, prices, markups)
@pytest.mark.slow
@settings(max_examples=30)
def test_every_payer_of_hosted_and_own_lanes_pays_what_it_owes_and_nothing_else(
    attempted: list[Attempted], price: Price, markup: str
) -> None:
    operators = replace(LANE, account="box", price=price)
    expected: dict[str, int] = defaultdict(int)

    async def scenario(folder: Path, repository: BudgetRepository) -> None:
        keeper = BudgetKeeper(repository, folder / "journals", StoppedClock(), QUIET)
        await keeper.start()
        spending = Spending(keeper, 1_000)
        for number, attempt in enumerate(attempted):
            account = attempt.holder.account
            own = connection(replace(operators, account=f"{account}/openai@main"))
            lane = hosted(operators, markup) if attempt.is_hosted else own
            hold = await spending.hold(f"req_{number}/0", attempt.holder, lane, CONTEXT, "prices")
            usage = attempt.usage
            spending.settle(hold, lane, usage, None if usage is None else quote_cost(lane.lane.price, usage))
            if usage is not None:
                charged = owed(price, usage, markup) if attempt.is_hosted else owed(price, usage)
                for scope in (f"account:{account}", f"virtual_key:{account}/ci"):
                    expected[scope] += charged
                expected[f"hosted:{account}" if attempt.is_hosted else f"provider_key:{account}/openai@main"] += charged
                if attempt.is_hosted:
                    expected["provider_key:box"] += owed(price, usage)
        await keeper.close()

    with tempfile.TemporaryDirectory() as name:
        engine = open_database(str(Path(name) / "money.db"))
        repository = BudgetRepository(engine)
        for scope in ("account:acme", "hosted:acme", "provider_key:box", "virtual_key:other/ci"):
            repository.set_rule(BudgetRule(scope, 10**15, ZoneInfo("UTC")))
        asyncio.run(scenario(Path(name), repository))
        states = {state.scope: state for state in repository.states(repository.scopes_of(MONTH))}
        assert {scope: state.spent_nusd for scope, state in states.items() if state.spent_nusd} == {
            scope: amount for scope, amount in expected.items() if amount
        }
        assert all(repository.ledger_total(scope, MONTH) == state.spent_nusd for scope, state in states.items())
        assert all(state.leased_nusd == 0 for state in states.values())
        engine.dispose()


def test_the_operators_budget_holds_the_providers_price_and_the_accounts_credit_the_price_with_markup(
    tmp_path: Path,
) -> None:
    lane = hosted(replace(LANE, account="box"), "10")
    engine = open_database(str(tmp_path / "money.db"))
    repository = BudgetRepository(engine)

    async def scenario() -> None:
        keeper = BudgetKeeper(repository, tmp_path / "journals", StoppedClock(), QUIET)
        await keeper.start()
        spending = Spending(keeper, 1_000)
        most = spending.most(lane.lane, LANE.price, CONTEXT)
        repository.set_rule(
            BudgetRule("provider_key:box", most, ZoneInfo("UTC"))
        )  # enough at cost, not with the markup
        keeper.read_rules()
        hold = await spending.hold("req_1/0", ACME, lane, CONTEXT, "prices")
        with pytest.raises(BudgetSpent) as spent:
            await spending.hold("req_2/0", ACME, lane, CONTEXT, "prices")
        assert spent.value.scope == "provider_key:box"
        assert spending.is_spent(lane, CONTEXT, "acme")
        spending.settle(hold, lane, None, None)
        repository.set_rule(BudgetRule("hosted:acme", 10 * most - 1, ZoneInfo("UTC")))
        keeper.read_rules()
        with pytest.raises(BudgetSpent) as spent:
            await spending.hold("req_3/0", ACME, lane, CONTEXT, "prices")
        assert spent.value.scope == "hosted:acme"
        await keeper.close()

    asyncio.run(scenario())
    assert all(
        (state.spent_nusd, state.leased_nusd) == (0, 0) for state in repository.states(repository.scopes_of(MONTH))
    )
    engine.dispose()
    assert list((tmp_path / "journals").iterdir()) == []


@pytest.mark.parametrize(("served", "factor"), [(None, "0.5"), ("flex", "0.5"), ("default", "1")])
def test_account_and_operator_both_pay_the_service_tier_of_a_hosted_answer(
    tmp_path: Path, served: str | None, factor: str
) -> None:
    flex = LANE.price.times(Decimal("0.5"), "flex")
    lane = hosted(replace(LANE, account="box", price=replace(LANE.price, service_tiers=(("flex", flex),))), "3")
    usage = TokenUsage(1_000, 1_000, service_tier=served)
    engine = open_database(str(tmp_path / "money.db"))
    repository = BudgetRepository(engine)

    async def scenario() -> None:
        keeper = BudgetKeeper(repository, tmp_path / "journals", StoppedClock(), QUIET)
        await keeper.start()
        spending = Spending(keeper, 1_000)
        context = replace(CONTEXT, service_tier="flex")
        hold = await spending.hold("req_1/0", ACME, lane, context, "prices")
        spending.settle(hold, lane, usage, quote_cost(lane.lane.price, usage, "flex"))
        await keeper.close()

    asyncio.run(scenario())
    spent = {state.scope: state.spent_nusd for state in repository.states(repository.scopes_of(MONTH))}
    engine.dispose()
    assert spent["provider_key:box"] == owed(LANE.price, usage, factor)
    assert spent["hosted:acme"] == spent["account:acme"] == owed(LANE.price, usage, str(3 * Decimal(factor)))
