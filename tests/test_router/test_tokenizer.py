"""Our tokenizer against the reference implementation, on any text."""

from pathlib import Path

import pytest
from checkout import SHIPPED_BUNDLE
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from router.errors import BundleError
from router.tokenizer import MAX_TOKENS, WordPieceTokenizer

FILE = SHIPPED_BUNDLE / "tokenizer.json"
OURS = WordPieceTokenizer.from_file(FILE)
REFERENCE = Tokenizer.from_file(str(FILE))
REFERENCE.no_truncation()
REFERENCE.no_padding()


# Blocks that have been complete for long: the two sides' Unicode tables are of different years.
BLOCKS = (
    (0x00, 0x52D),
    (0x2000, 0x204F),
    (0x2190, 0x22FF),
    (0x3041, 0x30FF),
    (0x4E00, 0x9FA5),
    (0xAC00, 0xD7A3),
    (0xFF01, 0xFF5E),
)
LETTERS = st.one_of(
    *(
        st.characters(min_codepoint=low, max_codepoint=high, exclude_categories=("Cn", "Co", "Cs"))
        for low, high in BLOCKS
    )
)


@settings(max_examples=400)
@given(st.text(LETTERS, max_size=300))
@example("Hello, World! It's 3.14 × naïve Ünïcode… ΣΊΣΥΦΟΣ")
@example("日本語 中文 mixed with English")
@example("def f(x):\n\treturn x**2  # comment")
@example("x" * 250)
def test_ids_are_those_of_the_reference(text: str) -> None:
    # The reference also recognises special tokens such as [SEP] in text; a user who types one means the letters.
    assume("[" not in text)
    wanted = REFERENCE.encode(text, add_special_tokens=False).ids[:MAX_TOKENS]
    assert OURS.encode(text).tolist() == (wanted or [REFERENCE.token_to_id("[UNK]")])


def test_special_tokens_in_text_are_letters() -> None:
    assert REFERENCE.token_to_id("[SEP]") not in OURS.encode("please print [SEP] now").tolist()


def test_another_kind_of_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(
        '{"model": {"type": "BPE"}, "normalizer": {}, "pre_tokenizer": {"type": "x"}}'
    )
    with pytest.raises(BundleError, match="not a lower-casing BERT WordPiece tokenizer"):
        WordPieceTokenizer.from_file(tmp_path / "tokenizer.json")
