"""One attempt ends once, whatever happens: its response is closed, its money settled, its lane and its log updated."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from any_lane import LANE

from router.policies.cheapest import CHEAPEST
from router.price_table import Cost, TokenUsage, quote_cost
from router.telemetry_schema import Outcome
from serve.dialects.quirks import NO_QUIRKS
from serve.lanes.directory import LaneConnection
from serve.money.hold import BudgetSpent
from serve.proxy.attempt import Attempt, AttemptFailed
from serve.upstream.destination import Destination
from serve.upstream.signing.signer import CredentialsUnavailable
from serve.upstream.transport import ConnectFailed, Deadlines, StreamBroken, TransportError

USAGE = TokenUsage(40, 7)


class HandClock:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 11, 26, tzinfo=UTC)


class Provider:
    """A transport and the response that it gives, or the error that it raises."""

    is_over = True

    def __init__(self, status: int = 200, body: bytes | TransportError = b"{}", sent: TransportError | None = None):
        self.status = status
        self.headers: Mapping[str, str] = {"x-request-id": "up-1", "retry-after": "7"}
        self.n_closed = 0
        self.posted: list[tuple[Destination, Mapping[str, str]]] = []
        self._body = body
        self._refusal = sent

    async def post(
        self, destination: Destination, own_headers: Mapping[str, str], body: bytes, deadlines: Deadlines
    ) -> "Provider":
        self.posted.append((destination, own_headers))
        if self._refusal is not None:
            raise self._refusal
        return self

    async def read(self, limit_bytes: int) -> bytes:
        if isinstance(self._body, TransportError):
            raise self._body
        return self._body

    def close(self) -> None:
        self.n_closed += 1


class Notes:
    """Keeps the name and the arguments of every method that is called."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: self.calls.append((name, arguments))

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


@dataclass
class World:
    """A call with one lane, and everything that an attempt on it changes."""

    provider: Provider
    signer: Any = None
    not_held: BudgetSpent | None = None
    passed_headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock, self.health, self.caches, self.settled = HandClock(), Notes(), Notes(), Notes()
        self.ended: list[tuple[Outcome, TokenUsage | None]] = []
        self.connection = LaneConnection(
            LANE,
            {"openai": ("http://a.example/chat", "http://a.example/stream")},
            {"authorization": "Bearer key-of-the-lane"},
            NO_QUIRKS,
            self.provider,  # type: ignore[arg-type] # a response that never streams
            Deadlines(1, 1, 1),
            signer=self.signer,
        )
        exchange = SimpleNamespace(encode_request=lambda *_: b"{}")
        inquiry = SimpleNamespace(dialect="openai", is_streaming=False, passed_headers=self.passed_headers, body={})
        self.call: Any = SimpleNamespace(
            inquiry=inquiry,
            context=SimpleNamespace(prompt_tokens=33),
            holder=SimpleNamespace(account="default"),
            conversation_id="talk",
            directory=SimpleNamespace(health=self.health, warm_caches=self.caches, reasoning_affinity=self.caches),
            spending=self.settled,
            started=990.0,
            tokens_used=0,
            connection=lambda row: self.connection,
            exchange=lambda row: exchange,
            dialect=lambda row: "openai",
            tokens_counted=lambda row: 60.0,
            hold=self._hold,
            cost=self._cost,
        )
        self.attempt = Attempt(self.call, 0, 0, CHEAPEST, self.clock, self)

    def attempt_ended(self, call: Any, attempt: Attempt, outcome: Outcome, usage: TokenUsage | None) -> None:
        self.ended.append((outcome, usage))

    async def _hold(self, row: int, number: int) -> str:
        if self.not_held is not None:
            raise self.not_held
        return "the hold"

    @staticmethod
    def _cost(row: int, usage: TokenUsage) -> Cost:
        return quote_cost(LANE.price, usage)

    def open(self) -> Any:
        return asyncio.run(self.attempt.open())

    def open_and_fail(self) -> AttemptFailed:
        with pytest.raises(AttemptFailed) as caught:
            self.open()
        return caught.value


