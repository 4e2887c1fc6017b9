"""Structural features: finite and in range for any text, and different where texts differ."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from router.context import RouteContext
from router.features import FEATURE_NAMES, extract_features


@given(st.text(min_size=1, max_size=400).filter(str.strip))
def test_features_are_finite_and_in_range(text: str) -> None:
    row = extract_features(RouteContext.from_prompt(text))
    assert row.shape == (1, len(FEATURE_NAMES))
    assert row.dtype == np.float32
    assert np.isfinite(row).all()
    named = dict(zip(FEATURE_NAMES, row[0].tolist(), strict=True))
    assert all(0 <= value <= 1 for name, value in named.items() if name.startswith("share_"))
    assert all(value >= 0 for value in named.values())


def test_marks_are_counted() -> None:
    text = "Which is prime?\nA) 4\nB) 7\nC) 9"
    named = dict(zip(FEATURE_NAMES, extract_features(RouteContext.from_prompt(text))[0].tolist(), strict=True))
    assert named["log_options"] == np.float32(np.log1p(3))
    assert named["log_numbers"] == np.float32(np.log1p(3))
    assert named["opens_with_which"] == 1
    assert named["opens_with_what"] == 0


def test_a_request_says_what_form_its_answer_takes() -> None:
    prompt = "Translate only the last line, briefly.\n\nEin Tag.\nEin Jahr."
    named = dict(zip(FEATURE_NAMES, extract_features(RouteContext.from_prompt(prompt))[0].tolist(), strict=True))
    assert (named["words_of_translate"], named["words_of_only"], named["words_of_short_form"]) == (1, 1, 1)
    assert named["log_first_paragraph"] == np.float32(np.log1p(len("Translate only the last line, briefly.")))
    assert named["log_last_paragraph"] == np.float32(np.log1p(len("Ein Tag.\nEin Jahr")))
    assert named["log_last_sentence"] == np.float32(np.log1p(len("Ein Jahr")))


def test_the_share_of_chinese_japanese_and_korean_characters_is_counted() -> None:
    named = dict(zip(FEATURE_NAMES, extract_features(RouteContext.from_prompt("日本 한국 é"))[0].tolist(), strict=True))
    assert named["share_cjk"] == np.float32(4 / 7)
