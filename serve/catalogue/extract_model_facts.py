"""Makes `data/model_facts.json.gz` from litellm's wheel. `serve.catalogue.model_facts` has the command."""

import gzip
import json
import re
import sys
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from router.lane import EFFORTS
from serve.catalogue.model_facts import CAPABILITY_LETTERS, FILE
from serve.errors import ConfigurationError
from serve.packaged_files import data_dir

_TABLE: Final = "litellm/model_prices_and_context_window_backup.json"
_WHEEL: Final = re.compile(r"^litellm-([0-9][0-9a-z.]*)-.*\.whl$")
_LISTED_BY: Final = {
    "tools": ("supports_function_calling",),
    "images": ("supports_vision", "supports_image_input"),
    "json_schema": ("supports_response_schema", "supports_native_structured_output"),
    "reasoning": ("supports_reasoning",),
    "audio": ("supports_audio_input",),
    "documents": ("supports_pdf_input",),
}
"""Capability -> fields of litellm; one of them has to be true."""
_CHAT_ENDPOINTS: Final = frozenset({"/v1/chat/completions", "/v1/messages"})
_PLAIN_EFFORTS: Final = ("low", "medium", "high")
_FLAGGED_EFFORTS: Final = ("none", "minimal", "xhigh", "max")


def extract(wheel: Path, read_on: str) -> bytes:
    """Return the extract of a wheel, compressed. The same wheel and day always give the same bytes.

    Raises:
        ConfigurationError: It is no wheel of litellm, or has no table of models.
    """
    version = _WHEEL.match(wheel.name)
    try:
        with zipfile.ZipFile(wheel) as archive:
            table: dict[str, dict[str, Any]] = json.loads(archive.read(_TABLE))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"{wheel}: not a wheel of litellm with {_TABLE} ({type(error).__name__})") from None
    if version is None:
        raise ConfigurationError(f"{wheel}: the name tells no version. Keep the wheel's own name: litellm-….whl.")
    models: dict[str, dict[str, list[object]]] = {}
    for key, row in sorted(table.items()):
        named = row.get("litellm_provider")
        if named is None or " " in named:  # the row that explains the table
            continue
        host = _host(named)
        models.setdefault(host, {})[key.removeprefix(f"{host}/")] = _extract_row(row)
    content = {
        "source": f"litellm {version[1]}",
        "licence": "MIT, Copyright (c) 2023 Berri AI",
        "read_on": read_on,
        "columns": "mode, capabilities and flags, context, longest answer, reasoning efforts, retired on",
        "models": models,
    }
    return gzip.compress(json.dumps(content, separators=(",", ":")).encode(), 9, mtime=0)


def _host(named: str) -> str:
    """Return the provider of a row; litellm divides some by the kind of model: `vertex_ai-anthropic_models`."""
    return {"bedrock_converse": "bedrock"}.get(named) or named.partition("-")[0]


def _extract_row(row: Mapping[str, Any]) -> list[object]:
    mode = row.get("mode")
    if mode not in (None, "chat", "responses"):
        return [mode]
    flags = "".join(
        letter
        for letter, capability in CAPABILITY_LETTERS.items()
        if any(row.get(field) is True for field in _LISTED_BY[capability])
    )
    endpoints = row.get("supported_endpoints")
    if (endpoints and not _CHAT_ENDPOINTS & set(endpoints)) or "video" in row.get("supported_output_modalities", ()):
        flags += "n"
    flags += "s" if row.get("supports_sampling_params") is False else ""
    flags += "p" if row.get("supports_adaptive_thinking") is True else ""
    values = [
        mode,
        flags,
        _limit(row.get("max_input_tokens")),
        _limit(row.get("max_output_tokens")),
        " ".join(_efforts(row)) or None,
        row.get("deprecation_date"),
    ]
    while values and values[-1] in (None, ""):
        values.pop()
    return values


def _limit(value: object) -> int | None:
    return int(value) if isinstance(value, (int, float)) and value > 0 else None


def _efforts(row: Mapping[str, Any]) -> list[str]:
    """Return the supported efforts; empty: unknown. Rows with flags for the rarer ones support the three usual ones."""
    levels = row.get("reasoning_effort_levels")
    if levels is not None:
        return [effort for effort in EFFORTS if effort in levels]
    flags = {effort: row.get(f"supports_{effort}_reasoning_effort") for effort in _FLAGGED_EFFORTS}
    if not row.get("supports_reasoning") or all(flag is None for flag in flags.values()):
        return []
    return [effort for effort in EFFORTS if effort in _PLAIN_EFFORTS or flags.get(effort) is True]


def main() -> None:
    """Write the extract of the wheel that is named on the command line."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m serve.catalogue.extract_model_facts WHEEL_OF_LITELLM")
    try:
        content = extract(Path(sys.argv[1]), datetime.now(UTC).date().isoformat())
    except ConfigurationError as error:
        raise SystemExit(str(error)) from None
    path = data_dir() / FILE
    path.write_bytes(content)
    print(f"{path}: {len(content) / 1024:.0f} KB")


if __name__ == "__main__":
    main()
