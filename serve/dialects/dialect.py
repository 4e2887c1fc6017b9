"""What the gateway has to know of one wire format, as one row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import quote

from router.lane import Capability
from serve.dialects.exchange import Exchange
from serve.dialects.translation import CallerDialect, UpstreamDialect


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dialect:
    """One wire format. Its row is in `dialect.py` of its folder, and `serve/dialects/registry.py` lists it in one line.

    A field belongs here when it is the same for every provider of the dialect. What differs from provider to provider
    does not: that is data of the provider's row in `data/providers` (see `serve.dialects.quirks`).

    Args:
        name: Name in settings, in the catalogue and in lanes' endpoints; also the name of the folder.
        paths: Path of whole answers and path of streams, both below the base URL; `{model}` stands for the model's id.
        upstream: Writer of requests and reader of answers for providers that speak the dialect. None: calls cannot be
            translated into it, so no server can have it as its main dialect.
        caller: Writer of answers for callers that speak the dialect. None: answers cannot be translated into it.
        native: Exchange for a caller and a provider that both speak the dialect. None: these calls are translated too.
        key_header: Name of the header with the provider key. `authorization` takes it as a bearer token.
        headers: Headers that are sent with every call.
        passed_headers: Names, in lower case, of the caller's headers that a provider of the same dialect gets.
        takes_effort_with_tools: Whether a provider that refuses an effort next to tools takes both in this dialect.
        missing_parameters: Sampling parameters of a request that the dialect has no field for.
        capabilities: Capabilities that every lane has because of the format, whatever its model can do.
        carries_thoughts: Whether signed thoughts of earlier answers travel in the dialect. False: only at providers
            that keep them, by `Quirks.keeps_reasoning_details`.
        messages_field: Field of the caller's body that lists the conversation. None: there is no conversation, so its
            answers are not checked.
    """

    name: str
    paths: tuple[str, str]
    upstream: UpstreamDialect | None = None
    caller: CallerDialect | None = None
    native: Exchange | None = None
    key_header: str = "authorization"
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    passed_headers: tuple[bytes, ...] = ()
    takes_effort_with_tools: bool = False
    missing_parameters: frozenset[str] = frozenset()
    capabilities: Capability = Capability.NONE
    carries_thoughts: bool = True
    messages_field: str | None = None

    def key_headers(self, provider_key: str) -> dict[str, str]:
        """Return the header that carries a provider key."""
        return {self.key_header: f"Bearer {provider_key}" if self.key_header == "authorization" else provider_key}

    def endpoints(self, base_url: str, upstream_model: str, paths: tuple[str, str] | None = None) -> tuple[str, str]:
        """Return the URL of whole answers and the URL of streams.

        Args:
            base_url: Base URL of the provider.
            upstream_model: Model id that is sent to the provider.
            paths: The provider's own paths. None: those of the dialect.
        """
        root, model = base_url.rstrip("/"), quote(upstream_model, safe="")
        whole, stream = paths or self.paths
        return root + whole.format(model=model), root + stream.format(model=model)
