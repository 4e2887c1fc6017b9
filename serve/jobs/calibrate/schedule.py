"""Decides which model is asked which question next, so that money goes where it teaches most.

A question of a model is worth

    value of knowing the model / its present variance * variance that the answer would take away / expected cost

that is, good answers a request for each USD. The value is that of `serve.jobs.calibrate.value_of_knowing`, the variance
that of `router.prompt_choice`. Every answer changes the belief about its model, and so what is asked next.
"""

from collections.abc import Callable, Sequence

from router.lane import Lane
from serve.jobs.calibrate.subjects import Subject
from serve.jobs.calibrate.value_of_knowing import ValueOfKnowing

LEAST_VALUE = 1e-5
"""Value below which a model is known well enough: one good answer in a hundred thousand requests."""


class Schedule:
    """The models and the next question.

    Args:
        subjects: Models that may be asked.
        value: Value of knowing them.
        per_model: Most answers of each model, those of earlier runs included.
    """

    def __init__(self, subjects: Sequence[Subject], value: ValueOfKnowing, per_model: int) -> None:
        self.subjects = tuple(subjects)
        self._value = value
        self._per_model = per_model
        self._values: dict[str, float] = {}
        self._worth: dict[str, float] = {}
        self._weigh()

    def next(self, may_be_asked: Callable[[Subject], bool], affordable_usd: float) -> tuple[Subject, int] | None:
        """Return the model and the place of the question that teaches most for its cost; None: there is none.

        Args:
            may_be_asked: Function that says whether a model may be asked now.
            affordable_usd: Highest cost that a question may have.
        """
        best, best_worth = None, 0.0
        for subject in self.subjects:
            if not self.is_wanted(subject) or not may_be_asked(subject):
                continue
            question = subject.best_question(affordable_usd)
            if question is None:
                continue
            place, variance_per_usd = question
            worth = self._worth[subject.name] * variance_per_usd
            if best is None or worth > best_worth:
                best, best_worth = (subject, place), worth
        return best

    def is_wanted(self, subject: Subject) -> bool:
        """Return whether more answers of a model are wanted."""
        has_room = not subject.ended and subject.n_asked < self._per_model
        return has_room and self._values[subject.name] >= LEAST_VALUE

    def note_belief(self, subject: Subject, lanes: Sequence[Lane]) -> None:
        """Use the newest belief about a model.

        Args:
            subject: The model; it has no more than the answers that the belief rests on, and those on their way.
            lanes: Its lanes with their newest placement.
        """
        self._value.update(subject.name, lanes)
        self._weigh()

    def value_of(self, subject: Subject) -> float:
        """Return the value of knowing a model for certain, in good answers a request."""
        return self._value.of(subject.name, subject.logit_std)

    def _weigh(self) -> None:
        for subject in self.subjects:
            value = self._values[subject.name] = self.value_of(subject)
            self._worth[subject.name] = value / subject.logit_std**2
