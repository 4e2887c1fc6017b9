"""A request as its door read it, whatever the dialect."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from router.context import RouteContext
from serve.dialects.neutral.request import NeutralRequest
from serve.dialects.routing_fields import RoutingFields

Body = dict[str, Any]
"""A JSON object as it came: kept beside the typed view, because providers know fields that we do not."""


@dataclass(slots=True, eq=False)  # frozen would be three times as slow to make; nobody changes it all the same
class Inquiry:
    """One request.

    Args:
        dialect: That it is written in.
        fields: How it wants to be routed.
        body: As it came; never changed.
        context: What the decision may see of it.
        opening: How the conversation began; equal for all requests of one conversation.
        is_streaming: Whether the caller wants a stream.
        read_neutral: Reads the body into no provider's dialect.
        passed_headers: Of the caller, for a provider of the same dialect.
    """

    dialect: str
    fields: RoutingFields
    body: Body
    context: RouteContext
    opening: str
    is_streaming: bool
    read_neutral: Callable[[Body], NeutralRequest]
    passed_headers: dict[str, str] = field(default_factory=dict)
    _neutral: NeutralRequest | None = None

    @property
    def neutral(self) -> NeutralRequest:
        """The request in no provider's dialect; read when it is first needed.

        Raises:
            BadRequestError: It cannot be read to the end; names the field.
        """
        if self._neutral is None:
            self._neutral = self.read_neutral(self.body)
        return self._neutral
