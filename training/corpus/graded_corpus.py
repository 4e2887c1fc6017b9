"""Reads graded corpora and prompt files; every check that keeps bad data out of a fit is here.

A corpus is complete information: `prompts.parquet` (source, prompt_id, task, prompt) and `responses.parquet`
(source, prompt_id, model, score 0..1, completion_tokens), optionally `prices.csv`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from router.context import RouteContext
from router.errors import TextError
from training.errors import CorpusError

Float32s = npt.NDArray[np.float32]

PRICES_FILE = "prices.csv"
PROMPT_COLUMNS = ("source", "prompt_id", "task", "prompt")
RESPONSE_COLUMNS = ("source", "prompt_id", "model", "score", "completion_tokens")
_FEWEST_PROMPTS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Graded answers as a sparse matrix; `n` prompts, `m` models.

    Args:
        prompt_ids: Unique ids, in file order.
        prompts: Texts of the prompts.
        sources, tasks: Origin of each prompt, and the kind of work it asks for.
        trained_names: Names of the models, sorted.
        scores: Shape (n, m), 0..1; NaN where a model did not answer.
        completion_tokens: Shape (n, m), at least 0; NaN where unknown.
        hashes: File name -> sha256.
        is_near_duplicate: Shape (n,); mark from the optional column `near_dup`: fitted to, but not measured on.
    """

    prompt_ids: tuple[str, ...]
    prompts: tuple[str, ...]
    sources: npt.NDArray[np.str_]
    tasks: npt.NDArray[np.str_]
    trained_names: tuple[str, ...]
    scores: Float32s
    completion_tokens: Float32s
    hashes: dict[str, str]
    is_near_duplicate: npt.NDArray[np.bool_]

    def contexts(self) -> list[RouteContext]:
        """Return each prompt as the serving code would see it."""
        return [RouteContext.from_prompt(prompt) for prompt in self.prompts]

    def task_kinds(self) -> npt.NDArray[np.str_]:
        """Return `source/task` of every prompt, shape (n,).

        The same task name may mean different things in two sources.
        """
        return np.char.add(np.char.add(self.sources, "/"), self.tasks)

    def of_models(self, columns: npt.NDArray[np.intp]) -> "Corpus":
        """Return the corpus of these models, with all its prompts."""
        return replace(
            self,
            trained_names=tuple(self.trained_names[column] for column in columns),
            scores=self.scores[:, columns],
            completion_tokens=self.completion_tokens[:, columns],
        )


def read_corpus(folder: Path) -> Corpus:
    """Read and check a corpus.

    Raises:
        CorpusError: A file is missing or malformed; the message names the file, the row and the fix.
    """
    prompts_path, responses_path = folder / "prompts.parquet", folder / "responses.parquet"
    prompts = _read_table(prompts_path, PROMPT_COLUMNS)
    responses = _read_table(responses_path, RESPONSE_COLUMNS)
    responses = responses.assign(**{name: as_numbers(responses[name]) for name in ("score", "completion_tokens")})
    _check_prompts(prompts, prompts_path)
    if len(prompts) < _FEWEST_PROMPTS:
        raise CorpusError(
            prompts_path, f"{len(prompts)} prompts are too few to learn from", f"give at least {_FEWEST_PROMPTS}"
        )
    rows = _check_responses(responses, prompts, responses_path)
    names = sorted(responses["model"].astype(str).unique())
    columns = responses["model"].astype(str).map({name: place for place, name in enumerate(names)}).to_numpy(np.intp)
    scores = np.full((len(prompts), len(names)), np.nan, np.float32)
    tokens = scores.copy()
    scores[rows, columns] = responses["score"].to_numpy(np.float32)
    tokens[rows, columns] = responses["completion_tokens"].to_numpy(np.float32)
    return Corpus(
        tuple(prompts["prompt_id"].astype(str)),
        tuple(prompts["prompt"]),
        prompts["source"].astype(str).to_numpy(dtype=np.str_),
        prompts["task"].astype(object).fillna("unknown").astype(str).to_numpy(dtype=np.str_),
        tuple(names),
        scores,
        tokens,
        {path.name: hash_file(path) for path in (prompts_path, responses_path)},
        prompts["near_dup"].to_numpy(np.bool_) if "near_dup" in prompts else np.zeros(len(prompts), np.bool_),
    )


