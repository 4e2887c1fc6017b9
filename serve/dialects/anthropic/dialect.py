"""The row of Anthropic's Messages."""

from router.lane import Capability
from serve.dialects.anthropic import NAME
from serve.dialects.anthropic.caller import MessagesCaller
from serve.dialects.anthropic.native import NativeMessages
from serve.dialects.anthropic.upstream import MessagesUpstream
from serve.dialects.dialect import Dialect

ANTHROPIC = Dialect(
    name=NAME,
    paths=("/messages", "/messages"),
    upstream=MessagesUpstream(),
    caller=MessagesCaller(),
    native=NativeMessages(),
    key_header="x-api-key",
    headers={"anthropic-version": "2023-06-01"},
    passed_headers=(b"anthropic-beta", b"anthropic-version"),
    missing_parameters=frozenset({"seed", "frequency_penalty", "presence_penalty"}),
    capabilities=Capability.MESSAGES_DIALECT | Capability.MEDIA_URLS,
    messages_field="messages",
)
