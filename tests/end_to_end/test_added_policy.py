"""A policy is added with one file and one line of the registry; everything else in the product then knows it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import FIXTURES, ROOT

pytestmark = pytest.mark.slow

ADDED = FIXTURES / "added_policy"


def test_one_file_and_one_line_add_a_policy(tmp_path: Path) -> None:
    policies = tmp_path / "router" / "policies"
    shutil.copytree(ROOT / "router", tmp_path / "router", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ADDED / "spend_up_to.py", policies)
    registry = (policies / "registry.py").read_text(encoding="utf-8")
    changed = registry.replace('    "pinned",\n', '    "pinned",\n    "spend_up_to",\n')
    assert len(changed.splitlines()) == len(registry.splitlines()) + 1
    (policies / "registry.py").write_text(changed, encoding="utf-8")
    # -P: the copy of router/ comes before the checkout's own, which the working folder would put first.
    command = [
        sys.executable,
        "-P",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "spend_up_to or added_policy",
    ]
    contracts = ROOT / "tests" / "contracts"
    paths = [
        ADDED / "checks.py",
        contracts / "test_policy_contract.py",
        contracts / "test_followed_policies_contract.py",
    ]
    done = subprocess.run(
        [*command, *map(str, paths)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) == 4 + 4 + 2  # the checks, and the contracts of this one policy