def test_an_answer_is_settled_once_however_often_its_attempt_is_ended() -> None:
    world = World(Provider())
    world.open()
    world.attempt.end("ok", USAGE)
    world.attempt.end("client_disconnected", None)
    assert world.provider.n_closed == 1
    assert world.ended == [("ok", USAGE)]
    assert world.settled.calls == [("settle", ("the hold", world.connection, USAGE, quote_cost(LANE.price, USAGE)))]
    assert world.health.names() == ["note_sent", "note_answered", "note_used", "note_success"]
    assert world.caches.names() == ["note_answer", "note_answer"]
    assert world.call.tokens_used == 47


@pytest.mark.parametrize(
    ("provider", "outcome", "rest"),
    [
        (Provider(429), "rate_limited", "note_limit"),
        (Provider(401), "upstream_error", "note_refused_credentials"),
        (Provider(500), "upstream_error", "note_failure"),
        (Provider(sent=ConnectFailed("no connection")), "connect_error", "note_failure"),
    ],
)
def test_a_refusal_costs_nothing_and_rests_what_it_is_about(provider: Provider, outcome: Outcome, rest: str) -> None:
    world = World(provider)
    failure = world.open_and_fail()
    assert failure.verdict.outcome == outcome
    assert provider.n_closed == (1 if failure.status else 0)
    assert world.ended == [(outcome, None)]
    assert world.settled.calls == [("settle", ("the hold", world.connection, None, None))]
    assert rest in world.health.names()
    assert world.health.names().count("note_answered") == 1


def test_an_answer_that_breaks_off_is_charged_as_a_prompt_that_was_read() -> None:
    world = World(Provider(body=StreamBroken("the connection broke")))
    response = world.open()
    with pytest.raises(AttemptFailed) as caught:
        asyncio.run(world.attempt.read(response))
    assert isinstance(caught.value.__cause__, StreamBroken)
    [(outcome, usage)] = world.ended
    assert outcome == "broken_stream"
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.is_estimated) == (33, 0, True)
    assert world.call.tokens_used == 33


def test_without_a_hold_nothing_is_sent_settled_or_kept_of_the_limits() -> None:
    not_held = BudgetSpent("account:default", datetime(2026, 12, 1, tzinfo=UTC))
    world = World(Provider(), not_held=not_held)
    failure = world.open_and_fail()
    assert failure.not_held is not_held
    assert world.provider.posted == []
    assert (world.settled.calls, world.health.calls) == ([], [])
    assert world.ended == [("over_budget", None)]


class Signer:
    """Signs with what it was given, or cannot."""

    name = "a test"

    def __init__(self, *, has_credentials: bool = True) -> None:
        self.signed: list[tuple[str, Mapping[str, str]]] = []
        self._has_credentials = has_credentials

    def sign(self, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        if not self._has_credentials:
            raise CredentialsUnavailable("there are no credentials yet")
        self.signed.append((url, headers))
        return {"authorization": "Bearer signature-of-this-request"}


def test_a_signature_covers_all_headers_and_is_sent_with_the_request_alone() -> None:
    signer = Signer()
    world = World(Provider(), signer, passed_headers={"x-beta": "tools"})
    world.open()
    assert signer.signed == [
        ("http://a.example/chat", {"authorization": "Bearer key-of-the-lane", "x-beta": "tools"}),
    ]
    [(destination, own_headers)] = world.provider.posted
    assert own_headers == {"x-beta": "tools", "authorization": "Bearer signature-of-this-request"}
    assert destination is world.connection.destination("openai", is_streaming=False)
    assert world.attempt.redacted("what about signature-of-this-request?") == "what about [redacted]?"


def test_without_credentials_nothing_is_sent_and_the_lane_rests() -> None:
    world = World(Provider(), Signer(has_credentials=False))
    assert world.open_and_fail().verdict.code == "no_credentials"
    assert world.provider.posted == []
    assert "note_failure" in world.health.names()


def test_times_are_counted_from_the_moment_at_which_the_request_was_sent() -> None:
    world = World(Provider())
    world.clock.seconds += 5
    response = world.open()
    world.clock.seconds += 2
    asyncio.run(world.attempt.read(response))
    world.clock.seconds += 1
    timing = world.attempt.timing
    assert (timing.ttft_ms, timing.waited_ms) == (2_000, 3_000)
    assert (
        timing.overhead_ms(world.clock.seconds) == 16_000
    )  # it came in at 990 and 2 s of the 18 s were the provider's
