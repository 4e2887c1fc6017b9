"""The doors: for each caller dialect its reader, its error envelope, and the headers that it passes on to providers."""

from collections.abc import Callable
from dataclasses import dataclass

from serve.dialects.anthropic.dialect import ANTHROPIC
from serve.dialects.anthropic.messages_request import read_count_request, read_messages_request
from serve.dialects.completions.completions_request import read_completions_request
from serve.dialects.embeddings.embeddings_request import read_embeddings_request
from serve.dialects.inquiry import Inquiry
from serve.dialects.openai.conversation import read_chat_request
from serve.dialects.responses.responses_request import read_responses_request
from serve.errors import RequestError
from serve.http.error_envelope import ErrorAnswer, MessagesErrorAnswer, error_envelope, messages_error_envelope


@dataclass(frozen=True, slots=True)
class Door:
    """One dialect that callers speak.

    Args:
        read: Function that reads the bytes of a request; raises BadRequestError or TooLargeError.
        error_envelope: Function that makes the body for an error.
        passed_headers: Names, in lower case, of the headers that a provider of the same dialect gets.
    """

    read: Callable[[bytes], Inquiry]
    error_envelope: Callable[[RequestError], ErrorAnswer | MessagesErrorAnswer]
    passed_headers: tuple[bytes, ...] = ()


CHAT = Door(read_chat_request, error_envelope)
COMPLETIONS = Door(read_completions_request, error_envelope)
EMBEDDINGS = Door(read_embeddings_request, error_envelope)
RESPONSES = Door(read_responses_request, error_envelope)
MESSAGES = Door(read_messages_request, messages_error_envelope, ANTHROPIC.passed_headers)
COUNT_TOKENS = Door(read_count_request, messages_error_envelope, ANTHROPIC.passed_headers)
