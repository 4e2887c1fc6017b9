"""The measure of models that were left out, and its command."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from training.abilities.__main__ import main
from training.abilities.abilities import AbilitySettings
from training.abilities.graded_answers import read_graded
from training.abilities.left_out import complete_few_prompts, leave_models_out
from training.abilities.published import read_benchmarks, read_lengths

MIT = "acme/board@1 (MIT)"


def write_world(folder: Path) -> None:
    """Write 30 models whose published scores say what they do in one source of 60 prompts."""
    random = np.random.default_rng(0)
    ability = random.normal(0, 1.3, 30)
    ease = random.normal(0, 1, 60)
    answers = [
        (f"p{prompt}", f"v{model % 5}/line-n{model}", "", float(random.random() < 1 / (1 + np.exp(-(skill + easy)))))
        for model, skill in enumerate(ability)
        for prompt, easy in enumerate(ease)
    ]
    (folder / "ours").mkdir()
    pd.DataFrame(answers, columns=["prompt_id", "model", "effort", "score"]).to_parquet(
        folder / "ours" / "responses.parquet"
    )
    pd.DataFrame({"prompt_id": [f"p{prompt}" for prompt in range(60)], "task": "code/x"}).to_parquet(
        folder / "ours" / "prompts.parquet"
    )
    scores = ["model,effort,benchmark,domain,score,unit,date,source"]
    lengths = ["model,effort,task,mean_output_tokens,counts,source"]
    for model, skill in enumerate(ability):
        name = f"v{model % 5}/line-n{model}"
        lengths.append(f"{name},,chat,{100 * 2 ** (model % 5)},billed,{MIT}")
        for benchmark in range(4):
            share = 1 / (1 + np.exp(-(skill + random.normal(0, 0.2))))
            scores.append(f"{name},,B{benchmark},code,{100 * share:.2f},%,2026-01-08,{MIT}")
    (folder / "benchmarks.csv").write_text("\n".join(scores) + "\n", encoding="utf-8")
    (folder / "verbosity.csv").write_text("\n".join(lengths) + "\n", encoding="utf-8")


@pytest.mark.slow
def test_left_out_models_are_predicted_without_their_grades(tmp_path: Path) -> None:
    write_world(tmp_path)
    graded, scores = read_graded(tmp_path), read_benchmarks(tmp_path / "benchmarks.csv")
    lengths = read_lengths(tmp_path / "verbosity.csv")
    settings = AbilitySettings(2, 200)
    result = leave_models_out(graded, scores, lengths, n_folds=4, settings=settings)
    assert set(result.errors["model"]) == set(graded["model"])
    brier = result.brier()
    assert brier["own means"] < brier["asked"] < brier["no knowledge"] - 0.02
    assert result.coverage().loc["all"].between([0.3, 0.6, 0.85], [0.85, 1.0, 1.0]).all()
    octaves = result.octaves_by_task().loc["chat"]
    assert octaves["asked"] < 0.6 * octaves["no knowledge"]
    shuffled = graded.assign(
        model=graded["model"].map(dict(zip(sorted(graded["model"].unique()), _turned(graded), strict=True)))
    )
    nothing_to_learn = leave_models_out(shuffled, scores, n_folds=4, settings=settings).brier()
    assert nothing_to_learn["asked"] > brier["asked"] + 0.01


def _turned(graded: pd.DataFrame) -> list[str]:
    """Return the models in another order, so that grades and scores belong to different ones."""
    names = sorted(graded["model"].unique())
    return [names[place] for place in np.random.default_rng(1).permutation(len(names))]


@pytest.mark.slow
def test_the_newest_models_of_a_vendor_are_left_out_at_once(tmp_path: Path) -> None:
    write_world(tmp_path)
    graded, scores = read_graded(tmp_path), read_benchmarks(tmp_path / "benchmarks.csv")
    result = leave_models_out(graded, scores, newest_only=True, settings=AbilitySettings(2, 30))
    assert sorted(result.errors["model"]) == [f"v{vendor}/line-n{25 + vendor}" for vendor in range(5)]


@pytest.mark.slow
def test_few_prompts_are_completed_by_scores(tmp_path: Path) -> None:
    write_world(tmp_path)
    graded = read_graded(tmp_path)
    table = complete_few_prompts(graded, read_benchmarks(tmp_path / "benchmarks.csv"), settings=AbilitySettings(2, 200))
    assert table.loc["ours", "rows"] == 30
    assert table.loc["ours", "asked"] < table.loc["ours", "kept, adjusted"]


@pytest.mark.slow
def test_the_command_prints_the_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_world(tmp_path)
    assert main(["--data", str(tmp_path), "--folds", "2", "--sweeps", "30", "--factors", "2"]) == 0
    printed = capsys.readouterr().out
    assert "with 3 published scores or more" in printed
    assert "own means" in printed
    assert "inside 80%" in printed


def test_the_command_says_what_is_wrong_with_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path)]) == 2
    assert "has no folder with responses.parquet" in capsys.readouterr().err
