"""The dialects by name: adding one is a folder next to this file and a line in `DIALECTS`."""

from collections.abc import Collection, Iterable
from functools import cache

from router.lane import Capability
from serve.dialects.anthropic.dialect import ANTHROPIC
from serve.dialects.bedrock.dialect import BEDROCK
from serve.dialects.completions.dialect import COMPLETIONS
from serve.dialects.dialect import Dialect
from serve.dialects.embeddings.dialect import EMBEDDINGS
from serve.dialects.exchange import Exchange
from serve.dialects.gemini.dialect import GEMINI
from serve.dialects.openai.dialect import OPENAI
from serve.dialects.quirks import Quirks
from serve.dialects.responses.dialect import RESPONSES
from serve.dialects.thoughts import THOUGHTS_OF_VENDOR
from serve.dialects.translation import CallerDialect, Translation, UpstreamDialect

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        ANTHROPIC,
        BEDROCK,
        COMPLETIONS,
        EMBEDDINGS,
        GEMINI,
        OPENAI,
        RESPONSES,
    )
}


def upstream_dialects() -> dict[str, UpstreamDialect]:
    """Return the dialects that any call can be translated into, by name."""
    return {name: dialect.upstream for name, dialect in DIALECTS.items() if dialect.upstream is not None}


def caller_dialects() -> dict[str, CallerDialect]:
    """Return the dialects that any answer can be translated into, by name."""
    return {name: dialect.caller for name, dialect in DIALECTS.items() if dialect.caller is not None}


def check_main_dialect(name: str) -> str:
    """Return the name, if a server or a provider can have this dialect as its main one.

    Raises:
        ValueError: There is no dialect of this name, or calls cannot be translated into it.
    """
    return _checked(name, upstream_dialects())


def check_further_dialect(name: str) -> str:
    """Return the name, if a server or a provider can speak this dialect besides its main one.

    Raises:
        ValueError: There is no dialect of this name, or no chat endpoint of ours takes it.
    """
    return _checked(name, [taken for taken in caller_dialects() if DIALECTS[taken].native is not None])


def _checked(name: str, allowed: Collection[str]) -> str:
    if name not in allowed:
        raise ValueError(f"{name!r} is not a dialect that can be used here. Use one of: {', '.join(sorted(allowed))}.")
    return name


@cache
def exchange_between(caller: str, upstream: str) -> Exchange:
    """Return what carries calls from a caller's dialect to a provider's, and the answers back.

    Raises:
        LookupError: Calls cannot be carried between these two dialects.
    """
    native = DIALECTS[caller].native
    return native if caller == upstream and native is not None else translation_between(caller, upstream)


@cache
def translation_between(caller: str, upstream: str) -> Exchange:
    """Return what translates calls from a caller's dialect to a provider's, which may be the same.

    Raises:
        LookupError: Calls cannot be carried between these two dialects.
    """
    caller_side, upstream_side = DIALECTS[caller].caller, DIALECTS[upstream].upstream
    if caller_side is None or upstream_side is None:
        raise LookupError(f"no call can be carried from dialect {caller!r} to dialect {upstream!r}")
    return Translation(caller_side, upstream_side, DIALECTS[upstream].takes_effort_with_tools)


def parameters_refused_by(name: str, quirks: Quirks) -> frozenset[str]:
    """Return the sampling parameters of a request that never reach a provider.

    Its dialect has no field for them, or the provider answers them with an error.
    """
    return (DIALECTS[name].missing_parameters - quirks.extra_parameters) | quirks.dropped_parameters


def capabilities_of_dialects(names: Iterable[str], vendor_model: str, quirks: Quirks) -> Capability:
    """Return what a lane can do because of the dialects that it speaks, whatever its model can do."""
    thoughts = THOUGHTS_OF_VENDOR.get(vendor_model.partition("/")[0], Capability.NONE)
    capabilities = Capability.NONE
    for name in names:
        dialect = DIALECTS[name]
        capabilities |= dialect.capabilities
        if dialect.carries_thoughts or quirks.keeps_reasoning_details:
            capabilities |= thoughts
    return capabilities
