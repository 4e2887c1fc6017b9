"""Judges refusals by the table, and remembers the parameters that models refuse."""

from collections.abc import Collection
from dataclasses import replace

from router.lane import Lane
from serve.lanes.refused_keys import RefusedKeys
from serve.lanes.refused_parameters import RefusedParameters, parameter_name
from serve.proxy.verdict import Verdict, judge_refusal
from serve.upstream.refusals import NO_REFUSALS, ProviderError, RefusalTable


class RefusalJudge:
    """Judges what providers answer instead of an answer.

    Args:
        table: Table of refusals and their meanings.
        refused_parameters: Memory of refused parameters; None: they are not remembered.
        refused_keys: Memory of refused provider keys; None: they are not remembered.
    """

    def __init__(
        self,
        table: RefusalTable = NO_REFUSALS,
        refused_parameters: RefusedParameters | None = None,
        refused_keys: RefusedKeys | None = None,
    ) -> None:
        self._table = table
        self._refused_parameters = refused_parameters
        self._refused_keys = refused_keys

    def note_key(self, owner: str, lane: Lane, verdict: Verdict, message: str) -> None:
        """Remember the provider key of a lane, if the verdict is about it."""
        if self._refused_keys is not None and verdict.rest == "credentials":
            self._refused_keys.note(owner, lane, verdict.code, message)

    def note_answer(self, owner: str, lane: Lane) -> None:
        """Note that the provider key of a lane works."""
        if self._refused_keys is not None:
            self._refused_keys.forget(owner, lane)

    def judge(self, status: int, error: ProviderError, lane: Lane, given: Collection[str]) -> Verdict:
        """Return the verdict on a refusal. A parameter of the caller's that the lane refuses is remembered.

        A parameter that the gateway added is not the caller's fault, so the lane rests.

        Args:
            status: HTTP status, at least 400 or a redirect.
            error: Content of the error body.
            lane: Lane that refused.
            given: Names of the fields of the caller's body.
        """
        return self._noted(judge_refusal(status, error, lane.provider, self._table), lane, given)

    def judge_inside(
        self, status: int | None, error: ProviderError, lane: Lane, given: Collection[str]
    ) -> Verdict | None:
        """Return the verdict on an error that came with status 200; None: the table knows nothing about it.

        Args:
            status: Status that the error itself names; None: it names none.
            error: Content of the error body.
            lane: Lane that refused.
            given: Names of the fields of the caller's body.
        """
        if status == 429 or self._table.meaning_of(lane.provider, status or 0, error) is not None:
            return self.judge(status or 0, error, lane, given)
        return None

    def _noted(self, verdict: Verdict, lane: Lane, given: Collection[str]) -> Verdict:
        if verdict.parameter is None:
            return verdict
        refused = parameter_name(verdict.parameter)
        parameter = next((name for name in given if parameter_name(name) == refused), None)
        if parameter is None:
            return replace(verdict, rest="lane", is_callers_fault=False, parameter=None)
        if self._refused_parameters is not None:
            self._refused_parameters.note(lane, parameter)
        return replace(verdict, parameter=parameter)
