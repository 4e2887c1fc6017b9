"""Prompts composed from templates: requests whose answers have a length that follows from the request itself."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

import numpy as np
import yaml

from training.errors import CorpusError

TEMPLATES_FILE = "templates.yaml"
_TEXT = "text_"
_MOST_PASSAGES = 5
_CHANCE_OF_MORE = 0.55
"""Chance of one more passage in a text."""
_CHARACTERS_PER_TOKEN = 4.2
_LEAST_TYPICAL = 2.0
"""Tokens of the shortest typical answer."""


class ExpectedAnswer(NamedTuple):
    """A prompt with what its author expects of an answer; the fields of a line of `data/demands/*.jsonl`."""

    prompt: str
    visible_tokens: tuple[float, float, float]
    reasoning: int
    small_ok: float
    frontier_ok: float


def compose_prompts(path: Path, seed: int = 0) -> list[ExpectedAnswer]:
    """Return the prompts of a file of templates, each once; the same file and seed give the same prompts.

    Raises:
        CorpusError: The file is malformed; the message names the template and the fix.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        slots, passages, templates = content["slots"], content["passages"], content["templates"]
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as problem:
        raise CorpusError(path, f"cannot be read ({problem})", "see the README of data/demands") from problem
    rng = np.random.default_rng(seed)
    composed: dict[str, ExpectedAnswer] = {}
    for number, template in enumerate(templates, start=1):
        try:
            for prompt in _of_template(template, slots, passages, rng):
                composed.setdefault(prompt.prompt, prompt)
        except (KeyError, ValueError, TypeError, IndexError) as problem:
            raise CorpusError(
                path, f"template {number} is malformed ({problem})", "see the README of data/demands"
            ) from problem
    return list(composed.values())


def _of_template(
    template: Mapping[str, Any],
    slots: Mapping[str, Sequence[Any]],
    passages: Mapping[str, Sequence[str]],
    rng: np.random.Generator,
) -> Iterator[ExpectedAnswer]:
    wordings = template["prompts"]
    if not wordings:
        raise ValueError("it has no prompts")
    for draw in range(template["n"]):
        wording = wordings[draw % len(wordings)]
        parts: list[str] = []
        amounts: dict[str, Any] = {}
        for literal, name, _, _ in Formatter().parse(wording):
            parts.append(literal)
            if name is None:
                continue
            value = (
                _text(passages[name.removeprefix(_TEXT)], rng) if name.startswith(_TEXT) else _drawn(slots[name], rng)
            )
            amounts[name] = len(value) / _CHARACTERS_PER_TOKEN if name.startswith(_TEXT) else value
            parts.append(str(value))
        yield ExpectedAnswer(
            "".join(parts),
            _length(template, amounts),
            int(template["reasoning"]),
            float(template["small_ok"]),
            float(template["frontier_ok"]),
        )


def _length(template: Mapping[str, Any], amounts: Mapping[str, Any]) -> tuple[float, float, float]:
    if "per" not in template:
        low, typical, high = map(float, template["tokens"])
        return low, typical, high
    stated = sum(factor * float(amounts.get(name, 0)) for name, factor in template["per"].items())
    typical = max(template["base"] + stated, _LEAST_TYPICAL)
    low, high = template["spread"]
    return max(typical * low, 1.0), typical, typical * high


def _drawn(values: Sequence[Any], rng: np.random.Generator) -> Any:
    return values[int(rng.integers(len(values)))]


def _text(passages: Sequence[str], rng: np.random.Generator) -> str:
    n = 1
    while n < min(_MOST_PASSAGES, len(passages)) and rng.random() < _CHANCE_OF_MORE:
        n += 1
    return "\n\n".join(passages[int(place)] for place in rng.permutation(len(passages))[:n])
