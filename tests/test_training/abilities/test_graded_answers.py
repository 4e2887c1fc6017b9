"""Folders of graded answers: what is read, and what is refused."""

from pathlib import Path

import pandas as pd
import pytest

from training.abilities.graded_answers import read_graded
from training.errors import CorpusError


def write_source(
    folder: Path, source: str, answers: list[tuple[str, str, str, str, float]], tasks: dict[str, str]
) -> None:
    (folder / source).mkdir()
    responses = pd.DataFrame(answers, columns=["prompt_id", "model", "effort", "agent", "score"])
    responses.to_parquet(folder / source / "responses.parquet")
    prompts = pd.DataFrame({"prompt_id": list(tasks), "task": list(tasks.values())})
    prompts.to_parquet(folder / source / "prompts.parquet")


def test_sources_are_read_with_column_and_kind(tmp_path: Path) -> None:
    write_source(tmp_path, "ours", [("p", "a/x", "", "", 0.5)], {"p": "sql/advice"})
    write_source(tmp_path, "pm_llm_v2", [("q", "a/x", "enabled", "", 1.0)], {"q": "analysis/cat01"})
    graded = read_graded(tmp_path)
    assert graded[["column", "kind", "model", "effort", "score"]].values.tolist() == [["ours", "code", "a/x", "", 0.5]]
    both = read_graded(tmp_path, sources=["pm_llm_v2", "ours"], column_of=lambda source, task: f"{source}/{task}")
    assert both["column"].tolist() == ["ours/sql/advice", "pm_llm_v2/analysis/cat01"]
    assert both["effort"].tolist() == ["", "thinking"]


def test_the_agent_with_the_most_answers_counts(tmp_path: Path) -> None:
    answers = [("p", "a/x", "", "main", 0.0), ("p", "a/y", "", "main", 1.0), ("p", "a/x", "", "other", 1.0)]
    write_source(tmp_path, "ours", answers, {"p": "agentic/fix"})
    assert read_graded(tmp_path)["score"].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (("p", "a/x", "", "", 1.5), "row 0: a score is not between 0 and 1"),
        (("p", "a/x", "huge", "", 1.0), "row 0: an effort is unknown"),
        (("elsewhere", "a/x", "", "", 1.0), "row 0: a prompt is not in prompts.parquet"),
    ],
)
def test_a_malformed_answer_is_refused(tmp_path: Path, answer: tuple[str, str, str, str, float], message: str) -> None:
    write_source(tmp_path, "ours", [answer], {"p": "code/x"})
    with pytest.raises(CorpusError, match=message):
        read_graded(tmp_path)


def test_a_folder_without_sources_and_an_absent_source_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="has no folder"):
        read_graded(tmp_path)
    write_source(tmp_path, "ours", [("p", "a/x", "", "", 1.0)], {"p": "code/x"})
    with pytest.raises(CorpusError, match="has no source 'theirs'"):
        read_graded(tmp_path, sources=["theirs"])
