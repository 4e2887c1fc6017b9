"""The row of Amazon's Converse."""

from serve.dialects.bedrock.upstream import ConverseUpstream
from serve.dialects.dialect import Dialect

BEDROCK = Dialect(
    name="bedrock",
    paths=("/model/{model}/converse", "/model/{model}/converse-stream"),
    upstream=ConverseUpstream(),
    missing_parameters=frozenset({"seed", "frequency_penalty", "presence_penalty"}),
)
