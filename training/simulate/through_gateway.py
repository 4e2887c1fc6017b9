"""Sends the world's traffic through the real gateway.

Requests and feedback go over HTTP. Every night the gateway exports its logs; every morning it gets a new bundle.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from rich.table import Table

from training.simulate.bundle_arm import Learner
from training.simulate.corpus_server import CorpusServer
from training.simulate.gateway_process import GatewayProcess
from training.simulate.world import Floats, Ints, Mask, World


@dataclass(frozen=True, slots=True, eq=False)
class GatewayRun:
    """The outcomes of the real gateway's requests; arrays have one entry per request.

    Args:
        day: Day of the request.
        lane: Column of the lane that answered, among the world's lanes.
        reward: Grade of the answer, 0..1.
        cost_usd: Cost that the gateway reported.
        regret_usd: Expected regret of the answer, at the world's prices.
        is_explored: Whether the gateway reported an exploration.
        n_judged: Number of pieces of feedback that were sent.
        bundles: Names of the bundles that routed, by day.
    """

    day: Ints
    lane: Ints
    reward: Floats
    cost_usd: Floats
    regret_usd: Floats
    is_explored: Mask
    n_judged: int
    bundles: tuple[str, ...]

    def table(self) -> Table:
        """Return the days side by side."""
        shown = Table("day", "bundle", "requests", "explored", "mean grade", "USD", "regret, USD")
        for column in shown.columns[2:]:
            column.justify = "right"
        for number, bundle in enumerate(self.bundles):
            of_day = np.flatnonzero(self.day == number)
            shown.add_row(
                f"{number}",
                bundle,
                f"{len(of_day):,}",
                f"{self.is_explored[of_day].sum():,}",
                f"{self.reward[of_day].mean():.3f}",
                f"{self.cost_usd[of_day].sum():.4f}",
                f"{self.regret_usd[of_day].sum():.4f}",
            )
        return shown


class GatewayWorld:
    """Sends the world's traffic through a gateway.

    Args:
        world: World that sends the traffic. Only the order of its virtual clock counts: feedback comes as many
            requests late as fit into its delay.
        folder: Folder of the gateway.
        logs: Folder for its export.
    """

    def __init__(self, world: World, folder: Path, logs: Path) -> None:
        self._world, self._folder, self._logs = world, folder, logs
        n = world.scenario.n_requests
        self._lane, self._reward, self._cost = np.full(n, -1), np.zeros(n), np.zeros(n)
        self._is_explored = np.zeros(n, np.bool_)
        self._due: list[tuple[datetime, str, float]] = []
        self._n_judged = 0

    def run(
        self, start_bundle: Path, learner: Learner | None, advance: Callable[[], None] = lambda: None
    ) -> GatewayRun:
        """Run the scenario; `advance` is called after each day.

        Raises:
            SettingsError: The gateway did not start, or refused a request.
        """
        world, bundle, bundles = self._world, start_bundle, []
        regret = np.empty(world.scenario.n_requests)
        with CorpusServer(world) as upstream:
            for day in range(world.scenario.n_days):
                bundles.append(bundle.name)
                numbers = world.requests_of(day)
                with GatewayProcess(self._folder, world, day, bundle, upstream.base_url) as gateway:
                    for number in numbers:
                        self._ask(gateway, int(number), day)
                        self._judge(gateway, world.started_at[number])
                    self._judge(gateway, world.night_after(day))
                gateway.export(self._logs)
                rows = world.requests[numbers]
                utility = world.utilities(rows, day)
                regret[numbers] = np.nanmax(utility, axis=1) - utility[np.arange(len(rows)), self._lane[numbers]]
                if learner is not None:
                    bundle = learner.learn(day, datetime.now(UTC) + timedelta(minutes=1), bundle) or bundle
                advance()
        outcomes = (self._lane, self._reward, self._cost, regret, self._is_explored)
        return GatewayRun(world.day, *outcomes, self._n_judged, tuple(bundles))

    def _ask(self, gateway: GatewayProcess, number: int, day: int) -> None:
        world, row = self._world, int(self._world.requests[number])
        can_answer = world.can_answer(np.array([row]), day)[0]
        body = {
            "model": "smart-route",
            "models": [lane_id for lane_id, can in zip(world.lane_ids, can_answer, strict=True) if can],
            "messages": [{"role": "user", "content": world.corpus.prompts[row]}],
            "route": {"willingness_to_pay": world.scenario.worth_usd},
        }
        headers, answer = gateway.post("/v1/chat/completions", body)
        lane = world.lane_ids.index(headers["x-llmdeal-lane"])
        self._lane[number] = lane
        self._is_explored[number] = headers["x-llmdeal-reason"] == "explored"
        self._cost[number] = float(answer["usage"]["cost"])
        luck = world.luck[number]
        self._reward[number] = world.score[row, lane] * (luck.answer < world.kept_share(day)[lane])
        if luck.judged_after is not None:
            due_at = world.started_at[number] + luck.judged_after
            self._due.append((due_at, headers["x-llmdeal-request-id"], float(self._reward[number])))

    def _judge(self, gateway: GatewayProcess, now: datetime) -> None:
        """Send the feedback that is due."""
        waiting = []
        for due_at, request_id, value in self._due:
            if due_at > now:
                waiting.append((due_at, request_id, value))
                continue
            gateway.post("/v1/feedback", {"request_id": request_id, "metric_name": "score", "value": value})
            self._n_judged += 1
        self._due = waiting
