"""A conversation as the decision sees it, in any dialect."""

from router.context import MAX_PROMPT_CHARACTERS, RouteContext
from router.lane import Capability
from router.text_window import cut_to_window, estimate_tokens
from serve.dialects.inquiry import Body
from serve.dialects.service_terms import allowed_searches, requested_tier
from serve.errors import BadRequestError, TooLargeError

# Rough number of input tokens of an image, at the default detail of the big providers (their pricing pages, 2026-11).
TOKENS_PER_IMAGE = 800
# Role markers and separators around each message in the chat templates in use.
TOKENS_PER_MESSAGE = 4


class SeenConversation:
    """The contents of a conversation. The reader of each dialect adds one message after the other."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.n_images = 0
        self.n_results = 0
        """Results of tools."""
        self.other_characters = 0
        """Characters of tools, calls and documents, which cost tokens too."""
        self.required = Capability.NONE
        self.effort: str | None = None
        """Effort of reasoning that the request states."""
        self.dialect_fields: tuple[str, ...] = ()
        """Names of the fields that need a lane of the door's dialect."""

    def text(self) -> str:
        """Return all text so far."""
        return "\n".join(self.texts)

    def context(self, field: str, n_messages: int, max_output_tokens: int | None, body: Body) -> RouteContext:
        """Return what the decision may see of the whole conversation; see `conversation_context`.

        Raises:
            BadRequestError: There is nothing to answer.
            TooLargeError: More than `MAX_PROMPT_CHARACTERS` characters of text.
        """
        text = self.text()
        if not text.strip() and not self.n_images and not self.n_results:
            raise nothing_to_answer(field)
        return conversation_context(
            text,
            field,
            n_messages=n_messages,
            n_images=self.n_images,
            other_characters=self.other_characters,
            required=self.required,
            max_output_tokens=max_output_tokens,
            body=body,
            effort=self.effort,
            dialect_fields=self.dialect_fields,
        )


def nothing_to_answer(field: str) -> BadRequestError:
    """Return the error for a conversation without content; `field` is the name of the request's field."""
    return BadRequestError(f"{field}: there is no text, image or tool result to answer. Send one.", param=field)


def conversation_context(
    text: str,
    field: str,
    *,
    n_messages: int,
    n_images: int,
    other_characters: int,
    required: Capability,
    max_output_tokens: int | None,
    body: Body,
    effort: str | None = None,
    dialect_fields: tuple[str, ...] = (),
) -> RouteContext:
    """Return what the decision may see of a conversation.

    Args:
        text: All text of the conversation.
        field: Name of the request's field, for errors.
        n_messages: Number of messages or items.
        n_images: Number of images.
        other_characters: Number of characters of tools, calls and documents, which cost tokens too.
        required: Capabilities that the lane must have.
        max_output_tokens: The caller's limit. None: the caller gave none.
        body: Body of the request; says which service tier is asked for, and which searches are allowed.
        effort: Effort of reasoning that the request states. None: it says nothing about reasoning.
        dialect_fields: Names of the fields because of which the request needs a lane of its own dialect.

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
        service_tier=requested_tier(body),
        web_searches=allowed_searches(body),
        effort=effort,
        dialect_fields=dialect_fields,
    )
