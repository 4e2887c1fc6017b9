"""The body for a provider: the caller's own, without the gateway's fields, with the provider's quirks applied."""

import msgspec

from serve.dialects.inquiry import Body
from serve.dialects.openai import NAME
from serve.dialects.quirks import NO_QUIRKS, Quirks
from serve.dialects.routing_fields import OUR_FIELDS

_NONE: frozenset[str] = frozenset()
_THOUGHTS = frozenset({"reasoning", "reasoning_content", "reasoning_details", "extra_content"})


def encode_upstream_body(body: Body, upstream_model: str, quirks: Quirks = NO_QUIRKS) -> bytes:
    """Return the JSON to send. The caller's body is not changed: a fallback lane starts from it again."""
    upstream = {name: value for name, value in body.items() if name not in OUR_FIELDS}
    upstream["model"] = upstream_model
    if upstream.get("stream"):
        _ask_for_usage(upstream, quirks)
    if quirks is not NO_QUIRKS:
        for name in upstream.keys() & quirks.unknown_fields.get(NAME, _NONE):
            del upstream[name]
        _apply(quirks, upstream)
    _leave_thoughts_out(upstream, quirks)
    return msgspec.json.encode(upstream)


def _ask_for_usage(upstream: Body, quirks: Quirks) -> None:
    if quirks.stream_usage == "request":
        upstream["stream_options"] = {**(upstream.get("stream_options") or {}), "include_usage": True}
    else:
        upstream.pop("stream_options", None)


def _leave_thoughts_out(upstream: Body, quirks: Quirks) -> None:
    """Take thoughts and other vendors' signatures out of earlier answers: only their own provider accepts them."""
    foreign = _THOUGHTS - quirks.kept_thoughts
    messages = upstream.get("messages") or ()
    if not any(_carries(message, foreign) for message in messages):
        return
    upstream["messages"] = [
        _without(message, foreign) if _carries(message, foreign) else message for message in messages
    ]


def _carries(message: Body, foreign: frozenset[str]) -> bool:
    return not foreign.isdisjoint(message) or (
        "extra_content" in foreign and any("extra_content" in call for call in message.get("tool_calls") or ())
    )


def _without(message: Body, foreign: frozenset[str]) -> Body:
    kept = {name: value for name, value in message.items() if name not in foreign}
    if kept.get("tool_calls") and "extra_content" in foreign:
        kept["tool_calls"] = [
            {name: value for name, value in call.items() if name != "extra_content"} for call in kept["tool_calls"]
        ]
    return kept


def _apply(quirks: Quirks, upstream: Body) -> None:
    for ours, theirs in quirks.renamed_parameters.items():
        if ours in upstream:
            value = upstream.pop(ours)
            upstream.setdefault(theirs, value)
    for name in upstream.keys() & quirks.dropped_parameters:
        del upstream[name]
    choice = upstream.get("tool_choice")
    if isinstance(choice, str) and choice in quirks.tool_choice:
        upstream["tool_choice"] = quirks.tool_choice[choice]
    if quirks.rejects_empty_tool_calls:
        upstream["messages"] = [_without_empty_tool_calls(message) for message in upstream["messages"]]


def _without_empty_tool_calls(message: Body) -> Body:
    if message.get("tool_calls") != []:
        return message
    return {name: value for name, value in message.items() if name != "tool_calls"}
