"""A request as its door read it, in any dialect."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from router.context import RouteContext
from router.lane import Effort, Lane
from serve.dialects.field_needs import NO_NEEDS, OWN_DIALECT, FieldNeeds
from serve.dialects.neutral.request import NeutralRequest
from serve.dialects.routing_fields import RoutingFields

Body = dict[str, Any]
"""A JSON object as the caller sent it. It is kept next to the typed view: providers know fields that we do not."""


@dataclass(slots=True, eq=False)  # frozen would take three times as long to create; treat it as frozen
class Inquiry:
    """One request.

    Args:
        dialect: Name of the dialect of the body.
        fields: Typed fields of the body that say how to route it.
        body: The caller's body. It is never changed.
        context: The part of the request that the decision may see.
        opening: Beginning of the conversation; equal for all requests of one conversation.
        is_streaming: Whether the caller wants a stream.
        read_neutral: Reader of the body into the neutral form.
        needs: Meaning of the body's fields to lanes of other dialects.
        has_unsigned_thoughts: Whether the conversation has thoughts of Messages without a signature.
        has_special_tools: Whether the request has tools or a choice that only OpenAI's chat completions have.
        passed_headers: Headers of the caller that a provider of the same dialect gets.
    """

    dialect: str
    fields: RoutingFields
    body: Body
    context: RouteContext
    opening: str
    is_streaming: bool
    read_neutral: Callable[[Body], NeutralRequest]
    needs: FieldNeeds = NO_NEEDS
    has_unsigned_thoughts: bool = False
    has_special_tools: bool = False
    passed_headers: dict[str, str] = field(default_factory=dict)
    _neutral: NeutralRequest | None = None

    @property
    def neutral(self) -> NeutralRequest:
        """The request in neutral form. It is read when it is first needed.

        Raises:
            BadRequestError: A field of the body cannot be read; the error names the field.
        """
        if self._neutral is None:
            self._neutral = self.read_neutral(self.body)
        return self._neutral

    def hold_to_dialect(self) -> None:
        """Keep the request with lanes of its own dialect if it has fields or tools that others would not get."""
        names = self.needs.unknown + tuple(name for name in self.needs.hints if name.startswith("tools."))
        own = OWN_DIALECT.get(self.dialect)
        if not names or own is None:
            return
        self.context = replace(
            self.context,
            required=self.context.required | own,
            dialect_fields=(*self.context.dialect_fields, *names),
        )

    @property
    def has_usage_chunk(self) -> bool:
        """Whether a stream of chat completions ends with a chunk that has the usage and no choices."""
        options = self.body.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    def effort_to_set(self, lane: Lane) -> Effort | None:
        """Return the effort that must be put into the body for this lane.

        None: the lane leaves the effort to the provider, or the body states how much to reason.
        """
        return lane.effort if self.context.effort is None else None
