"""What the next request of a conversation says of the answer before: whether the same was asked again, and how much of it was edited.

Kept are sketches, no text, of the last answer of a few thousand conversations, in this process: a conversation whose next request
reaches another worker is not followed.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from serve.outcome_checks.asked import Asked
from serve.outcome_checks.finished_answer import FinishedAnswer
from serve.outcome_checks.sketch import Sketch

Finding = tuple[str, str, float]
"""Request, metric, value."""

_MOST_CONVERSATIONS: Final = 4_096
_MOST_QUESTIONS: Final = 8_192
_SAME_QUESTION: Final = 0.6
"""Likeness at which a question is the same in other words; texts on the same subject rarely share a fourth of their runs."""
_SOONEST_S: Final = 2.0
"""People read first; what comes sooner is a program's second try, or one of several samples."""
_LATEST_S: Final = 900.0
_MOST_TIMES: Final = 3
"""What is asked more often is asked by a program."""
_SHORTEST_ANSWER: Final = 40
"""Characters; shorter ones are not edited but replaced."""


@dataclass(frozen=True, slots=True)
class _LastAnswer:
    request_id: str
    n_turns: int
    question: Sketch | None
    answer: Sketch | None
    answered: float
    n_asked_again: int = 0


class FollowUps:
    """See the module's text. For one thread."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, _LastAnswer] = OrderedDict()
        self._questions: OrderedDict[tuple[tuple[str, str], bytes], _LastAnswer] = OrderedDict()

    def note(self, finished: FinishedAnswer, asked: Asked, answer_text: str) -> list[Finding]:
        """Return what this request says of an earlier answer, and remember its own."""
        before = self._answers.pop(finished.conversation_id, None)
        n_turns = finished.inquiry.context.n_turns
        question = Sketch.of(asked.question) if asked.question else None
        findings: list[Finding] = []
        n_asked_again = 0
        if before is not None:
            if question is None and n_turns > before.n_turns:
                question = before.question  # a tool's result on the way to the same answer
            elif question is not None:
                is_same = before.question is not None and question.likeness(before.question) >= _SAME_QUESTION
                n_asked_again = before.n_asked_again + 1 if is_same else 0
                findings += _asked_again(before, finished, is_same=is_same, is_later=n_turns > before.n_turns)
                findings += _edited(before, asked)
        elif question is not None:
            findings += self._asked_elsewhere(finished, question)
        answer = Sketch.of(answer_text) if len(answer_text) >= _SHORTEST_ANSWER else None
        last = _LastAnswer(finished.request_id, n_turns, question, answer, finished.answered, n_asked_again)
        self._remember(finished, last, is_question=asked.question is not None)
        return findings

    def _asked_elsewhere(self, finished: FinishedAnswer, question: Sketch) -> list[Finding]:
        """Return whether the virtual key asked the very same in another conversation; likeness is not enough there: prompts are made from templates."""
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


def _edited(before: _LastAnswer, asked: Asked) -> list[Finding]:
    if before.answer is None or asked.previous_answer is None or len(asked.previous_answer) < _SHORTEST_ANSWER:
        return []
    likeness = before.answer.likeness(Sketch.of(asked.previous_answer))
    if likeness < 0.05:
        return []  # another answer altogether: the caller kept one of several, or the conversation took another way
    return [(before.request_id, "edited_share", 1 - 2 * likeness / (1 + likeness))]
