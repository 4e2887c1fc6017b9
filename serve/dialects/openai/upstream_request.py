"""The body for a provider: the caller's own, without the gateway's fields, with the provider's quirks applied."""

from collections.abc import Mapping
from typing import Any

import msgspec

from serve.dialects.inquiry import Body
from serve.dialects.neutral.accepted_names import accepted_call_id, accepted_user, is_refused_id
from serve.dialects.openai import NAME
from serve.dialects.quirks import NO_QUIRKS, Quirks
from serve.dialects.routing_fields import OUR_FIELDS

_THOUGHTS = frozenset({"reasoning", "reasoning_content", "reasoning_details", "extra_content"})
_ABOUT_TOOLS = ("parallel_tool_calls", "tool_choice", "tools")
_USERS = ("user", "safety_identifier")


def encode_upstream_body(body: Body, upstream_model: str, quirks: Quirks = NO_QUIRKS) -> bytes:
    """Return the JSON to send. The caller's body is not changed: a fallback lane starts from it again."""
    upstream = {name: value for name, value in body.items() if name not in OUR_FIELDS}
    upstream["model"] = upstream_model
    if upstream.get("stream"):
        _ask_for_usage(upstream, quirks)
    if quirks is not NO_QUIRKS:
        if (unknown := quirks.unknown_fields.get(NAME)) is not None:
            for name in upstream.keys() & unknown:
                del upstream[name]
        _fit_values(upstream, quirks)
        _apply(quirks, upstream)
    _fit_messages(upstream, quirks)
    return msgspec.json.encode(upstream)


def _ask_for_usage(upstream: Body, quirks: Quirks) -> None:
    if quirks.stream_usage == "request":
        upstream["stream_options"] = {**(upstream.get("stream_options") or {}), "include_usage": True}
    else:
        upstream.pop("stream_options", None)


def _fit_values(upstream: Body, quirks: Quirks) -> None:
    """Rewrite values that the provider refuses."""
    if not upstream.get("tools"):  # what is about tools is refused without them
        for name in _ABOUT_TOOLS:
            upstream.pop(name, None)
    elif quirks.effort_with_tools is not None and (
        quirks.states_effort_with_tools or upstream.get("reasoning_effort") is not None
    ):
        upstream["reasoning_effort"] = quirks.effort_with_tools
    if "stream_options" in upstream and not upstream.get("stream"):
        del upstream["stream_options"]
    for name, (least, most) in quirks.clamped_parameters.items():
        value = upstream.get(name)
        if isinstance(value, int | float) and not least <= value <= most:
            upstream[name] = min(max(value, least), most)
    if quirks.longest_user is not None or quirks.hides_addresses:
        for name in _USERS:
            if isinstance(user := upstream.get(name), str):
                upstream[name] = accepted_user(user, quirks)
    if quirks.most_stop_sequences is not None and isinstance(stop := upstream.get("stop"), list):
        upstream["stop"] = stop[: quirks.most_stop_sequences]
    words: Mapping[Any, str] = quirks.effort_words
    if words and (effort := upstream.get("reasoning_effort")) in words:
        upstream["reasoning_effort"] = words[effort]
    if quirks.fields_without_reasoning and upstream.get("reasoning_effort") == "none":
        del upstream["reasoning_effort"]
        upstream.update(quirks.fields_without_reasoning)
    if quirks.refused_with_thinking and upstream.get("reasoning_effort") not in (None, "none"):
        for name in upstream.keys() & quirks.refused_with_thinking:
            del upstream[name]


