"""A small corpus with a known truth: two kinds of prompts and three models.

One model answers both kinds well, one only the easy kind, and one neither.
"""

from pathlib import Path

import numpy as np
import pandas as pd

STRONG, WEAK, HOPELESS = "acme-strong", "acme-weak", "acme-hopeless"
_SUBJECTS = ("apples", "trains", "coins", "boats", "lamps", "stones", "birds", "books", "chairs", "clocks")
_VERBS = ("buys", "sells", "finds", "loses", "lends", "counts", "paints", "moves")


def tiny_tables(n_prompts: int = 160, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return prompts and responses in the corpus format."""
    random = np.random.default_rng(seed)
    prompts, responses = [], []
    for number in range(n_prompts):
        is_hard = number % 2 == 1
        subject, verb = random.choice(_SUBJECTS), random.choice(_VERBS)
        count, extra = random.integers(2, 90, 2)
        text = (
            f"Prove that the polynomial x^{count} + {extra}x + 1 is irreducible over the rationals, "
            f"or factor it ({subject}, {verb})."
            if is_hard
            else f"Ann {verb} {count} {subject} and then {extra} more. How many {subject} is that in all?"
        )
        prompt_id = f"p{number:04d}"
        prompts.append(("tiny", prompt_id, "proof" if is_hard else "sum", text))
        for model, chance, tokens in (
            (STRONG, 0.95, 400 if is_hard else 60),
            (WEAK, 0.1 if is_hard else 0.95, 300 if is_hard else 40),
            (HOPELESS, 0.05, 20),
        ):
            score = float(random.random() < chance)
            responses.append(("tiny", prompt_id, model, score, float(round(tokens * random.uniform(0.8, 1.2)))))
    return (
        pd.DataFrame(prompts, columns=["source", "prompt_id", "task", "prompt"]),
        pd.DataFrame(responses, columns=["source", "prompt_id", "model", "score", "completion_tokens"]),
    )


def write_corpus(folder: Path, prompts: pd.DataFrame, responses: pd.DataFrame) -> Path:
    """Write a corpus with prices and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    prompts.to_parquet(folder / "prompts.parquet")
    responses.to_parquet(folder / "responses.parquet")
    lines = [
        "model,input_usd_per_mtok,output_usd_per_mtok",
        f"{STRONG},3,15",
        f"{WEAK},0.1,0.4",
        f"{HOPELESS},0.02,0.05",
    ]
    (folder / "prices.csv").write_text("\n".join(lines) + "\n")
    return folder
