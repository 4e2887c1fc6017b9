"""Compares the next request of a conversation with the answer before: was the same asked again, how much was edited.

Each worker keeps sketches, not texts, of the last answer of a few thousand conversations. A conversation whose next
request reaches another worker is not followed.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from serve.outcome_checks.conversation_end import ConversationEnd
from serve.outcome_checks.finished_answer import FinishedAnswer
from serve.outcome_checks.sketch import Sketch

Finding = tuple[str, str, float]
"""Request, metric, value."""

_MOST_CONVERSATIONS: Final = 4_096
_MOST_QUESTIONS: Final = 8_192
_SAME_QUESTION: Final = 0.6
"""Least likeness of two questions that count as the same in other words. Texts on one subject rarely share a fourth of
their runs."""
_SOONEST_S: Final = 2.0
"""A person reads the answer first; an earlier request is a program's retry, or one of several samples."""
_LATEST_S: Final = 900.0
_MOST_TIMES: Final = 3
"""A question that comes more often comes from a program."""
_SHORTEST_ANSWER: Final = 40
"""Characters; a shorter answer is not edited but replaced."""


@dataclass(frozen=True, slots=True)
class _LastAnswer:
    request_id: str
    n_turns: int
    question: Sketch | None
    answer: Sketch | None
    answered: float
    n_asked_again: int = 0


class FollowUps:
    """Remembers the last answers and compares requests with them, on one thread."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, _LastAnswer] = OrderedDict()
        self._questions: OrderedDict[tuple[tuple[str, str], bytes], _LastAnswer] = OrderedDict()

    def note(self, finished: FinishedAnswer, end: ConversationEnd, answer_text: str) -> list[Finding]:
        """Return the findings about an earlier answer, and remember this one."""
        before = self._answers.pop(finished.conversation_id, None)
        n_turns = finished.inquiry.context.n_turns
        question = Sketch.of(end.question) if end.question else None
        findings: list[Finding] = []
        n_asked_again = 0
        if before is not None:
            if question is None and n_turns > before.n_turns:
                question = before.question  # the result of a tool, on the way to the same answer
            elif question is not None:
                is_same = before.question is not None and question.likeness(before.question) >= _SAME_QUESTION
                n_asked_again = before.n_asked_again + 1 if is_same else 0
                findings += _asked_again(before, finished, is_same=is_same, is_later=n_turns > before.n_turns)
                findings += _edited(before, end)
        elif question is not None:
            findings += self._asked_elsewhere(finished, question)
        answer = Sketch.of(answer_text) if len(answer_text) >= _SHORTEST_ANSWER else None
        last = _LastAnswer(finished.request_id, n_turns, question, answer, finished.answered, n_asked_again)
        self._remember(finished, last, is_question=end.question is not None)
        return findings

    def _asked_elsewhere(self, finished: FinishedAnswer, question: Sketch) -> list[Finding]:
        """Return the finding for a question that the virtual key asked before in another conversation, word for word.

        Likeness is not enough here, because prompts are written from templates.
        """
        before = self._questions.get((finished.asker, question.digest))
        if before is None:
            return []
        self._questions[finished.asker, question.digest] = replace(before, n_asked_again=before.n_asked_again + 1)
        return _asked_again(before, finished, is_same=True, is_later=False)

    def _remember(self, finished: FinishedAnswer, last: _LastAnswer, *, is_question: bool) -> None:
        self._answers[finished.conversation_id] = last
        if len(self._answers) > _MOST_CONVERSATIONS:
            self._answers.popitem(last=False)
        if is_question and last.question is not None:
            place = (finished.asker, last.question.digest)
            kept = self._questions.pop(place, None)
            n_asked_again = max(last.n_asked_again, 0 if kept is None else kept.n_asked_again)
            self._questions[place] = replace(last, n_asked_again=n_asked_again)
            if len(self._questions) > _MOST_QUESTIONS:
                self._questions.popitem(last=False)


def _asked_again(before: _LastAnswer, finished: FinishedAnswer, *, is_same: bool, is_later: bool) -> list[Finding]:
    waited_s = finished.asked - before.answered
    if is_same:
        is_a_persons = _SOONEST_S <= waited_s <= _LATEST_S and before.n_asked_again < _MOST_TIMES
        return [(before.request_id, "asked_again", 1.0)] if is_a_persons else []
    return [(before.request_id, "asked_again", 0.0)] if is_later and waited_s >= 0 else []


def _edited(before: _LastAnswer, end: ConversationEnd) -> list[Finding]:
    if before.answer is None or end.previous_answer is None or len(end.previous_answer) < _SHORTEST_ANSWER:
        return []
    likeness = before.answer.likeness(Sketch.of(end.previous_answer))
    if likeness < 0.05:
        return []  # a different answer: the caller kept one of several, or the conversation went another way
    return [(before.request_id, "edited_share", 1 - 2 * likeness / (1 + likeness))]
