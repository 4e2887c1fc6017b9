"""A chat request as the decision sees it: the whole conversation as text, its shape, and what it cannot do without."""

from router.context import MAX_PROMPT_CHARACTERS, RouteContext
from router.lane import Capability
from router.text_window import cut_to_window, estimate_tokens
from serve.dialects.openai.chat_request import Body, ChatRequest, Message
from serve.errors import BadRequestError, TooLargeError

# What an image costs in input tokens, roughly, at the default detail of the big providers (their pricing pages, 2026-11).
TOKENS_PER_IMAGE = 800
# Role markers and separators around each message in the chat templates in use.
TOKENS_PER_MESSAGE = 4

_IMAGE_TYPES = frozenset({"image_url", "image", "input_image"})
_AUDIO_TYPES = frozenset({"input_audio", "audio"})
_QUIET_EFFORTS = frozenset({"none", "minimal"})


def route_context(request: ChatRequest, body: Body) -> RouteContext:
    """Return what the decision may see of this request.

    Raises:
        BadRequestError: The conversation holds nothing at all to answer.
        TooLargeError: More than `MAX_PROMPT_CHARACTERS` characters of text.
    """
    messages = request.messages
    texts: list[str] = []
    n_images = 0
    has_audio = False
    for message in messages:
        content = message.content
        if isinstance(content, str):
            texts.append(content)
        elif content is not None:
            texts += [part.text for part in content if part.text]
            n_images += sum(part.type in _IMAGE_TYPES for part in content)
            has_audio = has_audio or any(part.type in _AUDIO_TYPES for part in content)
    text = texts[0] if len(texts) == 1 else "\n".join(texts)
    if not text.strip() and not n_images and not has_audio and not _has_tool_turn(messages):
        raise BadRequestError("the messages hold no text, image or audio to answer", param="messages")
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise TooLargeError(
            f"the messages have {len(text):,} characters; the limit is {MAX_PROMPT_CHARACTERS:,}: shorten or split",
            param="messages",
        )
    tool_characters = len(str(body["tools"])) if request.tools else 0
    return RouteContext(
        text=cut_to_window(text),
        prompt_characters=len(text),
        prompt_tokens=estimate_tokens(len(text) + tool_characters)
        + n_images * TOKENS_PER_IMAGE
        + len(messages) * TOKENS_PER_MESSAGE,
        n_turns=len(messages),
        required=_required_capabilities(request, n_images > 0, has_audio),
        max_output_tokens=request.max_completion_tokens or request.max_tokens,
    )


def _has_tool_turn(messages: list[Message]) -> bool:
    return any(message.tool_calls or message.role in ("tool", "function") for message in messages)


def _required_capabilities(request: ChatRequest, has_images: bool, has_audio: bool) -> Capability:
    required = Capability.NONE
    if request.tools or request.functions:
        required |= Capability.TOOLS
    if has_images:
        required |= Capability.IMAGES
    if has_audio:
        required |= Capability.AUDIO
    if request.response_format is not None:
        if request.response_format.type == "json_schema":
            required |= Capability.JSON_SCHEMA
        elif request.response_format.type == "json_object":
            required |= Capability.JSON_OBJECT
    if request.logprobs:
        required |= Capability.LOGPROBS
    if request.n is not None and request.n > 1:
        required |= Capability.MULTIPLE_CHOICES
    if request.reasoning_effort is not None and request.reasoning_effort not in _QUIET_EFFORTS:
        required |= Capability.REASONING
    return required
