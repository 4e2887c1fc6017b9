"""Measures whether choices survive changes that keep the question: does the router still pick the same model?

The changes are typos, other case, other spacing, a courtesy before or after the question, and other words. A router
that always picks one model is perfectly stable and useless, so the diversity of its choices is reported as well.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from training.corpus.routing_measures import Floats, Pool, choose, trade_at_cost
from training.network.fitted_model import Beliefs

Perturbation = Callable[[str, np.random.Generator], str]

_TYPOS_PER_LETTER = 0.02
_BLANKS_DOUBLED = 0.1
_COURTESIES = ("Please answer the following question.\n\n", "Hi! I need some help with this: ", "Question: ")
_THANKS = ("\n\nThank you!", " Thanks in advance.", "\n")
_OTHER_WORDS = MappingProxyType(
    {
        "how many": "what number of",
        "how much": "what amount of",
        "what is": "tell me",
        "what are": "tell me",
        "which of the following": "which one of these",
        "of the following": "of these",
        "find": "determine",
        "calculate": "work out",
        "compute": "work out",
        "determine": "find out",
        "show that": "prove that",
        "suppose": "assume",
        "assume": "suppose",
        "in order to": "to",
        "therefore": "so",
        "because": "since",
        "each": "every",
        "every": "each",
        "buys": "purchases",
        "begin": "start",
        "begins": "starts",
        "large": "big",
        "small": "little",
        "correct": "right",
        "people": "persons",
        "must": "has to",
        "about": "roughly",
        "write a": "implement a",
        "given": "with",
        "return": "give back",
        "returns": "gives back",
        "gave": "handed",
        "altogether": "in all",
        "in total": "in all",
        "another": "one more",
        "following": "next",
        "often": "frequently",
        "a person": "somebody",
        "usually": "as a rule",
        "who was": "name the one who was",
    }
)
_OTHER_WORDS_PATTERN = re.compile(
    r"\b(" + "|".join(sorted(map(re.escape, _OTHER_WORDS), key=len, reverse=True)) + r")\b", re.IGNORECASE
)


def reword(prompt: str, rng: np.random.Generator) -> str:
    """Replace words by others from a list; numbers, names and formulas stay as they are."""

    def other(match: re.Match[str]) -> str:
        words = _OTHER_WORDS[match[0].lower()]
        return words[0].upper() + words[1:] if match[0][0].isupper() else words

    return _OTHER_WORDS_PATTERN.sub(other, prompt)


def misspell(prompt: str, rng: np.random.Generator) -> str:
    """Swap, drop or double one letter in fifty, inside words only."""
    letters = list(prompt)
    for place in np.flatnonzero(rng.random(len(letters)) < _TYPOS_PER_LETTER):
        if 0 < place < len(letters) - 1 and "".join(letters[place - 1 : place + 2]).isalpha():
            kind = rng.integers(3)
            if kind == 0:
                letters[place], letters[place + 1] = letters[place + 1], letters[place]
            else:
                letters[place] *= 0 if kind == 1 else 2
    return "".join(letters)


def respace(prompt: str, rng: np.random.Generator) -> str:
    """Double one blank in ten and end with a line break."""
    return "".join(mark * 2 if mark == " " and rng.random() < _BLANKS_DOUBLED else mark for mark in prompt) + "\n"


def lower_case(prompt: str, rng: np.random.Generator) -> str:
    """Write everything in lower case."""
    return prompt.lower()


def be_polite(prompt: str, rng: np.random.Generator) -> str:
    """Add a courtesy before or after the question."""
    if rng.random() < 0.5:
        return str(rng.choice(_COURTESIES)) + prompt
    return prompt + str(rng.choice(_THANKS))


PERTURBATIONS: Mapping[str, Perturbation] = MappingProxyType(
    {"typos": misspell, "lower case": lower_case, "spacing": respace, "courtesy": be_polite, "other words": reword}
)


@dataclass(frozen=True, slots=True)
class Stability:
    """The stability of one pool's choices.

    Args:
        source: Source of the pool.
        kept: Name of a perturbation -> share of prompts whose chosen model stays the same.
        n_effective: Exponential of the choices' entropy: number of models in use, if all were used equally.
        prompts: Number of perturbed prompts.
    """

    source: str
    kept: Mapping[str, float]
    n_effective: float
    prompts: int


def measure_stability(
    pool: Pool,
    prompts: Sequence[str],
    believe: Callable[[Sequence[str]], Beliefs],
    columns: Sequence[int],
    seed: int,
) -> Stability:
    """Perturb prompts of a pool and compare the chosen models.

    The router chooses at the trade where it spends half of what the best single model costs.

    Args:
        pool: Models, and the known costs of `prompts`, which belong to its rows, in order.
        prompts: Texts of the `n` prompts.
        believe: Function that returns beliefs about texts.
        columns: Columns of the pool's models in those beliefs.
        seed: Seed of the perturbations.
    """
    quality, believed = _believed(pool, believe(prompts), columns)
    best_cost = pool.cost[:, pool.score.mean(axis=0).argmax()].mean()
    trade = trade_at_cost(pool, quality, believed, best_cost / 2)
    chosen = choose(quality, believed, trade)
    kept = {}
    for name, perturb in PERTURBATIONS.items():
        rng = np.random.default_rng(seed)
        perturbed = _believed(pool, believe([perturb(prompt, rng) for prompt in prompts]), columns)
        kept[name] = float((choose(*perturbed, trade) == chosen).mean())
    shares = np.bincount(chosen, minlength=len(columns)) / len(chosen)
    entropy = -sum(share * np.log(share) for share in shares if share > 0)
    return Stability(pool.source, kept, float(np.exp(entropy)), len(prompts))


def _believed(pool: Pool, beliefs: Beliefs, columns: Sequence[int]) -> tuple[Floats, Floats]:
    """Return (quality, believed cost in USD), each (n, models of the pool)."""
    mine = beliefs.of_models(columns)
    return mine.quality.astype(np.float64), pool.believed_cost(mine.completion_tokens.astype(np.float64))
