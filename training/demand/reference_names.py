"""Gives models of older corpora the names that published tables use: `vendor/name`, without dates."""

import re

_VENDORS = {
    "claude": "anthropic", "codegemma": "google", "command": "cohere", "deepseek": "deepseek", "gemini": "google",
    "gemma": "google", "gpt": "openai", "grok": "x-ai", "jamba": "ai21", "llama": "meta", "llama3": "nvidia",
    "mathstral": "mistralai", "mistral": "mistralai", "mixtral": "mistralai", "o1": "openai", "phi": "microsoft",
    "qwen": "qwen", "reka": "rekaai", "yi": "01-ai",
}  # fmt: skip
"""First word of a model's name -> vendor."""
_DATE = re.compile(r"-(20\d{6}|20\d\d-\d\d-\d\d)$")


def vendor_model_of(name: str) -> str:
    """Return `vendor/name` of a model that a corpus names without its vendor; a name with a vendor stays as it is.

    >>> vendor_model_of("gpt-4o-2024-08-06")
    'openai/gpt-4o'
    """
    if "/" in name:
        return name
    family = re.split(r"[-.\d]", name)[0] if not name.startswith(("o1", "llama3")) else re.split(r"[-.]", name)[0]
    return f"{_VENDORS.get(family, 'other')}/{_DATE.sub('', name)}"
