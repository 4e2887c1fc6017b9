"""Asks LiteLLM's complexity router, with its default settings, which tier each prompt belongs to.

LiteLLM is no dependency of ours: its classifier runs in a Python of its own, which has `litellm[proxy]` installed, as a
process that reads prompts and writes tiers, each a line of JSON. It asks no provider.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from training.errors import SettingsError

TIERS: Final = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
"""Tiers of LiteLLM, from the easiest to the hardest."""
_LONGEST_SECONDS = 600
_SCRIPT = """
import json, sys
from litellm.router_strategy.complexity_router.complexity_router import ComplexityRouter
tiers = dict(zip(json.loads(sys.argv[1]), "abcd"))
router = ComplexityRouter("tiers", litellm_router_instance=None, complexity_router_config={"tiers": tiers})
for line in sys.stdin:
    tier = router.classify(json.loads(line))[0]
    print(json.dumps(getattr(tier, "value", tier)))
"""
_VERSION_SCRIPT = "import importlib.metadata as m; print(m.version('litellm'))"


def read_tiers(python: Path, prompts: Sequence[str]) -> list[int]:
    """Return the place in `TIERS` of each prompt.

    Args:
        python: Interpreter that has `litellm[proxy]`.
        prompts: Texts of the prompts.

    Raises:
        SettingsError: The interpreter cannot be run, or has no LiteLLM with a complexity router.
    """
    lines = "".join(json.dumps(prompt) + "\n" for prompt in prompts)
    answer = _run(python, _SCRIPT, json.dumps(TIERS), text=lines)
    try:
        tiers = [TIERS.index(json.loads(line)) for line in answer.splitlines()]
    except ValueError as problem:
        raise SettingsError(f"--litellm {python}: names an unknown tier ({problem}): use litellm 1.108") from None
    if len(tiers) != len(prompts):
        raise SettingsError(
            f"--litellm {python}: gave {len(tiers)} tiers for {len(prompts)} prompts: use litellm 1.108"
        )
    return tiers


def litellm_version(python: Path) -> str:
    """Return the version of LiteLLM that an interpreter has.

    Raises:
        SettingsError: The interpreter cannot be run, or has no LiteLLM.
    """
    return _run(python, _VERSION_SCRIPT).strip()


def _run(python: Path, script: str, *arguments: str, text: str = "") -> str:
    command = [str(python), "-c", script, *arguments]
    # With this variable LiteLLM reads its own list of prices and fetches nothing.
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PATH": "/usr/bin:/bin"}
    try:
        done = subprocess.run(
            command, input=text, env=environment, capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise SettingsError(
            f"--litellm {python}: cannot be run ({problem}): name a Python with litellm[proxy]"
        ) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SettingsError(f"--litellm {python}: failed ({last}): run its pip install 'litellm[proxy]' first")
    return done.stdout
