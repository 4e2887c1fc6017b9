"""A model that is calibrated together with others: its lanes, its answers, what is believed, what a question costs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from router.arrays import Float32s, Floats, Mask, Rows
from router.lane import Lane
from router.placement import Placement, PlacementSpace
from router.price_table import NUSD_PER_USD, quote_most
from router.prompt_choice import PromptChoice
from router.quality_model import QualityModel
from router.text_window import estimate_tokens
from serve.bundles.calibration_file import CalibrationAnswer
from serve.bundles.placing import graded_answers, predict_all
from serve.jobs.calibrate.asking import answer_limit
from serve.jobs.calibrate.questions import Question

_TEMPLATE_TOKENS = 200
"""Most tokens that a provider's own template adds to a prompt."""
_LEAST_USD = 1e-6
"""Cost at which a question counts at least, so that models without a price do not outweigh everything."""


@dataclass(frozen=True, slots=True, eq=False)
class QuestionBank:
    """The questions with the bundle's predictions.

    Args:
        questions: All questions.
        quality: P(good answer) of the trained models, shape (n, m).
        prompt_tokens: Estimated tokens of the questions, shape (n,).
        typical_tokens: Mean of the trained models' expected tokens, shape (n,).
        design: (1, components) of the questions, shape (n, k + 1).
        kinds: Number of each question's kind, shape (n,).
        space: Space of the trained models.
        quality_model: Quality model of the bundle.
    """

    questions: Sequence[Question]
    quality: Float32s
    prompt_tokens: Floats
    typical_tokens: Floats
    design: Floats
    kinds: Rows
    space: PlacementSpace
    quality_model: QualityModel

    @classmethod
    def of(cls, questions: Sequence[Question], space: PlacementSpace, quality_model: QualityModel) -> "QuestionBank":
        """Return the bank with its predictions. Blocks, for a fraction of a second."""
        quality, tokens = predict_all(quality_model, [question.prompt for question in questions])
        return cls(
            questions,
            quality,
            np.array([estimate_tokens(len(question.prompt)) for question in questions], np.float64),
            tokens.mean(axis=1).astype(np.float64),
            space.design(quality),
            numbered_kinds(questions),
            space,
            quality_model,
        )


def numbered_kinds(questions: Sequence[Question]) -> Rows:
    """Return the number of each question's kind, from 0, shape (n,)."""
    kinds = {kind: number for number, kind in enumerate(dict.fromkeys(question.kind for question in questions))}
    return np.array([kinds[question.kind] for question in questions], np.intp)


@dataclass(slots=True, eq=False)
class Subject:
    """One model.

    Args:
        name: Name under which its answers are kept.
        lanes: All lanes that share them; the first one is asked, and the next one if it cannot answer.
        bank: Questions.
        max_tokens: Limit on each answer.
        answers: Answers so far, those of earlier runs included.
        pending: Places of the questions that are on their way.
        n_new: Number of answers of this run.
        spent_usd: Cost of this run.
        ended: Reason why it is asked no more; empty: it is asked.
    """

    name: str
    lanes: tuple[Lane, ...]
    bank: QuestionBank
    max_tokens: int
    answers: list[CalibrationAnswer]
    pending: list[int] = field(default_factory=list)
    n_new: int = 0
    spent_usd: Decimal = Decimal(0)
    ended: str = ""
    _turn: int = field(default=0, init=False)
    _choice: PromptChoice = field(init=False, repr=False)
    _placement: Placement | None = field(default=None, init=False, repr=False)
    _most_usd: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        mean, covariance = self._belief()
        self._choice = PromptChoice(self.bank.design, self.bank.kinds, mean, covariance)
        answered = {answer.question_id for answer in self.answers}
        for place, question in enumerate(self.bank.questions):
            if question.id in answered:
                self._choice.mark_asked(place)
        self._quote()

    @property
    def lane(self) -> Lane:
        """Lane that is asked."""
        return self.lanes[self._turn]

    def use_next_lane(self) -> bool:
        """Ask the next lane from now on. Return whether there is one."""
        if self._turn + 1 == len(self.lanes):
            return False
        self._turn += 1
        self._quote()
        return True

    @property
    def account(self) -> tuple[str, str]:
        """Provider and account whose limits its calls count against."""
        return self.lane.provider, self.lane.account

    @property
    def logit_std(self) -> float:
        """Standard deviation of the log odds of a good answer, once the answers on their way are here."""
        return self._choice.logit_std

    @property
    def n_asked(self) -> int:
        """Number of answers, those on their way included."""
        return len(self.answers) + len(self.pending)

    def use(self, placement: Placement) -> None:
        """Believe what its answers say. Answers on their way are expected again."""
        self._placement = placement
        self._refresh()

    def send(self, place: int) -> None:
        """Note that a question is on its way."""
        self.pending.append(place)
        self._choice.mark_asked(place)
        self._choice.expect_answer(place)

    def drop(self, place: int) -> None:
        """Note that there was no answer to a question: it may be asked again."""
        self.pending.remove(place)
        self._choice.mark_free(place)
        self._refresh()

    def best_question(self, affordable_usd: float) -> tuple[int, float] | None:
        """Return the place of the question that teaches most for its cost, and how much: variance a USD.

        None: every question was asked, or costs more.
        """
        worth = np.where(self._affordable(affordable_usd), self._choice.gains() / self.expected_usd(), 0.0)
        place = int(worth.argmax())
        return (place, float(worth[place])) if worth[place] > 0 else None

    def _affordable(self, usd: float) -> Mask:
        return np.asarray(self._most_usd <= usd, np.bool_)

    def expected_usd(self) -> Floats:
        """Return the expected cost of each question, at least `_LEAST_USD`, shape (n,)."""
        price, tokens = self.lane.price, self.bank.typical_tokens
        if self._placement is not None:
            line = self._placement
            tokens = np.exp(line.log_tokens_offset + line.log_tokens_slope * np.log(np.maximum(tokens, 1)))
        tokens = np.minimum(tokens, self.max_tokens)
        usd = (
            self.bank.prompt_tokens * float(price.input_usd_per_mtok) + tokens * float(price.output_usd_per_mtok)
        ) / 1e6
        return np.asarray(np.maximum(usd + float(price.request_usd), _LEAST_USD), np.float64)

    def most_usd(self, place: int) -> Decimal:
        """Return the most that a question can cost. A text has no more tokens than bytes, whatever the tokenizer."""
        question = self.bank.questions[place]
        prompt_tokens = len(question.prompt.encode()) + _TEMPLATE_TOKENS
        answer_tokens = answer_limit(self.lane, question, self.max_tokens)
        return Decimal(quote_most(self.lane.price, prompt_tokens, answer_tokens)) / NUSD_PER_USD

    def _quote(self) -> None:
        self._most_usd = np.array([float(self.most_usd(place)) for place in range(len(self.bank.questions))])

    def _refresh(self) -> None:
        self._choice.believe(*self._belief())
        for place in self.pending:
            self._choice.expect_answer(place)

    def _belief(self) -> tuple[Floats, Floats]:
        prior = self.lane.prior
        ability, std = (None, None) if prior is None else (prior.ability, prior.ability_std)
        graded = graded_answers(self.bank.quality_model, self.answers) if self.answers else None
        return self.bank.space.believe(graded, ability, std)
