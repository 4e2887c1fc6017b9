"""Licences of the graded sources and of the tables of published scores, and which may be built on by default.

None: the results have no licence file.
"""

import re
from collections.abc import Iterable, Mapping

SOURCE_LICENCES: Mapping[str, str | None] = {
    "abap": "MIT",
    "bfcl_oss": None,
    "es_business": "MIT",
    "ko_translation": "MIT",
    "mcpmark": None,
    "misguided": "CC0",
    "openhands_index": "MIT",
    "pm_llm_v2": "GPL-3.0",
    "pm_llm_v3": "GPL-3.0",
    "sql": "MIT",
    "svelte": "MIT",
}
"""Graded source -> licence of its results. A source that is not here is the operator's own."""

_FREE = re.compile(r"^(MIT|Apache-2\.0|CC0(-1\.0)?|CC-BY(-\d\.\d)?)$", re.IGNORECASE)


def is_free(licence: str | None) -> bool:
    """Return whether results under this licence may be built on without conditions besides credit."""
    return licence is not None and _FREE.match(licence) is not None


def free_sources(sources: Iterable[str]) -> tuple[str, ...]:
    """Return the graded sources that have a free licence or are the operator's own, in the given order."""
    return tuple(source for source in sources if source not in SOURCE_LICENCES or is_free(SOURCE_LICENCES[source]))


def is_free_table(source: str) -> bool:
    """Return whether a source of a table, as "Aider-AI/aider@5dc9490 (Apache-2.0)", states a free licence."""
    stated = re.search(r"\(([^()]+)\)\s*$", source)
    if stated is None:
        return False
    if stated.group(1) == "this folder":
        return bool(free_sources([source.split(" ")[0]]))
    return is_free(stated.group(1))
