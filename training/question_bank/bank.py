"""All questions in the order of the file, numbered by kind."""

import random
from collections.abc import Iterator
from pathlib import Path

from training.question_bank.coding import CODING
from training.question_bank.drafts import Draft, Make, Question, stated
from training.question_bank.everyday import EVERYDAY
from training.question_bank.forms import FORMS
from training.question_bank.languages import LANGUAGES
from training.question_bank.patterns import PATTERNS
from training.question_bank.queries import QUERIES
from training.question_bank.reasoning import REASONING

_FOLDER = Path(__file__).parent.parent.parent / "data" / "calibration"
_PER_REASONING_KIND = 30
_PER_EVERYDAY_KIND = 20
_LEVELS = 10
_EVERYDAY: tuple[Make, ...] = (*FORMS, *EVERYDAY, *QUERIES, *PATTERNS, *CODING, *LANGUAGES)


def make_questions() -> Iterator[Question]:
    """Yield all questions; every call yields the same ones."""
    return (question for question, _ in solved_questions())


def solved_questions() -> Iterator[tuple[Question, str]]:
    """Yield all questions, each with a whole answer that is right."""
    for kind in REASONING:
        rng, seen, level = _generator(kind.__name__), set[str](), 0
        while len(seen) < _PER_REASONING_KIND:
            grader, question, answer = kind(rng, level % _LEVELS)
            level += 1
            if question not in seen:
                seen.add(question)
                yield _numbered(kind.__name__, len(seen), stated(grader, question, answer))
    yield from _written("knowledge")
    for make in _EVERYDAY:
        rng, prompts = _generator(make.__name__), set[str]()
        while len(prompts) < _PER_EVERYDAY_KIND:
            draft = make(rng, len(prompts) * _LEVELS // _PER_EVERYDAY_KIND)
            if draft.prompt not in prompts:
                prompts.add(draft.prompt)
                yield _numbered(make.__name__, len(prompts), draft)
    yield from _written("classification")


def _written(kind: str) -> Iterator[tuple[Question, str]]:
    blocks = (_FOLDER / f"{kind}.txt").read_text(encoding="utf-8").strip().split("\n\n")
    for number, block in enumerate(blocks, start=1):
        text, answer = block.rsplit("\n= ", 1)
        yield _numbered(kind, number, stated("choice", text, answer.strip()))


def _numbered(kind: str, number: int, draft: Draft) -> tuple[Question, str]:
    question = Question(
        id=f"{kind}-{number:02d}", kind=kind, grader=draft.grader, prompt=draft.prompt, answer=draft.answer
    )
    return question, draft.solution


def _generator(kind: str) -> random.Random:
    return random.Random(kind)  # noqa: S311 - not a secret
