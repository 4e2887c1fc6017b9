"""Features equal what their definitions say, on the prompts of the repository and on made-up text.

The definitions are written down here a second time, each by itself and without a thought for speed.
"""

import json
import re
from collections.abc import Iterator
from math import log1p

import numpy as np
import pyarrow.parquet as pq
from checkout import ROOT
from hypothesis import given
from hypothesis import strategies as st

from router.context import RouteContext
from router.features import FEATURE_NAMES, extract_features

_SHARES = {
    "digits": "0123456789",
    "capitals": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "blanks": " \t\r\n",
    "operators": "+-*/=<>^%",
    "brackets": "()[]{}",
    "vowels": "aeiou",
}
_COUNTS = {
    "question_marks": "?",
    "full_stops": ".",
    "commas": ",",
    "double_quotes": '"',
    "dollars": "$",
    "equals": "=",
    "lines": "\n",
    "pipes": "|",
    "blank_lines": "\n\n",
    "indented_lines": "\n    ",
    "long_blanks": "____",
    "definitions": "def ",
    "returns": "return",
    "assertions": "assert ",
    "comparisons": "==",
}


def _defined(context: RouteContext) -> dict[str, float]:
    text = context.text
    n_bytes = len(text.encode("utf-8", "replace"))
    numbers = re.findall("[0-9]+", text)
    end = len(text.rstrip(" \t\r\n.?!。？！"))
    last = max(text.rfind("\n\n", 0, end) + 2, 0) if "\n\n" in text[:end] else 0
    first = text.find("\n\n") if last else end
    start = max(last, end - 300)
    sentence = max(start, *(text.rfind(mark, start, end) + 1 for mark in (". ", "? ", "\n")))
    return {
        **{f"share_{name}": sum(map(text.count, members)) / n_bytes for name, members in _SHARES.items()},
        "share_non_ascii": sum(byte > 127 for byte in text.encode("utf-8", "replace")) / n_bytes,
        **{f"log_{name}": log1p(text.count(mark)) for name, mark in _COUNTS.items()},
        "log_characters": log1p(context.prompt_characters),
        "log_window_characters": log1p(len(text)),
        "log_words": log1p(text.count(" ") + text.count("\n") + 1),
        "log_turns": log1p(context.n_turns - 1),
        "log_numbers": log1p(len(numbers)),
        "log_longest_number": log1p(max(map(len, numbers), default=0)),
        "log_options": log1p(len(re.findall(r"\n[ \t]*\(?[A-Ja-j][.):]", text))),
        "log_first_paragraph": log1p(first),
        "log_last_paragraph": log1p(end - last),
        "log_last_sentence": log1p(end - sentence),
        "ends_with_question": text[-8:].rstrip().endswith("?"),
    }


def _assert_as_defined(prompt: str) -> None:
    context = RouteContext.from_prompt(prompt)
    row = dict(zip(FEATURE_NAMES, extract_features(context)[0].tolist(), strict=True))
    for name, value in _defined(context).items():
        assert row[name] == np.float32(value), (name, prompt[:200])


def _prompts() -> Iterator[str]:
    for path in sorted((ROOT / "data" / "demands").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)["prompt"]
    yield from pq.read_table(ROOT / "data" / "samples" / "graded" / "prompts.parquet")["prompt"].to_pylist()


def test_features_of_the_repositorys_prompts_are_as_defined() -> None:
    prompts = list(_prompts())
    assert len(prompts) > 1_000
    for prompt in prompts:
        _assert_as_defined(prompt)


_PIECES = st.sampled_from(
    [*"ab ?.=_\n\t(,9", "\n\n", "\n    ", "____", "def ", "return ", "==", "? ", ". ", "A) ", "é", "字"]
)


@given(st.lists(_PIECES, min_size=1, max_size=60).map("".join).filter(str.strip))
def test_features_of_any_text_are_as_defined(prompt: str) -> None:
    _assert_as_defined(prompt)


@given(st.integers(1, 3_000))
def test_counts_beyond_the_table_of_logs_are_as_defined(count: int) -> None:
    _assert_as_defined("?" * count + "7 8")
