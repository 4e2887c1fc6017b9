"""A conversation as the decision sees it, whatever the dialect it came in."""

from router.context import MAX_PROMPT_CHARACTERS, RouteContext
from router.lane import Capability
from router.text_window import cut_to_window, estimate_tokens
from serve.errors import TooLargeError

# What an image costs in input tokens, roughly, at the default detail of the big providers (their pricing pages, 2026-11).
TOKENS_PER_IMAGE = 800
# Role markers and separators around each message in the chat templates in use.
TOKENS_PER_MESSAGE = 4


def seen_conversation(
    text: str,
    field: str,
    *,
    n_messages: int,
    n_images: int,
    other_characters: int,
    required: Capability,
    max_output_tokens: int | None,
) -> RouteContext:
    """Return what the decision may see of a conversation.

    Args:
        text: All of it.
        field: Of the request, for errors.
        n_messages: How many messages or items.
        n_images: How many images.
        other_characters: Of tools, calls and documents, which cost tokens too.
        required: What the lane has to be able to do.
        max_output_tokens: The caller's limit; None: it gave none.

    Raises:
        TooLargeError: More than `MAX_PROMPT_CHARACTERS` characters of text.
    """
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise TooLargeError(
            f"{field}: {len(text):,} characters of text; the limit is {MAX_PROMPT_CHARACTERS:,}: shorten or split",
            param=field,
        )
    return RouteContext(
        text=cut_to_window(text),
        prompt_characters=len(text),
        prompt_tokens=estimate_tokens(len(text) + other_characters)
        + n_images * TOKENS_PER_IMAGE
        + n_messages * TOKENS_PER_MESSAGE,
        n_turns=n_messages,
        required=required,
        max_output_tokens=max_output_tokens,
    )
