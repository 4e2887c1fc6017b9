"""The two tables of published figures: what becomes of a row, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from training.abilities.licences import free_sources, is_free_table
from training.abilities.published import read_benchmarks, read_lengths
from training.errors import CorpusError

SCORES = "model,effort,benchmark,domain,score,unit,date,source\n"
LENGTHS = "model,effort,task,mean_output_tokens,counts,source\n"
MIT = "acme/board@12ab (MIT)"


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_every_unit_becomes_log_odds_of_success(tmp_path: Path) -> None:
    rows = (
        f"a/x,,Share,code,0.75,as published,2026-01-08,{MIT}\n"
        f"a/x,,Percent,code,75,%,2026-01-08,{MIT}\n"
        f"a/x,,Ten,code,7.5,0..10,2026-01-08,{MIT}\n"
        f'a/x,,"Made up (rate, lower is better)",rag,25,% confabulated,2026-01-08,{MIT}\n'
        f"a/x,,Perfect,code,100,%,2026-01-08,{MIT}\n"
        f"a/x,,Elo,chat,1312,as published,2026-01-08,{MIT}\n"
        f"a/x,,Absent,chat,,%,2026-01-08,{MIT}\n"
    )
    table = read_benchmarks(written(tmp_path / "benchmarks.csv", SCORES + rows)).set_index("benchmark")
    quarter = np.log(3)
    assert table.loc["acme/board: Perfect", "log_odds"] == pytest.approx(np.log(99))
    others = table.drop("acme/board: Perfect")
    assert len(others) == 4
    np.testing.assert_allclose(others["log_odds"], quarter)
    np.testing.assert_allclose(others["year"], 2026.02, atol=0.01)


def test_rows_of_one_model_effort_and_benchmark_are_averaged(tmp_path: Path) -> None:
    rows = f"a/x,high,B,code,25,%,,{MIT}\na/x,high,B,code,75,%,,{MIT}\na/x,enabled,B,code,75,%,,{MIT}\n"
    table = read_benchmarks(written(tmp_path / "b.csv", SCORES + rows)).set_index("effort")
    assert table.loc["high", "log_odds"] == pytest.approx(0)
    assert table.loc["thinking", "log_odds"] == pytest.approx(np.log(3))
    assert table["year"].isna().all()


def test_tables_without_a_free_licence_are_left_out_unless_allowed(tmp_path: Path) -> None:
    rows = "a/x,,B,code,25,%,,acme/board@1\na/x,,C,code,25,%,,b/board@2 (CC-BY-4.0)\na/x,,D,code,25,%,,c@3 (GPL-3.0)\n"
    path = written(tmp_path / "b.csv", SCORES + rows)
    assert read_benchmarks(path)["benchmark"].tolist() == ["b/board: C"]
    assert len(read_benchmarks(path, allowed=lambda source: True)) == 3


def test_licences_decide_which_sources_are_read() -> None:
    assert free_sources(["sql", "pm_llm_v2", "mcpmark", "our_own"]) == ("sql", "our_own")
    assert is_free_table("sql (this folder)")
    assert not is_free_table("pm_llm_v3 (this folder)")
    assert not is_free_table("acme/board (MITRE)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,score\n", "has no column 'effort'"),
        (f"{SCORES}a/x,huge,B,code,1,%,,{MIT}\n", "row 0: effort 'huge' is unknown"),
        (f"{SCORES}a/x,,B,code,1,%,,{MIT}\na/x,,B,code,many,%,,{MIT}\n", "row 1: score 'many' is not a number"),
        (f"{SCORES},,B,code,1,%,,{MIT}\n", "row 0: a row names no model"),
    ],
)
def test_a_malformed_table_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path / "benchmarks.csv", text)
    with pytest.raises(CorpusError, match=message) as refusal:
        read_benchmarks(path)
    assert str(path) in str(refusal.value)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="cannot be read"):
        read_lengths(tmp_path / "verbosity.csv")


def test_lengths_of_a_source_are_one_task_adjusted_for_which_tasks_a_model_did(tmp_path: Path) -> None:
    rows = "".join(
        f"a/{model},,es/{task},{tokens},billed,es_business (this folder)\n"
        for model, task, tokens in (("x", "long", 1000), ("y", "long", 1000), ("x", "short", 10), ("y", "short", 10))
    )
    rows += "a/z,,es/long,2000,billed,es_business (this folder)\na/z,,chat,0,visible words,b@1 (MIT)\n"
    table = read_lengths(written(tmp_path / "verbosity.csv", LENGTHS + rows)).set_index("model")
    assert table["task"].unique().tolist() == ["es_business"]
    assert table["kind"].unique().tolist() == ["billed"]
    assert table.loc["a/x", "log_tokens"] == pytest.approx(table.loc["a/y", "log_tokens"])
    assert 0.3 < table.loc["a/z", "log_tokens"] - table.loc["a/x", "log_tokens"] < np.log(2) + 0.1