def _fit_messages(upstream: Body, quirks: Quirks) -> None:
    """Rewrite messages that the provider refuses.

    Thoughts and other vendors' signatures are taken out of earlier answers: only their own provider accepts them.
    """
    foreign = _THOUGHTS - quirks.kept_thoughts
    allowed = quirks.message_fields | quirks.kept_thoughts if quirks.message_fields else None
    refused_role = None if quirks.keeps_developer_role else "developer"
    checks_ids = quirks.call_id_length is not None or quirks.longest_call_id is not None
    wants_form = quirks.wants_plain_text or quirks.thought_placeholder is not None
    messages = upstream.get("messages") or ()
    unfit = set()
    # This runs for every message of every request to a provider of the same dialect: most need no function call.
    for place, message in enumerate(messages):
        if (
            not foreign.isdisjoint(message)
            or message.get("role") == refused_role
            or (allowed is not None and not message.keys() <= allowed)
            or (wants_form and _has_unfit_form(message, quirks))
        ):
            unfit.add(place)
        elif "tool_calls" in message:
            calls = message["tool_calls"]
            if not calls and quirks.rejects_empty_tool_calls:
                unfit.add(place)
            for call in calls or ():
                if "extra_content" in call or (checks_ids and is_refused_id(call.get("id"), quirks)):
                    unfit.add(place)
        elif checks_ids and "tool_call_id" in message and is_refused_id(message["tool_call_id"], quirks):
            unfit.add(place)
    if unfit:
        fitted = [
            _fitted(message, foreign, quirks) if place in unfit else message for place, message in enumerate(messages)
        ]
        upstream["messages"] = [message for message in fitted if message is not None]


def _has_unfit_form(message: Body, quirks: Quirks) -> bool:
    if quirks.wants_plain_text and isinstance(message.get("content"), list):
        return True
    return quirks.thought_placeholder is not None and _lacks_thought(message)


def _lacks_thought(message: Body) -> bool:
    return message.get("role") == "assistant" and not message.get("reasoning_content")


def _fitted(message: Body, foreign: frozenset[str], quirks: Quirks) -> Body | None:
    """Return a message that the provider takes. None: nothing of it is left, and empty answers are refused."""
    kept = {name: value for name, value in message.items() if name not in foreign}
    if quirks.message_fields:
        allowed = quirks.message_fields | quirks.kept_thoughts
        kept = {
            name: value for name, value in kept.items() if name in allowed and (value is not None or name == "content")
        }
    content = kept.get("content")
    if quirks.wants_plain_text and isinstance(content, list) and all(part.get("type") == "text" for part in content):
        kept["content"] = "\n\n".join(part.get("text") or "" for part in content)
    if kept.get("role") == "developer" and not quirks.keeps_developer_role:
        kept["role"] = "system"
    calls = kept.get("tool_calls")
    if calls:
        kept["tool_calls"] = [_fitted_call(call, foreign, quirks) for call in calls]
    elif calls == [] and quirks.rejects_empty_tool_calls:
        del kept["tool_calls"]
    if isinstance(call_id := kept.get("tool_call_id"), str):
        kept["tool_call_id"] = accepted_call_id(call_id, quirks)
    is_empty = kept.get("role") == "assistant" and not any(kept.get(name) for name in kept if name != "role")
    if is_empty:
        return None
    if quirks.thought_placeholder is not None and _lacks_thought(kept):
        kept["reasoning_content"] = quirks.thought_placeholder
    return kept


def _fitted_call(call: Body, foreign: frozenset[str], quirks: Quirks) -> Body:
    kept: dict[str, Any] = {
        name: value for name, value in call.items() if name != "extra_content" or name not in foreign
    }
    if isinstance(call_id := kept.get("id"), str):
        kept["id"] = accepted_call_id(call_id, quirks)
    return kept


def _apply(quirks: Quirks, upstream: Body) -> None:
    for ours, theirs in quirks.renamed_parameters.items():
        if ours in upstream:
            value = upstream.pop(ours)
            upstream.setdefault(theirs, value)
    if quirks.dropped_parameters:
        for name in upstream.keys() & quirks.dropped_parameters:
            del upstream[name]
    choice = upstream.get("tool_choice")
    if isinstance(choice, str) and choice in quirks.tool_choice:
        upstream["tool_choice"] = quirks.tool_choice[choice]
