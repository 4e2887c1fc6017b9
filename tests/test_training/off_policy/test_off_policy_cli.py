"""`llmdeal policy` on a real export: from a policy spec to tables, JSON and verdicts."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from checkout import SHIPPED_BUNDLE
from off_policy_logs import write_export
from typer.testing import CliRunner

from router.verdict import read_verdict
from training.off_policy.signals import judgement_rules
from training.off_policy.synthetic import make_traffic
from training.off_policy.traffic import Scenario
from training.policy_cli import policy

TRAFFIC = make_traffic(Scenario(n_requests=800, exploration=0.6, feedback=0.8), 2)
RUNNER = CliRunner()


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_export(TRAFFIC.logs, tmp_path_factory.mktemp("logs"))


@pytest.mark.slow
def test_two_policies_are_compared_on_an_export(export: Path, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = ["compare", "best_value:worth=0.05", "lane:small/a", "--logs", str(export), "--json", str(file)]
    result = RUNNER.invoke(policy, command)
    assert result.exit_code == 0, result.output
    for title in (
        "What each would have got",
        "What the logs hold of them",
        "How often each lane was drawn, and would be",
    ):
        assert title in result.output
    figures = json.loads(file.read_text())
    assert figures["first"]["policy"] == "best_value:worth=0.05"
    quality = figures["difference"]["metrics"]["quality"]
    assert 0 < quality["low"] < quality["estimate"] < quality["high"]
    single = figures["second"]["metrics"]["cost_usd"]
    assert single["low"] < TRAFFIC.cost_usd[:, 0].mean() < single["high"]
    assert figures["first"]["diagnostics"]["requests"] == 800
    again = tmp_path / "again.json"
    assert RUNNER.invoke(policy, [*command[:-1], str(again)]).exit_code == 0
    assert again.read_text() == file.read_text()


def test_a_comparison_says_what_the_logs_cannot_tell(export: Path, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [
        "compare",
        "best_value",
        "lane:small/a",
        "--logs",
        str(export),
        "--until",
        "2026-11-01T12:01:00",
        "--json",
        str(file),
    ]
    result = RUNNER.invoke(policy, [*command, "--reward-model", "beliefs"])
    assert result.exit_code == 0, result.output
    assert "cannot tell" in result.output
    assert "judged requests count effectively" in result.output
    assert json.loads(file.read_text())["first"]["metrics"] == {}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["compare", "greedy", "logged"], "unknown policy 'greedy'"),
        (["compare", "lane:small/z", "logged"], "the logs have no such lane"),
        (["compare", "logged", "bundle=nowhere,best_value"], "nowhere/manifest.json: cannot be read"),
        (["compare", "logged", f"bundle={SHIPPED_BUNDLE},best_value"], "no request kept its text"),
        (["compare", "logged", "best_value", "--until", "2020-01-01"], "there are no logged requests"),
        (["compare", "logged", "best_value", "--metric", "csat"], "'csat' is no rule; write name:worst:best:std"),
    ],
)
def test_a_comparison_that_is_impossible_is_refused_in_one_line(
    export: Path, arguments: list[str], complaint: str
) -> None:
    result = RUNNER.invoke(policy, [*arguments, "--logs", str(export)])
    assert result.exit_code == 2
    assert complaint in result.output
    assert result.output.strip().count("\n") == 0


def test_a_folder_that_is_no_export_is_refused(tmp_path: Path) -> None:
    result = RUNNER.invoke(policy, ["compare", "logged", "best_value", "--logs", str(tmp_path)])
    assert result.exit_code == 2
    assert "llmdeal policy compare:" in result.output


@pytest.mark.slow
def test_a_bundle_without_text_to_be_judged_on_gets_a_verdict_that_says_so(export: Path, tmp_path: Path) -> None:
    challenger = tmp_path / "night-2"
    shutil.copytree(SHIPPED_BUNDLE, challenger)
    result = RUNNER.invoke(policy, ["judge", str(challenger), "--champion", str(SHIPPED_BUNDLE), "--logs", str(export)])
    assert result.exit_code == 1, result.output
    assert "not shown to be better" in result.output
    verdict = read_verdict(challenger)
    assert verdict is not None
    assert not verdict.is_better
    assert "no request kept its text" in verdict.reasons[0]
    assert verdict.judged_at > datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.slow
def test_the_validation_prints_a_table() -> None:
    result = RUNNER.invoke(policy, ["validate", "--runs", "2"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("| scenario | method |")
    assert "near-deterministic logging" in result.output


def test_checks_that_only_find_faults_are_no_judgements() -> None:
    rules = judgement_rules()
    assert {"thumbs", "score", "judge.rubric"} <= set(rules)
    assert not {"schema_valid", "refusal", "asked_again"} & set(rules)


@pytest.mark.slow
def test_a_rule_of_the_caller_decides_what_a_metric_means(export: Path, tmp_path: Path) -> None:
    def logged_quality(*options: str) -> float:
        file = tmp_path / f"{len(options)}.json"
        command = [
            "compare",
            "logged",
            "best_value",
            "--logs",
            str(export),
            "--reward-model",
            "beliefs",
            "--method",
            "snips",
        ]
        result = RUNNER.invoke(policy, [*command, "--json", str(file), *options])
        assert result.exit_code == 0, result.output
        return float(json.loads(file.read_text())["first"]["metrics"]["quality"]["estimate"])

    assert logged_quality("--metric", "thumbs:1:0:0.3") == pytest.approx(1 - logged_quality(), abs=1e-6)
