"""All checks of one answer, in their order. No thread, no clock, no database: an answer in, what was found out."""

from serve.outcome_checks.asked import Asked, read_asked, read_tools
from serve.outcome_checks.finished_answer import FinishedAnswer
from serve.outcome_checks.follow_ups import Finding, FollowUps
from serve.outcome_checks.refusals import begins_as_refusal
from serve.outcome_checks.said import Said, SaidCall, read_said
from serve.outcome_checks.schemas import Schemas

_FEWEST_TOKENS = 64
"""A caller who allows fewer wants the beginning only."""


class Checks:
    """Looks at one answer after the other. For one thread: it remembers schemas, and what was answered last."""

    def __init__(self) -> None:
        self._schemas = Schemas()
        self._follow_ups = FollowUps()

    def findings(self, finished: FinishedAnswer) -> list[Finding]:
        """Return what is found of this answer, and of the one before it in its conversation.

        Raises:
            ValueError: The answer cannot be read.
        """
        said = read_said(finished.dialect, finished.raw, finished.finish_reason, finished.quirks, finished.text)
        asked = read_asked(finished.inquiry)
        found = self._of_answer(finished, said, asked)
        if asked is not None:
            found += self._follow_ups.note(finished, asked, said.text)
        return found

    def _of_answer(self, finished: FinishedAnswer, said: Said, asked: Asked | None) -> list[Finding]:
        found: list[tuple[str, bool | None]] = []
        if said.calls:
            found.append(("tool_arguments_valid", self._are_calls_valid(finished, said.calls)))
        elif said.text or said.is_refused:
            found.append(("refusal", said.is_refused or begins_as_refusal(said.text)))
            if asked is not None and asked.wants_json:
                found.append(("schema_valid", self._schemas.fits(said.text, asked.schema)))
        if said.is_cut and (finished.inquiry.context.max_output_tokens or _FEWEST_TOKENS) >= _FEWEST_TOKENS:
            found.append(("truncated", True))
        return [(finished.request_id, metric_name, float(value)) for metric_name, value in found if value is not None]

    def _are_calls_valid(self, finished: FinishedAnswer, calls: tuple[SaidCall, ...]) -> bool:
        tools = read_tools(finished.inquiry)
        if not tools:  # they cannot be read: arguments must be an object all the same
            return all(self._schemas.fits(call.arguments, None) for call in calls)
        return all(
            call.name in tools and self._schemas.fits(call.arguments or "{}", tools[call.name]) is not False
            for call in calls
        )
