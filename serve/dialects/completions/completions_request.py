"""A request to complete a text. The prompt becomes the one message of a user."""

from typing import Any

from router.lane import Capability
from serve.dialects.completions import NAME
from serve.dialects.inquiry import Body, Inquiry
from serve.dialects.json_body import PositiveInt, decode_body, typed
from serve.dialects.neutral.parts import TextPart
from serve.dialects.neutral.request import NeutralRequest, Sampling, Turn
from serve.dialects.routing_fields import RoutingFields
from serve.dialects.seen_conversation import conversation_context, nothing_to_answer
from serve.errors import BadRequestError


class CompletionsRequest(RoutingFields, kw_only=True):
    """The fields of a completion request."""

    prompt: str | list[str]
    max_tokens: PositiveInt | None = None
    n: PositiveInt | None = None
    best_of: PositiveInt | None = None
    echo: bool | None = None
    suffix: str | None = None
    logprobs: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    user: str | None = None


def read_completions_request(raw: bytes) -> Inquiry:
    """Read a request to complete a text.

    Raises:
        BadRequestError: A field is wrong, or a chat cannot do what it asks for; the error names it.
        TooLargeError: The prompt has more than `MAX_PROMPT_CHARACTERS` characters.
    """
    body = decode_body(raw)
    _refuse_what_chats_lack(body)
    request = typed(body, CompletionsRequest)
    prompts = [request.prompt] if isinstance(request.prompt, str) else request.prompt
    if len(prompts) != 1:
        raise BadRequestError(f"prompt holds {len(prompts)} texts. Send one request for each.", param="prompt")
    if not prompts[0].strip():
        raise nothing_to_answer("prompt")
    context = conversation_context(
        prompts[0],
        "prompt",
        n_messages=1,
        n_images=0,
        other_characters=0,
        required=Capability.NONE,
        max_output_tokens=request.max_tokens,
        body=body,
    )
    return Inquiry(NAME, request, body, context, prompts[0][:200], bool(request.stream), _read_request)


def _refuse_what_chats_lack(body: Body) -> None:
    prompt = body.get("prompt")
    if isinstance(prompt, list) and any(not isinstance(piece, str) for piece in prompt):
        raise BadRequestError("prompt holds numbers of tokens. Send the text.", param="prompt")
    for name, usual in (("echo", False), ("suffix", ""), ("logprobs", 0), ("n", 1), ("best_of", 1)):
        if body.get(name) not in (None, usual):
            raise BadRequestError(
                f"{name} is not offered at /v1/completions, which answers by a chat. Leave it out.", param=name
            )


def _read_request(body: Body) -> NeutralRequest:
    request = typed(body, CompletionsRequest)
    prompt: Any = request.prompt if isinstance(request.prompt, str) else request.prompt[0]
    stop = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ())
    return NeutralRequest(
        system=(),
        turns=(Turn("user", (TextPart(prompt),)),),
        max_output_tokens=request.max_tokens,
        sampling=Sampling(
            request.temperature,
            request.top_p,
            request.top_k,
            request.seed,
            request.frequency_penalty,
            request.presence_penalty,
        ),
        stop=stop,
        user_id=request.user,
        is_streaming=bool(request.stream),
    )
