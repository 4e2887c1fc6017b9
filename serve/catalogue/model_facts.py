"""What models can do, by the package litellm: `data/model_facts.json.gz`, an extract of its table of models.

litellm (MIT licence) lists models by provider with their limits, capabilities and dates. The extract keeps what lanes
need, and no prices. This command makes it again, from a newer version too:

    pip download --no-deps litellm==1.109.1 --dest /tmp/litellm
    python -m serve.catalogue.extract_model_facts /tmp/litellm/litellm-*.whl
"""

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from statistics import median_low
from typing import Final

from router.lane import EFFORTS, Effort
from router.model_name import model_name
from serve.errors import ConfigurationError

FILE: Final = "model_facts.json.gz"
CAPABILITY_LETTERS: Final = {
    "t": "tools",
    "i": "images",
    "j": "json_schema",
    "r": "reasoning",
    "a": "audio",
    "d": "documents",
}
_OF_THE_MODEL: Final = frozenset({"tools", "images", "json_schema", "reasoning"})
"""Capabilities that hosts of a model are believed to share. Audio and documents depend on the host's own service."""
_MAKERS: Final = {
    "ai21": "ai21",
    "amazon": "bedrock",
    "anthropic": "anthropic",
    "cohere": "cohere_chat",
    "deepseek": "deepseek",
    "google": "gemini",
    "minimax": "minimax",
    "mistralai": "mistral",
    "moonshotai": "moonshot",
    "openai": "openai",
    "qwen": "dashscope",
    "x-ai": "xai",
    "z-ai": "zai",
}
"""Vendor -> provider in litellm that is the vendor itself."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model. A field that is None, or empty, is unknown.

    Args:
        mode: Use by litellm: `chat`, `responses`, `embedding`, `image_generation` and others; None: unknown.
        takes_chat: Whether it can be asked in a dialect of chats; False: only on other endpoints.
        capabilities: Names of capabilities that it has.
        context_tokens: Longest prompt, in tokens.
        max_output_tokens: Longest answer, in tokens.
        efforts: Efforts of reasoning that it supports, the least first.
        takes_sampling: Whether it accepts `temperature`, `top_p` and `top_k`.
        adapts_thinking: Whether its thinking is set by effort rather than by a number of tokens (Claude).
        deprecated_on: Day on which the provider retires it.
    """

    mode: str | None = None
    takes_chat: bool = True
    capabilities: frozenset[str] = frozenset()
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    efforts: tuple[Effort, ...] = ()
    takes_sampling: bool = True
    adapts_thinking: bool = False
    deprecated_on: date | None = None


_CLOSED: Final = re.compile(r"(?:anthropic|cohere|openai|x-ai)/(?!gpt-oss)|google/gemini")
"""Models whose weights are not public."""
_N_COLUMNS: Final = 6
NO_FACTS: Final = ModelFacts()


