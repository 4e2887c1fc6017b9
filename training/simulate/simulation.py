"""Runs arms through a world, night by night, and keeps each arm's regret against an oracle."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush

import numpy as np

from training.simulate.arms import Arm, Observations
from training.simulate.bundle_arm import BundleArm, Routed
from training.simulate.export_writer import Judgement, TelemetryFolder
from training.simulate.world import Floats, Ints, World


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """The outcomes of an arm's own requests; every array has one entry per request.

    Args:
        lane: Column of the lane that answered, among the world's lanes.
        reward: Grade of the answer, 0..1.
        cost_usd: Cost of the answer.
        judged_at: Time at which the grade was received; None: never.
        due: Heap of (time, number) of the grades that are still to come.
    """

    lane: Ints
    reward: Floats
    cost_usd: Floats
    judged_at: list[datetime | None] = field(default_factory=list)
    due: list[tuple[datetime, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class ArmRun:
    """The results of an arm.

    Args:
        name: Name of the arm.
        regret_usd: Shape (days, held out); expected regret on each held-out prompt on each day.
        quality: Shape (days,); mean grade on held-out prompts.
        cost_usd: Shape (days,); mean cost on held-out prompts.
        traffic_regret_usd: Shape (n_requests,); expected regret of its own requests.
        bundles: Names of the bundles that routed, by day; empty for an arm without bundles.
    """

    name: str
    regret_usd: Floats
    quality: Floats
    cost_usd: Floats
    traffic_regret_usd: Floats
    bundles: list[str] = field(default_factory=list)

    def cumulative_usd(self, requests_a_day: Floats) -> Floats:
        """Return the regret summed up to the end of each day, shape (days,).

        It is computed as if each day's requests were like the held-out prompts.
        """
        return np.cumsum(requests_a_day * self.regret_usd.mean(axis=1))

    def cumulative_std_usd(self, requests_a_day: Floats) -> Floats:
        """Return the standard error of `cumulative_usd` over the choice of held-out prompts, shape (days,)."""
        by_prompt = np.cumsum(requests_a_day[:, None] * self.regret_usd, axis=0)
        return np.asarray(by_prompt.std(axis=1, ddof=1) / np.sqrt(by_prompt.shape[1]))

    def less_than(self, other: "ArmRun", requests_a_day: Floats, days: slice) -> tuple[float, float]:
        """Return how much less its regret is than another arm's on some days, USD, and the standard error.

        The arms are compared prompt by prompt.
        """
        differs = other.regret_usd[days] - self.regret_usd[days]
        by_prompt = (requests_a_day[days, None] * differs).sum(axis=0)
        return float(by_prompt.mean()), float(by_prompt.std(ddof=1) / np.sqrt(len(by_prompt)))


def run_arm(
    world: World, arm: Arm, telemetry: TelemetryFolder | None = None, advance: Callable[[], None] = lambda: None
) -> ArmRun:
    """Send the world's traffic through an arm.

    Args:
        world: World that sends the traffic.
        arm: Arm that routes.
        telemetry: Folder for nightly exports of a bundle's decisions and the feedback; None: no exports.
        advance: Function to call after each day.
    """
    scenario, n_days = world.scenario, world.scenario.n_days
    rng = np.random.default_rng([scenario.seed, 2])
    held_out = world.split.held_out
    regret, quality, cost = np.empty((n_days, len(held_out))), np.empty(n_days), np.empty(n_days)
    traffic = Traffic(np.full(scenario.n_requests, -1), np.zeros(scenario.n_requests), np.zeros(scenario.n_requests))
    given_up = np.empty(scenario.n_requests)
    bundles = []
    for day in range(n_days):
        if isinstance(arm, BundleArm):
            bundles.append(arm.bundle_folder.name)
        chances = arm.probabilities(held_out, day)
        regret[day] = _regret(world, held_out, day, chances)
        graded = np.nan_to_num(world.score[held_out]) * world.kept_share(day)
        quality[day] = (chances * graded).sum(axis=1).mean()
        cost[day] = (chances * world.costs(held_out, day)).sum(axis=1).mean()
        numbers = world.requests_of(day)
        routed = _send(world, arm, day, numbers, traffic, rng)
        rows = world.requests[numbers]
        utility = world.utilities(rows, day)
        given_up[numbers] = np.nanmax(utility, axis=1) - utility[np.arange(len(rows)), traffic.lane[numbers]]
        if telemetry is not None:
            telemetry.add_night(world, routed, traffic.reward, _judged_on(world, traffic, day), day)
        arm.learn(day, _seen_until(world, traffic, world.night_after(day)))
        advance()
    return ArmRun(arm.name, regret, quality, cost, given_up, bundles)


def requests_a_day(world: World) -> Floats:
    """Return the number of requests of each day, shape (days,)."""
    return np.bincount(world.day, minlength=world.scenario.n_days).astype(np.float64)


def _regret(world: World, rows: Ints, day: int, chances: Floats) -> Floats:
    utility = world.utilities(rows, day)
    return np.asarray(np.nanmax(utility, axis=1) - (chances * np.nan_to_num(utility)).sum(axis=1))


def _send(
    world: World, arm: Arm, day: int, numbers: Ints, traffic: Traffic, rng: np.random.Generator
) -> Sequence[Routed]:
    """Draw lanes for a day's requests and record the outcomes."""
    rows = world.requests[numbers]
    routed: Sequence[Routed] = ()
    if isinstance(arm, BundleArm):
        routed = [_route(world, arm, int(number), day, traffic, rng) for number in numbers]
        lane = np.array([one.lane for one in routed], np.intp)
    else:
        chances = arm.probabilities(rows, day).cumsum(axis=1)
        lane = np.minimum((chances < rng.random((len(rows), 1)) * chances[:, -1:]).sum(axis=1), chances.shape[1] - 1)
        for number, one in zip(numbers, lane, strict=True):
            _answer(world, int(number), int(one), day, traffic)
    traffic.cost_usd[numbers] = world.costs(rows, day)[np.arange(len(rows)), lane]
    return routed


