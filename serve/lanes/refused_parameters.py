"""Parameters that models were seen to refuse: such lanes are passed over for a while when a request has them.

The memory is one worker's, and shared by all accounts: what a model at a provider takes does not depend on the key.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from router.arrays import Mask
from router.lane import Lane
from router.lane_table import LaneTable

REMEMBERED_S = 600.0
_MOST_REMEMBERED = 1_000
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SAME_AS = {
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "max_new_tokens": "max_tokens",
    "stop_sequences": "stop",
    "reasoning_effort": "reasoning",
    "thinking": "reasoning",
    "thinking_config": "reasoning",
    "output_config": "reasoning",
    "response_schema": "response_format",
    "response_json_schema": "response_format",
    "response_mime_type": "response_format",
    "text": "response_format",
    "tool_config": "tool_choice",
}


@dataclass(frozen=True, slots=True)
class RefusedParameter:
    """One parameter that a model refused.

    Args:
        provider: Id of the provider.
        upstream_model: The provider's id of the model.
        parameter: Name of the parameter.
        passed_over_for_s: Seconds for which requests with the parameter still pass the model over.
    """

    provider: str
    upstream_model: str
    parameter: str
    passed_over_for_s: float


class RefusedParameters:
    """Remembers which model refused which parameter, for ten minutes each.

    Args:
        monotonic: Clock, in seconds that only go forward.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until: dict[tuple[str, str, str], float] = {}

    def note(self, lane: Lane, parameter: str) -> None:
        """Remember that the model of this lane refused a parameter."""
        key = (lane.provider, lane.upstream_model, parameter_name(parameter))
        if key not in self._until and len(self._until) >= _MOST_REMEMBERED:
            del self._until[next(iter(self._until))]
        self._until[key] = self._monotonic() + REMEMBERED_S

    def mask(self, table: LaneTable, given: Collection[str]) -> Mask | None:
        """Return which lanes refuse one of these parameters, shape (n_lanes,); None: no lane does, as far as known.

        Args:
            table: The lanes.
            given: Names of the fields of a request's body.
        """
        if not self._until:
            return None
        names = {parameter_name(name) for name in given}
        models = {(entry.provider, entry.upstream_model) for entry in self.entries() if entry.parameter in names}
        if not models:
            return None
        lanes = ((lane.provider, lane.upstream_model) in models for lane in table.lanes)
        return np.fromiter(lanes, dtype=np.bool_, count=len(table))

    def entries(self) -> list[RefusedParameter]:
        """Return what is remembered, the oldest first; what is over is forgotten."""
        now = self._monotonic()
        for key in [key for key, until in self._until.items() if until <= now]:
            del self._until[key]
        return [RefusedParameter(*key, until - now) for key, until in self._until.items()]


def parameter_name(name: str) -> str:
    """Return one name for a parameter in all dialects: `maxOutputTokens` is `max_tokens`."""
    snake = _CAPITAL.sub("_", name).lower()
    return _SAME_AS.get(snake, snake)
