"""The part of a long conversation that the quality model reads: its head and its tail, cut before any tokenizing."""

HEAD_CHARACTERS = 600
TAIL_CHARACTERS = 1_400
CHARACTERS_PER_TOKEN = 4
_JOINT = "\n…\n"


def cut_to_window(text: str) -> str:
    """Return `text` itself when it fits the window, else its head and its tail with a visible joint between them."""
    if len(text) <= HEAD_CHARACTERS + TAIL_CHARACTERS:
        return text
    return text[:HEAD_CHARACTERS] + _JOINT + text[-TAIL_CHARACTERS:]


def estimate_tokens(characters: int) -> int:
    """Return the number of tokens that so many characters of text take, by the rule of thumb of four characters a token."""
    return -(-characters // CHARACTERS_PER_TOKEN)