def _route(world: World, arm: BundleArm, number: int, day: int, traffic: Traffic, rng: np.random.Generator) -> Routed:
    """Give an arm all grades until now, and let it route a request."""
    now = world.started_at[number]
    while traffic.due and traffic.due[0][0] <= now:
        _, judged = heappop(traffic.due)
        arm.add_grade(judged, float(traffic.reward[judged]))
    routed = arm.route(number, day, rng)
    _answer(world, number, routed.lane, day, traffic)
    return routed


def _answer(world: World, number: int, lane: int, day: int, traffic: Traffic) -> None:
    """Record the grade of an answer, and the time at which the grade will be received.

    Luck belongs to the request, so it is the same for every arm.
    """
    row, luck = world.requests[number], world.luck[number]
    traffic.lane[number] = lane
    traffic.reward[number] = world.score[row, lane] * (luck.answer < world.kept_share(day)[lane])
    judged_at = None if luck.judged_after is None else world.started_at[number] + luck.judged_after
    traffic.judged_at.append(judged_at)
    if judged_at is not None:
        heappush(traffic.due, (judged_at, number))


def _judged_on(world: World, traffic: Traffic, day: int) -> list[Judgement]:
    """Return the feedback received on a day, for requests of any day."""
    begin, end = world.night_after(day - 1), world.night_after(day)
    return [
        Judgement(number, float(traffic.reward[number]), judged_at)
        for number, judged_at in enumerate(traffic.judged_at)
        if judged_at is not None and begin <= judged_at < end
    ]


def _seen_until(world: World, traffic: Traffic, night: datetime) -> Observations:
    numbers = np.array(
        [number for number, judged_at in enumerate(traffic.judged_at) if judged_at is not None and judged_at < night],
        np.intp,
    )
    rows, lane = world.requests[numbers], traffic.lane[numbers]
    return Observations(rows, lane, traffic.reward[numbers], world.tokens[rows, lane])
