"""The stated length and form of an answer are read in many languages, and any text is read fast and without error."""

from math import expm1, isfinite

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.answer_form import FORM_NAMES, answer_form, part_lengths
from router.stated_length import MAX_ITEMS, MAX_TOKENS


def form_of(text: str) -> dict[str, float]:
    return dict(zip(FORM_NAMES, answer_form(text, any("\u3000" <= letter <= "\ud7ff" for letter in text)), strict=True))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Write about 1,500 words on bees.", 2025),
        ("Schreibe 1.500 Wörter über Bienen.", 2025),
        ("Un texte de 1 500 mots", 2025),
        ("a 2k words essay", 2700),
        ("a 250-word story", 337.5),
        ("300-400 Wörter", 540),
        ("300–400 words", 540),
        ("between 300 and 400 words", 540),
        ("two to three sentences", 72),
        ("“300–400 words”, he said", 540),
        ("300, 400 or 500 words", 675),
        ("2,5 pages", 1625),
        ("1.5k words", 2025),
        ("1'500 Wörter", 2025),
        ("In one sentence: why is the sky blue?", 24),
        ("Explain it in a sentence", 24),
        ("Erkläre es in einem Satz", 24),
        ("Résume en deux phrases", 48),
        ("three short paragraphs", 285),
        ("40 lines of code", 560),
        ("a report of 2 pages", 1300),
        ("half a page", 325),
        ("1.5 pages", 975),
        ("Napisz dwa zdania", 48),
        ("Напиши 300 слов", 405),
        ("300 शब्दों में लिखिए", 405),
        ("اكتب 600 كلمة", 810),
        ("200 kelimelik bir hikaye", 270),
        ("写一篇800字的文章", 1040),
        ("写八百字", 1040),
        ("约1,200字", 1560),
        ("８００字で書いて", 1040),
        ("3行でまとめて", 42),
        ("用一句话解释", 22),
        ("세 문장으로 요약", 66),
        ("500자 이내", 500),
        ("One word.", 1.35),
        ("Is it true? Answer yes or no.", 1.35),
        ("Ja oder nein?", 1.35),
        ("Sí o no", 1.35),
        ("a single number", 2),
        ("two sentences, at most 100 words", 135),
        ("yes or no, then 100 words of reasons", 135),
        ("900,000 words", MAX_TOKENS),
        ("3个字段", 0),
        ("Is there a word for this?", 0),
        ("99999999999 words", 0),
        ("words, words, words", 0),
    ],
)
def test_a_stated_length_is_read(text: str, tokens: float) -> None:
    form = form_of(text)
    assert expm1(form["log_stated_tokens"]) == pytest.approx(tokens)
    assert form["states_length"] == (tokens > 0)
    assert form["states_few_words"] == (0 < tokens < 3)
    assert form["squared_log_stated_tokens"] == pytest.approx(form["log_stated_tokens"] ** 2 / 10)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("five bullets", 5),
        ("Give me ten good ideas", 10),
        ("3-5 tips", 5),
        ("zehn Ideen", 10),
        ("cinq idées", 5),
        ("列出三个例子", 3),
        ("二十个名字", 20),
        ("5つ挙げて", 5),
        ("写一个故事", 0),
        ("2026 questions", 0),
        ("good ideas", 0),
    ],
)
def test_the_number_of_items_is_read(text: str, items: float) -> None:
    assert expm1(form_of(text)["log_stated_items"]) == pytest.approx(items)


def test_only_the_head_and_the_tail_of_a_long_text_are_searched() -> None:
    material = "It had 900 words. " * 100
    assert form_of(f"In one sentence:\n{'material ' * 100}")["states_length"]
    assert form_of(f"{'material ' * 100}\nIn one sentence.")["states_length"]
    assert not form_of(f"{'x ' * 300}{material}{'x ' * 300}")["states_length"]


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("Just the name", "only"),
        ("as JSON", "data_format"),
        ("AUSFÜHRLICH, bitte", "long_form"),
        ("写一个故事", "story"),
        ("«brève»", "short_form"),
        ("Перевести? Переведите!", "translate"),
        ("要約して", "summarise"),
        ("चरण: कैसे", "explain"),
    ],
)
def test_words_of_a_group_are_counted_in_many_languages(text: str, group: str) -> None:
    assert form_of(text)[f"words_of_{group}"] == 1


_pieces = st.sampled_from(
    [*"0123456789,.- \n一百万字个三つ", "words ", "1,", "two ", "page ", "ideas ", "k", "²", "\ud800"]
)


@given(st.text(max_size=700) | st.lists(_pieces, max_size=300).map("".join), st.booleans())
@example("9" * 700 + "字", True)
@example("万" * 700 + "字", True)
def test_the_form_is_finite_for_any_text(text: str, has_cjk: bool) -> None:
    form = dict(zip(FORM_NAMES, answer_form(text, has_cjk), strict=True))
    assert all(isfinite(value) and value >= 0 for value in form.values())
    assert expm1(form["log_stated_tokens"]) <= MAX_TOKENS + 1e-6
    assert expm1(form["log_stated_items"]) <= MAX_ITEMS + 1e-6
    assert all(
        isfinite(length) and 0 <= expm1(length) <= len(text) + 1e-6
        for length in part_lengths(text, *map(text.count, "\n.?"))
    )
