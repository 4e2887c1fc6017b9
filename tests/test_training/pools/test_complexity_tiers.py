"""LiteLLM is asked in a Python of its own. A package of the same form stands in; it knows tiers by a word."""

import sys
from pathlib import Path

import pytest

from training.errors import SettingsError
from training.pools.complexity_tiers import litellm_version, read_tiers

ROUTER = """
class ComplexityRouter:
    def __init__(self, model_name, litellm_router_instance, complexity_router_config):
        assert list(complexity_router_config["tiers"]) == ["SIMPLE", "MEDIUM", "COMPLEX", "REASONING"]
    def classify(self, prompt):
        return ("REASONING" if "prove" in prompt else "%s"), 0.5, []
"""


def interpreter(folder: Path, tier: str = "SIMPLE") -> Path:
    package = folder / "litellm" / "router_strategy" / "complexity_router"
    package.mkdir(parents=True)
    for each in (package.parent.parent, package.parent, package):
        (each / "__init__.py").write_text("")
    (package / "complexity_router.py").write_text(ROUTER % tier)
    facts = folder / "litellm-1.2.3.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: litellm\nVersion: 1.2.3\n")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={folder} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return python


def test_each_prompt_gets_its_tier(tmp_path: Path) -> None:
    python = interpreter(tmp_path)
    assert read_tiers(python, ["hi\nthere", 'prove that "x" = x', "ciao è qui"]) == [0, 3, 0]
    assert litellm_version(python) == "1.2.3"


def test_a_python_that_cannot_answer_is_named_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"litellm\[proxy\]"):
        read_tiers(Path(sys.executable), ["hi"])
    with pytest.raises(SettingsError, match="cannot be run"):
        read_tiers(tmp_path / "absent", ["hi"])
    with pytest.raises(SettingsError, match="unknown tier"):
        read_tiers(interpreter(tmp_path, "HUGE"), ["hi"])
