"""The part of a long conversation that the quality model reads: its head and its tail, cut before tokenizing."""

HEAD_CHARACTERS = 600
TAIL_CHARACTERS = 1_400
CHARACTERS_PER_TOKEN = 4
_CUT_MARK = "\n…\n"


def cut_to_window(text: str) -> str:
    """Return the text if it fits the window, else its head and its tail with a visible mark between them."""
    if len(text) <= HEAD_CHARACTERS + TAIL_CHARACTERS:
        return text
    return text[:HEAD_CHARACTERS] + _CUT_MARK + text[-TAIL_CHARACTERS:]


def estimate_tokens(characters: int) -> int:
    """Return the estimated number of tokens of a text with this many characters: four characters a token."""
    return -(-characters // CHARACTERS_PER_TOKEN)
