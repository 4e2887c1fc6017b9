"""All checks of one answer, in order. Pure: an answer goes in, findings come out."""

from serve.outcome_checks.answer_content import AnswerContent, ToolCall, read_answer_content
from serve.outcome_checks.conversation_end import ConversationEnd, read_conversation_end, read_tools
from serve.outcome_checks.finished_answer import FinishedAnswer
from serve.outcome_checks.follow_ups import Finding, FollowUps
from serve.outcome_checks.refusals import begins_as_refusal
from serve.outcome_checks.schemas import Schemas

_FEWEST_TOKENS = 64
"""A caller who allows fewer tokens wants the beginning only, so a cut answer is no problem."""


class Checks:
    """Checks one answer after the other, on one thread. It remembers schemas and the last answers."""

    def __init__(self) -> None:
        self._schemas = Schemas()
        self._follow_ups = FollowUps()

    def findings(self, finished: FinishedAnswer) -> list[Finding]:
        """Return the findings about this answer, and about the one before it in its conversation.

        Raises:
            ValueError: The answer cannot be read.
        """
        content = read_answer_content(
            finished.dialect, finished.raw, finished.finish_reason, finished.quirks, finished.text
        )
        end = read_conversation_end(finished.inquiry)
        findings = self._of_answer(finished, content, end)
        if end is not None:
            findings += self._follow_ups.note(finished, end, content.text)
        return findings

    def _of_answer(
        self, finished: FinishedAnswer, content: AnswerContent, end: ConversationEnd | None
    ) -> list[Finding]:
        values: list[tuple[str, bool | None]] = []
        if content.calls:
            values.append(("tool_arguments_valid", self._are_calls_valid(finished, content.calls)))
        elif content.text or content.is_refused:
            values.append(("refusal", content.is_refused or begins_as_refusal(content.text)))
            if end is not None and end.wants_json:
                values.append(("schema_valid", self._schemas.fits(content.text, end.schema)))
        if content.is_cut and (finished.inquiry.context.max_output_tokens or _FEWEST_TOKENS) >= _FEWEST_TOKENS:
            values.append(("truncated", True))
        return [(finished.request_id, metric_name, float(value)) for metric_name, value in values if value is not None]

    def _are_calls_valid(self, finished: FinishedAnswer, calls: tuple[ToolCall, ...]) -> bool:
        tools = read_tools(finished.inquiry)
        if not tools:  # they cannot be read; arguments must still be an object
            return all(self._schemas.fits(call.arguments, None) for call in calls)
        return all(
            call.name in tools and self._schemas.fits(call.arguments or "{}", tools[call.name]) is not False
            for call in calls
        )