def read_prompts(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read a prompts file of which only `prompt_id` and `prompt` are required; return (prompt ids, prompts).

    Raises:
        CorpusError: The file is missing or malformed; the message names the file, the row and the fix.
    """
    prompts = _read_table(path, ("prompt_id", "prompt"))
    _check_prompts(prompts, path)
    return tuple(prompts["prompt_id"].astype(str)), tuple(prompts["prompt"])


def read_prices(path: Path, trained_names: Sequence[str]) -> Float32s:
    """Read list prices.

    Returns:
        (input, output) USD per million tokens of each model, shape (m, 2); NaN where unknown.

    Raises:
        CorpusError: The file is malformed, or a price is negative.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as problem:
        raise CorpusError(path, f"cannot be read ({problem})", "give a CSV with a header") from problem
    wanted = ("model", "input_usd_per_mtok", "output_usd_per_mtok")
    _check_columns(table.columns, wanted, path)
    values = table[list(wanted[1:])].apply(pd.to_numeric, errors="coerce")
    bad = np.flatnonzero(~(values >= 0).all(axis=1).to_numpy())
    if len(bad):
        raise CorpusError(path, "a price is not a number of at least 0", "correct it", int(bad[0]))
    values.index = pd.Index(table["model"].astype(str))
    if values.index.has_duplicates:
        raise CorpusError(
            path, f"model {values.index[values.index.duplicated()][0]!r} is listed twice", "keep one row of it"
        )
    return np.asarray(values.reindex(list(trained_names)), np.float32)


def hash_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    if not path.is_file():
        raise CorpusError(path, "does not exist", "give a corpus in the format of docs/training.md")
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as problem:
        raise CorpusError(path, f"is not readable as Parquet ({problem})", "write it again") from problem
    table = with_index_as_columns(table)
    _check_columns(table.columns, columns, path)
    return table


def with_index_as_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose named index is columns again: the file has them, only pandas takes them for the index."""
    names = [name for name in table.index.names if name is not None and name not in table.columns]
    return table.reset_index(level=names).reset_index(drop=True) if names else table.reset_index(drop=True)


def as_numbers(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column of numbers and nulls as floats; a column of another kind as it is.

    A column of nulls alone has no numeric type in Parquet, and numbers next to nulls may be stored as objects.
    """
    if values.dtype != object:
        return values
    given = values.dropna()
    are_numbers = all(isinstance(value, Number) and not isinstance(value, bool) for value in given)
    return values.astype(np.float64) if are_numbers else values


def _check_columns(columns: "pd.Index[str]", wanted: Sequence[str], path: Path) -> None:
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise CorpusError(
            path,
            f"column {missing[0]!r} is missing (the file has {', '.join(map(str, columns))})",
            "add it or rename the one that holds it",
        )


def _check_prompts(prompts: pd.DataFrame, path: Path) -> None:
    _check_present(prompts["prompt_id"], path)
    repeated = np.flatnonzero(prompts["prompt_id"].astype(str).duplicated().to_numpy())
    if len(repeated):
        row = int(repeated[0])
        raise CorpusError(
            path, f"prompt_id {prompts['prompt_id'].iloc[row]!r} occurs twice", "make prompt ids unique", row
        )
    for row, prompt in enumerate(prompts["prompt"]):
        try:
            RouteContext.from_prompt(prompt)
        except TextError as problem:
            raise CorpusError(path, str(problem), "fix the row or drop it", row) from problem


def _check_responses(responses: pd.DataFrame, prompts: pd.DataFrame, path: Path) -> npt.NDArray[np.intp]:
    """Check the responses and return the row of each one's prompt."""
    for column in ("prompt_id", "model"):
        _check_present(responses[column], path)
    for column, low, high in (("score", 0.0, 1.0), ("completion_tokens", 0.0, np.inf)):
        values = responses[column]
        if not pd.api.types.is_numeric_dtype(values):
            raise CorpusError(path, f"column {column!r} holds {values.dtype}, not numbers", "store it as float")
        numbers = values.to_numpy(np.float64, na_value=np.nan)
        good = (numbers >= low) & (numbers <= high)
        if column == "completion_tokens":
            good = (good & np.isfinite(numbers)) | np.isnan(numbers)
        if not good.all():
            row = int(np.flatnonzero(~good)[0])
            raise CorpusError(
                path, f"{column} is {numbers[row]}, outside {low:g}..{high:g}", "rescale or drop the row", row
            )
    place = {str(prompt_id): row for row, prompt_id in enumerate(prompts["prompt_id"])}
    rows = responses["prompt_id"].astype(str).map(place).to_numpy(np.float64)
    unknown = np.flatnonzero(np.isnan(rows))
    if len(unknown):
        row = int(unknown[0])
        raise CorpusError(
            path,
            f"prompt_id {responses['prompt_id'].iloc[row]!r} is not in prompts.parquet",
            "add the prompt or drop the row",
            row,
        )
    twice = np.flatnonzero(responses[["prompt_id", "model"]].astype(str).duplicated().to_numpy())
    if len(twice):
        row = int(twice[0])
        name, prompt_id = responses["model"].iloc[row], responses["prompt_id"].iloc[row]
        raise CorpusError(path, f"model {name!r} answers prompt {prompt_id!r} twice", "keep one answer", row)
    return rows.astype(np.intp)


def _check_present(values: "pd.Series[str]", path: Path) -> None:
    absent = np.flatnonzero(values.isna().to_numpy())
    if len(absent):
        raise CorpusError(path, f"{values.name} is empty", "fill it in or drop the row", int(absent[0]))
