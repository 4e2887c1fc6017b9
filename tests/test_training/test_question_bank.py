"""The shipped questions are those that the program makes."""

import json

from checkout import ROOT

from training.question_bank import make_questions

BANK = ROOT / "data" / "calibration" / "questions.jsonl"


def test_the_shipped_bank_is_up_to_date() -> None:
    shipped = [json.loads(line) for line in BANK.read_text(encoding="utf-8").splitlines()]
    assert shipped == list(make_questions())


def test_every_kind_is_there_and_no_question_twice() -> None:
    questions = list(make_questions())
    assert len({question["kind"] for question in questions}) == 12
    assert len({question["prompt"] for question in questions}) == len(questions)
