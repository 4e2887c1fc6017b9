"""Lanes of one model at several efforts: what each sends, and what they share."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest
from fakes.still_clock import StillClock

from router.lane import Capability
from router.lane_table import LaneTable
from router.price_table import TokenUsage
from serve.catalogue.price_sources import PriceSources
from serve.dialects.openai.conversation import read_chat_request
from serve.dialects.openai.native import NativeChat
from serve.lanes.at_efforts import at_default_effort, at_efforts
from serve.lanes.directory import LaneConnection
from serve.lanes.health import LaneHealth
from serve.lanes.of_providers import ProviderConnector
from serve.lanes.shared_rows import rows_that_share
from serve.lanes.warm_caches import WarmCaches
from serve.settings import Settings
from serve.upstream.http_transport import HttpTransport
from serve.upstream.prompt_cache import PromptCache
from serve.upstream.transport import Deadlines

MODEL = "openai/gpt-5.4"
KNOWN = (f"{MODEL}@none", f"{MODEL}@high", "anthropic/claude-opus-5.5@low", "anthropic/claude-opus-5.5@none")
BODY = {"model": "smart-route", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0.5, "seed": 1}


@pytest.fixture(scope="module")
def connections() -> list[LaneConnection]:
    """The lanes of the catalogue at two providers, at the efforts that a bundle knows."""
    environment = {"OPENAI_API_KEY": "sk-test", "ANTHROPIC_API_KEY": "sk-ant-test"}
    now = datetime(2026, 11, 30, tzinfo=UTC)
    connected = ProviderConnector(
        HttpTransport(), Deadlines(1, 1, 1), lambda: PriceSources(now), now.date()
    ).of_settings(Settings(), environment)
    return at_efforts(connected.connections, KNOWN)


@pytest.fixture
def of_model(connections: list[LaneConnection]) -> list[LaneConnection]:
    return [connection for connection in connections if connection.lane.vendor_model == MODEL]


@pytest.fixture
def table(of_model: list[LaneConnection]) -> LaneTable:
    return LaneTable.build([connection.lane for connection in of_model], KNOWN)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


def test_models_of_the_catalogue_get_the_efforts_that_they_take(connections: list[LaneConnection]) -> None:
    lane_ids = [connection.lane.lane_id for connection in connections if connection.lane.effort is not None]
    assert lane_ids == ["anthropic/claude-opus-5-5:low", "openai/gpt-5.4:none", "openai/gpt-5.4:high"]
    assert all(connection.lane.effort is None for connection in at_default_effort(connections))


def test_parameters_that_reasoning_refuses_are_left_out_only_at_efforts_that_reason(
    of_model: list[LaneConnection],
) -> None:
    inquiry = read_chat_request(msgspec.json.encode(BODY))
    sent = [
        msgspec.json.decode(NativeChat().encode_request(inquiry, connection.lane, connection.quirks))
        for connection in of_model
    ]
    assert [(body.get("reasoning_effort"), body.get("temperature"), body["seed"]) for body in sent] == [
        (None, 0.5, 1),
        ("none", 0.5, 1),
        ("high", None, 1),
    ]
    assert ["temperature" in connection.lane.refused_parameters for connection in of_model] == [False, False, True]


def test_tools_are_lost_only_at_efforts_that_reason(of_model: list[LaneConnection]) -> None:
    lost = [Capability.TOOLS in connection.lane.lost_by_effort for connection in of_model]
    assert lost == [False, False, True]


@pytest.mark.parametrize(
    "refuse",
    [lambda health: health.note_failure(2), lambda health: health.note_limit(2, 5.0)],
    ids=["failure", "limit"],
)
def test_what_rests_a_model_at_one_effort_rests_it_at_all(
    table: LaneTable, clock: StillClock, refuse: Callable[[LaneHealth], None]
) -> None:
    health = LaneHealth(table, clock.monotonic)
    refuse(health)
    assert health.state().is_cooling.tolist() == [True, True, True]


def test_failures_in_a_row_are_counted_over_all_efforts(table: LaneTable, clock: StillClock) -> None:
    health = LaneHealth(table, clock.monotonic)
    health.note_failure(2)
    health.note_failure(1)
    assert [vitals.rests_for_s for vitals in health.vitals()] == [2.0, 2.0, 2.0]
    health.note_success(2, 100.0, 200.0, 10)
    clock.seconds += 10
    health.note_failure(0)
    assert health.vitals()[1].rests_for_s == 1.0


def test_speed_is_measured_at_each_effort(table: LaneTable, clock: StillClock) -> None:
    health = LaneHealth(table, clock.monotonic)
    health.note_success(2, 30_000.0, 40_000.0, 100)
    ttft_ms = health.state().ttft_ms
    assert ttft_ms[0] == ttft_ms[1] < 1_000 < ttft_ms[2]


def test_all_efforts_of_a_model_find_one_prompt_cache(table: LaneTable, clock: StillClock) -> None:
    together = rows_that_share([lane.base_id for lane in table.lanes])
    caches = WarmCaches([PromptCache(True, 1_024, 300.0)] * len(table), clock.monotonic, together)
    caches.note_answer("c", 2, TokenUsage(4_000, 10))
    expected = caches.expected_tokens("c", 4_000)
    assert expected is not None
    assert expected.tolist() == [2_000.0] * 3
