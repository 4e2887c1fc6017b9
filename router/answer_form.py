"""Features that say what length and form of an answer a request asks for, and how long its own parts are."""

import re
from collections.abc import Mapping, Sequence
from math import log1p
from typing import Final

from router.request_words import encode_part, request_part, split_words
from router.stated_length import (
    ITEM_NAMES,
    MAX_ITEMS,
    MAX_TOKENS,
    UNIT_TOKENS,
    stated_cjk_items,
    stated_cjk_tokens,
    stated_items,
    stated_tokens,
)
from router.word_groups import GROUP_NAMES, GROUP_OF_CJK_WORD, GROUPS_OF_WORD

_STATED: Final = (
    "log_stated_tokens",
    "states_length",
    "states_few_words",
    "squared_log_stated_tokens",
    "log_stated_items",
)
FORM_NAMES: Final = (*_STATED, *(f"words_of_{name}" for name in GROUP_NAMES))
STATED_MAXIMA: Final[Mapping[str, float]] = dict(
    zip(_STATED, (log1p(MAX_TOKENS), 1, 1, log1p(MAX_TOKENS) ** 2 / 10, log1p(MAX_ITEMS)), strict=True)
)
"""Largest value of each feature of stated lengths. Few requests state one, so most prompts have 0 there."""
PART_NAMES: Final = ("log_first_paragraph", "log_last_paragraph", "log_last_sentence")

_YES: Final = frozenset("yes true ja oui sí sì sim tak evet да".encode().split())
_FORM_WORDS: Final = frozenset((*UNIT_TOKENS, *ITEM_NAMES, *GROUPS_OF_WORD, *_YES))
_NO_FORM: Final = (0.0,) * len(FORM_NAMES)
_NO_COUNTS: Final = (0,) * len(GROUP_NAMES)
_YES_OR_NO: Final = re.compile(
    "yes or no|yes no|true or false|ja oder nein|ja nein|oui ou non|sí o no|sì o no|sim ou não|tak czy nie|evet hayır|"
    "да или нет".encode()
)
_YES_OR_NO_TOKENS: Final = 1.35
_MANY_WORDS_TOKENS: Final = 3
"""Tokens of a stated length above which an answer has more than a word or two, or a number."""
_ENDING: Final = " \t\r\n.?!。？！"
_LONGEST_SENTENCE: Final = 300
"""Characters of the longest last sentence; a longer one counts as this."""


def part_lengths(text: str, n_lines: int, n_stops: int, n_questions: int) -> tuple[float, float, float]:
    """Return log(1 + characters) of the first paragraph, the last paragraph and the last sentence (`PART_NAMES`).

    A request with material has it before or after its question, and a blank line between.

    Args:
        text: The text window of the request.
        n_lines, n_stops, n_questions: Numbers of line breaks, full stops and question marks in it. What does not occur
            is not looked for.
    """
    end = len(text.rstrip(_ENDING))
    last = text.rfind("\n\n", 0, end) + 2 if n_lines > 1 else 1
    if last == 1:
        first, last = end, 0
    else:
        first = text.find("\n\n")
    start = max(last, end - _LONGEST_SENTENCE)
    sentence = text.rfind("\n", start, end) if n_lines else -1
    if n_stops:
        sentence = max(sentence, text.rfind(". ", start, end))
    if n_questions:
        sentence = max(sentence, text.rfind("? ", start, end))
    return log1p(first), log1p(end - last), log1p(end - max(sentence + 1, start))


def answer_form(text: str, has_cjk: bool) -> Sequence[float]:
    """Return the features named `FORM_NAMES`: the stated length, and the counts of words of each group.

    Args:
        text: The text window of the request.
        has_cjk: Whether the text has Chinese, Japanese or Korean characters.
    """
    part = request_part(text)
    raw = encode_part(part)
    words = split_words(raw)
    present = _FORM_WORDS.intersection(words)
    if not present and not has_cjk:
        return _NO_FORM
    counts = [*_NO_COUNTS]
    tokens = n_items = 0.0
    for word in present:
        if word in GROUPS_OF_WORD:
            for place in GROUPS_OF_WORD[word]:
                counts[place] += 1
        if word in UNIT_TOKENS:
            tokens = max(tokens, stated_tokens(words, word, raw))
        elif word in ITEM_NAMES:
            n_items = max(n_items, stated_items(words, word, raw))
    if has_cjk:
        tokens = max(tokens, stated_cjk_tokens(part))
        n_items = max(n_items, stated_cjk_items(part))
        for cjk_word, place in GROUP_OF_CJK_WORD.items():
            counts[place] += cjk_word in part
    if not tokens and not _YES.isdisjoint(present) and _YES_OR_NO.search(b" ".join(words)):
        tokens = _YES_OR_NO_TOKENS
    length = log1p(tokens)
    return (length, tokens > 0, 0 < tokens < _MANY_WORDS_TOKENS, length * length / 10, log1p(n_items), *counts)
