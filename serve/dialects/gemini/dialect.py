"""The row of Gemini's generateContent."""

from router.lane import Capability
from serve.dialects.dialect import Dialect
from serve.dialects.gemini.upstream import GeminiUpstream

GEMINI = Dialect(
    name="gemini",
    paths=("/models/{model}:generateContent", "/models/{model}:streamGenerateContent?alt=sse"),
    upstream=GeminiUpstream(),
    key_header="x-goog-api-key",
    capabilities=Capability.JSON_OBJECT,
)
