"""A tiny collection of graded work whose truth is known, with published figures and prompts with expected demands."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

STRONG, WEAK, UNGRADED = "acme/strong-2", "acme/weak-8b", "acme/ungraded-3"
MODELS = {STRONG: 0.9, WEAK: 0.3, "zeta/good": 0.8, "zeta/fair": 0.6, "zeta/poor-4b": 0.2}
"""Graded model -> chance of a good answer in the source `patches`; in `notes` all are better."""
_LENGTHS = {STRONG: 900.0, WEAK: 300.0, "zeta/good": 700.0, "zeta/fair": 500.0, "zeta/poor-4b": 250.0}
_REASONING_SHARE = 0.5
_N_PROMPTS = 70
_FREE = "acme/table@1 (MIT)"
_THINGS = ("parser", "cache", "index", "queue", "timer", "router", "ledger", "buffer", "socket", "logger")
_PEOPLE = ("Ada", "Ben", "Chloe", "Dan", "Eve", "Farid", "Grace", "Hugo", "Ines", "Jun")


def write_collection(folder: Path, seed: int = 0) -> Path:
    """Write the sources `patches` (code, billed tokens, two efforts of a model) and `notes` (summaries), and tables."""
    rng = np.random.default_rng(seed)
    patches = [
        f"Fix the bug in module {_THINGS[i % 10]} number {i}:\n```python\ndef run_{i}(x):\n    return x[{i}]\n```"
        for i in range(_N_PROMPTS)
    ]
    notes = [f"Summarise the meeting {i} that {_PEOPLE[i % 10]} held about the budget." for i in range(_N_PROMPTS)]
    _write_source(folder / "patches", "patches", "code/patch", patches, 0.0, rng)
    _write_source(folder / "notes", "notes", "chat/summary", notes, 0.08, rng)
    scores = [(model, "", chance) for model, chance in MODELS.items()] + [(UNGRADED, "", 0.85)]
    pd.DataFrame(
        {
            "model": [model for model, _, _ in scores] * 2,
            "effort": "",
            "benchmark": ["Bench A"] * len(scores) + ["Bench B"] * len(scores),
            "domain": "code",
            "score": [chance for _, _, chance in scores] * 2,
            "unit": "share",
            "date": "2026-05-01",
            "source": _FREE,
            "raw_name": [model for model, _, _ in scores] * 2,
        }
    ).to_csv(folder / "benchmarks.csv", index=False)
    pd.DataFrame(
        [
            (model, effort, "chat/question", tokens * share, tokens * share * _REASONING_SHARE, "billed", _FREE)
            for model, tokens in _LENGTHS.items()
            for effort, share in (("", 1.0), ("high", 2.0))
        ],
        columns=["model", "effort", "task", "mean_output_tokens", "mean_reasoning_tokens", "counts", "source"],
    ).to_csv(folder / "verbosity.csv", index=False)
    return folder


def write_demands(folder: Path) -> Path:
    """Write 60 prompts: short questions that all answer, and long essays that few write well."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        {
            "id": f"short-{i}", "kind": "fact", "language": "en",
            "prompt": f"Say hello to {_PEOPLE[i % 10]}, friend {i}.",
            "visible_tokens": [4, 10, 30], "reasoning": 0, "small_ok": 0.97, "frontier_ok": 0.99,
        }
        for i in range(30)
    ] + [
        {
            "id": f"long-{i}", "kind": "essay", "language": "en",
            "prompt": f"Write an essay of about {1000 + 20 * i} words on the history of the {_THINGS[i % 10]}.",
            "visible_tokens": [1200, 1500, 2500], "reasoning": 2, "small_ok": 0.3, "frontier_ok": 0.9,
        }
        for i in range(30)
    ]  # fmt: skip
    (folder / "part-1.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def _write_source(
    folder: Path, source: str, task: str, prompts: list[str], bonus: float, rng: np.random.Generator
) -> None:
    folder.mkdir(parents=True)
    ids = [f"{source}-{i}" for i in range(len(prompts))]
    pd.DataFrame({"source": source, "prompt_id": ids, "task": task, "prompt": prompts}).to_parquet(
        folder / "prompts.parquet"
    )
    rows = []
    for prompt_id in ids:
        for model, chance in MODELS.items():
            efforts = ("", "high") if model == STRONG else ("",)
            for effort in efforts:
                total = _LENGTHS[model] * (2.0 if effort else 1.0) * float(np.exp(rng.normal(0, 0.2)))
                rows.append(
                    (source, prompt_id, model, effort, float(rng.random() < min(chance + bonus, 0.98)), total,
                     "billed", total * _REASONING_SHARE)
                )  # fmt: skip
    names = ["source", "prompt_id", "model", "effort", "score", "completion_tokens", "tokens_kind", "reasoning_tokens"]
    pd.DataFrame(rows, columns=names).to_parquet(folder / "responses.parquet")
