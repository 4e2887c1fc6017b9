"""Reads provider keys, servers and prices from LiteLLM's `config.yaml`.

Source: docs.litellm.ai/docs/proxy/configs, and `ModelParams` and `LiteLLM_Params` of litellm 1.109.1, read 2026-11-24.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from serve.catalogue.provider_rows import ProviderRow
from serve.errors import ConfigurationError
from serve.provider_keys.importable_key import Importable, ImportableKey

_OUR_NAMES = {"together_ai": "together", "fireworks_ai": "fireworks", "nvidia_nim": "nvidia-nim", "vertex_ai": "vertex"}
_SERVERS = {
    "openai",
    "hosted_vllm",
    "vllm",
    "openai_like",
    "lm_studio",
    "llamafile",
    "ollama",
    "ollama_chat",
    "custom_openai",
}
_PER_MTOK = 1_000_000


@dataclass(slots=True)
class _Reading:
    environment: Mapping[str, str]
    rows: Mapping[str, ProviderRow]
    keys: dict[tuple[str, str, str | None], ImportableKey] = field(default_factory=dict)
    servers: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)


def read_litellm_config(path: Path, rows: Sequence[ProviderRow], environment: Mapping[str, str]) -> Importable:
    """Return the keys and servers of a LiteLLM configuration that llmdeal can use.

    Args:
        path: Path of the file.
        rows: Providers of the catalogue.
        environment: Environment variables, for values such as `os.environ/NAME`.

    Raises:
        ConfigurationError: The file cannot be read, or is no LiteLLM configuration.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigurationError(f"{path}: not YAML{f', line {mark.line + 1}' if mark else ''}") from None
    models = document.get("model_list") if isinstance(document, dict) else None
    if not isinstance(models, list):
        raise ConfigurationError(f"{path}: no model_list: is it LiteLLM's config.yaml?")
    reading = _Reading(environment, {row.id: row for row in rows})
    for number, entry in enumerate(models, start=1):
        _read_model(reading, entry, f"{path.name}: model_list[{number}]")
    _note_the_rest(reading, document)
    return Importable(tuple(reading.keys.values()), _toml(reading.servers), tuple(reading.notes))


def _read_model(reading: _Reading, entry: Any, where: str) -> None:
    params = entry.get("litellm_params") if isinstance(entry, dict) else None
    if not isinstance(params, dict) or not isinstance(params.get("model"), str):
        reading.notes[f"{where}: no litellm_params.model; left out"] = None
        return
    vendor, _, model = params["model"].partition("/")
    named = str(entry.get("model_name", params["model"]))
    if not model:
        vendor, model = "openai", vendor
    base_url = _resolved(reading, params.get("api_base") or params.get("base_url"), where)
    if vendor in _SERVERS and base_url is not None and not _is_the_providers_own(reading, base_url):
        _read_server(reading, params, base_url, named, model, where)
        return
    provider = _OUR_NAMES.get(vendor, vendor)
    row = reading.rows.get(provider)
    if row is None:
        reading.notes[f"{where}: {vendor} is no provider of ours; left out"] = None
        return
    if row.credentials != "key":
        reading.notes[f"{where}: {row.name} takes more than a key; set it up under [providers.{row.id}]"] = None
        return
    secret = _resolved(reading, params.get("api_key") or f"os.environ/{row.key_env[0]}", where)
    if secret is not None:
        own_url = base_url if base_url is not None and row.base_url is None else None
        _add_key(reading, ImportableKey(provider, "main", secret, where, own_url))
    if named not in ("*", params["model"], model):
        reading.notes[
            f"{where}: the name {named!r} stands for {provider}/{model} there; ask for that name, or for smart-route"
        ] = None


def _add_key(reading: _Reading, key: ImportableKey) -> None:
    """Add a key under a name of its own. Many entries of the file share one key; one provider may have several keys."""
    identity = (key.provider, key.secret, key.base_url)
    if identity in reading.keys:
        return
    n_before = sum(other.provider == key.provider for other in reading.keys.values())
    name = "main" if n_before == 0 else f"key-{n_before + 1}"
    reading.keys[identity] = ImportableKey(key.provider, name, key.secret, key.origin, key.base_url)


def _read_server(reading: _Reading, params: dict[str, Any], base_url: str, named: str, model: str, where: str) -> None:
    host = _host(base_url) or "server"
    server_id = (
        "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in host.lower()).strip("-")
        or "server"
    )
    lines = reading.servers.setdefault(
        server_id,
        ["[[servers]]", f'id = "{server_id}"', f"base_url = {_quoted(base_url)}", *_key_line(params, where, reading)],
    )
    prices = [
        f', {ours} = "{rate}"'
        for theirs, ours in (
            ("input_cost_per_token", "input_usd_per_mtok"),
            ("output_cost_per_token", "output_usd_per_mtok"),
        )
        if (rate := _rate(params.get(theirs))) is not None
    ]
    lines += [
        "",
        "[[servers.models]]",
        f"upstream_model = {_quoted(model)}",
        f"vendor_model = {_quoted(_vendor_model(named, server_id))}",
    ]
    lines += [price.removeprefix(", ") for price in prices]


def _key_line(params: dict[str, Any], where: str, reading: _Reading) -> list[str]:
    if params.get("api_key"):
        reading.notes[f"{where}: the key of this server is not printed; put it into llmdeal.toml yourself, as key"] = (
            None
        )
        return ["# key = …"]
    return []


def _vendor_model(named: str, server_id: str) -> str:
    return named if "/" in named else f"{server_id}/{named}"


def _is_the_providers_own(reading: _Reading, base_url: str) -> bool:
    host = _host(base_url)
    return any(row.base_url is not None and _host(row.base_url) == host for row in reading.rows.values())


def _resolved(reading: _Reading, value: Any, where: str) -> str | None:
    """Return a value, looked up where it says `os.environ/NAME`."""
    if not isinstance(value, str) or not value:
        return None
    if not value.startswith("os.environ/"):
        return value
    name = value.removeprefix("os.environ/")
    text = reading.environment.get(name, "").strip()
    if not text:
        reading.notes[f"{where}: {name} is not in the environment; left out"] = None
        return None
    return text


def _rate(per_token: Any) -> str | None:
    try:
        return None if per_token is None else f"{(Decimal(str(per_token)) * _PER_MTOK).normalize():f}"
    except InvalidOperation:
        return None


def _note_the_rest(reading: _Reading, document: dict[str, Any]) -> None:
    notes = {
        "router_settings": (
            "router_settings: routing here is learned; see policy, quality_bar and slow_start in docs/settings.md"
        ),
        "litellm_settings": "litellm_settings: fallbacks, retries and drop_params need no settings here",
        "environment_variables": "environment_variables: set them yourself",
    }
    for section, note in notes.items():
        if document.get(section):
            reading.notes[note] = None
    general = document.get("general_settings")
    if isinstance(general, dict) and general.get("master_key"):
        reading.notes["general_settings.master_key: callers need keys of ours: llmdeal keys issue NAME"] = None


def _toml(servers: Mapping[str, list[str]]) -> str:
    return "\n\n".join("\n".join(lines) for lines in servers.values())


def _quoted(text: str) -> str:
    """Return a TOML basic string: a JSON string in UTF-8.

    The one control character that JSON leaves alone is escaped. Lone surrogates become `?`.
    """
    whole = text.encode(errors="replace").decode()
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
