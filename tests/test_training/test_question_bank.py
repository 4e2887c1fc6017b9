"""The shipped questions are those that the program makes; each can be solved, and is not solved by another's answer."""

import hashlib
import json
from collections import Counter
from itertools import pairwise

import pytest
from checkout import ROOT

from serve.jobs.calibrate.answer_rules import RUNS_CODE, check_rule
from serve.jobs.calibrate.confinement import why_not_confined
from serve.jobs.calibrate.grading import is_right
from training.question_bank.bank import make_questions, solved_questions
from training.question_bank.drafts import Question
from training.question_bank.languages import french, german, spanish

BANK = ROOT / "data" / "calibration" / "questions.jsonl"
SOLVED = list(solved_questions())
FIRST_BANK = "db46ed1e7a357fc8bc22c906b5751b1f6d7654fe605c23af22164cd57ffbc5c8"
"""SHA-256 of the 380 questions of the first bank. They never change, because kept answers are answers to them."""


def can_be_graded(question: Question) -> bool:
    return question["grader"] not in RUNS_CODE or why_not_confined() is None


def test_the_shipped_bank_is_up_to_date() -> None:
    shipped = [json.loads(line) for line in BANK.read_text(encoding="utf-8").splitlines()]
    assert shipped == list(make_questions())


def test_every_kind_has_enough_questions_and_no_question_comes_twice() -> None:
    questions = list(make_questions())
    counts = Counter(question["kind"] for question in questions)
    assert len(counts) == 27
    assert all(15 <= count <= 30 or kind == "knowledge" for kind, count in counts.items())
    assert len({question["prompt"] for question in questions}) == len(questions)
    assert len({question["id"] for question in questions}) == len(questions)


def test_the_questions_of_the_first_bank_stay_as_they_were() -> None:
    first = BANK.read_bytes().splitlines(keepends=True)[:380]
    assert hashlib.sha256(b"".join(first)).hexdigest() == FIRST_BANK


@pytest.mark.slow
def test_every_question_is_solved_by_its_solution() -> None:
    for question, solution in SOLVED:
        check_rule(question["grader"], question["answer"])
        if can_be_graded(question):
            assert is_right(solution, question["answer"], question["grader"]), question["id"]


@pytest.mark.slow
def test_no_question_is_solved_by_the_solution_of_the_next_one() -> None:
    """Such an answer has the right form and the wrong content."""
    for (question, solution), (other, other_solution) in pairwise(SOLVED):
        if question["kind"] != other["kind"] or not can_be_graded(question):
            continue
        if question["grader"] in ("json", "csv", "python", "regex", "sql", "phrase") and solution != other_solution:
            assert not is_right(other_solution, question["answer"], question["grader"]), question["id"]


@pytest.mark.parametrize(
    ("number", "in_german", "in_french", "in_spanish"),
    [
        (71, "einundsiebzig", "soixante et onze", "setenta y uno"),
        (80, "achtzig", "quatre-vingts", "ochenta"),
        (97, "siebenundneunzig", "quatre-vingt-dix-sept", "noventa y siete"),
        (100, "einhundert", "cent", "cien"),
        (200, "zweihundert", "deux cents", "doscientos"),
        (301, "dreihunderteins", "trois cent un", "trescientos uno"),
        (1_001, "eintausendeins", "mille un", "mil uno"),
        (21_000, "einundzwanzigtausend", "vingt et un mille", "veintiún mil"),
        (80_200, "achtzigtausendzweihundert", "quatre-vingt mille deux cents", "ochenta mil doscientos"),
        (31_016, "einunddreißigtausendsechzehn", "trente et un mille seize", "treinta y un mil dieciséis"),
    ],
)
def test_numbers_are_written_in_words(number: int, in_german: str, in_french: str, in_spanish: str) -> None:
    assert (german(number), french(number), spanish(number)) == (in_german, in_french, in_spanish)
