"""Writes the questions to the standard output, one JSON object a line."""

import json
import sys

from training.question_bank.bank import make_questions

if __name__ == "__main__":
    for question in make_questions():
        sys.stdout.write(json.dumps(question, ensure_ascii=False) + "\n")
