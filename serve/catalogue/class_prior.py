"""The class of a model that `data/models.yaml` has no row for, by its price, its size and its generation.

1. The price per million output tokens gives a class.
2. Open weights tell their size in the name (`-8b`). A size allows no more than its class.
3. Older generations were sold at prices that buy more today. Those of 2023 and 2024 allow no more than `small`, those
   of 2025 no more than `strong`.

The bounds are those that put the rows of `data/models.yaml` into their own classes best (2026-11-30: 38 of 52 rows are
in the class that the rule gives, all others in a class next to it). The belief is therefore wider than that of a row.
"""

import re
from collections.abc import Mapping
from typing import Final

CLASSES: Final = ("tiny", "small", "efficient", "strong", "frontier")
"""Classes, from low to high; `data/models.yaml` has a prior for each."""
WIDER: Final = 1.5
"""Factor on the standard deviation of the class's prior."""
_BELOW_USD_PER_MTOK: Final = ((0.12, "tiny"), (0.32, "small"), (3.0, "efficient"), (10.0, "strong"))
_UP_TO_BILLIONS: Final = ((5.0, "tiny"), (24.0, "small"), (130.0, "efficient"))
_SIZE: Final = re.compile(r"(?:^|[-_x])(\d+(?:\.\d+)?)b(?=$|[-_:.])")
_MIXTURE: Final = re.compile(r"(\d+)x(\d+(?:\.\d+)?)b(?=$|[-_])")
_OLD: Final = re.compile(
    r"^(?:claude$|claude-(?:[12]|3(?!\.7)|instant|v\d)|chatgpt|codellama|command(?!-a)|deepseek-(?:chat$|coder|v2)"
    r"|dolphin|gemini-(?:1|pro$)|gemma-[12]?-?\d|gpt-(?:3|4(?![.\d]))|goliath|grok-[12]|grok-(?:beta|vision)"
    r"|jamba-(?:1|instruct)"
    r"|llama-[23]|mistral-(?:7b|large-24|medium$|small-24|tiny)|mixtral|mythomax|o1-(?:mini|preview)|palm|phi-[123]"
    r"|pixtral|qwen-(?:1|2|max$|plus$|turbo$)|wizardlm|yi-)"
)
_OF_2025: Final = re.compile(
    r"^(?:claude-3\.7|claude-(?:opus|sonnet)-4|gemini-2|gpt-4\.[15]|gpt-5(?:$|-|\.[1-3])|grok-[34](?:$|-)"
    r"|kimi-k2(?:$|-)|o[134]"
    r"|qwen3-)"
)


def class_of(name: str, output_usd_per_mtok: float | None) -> str:
    """Return the class of a model.

    Args:
        name: Name of the model, as `router.model_name` makes it.
        output_usd_per_mtok: Its price; None, or 0: unknown, which counts as `small`.
    """
    bare = name.rpartition("/")[2]
    classes = [_by_price(output_usd_per_mtok)]
    size = _billions(bare)
    if size is not None:
        classes.append(_first_up_to(_UP_TO_BILLIONS, size))
    if _OLD.match(bare):
        classes.append("small")
    if _OF_2025.match(bare):
        classes.append("strong")
    return min(classes, key=CLASSES.index)


def _by_price(output_usd_per_mtok: float | None) -> str:
    if not output_usd_per_mtok:
        return "small"
    return next((name for bound, name in _BELOW_USD_PER_MTOK if output_usd_per_mtok < bound), "frontier")


def _first_up_to(bounds: tuple[tuple[float, str], ...], value: float) -> str:
    return next((name for bound, name in bounds if value <= bound), "frontier")


def _billions(bare: str) -> float | None:
    mixture = _MIXTURE.search(bare)
    if mixture:
        return float(mixture[1]) * float(mixture[2])
    sizes: Mapping[str, float] = {match[0]: float(match[1]) for match in _SIZE.finditer(bare)}
    return max(sizes.values()) if sizes else None
