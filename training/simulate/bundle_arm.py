"""The product as an arm: the serving code asks a bundle, explores within its ceiling, and learns at night."""

import math
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np

from router.bundle import load_bundle
from router.context import Constraints, Preferences
from router.decision import Decision, decide
from router.expectation import LaneState
from router.lane_table import LaneTable
from router.onnx_quality_model import OnnxQualityModel
from router.policies.base import Policy
from router.policies.best_value import BestValue
from router.policies.exploring import ExplorationTerms, Exploring
from router.price_table import NUSD_PER_USD
from router.quality_model import Prediction
from router.reason import EXPLORED
from training.simulate.arms import Observations
from training.simulate.watched_lanes import NoWatch, Watch, WatchedLanes
from training.simulate.world import Floats, Ints, World

_SLICES = 20
"""One exploration may cost at most the ceiling divided by this number, as in the gateway."""


class Learner(Protocol):
    """Turns logs into a bundle."""

    def learn(self, day: int, until: datetime, champion: Path) -> Path | None:
        """Return a bundle fitted from the champion and all logs until then; None: the champion stays."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Routed:
    """One routed request.

    Args:
        number: Number of the request.
        decision: Decision of the router.
        prediction: Prediction of the quality model.
        lane: Column of the chosen lane among the world's lanes.
        router_version: Version of the bundle.
    """

    number: int
    decision: Decision
    prediction: Prediction
    lane: int
    router_version: str


class BundleArm:
    """Routes with a bundle; a learner may replace it at night.

    Args:
        name: Name of the arm in the plot.
        world: World that sends the traffic.
        bundle_folder: Folder of the first bundle.
        explores: Whether the arm explores, with the scenario's settings.
        learner: Learner that makes the next bundle; None: the first one stays.
        learns_online: Whether each grade moves the beliefs about the lanes at once, as with `[watch]`.
    """

    def __init__(
        self,
        name: str,
        world: World,
        bundle_folder: Path,
        explores: bool = False,
        learner: Learner | None = None,
        learns_online: bool = False,
    ) -> None:
        self.name = name
        self.bundle_folder = bundle_folder
        self.explored_usd = 0.0
        self.n_explored = 0
        self._world, self._learner = world, learner
        scenario = world.scenario
        self._base = BestValue(scenario.worth_usd)
        self._terms = ExplorationTerms(
            scenario.exploration_share, scenario.exploration_bar, scenario.exploration_lanes, scenario.worth_usd
        )
        self._ceiling_nusd = (
            int(scenario.exploration_ceiling_usd * NUSD_PER_USD) if explores and self._terms.share else 0
        )
        self._left_nusd = self._ceiling_nusd
        self._watch: Watch = WatchedLanes() if learns_online else NoWatch()
        self._load(bundle_folder)

    def probabilities(self, rows: Ints, day: int) -> Floats:
        """Decide on prompts without drawing a lane."""
        probabilities = np.zeros((len(rows), len(self._world.names)))
        table, place, policy = *self._table(day), self._policy()
        for index, row in enumerate(rows):
            decision = self._decide(int(row), day, table, policy, np.random.default_rng(0))
            probabilities[index, place] = decision.probabilities
        return probabilities

    def route(self, number: int, day: int, rng: np.random.Generator) -> Routed:
        """Decide on a request, draw a lane, and charge exploration to its ceiling."""
        row = int(self._world.requests[number])
        table, place = self._table(day)
        decision = self._decide(row, day, table, self._policy(), rng)
        if decision.reason is EXPLORED and decision.exploration_prices_usd is not None:
            price_usd = float(decision.exploration_prices_usd[decision.order[0]])
            self._left_nusd -= math.ceil(price_usd * NUSD_PER_USD)
            self.explored_usd += price_usd
            self.n_explored += 1
        version = self._quality_model.version
        self._watch.note(number, decision, version, self._world.started_at[number].timestamp())
        return Routed(number, decision, self._predict(row), int(place[decision.order[0]]), version)

    def add_grade(self, number: int, grade: float) -> None:
        """Learn from a new grade at once, as the gateway does from feedback."""
        self._watch.add_grade(number, grade)

    def learn(self, day: int, seen: Observations) -> None:
        """Replace the bundle by the one that the learner made from the logs."""
        if self._learner is None:
            return
        new_bundle = self._learner.learn(day, self._world.night_after(day), self.bundle_folder)
        if new_bundle is not None:
            self._load(new_bundle)

    def _load(self, folder: Path) -> None:
        bundle = load_bundle(folder)
        self.bundle_folder = folder
        self._prior, self._catalogue = bundle.ability_prior, bundle.catalogue
        self._quality_model = OnnxQualityModel(bundle)
        self._watch.begin(folder, bundle.version)
        self._predictions: dict[int, Prediction] = {}
        self._tables: dict[int, tuple[LaneTable, Ints]] = {}

    def _predict(self, row: int) -> Prediction:
        prediction = self._predictions.get(row)
        if prediction is None:
            prediction = self._predictions[row] = self._quality_model.predict(self._world.contexts[row])
        return prediction

    def _table(self, day: int) -> tuple[LaneTable, Ints]:
        if day not in self._tables:
            self._tables[day] = self._build_table(day)
        return self._tables[day]

    def _build_table(self, day: int) -> tuple[LaneTable, Ints]:
        lanes = self._world.lanes(day, self._prior)
        place = np.array([self._world.lane_ids.index(lane.lane_id) for lane in lanes], np.intp)
        return LaneTable.build(lanes, self._quality_model.trained_names, self._catalogue), place

    def _policy(self) -> Policy:
        left = min(self._left_nusd, self._ceiling_nusd // _SLICES)
        return Exploring(self._base, self._terms, left) if left > 0 else self._base

    def _decide(self, row: int, day: int, table: LaneTable, policy: Policy, rng: np.random.Generator) -> Decision:
        world = self._world
        can_answer = world.can_answer(np.array([row]), day)[0]
        pool = frozenset(lane_id for lane_id, can in zip(world.lane_ids, can_answer, strict=True) if can)
        constraints = Constraints(allowed_lanes=pool)  # like a caller's `models`
        preferences = Preferences(willingness_to_pay_usd=world.scenario.worth_usd)
        state = LaneState.unmeasured(table)
        shift = self._watch.shifts(table, self._quality_model.version)
        state = state if shift is None else replace(state, quality_shift=shift)
        return decide(table, world.contexts[row], self._predict(row), state, policy, rng, constraints, preferences)
