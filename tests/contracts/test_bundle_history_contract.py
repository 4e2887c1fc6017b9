"""What every database promises of the history of bundles, and of what shadows would have done."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from serve.bundles.history import BundleHistory
from serve.bundles.staging import StageChange, Standing, staging_of
from serve.errors import ConflictError
from serve.identity.audit_repository import AuditRepository
from serve.routing.shadow_repository import ShadowDecision, ShadowRepository

NOW = datetime(2026, 11, 26, 12, 30, 15, 250_000, tzinfo=UTC)


def promotion(number: int) -> StageChange:
    verdict = {"is_better": True, "utility_gain_usd": [0.1, -0.2, 0.3], "reasons": ["ü", "'"]}
    return StageChange("promote", "champion", Standing(f"night-{number}", f"night-{number}+0"), "why “so”", verdict)


def shadow_decision(number: int, **changes: object) -> ShadowDecision:
    values: dict[str, object] = {
        "request_id": f"req_{number}",
        "router_version": "b+1",
        "at": NOW + timedelta(seconds=number),
        "champion_version": "a+1",
        "champion_lane_id": "x/small",
        "lane_id": "x/small" if number % 4 else "x/large",
        "champion_quality": 0.5,
        "champion_cost_usd": 0.001,
        "quality": 0.75,
        "cost_usd": 0.002,
        "quality_of_champions_lane": 0.25,
        "decision_us": 100.0 + number,
    }
    return ShadowDecision(**{**values, **changes})  # type: ignore[arg-type]  # a table of values


def test_the_history_comes_back_as_it_was_added(engine: Engine) -> None:
    audit = AuditRepository(engine, lambda: NOW)
    history = BundleHistory(audit)
    assert (history.newest(), history.entries()) == (0, [])
    stops = [
        StageChange("stop", "canary", Standing("b", "b+1", 0.125)),
        StageChange("stop", "shadow", Standing("c", "c+1")),
    ]
    assert history.add([promotion(1)], "ada", after=0) == 1
    assert history.add(stops, "cli:bob", after=1) == 3
    entries = history.entries()
    assert [(entry.number, entry.at, entry.actor) for entry in entries] == [
        (1, NOW, "ada"),
        (2, NOW, "cli:bob"),
        (3, NOW, "cli:bob"),
    ]
    assert [entry.change for entry in entries] == [promotion(1), *stops]
    assert staging_of(entries).number == history.newest() == 3
    assert [entry.action for entry in audit.entries("default")] == ["bundle.stop", "bundle.promote"]


def test_who_did_not_see_the_newest_line_adds_nothing(engine: Engine) -> None:
    audit = AuditRepository(engine, lambda: NOW)
    history = BundleHistory(audit)
    history.add([promotion(1)], "ada", after=0)
    with pytest.raises(ConflictError):
        history.add([promotion(2)], "bob", after=0)
    assert (history.newest(), len(audit.entries(None))) == (1, 1)


def test_of_many_at_once_one_adds_each_line(new_url: str, open_engine: Callable[[str], Engine]) -> None:
    histories = [BundleHistory(AuditRepository(open_engine(new_url), lambda: NOW)) for _ in range(4)]

    def add(number: int, after: int) -> bool:
        try:
            histories[number].add([promotion(number)], f"worker {number}", after)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        for after in range(5):
            assert sum(pool.map(add, range(4), [after] * 4)) == 1
    assert [entry.number for entry in histories[0].entries()] == [1, 2, 3, 4, 5]


def test_shadows_are_summed_up_beside_each_champion(engine: Engine) -> None:
    repository = ShadowRepository(engine)
    assert repository.summaries("b+1") == []
    repository.add([shadow_decision(number) for number in range(8)])
    repository.add(
        [shadow_decision(3), shadow_decision(20, champion_version="c+1"), shadow_decision(21, router_version="d+1")]
    )
    first, second = repository.summaries("b+1")
    assert (first.champion_version, first.n_requests, first.agreement) == ("a+1", 8, 0.75)
    assert (first.champion_quality, first.quality, first.quality_of_champions_lane) == (0.5, 0.75, 0.25)
    assert first.decision_us == pytest.approx(103.5)
    assert (second.champion_version, second.n_requests) == ("c+1", 1)
    repository.forget(NOW + timedelta(days=30, seconds=4), 30)
    assert repository.summaries("b+1")[0].n_requests == 4
