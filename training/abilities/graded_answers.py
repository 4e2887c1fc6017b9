"""Reads folders of graded answers: who answered which prompt at which effort, and how good it was."""

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import pandas as pd

from training.abilities.licences import free_sources
from training.abilities.published import EFFORTS
from training.corpus.graded_corpus import with_index_as_columns
from training.errors import CorpusError

_KINDS = {"analysis": "data_analysis", "es": "chat", "sql": "code", "translate": "multilingual"}
_RESPONSE_COLUMNS = ("prompt_id", "model", "effort", "score")


def read_graded(
    folder: Path, *, sources: Collection[str] | None = None, column_of: Callable[[str, str], str] | None = None
) -> pd.DataFrame:
    """Read the sources of a folder; each is a folder with prompts.parquet and responses.parquet.

    Of a source with answers through several agents, those of the agent with the most rows are read.

    Args:
        folder: Folder of the sources.
        sources: Names of the sources to read. None: all with a free licence, see `licences`.
        column_of: Function from source and task to the name of a column. None: every source is one column.

    Returns:
        Columns source, task, column, kind (kind of work), prompt_id, model, effort and score, 0..1.

    Raises:
        CorpusError: A file is missing or malformed; the message names the file, the row and the fix.
    """
    there = sorted(path.parent.name for path in folder.glob("*/responses.parquet"))
    if not there:
        raise CorpusError(folder, "has no folder with responses.parquet", "name the folder that holds the sources")
    wanted = free_sources(there) if sources is None else tuple(sorted(sources))
    absent = [source for source in wanted if source not in there]
    if absent:
        raise CorpusError(folder, f"has no source {absent[0]!r}", f"name some of {', '.join(there)}")
    tables = [_read_source(folder / source, source) for source in wanted]
    graded = pd.concat(tables, ignore_index=True)
    chosen = column_of or (lambda source, task: source)
    graded["column"] = [chosen(source, task) for source, task in zip(graded["source"], graded["task"], strict=True)]
    first_words = graded["task"].str.split("/").str[0]
    graded["kind"] = first_words.map(lambda word: _KINDS.get(word, word))
    return graded


def of_main_agent(responses: pd.DataFrame) -> pd.DataFrame:
    """Return the answers of the agent with the most rows, with efforts by the names of `EFFORTS`."""
    if "agent" in responses:
        responses = responses[responses["agent"] == responses["agent"].mode().iloc[0]]
    return responses.assign(effort=responses["effort"].fillna("").replace({"enabled": "thinking"}))


def _read_source(folder: Path, source: str) -> pd.DataFrame:
    responses_path, prompts_path = folder / "responses.parquet", folder / "prompts.parquet"
    responses = _read(responses_path, _RESPONSE_COLUMNS)
    prompts = _read(prompts_path, ("prompt_id", "task"))
    responses = of_main_agent(responses)[list(_RESPONSE_COLUMNS)]
    scores = responses["score"].to_numpy(np.float64)
    checks = (
        (~((scores >= 0) & (scores <= 1)), "a score is not between 0 and 1", "correct it or leave the row out"),
        (~responses["effort"].isin(["", *EFFORTS]), "an effort is unknown", f"write one of {', '.join(EFFORTS)}"),
        (~responses["prompt_id"].isin(prompts["prompt_id"]), f"a prompt is not in {prompts_path.name}", "add it there"),
    )
    for is_bad, problem, fix in checks:
        bad = np.flatnonzero(np.asarray(is_bad))
        if len(bad):
            raise CorpusError(responses_path, problem, fix, int(responses.index[bad[0]]))
    responses["source"] = source
    responses["task"] = responses["prompt_id"].map(prompts.set_index("prompt_id")["task"]).astype(str)
    return responses


def _read(path: Path, wanted: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as problem:
        raise CorpusError(path, f"cannot be read ({problem})", "give a Parquet file") from problem
    table = with_index_as_columns(table)
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise CorpusError(path, f"has no column {missing[0]!r}", f"give the columns {', '.join(wanted)}")
    return table
