"""Asks quality models about the requests of the same moment, one right after the other.

A model's weights fill a good part of a processor core's cache. So does the code of all else that a request needs. A
request that goes its whole way alone waits for memory at every step. Requests that take a step together wait once, and
they stay together afterwards. This is cohort scheduling: Larus and Parkes, "Using Cohort Scheduling to Enhance Server
Performance", USENIX Annual Technical Conference, 2002.

No request waits for others that do not come: the waiting ends with a turn of the event loop that brings no new request.
"""

import asyncio
import logging
from collections import deque

import numpy as np

from router.context import RouteContext
from router.errors import PredictionError
from router.quality_model import Prediction, QualityModel
from router.reason import ROUTER_UNAVAILABLE, Reason

MOST_AT_ONCE = 16
"""Most predictions before the event loop goes on. They take one or two milliseconds, in which no stream moves."""

_MOST_TURNS = 4

Belief = tuple[Prediction, Reason | None]
"""A prediction and None, or a stand-in for it and the reason why there is no prediction."""

_Waiting = tuple[QualityModel, RouteContext, asyncio.Future[Belief]]
_log = logging.getLogger("llmdeal.routing")


class PredictionQueue:
    """Queue of the requests that wait for a prediction, for one event loop."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._n_seen = 1
        self._turns = 0

    async def predict(self, quality_model: QualityModel, context: RouteContext) -> Belief:
        """Return the model's prediction for a request. If the model fails, return a stand-in with the reason.

        Args:
            quality_model: Quality model of the caller's lanes.
            context: The request.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Belief] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._take_turn)
        self._waiting.append((quality_model, context, answer))
        return await answer

    def _take_turn(self) -> None:
        """Predict for the waiting requests, unless the last turn brought new ones: the next turn may bring more."""
        n_waiting = len(self._waiting)
        if self._n_seen < n_waiting < MOST_AT_ONCE and self._turns < _MOST_TURNS:
            self._turns += 1
        else:
            self._turns = 0
            for _ in range(min(n_waiting, MOST_AT_ONCE)):
                _answer(*self._waiting.popleft())
        self._n_seen = max(len(self._waiting), 1)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._take_turn)


def _answer(quality_model: QualityModel, context: RouteContext, answer: asyncio.Future[Belief]) -> None:
    if answer.cancelled():  # the caller has gone
        return
    try:
        answer.set_result(_believe(quality_model, context))
    except Exception as defect:  # fails this request alone, not those behind it in the queue
        answer.set_exception(defect)


def _believe(quality_model: QualityModel, context: RouteContext) -> Belief:
    """Return the model's prediction. If the model fails, return equal beliefs about all lanes, with the reason."""
    try:
        return quality_model.predict(context), None
    except PredictionError as error:  # the request is still answered
        _log.error("lanes are ranked by cost alone: %s", error)
        n = len(quality_model.trained_names)
        level = np.full(n, 0.5, dtype=np.float32)
        nothing = np.empty(0, dtype=np.float32)
        prediction = Prediction(level, level, np.full(n, 250, dtype=np.float32), 0.0, 250.0, nothing)
        return prediction, ROUTER_UNAVAILABLE
