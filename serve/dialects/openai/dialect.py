"""The row of OpenAI's chat completions."""

from router.lane import Capability
from serve.dialects.dialect import Dialect
from serve.dialects.openai import NAME
from serve.dialects.openai.caller import ChatCaller
from serve.dialects.openai.native import NativeChat
from serve.dialects.openai.upstream import ChatUpstream

OPENAI = Dialect(
    name=NAME,
    paths=("/chat/completions", "/chat/completions"),
    upstream=ChatUpstream(),
    caller=ChatCaller(),
    native=NativeChat(),
    missing_parameters=frozenset({"top_k"}),
    capabilities=Capability.CHAT_DIALECT | Capability.MEDIA_URLS,
    carries_thoughts=False,
    messages_field="messages",
)
