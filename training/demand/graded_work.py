"""Reads graded work of many sources, and prompts with their expected demands, as one table of cells.

A *cell* is what one row (a model at an effort) did on one prompt. Sources differ in what a score means, so each source,
or each large task of a source, is a *column* with a scale of its own.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from router.context import RouteContext
from training.abilities.graded_answers import of_main_agent, read_graded
from training.abilities.graded_columns import RowName
from training.corpus.graded_corpus import Corpus
from training.demand.reference_names import vendor_model_of
from training.demand.templates import TEMPLATES_FILE, ExpectedAnswer, compose_prompts
from training.errors import CorpusError

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]

_FEWEST_PROMPTS_OF_COLUMN = 60
"""A task with fewer prompts shares the column of its source: its own level would be luck."""
REASONING_TOKENS = (40.0, 200.0, 700.0, 2_500.0, 8_000.0)
"""Reasoning tokens at medium effort of each class in `data/demands`."""


@dataclass(frozen=True, slots=True, eq=False)
class GradedWork:
    """Graded cells of `n` prompts and `r` rows.

    Args:
        prompts: Texts of the prompts.
        prompt_ids: Ids of the prompts, unique within a source.
        sources, columns: Source and column of each prompt, shape (n,).
        rows: Models at an effort, sorted.
        scores: Shape (n, r), 0..1; NaN where unknown.
        tokens: Shape (n, r); output tokens as billed, reasoning included; NaN where unknown.
        visible: Shape (n, r); tokens of the visible answer; NaN where unknown.
        reasoning: Shape (n, r); reasoning tokens; NaN where unknown.
        reference_columns: Columns of the reference models' corpora.
        answers: Grades in the form that `training.abilities` reads: column, kind, prompt_id, model, effort, score.
    """

    prompts: tuple[str, ...]
    prompt_ids: tuple[str, ...]
    sources: npt.NDArray[np.str_]
    columns: npt.NDArray[np.str_]
    rows: tuple[RowName, ...]
    scores: Float32s
    tokens: Float32s
    visible: Float32s
    reasoning: Float32s
    reference_columns: tuple[str, ...]
    answers: pd.DataFrame

    def contexts(self) -> list[RouteContext]:
        """Return each prompt as the gateway would read it."""
        return [RouteContext.from_prompt(prompt) for prompt in self.prompts]

    def of_prompts(self, chosen: npt.NDArray[np.intp]) -> "GradedWork":
        """Return the cells of these prompts."""
        ids = [self.prompt_ids[place] for place in chosen]
        here = self.answers["prompt_id"].isin(set(ids))
        return GradedWork(
            tuple(self.prompts[place] for place in chosen),
            tuple(ids),
            self.sources[chosen],
            self.columns[chosen],
            self.rows,
            self.scores[chosen],
            self.tokens[chosen],
            self.visible[chosen],
            self.reasoning[chosen],
            self.reference_columns,
            self.answers[here],
        )


@dataclass(frozen=True, slots=True, eq=False)
class DemandExamples:
    """Prompts with what their authors expect of an answer; `n` prompts.

    Args:
        prompts: Texts of the prompts.
        visible: Tokens of the visible answer: 10%, 50% and 90% quantile, shape (n, 3).
        reasoning: Reasoning tokens at medium effort, shape (n,).
        weak, strong: Chance that an average open model of 8 billion parameters of 2025, and the strongest models at the
            end of 2026, give an answer that a careful person accepts; 0..1, shape (n,).
    """

    prompts: tuple[str, ...]
    visible: Floats
    reasoning: Floats
    weak: Floats
    strong: Floats

    def contexts(self) -> list[RouteContext]:
        """Return each prompt as the gateway would read it."""
        return [RouteContext.from_prompt(prompt) for prompt in self.prompts]

    def of_prompts(self, chosen: npt.NDArray[np.intp]) -> "DemandExamples":
        """Return these prompts."""
        return DemandExamples(
            tuple(self.prompts[place] for place in chosen),
            self.visible[chosen],
            self.reasoning[chosen],
            self.weak[chosen],
            self.strong[chosen],
        )


def read_demands(folder: Path) -> DemandExamples:
    """Read the files `*.jsonl` of a folder like `data/demands`, and compose the prompts of its templates.

    Raises:
        CorpusError: There is no file, or a line is malformed; the message names the file, the line and the fix.
    """
    entries = [entry for path in sorted(folder.glob("*.jsonl")) for entry in _read_lines(path)]
    if not entries:
        raise CorpusError(folder, "has no *.jsonl file with prompts", "name a folder like data/demands")
    written = [
        ExpectedAnswer(
            str(entry["prompt"]),
            tuple(entry["visible_tokens"]),
            entry["reasoning"],
            entry["small_ok"],
            entry["frontier_ok"],
        )
        for entry in entries
    ]
    templates = folder / TEMPLATES_FILE
    composed = compose_prompts(templates) if templates.exists() else []
    prompts = {example.prompt for example in written}
    examples = [*written, *(example for example in composed if example.prompt not in prompts)]
    return DemandExamples(
        tuple(example.prompt for example in examples),
        np.array([example.visible_tokens for example in examples], np.float64),
        np.array([REASONING_TOKENS[example.reasoning] for example in examples], np.float64),
        np.array([example.small_ok for example in examples], np.float64),
        np.array([example.frontier_ok for example in examples], np.float64),
    )


def _read_lines(path: Path) -> list[dict[str, Any]]:
    entries = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        try:
            entry = json.loads(line)
            low, typical, high = entry["visible_tokens"]
            is_good = (
                1 <= low <= typical <= high
                and 0 < entry["small_ok"] <= entry["frontier_ok"] < 1
                and entry["reasoning"] in range(len(REASONING_TOKENS))
                and bool(entry["prompt"])
            )
        except (ValueError, KeyError, TypeError) as problem:
            raise CorpusError(path, f"a line is malformed ({problem})", "correct it", number) from problem
        if not is_good:
            raise CorpusError(path, "a value is outside its range", "see the README of data/demands", number)
        entries.append(entry)
    return entries


def read_work(
    collection: Path | None, corpora: Sequence[tuple[str, Corpus]], sources: Collection[str] | None = None
) -> GradedWork:
    """Join a collection of sources (a folder each) and flat corpora.

    Args:
        collection: Folder with a folder for each source, each with prompts.parquet and responses.parquet. None: none.
        corpora: Name and content of corpora without efforts; their models get names with their vendor.
        sources: Sources of the collection to read. None: all with a free licence.

    Raises:
        CorpusError: A file is missing or malformed; the message names the file, the row and the fix.
    """
    parts, prompts = [], []
    if collection is not None:
        graded = read_graded(collection, sources=sources)
        for source in sorted(set(graded["source"])):
            prompts.append(pd.read_parquet(collection / source / "prompts.parquet")[["prompt_id", "prompt", "task"]])
            prompts[-1]["source"] = source
            parts.append(_cells_of(collection / source, source, graded))
    for name, corpus in corpora:
        prompts.append(
            pd.DataFrame(
                {
                    "prompt_id": [f"{name}:{key}" for key in corpus.prompt_ids],
                    "prompt": corpus.prompts,
                    "task": corpus.tasks,
                    "source": corpus.sources,
                }
            )
        )
        parts.append(_cells_of_corpus(name, corpus))
    table = pd.concat(prompts, ignore_index=True)
    table["column"] = _columns_of(table)
    cells = pd.concat(parts, ignore_index=True).merge(table[["prompt_id", "column", "task"]], on="prompt_id")
    rows = sorted(set(zip(cells["model"], cells["effort"], strict=True)))
    place = pd.Series(np.arange(len(table)), index=table["prompt_id"])
    row = cells["prompt_id"].map(place).to_numpy(np.intp)
    column = pd.Series(np.arange(len(rows)), index=pd.MultiIndex.from_tuples(rows))
    col = column.reindex(pd.MultiIndex.from_frame(cells[["model", "effort"]])).to_numpy(np.intp)

    def matrix(name: str) -> Float32s:
        values = np.full((len(table), len(rows)), np.nan, np.float32)
        values[row, col] = cells[name]
        return values

    reference = {str(source) for _, corpus in corpora for source in corpus.sources}
    kinds = cells["task"].astype(str).str.split("/").str[0]
    answers = cells[["column", "prompt_id", "model", "effort", "score"]].assign(kind=kinds)
    return GradedWork(
        tuple(table["prompt"]),
        tuple(table["prompt_id"].astype(str)),
        table["source"].astype(str).to_numpy(dtype=np.str_),
        table["column"].astype(str).to_numpy(dtype=np.str_),
        tuple(rows),
        matrix("score"),
        matrix("tokens"),
        matrix("visible"),
        matrix("reasoning"),
        tuple(sorted(set(table.loc[table["source"].isin(reference), "column"]))),
        answers,
    )


def _columns_of(prompts: pd.DataFrame) -> "pd.Series[str]":
    kind = prompts["source"].astype(str) + "/" + prompts["task"].astype(str)
    is_small = kind.map(kind.value_counts()) < _FEWEST_PROMPTS_OF_COLUMN
    return kind.where(~is_small, prompts["source"].astype(str))


def _cells_of(folder: Path, source: str, graded: pd.DataFrame) -> pd.DataFrame:
    """Return one row a prompt, model and effort: score, tokens, visible and reasoning, means over runs."""
    responses = of_main_agent(pd.read_parquet(folder / "responses.parquet"))
    for name in ("completion_tokens", "reasoning_tokens"):
        if name not in responses:
            responses[name] = np.nan
    kind = responses["tokens_kind"] if "tokens_kind" in responses else pd.Series("billed", index=responses.index)
    total, thought = responses["completion_tokens"].astype(float), responses["reasoning_tokens"].astype(float)
    is_billed = (kind == "billed") & (total > 0)
    responses["tokens"] = total.where(is_billed)
    responses["reasoning"] = thought.where(is_billed)
    seen = total.where(kind == "visible_est")
    responses["visible"] = seen.where(seen > 0, (total - thought).where(is_billed & (thought <= total)))
    means = responses.groupby(["prompt_id", "model", "effort"], as_index=False)[
        ["score", "tokens", "visible", "reasoning"]
    ].mean()
    return means[means["prompt_id"].isin(set(graded.loc[graded["source"] == source, "prompt_id"]))]


def _cells_of_corpus(name: str, corpus: Corpus) -> pd.DataFrame:
    row, column = np.nonzero(~np.isnan(corpus.scores))
    tokens = corpus.completion_tokens[row, column].astype(float)
    models = np.array([vendor_model_of(model) for model in corpus.trained_names])
    return (
        pd.DataFrame(
            {
                "prompt_id": [f"{name}:{corpus.prompt_ids[place]}" for place in row],
                "model": models[column],
                "effort": "",
                "score": corpus.scores[row, column].astype(float),
                "tokens": tokens,
                "visible": tokens,
                "reasoning": np.nan,
            }
        )
        .groupby(["prompt_id", "model", "effort"], as_index=False)
        .mean()
    )