class FactTable:
    """The facts by host, and by model.

    Args:
        by_host: Provider in litellm -> id there -> facts.
        source: Package and version, as `litellm 1.109.1`.
        read_on: Day on which the extract was made.
    """

    def __init__(self, by_host: Mapping[str, Mapping[str, ModelFacts]], source: str, read_on: date) -> None:
        self.source = source
        self.read_on = read_on
        self._by_host = by_host
        self._of_model: dict[str, list[tuple[str, ModelFacts]]] = {}
        self._ids_of: dict[tuple[str, str], list[str]] = {}
        for host, models in by_host.items():
            for model_id, facts in models.items():
                name = model_name(model_id, host)
                self._of_model.setdefault(name, []).append((host, facts))
                self._ids_of.setdefault((host, name), []).append(model_id)

    def of_host(self, host: str | None, model_ids: Iterable[str]) -> ModelFacts | None:
        """Return the facts of the first of these ids that the host lists; None: it lists none of them."""
        models = self._by_host.get(host or "", {})
        return next((models[model_id] for model_id in model_ids if model_id in models), None)

    def ids_of(self, host: str | None, name: str) -> Sequence[str]:
        """Return the ids of a model at a host, the usual one first: chat models, those not retired, short ids."""
        listed = [
            (facts.mode != "chat", facts.deprecated_on is not None and facts.deprecated_on <= self.read_on, model_id)
            for model_id, facts in self._models_at(host, name)
        ]
        return [model_id for *_, model_id in sorted(listed, key=lambda each: (*each[:2], len(each[2]), each[2]))]

    def _models_at(self, host: str | None, name: str) -> Iterable[tuple[str, ModelFacts]]:
        ids = self._ids_of.get((host or "", name), ())
        return [(model_id, self._by_host[host or ""][model_id]) for model_id in ids]

    def of_model(self, name: str) -> ModelFacts:
        """Return the facts of a model at a host that litellm does not list it for.

        They are those of its vendor. If the vendor does not offer it, they are what most hosts of it list: a capability
        counts if at least half of them list it, and a limit is the middle one.

        Args:
            name: Name of the model, as `router.model_name` makes it.
        """
        listed = [(host, facts) for host, facts in self._of_model.get(name, ()) if facts.mode in (None, "chat")]
        own = [facts for host, facts in listed if host == _MAKERS.get(name.partition("/")[0])]
        facts = own[:1] or [facts for _, facts in listed]
        return _majority(facts) if facts else NO_FACTS

    def is_offered(self, name: str) -> bool:
        """Return whether a host in litellm offers a model that was not retired when the extract was made.

        Some vendors sell their models themselves everywhere. Then only their own list counts.
        """
        maker = _MAKERS.get(name.partition("/")[0]) if _CLOSED.match(name) else None
        return any(
            facts.mode in (None, "chat") and (facts.deprecated_on is None or facts.deprecated_on > self.read_on)
            for host, facts in self._of_model.get(name, ())
            if maker in (None, host)
        )


def _majority(listed: Sequence[ModelFacts]) -> ModelFacts:
    counted = Counter(capability for facts in listed for capability in facts.capabilities & _OF_THE_MODEL)
    return ModelFacts(
        mode="chat",
        capabilities=frozenset(capability for capability, count in counted.items() if 2 * count >= len(listed)),
        context_tokens=_middle([facts.context_tokens for facts in listed]),
        max_output_tokens=_middle([facts.max_output_tokens for facts in listed]),
        efforts=next((facts.efforts for facts in listed if facts.efforts), ()) if len(listed) == 1 else (),
        takes_sampling=all(facts.takes_sampling for facts in listed),
        adapts_thinking=any(facts.adapts_thinking for facts in listed),
    )


def _middle(limits: Sequence[int | None]) -> int | None:
    values = [limit for limit in limits if limit is not None]
    return median_low(values) if values else None


@cache
def load_facts(folder: Path) -> FactTable:
    """Read the extract.

    Raises:
        ConfigurationError: It is missing or malformed.
    """
    path = folder / FILE
    try:
        content = json.loads(gzip.decompress(path.read_bytes()))
        hosts = {
            host: {model_id: _as_facts(row) for model_id, row in models.items()}
            for host, models in content["models"].items()
        }
        return FactTable(hosts, content["source"], date.fromisoformat(content["read_on"]))
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{path}: cannot be read ({type(error).__name__}). Restore the file, or make it again: "
            "python -m serve.catalogue.extract_model_facts, with the wheel of litellm."
        ) from None


def _as_facts(row: list[object]) -> ModelFacts:
    filled = [*row, *[None] * (_N_COLUMNS - len(row))]
    mode, letters, context_tokens, max_output_tokens, efforts, deprecated_on = filled
    flags = str(letters or "")
    return ModelFacts(
        mode=None if mode is None else str(mode),
        takes_chat="n" not in flags,
        capabilities=frozenset(name for letter, name in CAPABILITY_LETTERS.items() if letter in flags),
        context_tokens=context_tokens if isinstance(context_tokens, int) else None,
        max_output_tokens=max_output_tokens if isinstance(max_output_tokens, int) else None,
        efforts=tuple(effort for effort in EFFORTS if effort in str(efforts or "").split()),
        takes_sampling="s" not in flags,
        adapts_thinking="p" in flags,
        deprecated_on=date.fromisoformat(str(deprecated_on)) if deprecated_on else None,
    )
