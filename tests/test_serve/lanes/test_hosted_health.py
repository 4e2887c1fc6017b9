"""Hosted lanes share the operator's health, whatever the rows are called here and there."""

from dataclasses import replace

import pytest
from any_lane import LANE

from router.lane_table import LaneTable
from serve.lanes.health import LaneHealth
from serve.lanes.hosted_health import HostedLaneHealth
from serve.lanes.rate_limit_headers import RateLimits, Window
from serve.upstream.upstream_terms import NO_TERMS

OWN, BOX, SIDE = (replace(LANE, lane_id=f"{name}/m", provider=name, account=name) for name in ("own", "box", "side"))


class Seconds:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_limits_failures_and_speeds_of_hosted_lanes_are_the_operators_and_own_ones_are_not() -> None:
    seconds = Seconds()
    operators = LaneTable.build([SIDE, BOX], ())
    host = LaneHealth(operators, seconds)
    table = LaneTable.build([BOX, OWN], ())
    health, neighbour = (
        HostedLaneHealth(table, seconds, [NO_TERMS] * 2, [True, False], lambda: (operators, host)) for _ in range(2)
    )
    assert not health.state().is_cooling.any()
    health.note_limit(0, 60.0)
    health.note_failure(1)
    assert health.state().is_cooling.tolist() == [True, True]
    assert neighbour.state().is_cooling.tolist() == [True, False]
    assert host.state().is_cooling.tolist() == [False, True]
    assert not neighbour.may_be_asked(0, 1.0)
    assert neighbour.seconds_until_any() == 60.0
    seconds.now += 61
    for _ in range(40):
        neighbour.note_success(0, ttft_ms=77.0, total_ms=100.0, completion_tokens=1)
    seconds.now += 1
    assert host.state().ttft_ms[1] == health.state().ttft_ms[0] == pytest.approx(77.0, rel=0.1)
    health.note_sent(0, 100)
    health.note_answered(0, 100, RateLimits(None, Window(1_000, 40, 600.0)))
    assert neighbour.state().tokens_left is not None
    assert neighbour.vitals()[0] == host.vitals()[1]
    assert not neighbour.may_be_asked(0, 500.0)
    assert neighbour.may_be_asked(1, 500.0)


def test_after_the_operators_lanes_changed_hosted_ones_are_found_where_they_stand_then() -> None:
    seconds = Seconds()
    tables = [LaneTable.build([SIDE, BOX], ()), LaneTable.build([BOX], ())]
    hosts = [(table, LaneHealth(table, seconds)) for table in tables]
    table = LaneTable.build([OWN, BOX], ())
    health = HostedLaneHealth(table, seconds, [NO_TERMS] * 2, [False, True], lambda: hosts[0])
    health.note_failure(1)
    assert health.state().is_cooling.tolist() == [False, True]
    hosts.pop(0)
    assert health.state().is_cooling.tolist() == [False, False]
    health.note_refused_credentials(1)
    assert hosts[0][1].state().is_cooling.tolist() == [True]


def test_what_own_lanes_taught_is_taken_over_when_hosted_ones_come_and_go() -> None:
    seconds = Seconds()
    operators = LaneTable.build([BOX], ())
    host = LaneHealth(operators, seconds)
    before, after = LaneTable.build([OWN], ()), LaneTable.build([BOX, OWN], ())
    alone = LaneHealth(before, seconds)
    alone.note_failure(0)
    hosted = HostedLaneHealth(after, seconds, [NO_TERMS] * 2, [True, False], lambda: (operators, host))
    hosted.own.adopt(alone.own, [(1, 0)])
    assert hosted.state().is_cooling.tolist() == [False, True]
    hosted.note_failure(0)
    alone_again = LaneHealth(before, seconds)
    alone_again.own.adopt(hosted.own, [(0, 1)])
    assert alone_again.state().is_cooling.tolist() == [True]
