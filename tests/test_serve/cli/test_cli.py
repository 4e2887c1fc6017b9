"""The command line: help that helps, errors in one line, no traceback."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from checkout import ROOT

from serve.identity.virtual_keys import is_well_formed

pytestmark = pytest.mark.slow


def llmdeal(
    *arguments: str, folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    plain = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "COLUMNS": "160", **(environment or {})}
    command = [sys.executable, "-c", "from serve.cli.main import run; run()", *arguments]
    root = str(ROOT)
    return subprocess.run(
        command, cwd=folder, env={**plain, "PYTHONPATH": root}, capture_output=True, text=True, timeout=120, check=False
    )


def test_help_lists_every_command_with_a_line_each(tmp_path: Path) -> None:
    shown = llmdeal("--help", folder=tmp_path)
    assert shown.returncode == 0
    for command in (
        "serve",
        "route",
        "prices",
        "workloads",
        "calibrate",
        "export",
        "new-key",
        "settings",
        "local",
        "usage",
        "keys",
        "provider-keys",
        "accounts",
        "budgets",
        "vault",
    ):
        assert f" {command} " in shown.stdout


def test_a_new_key_is_well_formed(tmp_path: Path) -> None:
    assert is_well_formed(llmdeal("new-key", folder=tmp_path).stdout.strip())


def test_route_shows_the_candidates_and_the_winner(tmp_path: Path) -> None:
    shown = llmdeal("route", "What is the capital of France?", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "best_quality_per_dollar" in shown.stdout
    assert "→" in shown.stdout
    assert "sandbox/large" in shown.stdout


@pytest.mark.parametrize("command", [["route", "x"], ["prices"]])
def test_a_provider_without_a_lane_is_explained(command: list[str], tmp_path: Path) -> None:
    without_models = llmdeal(*command, folder=tmp_path, environment={"NVIDIA_API_KEY": "nvapi-x"})
    assert without_models.returncode == 0, without_models.stderr
    assert "list yours under [[providers.nvidia-nim.models]]" in " ".join(without_models.stdout.split())


def test_prices_name_their_source(tmp_path: Path) -> None:
    shown = llmdeal("prices", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "sandbox/small" in shown.stdout
    assert "invented for the sandbox" in " ".join(shown.stdout.split())


def test_prices_of_many_lanes_begin_with_those_that_smart_route_may_choose(tmp_path: Path) -> None:
    environment = {"OPENAI_API_KEY": "sk-1", "GROQ_API_KEY": "gsk_1", "COLUMNS": "200"}

    def lanes(*arguments: str) -> list[str]:
        shown = llmdeal("prices", *arguments, folder=tmp_path, environment=environment)
        assert shown.returncode == 0, shown.stderr
        return re.findall(r"^\W*((?:openai|groq)/\S+)", shown.stdout, re.MULTILINE)

    choosable, everything = lanes(), lanes("--all")
    assert "openai/gpt-5.5" in choosable
    assert "openai/gpt-6-rosalind" not in choosable
    assert everything[: len(choosable)] == choosable
    assert "openai/gpt-6-rosalind" in everything[len(choosable) :]
    assert lanes("--search", "GPT-6-Rosalind") == ["openai/gpt-6-rosalind"]
    assert {lane.partition("/")[0] for lane in lanes("--provider", "groq")} == {"groq"}


def test_a_route_is_shown_among_the_lanes_that_smart_route_may_choose(tmp_path: Path) -> None:
    shown = llmdeal("route", "hello", "--most", "99", folder=tmp_path, environment={"OPENAI_API_KEY": "sk-1"})
    assert shown.returncode == 0, shown.stderr
    assert "openai/gpt-6-rosalind" not in shown.stdout
    assert re.search(r"\d\d more lanes answer only requests that name them", " ".join(shown.stdout.split()))


@pytest.mark.parametrize(
    ("arguments", "environment", "complaint"),
    [
        (["serve", "--host", "0.0.0.0"], {}, "refusing to listen on '0.0.0.0' without a virtual key"),
        (["serve", "--config", "absent.toml"], {}, "absent.toml: there is no such file"),
        (["serve"], {"LLMDEAL_SANDBOX": "off"}, "there is no lane"),
        (["serve"], {"LLMDEAL_BUNDLE": "nowhere"}, "bundle 'nowhere': no such folder"),
        (["serve"], {"LLMDEAL_KEYS": "ll_live_oops"}, "not of the form"),
        (["serve"], {"LLMDEAL_DATABASE": "nonsense://x"}, "nonsense"),
        (["route", "  "], {}, "must not be empty"),
        (["route", "x", "--quality", "0.5", "--quality-of-best", "0.9"], {}, "Give one of them"),
        (["calibrate", "nobody/x"], {}, "no lane is called 'nobody/x'"),
        (["calibrate", "sandbox/small"], {}, "needs no calibration"),
        (["export", "--since", "never", "--out", "x"], {}, "never"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(
    arguments: list[str], environment: Mapping[str, str], complaint: str, tmp_path: Path
) -> None:
    refused = llmdeal(*arguments, folder=tmp_path, environment=environment)
    assert refused.returncode == 2
    assert complaint in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert "Traceback" not in refused.stderr


def test_without_the_training_packages_a_training_command_says_what_to_install(tmp_path: Path) -> None:
    hide = "import sys; sys.modules['pandas'] = None; from serve.cli.main import run; run()"
    arguments = ["predict", "--bundle", "bundle", "--prompts", "prompts.parquet", "--out", "beliefs.parquet"]
    root = str(ROOT)
    refused = subprocess.run(
        [sys.executable, "-c", hide, *arguments],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert refused.returncode == 2
    assert "pip install 'llmdeal[train]' (missing: pandas)" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_gateway_stores_what_export_reads(tmp_path: Path) -> None:
    environment = {"LLMDEAL_DATABASE": str(tmp_path / "elsewhere.db")}
    missing = llmdeal("export", "--since", "1d", "--out", "x", folder=tmp_path, environment=environment)
    assert missing.returncode == 2
    assert "elsewhere.db" in missing.stderr
