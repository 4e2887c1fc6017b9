"""The row of OpenAI's Responses."""

from router.lane import Capability
from serve.dialects.dialect import Dialect
from serve.dialects.responses import NAME
from serve.dialects.responses.caller import ResponsesCaller
from serve.dialects.responses.native import NativeResponses
from serve.dialects.responses.upstream import ResponsesUpstream

RESPONSES = Dialect(
    name=NAME,
    paths=("/responses", "/responses"),
    upstream=ResponsesUpstream(),
    takes_effort_with_tools=True,
    caller=ResponsesCaller(),
    native=NativeResponses(),
    missing_parameters=frozenset({"seed", "stop", "top_k", "frequency_penalty", "presence_penalty"}),
    capabilities=Capability.RESPONSES_DIALECT | Capability.MEDIA_URLS,
    messages_field="input",
)
