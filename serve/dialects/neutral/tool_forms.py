"""Tools that are no plain functions at the caller.

They are offered to other dialects as functions, and a call of one comes back as what it was.
"""

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from serve.dialects.neutral.answer import AnswerEvent, NeutralAnswer, ToolArguments, ToolCallBegan
from serve.dialects.neutral.parts import ToolCallPart, ToolForm, arguments_object
from serve.dialects.neutral.request import Tool

APPLY_PATCH: Final = "apply_patch"
_INPUT: Final = "input"
_PATCH_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
        "path": {"type": "string", "description": "Path of the file."},
        "diff": {"type": "string", "description": "Diff to apply, in the V4A format; absent for delete_file."},
    },
    "required": ["type", "path"],
}


def new_call_id() -> str:
    """Return a random id for a call that came without one: no id may come twice in a conversation."""
    return f"call_{secrets.token_hex(12)}"


def custom_tool(name: str, description: str | None, grammar: Mapping[str, Any] | None, form: ToolForm) -> Tool:
    """Return OpenAI's custom tool as a function with one text.

    Args:
        name: Name of the function.
        description: Description for the model.
        grammar: The tool's `format`; a grammar is added to the description, because no other dialect can enforce it.
        form: Form in which the caller offered it.
    """
    text = {"type": "string", "description": "The whole input of the tool, as plain text."}
    definition = (
        None if grammar is None else grammar.get("definition") or (grammar.get("grammar") or {}).get("definition")
    )
    words = [description] if description else []
    if definition:
        words.append(f"The input must follow this grammar:\n{definition}")
    schema = {"type": "object", "properties": {_INPUT: text}, "required": [_INPUT], "additionalProperties": False}
    return Tool(name, "\n\n".join(words) or None, schema, form=form)


def apply_patch_tool() -> Tool:
    """Return OpenAI's `apply_patch` as a function (types of the package openai 3.54.0, read 2026-12-01)."""
    words = "Create, update or delete one file by a diff."
    return Tool(APPLY_PATCH, words, _PATCH_SCHEMA, form=ToolForm("apply_patch", APPLY_PATCH))


def custom_arguments(text: str) -> str:
    """Return the input of a custom tool as arguments of the function."""
    return msgspec.json.encode({_INPUT: text}).decode()


def input_of(arguments: str) -> str:
    """Return the input of a custom tool from the arguments of the function; other arguments are passed as they are."""
    value = arguments_object(arguments).get(_INPUT)
    return value if isinstance(value, str) else arguments


def namespaced(namespace: str | None, name: str) -> str:
    """Return the name of a function in a namespace, for dialects that have no namespaces."""
    return name if namespace is None else f"{namespace}__{name}"


def allowed_tools(tools: Sequence[Tool], names: Collection[str]) -> tuple[Tool, ...]:
    """Return the tools that OpenAI's `allowed_tools` leaves. Other dialects cannot offer a tool and forbid it."""
    return tuple(tool for tool in tools if tool.name in names or (tool.form is not None and tool.form.name in names))


@dataclass(slots=True)
class ToolForms:
    """Puts the calls of an answer back into the forms of the caller.

    Args:
        form_of: Name that the provider got -> form at the caller. Names that are absent stay as they are.
    """

    form_of: Mapping[str, ToolForm]
    _held: list[str] = field(default_factory=list)
    _open: ToolCallBegan | None = None

    def answer(self, answer: NeutralAnswer) -> NeutralAnswer:
        """Return a whole answer with its calls as the caller offered the tools."""
        return replace(
            answer, parts=tuple(self._call(part) if isinstance(part, ToolCallPart) else part for part in answer.parts)
        )

    def events(self, event: AnswerEvent) -> Iterator[AnswerEvent]:
        """Yield the events for the caller. The text of a custom tool comes at once, when its call is complete."""
        opened = self._open
        if opened is not None:
            if isinstance(event, ToolArguments) and event.number == opened.number:
                self._held.append(event.json)
                return
            yield from self.rest()
        if not isinstance(event, ToolCallBegan) or (form := self.form_of.get(event.name)) is None:
            yield event
            return
        began = ToolCallBegan(event.number, event.call_id, form.name, event.signature, form)
        if form.kind != "function":
            self._open = began
        yield began

    def rest(self) -> Iterator[AnswerEvent]:
        """Yield what was held back of the last call."""
        opened, self._open = self._open, None
        if opened is None or opened.form is None:
            return
        arguments, self._held = "".join(self._held), []
        yield ToolArguments(opened.number, _plain(arguments, opened.form))

    def _call(self, call: ToolCallPart) -> ToolCallPart:
        form = self.form_of.get(call.name)
        if form is None:
            return call
        return replace(call, name=form.name, arguments=_plain(call.arguments, form), form=form)


def _plain(arguments: str, form: ToolForm) -> str:
    """Return the arguments as the caller's tool takes them: text for a custom tool, else JSON."""
    return input_of(arguments) if form.kind == "custom" else arguments or "{}"
