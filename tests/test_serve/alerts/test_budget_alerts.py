"""Budget alerts: noticed once, signed, and sent until a receiver takes them, also over restarts."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fakes.webhook_receiver import SECRET, WebhookReceiver
from sqlalchemy import Engine

from serve.alerts.budget_alerts import AlertTimes, BudgetAlerts
from serve.alerts.configured_alerts import webhook_target
from serve.alerts.outbox import AlertRepository
from serve.alerts.watch_alerts import WatchAlerts
from serve.alerts.watch_repository import Alarm
from serve.alerts.webhook import WebhookTarget, read_secret
from serve.errors import ConfigurationError
from serve.instant import to_microseconds
from serve.metrics import Metrics
from serve.money.budget import BudgetRule, Charge
from serve.money.budget_repository import BudgetRepository
from serve.settings import AlertSettings
from serve.storage.database import open_database
from serve.upstream.http_transport import HttpTransport

SCOPE, MONTH = "virtual_key:ci", "2026-11"
CAP = 5_000_000_000


class SetClock:
    """A clock that stands until the test sets it."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.instant.timestamp()

    def pass_s(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(str(tmp_path / "money.db"))
    BudgetRepository(engine).set_rule(BudgetRule(SCOPE, CAP, ZoneInfo("UTC")))
    yield engine
    engine.dispose()


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


def spend(engine: Engine, amount: int, month: str = MONTH, scope: str = SCOPE) -> None:
    [state] = BudgetRepository(engine).states([(scope, month)])
    charge = Charge(f"{scope}{month}{state.spent_nusd}", amount, ((scope, month),), 5, False, "p/model", "prices")
    BudgetRepository(engine).settle("worker", [charge], {}, 5)


def set_cap(engine: Engine, cap: int, zone: str = "UTC") -> None:
    BudgetRepository(engine).set_rule(BudgetRule(SCOPE, cap, ZoneInfo(zone)))


class Worker:
    """One worker's alerts; each round is a look and a delivery, on an event loop of its own as after a restart."""

    def __init__(self, engine: Engine, url: str, clock: SetClock, thresholds: tuple[int, ...] = (50, 80, 100)) -> None:
        self.engine, self.url, self.clock, self.thresholds = engine, url, clock, thresholds
        self.metrics = Metrics()
        self.refused: set[tuple[str, str]] = set()

    def round(self) -> None:
        async def scenario() -> None:
            target = WebhookTarget(self.url, read_secret(SECRET, "here"))
            repository = AlertRepository(self.engine)
            alerts = BudgetAlerts(
                repository,
                lambda: self.refused,
                target,
                self.thresholds,
                self.clock,
                HttpTransport(),
                self.metrics,
                lambda: 0.0,
            )
            await alerts.check()
            await alerts.deliver()
            await alerts.close()

        asyncio.run(scenario())

    def count(self, outcome: str) -> float | None:
        return self.metrics.registry.get_sample_value("llmdeal_budget_alerts_total", {"outcome": outcome})


def thresholds(receiver: WebhookReceiver) -> list[int]:
    return [alert["data"]["threshold"] for alert in receiver.received]


def test_each_threshold_is_told_once_with_all_that_is_to_know(
    engine: Engine, receiver: WebhookReceiver, clock: SetClock
) -> None:
    worker = Worker(engine, receiver.url, clock)
    spend(engine, 2_499_999_999)
    worker.round()
    assert receiver.received == []
    spend(engine, 1)
    worker.round()
    worker.round()
    assert receiver.received == [
        {
            "type": "budget.threshold_reached",
            "timestamp": "2026-11-23T12:00:00Z",
            "data": {
                "account": "default",
                "scope": SCOPE,
                "threshold": 50,
                "spent_usd": "2.500000000",
                "cap_usd": "5.000000000",
                "period": MONTH,
                "resets_at": "2026-12-01T00:00:00Z",
            },
        }
    ]
    spend(engine, 2_500_000_000)
    worker.round()
    assert thresholds(receiver) == [50, 80, 100]
    assert receiver.paths == ["/hooks?token=hush"] * 3


def test_many_workers_tell_it_once(engine: Engine, receiver: WebhookReceiver, clock: SetClock) -> None:
    spend(engine, CAP)
    for worker in [Worker(engine, receiver.url, clock) for _ in range(3)]:
        worker.round()
    assert sorted(thresholds(receiver)) == [50, 80, 100]


def test_a_receiver_that_fails_is_asked_again_after_growing_pauses_and_a_restart(
    engine: Engine, receiver: WebhookReceiver, clock: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses = [500, 302]
    spend(engine, CAP // 2)
    with caplog.at_level(logging.WARNING):
        for seconds in (0, 4, 1, 19, 1, 100_000):
            clock.pass_s(seconds)
            Worker(engine, receiver.url, clock).round()
    assert thresholds(receiver) == [50, 50, 50]
    assert len(set(receiver.ids)) == 1  # by which the receiver knows a repetition
    assert receiver.paths == ["/hooks?token=hush"] * 3  # and not where the redirect points
    assert "it answered 500; again in 5 s" in caplog.text
    assert "it answered 302; again in 20 s" in caplog.text
    assert "hush" not in caplog.text


def test_what_nobody_takes_is_given_up_after_a_day_and_a_half_with_a_line_in_the_log(
    engine: Engine, clock: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    spend(engine, CAP // 2)
    with WebhookReceiver() as closed:
        url = closed.url
    worker = Worker(engine, url, clock)
    began = clock.instant
    for _ in range(12):
        worker.round()
        given_up = clock.instant
        clock.pass_s(6 * 3_600)
    assert (worker.count("failed"), worker.count("given_up"), worker.count("delivered")) == (11, 1, None)
    assert f"50% of {SCOPE} is spent in {MONTH} is given up: http://127.0.0.1" in caplog.text
    assert "hush" not in caplog.text
    assert given_up > began
    clock.pass_s(10**6)
    worker.round()
    assert worker.count("failed") == 11


def test_pauses_grow_to_six_hours_and_last_a_day_and_a_half_together() -> None:
    times = AlertTimes()
    pauses = [times.pause_s(n, 0.0) for n in range(1, times.most_attempts)]
    assert pauses[:4] == [5, 20, 80, 320]
    assert max(pauses) == 6 * 3_600
    assert 24 * 3_600 < sum(pauses) < 36 * 3_600
    assert times.pause_s(3, 0.999) == pytest.approx(40, rel=0.01)


def test_a_budget_that_refuses_is_full_before_its_last_cent_is_spent(
    engine: Engine, receiver: WebhookReceiver, clock: SetClock
) -> None:
    worker = Worker(engine, receiver.url, clock, thresholds=(100,))
    worker.refused = {(SCOPE, MONTH)}
    spend(engine, CAP // 2)
    worker.round()
    assert receiver.received == []  # one large request was refused, smaller ones go on
    spend(engine, CAP * 4 // 10)
    worker.round()
    assert [alert["data"]["spent_usd"] for alert in receiver.received] == ["4.500000000"]


def test_another_cap_tells_nothing_again_and_what_it_newly_means_at_once(
    engine: Engine, receiver: WebhookReceiver, clock: SetClock
) -> None:
    worker = Worker(engine, receiver.url, clock)
    spend(engine, CAP * 8 // 10)
    worker.round()
    set_cap(engine, CAP * 10)
    spend(engine, CAP * 4)
    worker.round()
    assert thresholds(receiver) == [50, 80]
    set_cap(engine, CAP)
    worker.round()
    assert thresholds(receiver) == [50, 80, 100]


def test_every_month_begins_anew_where_the_budget_lives(
    engine: Engine, receiver: WebhookReceiver, clock: SetClock
) -> None:
    set_cap(engine, CAP, "Asia/Tokyo")
    worker = Worker(engine, receiver.url, clock, thresholds=(50,))
    spend(engine, CAP)
    worker.round()
    clock.instant = datetime(2026, 11, 30, 15, 5, tzinfo=UTC)  # five past midnight, the first of December in Tokyo
    spend(engine, CAP, "2026-12")
    worker.round()
    assert [alert["data"]["period"] for alert in receiver.received] == ["2026-11", "2026-12"]
    assert [alert["data"]["resets_at"] for alert in receiver.received] == [
        "2026-11-30T15:00:00Z",
        "2026-12-31T15:00:00Z",
    ]


def test_what_is_settled_just_after_midnight_is_told_and_older_months_are_not(
    engine: Engine, receiver: WebhookReceiver, clock: SetClock
) -> None:
    spend(engine, CAP)
    clock.instant = datetime(2026, 12, 1, 0, 30, tzinfo=UTC)
    Worker(engine, receiver.url, clock, thresholds=(50,)).round()
    assert receiver.received == []
    clock.instant = datetime(2026, 12, 1, 0, 5, tzinfo=UTC)
    Worker(engine, receiver.url, clock, thresholds=(50,)).round()
    assert [alert["data"]["period"] for alert in receiver.received] == [MONTH]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"webhook_url": "https://hooks.test"}, "either secret or secret_env"),
        ({"webhook_url": "https://hooks.test", "secret": SECRET, "secret_env": "X"}, "either secret or secret_env"),
        ({"webhook_url": "https://hooks.test", "secret_env": "X"}, "the environment has no 'X'"),
        ({"webhook_url": "https://hooks.test", "secret": "whsec_aGk="}, r"alerts\.secret: .*openssl rand"),
        ({"webhook_url": "https://hooks.test", "secret": SECRET[6:]}, r"alerts\.secret: "),
        ({"webhook_url": "https://hooks.test", "secret_env": "BAD"}, r"secret_env \(BAD\): "),
        ({"webhook_url": "https://me:hush@hooks.test", "secret": SECRET}, "without a user name"),
        ({"webhook_url": "http://", "secret": SECRET}, "https://host/path"),
        ({"webhook_url": "http://host:99999", "secret": SECRET}, "https://host/path"),
    ],
)
def test_a_target_that_cannot_work_is_refused_at_the_start(settings: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        webhook_target(AlertSettings.model_validate(settings), {"BAD": "hush"})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://hooks.test", "hooks.test"])
def test_only_http_is_spoken(url: str) -> None:
    with pytest.raises(ValueError, match="webhook_url"):
        AlertSettings(webhook_url=url, secret_env="X")


def test_an_alarm_of_the_watch_is_signed_and_told_until_it_is_taken_once_a_day(
    engine: Engine, receiver: WebhookReceiver, clock: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    alarm = Alarm("default", "quality", "groq/llama", to_microseconds(clock.now()), 10_000.0, 10_000.0, "It is worse.")
    watch, worker = WatchAlerts(AlertRepository(engine)), Worker(engine, receiver.url, clock)
    receiver.statuses = [503]
    watch.tell([alarm, alarm], to_microseconds(clock.now()))
    with caplog.at_level(logging.WARNING, "llmdeal.alerts"):
        worker.round()
    assert "the alert that watch:default:quality:groq/llama rang on 2026-11-23 was not taken" in caplog.text
    clock.pass_s(6)
    worker.round()
    watch.tell([alarm], to_microseconds(clock.now()))
    worker.round()
    assert [alert["type"] for alert in receiver.received] == ["watch.alarm", "watch.alarm"]
    assert len(set(receiver.ids)) == 1
    assert receiver.received[1]["data"]["message"] == "It is worse."
    clock.pass_s(86_400)
    watch.tell([replace(alarm, rang_at_us=to_microseconds(clock.now()))], to_microseconds(clock.now()))
    worker.round()
    assert len(set(receiver.ids)) == 2
