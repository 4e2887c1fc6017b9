"""The row of OpenAI's completions of a text. Providers are asked in their chat dialects."""

from serve.dialects.completions import NAME
from serve.dialects.completions.caller import CompletionsCaller
from serve.dialects.dialect import Dialect

COMPLETIONS = Dialect(name=NAME, paths=("/completions", "/completions"), caller=CompletionsCaller())
