"""A shadow: a bundle that decides on live requests without effect on them. Its decisions are stored for comparison."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from sqlalchemy.exc import DBAPIError

from router.context import Constraints, Preferences, RouteContext
from router.decision import decide
from router.errors import RouterError
from router.expectation import LaneState
from router.policies.base import Policy
from router.reason import EXPLORED
from serve.background.worker_thread import WorkerThread
from serve.bundles.staging import Standing
from serve.lanes.directory import LaneDirectory
from serve.routing.call import Call
from serve.routing.shadow_repository import ShadowDecision, ShadowRepository

QUEUE_REQUESTS = 512
"""Most requests that wait for the shadow's thread. When the thread is too slow, the rest is dropped and counted."""
_BATCH = 256
_FLUSH_S = 1.0
_KEEP_DAYS = 30
_log = logging.getLogger("llmdeal.bundles")
ShadowOutcome = Literal["scored", "dropped", "failed"]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the shadow needs of a request. It is kept small, because it may wait."""

    request_id: str
    at: datetime
    directory: LaneDirectory
    context: RouteContext
    state: LaneState
    constraints: Constraints
    preferences: Preferences
    policy: Policy
    champion_version: str
    champion_row: int
    champion_quality: float
    champion_cost_usd: float


class Shadow:
    """Scores requests on a thread of its own, which starts with the first request.

    Args:
        standing: The bundle, and the share of requests that it is asked about.
        directories: Account -> its lanes as this bundle sees them; replaced when lanes change.
        repository: Store of the shadow's decisions.
        now: Clock; returns the present time.
        on_outcome: Called with the outcome of each request, on any thread.
        seed: Seed of the random generator that policies draw with.
    """

    def __init__(
        self,
        standing: Standing,
        directories: Mapping[str, LaneDirectory],
        repository: ShadowRepository,
        now: Callable[[], datetime],
        on_outcome: Callable[[ShadowOutcome], None],
        seed: int = 0,
    ) -> None:
        self.standing = standing
        self.directories = directories
        self._repository = repository
        self._now = now
        self._on_outcome = on_outcome
        self._rng = np.random.default_rng(seed)  # for the thread
        self._lottery = np.random.default_rng(seed)  # for the event loop: two threads cannot share a generator
        self._queue: queue.Queue[_Asked | None] = queue.Queue(QUEUE_REQUESTS)
        self._is_over = threading.Event()
        self._thread = WorkerThread("llmdeal-shadow", self._run)

    def stop(self) -> None:
        """Take no more requests. Those that wait are still scored and stored, in the background."""
        self._is_over.set()

    async def close(self) -> None:
        """Stop, and wait until all decisions are stored."""
        self.stop()
        await self._thread.finish()

    async def follow(self) -> None:
        """Watch the thread until it has stopped. If an error ended it, the next call starts it again.

        Raises:
            RuntimeError: An error ended the thread.
        """
        await self._thread.watch()

    def use(self, directories: Mapping[str, LaneDirectory]) -> None:
        """Score on other lanes from the next request on."""
        self.directories = directories

    def offer(self, call: Call, state: LaneState, constraints: Constraints) -> None:
        """Take a decided request, if it is in the share and there is room. Takes microseconds, on the event loop.

        Args:
            call: The request and the decision on it.
            state, constraints: State of the lanes, and constraints, that the decision was based on.
        """
        directory = self.directories.get(call.holder.account)
        is_pinned = constraints.pinned_lanes is not None  # then there is nothing to choose between bundles
        if (
            directory is None
            or directory.connections is not call.directory.connections
            or is_pinned
            or not self._draws()
        ):
            return
        decision = call.decision
        best = 1 if decision.reason is EXPLORED else 0  # a lane that is tried to learn from stands before the best one
        row = decision.order[best]
        if not self._thread.was_started:
            self._thread.start()
        asked = _Asked(
            request_id=call.request_id,
            at=call.started_at,
            directory=directory,
            context=call.context,
            state=state,
            constraints=constraints,
            preferences=call.routing.preferences,
            policy=call.routing.policy,
            champion_version=call.router_version,
            champion_row=row,
            champion_quality=float(decision.expectation.quality[row]),
            champion_cost_usd=float(decision.expectation.cost_usd[row]),
        )
        try:
            self._queue.put_nowait(asked)
        except queue.Full:
            self._on_outcome("dropped")

    def _draws(self) -> bool:
        return self.standing.share >= 1 or float(self._lottery.random()) < self.standing.share

    def _run(self) -> None:
        scored: list[ShadowDecision] = []
        flushed_at = time.monotonic()
        self._store([])
        while not (self._is_over.is_set() and self._queue.empty()):
            try:
                asked = self._queue.get(timeout=_FLUSH_S / 4)
            except queue.Empty:
                asked = None
            if asked is not None and (decision := self._scored(asked)) is not None:
                scored.append(decision)
            if scored and (len(scored) >= _BATCH or time.monotonic() - flushed_at >= _FLUSH_S):
                self._store(scored)
                scored, flushed_at = [], time.monotonic()
        if scored:
            self._store(scored)

    def _scored(self, asked: _Asked) -> ShadowDecision | None:
        directory = asked.directory
        began_ns = time.thread_time_ns()
        try:
            prediction = directory.quality_model.predict(asked.context)
            table, bar = directory.open_to(asked.constraints)
            state = directory.with_shifts(asked.state, prediction.quality)
            decision = decide(
                table,
                asked.context,
                prediction,
                state.of_first(len(table)),
                asked.policy,
                self._rng,
                asked.constraints,
                asked.preferences,
                bar,
            )
        except RouterError as error:
            _log.info("the shadow %s has no answer to %s: %s", self.standing.version, asked.request_id, error)
            self._on_outcome("failed")
            return None
        decision_us = (time.thread_time_ns() - began_ns) / 1_000
        row, expected = decision.order[0], decision.expectation
        self._on_outcome("scored")
        return ShadowDecision(
            request_id=asked.request_id,
            router_version=self.standing.version,
            at=asked.at,
            champion_version=asked.champion_version,
            champion_lane_id=directory.table.lane_ids[asked.champion_row],
            lane_id=directory.table.lane_ids[row],
            champion_quality=asked.champion_quality,
            champion_cost_usd=asked.champion_cost_usd,
            quality=float(expected.quality[row]),
            cost_usd=float(expected.cost_usd[row]),
            quality_of_champions_lane=float(expected.quality[asked.champion_row]),
            decision_us=decision_us,
        )

    def _store(self, scored: list[ShadowDecision]) -> None:
        """Store decisions; an empty list deletes old ones."""
        try:
            if scored:
                self._repository.add(scored)
            else:
                self._repository.forget(self._now(), _KEEP_DAYS)
        except DBAPIError as error:
            _log.error("%d decisions of the shadow are lost: %s", len(scored), type(error.orig).__name__)
