"""Makes a neutral request fit what a provider accepts, before its dialect is written."""

from collections.abc import Mapping
from dataclasses import replace

from serve.dialects.neutral.parts import ToolForm
from serve.dialects.neutral.request import NeutralRequest, Turn
from serve.dialects.quirks import Quirks


def fitted(request: NeutralRequest, quirks: Quirks) -> NeutralRequest:
    """Return the request as a provider with these quirks accepts it."""
    if not request.turns and request.system:  # every provider but OpenAI wants a turn of the user
        request = replace(request, system=(), turns=(Turn("user", request.system),))
    return request


def forms_of(request: NeutralRequest, quirks: Quirks) -> Mapping[str, ToolForm]:
    """Return the forms of tools that the provider gets under another name or as another kind, by the name it gets."""
    return {tool.name: tool.form for tool in request.tools if tool.form is not None}
