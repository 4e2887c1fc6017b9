"""Token usage for an answer whose provider sent none."""

from router.price_table import TokenUsage
from router.text_window import estimate_tokens


def estimate_usage(prompt_tokens: int, completion_characters: int) -> TokenUsage:
    """Return an estimated usage, marked as estimated: for a provider that sends none, or an answer that broke off.

    Args:
        prompt_tokens: Our estimate of the prompt's tokens.
        completion_characters: Number of characters in the answer so far.
    """
    return TokenUsage(prompt_tokens, estimate_tokens(completion_characters), is_estimated=True)
